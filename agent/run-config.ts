import * as z from "zod/mini";
import { parseConfig } from "../platform/config-file.ts";
import { BaseConfig } from "./base-config.ts";
import type { CheckConfig, CheckKind, Configured } from "./checks/check.ts";
import { CORE, coreShape } from "./checks/core.ts";
import { NAMES } from "./checks/names.ts";
import { loadOnDemand } from "./checks/on-demand.ts";

/** What does the running agent need of its config? Of the checks that look at what the config names, only those it names. */

const RunConfig = z.extend(BaseConfig, { checks: z.prefault(z.looseObject({ self: coreShape.self }), {}) });
export type RunConfig = z.infer<typeof RunConfig>;

/**
 * Fits the text of a config to what it names; `name` says where it came from. The checks come in the order people read
 * them, without `self`; those it says nothing of are there by name, and absent. Throws CONFIG_UNREADABLE or CONFIG_INVALID.
 */
export async function parseRunConfig(text: string, name: string): Promise<{ config: RunConfig; checks: Configured[] }> {
  const loaded: Record<string, CheckKind> = await loadOnDemand(namedIn(text));
  const ids = Object.keys(NAMES);
  const shape = Object.fromEntries(
    ids.map((id) => [id, loaded[id] === undefined ? z.optional(z.any()) : z.prefault(loaded[id].Config, {})]),
  );
  const checks = z.strictObject({ ...coreShape, ...shape });
  const config = parseConfig(text, z.extend(BaseConfig, { checks: z.prefault(checks, {}) }), name);
  const own = config.checks as Readonly<Record<string, CheckConfig>>;
  const configured = Object.entries({ ...CORE, ...loaded }).flatMap(([id, kind]): Configured[] =>
    own[id] === undefined ? [] : [{ kind: kind as CheckKind, config: own[id] }],
  );
  return { config, checks: [...configured, ...ids.filter((id) => loaded[id] === undefined).map(absent)] };
}

function namedIn(text: string): string[] {
  try {
    return Object.keys(JSON.parse(text).checks ?? {});
  } catch {
    return []; // the parser says what is wrong with it
  }
}

const absent = (id: string): Configured => ({
  kind: { id, name: NAMES[id as keyof typeof NAMES], Config: z.any(), titles: {}, begin: () => undefined },
  config: { enabled: true, every: "slow", holdOnMs: 0, holdOffMs: 0, deadlineMs: 5_000 },
});
