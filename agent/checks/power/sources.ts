import type { Machine, Source } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { chipFolders, PI_FIRMWARE, SUPPLIES, VOLTAGE_ALARM } from "./present.ts";

/** A thing that tells whether the voltage is too low. */
export interface Rail {
  subject: string;
  /** Flags that are 1 while it is. */
  alarms: Source[];
  /** Flags of a Raspberry Pi's firmware, in hexadecimal. */
  flags?: Source;
  /** Millivolts. */
  volts?: Source;
}

/** One of /sys/class/power_supply. */
export interface Supply {
  subject: string;
  kind: "mains" | "battery" | "other";
  source(file: string): Source;
}

/** What the machine has. */
export interface PowerFiles {
  rails: Rail[];
  supplies: Supply[];
  close(): void;
}

/** The Pi's own regulator has two windows: the firmware's flags, and a chip of this name that clears the firmware's memory. */
const PI_CHIP = "rpi_volt";
export const BOARD = "board";

/** Finds and opens everything. Throws MACHINE_READ. */
export function openPowerFiles(machine: Machine, { allAlarms }: { allAlarms: boolean }): PowerFiles {
  const opened = new Map<string, Source>();
  const open = (path: string): Source => {
    const source = opened.get(path) ?? machine.source(path);
    opened.set(path, source);
    return source;
  };
  const rails = [...chipRails(machine, open, allAlarms)];
  if (machine.list(PI_FIRMWARE).includes("get_throttled")) {
    const alarms = rails.filter(({ subject }) => subject.startsWith(PI_CHIP)).flatMap((rail) => rail.alarms);
    const others = rails.filter(({ subject }) => !subject.startsWith(PI_CHIP));
    rails.splice(0, rails.length, { subject: BOARD, alarms, flags: open(`${PI_FIRMWARE}/get_throttled`) }, ...others);
  }
  const supplies = machine
    .list(SUPPLIES)
    .toSorted()
    .flatMap((name): Supply[] => {
      const folder = `${SUPPLIES}/${name}`;
      if (wordOf(machine, `${folder}/scope`) === "Device") return []; // a mouse's battery does not power us
      const type = wordOf(machine, `${folder}/type`);
      const kind = type === "Mains" ? "mains" : type === "Battery" ? "battery" : "other";
      return [{ subject: name, kind, source: (file) => open(`${folder}/${file}`) }];
    });
  return {
    ...{ rails, supplies },
    close() {
      for (const source of opened.values()) source.close();
    },
  };
}

function chipRails(machine: Machine, open: (path: string) => Source, allAlarms: boolean): Rail[] {
  const rails = new Map<string, Rail>();
  for (const folder of chipFolders(machine)) {
    const chip = wordOf(machine, `${folder}/name`) ?? "hwmon";
    for (const file of machine.list(folder)) {
      const [, input = "", kind] = VOLTAGE_ALARM.exec(file) ?? [];
      if (kind === undefined || (kind === "alarm" && !allAlarms)) continue;
      const label = wordOf(machine, `${folder}/${input}_label`) ?? input;
      const key = `${folder}/${input}`;
      const subject = `${chip}-${label.replaceAll(/\s+/g, "-")}`.slice(0, 80);
      const rail = rails.get(key) ?? { subject, alarms: [], volts: open(`${folder}/${input}_input`) };
      rail.alarms.push(open(`${folder}/${file}`));
      rails.set(key, rail);
    }
  }
  return [...rails.values()];
}

function wordOf(machine: Machine, path: string): string | undefined {
  return told(() => machine.read(path));
}

/** A word in a file of /sys; undefined when it is empty, not there, or the driver will not say. */
export const wordIn = (source: Source): string | undefined => told(() => source.read());

function told(read: () => string | undefined): string | undefined {
  try {
    return read()?.trim() || undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** A whole number in a file of /sys, undefined when there is none. */
export function wholeIn(source: Source): number | undefined {
  const word = wordIn(source);
  return word !== undefined && /^-?\d{1,15}$/.test(word) ? Number(word) : undefined;
}
