import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import type { Verdict } from "../../agent/checks/check.ts";
import type { LinkFacts } from "../../platform/broker-link.ts";
import { findProgram } from "./peers.ts";

/** One check in a process of its own. */
export interface JudgeProcess extends AsyncDisposable {
  readonly pid: number;
  /** One round; the link stands as it was told last. */
  judge(link?: LinkFacts): Promise<readonly Verdict[]>;
  /** Rounds, 100 ms apart, until `holds`; the test's time limit ends a wait in vain, and says what was judged last. */
  until(
    holds: (of: (subject: string) => Verdict | undefined) => boolean,
    withinMs?: number,
  ): Promise<readonly Verdict[]>;
}

interface Order {
  /** The file of the check and the name of its kind there. */
  file: string;
  kind: string;
  config: unknown;
  folder: string;
  brokers?: readonly { host: string; port: number }[];
  /** Words before the program: where it runs. */
  enter?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

export async function startJudge({
  file,
  kind,
  config,
  folder,
  enter = [],
  env = {},
  brokers = [],
}: Order): Promise<JudgeProcess> {
  const setpriv = findProgram("setpriv");
  const tied = setpriv === undefined ? [] : [setpriv, "--pdeathsig", "KILL", "--"];
  const program = [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "judge-main.ts"),
  ];
  const [first = "", ...words] = [
    ...tied,
    ...enter,
    ...program,
    file,
    kind,
    JSON.stringify(config),
    folder,
    JSON.stringify(brokers),
  ];
  const child = spawn(first, words, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
  const ended = new Promise<void>((done) => child.once("close", () => done()));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error("the judge has ended");
    return value;
  };
  await next();
  let last: readonly Verdict[] = [];
  const judge = async (link?: LinkFacts): Promise<readonly Verdict[]> => {
    child.stdin.write(`${link === undefined ? "-" : JSON.stringify(link)}\n`);
    const answer = JSON.parse(await next()) as readonly Verdict[] | { failed: string };
    if ("failed" in answer) throw new Error(answer.failed);
    last = answer;
    return answer;
  };
  return {
    pid: child.pid ?? 0,
    judge,
    async until(holds, withinMs = 25_000) {
      for (const end = performance.now() + withinMs; performance.now() < end; ) {
        const verdicts = await judge();
        if (holds((subject) => verdicts.find((one) => one.subject === subject))) return verdicts;
        await wait(100);
      }
      throw new Error(`never so; last ${JSON.stringify(last, undefined, 1)}`);
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      child.kill("SIGKILL");
      await ended;
    },
  };
}
