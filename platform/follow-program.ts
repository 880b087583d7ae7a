import { type ChildProcess, spawn } from "node:child_process";

/** A program that runs along and tells what happens, line by line or otherwise, for as long as it lives. */
export interface Following {
  /** What it has printed since the last call; undefined when nothing. It waits with more while much is untaken. */
  take(): Buffer | undefined;
  /** Set once it has ended and all it printed was taken: its exit code or signal, and its last words on standard error. */
  readonly ended: { exit: string; words: string } | undefined;
  /** Ends it, and whoever it started. */
  close(): void;
}

export interface FollowOrder {
  /** The program, found as PATH says unless it is a path, and its arguments. No shell reads them. */
  argv: readonly [string, ...string[]];
  /** So much of what it prints is kept until it is taken, bytes; then it has to wait. */
  bufferBytes: number;
}

/** Starts a program to be followed; see `followProgram`. */
export type FollowProgram = (order: FollowOrder) => Promise<Following>;

const LAST_WORDS = 400;

/** Starts a program in a process group of its own. One that cannot be started has `ended` at once. */
export function followProgram({ argv: [program, ...args], bufferBytes }: FollowOrder): Following {
  const untaken: Buffer[] = [];
  let bytes = 0;
  let words = "";
  let end: string | undefined;
  let closed = false;
  const child = begun(program, args);
  if (child instanceof Error) end = child.message;
  else {
    child.stdout?.on("data", (chunk: Buffer) => {
      if (closed) return;
      untaken.push(chunk);
      bytes += chunk.length;
      if (bytes >= bufferBytes) child.stdout?.pause();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      words = (words + chunk.toString("utf8")).slice(-LAST_WORDS);
    });
    child.once("error", (cause) => (end ??= cause.message));
    child.once("close", (code, signal) => (end ??= signal ?? `exit code ${code}`));
  }
  return {
    take() {
      if (bytes === 0) return undefined;
      const all = untaken.length === 1 ? untaken[0] : Buffer.concat(untaken);
      untaken.length = 0;
      bytes = 0;
      if (!(child instanceof Error)) child.stdout?.resume();
      return all;
    },
    get ended() {
      return end === undefined || bytes > 0 ? undefined : { exit: end, words: words.trim() };
    },
    close() {
      closed = true;
      untaken.length = 0;
      bytes = 0;
      if (!(child instanceof Error) && end === undefined) killGroup(child);
    },
  };
}

function begun(program: string, args: readonly string[]): ChildProcess | Error {
  try {
    return spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  } catch (cause) {
    return cause instanceof Error ? cause : new Error(String(cause));
  }
}

function killGroup(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // ESRCH: gone already
  }
}
