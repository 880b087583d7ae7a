import * as z from "zod/mini";
import type { CheckKind, Configured } from "./check.ts";
import { commands } from "./command/command.ts";
import { CORE, coreShape } from "./core.ts";
import { data } from "./data/data.ts";
import { databases } from "./database/database.ts";
import { drift } from "./drift/drift.ts";
import { services } from "./service/service.ts";
import { streams } from "./stream/stream.ts";
import { switches } from "./switch/switch.ts";

/** Every check with its code: for who asks by hand, prints or validates. The running agent reads fewer (`run-config.ts`). */
const KINDS = {
  ...CORE,
  switch: switches,
  drift,
  data,
  database: databases,
  service: services,
  command: commands,
  stream: streams,
} as const;

/** The `checks` part of the config: each check's own schema, all of it optional. */
export const checkConfigs = z.strictObject({
  ...coreShape,
  switch: z.prefault(switches.Config, {}),
  drift: z.prefault(drift.Config, {}),
  data: z.prefault(data.Config, {}),
  database: z.prefault(databases.Config, {}),
  service: z.prefault(services.Config, {}),
  command: z.prefault(commands.Config, {}),
  stream: z.prefault(streams.Config, {}),
});
export type CheckConfigs = z.infer<typeof checkConfigs>;

/** The checks with their configs, in the order people read them. `self` is not among them: it watches the agent (app.ts). */
export const everyCheck = (configs: CheckConfigs): Configured[] =>
  (Object.keys(KINDS) as (keyof typeof KINDS)[]).map(
    (key): Configured => ({ kind: KINDS[key] as CheckKind, config: configs[key] }),
  );
