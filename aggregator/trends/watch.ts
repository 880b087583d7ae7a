import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/log.ts";
import { Failure } from "../../protocol/failure.ts";
import type { Alarms } from "../alarms.ts";
import { isOwn, TREND_CHECK } from "../decode.ts";
import {
  DAY_MS,
  type Finding,
  type FindingKey,
  type HistoryStore,
  HOUR_MS,
  hourOf,
  type Series,
} from "../history-store.ts";
import { type News, noNews } from "../news.ts";
import type { AlarmRow, Store, Tx } from "../store.ts";
import type { TrendsConfig } from "./config.ts";
import { afterLook, isNews, type Step, stepOf } from "./finding.ts";
import { analyse } from "./forecast.ts";
import { type Limit, openLimits } from "./limits.ts";
import { Peers } from "./peers.ts";
import { wordsOf } from "./words.ts";

export interface TrendParts {
  store: Store;
  history: HistoryStore;
  alarms: Alarms;
  classOf(device: string): string | undefined;
  config: TrendsConfig;
  /** IANA name: says on which date a limit is reached. */
  timeZone: string;
  /** Name of this start of the aggregator. */
  boot: string;
  clock: Clock;
  log: Logger;
  committed(news: News): void;
}

const EVERY_MS = 1_000;
/** An hour is looked at so long after its end: it has been worked out. */
const SETTLE_MS = 600_000;
/** A round over all series is spread over so many ticks of its hour; a tick does at least so many, for so long at most. */
const TICKS = 2_400;
const LEAST_AT_ONCE = 20;
const BUDGET_MS = 20;
/** A figure that is not told any more, of a device that is there: its alarm is taken back after so long. */
const SILENT_MS = 7 * DAY_MS;
const PAGE = 200;

interface Sweep {
  /** The hour that has just ended before: what is looked at ends here. */
  hour: number;
  after: number;
  atOnce: number;
}
interface Seen {
  finding: Finding;
  rule: Pick<Limit, "zh" | "en">;
  step: Step;
}

/** Looks once an hour where every figure is heading, and raises what will be a fault before it is one (隐患). */
export class TrendWatch {
  readonly #parts: TrendParts;
  readonly #limitOf: ReturnType<typeof openLimits>;
  readonly #peers = new Peers();
  readonly #day: Intl.DateTimeFormat;
  #sweep: Sweep | undefined;
  #doneHour: number | undefined;
  #checked = false;
  #failing: string | undefined;
  /** Figures looked at since the start. */
  looked = 0;

  constructor(parts: TrendParts) {
    this.#parts = parts;
    this.#limitOf = openLimits(parts.config.limits);
    this.#day = new Intl.DateTimeFormat("en-CA", { timeZone: parts.timeZone, dateStyle: "short" });
  }

