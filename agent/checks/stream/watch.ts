import type { Clock } from "../../../platform/clock.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { AuthHold } from "./auth-hold.ts";
import type { Mode } from "./budget.ts";
import type { Conclusion } from "./conclusion.ts";
import type { MediaSink, Play } from "./media.ts";
import type { TakeTurn } from "./server-turn.ts";

/** Makes sense of one stream's sessions: what they bring goes in, what is to be said of the stream comes out. */
export interface Examiner {
  /** A new session begins; it tells what it hears to this. */
  begin(): MediaSink;
  /** What is known of the running session now. `unknown` while nothing is proven yet. */
  conclude(): Conclusion;
  /** What it means that the session ended so, or could not begin. */
  failed(failure: Failure): Conclusion;
  /** Since the running session played, ms, when it was concluded last; undefined before. */
  playingMs(): number | undefined;
  /** It waits for something of this session, for one, a keyframe to look at. */
  wantsMore(): boolean;
  /** The session is over. */
  end(): void;
}

export interface WatchOrder {
  name: string;
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  /** A session made ready: secrets are read now. Rejects with a Failure where this device is at fault. */
  open(signal: AbortSignal): Promise<Play>;
  /** Stands for what is shown to the server; see `credentialsKey`. */
  key(): Promise<string>;
  examiner: Examiner;
  hold: AuthHold;
  turn: TakeTurn;
  sample: { everyMs: number; forMs: number };
  mode(): Mode;
  /** Without media for so long it tries anew, ms: a session may have lost its source for good. */
  renewAfterMs: number;
  /** Told of every other conclusion. */
  changed(conclusion: Conclusion): void;
}

/** How often a running session is judged: within this a fault is seen. */
const EVALUATE_MS = 500;
/**
 * A look so late came after a time in which nothing could be read: what waits in the sockets is read before the next one,
 * and that one judges, however late it is itself.
 */
const STALLED_MS = 1_000;
export const CONNECT_MS = 3_000;
export const ANSWER_MS = 5_000;
/** Over TCP what comes is read so often: eight wakings a second instead of fifty. A quarter of the time between two looks. */
const GATHER_MS = 125;
const FIRST_PAUSE_MS = 500;
const MOST_PAUSE_MS = 60_000;
/** Who is not there, or answers 404 at once, has no work with us: it may be asked so often, and is found back so soon. */
const CHEAP_PAUSE_MS = 10_000;
/** So long a session that proves nothing yet leaves standing what was known before it. */
const PATIENCE_MS = 20_000;
/** In a pause after a failure what it means is concluded again so often: an end that nothing has explained is a fault by then. */
const REMIND_MS = 2_000;
/** A password file written anew is found so soon. */
const KEY_LOOK_MS = 10_000;
/** A session that lasted so long was a good one: the next failure is a first one again. */
const SETTLED_MS = 30_000;
/** A sample that finds a stream which flows but is not well goes on for so many times its length. */
const LONGEST_SAMPLE = 6;

/** One that proves nothing goes on for so long at least: that no keyframe comes shows after half a minute, not before. */
const UNPROVEN_SAMPLE_MS = 45_000;

/** Nothing flows: the session stays, since a new one would ask work of a server that has enough trouble. */
const SILENT: ReadonlySet<Conclusion["state"]> = new Set(["no_media", "no_video"]);
const WELL: ReadonlySet<Conclusion["state"]> = new Set(["ok", "still"]);
const OURS = new Set(["DIAL_LOCAL", "FILE_UNUSABLE"]);
/** A fault of this device: nothing is known of the stream. */
export const isOurs = ({ code }: Failure): boolean => OURS.has(code);

type End = "sampled" | "renewed" | "stopped" | Failure;

/** One stream under watch: at most one session, begun again with growing pauses, and what is concluded of it. */
export class Watch {
  readonly name: string;
  readonly #order: WatchOrder;
  readonly #ending = new AbortController();
  #conclusion: Conclusion = { state: "unknown", says: "not looked at yet" };
  /** Moment of the last look that told something; since when none did. */
  #provenAt: number;
  #unknownSince: number | undefined;
  #tries = 0;
  #triedAt = 0;
  #failures = 0;
  /** Renewals without media in between. */
  #renewals = 0;
  #wake: (() => void) | undefined;
  #open = false;
  /** In the pause between two samples. */
  #between = false;
  #done: Promise<void> | undefined;

