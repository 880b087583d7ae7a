import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import type { Clock } from "../platform/clock.ts";
import { parseConfig, readConfigText } from "../platform/config-file.ts";
import type { Machine } from "../platform/machine.ts";
import { redactor } from "../platform/redact.ts";
import { runProgram } from "../platform/run.ts";
import { slotAt } from "../platform/slot.ts";
import { Failure } from "../protocol/failure.ts";
import { everyCheck } from "./checks/all.ts";
import {
  beginOrLater,
  type CheckKind,
  type CheckPorts,
  type Configured,
  type Judge,
  type Verdict,
} from "./checks/check.ts";
import { AgentConfig } from "./config.ts";
import { type Entry, runOnce } from "./rounds.ts";

/** One round of checks for a person who waits at the device. */

/** What a config must have, for who has none yet. */
export const EXAMPLE = {
  device: "ft-0042",
  brokers: [
    {
      host: "broker.example",
      port: 8883,
      tls: { caFile: "/etc/vigil/ca.pem", certFile: "/etc/vigil/ft-0042.pem", keyFile: "/etc/vigil/ft-0042.key" },
    },
  ],
};

export interface HandOrder {
  /** The config given by hand; without one `fallback` where it exists, else the defaults. */
  file: string | undefined;
  fallback: string;
  /** Ids of the checks to ask, those the config has on where left out. */
  only?: readonly string[] | undefined;
  /** What has not answered after so long is told without; default 120 s. */
  overallMs?: number;
  clock: Clock;
  machine: Machine;
  /** What starts this very program. */
  self: readonly [string, ...string[]];
  signal: AbortSignal;
  /** Told which checks are still waited for, whenever one has answered. */
  waiting?(names: readonly CheckKind["name"][], all: number): void;
}

/** A check and what it said: its verdicts, or why there are none. */
export interface HandCheck {
  kind: Pick<CheckKind, "id" | "name" | "titles">;
  state: "watched" | "absent" | "disabled";
  said: readonly Verdict[] | string;
}

export interface HandRound {
  config: AgentConfig;
  /** SHA-256 of the config file; undefined where there is none. */
  configHash?: string;
  /** In the order of the config. */
  checks: HandCheck[];
}

const OVERALL_MS = 120_000;

type Asked = Entry<readonly Verdict[]> & { kind: CheckKind; watch: Judge };

/** Asks every check twice, a second apart (a rate needs two looks). Throws CONFIG_UNREADABLE, CONFIG_INVALID or ARGUMENT_INVALID. */
export async function roundByHand(order: HandOrder): Promise<HandRound> {
  const file = order.file ?? (existsSync(order.fallback) ? order.fallback : undefined);
  const text = file === undefined ? undefined : await readConfigText(file);
  const config = parseConfig(text ?? JSON.stringify(EXAMPLE), AgentConfig, file ?? "defaults");
  const wanted = chosen(everyCheck(config.checks), order.only);
  const over = new AbortController();
  const signal = AbortSignal.any([order.signal, over.signal]);
  const ports = portsByHand({ ...order, signal }, config, file);
  const answers = new Map<string, readonly Verdict[]>();
  const checks = wanted.map(({ kind, config: own }) => ({ kind, own, watch: begun(kind, own, ports) }));
  const asked = checks.flatMap(({ kind, own, watch }) =>
    watch === undefined ? [] : [postOf(kind, watch, own.deadlineMs, (said) => answers.set(kind.id, said))],
  );
  const failures = await askAll(asked, { ...order, signal }, over);
  return {
    config,
    ...(text === undefined ? {} : { configHash: createHash("sha256").update(text).digest("hex") }),
    checks: checks.map(({ kind, own, watch }): HandCheck => {
      if (watch === undefined) return { kind, state: own.enabled ? "absent" : "disabled", said: [] };
      return { kind, state: "watched", said: failures.get(kind.id) ?? answers.get(kind.id) ?? "did not answer" };
    }),
  };
}

function chosen(all: readonly Configured[], only: readonly string[] | undefined): readonly Configured[] {
  if (only === undefined) return all;
  const known = all.map(({ kind }) => kind.id);
  const wrong = only.find((id) => !known.includes(id));
  if (wrong === undefined) return all.filter(({ kind }) => only.includes(kind.id));
  throw new Failure("ARGUMENT_INVALID", `no check "${wrong.slice(0, 60)}"; there are ${known.join(", ")}`);
}

const portsByHand = (
  { machine, clock, signal, self }: HandOrder,
  { stateDir, runtimeDir, brokers, secretWords }: AgentConfig,
  file: string | undefined,
): CheckPorts => ({
  ...{ machine, clock, stateDir, random: Math.random, redact: redactor(secretWords) },
  recall: (name) => ({ ...slotAt(runtimeDir, name), write() {} }),
  brokers: file === undefined ? [] : brokers, // those of the example are nobody's
  run: (program) => runProgram({ ...program, signal: program.signal ?? signal }, clock),
  ...(file === undefined ? {} : { self: [...self, "--config", file] }),
});

const begun = (kind: CheckKind, own: Configured["config"], ports: CheckPorts): Judge | undefined =>
  own.enabled ? beginOrLater(kind, own, ports) : undefined;

/** A check whose every answer is noted: what it said before it was cut is better than nothing. */
function postOf(kind: CheckKind, watch: Judge, deadlineMs: number, note: (said: readonly Verdict[]) => void): Asked {
  const judge = (cut: AbortSignal): readonly Verdict[] | Promise<readonly Verdict[]> => {
    const answer = watch.judge(cut);
    if (!(answer instanceof Promise)) {
      note(answer);
      return answer;
    }
    return answer.then((said) => {
      note(said);
      return said;
    });
  };
  return { id: kind.id, kind, watch, every: "slow", deadlineMs, judge };
}

/** Why checks could not answer, by id; the overall end cuts off what still runs then. */
async function askAll(
  posts: readonly Asked[],
  { clock, signal, waiting, overallMs = OVERALL_MS }: HandOrder,
  over: AbortController,
): Promise<Map<string, string>> {
  const open = new Map(posts.map(({ id, kind }) => [id, kind.name]));
  const tell = (): void => waiting?.([...open.values()], posts.length);
  const watched = posts.map((post): Asked => ({ ...post, judge: toldOf(post, open, tell) }));
  const done = new AbortController();
  const late = clock.sleep(overallMs, done.signal).then(
    () => over.abort(),
    () => undefined, // all have answered
  );
  tell();
  try {
    const results = await runOnce<readonly Verdict[], Asked>({ clock, signal }, watched);
    const failed = results.flatMap((result) => ("failed" in result ? [[result.entry.id, result.failed.because]] : []));
    return new Map(
      failed.flatMap(([id = "", because = ""]): [string, string][] => {
        if (!over.signal.aborted) return [[id, because]];
        return open.has(id) ? [[id, `did not answer within ${overallMs / 1000} s`]] : []; // its first answer stands
      }),
    );
  } finally {
    done.abort();
    await late;
    for (const { watch } of posts) watch.close?.();
  }
}

function toldOf({ id, judge }: Asked, open: Map<string, unknown>, tell: () => void): Asked["judge"] {
  const gone = (): void => {
    if (open.delete(id)) tell();
  };
  return (cut) => {
    let answer: ReturnType<typeof judge>;
    try {
      answer = judge(cut);
    } catch (cause) {
      gone();
      throw cause;
    }
    if (answer instanceof Promise) return answer.finally(() => cut.aborted || gone());
    gone();
    return answer;
  };
}
