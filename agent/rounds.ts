import type { Clock } from "../platform/clock.ts";
import type { Cron } from "../platform/cron.ts";
import { Failure } from "../protocol/failure.ts";

/** When is each check asked? In rounds by the monotonic clock: never overlapping, never held up by a check that hangs. */

/** A tier; `everyMs`: with the slow round in which so much time has passed, so that it wakes nobody by itself; or by the wall clock. */
export type Every = "fast" | "slow" | { everyMs: number } | { cron: string };

/** A check that is to be asked again and again. */
export interface Entry<V> {
  /** Id of the check, for `failed` results and their readers. */
  id: string;
  every: Every;
  deadlineMs: number;
  /**
   * Answers at once or later; throws when it cannot tell. Must give up when `signal` aborts. The very object it answered
   * before means that nothing has changed: it is then told again only while the entry is stirred.
   */
  judge(signal: AbortSignal): V | Promise<V>;
  /**
   * True when it is to be asked now, too: looked at in every fast round for an entry of the slow tier, in every slow one
   * for an entry with `everyMs`.
   */
  stirred?(): boolean;
  /** The same, as the keeper of its alarms sees it; asked only while `Walk.restless` says that it is so for some entry. */
  impatient?(): boolean;
}

/** What one check answered, or why it did not. */
export type Result<V, E extends Entry<V> = Entry<V>> =
  | { entry: E; verdicts: V }
  | { entry: E; failed: { because: string; cause?: unknown } };

export interface Tick {
  tier: "fast" | "slow";
  /** How much later than planned the event loop came to it, ms: what blocked it in between. */
  lateMs: number;
}

export interface Walk {
  clock: Clock;
  /** Ends the walk: nothing is asked or told afterwards. */
  signal: AbortSignal;
  /** Random numbers in [0, 1): a fleet that was switched on together must not beat in step. */
  jitter: () => number;
  fastMs: number;
  slowMs: number;
  /** Needed where an entry has a cron expression. */
  cron?: Cron;
  /** Whether any entry is impatient. In nearly every fast round none is, and asking each of them costs more than the rest. */
  restless?: () => boolean;
  /** Told of each tick before its checks are asked: a sign that the loop lives, and how late it was. */
  onTick?: (tick: Tick) => void;
}

/** So long the results of a tick wait for the slower ones to be told together. */
const GATHER_MS = 100;
/** A slot is moved by at most so much of its period, to either side. */
const SLOT_JITTER = 0.05;

/**
 * Asks every entry on its schedule until `signal` aborts; resolves then. `tell` gets the results of one tick in one
 * call (those that hang come later, by themselves), and is never called again before it has resolved. Rejects when
 * `tell` does.
 */
export async function walkRounds<V, E extends Entry<V>>(
  walk: Walk,
  entries: readonly E[],
  tell: (results: Result<V, E>[]) => void | Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  if (walk.signal.aborted) return;
  walk.signal.addEventListener("abort", end, { once: true });
  const teller = inOrder(tell, stop);
  const within: Walk = { ...walk, signal: stop.signal };
  const posts = entries.map((entry) => new Post<V, E>(walk.clock, entry, stop.signal));
  try {
    await Promise.all([
      walkTiers(within, posts, teller.tell),
      ...posts.map((one) => walkCron(within, one, teller.tell)),
    ]);
  } finally {
    end();
    walk.signal.removeEventListener("abort", end);
    await teller.done();
  }
}

/** Undefined where there is nothing to tell and nobody is being told: a tier that waits for it stands still with the others. */
type Tell<V, E extends Entry<V>> = (results: Result<V, E>[]) => Promise<void> | undefined;

/** One `tell` at a time over all tiers. A failing one ends the walk. */
function inOrder<V, E extends Entry<V>>(
  tell: (results: Result<V, E>[]) => void | Promise<void>,
  stop: AbortController,
): { tell: Tell<V, E>; done(): Promise<void> } {
  let last = Promise.resolve();
  let telling = 0;
  return {
    tell(results) {
      if (results.length === 0) return telling > 0 ? last : undefined;
      telling += 1;
      last = last.then(async () => {
        if (!stop.signal.aborted) await tell(results);
        telling -= 1;
      });
      last.catch(() => stop.abort());
      return last;
    },
    done: () => last,
  };
}

