import type { Judge, Judged, Verdict } from "../../../agent/checks/check.ts";
import { streams } from "../../../agent/checks/stream/stream.ts";
import { type Clock, systemClock } from "../../../platform/clock.ts";
import { checkPorts } from "../check-ports.ts";
import { tempFolder } from "../temp.ts";

/** Puts the whole check before a real server, breaks that, mends it, and takes the time. */

/** A server that runs, a stream of it that is watched, and what can be done to it. */
export interface Stage {
  /** As the config has it, without its name. */
  target: Record<string, unknown>;
  /** Left out where it is broken from the beginning. */
  inject?(): void | Promise<void>;
  heal?(): void | Promise<void>;
  /** What the servers counted, told when the check has ended: sentences of what must not be. */
  wrongs?(): string[] | Promise<string[]>;
  clock?: Clock;
}

export interface Wanted {
  reason: string;
  hop: string;
  withinMs: number;
  clearMs?: number;
}

export interface FaultCase {
  name: string;
  /** How it is broken, in a few words. */
  by: string;
  /** What must be said; `quiet`: nothing but well; `never ok`: whatever it is, not well. */
  wants: Wanted | "quiet" | "never ok";
  /** Something it needs is not there. */
  skip(): boolean;
  /** It runs in a network of its own. */
  inNet?: boolean;
  /** So long it is well, ms, before it is broken: what is usual is learnt in 10 s. */
  wellMs?: number;
  /** So long it is watched broken, ms, beyond what detection takes: nothing else may be said of it. */
  brokenMs?: number;
  /** What takes long and must not be measured: clips are made. Called before any case runs. */
  prepare?(): void;
  /** `servers`: what is put in is ended with the case. */
  open(servers: AsyncDisposableStack): Promise<Stage>;
}

export interface Row {
  name: string;
  by: string;
  wanted: string;
  seen: string;
  hop: string;
  detectMs?: number;
  boundMs?: number;
  clearMs?: number;
  clearBoundMs?: number;
  /** What is not as it must be. */
  wrong: string[];
}

const SUBJECT = "s";
const LOOK_MS = 100;
const FIRST_OK_MS = 40_000;
const USUAL = { wellMs: 2_000, brokenMs: 3_000, clearMs: 15_000 } as const;
/** A bound that is broken is still measured, so far beyond it. */
const BEYOND_MS = 25_000;
/** So long it is watched when it is well again. */
const AFTER_MS = 4_000;

interface Mark {
  at: number;
  verdict: Verdict;
}

const never = new AbortController().signal;
const hopOf = ({ title }: Judged): string => /\((\w+)\)$/.exec(title?.en ?? "")?.[1] ?? "";
export const isOk = (verdict: Verdict | undefined): boolean => verdict?.state === "judged" && verdict.grade === "ok";
export const isFault =
  (reason: string) =>
  (verdict: Verdict): boolean =>
    verdict.state === "judged" && verdict.grade !== "ok" && verdict.reason === reason;

/** The check at work, asked ten times a second. */
export class Live implements AsyncDisposable {
  readonly #folder = tempFolder("vigil-matrix");
  readonly #judge: Judge;
  readonly #subject: string;
  /** Whenever another thing was said. */
  readonly marks: Mark[] = [];

