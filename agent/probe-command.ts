import { existsSync } from "node:fs";
import type { Clock } from "../platform/clock.ts";
import { readConfig } from "../platform/config-file.ts";
import type { Machine } from "../platform/machine.ts";
import { type Redact, redactor } from "../platform/redact.ts";
import { runProgram } from "../platform/run.ts";
import { cleanJson } from "../platform/width.ts";
import { Failure } from "../protocol/failure.ts";
import type { Lang } from "./check-table.ts";
import type { Conclusion } from "./checks/stream/conclusion.ts";
import type { PlayedTarget, Target } from "./checks/stream/config.ts";
import { examinerFor } from "./checks/stream/examine.ts";
import type { WayFacts } from "./checks/stream/hop.ts";
import { Learner } from "./checks/stream/learn.ts";
import { ENDED_MS } from "./checks/stream/look.ts";
import { isPlayed, openTarget, placeOf, type Secrets } from "./checks/stream/open.ts";
import { thumbnailer } from "./checks/stream/picture/ffmpeg.ts";
import { Pictures } from "./checks/stream/pictures.ts";
import { serverTurns } from "./checks/stream/server-turn.ts";
import { titleAt } from "./checks/stream/titles.ts";
import { ANSWER_MS, CONNECT_MS, isOurs, wordsOf } from "./checks/stream/watch.ts";
import { lookAtWay } from "./checks/stream/way.ts";
import { AgentConfig } from "./config.ts";
import { type ProbeFlags, targetOfUrl } from "./probe-target.ts";
import { drawer, passwordAsker, type Terminal } from "./probe-terminal.ts";
import { exitOf, liveTable, type Seen, verdictText } from "./probe-view.ts";

/** `vigil-agent probe`: the agent's own look at a stream, for a field engineer who stands before it. */

export interface ProbeOrder extends ProbeFlags {
  /** An address, or the name of a stream in the config. */
  word: string;
  config: string;
  seconds: string | undefined;
  json: boolean;
  /** `zh` or `en`. */
  lang: string;
  clock: Clock;
  machine: Machine;
  signal: AbortSignal;
  say(text: string): number;
  /** Cells of the terminal that reads the verdict. */
  columns: number | undefined;
  /** Where somebody sits. */
  terminal: Terminal | undefined;
}

const DRAW_MS = 500;
const DEFAULT_SECONDS = 10;
const MOST_SECONDS = 86_400;
/** By hand there is no time to wait for a minute. */
const PICTURE_EVERY_MS = 2_000;

/** Probes, and prints the verdict. Exit code 0 alive, 1 alive but not well, 2 dead, 3 unknown. Throws Failure where it cannot be asked so. */
export async function probe(order: ProbeOrder): Promise<number> {
  const { lang } = order;
  if (lang !== "zh" && lang !== "en") throw new Failure("ARGUMENT_INVALID", `--lang takes zh or en, not "${lang}"`);
  const seconds = secondsOf(order.seconds);
  const { target, redact } = await targetOf(order);
  if (!isPlayed(target))
    throw new Failure(
      "ARGUMENT_INVALID",
      `no session can be opened to ${target.name}: ask vigil-agent check --check stream`,
    );
  const secrets = await secretsOf(order, target);
  const draw = order.terminal === undefined || order.json ? () => {} : drawer(order.terminal);
  const seen = await watchFor(seconds * 1_000, target, secrets, { ...order, lang, redact, draw });
  draw([]);
  const { conclusion } = seen;
  const told: Seen = { ...seen, conclusion: { ...conclusion, says: redact(conclusion.says) } };
  if (order.json) order.say(`${cleanJson(jsonOf(target, told, redact))}\n`);
  else order.say(`${[...liveTable(told, lang), "", verdictText(told, lang, order.columns)].join("\n")}\n`);
  return exitOf(conclusion);
}

function secondsOf(given: string | undefined): number {
  const seconds = given === undefined ? DEFAULT_SECONDS : Number(given);
  if (Number.isFinite(seconds) && seconds >= 1 && seconds <= MOST_SECONDS) return seconds;
  throw new Failure("ARGUMENT_INVALID", `--seconds takes a number from 1 to ${MOST_SECONDS}`);
}

async function targetOf({ word, config, ...flags }: ProbeOrder): Promise<{ target: Target; redact: Redact }> {
  if (word.includes("://")) {
    const words = existsSync(config) ? (await readConfig(config, AgentConfig).catch(() => undefined))?.secretWords : [];
    return { target: targetOfUrl(word, flags), redact: redactor(words ?? []) };
  }
  if (!existsSync(config))
    throw new Failure(
      "ARGUMENT_INVALID",
      `"${shown(word)}" is no address (rtsp://…), and there is no ${config} to look a name up in`,
    );
  const { checks, secretWords } = await readConfig(config, AgentConfig);
  const { targets } = checks.stream;
  const target = targets.find(({ name }) => name === word);
  if (target !== undefined) return { target, redact: redactor(secretWords) };
  const known = targets.map(({ name }) => name).join(", ") || "none";
  throw new Failure("ARGUMENT_INVALID", `no stream "${shown(word)}" in ${config}; there are ${known}`);
}