/**
 * Both tiers, until the walk ends. The slow rounds go along with a fast one, by half a fast period early or late: waking a
 * sleeping machine costs more than most checks (docs/performance.md). Without a fast tier they have a timer of their own.
 */
function walkTiers<V, E extends Entry<V>>(walk: Walk, posts: readonly Post<V, E>[], tell: Tell<V, E>): Promise<void> {
  const { clock, fastMs, slowMs, restless, onTick } = walk;
  const fast = posts.filter(({ entry }) => entry.every === "fast");
  const slow = posts.filter(({ entry }) => entry.every === "slow");
  const seldom = posts.filter(({ entry }) => typeof entry.every === "object" && "everyMs" in entry.every);
  const sleepers = slow.filter(isStirrable);
  const looking = sleepers.filter(({ entry }) => entry.stirred !== undefined);
  const askSlow = (lateMs: number): Promise<void> | undefined => {
    onTick?.({ tier: "slow", lateMs });
    return askAll(clock, slow, tell, seldom);
  };
  const askFast = (lateMs: number, alone: boolean): Promise<void> | undefined => {
    onTick?.({ tier: "fast", lateMs });
    const calm = restless?.() === false;
    return askAll(clock, fast, tell, alone ? (calm ? looking : sleepers) : [], calm);
  };
  const hasSlow = slow.length + seldom.length > 0;
  if (fast.length + sleepers.length === 0)
    return hasSlow ? walkTier(walk, new Slots(walk, slowMs), askSlow) : Promise.resolve();
  const along = new Slots(walk, slowMs);
  const broken = Promise.withResolvers<never>();
  let isBusy = false;
  const next = (): void => {
    isBusy = false;
    along.next(clock.now());
  };
  const ask = (lateMs: number, now: number): Promise<void> | undefined => {
    const rides = hasSlow && !isBusy && along.dueAt - now <= fastMs / 2;
    const asking = askFast(lateMs, !rides);
    if (!rides) return asking;
    isBusy = true;
    const asked = askSlow(lateMs);
    if (asked === undefined) next();
    else asked.then(next, broken.reject);
    return asking;
  };
  return Promise.race([walkSteady(walk, fastMs, ask), broken.promise]);
}

/** What is asked in a tick: how late it came (ms) and when (monotonic ms). Returns what has to be over before the next one. */
type Ask = (lateMs: number, now: number) => Promise<void> | undefined;

/**
 * Asks once in a period, from a moment that differs from device to device, on one timer for the whole walk: a new one each
 * second would cost as much as the look at a process. Resolves when the walk ends.
 */
function walkSteady({ clock, signal, jitter }: Walk, periodMs: number, ask: Ask): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let isBusy = false;
  let dueAt = clock.now() + jitter() * periodMs;
  const free = (): void => {
    isBusy = false;
  };
  const tick = (): void => {
    const now = clock.now();
    const lateMs = Math.max(0, now - dueAt);
    dueAt = now + periodMs;
    if (isBusy) return; // missed, and not made up
    try {
      const asking = ask(lateMs, now);
      if (asking === undefined) return;
      isBusy = true;
      asking.then(free, reject);
    } catch (cause) {
      reject(cause);
    }
  };
  let callOff = clock.after(dueAt - clock.now(), () => {
    callOff = clock.every(periodMs, tick);
    tick();
  });
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => callOff());
}

/** Slots of one period that never drift, each moved a little; one that was missed is not made up. */
class Slots {
  readonly #walk: Walk;
  readonly #periodMs: number;
  readonly #phase: number;
  #slot = 0;
  /** When the next one is due, monotonic ms. */
  dueAt: number;

