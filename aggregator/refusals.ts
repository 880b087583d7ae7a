import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/log.ts";
import type { Failure } from "../protocol/failure.ts";
import { ROOT } from "../protocol/topics.ts";
import { clean } from "./decode.ts";

const SAMPLE_BYTES = 80;
const LOG_EVERY_MS = 60_000;
/** Devices and codes remembered as logged; a hostile crowd must not fill the memory. */
const MOST_REMEMBERED = 10_000;

const BRANCHES = new Set(["state", "info", "inventory", "daily", "tele", "alm", "evt"]);

/** Messages that were not taken: each counted, each kind of fault of a device logged once a minute. */
export class Refusals {
  readonly #log: Logger;
  readonly #clock: Clock;
  /** By failure code, and by branch of the topic. */
  readonly counts = new Map<string, number>();
  readonly #logged = new Map<string, number>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  count(code: string, more = 1): void {
    this.counts.set(code, (this.counts.get(code) ?? 0) + more);
  }

  /** Counts a refusal, and logs it with the beginning of what was sent. */
  tell(topic: string, payload: Uint8Array | string, failure: Failure): void {
    this.count(failure.code);
    const [device, branch] = whose(topic);
    const key = `${device} ${failure.code}`;
    const now = this.#clock.now();
    const last = this.#logged.get(key);
    if (last !== undefined && now - last < LOG_EVERY_MS) return;
    if (this.#logged.size >= MOST_REMEMBERED) this.#logged.clear();
    this.#logged.set(key, now);
    const facts = { event: "intake.refused", code: failure.code, device, branch, sample: sampleOf(payload) };
    this.#log.warn({ ...facts, because: clean(failure.message).slice(0, 300) }, "message refused");
  }
}

function whose(topic: string): [device: string, branch: string] {
  const [device = "", branch = ""] = topic.startsWith(`${ROOT}/d/`) ? topic.slice(ROOT.length + 3).split("/") : [];
  return [clean(device).slice(0, 40), BRANCHES.has(branch) ? branch : "other"];
}

const sampleOf = (payload: Uint8Array | string): string =>
  clean(
    typeof payload === "string"
      ? payload.slice(0, SAMPLE_BYTES)
      : Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.byteLength, SAMPLE_BYTES)).toString("latin1"),
  );