  /** Until `signal` aborts. */
  async walk(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#parts.config.enabled) {
      await this.tick();
      await this.#parts.clock.sleep(EVERY_MS, signal).catch(() => {}); // aborted: the loop ends
    }
  }

  /** A part of this hour's round. A failing store is tried again at the next tick, and said once. */
  async tick(): Promise<void> {
    try {
      await this.#some();
      this.#failing = undefined;
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      if (this.#failing !== because) this.#parts.log.error({ event: "trends.failed", because }, "tried again");
      this.#failing = because;
      // A fault of ours would come again with the same series: the next hour begins anew.
      if (!(error instanceof Failure)) this.#end();
    }
  }

  async #some(): Promise<void> {
    const { clock, history } = this.#parts;
    const hour = hourOf(clock.wall() - SETTLE_MS);
    if (this.#sweep === undefined) {
      if (hour === this.#doneHour) return;
      const { series } = await history.size();
      this.#sweep = { hour, after: 0, atOnce: Math.max(LEAST_AT_ONCE, Math.ceil(series / TICKS)) };
    }
    const sweep = this.#sweep;
    const began = clock.now();
    for (let done = 0; done < sweep.atOnce && clock.now() - began < BUDGET_MS; done += LEAST_AT_ONCE) {
      const page = await history.series(sweep.after, LEAST_AT_ONCE);
      for (const series of page) await this.#look(series, sweep.hour);
      sweep.after = page.at(-1)?.id ?? sweep.after;
      if (page.length < LEAST_AT_ONCE) return this.#finish(sweep.hour);
    }
  }

  async #look(series: Series, hour: number): Promise<void> {
    const { history, config } = this.#parts;
    const { device, code } = series;
    const limited = series.figures.flatMap((figure) => {
      const rule = this.#limitOf(code, figure);
      return rule === undefined ? [] : [{ figure, rule }];
    });
    if (limited.length === 0) return;
    const count = 24 * config.windowDays;
    const figures = limited.map(({ figure }) => figure);
    const levels = await history.levels(series, figures, hour - count, count);
    const found: Seen[] = [];
    const gone: FindingKey[] = [];
    for (const [i, { figure, rule }] of limited.entries()) {
      this.looked += 1;
      const hours = levels[i];
      const analysis = hours && analyse(hours, rule, config);
      if (analysis === undefined) continue;
      const key = { device, code, figure };
      const known = await history.finding(key);
      const standing = this.#standing(key, analysis.level, rule);
      const finding = afterLook(known, key, { now: hour * HOUR_MS, analysis, standing, rule }, config);
      if (finding !== undefined) found.push({ finding, rule, step: stepOf(finding, config) });
      else if (known !== undefined) gone.push(key);
    }
    await this.#act(found, gone);
  }

  #standing({ device, code, figure }: FindingKey, level: number, { towards, outlierBy }: Limit) {
    const name = this.#parts.classOf(device);
    if (outlierBy === undefined || name === undefined) return undefined;
    const key = `${name}/${code}/${figure}`;
    this.#peers.add(key, level);
    return this.#peers.standing(key, level, towards === "above" ? 1 : -1, outlierBy);
  }

  /** First the tickets, then our own notes: after a crash between the two the next round finds the alarm as it is. */
  async #act(found: readonly Seen[], gone: readonly FindingKey[]): Promise<void> {
    const { store, history, clock, committed } = this.#parts;
    const saved: Finding[] = found.filter(({ step }) => step === "wait").map(({ finding }) => finding);
    const dropped = [...gone];
    const due = found.filter(({ step }) => step !== "wait");
    if (due.length > 0) {
      const news = noNews(clock.wall());
      const after = await store.transaction(async (tx) => {
        const kept: [Seen, Finding | undefined][] = [];
        for (const seen of due) kept.push([seen, await this.#tell(tx, seen, news)]);
        return kept;
      });
      committed(news);
      for (const [{ finding }, kept] of after) {
        if (kept === undefined) dropped.push(finding);
        else saved.push(kept);
      }
    }
    if (saved.length > 0) await history.saveFindings(saved);
    if (dropped.length > 0) await history.dropFindings(dropped);
  }

  /** Brings the alarm into line with the finding; what remains of the finding then. */
  async #tell(tx: Tx, { finding, rule, step }: Seen, news: News): Promise<Finding | undefined> {
    const { device, code, alarm, looked } = finding;
    if ((await tx.device(device)) === undefined) return undefined;
    const was = await tx.alarm(device, alarm);
    if (step === "clear") return this.#clear(tx, was, "the trend is gone", news);
    const cause = await tx.alarm(device, code);
    if (cause?.active === true && !isOwn(cause.check)) {
      await this.#clear(tx, was, `it has come: ${code} is raised`, news); // that alarm's ticket is the one of this cause
      const { toldAt: _, toldReachesAt: __, ...waits } = finding;
      return { ...waits, since: looked };
    }
    const stands = was?.active === true && was.reason === finding.reason;
    if (stands && !isNews(finding, looked)) return { ...finding, toldAt: finding.toldAt ?? looked };
    const words = wordsOf(finding, rule, (at) => this.#day.format(at));
    const about = {
      check: TREND_CHECK,
      subject: subjectOf(finding),
      reason: finding.reason,
      severity: "warning",
    } as const;
    const raised = { device, code: alarm, active: true, ...about, ...words, boot: this.#parts.boot };
    if (!(await this.#parts.alarms.own(tx, raised, news))) return finding; // no room for another alarm: asked again
    return { ...finding, toldAt: looked, ...(finding.reachesAt !== undefined && { toldReachesAt: finding.reachesAt }) };
  }

  async #clear(tx: Tx, was: AlarmRow | undefined, says: string, news: News): Promise<undefined> {
    if (was?.active !== true) return;
    await this.#parts.alarms.own(tx, { ...was, active: false, says, boot: this.#parts.boot }, news);
  }

  /** After the last series: what was not looked at, and, once after a start, alarms that nothing is known of any more. */
  async #finish(hour: number): Promise<void> {
    const now = hour * HOUR_MS;
    if (!this.#checked) await this.#adopt(now);
    this.#checked = true;
    const { history } = this.#parts;
    for (let after: FindingKey | undefined; ; ) {
      const page = await history.findings({}, { limit: PAGE, ...(after !== undefined && { after }) });
      for (const finding of page) if (now - finding.looked >= SILENT_MS) await this.#silent(finding);
      after = page.at(-1);
      if (after === undefined) break;
    }
    this.#peers.turn(this.#parts.config.outliers.leastDevices);
    this.#end(hour);
  }

  #end(hour = this.#sweep?.hour): void {
    this.#doneHour = hour;
    this.#sweep = undefined;
  }

  /** Not told any more: of a device that is away this says nothing. */
  async #silent(finding: Finding): Promise<void> {
    const { store, history, clock, committed } = this.#parts;
    const row = await store.reading.device(finding.device);
    if (row !== undefined && row.presence !== "online") return;
    const news = noNews(clock.wall());
    await store.transaction(async (tx) =>
      this.#clear(tx, await tx.alarm(finding.device, finding.alarm), "the figure is not told any more", news),
    );
    committed(news);
    await history.dropFindings([finding]);
  }

  /** Active alarms of ours without a finding: the history was lost. They stand until the figures say otherwise. */
  async #adopt(now: number): Promise<void> {
    const { store, history } = this.#parts;
    for (let after: string | undefined; ; ) {
      const page = await store.reading.alarms({ active: true }, { limit: PAGE, ...(after !== undefined && { after }) });
      for (const row of page) {
        const [code, figure] = row.subject.split(" ");
        if (row.check !== TREND_CHECK || code === undefined || figure === undefined) continue;
        const key = { device: row.device, code, figure };
        if ((await history.finding(key)) === undefined) await history.saveFindings([adopted(key, row, now)]);
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = `${last.device}/${last.code}`;
    }
  }
}

const subjectOf = ({ code, figure }: FindingKey): string => `${code} ${figure}`;

const adopted = (key: FindingKey, row: AlarmRow, now: number): Finding => ({
  ...{ ...key, alarm: row.code, reason: row.reason === "outlier" ? "outlier" : "forecast" },
  ...{ since: now, seen: now, looked: now, toldAt: now },
  ...{ level: 0, perDay: 0, perDayLow: 0, perDayHigh: 0, confidence: 0, days: 0 },
});
