import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";

/** Debian puts servers in /usr/sbin, which is not in every user's PATH. */
const FOLDERS = [...new Set([...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])];
const told = new Set<string>();

/** Where a program lies, undefined when the machine does not have it. */
export function findProgram(program: string): string | undefined {
  return FOLDERS.map((folder) => `${folder}/${program}`).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Whether tests that need `program` (Debian package `apt`) must be skipped: `test.skipIf(needs("mosquitto", "mosquitto"))`.
 * Says once what to install. On the build server (CI=true) a missing peer is a failure: it throws.
 */
export function needs(program: string, apt: string): boolean {
  return needsThat(findProgram(program) !== undefined, apt);
}

/** The same for what is not a program: `present` says whether the machine has it. */
export function needsThat(present: boolean, apt: string): boolean {
  if (present) return false;
  if (process.env.CI === "true") throw new Error(`missing on the build server: apt-get install ${apt}`);
  if (!told.has(apt)) process.stderr.write(`skipped: apt-get install ${apt}\n`);
  told.add(apt);
  return true;
}

/** The path of a program that `needs` has found. */
export function programPath(program: string): string {
  const path = findProgram(program);
  if (path === undefined) throw new Error(`${program} is not installed`);
  return path;
}

/** Runs a program to its end; throws with its own words when it fails. Returns what it printed. */
export function run(program: string, args: readonly string[], input?: string): string {
  const done = spawnSync(programPath(program), args, { encoding: "utf8", ...(input === undefined ? {} : { input }) });
  if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${done.stderr}`);
  return done.stdout;
}
