import type { Machine } from "../../platform/machine.ts";

/** Names `prefixN` in a folder of /sys, in the order of their numbers. Throws Failure MACHINE_READ. */
export function numbered(machine: Machine, folder: string, prefix: string): string[] {
  const numberOf = (name: string): number => {
    const digits = name.slice(prefix.length);
    return name.startsWith(prefix) && digits !== "" ? Number(digits) : Number.NaN;
  };
  return machine
    .list(folder)
    .filter((name) => Number.isInteger(numberOf(name)))
    .toSorted((a, b) => numberOf(a) - numberOf(b));
}
