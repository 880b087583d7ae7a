import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { systemClock } from "../../platform/clock.ts";
import { findProgram } from "./peers.ts";

export interface Child {
  readonly pid: number;
  /** What it has printed so far, both streams. */
  output(): string;
  readonly process: ChildProcess;
  /** SIGTERM, then SIGKILL after 5 s; resolves when it is gone. */
  stop(): Promise<void>;
  kill9(): Promise<void>;
}

const setpriv = findProgram("setpriv");
// A test that runs out of time never disposes of its children, and its process may be killed: the kernel then ends them.
const tied = (program: string, args: readonly string[]): [string, string[]] =>
  setpriv === undefined ? [program, [...args]] : [setpriv, ["--pdeathsig", "KILL", "--", program, ...args]];

/** Starts a program of a test; stop it by its handle only, so that nobody else's process is ever hit. */
export function startChild(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Child {
  const child = spawn(...tied(program, args), {
    stdio: ["ignore", "pipe", "pipe"],
    ...(env === undefined ? {} : { env }),
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${program}`);
  const chunks: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => chunks.push(text));
  }
  const gone = once(child, "close");
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    const patience = new AbortController();
    const insist = systemClock.sleep(5000, patience.signal).then(
      () => child.kill("SIGKILL"),
      () => {},
    );
    await gone;
    patience.abort();
    await insist;
  };
  return {
    pid,
    process: child,
    output: () => chunks.join(""),
    stop: () => end("SIGTERM"),
    kill9: () => end("SIGKILL"),
  };
}

/** Resolves when something accepts on the loopback port; throws with the child's words when it ends first. */
export async function accepting(port: number, child: Child): Promise<void> {
  while (!(await accepts(port))) {
    if (child.process.exitCode !== null || child.process.signalCode !== null) throw new Error(child.output());
    await systemClock.sleep(20);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      done(true);
    });
    socket.once("error", () => done(false));
  });
}
