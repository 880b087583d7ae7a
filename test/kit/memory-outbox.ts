import type { KeptTelemetry, Outbox, OutboxStats } from "../../agent/outbox/outbox.ts";
import { pack } from "../../agent/outbox/packed.ts";
import type { Clock } from "../../platform/clock.ts";
import { comparePlaces, nextBoot, type Place } from "../../protocol/boot.ts";
import type { Draft, Kept, KeptAlarm } from "../../protocol/record.ts";

/** The outbox as simply as it can be said: lists, no limits, no flash. Model of the journal, and stand-in for it. */
export class MemoryOutbox implements Outbox {
  boot: string;
  seq = 0;
  readonly #clock: Clock;
  #all: { kept: Kept; pending: boolean }[] = [];
  #telemetry: KeptTelemetry[] = [];
  #nextId = 1;
  /** Records given up, as a test wants it. */
  dropped = 0;
  #told = 0;

  constructor(clock: Clock, boot = nextBoot(clock.wall(), new Uint8Array(10))) {
    this.#clock = clock;
    this.boot = boot;
  }
  latest(): readonly KeptAlarm[] {
    const byCode = new Map<string, KeptAlarm>();
    for (const { kept } of this.#all) if (kept.kind === "alarm") byCode.set(kept.code, kept);
    const cleared = [...byCode.values()].filter(({ body }) => !body.active);
    const old = cleared.sort((a, b) => comparePlaces(b.body, a.body)).slice(256);
    return [...byCode.values()].filter((one) => !old.includes(one)).sort((a, b) => comparePlaces(a.body, b.body));
  }
  pending(): readonly Kept[] {
    return this.#all.filter(({ pending }) => pending).map(({ kept }) => kept);
  }
  async append(drafts: readonly Draft[]): Promise<readonly Kept[]> {
    const kept = drafts.map((draft) => {
      this.seq += 1;
      const place = { boot: this.boot, seq: this.seq, ts: this.#clock.wall() };
      const body = draft.kind === "daily" ? pack(draft.body) : draft.body;
      return { ...draft, body: { ...body, ...place } } as Kept;
    });
    this.#all.push(...kept.map((one) => ({ kept: one, pending: true })));
    return kept;
  }
  free({ boot, seq }: Place): void {
    for (const item of this.#all) if (item.kept.body.boot <= boot && item.kept.body.seq <= seq) item.pending = false;
  }
  async adopt(place: Place): Promise<string> {
    if (place.boot <= this.boot) return this.boot;
    const known = new Set<Kept>([...this.latest(), ...this.pending()]);
    this.boot = nextBoot(this.#clock.wall(), new Uint8Array(10), place.boot);
    this.seq = Math.max(this.seq, place.seq);
    this.#all = this.#all
      .filter(({ kept }) => known.has(kept))
      .map(({ kept }) => {
        this.seq += 1;
        return { kept: { ...kept, body: { ...kept.body, boot: this.boot, seq: this.seq } } as Kept, pending: true };
      });
    return this.boot;
  }
  async keepTelemetry(telemetry: readonly Omit<KeptTelemetry, "id">[]): Promise<void> {
    for (const one of telemetry) {
      this.#telemetry.push({ ...one, id: this.#nextId });
      this.#nextId += 1;
    }
  }
  days(): readonly string[] {
    const days = this.#all.flatMap(({ kept }) => (kept.kind === "daily" ? [kept.body.date] : []));
    return [...new Set(days)].slice(-40);
  }
  telemetry(): readonly KeptTelemetry[] {
    return [...this.#telemetry];
  }
  freeTelemetry(upToId: number): void {
    this.#telemetry = this.#telemetry.filter(({ id }) => id > upToId);
  }
  toldDropped(records: number): void {
    this.#told = records;
  }
  stats(): OutboxStats {
    const pending = this.pending();
    const [oldest] = pending;
    return {
      durable: true,
      pending: pending.length,
      pendingBytes: pending.reduce((sum, kept) => sum + JSON.stringify(kept).length, 0),
      roomBytes: 1_048_576,
      ...(oldest === undefined ? {} : { oldestTs: oldest.body.ts }),
      droppedTelemetry: 0,
      droppedRecords: this.dropped,
      untoldRecords: this.dropped - this.#told,
    };
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}
