import { type ChildProcess, spawn } from "node:child_process";
import { setPriority } from "node:os";
import { Failure } from "../protocol/failure.ts";
import type { Clock } from "./clock.ts";

export interface ProgramRun {
  /** The program, found as PATH says unless it is a path, and its arguments. No shell reads them. */
  argv: readonly [string, ...string[]];
  deadlineMs: number;
  /** Most bytes of standard output; what it prints to standard error is only kept for its last words. */
  outputCapBytes: number;
  /** Ends it at once when it aborts. */
  signal?: AbortSignal;
  /**
   * Given, every exit code is an answer: it is told here with the last words on standard error, and what was printed comes
   * back. An end by a signal still fails.
   */
  exited?: (code: number, stderr: string) => void;
  /** Who it runs as, without further groups; to be another than we are needs root. */
  user?: { uid: number; gid: number };
  /** All of its environment; ours when not given. */
  env?: Readonly<Record<string, string>>;
  /** Where it runs; our own working folder when not given. */
  cwd?: string;
  /** Goes to its standard input, which ends then; one that does not read it to the end is no failure. Without, it is empty. */
  input?: Uint8Array;
  /** `latin1`: what it prints are bytes, and each comes back as one character; UTF-8 when not given. */
  encoding?: "utf8" | "latin1";
  /** How far it stands back behind the others, 0 to 19. */
  niceness?: number;
}

/** Runs one program to its end; see `runProgram`. */
export type RunProgram = (order: ProgramRun) => Promise<string>;

const LAST_WORDS = 400;

/**
 * Runs a program in a process group of its own and resolves with what it printed (UTF-8), once it ended with exit code 0
 * (any, where the order takes it as an answer) and its output is closed. Past the deadline or the cap, or when `signal`
 * aborts, the whole group is killed, children included.
 * Rejects with Failure RUN_MISSING, RUN_DEADLINE, RUN_OUTPUT or RUN_FAILED.
 */
export async function runProgram(order: ProgramRun, clock: Clock): Promise<string> {
  const { argv, deadlineMs, signal } = order;
  if (signal?.aborted) throw new Failure("RUN_FAILED", "not started: we are ending");
  const [program] = argv;
  const over = new AbortController();
  const child = start(order);
  const killed = Promise.withResolvers<never>();
  const end = (failure: Failure): void => {
    killGroup(child);
    killed.reject(failure);
  };
  const tooLate = new Failure("RUN_DEADLINE", `${program} did not end within ${deadlineMs} ms`, {
    facts: { program, deadlineMs },
  });
  clock.sleep(deadlineMs, over.signal).then(
    () => end(tooLate),
    () => {}, // it ended before its deadline
  );
  const stopped = (): void => end(new Failure("RUN_FAILED", `${program} was ended with us`, { facts: { program } }));
  signal?.addEventListener("abort", stopped, { once: true });
  try {
    return await Promise.race([ended(child, order, end), killed.promise]);
  } finally {
    signal?.removeEventListener("abort", stopped);
    over.abort();
  }
}

function start({ argv: [program, ...args], user, env, cwd, input, niceness }: ProgramRun): ChildProcess {
  try {
    const child = spawn(program, args, {
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      detached: true,
      ...user,
      ...(env === undefined ? {} : { env: { ...env } }),
      ...(cwd === undefined ? {} : { cwd }),
    });
    child.stdin?.on("error", () => {}); // EPIPE: it ended, or closed its input, before it had read all
    child.stdin?.end(input);
    if (niceness !== undefined) standBack(child, niceness);
    return child;
  } catch (cause) {
    throw missing(program, cause); // EPERM, E2BIG: the rare ones are thrown, the others come as an event
  }
}

function standBack({ pid }: ChildProcess, niceness: number): void {
  try {
    if (pid !== undefined) setPriority(pid, niceness);
  } catch {
    // ESRCH: it has ended already
  }
}

function missing(program: string, cause: unknown): Failure {
  const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const message = cause instanceof Error ? cause.message : String(cause);
  return new Failure("RUN_MISSING", `cannot run ${program}: ${message}`, { facts: { program, errno }, cause });
}

function ended(
  child: ChildProcess,
  { argv: [program], outputCapBytes, exited, encoding = "utf8" }: ProgramRun,
  end: (failure: Failure) => void,
): Promise<string> {
  const printed: Buffer[] = [];
  let bytes = 0;
  let words = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= outputCapBytes) printed.push(chunk);
    else
      end(
        new Failure("RUN_OUTPUT", `${program} printed more than ${outputCapBytes} bytes`, {
          facts: {
            program,
            outputCapBytes,
            begins: Buffer.concat([...printed, chunk]).toString("utf8", 0, LAST_WORDS),
          },
        }),
      );
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    words = (words + chunk.toString("utf8")).slice(-LAST_WORDS);
  });
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => reject(missing(program, cause)));
    child.once("close", (code, signal) => {
      if (code !== null) exited?.(code, words.trim());
      if (code === 0 || (code !== null && exited !== undefined))
        return resolve(Buffer.concat(printed).toString(encoding));
      const exit = signal ?? String(code);
      reject(
        new Failure("RUN_FAILED", `${program} ended with ${exit}`, { facts: { program, exit, stderr: words.trim() } }),
      );
    });
  });
}

function killGroup(child: ChildProcess): void {
  child.stdin?.destroy();
  child.stdout?.destroy(); // a grandchild that left the group must not hold us through the pipe
  child.stderr?.destroy();
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // ESRCH: every one of them is gone already
  }
}
