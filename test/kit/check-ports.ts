import { join } from "node:path";
import type { CheckPorts } from "../../agent/checks/check.ts";
import { systemClock } from "../../platform/clock.ts";
import { folderAt } from "../../platform/files.ts";
import { followProgram } from "../../platform/follow-program.ts";
import { machineAt } from "../../platform/machine.ts";
import { redactor } from "../../platform/redact.ts";
import { runProgram } from "../../platform/run.ts";
import { slotAt } from "../../platform/slot.ts";

/**
 * Everything a check may touch, for real: this machine, its programs, and a folder of the test to keep things in. What
 * runs outside (programs, sockets) runs by the real clock, whatever `clock` the check is given.
 */
export function checkPorts(folder: string, more: Partial<CheckPorts> = {}): CheckPorts {
  return {
    machine: machineAt(),
    clock: systemClock,
    stateDir: join(folder, "state"),
    run: (order) => runProgram(order, systemClock),
    follow: async (order) => followProgram(order),
    random: () => 0.5,
    brokers: [],
    redact: redactor([]),
    keep: { folder: folderAt(join(folder, "state", "checks")), slot: (name) => slotAt(join(folder, "run"), name) },
    ...more,
  };
}
