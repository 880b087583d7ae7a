import * as z from "zod/mini";
import { certificates } from "./certificate/certificate.ts";
import { clocks } from "./clock/clock.ts";
import { cpu } from "./cpu/cpu.ts";
import { disk } from "./disk/disk.ts";
import { logs } from "./logs/logs.ts";
import { memory } from "./memory.ts";
import { network } from "./network/network.ts";
import { power } from "./power/power.ts";
import { processes } from "./process/process.ts";
import { SelfConfig } from "./self/self.ts";
import { temperature } from "./temperature/temperature.ts";
import { wear } from "./wear/wear.ts";

/** The checks that look at the machine itself, whatever the config says. `self` joins in app.ts: it watches the agent. */
export const CORE = {
  disk,
  memory,
  cpu,
  temperature,
  process: processes,
  logs,
  network,
  clock: clocks,
  wear,
  power,
  certificate: certificates,
} as const;

/** Their parts of the config's `checks`, and that of `self`: all of it optional. */
export const coreShape = {
  disk: z.prefault(disk.Config, {}),
  memory: z.prefault(memory.Config, {}),
  cpu: z.prefault(cpu.Config, {}),
  temperature: z.prefault(temperature.Config, {}),
  process: z.prefault(processes.Config, {}),
  logs: z.prefault(logs.Config, {}),
  network: z.prefault(network.Config, {}),
  clock: z.prefault(clocks.Config, {}),
  wear: z.prefault(wear.Config, {}),
  power: z.prefault(power.Config, {}),
  certificate: z.prefault(certificates.Config, {}),
  self: z.prefault(SelfConfig, {}),
};