  constructor(target: Record<string, unknown>, clock: Clock = systemClock) {
    const named = { name: SUBJECT, picture: { enabled: false }, ...target };
    const config = streams.Config.parse({ targets: [named] });
    const judge = streams.begin(config, checkPorts(this.#folder.path, { clock }));
    if (judge === undefined) throw new Error("the check is not present");
    this.#judge = judge;
    this.#subject = target["type"] === "gb28181" && target["media"] === undefined ? `${SUBJECT}-sip` : SUBJECT;
  }
  get last(): Verdict | undefined {
    return this.marks.at(-1)?.verdict;
  }
  async look(): Promise<Verdict | undefined> {
    const all = await this.#judge.judge(never);
    const verdict = all.find(({ subject }) => subject === this.#subject);
    if (verdict === undefined) return undefined;
    if (wordOf(verdict) !== wordOf(this.last)) this.marks.push({ at: systemClock.now(), verdict });
    else {
      const newest = this.marks.at(-1);
      if (newest !== undefined) newest.verdict = verdict;
    }
    return verdict;
  }
  /** How long it took until a verdict fitted; undefined where none did in time. */
  async until(fits: (verdict: Verdict) => boolean, withinMs: number): Promise<number | undefined> {
    const begun = systemClock.now();
    for (;;) {
      const verdict = await this.look();
      const tookMs = systemClock.now() - begun;
      if (verdict !== undefined && fits(verdict)) return tookMs;
      if (tookMs >= withinMs) return undefined;
      await systemClock.sleep(LOOK_MS);
    }
  }
  async watch(forMs: number): Promise<void> {
    await this.until(() => false, forMs);
  }
  /** Every fault that was told since, once each, in their order. */
  faultsSince(at: number): string[] {
    const told = this.marks.filter((mark) => mark.at >= at).flatMap(({ verdict }) => faultOf(verdict) ?? []);
    return [...new Set(told)];
  }
  okSince(at: number): boolean {
    return this.marks.some((mark) => mark.at >= at && isOk(mark.verdict));
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#judge.close?.();
    await systemClock.sleep(600); // a session ends within half a second
    this.#folder[Symbol.dispose]();
  }
}

/** `degrees` of one trouble are one cause. */
const DEGREES: Readonly<Record<string, string>> = { "sip-late": "sip-down" };

function faultOf(verdict: Verdict): string | undefined {
  if (verdict.state !== "judged" || verdict.grade === "ok") return undefined;
  return DEGREES[verdict.reason] ?? verdict.reason;
}
function wordOf(verdict: Verdict | undefined): string {
  if (verdict === undefined) return "";
  if (verdict.state !== "judged") return "unknown";
  return verdict.grade === "ok" ? "ok" : `${verdict.reason}@${hopOf(verdict)}/${verdict.grade}`;
}

/** The course of a case, for whoever must find out why. */
export function courseOf(live: Live, from: number): string {
  const words = ({ at, verdict }: Mark): string => {
    const says = verdict.state === "judged" ? verdict.says : verdict.state === "unknown" ? verdict.because : "";
    return `    ${((at - from) / 1000).toFixed(1)} s ${wordOf(verdict)}: ${says}`;
  };
  return live.marks.map(words).join("\n");
}

/** Runs one case to its end. `say` hears its course where something was wrong. */
export async function runCase(one: FaultCase, say: (line: string) => void = () => {}): Promise<Row> {
  await using servers = new AsyncDisposableStack();
  const stage = await one.open(servers);
  const row: Row = { name: one.name, by: one.by, ...wordsOfWanted(one.wants), seen: "", hop: "", wrong: [] };
  let injectedAt = systemClock.now();
  {
    await using live = new Live(stage.target, stage.clock);
    if (stage.inject !== undefined) {
      const firstOk = await live.until(isOk, FIRST_OK_MS);
      if (firstOk === undefined) row.wrong.push("was not well before the fault");
      await live.watch(one.wellMs ?? USUAL.wellMs);
      const early = live.faultsSince(0);
      if (early.length > 0) row.wrong.push(`told before the fault: ${early.join(", ")}`);
    }
    injectedAt = systemClock.now();
    await stage.inject?.();
    if (typeof one.wants === "string") await watchCase(one, live, injectedAt, row);
    else await faultCase(one, one.wants, stage, live, injectedAt, row);
    if (row.wrong.length > 0) say(courseOf(live, injectedAt));
  }
  row.wrong.push(...((await stage.wrongs?.()) ?? []));
  return row;
}

const wordsOfWanted = (wants: FaultCase["wants"]): Pick<Row, "wanted" | "boundMs" | "clearBoundMs"> =>
  typeof wants === "string"
    ? { wanted: wants }
    : {
        wanted: `${wants.reason} (${wants.hop})`,
        boundMs: wants.withinMs,
        clearBoundMs: wants.clearMs ?? USUAL.clearMs,
      };

/** Nothing may be said of it, or never that it is well. */
async function watchCase(one: FaultCase, live: Live, from: number, row: Row): Promise<void> {
  await live.watch(one.brokenMs ?? USUAL.brokenMs);
  const faults = live.faultsSince(from);
  const { last } = live;
  row.seen = faults.join(", ") || (isOk(last) ? "ok" : "unknown");
  if (last?.state === "judged") row.hop = hopOf(last);
  if (one.wants === "quiet" && (faults.length > 0 || !isOk(last))) row.wrong.push("must stay well");
  if (one.wants === "never ok" && live.okSince(0)) row.wrong.push("was called well");
}

async function faultCase(
  one: FaultCase,
  wants: Wanted,
  stage: Stage,
  live: Live,
  from: number,
  row: Row,
): Promise<void> {
  const found = await live.until(isFault(wants.reason), wants.withinMs + BEYOND_MS);
  if (found === undefined) row.wrong.push(`${wants.reason} was not told`);
  else {
    row.detectMs = systemClock.now() - from;
    if (row.detectMs > wants.withinMs) row.wrong.push("detected too late");
  }
  await live.watch(one.brokenMs ?? USUAL.brokenMs);
  const { last } = live;
  if (last?.state === "judged") {
    row.seen = last.reason;
    row.hop = hopOf(last);
  }
  if (row.hop !== wants.hop) row.wrong.push(`hop ${row.hop || "none"}`);
  if (stage.heal !== undefined) await heal(stage.heal, wants, live, row);
  const causes = live.faultsSince(from);
  row.seen = causes.join(", ");
  if (causes.length !== 1) row.wrong.push(`${causes.length} causes`);
}

async function heal(mend: () => void | Promise<void>, wants: Wanted, live: Live, row: Row): Promise<void> {
  const boundMs = wants.clearMs ?? USUAL.clearMs;
  await mend();
  const tookMs = await live.until(isOk, boundMs + BEYOND_MS);
  if (tookMs === undefined) {
    row.wrong.push("did not clear");
    return;
  }
  row.clearMs = tookMs;
  if (tookMs > boundMs) row.wrong.push("cleared too late");
  await live.watch(AFTER_MS);
  if (!isOk(live.last)) row.wrong.push("did not stay well");
}
