import type { Clock } from "../../../platform/clock.ts";
import type { Machine, Source } from "../../../platform/machine.ts";
import type { RunProgram } from "../../../platform/run.ts";
import { Failure } from "../../../protocol/failure.ts";
import { type Condition, gradeHigh, Latch, type Verdict, worstOf } from "../check.ts";
import type { NetworkMemory } from "./memory.ts";
import type { NetworkConfig } from "./network.ts";
import { askPing } from "./ping.ts";
import { type Ask, type Attempt, type AttemptResult, askTcp, askUdp } from "./probe.ts";
import { neighbourIn } from "./text.ts";

type Method = NetworkConfig["gateway"]["methods"][number];

/** Loss is the share of so many probes … */
const SAMPLES = 40;
/** … and tells nothing with fewer. */
const LEAST_SAMPLES = 10;
/** A round trip is the middle one of so many. */
const ROUND_TRIPS = 5;
const SUBJECT = "gateway";
const SOME_MORE = 2;
/** A link notices its end after a keepalive and a half: so many times the misses that are enough elsewhere. */
const LINK_NOTICES = 4;
/** ping sends three, a second apart. */
const PING_MS = 6_000;

/** A probe under way: one question by each method. */
interface Probe {
  at: number;
  attempts: ReadonlyMap<Method, Attempt>;
}

export interface GatewayParts {
  config: NetworkConfig["gateway"];
  machine: Machine;
  clock: Clock;
  memory: NetworkMemory;
  run: RunProgram;
}

/**
 * Asks one gateway now and then. Which methods it answers is remembered: silence counts only where there once was an
 * answer. Where there never was one, the neighbour table alone decides; the question makes the kernel look there anew.
 */
export class GatewayWatch {
  readonly address: string;
  readonly #parts: GatewayParts;
  readonly #arp: Source;
  readonly #asks: Readonly<Record<Method, Ask>>;
  readonly #latch = new Latch();
  #answers: Method[];
  #probe: Probe | undefined;
  #probedAt = Number.NEGATIVE_INFINITY;
  #pingedAt = Number.NEGATIVE_INFINITY;
  /** Probes in a row without an answer, where one was due. */
  #silent = 0;
  /** The silence means death: nothing else shows that it lives. */
  #shows = false;
  /** There was a sign of life since the start. */
  #alive = false;
  #because = "";
  #samples: boolean[] = [];
  #roundTrips: number[] = [];
  #verdict: Verdict | undefined;

  constructor(address: string, parts: GatewayParts) {
    this.address = address;
    this.#parts = parts;
    this.#arp = parts.machine.source("/proc/net/arp");
    this.#asks = { udp: askUdp, tcp: askTcp, ping: (to, _port, clock) => askPing(to, parts.run, clock) };
    const { gateway } = parts.memory.learned;
    const { methods } = parts.config;
    this.#answers = gateway?.address === address ? methods.filter((one) => gateway.methods.includes(one)) : [];
  }

  /** Whether it should be asked, or has answered: looked at in every fast round while something is wrong. */
  stirred(nowMs: number): boolean {
    const probe = this.#probe;
    if (probe !== undefined) return this.#settled(probe, nowMs);
    return this.#isSuspect() && nowMs >= this.#dueAt();
  }

  /** Resolves when the first probe is answered or overdue, so that a first verdict stands on something. */
  async first(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    this.look(clock.now(), true);
    while (this.#probe !== undefined && !this.#settled(this.#probe, clock.now())) {
      await clock.sleep(FIRST_LOOK_MS, signal);
    }
  }

