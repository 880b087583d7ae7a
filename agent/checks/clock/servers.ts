import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { askDatagram } from "../../../platform/datagram.ts";
import { addressesOf } from "../../../platform/names.ts";
import { type CheckPorts, type Condition, gradeHigh, Latch, type Verdict, worstOf } from "../check.ts";
import { within } from "../within.ts";
import type { ClockConfig } from "./clock.ts";
import { Drift } from "./drift.ts";
import { COOKIE_BYTES, question, readAnswer, type Sample, type SntpAnswer, sampleOf, unfit } from "./sntp.ts";

const NTP_PORT = 123;
/** In a row. */
const FAILURES = 2;
const SUBJECT = "offset";
/** Holds an alarm from before a restart: left out, it would clear. */
const NO_RATE_YET: Verdict = {
  ...{ state: "judged", subject: "drift", grade: "ok", holds: "major", reason: "drift", readings: {} },
  says: "how fast the clock runs is known after an hour",
};

/** A server's word on the time, or why there is none. */
type Word = { server: string } & (Sample | { because: string });

interface Server {
  name: string;
  host: string;
  port: number;
  /** It sent us away: it is not asked any more (RFC 5905 section 7.4: DENY, RSTR). */
  refuses?: string;
  /** It wants to be asked less often (RATE): so many times it is passed over. */
  skips: number;
}

type Ports = Pick<CheckPorts, "clock" | "machine"> & { byHand: boolean };

/** Asks NTP servers for the time: the truth that does not come from the daemon that sets the clock. */
export class NtpServers {
  readonly #config: ClockConfig;
  readonly #ports: Ports;
  readonly #servers: readonly Server[];
  readonly #latch = new Latch();
  readonly #drift = new Drift();
  #failures = 0;
  #last: { offsetMs: number; at: number } | undefined;

  constructor(config: ClockConfig, ports: Ports) {
    this.#config = config;
    this.#ports = ports;
    this.#servers = config.servers.map((name) => ({ name, ...placeOf(name), skips: 0 }));
  }

  /** The last offset and when it was found (monotonic); positive: our clock is ahead. */
  get last(): { offsetMs: number; at: number } | undefined {
    return this.#last;
  }

