import type { Clock } from "../platform/clock.ts";
import { readConfig } from "../platform/config-file.ts";
import type { Machine } from "../platform/machine.ts";
import { Failure } from "../protocol/failure.ts";
import { subjectOf } from "./checks/data/name.ts";
import { AgentConfig } from "./config.ts";

/** What checks ask a short-lived child for: what may hang, reads a lot or needs large libraries. Also by hand. */

interface Asked {
  file: string;
  /** Name of a folder, file or database in the config, and words after it. */
  words: readonly string[];
  machine: Machine;
  clock: Clock;
  signal: AbortSignal;
  say(text: string): number;
}

/** `vigil-agent data NAME`: what lies in a folder, or whether a file is whole, one line of JSON. Throws Failure. */
export async function data({ file, words: [name], machine, signal, say }: Asked): Promise<number> {
  const { folders, files } = (await readConfig(file, AgentConfig)).checks.data;
  const folder = folders.find((one) => subjectOf(one) === name);
  const whole = files.find((one) => subjectOf(one) === name);
  if (folder !== undefined) {
    const { walk } = await import("./checks/data/walk.ts");
    return tell(say, await readable(folder.path, walk(machine.at(folder.path), folder, signal)));
  }
  if (whole !== undefined) {
    const { inspect } = await import("./checks/data/integrity.ts");
    return tell(say, await readable(whole.path, inspect(whole, machine.at)));
  }
  throw noSuch("data", name, [...folders, ...files].map(subjectOf));
}

/** `vigil-agent database NAME [full]`: one line of JSON; `full` with SQLite's quick check. Throws Failure. */
export async function database({ file, words: [name, full], machine, clock, say }: Asked): Promise<number> {
  const { databases } = (await readConfig(file, AgentConfig)).checks.database;
  const found = databases.find((one) => one.name === name);
  if (found === undefined)
    throw noSuch(
      "database",
      name,
      databases.map((one) => one.name),
    );
  const { askDatabase } = await import("./checks/database/ask.ts");
  return tell(say, await askDatabase(found, { at: machine.at, clock, full: full === "full" }));
}

const tell = (say: Asked["say"], answer: unknown): number => say(`${JSON.stringify(answer)}\n`);

const noSuch = (kind: string, name: string | undefined, known: readonly string[]): Failure =>
  new Failure("ARGUMENT_INVALID", `the config has no ${kind} "${name ?? ""}"; there are ${known.join(", ") || "none"}`);

async function readable<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const errno = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new Failure("MACHINE_READ", `cannot read ${path}: ${errno}`, { facts: { path }, cause });
  }
}
