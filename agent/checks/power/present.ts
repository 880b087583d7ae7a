import type { Machine } from "../../../platform/machine.ts";
import { numbered } from "../numbered.ts";

export const PI_FIRMWARE = "/sys/devices/platform/soc/soc:firmware";
export const SUPPLIES = "/sys/class/power_supply";
const HWMON = "/sys/class/hwmon";

/** Folders of the sensor chips, where each keeps its figures: before Linux 3.13 in the folder of its device. */
export const chipFolders = (machine: Machine): string[] =>
  numbered(machine, HWMON, "hwmon").map((name) => {
    const folder = `${HWMON}/${name}`;
    return machine.list(folder).includes("name") ? folder : `${folder}/device`;
  });

/** `in0` to `in99` with an alarm of its own: below its critical or its lowest voltage. */
export const VOLTAGE_ALARM = /^(in\d{1,2})_(lcrit_alarm|min_alarm|alarm)$/;

/** Whether the machine tells anything of its power. Throws MACHINE_READ. */
export const hasPowerFiles = (machine: Machine): boolean =>
  machine.list(PI_FIRMWARE).includes("get_throttled") ||
  machine.list(SUPPLIES).length > 0 ||
  chipFolders(machine).some((folder) => machine.list(folder).some((file) => VOLTAGE_ALARM.test(file)));