  constructor(order: WatchOrder) {
    this.name = order.name;
    this.#order = order;
    this.#provenAt = order.clock.now();
  }
  get conclusion(): Conclusion {
    return this.#conclusion;
  }
  /** Moment, monotonic ms, at which something was known last. */
  get provenAt(): number {
    return this.#provenAt;
  }
  /** How often it was asked: a session tried, or 20 s more in which one proved nothing. Unknown after three is told of. */
  get tries(): number {
    return this.#tries;
  }
  /** Between the beginnings of two samples, ms. */
  get everyMs(): number {
    return this.#order.sample.everyMs;
  }
  /** Whether a session is open, or being opened. */
  get open(): boolean {
    return this.#open;
  }
  start(): void {
    this.#done ??= this.#run();
  }
  /** Ends the session politely; resolves when it has ended. */
  stop(): Promise<void> {
    this.#ending.abort();
    this.#wake?.();
    return this.#done ?? Promise.resolve();
  }
  /** The mode is another one: a pause that no longer fits is cut short. */
  modeChanged(): void {
    if (this.#order.mode() === "continuous") this.lookNow();
  }
  /** Cuts the pause between two samples short; not one after a failure, which protects the server. */
  lookNow(): void {
    if (this.#between) this.#wake?.();
  }

  async #run(): Promise<void> {
    const { clock } = this.#order;
    while (!this.#ending.signal.aborted) {
      const key = await this.#order.key();
      const leftMs = this.#order.hold.leftMs(this.name, key);
      if (leftMs > 0) {
        this.#note(this.#order.examiner.failed(heldBack(leftMs)));
        await this.#pause(Math.min(leftMs, KEY_LOOK_MS));
        continue;
      }
      if (this.#ending.signal.aborted) return;
      const begun = clock.now();
      const end = await this.#session(key);
      if (end === "stopped") return;
      this.#between = end === "sampled";
      const remind = end instanceof Failure && !isOurs(end) ? this.#reminder(end) : (): void => {};
      await this.#pause(this.#pauseAfter(end, begun));
      remind();
      this.#between = false;
    }
  }

  /** One session from its beginning to its end. */
  async #session(key: string): Promise<End> {
    const { clock, examiner, turn, open, hold, name } = this.#order;
    this.#tries += 1;
    this.#triedAt = clock.now();
    this.#open = true;
    const cut = new AbortController();
    const signal = AbortSignal.any([cut.signal, this.#ending.signal]);
    let end: End | undefined;
    const finish = (how: End): void => {
      end ??= how;
      cut.abort();
    };
    const sink = examiner.begin();
    const look = this.#looker(finish, () => hold.accepted(name));
    try {
      const play = await open(signal);
      await play({ clock, signal, sink, connectMs: CONNECT_MS, answerMs: ANSWER_MS, gatherMs: GATHER_MS, turn });
      if (end === undefined && !this.#ending.signal.aborted) throw endedByItself();
    } catch (cause) {
      if (this.#ending.signal.aborted) end = "stopped";
      else end ??= this.#fail(cause, key);
    } finally {
      look();
      cut.abort(); // whoever still listens would be kept, session after session, as long as we live
      examiner.end();
      this.#open = false;
    }
    return end ?? "stopped";
  }

  /** Judges the session again and again, and says when it has served. Returns how to end that. */
  #looker(finish: (how: End) => void, accepted: () => void): () => void {
    const { clock, examiner, sample, mode, renewAfterMs } = this.#order;
    let silentSince: number | undefined;
    let known = false;
    let dueAt = clock.now() + EVALUATE_MS;
    let stalled = false;
    const look = (): void => {
      callOff = clock.after(EVALUATE_MS, look);
      const now = clock.now();
      stalled = !stalled && now - dueAt >= STALLED_MS;
      dueAt = now + EVALUATE_MS;
      if (stalled) return;
      const conclusion = examiner.conclude();
      const playedMs = examiner.playingMs();
      if (playedMs !== undefined && !known) {
        known = true;
        accepted();
      }
      this.#heard(conclusion);
      silentSince = SILENT.has(conclusion.state) ? (silentSince ?? now) : undefined;
      if (silentSince === undefined && playedMs !== undefined && conclusion.state !== "unknown") this.#renewals = 0;
      if (silentSince !== undefined && now - silentSince >= renewAfterMs * 2 ** Math.min(this.#renewals, 4))
        finish("renewed");
      else if (mode() === "sampled" && playedMs !== undefined && served(conclusion, playedMs, sample, examiner))
        finish("sampled");
    };
    let callOff = clock.after(EVALUATE_MS, look);
    return () => callOff();
  }

  /** A session that proves nothing yet does not replace what was known before it. */
  #heard(conclusion: Conclusion): void {
    const now = this.#order.clock.now();
    const known = conclusion.state !== "unknown";
    if (!known) this.#unknownSince ??= now;
    if (!known && now - this.#triedAt >= PATIENCE_MS) {
      this.#tries += 1;
      this.#triedAt = now;
    }
    const patient = this.#conclusion.state !== "unknown" && now - (this.#unknownSince ?? now) < PATIENCE_MS;
    if (known || !patient) this.#note(conclusion);
  }

  #fail(cause: unknown, key: string): Failure {
    const failure =
      cause instanceof Failure
        ? cause
        : new Failure("DIAL_LOCAL", `the probe itself failed: ${cause instanceof Error ? cause.name : "?"}`, { cause });
    if (failure.code === "STREAM_AUTH") this.#order.hold.refused(this.name, key);
    if (isOurs(failure)) this.#note({ state: "unknown", says: wordsOf(failure) });
    else this.#heard(this.#order.examiner.failed(failure));
    return failure;
  }

  #note(conclusion: Conclusion): void {
    const before = this.#conclusion;
    this.#conclusion = conclusion;
    if (conclusion.state !== "unknown") {
      this.#provenAt = this.#order.clock.now();
      this.#unknownSince = undefined;
    }
    if (!isSame(before, conclusion)) this.#order.changed(conclusion);
  }

  /** Goes on saying what a failure means while nothing is tried. Returns how to end that. */
  #reminder(failure: Failure): () => void {
    const { clock, examiner } = this.#order;
    const again = (): void => {
      callOff = clock.after(REMIND_MS, again);
      this.#heard(examiner.failed(failure));
    };
    let callOff = clock.after(REMIND_MS, again);
    return () => callOff();
  }

  /** So long after a session that ended so the next one begins, ms. */
  #pauseAfter(end: Exclude<End, "stopped">, begun: number): number {
    const { clock, random, sample } = this.#order;
    const lasted = clock.now() - begun;
    if (end === "sampled") {
      this.#failures = 0;
      // moved by a tenth either way: a clip that plays in a loop would otherwise always be seen at the same place
      return Math.max(sample.everyMs / 2, sample.everyMs * (0.9 + 0.2 * random()) - lasted);
    }
    if (end === "renewed") {
      this.#renewals += 1;
      return FIRST_PAUSE_MS * (0.8 + 0.4 * random());
    }
    this.#failures = lasted >= SETTLED_MS ? 1 : this.#failures + 1;
    const cheap = end.code.startsWith("DIAL_") || end.code === "STREAM_STATUS";
    const most = cheap ? CHEAP_PAUSE_MS : MOST_PAUSE_MS;
    return Math.min(most, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures - 1, 20)) * (0.8 + 0.4 * random());
  }

