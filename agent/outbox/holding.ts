import { comparePlaces, type Place } from "../../protocol/boot.ts";
import type { Kept, KeptAlarm } from "../../protocol/record.ts";
import { compact, type Item, lastChanges, MOST_CLEARED, type Sample, weigh } from "./compact.ts";
import type { Dropped, Entry } from "./entries.ts";
import { FRAME_BYTES } from "./frames.ts";
import type { KeptTelemetry } from "./outbox.ts";

/** Days remembered as checked: a clock set back by less finds them. */
const MOST_DAYS = 40;

/** What the device remembers, in memory: fed by journal entries, and written as a snapshot of them. Touches no file. */
export class Holding {
  /** The latest start heard of; undefined in a journal that never was. */
  boot: string | undefined;
  seq = 0;
  dropped: Dropped = { telemetry: 0, records: 0 };
  #items: Item[] = [];
  #last = new Map<string, Item>();
  #itemBytes = 0;
  #samples: Sample[] = [];
  #sampleBytes = 0;
  #nextId = 1;
  #days: string[] = [];
  #pending: readonly Kept[] | undefined;
  #latest: readonly KeptAlarm[] | undefined;

  /** Bytes all of this takes on flash, about. */
  get bytes(): number {
    return this.#itemBytes + this.#sampleBytes;
  }
  get pendingBytes(): number {
    return weigh(this.#items.filter(({ pending }) => pending));
  }
  /** The id the next telemetry gets. */
  get nextId(): number {
    return this.#nextId;
  }
  /** The oldest telemetry id that is still held; everything before it is gone. */
  get telemetryFrom(): number {
    return this.#samples[0]?.kept.id ?? this.#nextId;
  }
  pending(): readonly Kept[] {
    this.#pending ??= this.#items.filter(({ pending }) => pending).map(({ kept }) => kept);
    return this.#pending;
  }
  latest(): readonly KeptAlarm[] {
    this.#latest ??= newest([...this.#last.values()].map(({ kept }) => kept).filter(isAlarm));
    return this.#latest;
  }
  /** The days whose daily check was made, the latest made last. */
  days(): readonly string[] {
    return this.#days;
  }
  telemetry(): readonly KeptTelemetry[] {
    return this.#samples.map(({ kept }) => kept);
  }

  /** Learns one entry. The same entry twice, or an older snapshot before a newer one, does no harm. */
  apply(entry: Entry): void {
    switch (entry.k) {
      case "head":
        this.#start(entry.boot);
        this.seq = Math.max(this.seq, entry.seq);
        this.#nextId = Math.max(this.#nextId, entry.nextId);
        this.#drop(entry.dropped);
        for (const day of entry.days ?? []) this.#made(day);
        break;
      case "start":
        this.#start(entry.boot);
        break;
      case "record":
        this.#keep(entry.kept, entry.pending);
        break;
      case "telemetry":
        this.#sample(entry.kept);
        break;
      case "note":
        for (const place of entry.freed) this.free(place);
        this.freeTelemetry(entry.telemetryFrom - 1);
        this.#nextId = Math.max(this.#nextId, entry.telemetryFrom);
        this.#drop(entry.dropped);
        break;
      case "end":
        break;
    }
  }

  /** Frees every record at or before `place`; returns whether there was one. */
  free({ boot, seq }: Place): boolean {
    const freed = this.#items.filter(({ kept, pending }) => pending && kept.body.boot <= boot && kept.body.seq <= seq);
    for (const item of freed) item.pending = false;
    if (freed.length > 0) this.#replace(this.#items.filter((item) => item.pending || this.#isLast(item)));
    return freed.length > 0;
  }

  freeTelemetry(upToId: number): void {
    const kept = this.#samples.findIndex((sample) => sample.kept.id > upToId);
    this.#sampleBytes -= weigh(this.#samples.splice(0, kept === -1 ? this.#samples.length : kept));
  }

  /** Gives up what does not fit into `room` bytes, and an eighth more: so that the next entry does not need it again. */
  trim(room: number): void {
    if (this.bytes <= room && this.#sampleBytes <= room / 2) return;
    const left = compact({ items: this.#items, samples: this.#samples, dropped: this.dropped }, room - room / 8);
    this.#replace([...left.items]);
    this.#samples = [...left.samples];
    this.#sampleBytes = weigh(left.samples);
    this.dropped = left.dropped;
  }

  /** The same facts under a new start and new numbers after `seq`: what is left of a history nobody knows any more. */
  rename(boot: string, seq: number): void {
    const items = this.#items.map(({ kept }, index) => {
      const body = { ...kept.body, boot, seq: seq + 1 + index };
      return itemOf({ ...kept, body } as Kept, true);
    });
    this.boot = boot;
    this.seq = seq + items.length;
    this.#replace(items);
  }

  /** Everything as entries, without the end that closes a snapshot. */
  snapshot(): Entry[] {
    if (this.boot === undefined) throw new RangeError("a snapshot before any start");
    return [
      {
        ...{ k: "head", v: 1, boot: this.boot, seq: this.seq, nextId: this.#nextId, dropped: this.dropped },
        ...(this.#days.length === 0 ? {} : { days: this.#days }),
      },
      ...this.#items.map(({ kept, pending }): Entry => ({ k: "record", pending, kept })),
      ...this.#samples.map(({ kept }): Entry => ({ k: "telemetry", kept })),
    ];
  }

  #start(boot: string): void {
    if (this.boot === undefined || boot > this.boot) this.boot = boot;
  }

  #drop({ telemetry, records, told = 0 }: Dropped): void {
    const { dropped } = this;
    this.dropped = {
      telemetry: Math.max(dropped.telemetry, telemetry),
      records: Math.max(dropped.records, records),
      told: Math.max(dropped.told ?? 0, told),
    };
  }

  /** A day's check was made: remembered beyond its ack, so that no day gets a second one. */
  #made(day: string): void {
    if (!this.#days.includes(day)) this.#days = [...this.#days, day].slice(-MOST_DAYS);
  }

  #keep(kept: Kept, pending: boolean): void {
    if (kept.kind === "daily") this.#made(kept.body.date);
    this.#start(kept.body.boot);
    this.seq = Math.max(this.seq, kept.body.seq);
    const before = this.#items.findLastIndex((item) => comparePlaces(item.kept.body, kept.body) <= 0);
    const same = this.#items[before];
    if (same !== undefined && comparePlaces(same.kept.body, kept.body) === 0) {
      same.pending = same.pending && pending; // what either snapshot knows to be freed is freed
    } else {
      const item = itemOf(kept, pending);
      this.#items.splice(before + 1, 0, item);
      this.#itemBytes += item.bytes;
      this.#supersede(item);
    }
    this.#pending = undefined;
    this.#latest = undefined;
  }

  /** Makes it the last change of its code, if it is; an acknowledged one before it serves nobody any more. */
  #supersede(item: Item): void {
    if (item.kept.kind !== "alarm") return;
    const last = this.#last.get(item.kept.code);
    if (last !== undefined && comparePlaces(last.kept.body, item.kept.body) > 0) return;
    this.#last.set(item.kept.code, item);
    if (last === undefined || last.pending) return;
    this.#items.splice(this.#items.indexOf(last), 1);
    this.#itemBytes -= last.bytes;
  }