/** It may be an address without its scheme, and a password in it. */
const shown = (word: string): string => word.replace(/^.*@/s, "…@").slice(0, 80);

/** Of a user given by hand: from the file, or from whoever sits there. Never from the command line. */
async function secretsOf({ user, passwordFile, terminal }: ProbeOrder, target: Target): Promise<Secrets | undefined> {
  const known = "passwordFile" in target && target.passwordFile !== undefined;
  if (user === undefined || passwordFile !== undefined || known) return undefined;
  if (terminal === undefined)
    throw new Failure("ARGUMENT_INVALID", "--user needs --password-file FILE (0600), or a terminal to ask at");
  const password = await passwordAsker(terminal)(user);
  return { user, password: async () => password };
}

/** A look of so long, ended politely; the last thing seen. A session that ends before is opened anew, which says more about why. */
async function watchFor(
  ms: number,
  target: PlayedTarget,
  secrets: Secrets | undefined,
  order: Pick<ProbeOrder, "clock" | "machine" | "signal"> & {
    lang: Lang;
    redact: Redact;
    draw(lines: readonly string[]): void;
  },
): Promise<Seen> {
  const { clock, machine, signal, draw, lang } = order;
  const begun = clock.now();
  const learner = new Learner();
  const pictures = target.picture.enabled ? picturesByHand(target, learner, order) : undefined;
  const examiner = examinerFor(target, learner, clock, pictures);
  const seen = (conclusion: Conclusion): Seen => {
    const { figures, view } = examiner;
    return { figures, picture: view, conclusion, elapsedMs: clock.now() - begun };
  };
  const cut = new AbortController();
  let last: Seen | undefined;
  /** What is known while no session is open. */
  let between: Seen | undefined;
  const now = (): Seen => between ?? seen(examiner.conclude());
  const end = (): void => {
    last ??= now();
    cut.abort();
  };
  const callOff = clock.after(ms, end);
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end(); // while the password was asked for
  const drawing = drawOften(clock, () => draw(liveTable(now(), lang)));
  const turn = serverTurns();
  const session = async (): Promise<Failure> => {
    const sink = examiner.begin();
    between = undefined;
    try {
      const play = await openTarget(target, { machine, ...(secrets === undefined ? {} : { secrets }) });
      const bounds = { connectMs: CONNECT_MS, answerMs: ANSWER_MS, turn };
      if (!signal.aborted) await play({ clock, signal: cut.signal, sink, ...bounds });
      return new Failure("STREAM_ENDED", "the session ended without a word");
    } catch (cause) {
      if (cause instanceof Failure) return cause;
      throw cause;
    }
  };
  try {
    while (last === undefined) {
      const cause = await session();
      if (last !== undefined) break;
      // a host that is there, and leaves a connection unanswered, has a program that hangs
      if (cause.code === "DIAL_TIMEOUT") examiner.went(await wayTo(target, clock, signal));
      between = seen(isOurs(cause) ? { state: "unknown", says: wordsOf(cause) } : examiner.failed(cause));
      if (cause.code === "STREAM_ENDED" && between.conclusion.state === "unknown")
        await clock.sleep(ENDED_MS, cut.signal).catch(() => {}); // the time is up, or it was called off
      else last ??= between;
    }
    return last;
  } finally {
    drawing();
    callOff();
    signal.removeEventListener("abort", end);
    examiner.end();
    pictures?.close();
  }
}

const wayTo = (target: PlayedTarget, clock: Clock, signal: AbortSignal): Promise<WayFacts> =>
  lookAtWay(
    { place: placeOf(target), source: target.source, clock, run: (program) => runProgram(program, clock) },
    signal,
  ).catch(() => ({}));

function picturesByHand(
  { class: streamClass, picture }: PlayedTarget,
  learner: Learner,
  { clock, machine, redact }: Pick<ProbeOrder, "clock" | "machine"> & { redact: Redact },
): Pictures {
  const make = thumbnailer({ machine, redact, run: (program) => runProgram(program, clock) });
  return new Pictures({
    ...{ clock, make, streamClass, learner, random: Math.random },
    ...{ everyMs: PICTURE_EVERY_MS, osd: picture.osd },
  });
}

function drawOften(clock: Clock, draw: () => void): () => void {
  const again = (): void => {
    draw();
    callOff = clock.after(DRAW_MS, again);
  };
  let callOff = clock.after(DRAW_MS, again);
  return () => callOff();
}

function jsonOf(target: Target, { figures, picture, conclusion, elapsedMs }: Seen, redact: Redact): unknown {
  const { memory: _ours, holds: _alarms, ...told } = conclusion;
  const { reason, hop } = told;
  const title = reason === undefined ? undefined : titleAt(reason, hop);
  return {
    name: redact(target.name),
    type: target.type,
    ...told,
    ...(title === undefined ? {} : { title_zh: title.zh, title_en: title.en }),
    exit: exitOf(conclusion),
    elapsed_ms: Math.round(elapsedMs),
    figures,
    picture,
  };
}
