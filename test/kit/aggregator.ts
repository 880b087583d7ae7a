import { type AggregatorFace, runAggregator } from "../../aggregator/app.ts";
import { AggregatorConfig } from "../../aggregator/config.ts";
import type { HistoryStore } from "../../aggregator/history-store.ts";
import { openSqliteHistory } from "../../aggregator/sqlite/history.ts";
import type { Store } from "../../aggregator/store.ts";
import type { BrokerLink, LinkEvents, LinkOptions, Outgoing } from "../../platform/broker-link.ts";
import type { DailyCheck } from "../../protocol/daily.ts";
import { DAILY_STATES, type DailyState } from "../../protocol/daily-state.ts";
import { Failure, type FailureCode } from "../../protocol/failure.ts";
import type { AlarmChange, DeviceState } from "../../protocol/from-device.ts";
import { topics } from "../../protocol/topics.ts";
import { HandClock } from "./hand-clock.ts";
import { type KeptLog, keptLog } from "./logs.ts";

export interface Told {
  topic: string;
  payload: string;
  retain: boolean;
}

/** The whole aggregator on a clock wound by hand and a line held in the hand. */
export class AggregatorRig implements AsyncDisposable {
  readonly clock: HandClock;
  readonly store: Store;
  readonly history: HistoryStore;
  readonly log: KeptLog = keptLog();
  /** What it published while the line was up. */
  readonly told: Told[] = [];
  /** What the broker says to a message: a failure, or undefined for yes. */
  answer: (topic: string) => FailureCode | undefined = () => undefined;
  readonly #running: Promise<void>;
  readonly #stop = new AbortController();
  #face: AggregatorFace | undefined;
  #options: LinkOptions | undefined;
  #events: LinkEvents | undefined;
  #up = false;
  #links = 0;