  constructor(walk: Walk, periodMs: number) {
    this.#walk = walk;
    this.#periodMs = periodMs;
    const now = walk.clock.now();
    this.#phase = now + walk.jitter() * periodMs;
    this.dueAt = this.#draw(now);
  }
  next(now: number): void {
    this.#slot = Math.max(this.#slot, Math.floor((now - this.#phase) / this.#periodMs)) + 1;
    this.dueAt = this.#draw(now);
  }
  #draw(now: number): number {
    const moved = (this.#walk.jitter() * 2 - 1) * SLOT_JITTER * this.#periodMs;
    return Math.max(this.#phase + this.#slot * this.#periodMs + moved, now);
  }
}

/**
 * One tier by a timer of its own. `ask` returns what has to be over before the next slot. Resolves when the walk ends. A
 * timer that calls back, not a promise: it fires for years.
 */
function walkTier({ clock, signal }: Walk, slots: Slots, ask: Ask): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let callOff = (): void => {};
  const plan = (now: number): void => {
    if (!signal.aborted) callOff = clock.after(slots.dueAt - now, tick);
  };
  const next = (): void => {
    const now = clock.now();
    slots.next(now);
    plan(now);
  };
  const tick = (): void => {
    const now = clock.now();
    try {
      const asking = ask(Math.max(0, now - slots.dueAt), now);
      if (asking === undefined) next();
      else asking.then(next, reject);
    } catch (cause) {
      reject(cause);
    }
  };
  const end = (): void => {
    callOff();
    resolve();
  };
  signal.addEventListener("abort", end, { once: true });
  plan(clock.now());
  return promise.finally(() => signal.removeEventListener("abort", end));
}

const isStirrable = <V, E extends Entry<V>>({ entry }: Post<V, E>): boolean =>
  entry.stirred !== undefined || entry.impatient !== undefined;

/** `calm`: no entry is impatient. A look that fails is reason enough to ask. */
function isStirred<V>(entry: Entry<V>, calm = false): boolean {
  try {
    return (!calm && entry.impatient?.() === true) || entry.stirred?.() === true;
  } catch {
    return true;
  }
}

/** Asks by the wall clock, where the config says so. */
async function walkCron<V, E extends Entry<V>>(walk: Walk, one: Post<V, E>, tell: Tell<V, E>): Promise<void> {
  const { every } = one.entry;
  if (typeof every === "string" || "everyMs" in every) return;
  if (walk.cron === undefined) throw new Failure("CONFIG_INVALID", `no cron for ${one.entry.id}`);
  await walk.cron(every.cron, () => void askAll(walk.clock, [one], tell)?.catch(() => {}), walk.signal);
  await new Promise<void>((done) => {
    if (walk.signal.aborted) done();
    else walk.signal.addEventListener("abort", () => done(), { once: true });
  });
}

/** Resolves to false when the walk ended meanwhile. */
async function slept(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal);
  } catch (cause) {
    if (!signal.aborted) throw cause;
  }
  return !signal.aborted;
}

/**
 * Asks all that are free, and tells what they answer: together, but for those that take long. Undefined when there is
 * nothing to tell: so most fast rounds of a device's life end here, without a promise.
 */
function askAll<V, E extends Entry<V>>(
  clock: Clock,
  posts: readonly Post<V, E>[],
  tell: Tell<V, E>,
  sleepers: readonly Post<V, E>[] = [],
  calm = false,
): Promise<void> | undefined {
  const ready: Result<V, E>[] = [];
  const later: Promise<Result<V, E>>[] = [];
  const ask = (one: Post<V, E>): void => {
    const answer = one.ask(calm);
    if (answer instanceof Promise) later.push(answer);
    else if (answer !== undefined) ready.push(answer);
  };
  for (const one of posts) ask(one);
  for (const one of sleepers) if (one.isDue() || isStirred(one.entry, calm)) ask(one);
  if (later.length > 0) return gather(clock, ready, later, tell).then(() => tell(ready));
  return tell(ready);
}

/** Waits a little for the `later` ones; each that takes longer is told when it comes. */
async function gather<V, E extends Entry<V>>(
  clock: Clock,
  ready: Result<V, E>[],
  later: readonly Promise<Result<V, E>>[],
  tell: Tell<V, E>,
): Promise<void> {
  let open = true;
  const arrivals = later.map(async (answer) => {
    const result = await answer;
    if (open) ready.push(result);
    else await tell([result])?.catch(() => {}); // its failure ends the walk by itself
  });
  const enough = new AbortController();
  await Promise.race([Promise.all(arrivals), clock.sleep(GATHER_MS, enough.signal).catch(() => {})]);
  open = false;
  enough.abort();
}

/** A question that is not answered yet. */
interface Question {
  since: number;
  /** Given up: its deadline has passed. */
  cut: boolean;
  /** Tells the check to give up. */
  judging: AbortController;
  /** Stops the deadline's timer. */
  timing: AbortController;
}