  /** `steppedMs`: by how much the wall clock was set since the start, in all. */
  async judge(steppedMs: () => number, signal: AbortSignal): Promise<readonly Verdict[]> {
    const words = await Promise.all(this.#servers.map((server) => this.#ask(server, signal)));
    const heard = words.filter((word): word is { server: string } & Sample => !("because" in word));
    const best = middle(heard);
    if (best === undefined) return [this.#silent(words), ...this.#drifting()];
    this.#failures = 0;
    const now = this.#ports.clock.now();
    this.#last = { offsetMs: best.offsetMs, at: now };
    // what the clock would show had nobody set it
    this.#drift.add({ at: now, offsetMs: best.offsetMs - steppedMs(), errorMs: best.delayMs / 2 });
    return [this.#offset(best, words), ...this.#drifting()];
  }

  #offset(best: { server: string } & Sample, words: readonly Word[]): Verdict {
    const { offsetMs, delayMs, server } = best;
    const off = Math.round(offsetMs * 10) / 10;
    const answered = words.filter((word) => !("because" in word)).length;
    const condition: Condition = {
      ...gradeHigh(Math.abs(offsetMs), this.#config.offsetMs),
      ...{ reason: "offset", value: off, unit: "ms" },
      says: `the clock is ${Math.abs(off)} ms ${off < 0 ? "behind" : "ahead of"} ${server} (±${Math.ceil(delayMs / 2)} ms); ${answered} of ${words.length} servers answered`,
      readings: { offset_ms: off, delay_ms: Math.round(delayMs * 10) / 10, servers_count: answered },
    };
    return worstOf(SUBJECT, [condition], this.#latch);
  }

  #silent(words: readonly Word[]): Verdict {
    this.#failures += 1;
    const enough = this.#failures >= (this.#ports.byHand ? 1 : FAILURES);
    const says = words.map((word) => `${word.server}: ${"because" in word ? word.because : ""}`).join("; ");
    const holds = enough ? "minor" : "major"; // one silence does not set the clock right
    const about = { state: "judged", subject: SUBJECT, reason: "server", readings: { servers_count: 0 } } as const;
    return { ...about, grade: enough ? "minor" : "ok", holds, says: `no NTP server tells the time (${says})` };
  }

  #drifting(): Verdict[] {
    const ppm = this.#drift.ppm();
    if (ppm === undefined) return this.#ports.byHand ? [] : [NO_RATE_YET];
    const value = Math.round(ppm * 10) / 10;
    const says = `the clock ${value < 0 ? "loses" : "gains"} ${Math.abs(value)} µs a second (${Math.round(Math.abs(value) * 8.64) / 100} s a day)`;
    const about = { reason: "drift", value, unit: "ppm", says, readings: { drift_ppm: value } };
    return [{ state: "judged", subject: "drift", ...gradeHigh(Math.abs(value), this.#config.driftPpm), ...about }];
  }

  async #ask(server: Server, signal: AbortSignal): Promise<Word> {
    const { name } = server;
    if (server.refuses !== undefined) return { server: name, because: `it sent us away (${server.refuses})` };
    if (server.skips > 0) {
      server.skips -= 1;
      return { server: name, because: "it wants to be asked less often" };
    }
    const enough = new AbortController();
    const asking = this.#exchange(server, AbortSignal.any([signal, enough.signal])).catch(
      (cause: unknown): Word => ({ server: name, because: reasonOf(cause) }),
    );
    try {
      const inTime = await within(asking, this.#config.serversDeadlineMs, this.#ports.clock, signal);
      return inTime ? await asking : { server: name, because: "no answer" };
    } finally {
      enough.abort();
    }
  }

  async #exchange(server: Server, signal: AbortSignal): Promise<Word> {
    const { clock, machine } = this.#ports;
    const [address = server.host] = await addressesOf(server.host, signal, { hostsFile: machine.at("/etc/hosts") });
    const cookie = randomBytes(COOKIE_BYTES);
    const [asked, began] = [clock.wall(), clock.now()];
    const take = (bytes: Uint8Array): { answer: SntpAnswer; tookMs: number } => ({
      answer: readAnswer(bytes, cookie, asked),
      tookMs: clock.now() - began,
    });
    const { answer, tookMs } = await askDatagram({ address, port: server.port }, question(cookie), take, signal);
    this.#obey(server, answer);
    const because = unfit(answer);
    return because === undefined
      ? { server: server.name, ...sampleOf(answer, asked, tookMs) }
      : { server: server.name, because };
  }

  #obey(server: Server, { stratum, reference }: SntpAnswer): void {
    if (stratum !== 0) return;
    if (reference === "RATE") server.skips = 4;
    else if (reference === "DENY" || reference === "RSTR") server.refuses = reference;
  }
}

/** Of several servers the one in the middle: a minority that is wrong decides nothing. Of two the nearer one. */
function middle<W extends Sample>(words: readonly W[]): W | undefined {
  if (words.length === 2) return words.toSorted((a, b) => a.delayMs - b.delayMs)[0];
  return words.toSorted((a, b) => a.offsetMs - b.offsetMs)[Math.floor(words.length / 2)];
}

/** `name`, `name:port`, `1.2.3.4:port`, `[2001:db8::1]:port` or a bare address. */
export function placeOf(text: string): { host: string; port: number } {
  if (isIP(text) !== 0) return { host: text, port: NTP_PORT };
  const colon = text.lastIndexOf(":");
  const port = Number(text.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port) || port < 1 || port > 65_535) return { host: text, port: NTP_PORT };
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port };
}

const reasonOf = (cause: unknown): string => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code === "ECONNREFUSED") return "nothing listens there";
  return cause instanceof Error ? cause.message : String(cause);
};
