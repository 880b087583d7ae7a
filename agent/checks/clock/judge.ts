import type { LinkFacts } from "../../../platform/broker-link.ts";
import { Failure } from "../../../protocol/failure.ts";
import { type CheckPorts, gradeHigh, type Judge, Latch, type Verdict, worstOf } from "../check.ts";
import { inTurns, type Turn, type Turns } from "../turns.ts";
import type { WallJudge } from "../wall.ts";
import type { ClockConfig } from "./clock.ts";
import { NtpServers } from "./servers.ts";
import { judgeSync } from "./sync.ts";

const RTC = "/sys/class/rtc/rtc0";
const RETRY_MS = 60_000;
const WAIT_MS = 3_000;
/** The servers' word on our clock holds so long against the aggregator's. */
const TRUTH_MS = 2 * 3_600_000;

/** Holds an alarm from before a restart: left out, it would clear. */
const NOT_HEARD: Verdict = {
  ...{ state: "judged", subject: "skew", grade: "ok", holds: "major", reason: "skew", readings: {} },
  says: "the aggregator's clock was not heard yet",
};

/** The whole check at work: the wall clock in each round, everything else in turns of its own. */
export function openClockJudge(config: ClockConfig, ports: CheckPorts, wall: WallJudge): Judge {
  return new ClockJudge(config, ports, wall);
}

class ClockJudge implements Judge {
  readonly #config: ClockConfig;
  readonly #ports: CheckPorts;
  readonly #wall: WallJudge;
  readonly #servers: NtpServers;
  readonly #turns: Turns;
  readonly #syncLatch = new Latch();
  readonly #skewLatch = new Latch();
  #skew: NonNullable<LinkFacts["skew"]> | undefined;
  #skewVerdict: Verdict | undefined;
  #last: readonly Verdict[] = [];

  constructor(config: ClockConfig, ports: CheckPorts, wall: WallJudge) {
    this.#config = config;
    this.#ports = ports;
    this.#wall = wall;
    this.#skewVerdict = ports.link === undefined ? undefined : NOT_HEARD; // by hand nobody listens
    const { machine, clock, random, redact } = ports;
    this.#servers = new NtpServers(config, { machine, clock, byHand: ports.link === undefined });
    this.#turns = inTurns(this.#allTurns(), { clock, random, redact, atOnce: 3, waitMs: WAIT_MS });
  }

  judge(signal: AbortSignal): readonly Verdict[] | Promise<readonly Verdict[]> {
    const turned = this.#turns.judge(signal);
    return turned instanceof Promise ? turned.then((ready) => this.#all(ready)) : this.#all(turned);
  }

  stirred(): boolean {
    return this.#turns.stirred();
  }

  close(): void {
    this.#turns.close();
  }

  #all(turned: readonly Verdict[]): readonly Verdict[] {
    const skew = this.#judgeSkew(this.#ports.link?.().skew);
    const verdicts = [this.#wall.look(), ...turned, ...(skew === undefined ? [] : [skew])];
    const same = verdicts.length === this.#last.length && verdicts.every((verdict, i) => verdict === this.#last[i]);
    if (!same) this.#last = verdicts;
    return this.#last;
  }

  #allTurns(): Turn[] {
    const { sync, servers, serversEveryMs, serversDeadlineMs, rtcEveryMs } = this.#config;
    const { machine } = this.#ports;
    const slack = 3_000;
    const turns: Turn[] = [];
    if (sync.expected)
      turns.push({
        ...{ subject: "sync", everyMs: sync.everyMs, retryMs: RETRY_MS, deadlineMs: slack },
        ask: async (signal) => [await judgeSync(this.#config, this.#ports, this.#syncLatch, signal)],
      });
    if (servers.length > 0)
      turns.push({
        ...{ subject: "offset", everyMs: serversEveryMs, retryMs: RETRY_MS, deadlineMs: serversDeadlineMs + slack },
        ask: (signal) => this.#servers.judge(() => this.#steppedMs(), signal),
      });
    if (machine.list(RTC).length > 0)
      turns.push({
        ...{ subject: "rtc", everyMs: rtcEveryMs, retryMs: RETRY_MS, deadlineMs: slack },
        ask: async () => [this.#judgeRtc()],
      });
    return turns;
  }

  /** Up to this moment, and not up to the last round. */
  #steppedMs(): number {
    this.#wall.look();
    return this.#wall.steppedMs;
  }

  #judgeRtc(): Verdict {
    const { machine, clock } = this.#ports;
    const about = { state: "judged", subject: "rtc", reason: "rtc" } as const;
    try {
      const seconds = Number(machine.read(`${RTC}/since_epoch`)?.trim());
      if (!Number.isFinite(seconds)) throw new Failure("MACHINE_READ", "it tells no time");
      const offMs = seconds * 1_000 - clock.wall();
      const off = Math.round(offMs / 1_000);
      const says = `the battery clock is ${Math.abs(off)} s ${off < 0 ? "behind" : "ahead of"} the system's`;
      return {
        ...about,
        ...gradeHigh(Math.abs(offMs), this.#config.rtcMs),
        ...{ value: off, unit: "s", says, readings: { rtc_offset_s: off } },
      };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // EINVAL: the chip itself knows that its time is worth nothing, after its battery was empty
      const says = `the battery clock tells no time: its battery is empty or it was never set (${error.message})`;
      return { ...about, grade: "warning", holds: "warning", says, readings: {} };
    }
  }

  /** While nothing new is heard, what was said last stays. */
  #judgeSkew(skew: LinkFacts["skew"]): Verdict | undefined {
    if (skew === undefined || (skew.at === this.#skew?.at && skew.ms === this.#skew.ms)) return this.#skewVerdict;
    this.#skew = skew;
    const truth = this.#servers.last;
    const ours = truth !== undefined && this.#ports.clock.now() - truth.at < TRUTH_MS ? truth.offsetMs : undefined;
    const { warning, minor } = this.#config.skewMs;
    // where servers say that our clock is right, the other one is wrong: worth a word, and no more
    const theirs = ours !== undefined && Math.abs(ours) < Math.abs(skew.ms) / 2;
    const graded = gradeHigh(Math.abs(skew.ms), theirs ? { warning } : { warning, minor });
    const seconds = Math.round(skew.ms / 100) / 10;
    const blame = theirs ? `; NTP servers say that ours is right (${Math.round(ours)} ms)` : "";
    const says = `our clock is ${Math.abs(seconds)} s ${seconds < 0 ? "behind" : "ahead of"} the aggregator's${blame}`;
    const readings = { skew_ms: Math.round(skew.ms) };
    const condition = { ...graded, reason: "skew", value: seconds, unit: "s", says, readings };
    this.#skewVerdict = worstOf("skew", [condition], this.#skewLatch);
    return this.#skewVerdict;
  }
}
