import type { LinkFacts } from "../../../platform/broker-link.ts";
import type { Condition, Verdict } from "../check.ts";
import { gradeHigh, Latch, worstOf } from "../check.ts";
import type { NetworkConfig } from "./network.ts";

const WINDOW_MS = 3_600_000;
const ROUND_TRIPS = 3;
const SUBJECT = "broker";

/** A time without the broker. */
interface Gap {
  from: number;
  to: number | undefined;
}

/** Follows the link to the broker: is it there, was it there, how fast does it answer? */
export class BrokerWatch {
  readonly #config: NetworkConfig["broker"];
  readonly #latch = new Latch();
  readonly #startedAt: number;
  #gaps: Gap[];
  #everUp = false;
  #roundTrips: number[] = [];
  #lastRtt: number | undefined;
  #verdict: Verdict | undefined;

  constructor(config: NetworkConfig["broker"], nowMs: number) {
    this.#config = config;
    this.#startedAt = nowMs;
    this.#gaps = [{ from: nowMs, to: undefined }];
  }

  /** The same verdict while the link stays as it is. */
  look(nowMs: number, { up, rttMs }: LinkFacts): Verdict {
    const last = this.#gaps.at(-1);
    const wasUp = last?.to !== undefined || last === undefined;
    if (up && !wasUp) this.#gaps = this.#gaps.map((gap) => (gap === last ? { ...gap, to: nowMs } : gap));
    if (!up && wasUp) this.#gaps = [...this.#gaps, { from: nowMs, to: undefined }];
    this.#everUp ||= up;
    const fresh = rttMs !== undefined && rttMs !== this.#lastRtt;
    if (fresh) this.#roundTrips = [...this.#roundTrips.slice(1 - ROUND_TRIPS), rttMs];
    this.#lastRtt = rttMs;
    const still = up && wasUp && !fresh && this.#gaps.every(({ to = nowMs }) => nowMs - to < WINDOW_MS);
    // a past gap moves out of the hour slowly: its share is told with the next ping
    if (still && this.#verdict !== undefined) return this.#verdict;
    this.#gaps = this.#gaps.filter(({ to }) => to === undefined || nowMs - to < WINDOW_MS);
    this.#verdict = this.#judge(nowMs, up);
    return this.#verdict;
  }

  #judge(nowMs: number, up: boolean): Verdict {
    const downMs = up ? 0 : nowMs - (this.#gaps.at(-1)?.from ?? nowMs);
    const rttMs = this.#roundTrips.toSorted((a, b) => a - b)[Math.floor(this.#roundTrips.length / 2)];
    const gone = downMs >= this.#config.holdMs && !up;
    const presence: Condition = {
      grade: gone ? "major" : "ok",
      // after a restart an alarm stays until the link was up once
      holds: gone || !this.#everUp ? "major" : "ok",
      reason: "broker",
      value: Math.round(downMs / 1_000),
      unit: "s",
      says: up ? "the link to the broker stands" : `no link to a broker for ${Math.round(downMs / 1_000)} s`,
      readings: { up_count: up ? 1 : 0 },
    };
    return worstOf(SUBJECT, [presence, this.#share(nowMs), ...this.#rtt(rttMs)], this.#latch);
  }

  /** The start of the agent is no gap: it has to connect first. */
  #share(nowMs: number): Condition {
    const since = Math.max(this.#startedAt, nowMs - WINDOW_MS);
    const gaps = this.#gaps.filter(({ from }) => from > this.#startedAt);
    const downMs = gaps.reduce((sum, { from, to = nowMs }) => sum + to - Math.max(from, since), 0);
    const pct = Math.round((1_000 * downMs) / WINDOW_MS) / 10;
    const says = `the link to the broker was down ${gaps.length} times within the hour, ${Math.round(downMs / 1_000)} s together`;
    const about = { reason: "broker-loss", value: pct, unit: "%", says };
    return { ...gradeHigh(pct, this.#config.downPct), ...about, readings: { down_pct: pct, drops_count: gaps.length } };
  }

  #rtt(rttMs: number | undefined): Condition[] {
    if (rttMs === undefined) return [];
    const value = Math.round(rttMs * 10) / 10;
    const says = `the broker answers a ping in ${value} ms`;
    const about = { reason: "broker-rtt", value, unit: "ms", says, readings: { rtt_ms: value } };
    return [{ ...gradeHigh(value, this.#config.rttMs), ...about }];
  }
}