  #sample(kept: KeptTelemetry): void {
    const sample: Sample = { kept, bytes: costOf({ k: "telemetry", kept }) };
    if (kept.id >= this.#nextId) this.#samples.push(sample);
    else if (this.#samples.some((one) => one.kept.id === kept.id)) return;
    else this.#samples = [...this.#samples, sample].sort((a, b) => a.kept.id - b.kept.id);
    this.#nextId = Math.max(this.#nextId, kept.id + 1);
    this.#sampleBytes += sample.bytes;
  }

  #isLast(item: Item): boolean {
    return this.#last.get(item.kept.code) === item;
  }

  #replace(items: Item[]): void {
    this.#items = items;
    this.#last = lastChanges(items);
    this.#itemBytes = weigh(items);
    this.#pending = undefined;
    this.#latest = undefined;
  }
}

const itemOf = (kept: Kept, pending: boolean): Item => ({
  kept,
  pending,
  bytes: costOf({ k: "record", pending, kept }),
});
const isAlarm = (kept: Kept): kept is KeptAlarm => kept.kind === "alarm";
const costOf = (entry: Entry): number => FRAME_BYTES + Buffer.byteLength(JSON.stringify(entry));

/** Active alarms, and of the cleared ones the newest, by place. */
function newest(alarms: readonly KeptAlarm[]): KeptAlarm[] {
  const cleared = alarms.filter(({ body }) => !body.active).sort((a, b) => comparePlaces(a.body, b.body));
  const old = new Set(cleared.slice(0, Math.max(0, cleared.length - MOST_CLEARED)));
  return alarms.filter((alarm) => !old.has(alarm)).sort((a, b) => comparePlaces(a.body, b.body));
}