  #pause(ms: number): Promise<void> {
    if (this.#ending.signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const callOff = this.#order.clock.after(ms, resolve);
    this.#wake = () => {
      callOff();
      resolve();
    };
    return promise.finally(() => {
      this.#wake = undefined;
    });
  }
}

/** Whether a sample has shown what it can. */
function served({ state }: Conclusion, playedMs: number, { forMs }: WatchOrder["sample"], examiner: Examiner): boolean {
  if (playedMs < forMs || SILENT.has(state)) return false;
  if (playedMs >= Math.max(forMs * LONGEST_SAMPLE, state === "unknown" ? UNPROVEN_SAMPLE_MS : 0)) return true;
  return WELL.has(state) && !examiner.wantsMore();
}

export const isSame = (a: Conclusion, b: Conclusion): boolean =>
  a.state === b.state && a.reason === b.reason && a.hop === b.hop && a.severity === b.severity && a.holds === b.holds;

const endedByItself = (): Failure =>
  new Failure("STREAM_ENDED", "the session ended without a word", { facts: { how: "resolved" } });

function heldBack(leftMs: number): Failure {
  const minutes = Math.ceil(leftMs / 60_000);
  return new Failure(
    "STREAM_AUTH",
    `user or password were refused; no new try for ${minutes} min, or before they are changed`,
    { facts: { heldMs: leftMs } },
  );
}

/** The failure's message without its code. */
export const wordsOf = ({ message, code }: Failure): string => message.replace(` (${code})`, "");