  constructor(
    store: Store,
    config: Record<string, unknown> = {},
    clock = new HandClock(),
    history = openSqliteHistory({ file: ":memory:" }),
  ) {
    this.store = store;
    this.history = history;
    this.clock = clock;
    this.#running = runAggregator(
      {
        config: AggregatorConfig.parse({ node: "rig", brokers: [{ host: "127.0.0.1", port: 1883 }], ...config }),
        version: "0.0.0",
        clock,
        log: this.log,
        random: (bytes) => new Uint8Array(bytes),
        store,
        history,
        openLink: (options, events) => this.#open(options, events),
        serve: async (face) => {
          this.#face = face;
          return { [Symbol.asyncDispose]: async () => {} };
        },
      },
      this.#stop.signal,
    );
  }
  get face(): AggregatorFace {
    if (this.#face === undefined) throw new Error("not started yet: wind the clock");
    return this.#face;
  }
  get options(): LinkOptions {
    if (this.#options === undefined) throw new Error("not started yet: wind the clock");
    return this.#options;
  }
  /** Lets it start and puts the line up. */
  async start(): Promise<this> {
    await this.clock.wind(0);
    await this.up();
    return this;
  }
  async up(): Promise<void> {
    this.#up = true;
    this.#links += 1;
    this.#events?.up(this.#links);
    await this.clock.wind(0);
  }
  async down(): Promise<void> {
    this.#up = false;
    this.#events?.down(new Failure("LINK_DOWN", "cut"));
    await this.clock.wind(0);
  }
  /** A message from the broker; objects go as JSON. Returns what the intake returned: a promise when it holds the line. */
  hear(topic: string, body: unknown, retained = false, qos: 0 | 1 = 0): void | Promise<void> {
    const payload =
      body instanceof Uint8Array ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
    return this.#events?.message({ topic, payload, retained, qos });
  }
  /** Time for a batch to be committed and told. */
  settle(): Promise<void> {
    return this.clock.wind(250);
  }
  /** So much later by the wall clock, without living through every tick: nobody falls silent by it. */
  later(ms: number): Promise<void> {
    this.clock.setWall(this.clock.wall() + ms);
    return this.clock.wind(1_100);
  }
  /** Payloads published on a topic, as they were. */
  on(topic: string): unknown[] {
    return this.told.filter((one) => one.topic === topic).map(({ payload }) => (payload ? JSON.parse(payload) : ""));
  }
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.clock.wind(0);
    await this.#running;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.store[Symbol.asyncDispose]();
    await this.history[Symbol.asyncDispose]();
  }
  #open(options: LinkOptions, events: LinkEvents): BrokerLink {
    this.#options = options;
    this.#events = events;
    const rig = this;
    const close = async () => {
      this.#up = false;
    };
    return {
      get up() {
        return rig.#up;
      },
      publish: async ({ topic, payload, retain = false }: Outgoing) => {
        if (!rig.#up) throw new Failure("LINK_DOWN", "no line");
        const refused = rig.answer(topic);
        if (refused !== undefined) throw new Failure(refused, "refused");
        rig.told.push({ topic, payload, retain });
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}

export const BOOTS = [
  "01KA0000000000000000000000",
  "01KB0000000000000000000000",
  "01KC0000000000000000000000",
] as const;
export type Message = { topic: string; body: Record<string, unknown> };

/** A device as the protocol has it: numbers its records over its boots and remembers them for its births. */
export class FakeDevice {
  readonly id: string;
  boot: string = BOOTS[0];
  link = 1;
  seq = 0;
  ts = Date.UTC(2026, 10, 22, 8, 0, 0);
  heartbeatS = 60;
  readonly records: { topic: string; body: AlarmChange }[] = [];
  readonly #since = new Map<string, number>();

  constructor(id = "ft-0042") {
    this.id = id;
  }
  raise(code: string, more: Partial<AlarmChange> = {}): Message {
    this.#since.set(code, this.ts + 1);
    return this.#change(code, { active: true, kind: "raised", ...more });
  }
  change(code: string, more: Partial<AlarmChange> = {}): Message {
    return this.#change(code, { active: true, kind: "changed", ...more });
  }
  clear(code: string, more: Partial<AlarmChange> = {}): Message {
    return this.#change(code, { active: false, kind: "cleared", ...more });
  }
  /** Codes active by its own count. */
  active(): string[] {
    const last = new Map(this.records.map(({ topic, body }) => [topic.split("/").at(-1) ?? "", body.active]));
    return [...last].filter(([, active]) => active).map(([code]) => code);
  }
  state(more: Partial<DeviceState> = {}): Message {
    this.ts += 1;
    const { boot, seq, link, ts } = this;
    const base = { online: true, boot, seq, link, ts, reason: "birth", agent: "0.1.0", heartbeat_s: this.heartbeatS };
    return { topic: topics.state(this.id), body: { ...base, active: this.active().join(" "), ...more } };
  }
  will(): Message {
    const { active: _, ...body } = this.state().body;
    return { topic: topics.state(this.id), body: { ...body, online: false, reason: "will", seq: 0 } };
  }
  tele(code = "self", figures: Record<string, number> = { rss_bytes: 1 }): Message {
    this.ts += 1;
    return { topic: topics.tele(this.id, code), body: { ts: this.ts, ...figures } };
  }
  /** The day's check, with one line for each state named in `states`. */
  daily(
    date: string,
    states: Partial<Record<DailyState, number>> = { ok: 2 },
    more: Partial<DailyCheck> = {},
  ): Message {
    this.seq += 1;
    this.ts += 1;
    const all = DAILY_STATES.flatMap((state) => Array.from({ length: states[state] ?? 0 }, (_, i) => ({ state, i })));
    const body = {
      ...{ date, boot: this.boot, seq: this.seq, ts: this.ts, agent: "0.1.0", config_hash: "c0ffee", cut_count: 0 },
      ...Object.fromEntries(DAILY_STATES.map((state) => [`${state}_count`, states[state] ?? 0])),
      checks: all.map(({ state, i }) => ({
        ...{ check: "disk", name_zh: "磁盘", name_en: "disks", subject: `${state}-${i}`, state },
        ...(state === "ok" ? { readings: { free_pct: 40 + i } } : { reason: "space", says: "3 % left" }),
      })),
      ...more,
    };
    return { topic: topics.daily(this.id), body };
  }
  #change(code: string, more: Partial<AlarmChange>): Message {
    this.seq += 1;
    this.ts += 1;
    const [check = "", subject = "all"] = code.split(".");
    const body: AlarmChange = {
      ...{ active: true, severity: "major", kind: "raised", since: this.#since.get(code) ?? this.ts },
      ...{ boot: this.boot, seq: this.seq, ts: this.ts, check, subject, reason: "space" },
      ...{ title_zh: "磁盘空间不足", title_en: "disk almost full" },
      ...more,
    };
    const record = { topic: topics.alarm(this.id, code), body };
    this.records.push(record);
    return record;
  }
}
