import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Machine } from "../../platform/machine.ts";
import { tidy } from "../inventory.ts";

/** Reads that shrug: what is not there, not ours to read or says nothing is undefined. */
export interface Look {
  /** One line of text of a file. */
  text(path: string, most?: number): string | undefined;
  /** A whole number of at least `least` in a file; decimal. */
  whole(path: string, least?: number): number | undefined;
  names(path: string): readonly string[];
  /** Last part of what a link leads to: of `…/driver`, the driver. */
  linked(path: string): string | undefined;
  link(path: string): string | undefined;
  /** Text of a file that may be megabytes. */
  large(path: string): string | undefined;
  bytes(path: string): Buffer | undefined;
}

const orNothing = <T>(work: () => T): T | undefined => {
  try {
    return work();
  } catch {
    return undefined; // EACCES (serial numbers are root's alone), EINVAL (the speed of a link that is down), EIO
  }
};

export function lookAt(machine: Machine): Look {
  const link = (path: string) => orNothing(() => machine.link(path));
  const text: Look["text"] = (path, most) =>
    tidy(
      orNothing(() => machine.read(path)),
      most,
    );
  return {
    text,
    whole(path, least = 0) {
      const digits = orNothing(() => machine.read(path))?.trim() ?? ""; // not `text`: it takes "0" for a maker's way to say nothing
      const value = /^\d{1,16}$/.test(digits) ? Number(digits) : Number.NaN;
      return Number.isSafeInteger(value) && value >= least ? value : undefined;
    },
    names: (path) => (orNothing(() => machine.list(path)) ?? []).toSorted(byNumber),
    link,
    linked: (path) => tidy(basename(link(path) ?? "")),
    large: (path) => orNothing(() => readFileSync(machine.at(path), "utf8")),
    bytes: (path) => orNothing(() => readFileSync(machine.at(path))),
  };
}

/** `video2` before `video10`. */
export function byNumber(a: string, b: string): number {
  const [, left = "", i = ""] = /^(.*?)(\d*)$/.exec(a) ?? [];
  const [, right = "", j = ""] = /^(.*?)(\d*)$/.exec(b) ?? [];
  if (left !== right) return left < right ? -1 : 1;
  return Number(i) - Number(j);
}

type Known<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};
/** The object without the keys that have no value. */
export const known = <T extends object>(facts: T): Known<T> =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as Known<T>;
