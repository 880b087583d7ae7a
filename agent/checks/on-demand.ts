import type { CheckKind } from "./check.ts";
import type { NAMES } from "./names.ts";

/**
 * Checks that look only at what the config names. Their code is read where it names something: a device without switches,
 * databases or streams starts without them (docs/performance.md).
 */
const LOAD: Readonly<Record<keyof typeof NAMES, () => Promise<CheckKind>>> = {
  switch: async () => (await import("./switch/switch.ts")).switches as CheckKind,
  drift: async () => (await import("./drift/drift.ts")).drift as CheckKind,
  data: async () => (await import("./data/data.ts")).data as CheckKind,
  database: async () => (await import("./database/database.ts")).databases as CheckKind,
  service: async () => (await import("./service/service.ts")).services as CheckKind,
  command: async () => (await import("./command/command.ts")).commands as CheckKind,
  stream: async () => (await import("./stream/stream.ts")).streams as CheckKind,
};

/** The kinds of those of these checks that are among `named`, by id. */
export async function loadOnDemand(named: readonly string[]): Promise<Record<string, CheckKind>> {
  const wanted = Object.entries(LOAD).filter(([id]) => named.includes(id));
  return Object.fromEntries(await Promise.all(wanted.map(async ([id, load]) => [id, await load()] as const)));
}