  /** Takes in what was answered, asks when it is time. `linkUp`: the broker is reached, so the gateway does its work. */
  look(nowMs: number, linkUp: boolean): Verdict {
    if (this.#probe !== undefined && this.#settled(this.#probe, nowMs)) this.#close(this.#probe, linkUp);
    if (this.#probe === undefined && nowMs >= this.#dueAt()) this.#begin(nowMs);
    this.#verdict ??= this.#judge();
    return this.#verdict;
  }

  close(): void {
    for (const attempt of this.#probe?.attempts.values() ?? []) attempt.close();
    this.#probe = undefined;
    this.#arp.close();
  }

  #dueAt(): number {
    const { everyMs, suspectEveryMs } = this.#parts.config;
    return this.#probedAt + (this.#isSuspect() ? Math.min(suspectEveryMs, everyMs) : everyMs);
  }

  /** One that keeps silent and lives nevertheless is not asked faster for ever. */
  #isSuspect(): boolean {
    return this.#silent > 0 && (this.#shows || this.#silent <= this.#parts.config.misses + SOME_MORE);
  }

  #begin(nowMs: number): void {
    const { config, clock } = this.#parts;
    const attempts = new Map<Method, Attempt>();
    for (const method of this.#chosen(nowMs)) {
      const port = method === "tcp" ? config.tcpPort : config.udpPort;
      attempts.set(method, this.#asks[method](this.address, port, clock));
    }
    this.#probedAt = nowMs;
    this.#probe = { at: nowMs, attempts };
  }

  /** The one it is known to answer; all of them while it is silent, or was never heard. */
  #chosen(nowMs: number): readonly Method[] {
    const [known] = this.#answers;
    if (known !== undefined && known !== "ping" && this.#silent === 0) return [known];
    const { methods, pingEveryMs } = this.#parts.config;
    const quick = methods.filter((one) => one !== "ping");
    const last = methods.includes("ping") && !this.#answers.some((one) => one !== "ping");
    if (!last || nowMs - this.#pingedAt < pingEveryMs) return quick;
    this.#pingedAt = nowMs;
    return [...quick, "ping"];
  }

  #settled({ at, attempts }: Probe, nowMs: number): boolean {
    const { timeoutMs } = this.#parts.config;
    if (nowMs - at >= (attempts.has("ping") ? Math.max(timeoutMs, PING_MS) : timeoutMs)) return true;
    let open = false;
    for (const attempt of attempts.values()) {
      const result = attempt.result();
      if (result !== undefined && "ms" in result) return this.#answers.length > 0 || attempts.size === 1;
      open ||= result === undefined;
    }
    return !open;
  }

  #close({ attempts }: Probe, linkUp: boolean): void {
    this.#probe = undefined;
    const results = [...attempts].map(([method, attempt]): [Method, AttemptResult] => {
      const result = attempt.result() ?? { because: "no answer" };
      attempt.close();
      return [method, result];
    });
    const [best] = results.flatMap(([, result]) => ("ms" in result ? [result.ms] : [])).toSorted((a, b) => a - b);
    for (const [method, result] of results) if ("ms" in result) this.#remember(method);
    // a ping that is asked seldom says nothing of the probes in between
    const counts = this.#answers.some((method) => attempts.has(method));
    if (best !== undefined) this.#heard(best);
    else this.#unheard(results, counts, linkUp);
    if (counts) this.#samples = [...this.#samples.slice(1 - SAMPLES), best !== undefined];
    // while it is down nothing is lost on the way: a long fault must not look like loss for as long again
    if (this.#isDead()) this.#samples = this.#samples.slice(0, this.#samples.lastIndexOf(true) + 1);
    this.#verdict = undefined;
  }

  #remember(method: Method): void {
    if (this.#answers.includes(method)) return;
    const { config, memory } = this.#parts;
    this.#answers = config.methods.filter((one) => one === method || this.#answers.includes(one));
    memory.learned.gateway = { address: this.address, methods: [...this.#answers] };
    memory.touch();
  }

  #heard(ms: number): void {
    this.#silent = 0;
    this.#shows = false;
    this.#alive = true;
    this.#roundTrips = [...this.#roundTrips.slice(1 - ROUND_TRIPS), ms];
  }

  /** No answer: what the neighbour table says, and the broker, decides whether that is a sign of death. */
  #unheard(results: readonly [Method, AttemptResult][], counts: boolean, linkUp: boolean): void {
    const neighbour = this.address.includes(":") ? undefined : neighbourIn(this.#arp.read() ?? "", this.address);
    const why = results.map(([method, result]) => `${method}: ${"because" in result ? result.because : ""}`).join(", ");
    this.#because = `${why}${neighbour === undefined ? "" : `; neighbour entry ${neighbour}`}`;
    if (counts) {
      this.#silent += 1;
      // where there is no neighbour table, a link that stands is a sign of life for as long as it may not have noticed
      const linkTells = linkUp && (neighbour === "complete" || this.#silent < LINK_NOTICES * this.#parts.config.misses);
      this.#shows = neighbour === undefined || neighbour === "complete" ? !linkTells : true;
    } else if (neighbour === "incomplete") {
      this.#silent += 1;
      this.#shows = true;
    } else {
      // it never answers, but is at its place; or on this line there is no neighbour table, and nothing can be told
      this.#silent = 0;
      this.#shows = false;
      this.#alive = true;
    }
  }

  #isDead(): boolean {
    return this.#shows && this.#silent >= this.#parts.config.misses;
  }

  #judge(): Verdict {
    const dead = this.#isDead();
    const rttMs = median(this.#roundTrips);
    const { address } = this;
    if (!this.#alive && this.#silent === 0)
      return { state: "unknown", subject: SUBJECT, because: `${address} was not asked yet` };
    const presence: Condition = {
      grade: dead ? "major" : "ok",
      // after a restart an alarm stays until there is a sign of life
      holds: dead || !this.#alive ? "major" : "ok",
      reason: "gateway",
      says:
        this.#silent > 0
          ? `the gateway ${address} did not answer ${this.#silent} times in a row (${this.#because})`
          : `the gateway ${address} ${rttMs === undefined ? `is there, though it answers no probe (${this.#because})` : `answers in ${rttMs} ms`}`,
      readings: { alive_count: dead ? 0 : 1 },
    };
    return worstOf(SUBJECT, [presence, ...this.#loss(), ...this.#rtt(rttMs)], this.#latch);
  }

  #loss(): Condition[] {
    const count = this.#samples.length;
    if (count < LEAST_SAMPLES) return [];
    const lost = this.#samples.filter((answered) => !answered).length;
    const pct = Math.round((1_000 * lost) / count) / 10;
    const says = `${lost} of ${count} probes to the gateway ${this.address} were lost (${pct} %)`;
    const about = { reason: "gateway-loss", value: pct, unit: "%", says, readings: { loss_pct: pct } };
    return [{ ...gradeHigh(pct, this.#parts.config.lossPct), ...about }];
  }

  #rtt(rttMs: number | undefined): Condition[] {
    if (rttMs === undefined) return [];
    const says = `the gateway ${this.address} answers in ${rttMs} ms`;
    const about = { reason: "gateway-rtt", value: rttMs, unit: "ms", says, readings: { rtt_ms: rttMs } };
    return [{ ...gradeHigh(rttMs, this.#parts.config.rttMs), ...about }];
  }
}

const FIRST_LOOK_MS = 20;

function median(values: readonly number[]): number | undefined {
  const middle = values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  return middle === undefined ? undefined : Math.round(middle * 100) / 100;
}

/** What a watch of the gateway cannot be told of is unknown, and nothing else. */
export const orUnknown = (look: () => Verdict): Verdict => {
  try {
    return look();
  } catch (error) {
    if (error instanceof Failure) return { state: "unknown", subject: SUBJECT, because: error.message };
    throw error;
  }
};