/** One entry, and whether it is still being asked. */
class Post<V, E extends Entry<V>> {
  readonly entry: E;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #isSeldom: boolean;
  #open: Question | undefined;
  /** The last answer given at once. The very same object again is no news. */
  #told: V | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** Used again while the check answers at once: it is asked up to once a second for years. */
  #judging = new AbortController();

  constructor(clock: Clock, entry: E, signal: AbortSignal) {
    this.entry = entry;
    this.#isSeldom = typeof entry.every === "object" && "everyMs" in entry.every;
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener("abort", () => {
      this.#judging.abort(signal.reason);
      this.#open?.judging.abort(signal.reason);
      this.#open?.timing.abort();
    });
  }

  /** Whether the time of an entry with `everyMs` has come; a slow round may come early by its jitter. */
  isDue(): boolean {
    const { every } = this.entry;
    if (typeof every === "string" || !("everyMs" in every)) return false;
    return this.#clock.now() - this.#askedAt >= every.everyMs * (1 - SLOT_JITTER);
  }

  /** Undefined while an earlier question is within its deadline, after the end, and where nothing at all has changed. */
  ask(calm = false): Result<V, E> | Promise<Result<V, E>> | undefined {
    const open = this.#open;
    if (this.#signal.aborted || open?.cut === false) return undefined;
    if (this.#isSeldom) this.#askedAt = this.#clock.now();
    if (open !== undefined) return this.#failed(`still running after ${seconds(this.#clock.now() - open.since)} s`);
    try {
      const answer = this.entry.judge(this.#judging.signal);
      if (answer instanceof Promise) return this.#later(answer);
      const known = typeof answer === "object" && answer === this.#told;
      this.#told = answer;
      return known && !isStirred(this.entry, calm) ? undefined : { entry: this.entry, verdicts: answer };
    } catch (cause) {
      return this.#failed(reasonOf(cause), cause);
    }
  }

  /** The answer, or the failure to give one before the deadline. */
  #later(answer: Promise<V>): Promise<Result<V, E>> {
    const { entry } = this;
    const timing = new AbortController();
    const question: Question = { since: this.#clock.now(), cut: false, judging: this.#judging, timing };
    this.#open = question;
    this.#judging = new AbortController();
    const settled = answer
      .then(
        (verdicts): Result<V, E> => ({ entry, verdicts }),
        (cause: unknown) => this.#failed(reasonOf(cause), cause),
      )
      .finally(() => {
        this.#open = undefined;
        timing.abort();
      });
    const deadline = this.#clock.sleep(entry.deadlineMs, timing.signal).then(
      () => this.#cut(question),
      () => (this.#signal.aborted ? this.#failed("the rounds have ended") : settled),
    );
    return Promise.race([settled, deadline]);
  }

  #cut(question: Question): Result<V, E> {
    question.cut = true;
    const because = `did not answer in ${this.entry.deadlineMs} ms`;
    const failure = new Failure("CHECK_DEADLINE", because, { facts: { check: this.entry.id } });
    question.judging.abort(failure);
    return this.#failed(because, failure);
  }

  #failed(because: string, cause?: unknown): Result<V, E> {
    this.#told = undefined;
    return { entry: this.entry, failed: { because, cause } };
  }
}

const seconds = (ms: number): number => Math.round(ms / 1_000);
const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/**
 * Asks every entry `passes` times at once, `gapMs` apart (a rate needs two looks), and returns the last answer of each.
 * For a person who waits: what hangs is cut by its deadline.
 */
export async function runOnce<V, E extends Entry<V>>(
  { clock, signal }: Pick<Walk, "clock" | "signal">,
  entries: readonly E[],
  { passes = 2, gapMs = 1_000 }: { passes?: number; gapMs?: number } = {},
): Promise<Result<V, E>[]> {
  const posts = entries.map((entry) => new Post<V, E>(clock, entry, signal));
  let last: Result<V, E>[] = [];
  for (let pass = 0; pass < passes; pass += 1) {
    if (pass > 0 && !(await slept(clock, gapMs, signal))) break;
    const before = last;
    const answers = await Promise.all(posts.map(async (one) => one.ask()));
    last = answers.flatMap((answer, i) => answer ?? before[i] ?? []);
  }
  return last;
}
