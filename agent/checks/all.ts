import * as z from "zod/mini";
import type { CheckConfig, CheckKind } from "./check.ts";
import { cpu } from "./cpu.ts";
import { disk } from "./disk.ts";
import { memory } from "./memory.ts";
import { processes } from "./process.ts";
import { SelfConfig } from "./self.ts";
import { temperature } from "./temperature.ts";

/** Every check that needs nothing but the machine, in the order people read them. `self` joins in app.ts: it watches the agent. */
const KINDS = { disk, memory, cpu, temperature, process: processes } as const;

/** The `checks` part of the config: each check's own schema, all of it optional. */
export const checkConfigs = z.strictObject({
  disk: z.prefault(disk.Config, {}),
  memory: z.prefault(memory.Config, {}),
  cpu: z.prefault(cpu.Config, {}),
  temperature: z.prefault(temperature.Config, {}),
  process: z.prefault(processes.Config, {}),
  self: z.prefault(SelfConfig, {}),
});
export type CheckConfigs = z.infer<typeof checkConfigs>;

export interface Configured {
  kind: CheckKind;
  config: CheckConfig;
}

/** The machine checks with their configs; those that are not enabled are left out. */
export const configured = (configs: CheckConfigs): Configured[] =>
  (Object.keys(KINDS) as (keyof typeof KINDS)[])
    .map((key): Configured => ({ kind: KINDS[key] as CheckKind, config: configs[key] }))
    .filter(({ config }) => config.enabled);
