import * as z from "zod/mini";
import { certificates } from "./certificate/certificate.ts";
import type { CheckConfig, CheckKind } from "./check.ts";
import { clocks } from "./clock/clock.ts";
import { commands } from "./command/command.ts";
import { cpu } from "./cpu/cpu.ts";
import { data } from "./data/data.ts";
import { databases } from "./database/database.ts";
import { disk } from "./disk/disk.ts";
import { drift } from "./drift/drift.ts";
import { logs } from "./logs/logs.ts";
import { memory } from "./memory.ts";
import { network } from "./network/network.ts";
import { power } from "./power/power.ts";
import { processes } from "./process/process.ts";
import { SelfConfig } from "./self/self.ts";
import { services } from "./service/service.ts";
import { switches } from "./switch/switch.ts";
import { temperature } from "./temperature/temperature.ts";
import { wear } from "./wear/wear.ts";

/** Every check that needs nothing but the machine, in the order people read them. `self` joins in app.ts: it watches the agent. */
const KINDS = {
  disk,
  memory,
  cpu,
  temperature,
  process: processes,
  logs,
  network,
  switch: switches,
  clock: clocks,
  wear,
  power,
  certificate: certificates,
  drift,
  data,
  database: databases,
  service: services,
  command: commands,
} as const;

/** The `checks` part of the config: each check's own schema, all of it optional. */
export const checkConfigs = z.strictObject({
  disk: z.prefault(disk.Config, {}),
  memory: z.prefault(memory.Config, {}),
  cpu: z.prefault(cpu.Config, {}),
  temperature: z.prefault(temperature.Config, {}),
  process: z.prefault(processes.Config, {}),
  logs: z.prefault(logs.Config, {}),
  network: z.prefault(network.Config, {}),
  switch: z.prefault(switches.Config, {}),
  clock: z.prefault(clocks.Config, {}),
  wear: z.prefault(wear.Config, {}),
  power: z.prefault(power.Config, {}),
  certificate: z.prefault(certificates.Config, {}),
  drift: z.prefault(drift.Config, {}),
  data: z.prefault(data.Config, {}),
  database: z.prefault(databases.Config, {}),
  service: z.prefault(services.Config, {}),
  command: z.prefault(commands.Config, {}),
  self: z.prefault(SelfConfig, {}),
});
export type CheckConfigs = z.infer<typeof checkConfigs>;

export interface Configured {
  kind: CheckKind;
  config: CheckConfig;
}

/** The machine checks with their configs, in the order people read them. */
export const everyCheck = (configs: CheckConfigs): Configured[] =>
  (Object.keys(KINDS) as (keyof typeof KINDS)[]).map(
    (key): Configured => ({ kind: KINDS[key] as CheckKind, config: configs[key] }),
  );

/** The machine checks with their configs; those that are not enabled are left out. */
export const configured = (configs: CheckConfigs): Configured[] =>
  everyCheck(configs).filter(({ config }) => config.enabled);
