import { randomBytes } from "node:crypto";
import type { Clock } from "../../platform/clock.ts";
import type { Folder } from "../../platform/files.ts";
import type { Logger } from "../../platform/log.ts";
import { BOOT_PATTERN, nextBoot, type Place } from "../../protocol/boot.ts";
import { Failure } from "../../protocol/failure.ts";
import type { Draft, Kept, KeptAlarm } from "../../protocol/record.ts";
import { type Entry, flat } from "./entries.ts";
import { Holding } from "./holding.ts";
import type { KeptTelemetry, Outbox, OutboxStats } from "./outbox.ts";
import { pack } from "./packed.ts";
import { TwinFiles } from "./twin-files.ts";

export interface JournalOptions {
  /** The state folder. */
  folder: Folder;
  clock: Clock;
  log: Logger;
  /** Flash taken for ever, both files together. */
  maxBytes: number;
  /** A write that takes longer counts as failed; default 10 s. */
  deadlineMs?: number;
  /** While not durable, how often to try again; default 60 s. */
  healEveryMs?: number;
  /** Ten random bytes for a boot's name. */
  random?: () => Uint8Array;
}

const PAGE = 4_096;
/** Telemetry waits in memory for so much, or so long, before it costs a write: flash broker away ≤ 10 MB a day. */
const FLUSH_BYTES = 8_192;
const FLUSH_MS = 600_000;
const MOST_SEQ = 2 ** 52;

/**
 * Was it told? The outbox on flash. Never throws for want of a folder: with a full, read-only, missing, damaged or
 * silent one it knows what could be read, keeps the rest in memory, says so in `stats`, and tries again.
 */
export async function openJournal(options: JournalOptions): Promise<Outbox> {
  const journal = new Journal(options);
  await journal.open();
  return journal;
}

class Journal implements Outbox {
  readonly #options: JournalOptions;
  readonly #files: TwinFiles;
  readonly #room: number;
  readonly #stop = new AbortController();
  #holding = new Holding();
  #boot = "";
  #lane: Promise<unknown> = Promise.resolve();
  /** A call to the folder that has not come back yet, perhaps never will: no second one beside it. */
  #busy = false;
  #durable = false;
  /** The files were ours once: what bears our name in them was written by us. */
  #owned = false;
  #because: string | undefined;
  #healing: Promise<void> | undefined;
  #freed: Place[] = [];
  #noted = "";
  #flushedId = 0;
  #unflushed: { bytes: number; since: number } | undefined;

  constructor(options: JournalOptions) {
    const fileBytes = Math.floor(options.maxBytes / 2 / PAGE) * PAGE;
    this.#options = options;
    this.#files = new TwinFiles(options.folder, fileBytes);
    this.#room = fileBytes / 2; // a snapshot leaves half a file to write on: it costs at most twice what was appended
  }

  async open(): Promise<void> {
    const { clock, random = () => randomBytes(10) } = this.#options;
    let trouble: { cause: unknown } | undefined;
    try {
      this.#holding = await this.#within(() => this.#files.survey());
    } catch (cause) {
      trouble = { cause };
    }
    this.#boot = nextBoot(clock.wall(), random(), this.#holding.boot);
    this.#holding.apply({ k: "start", boot: this.#boot });
    this.#holding.trim(this.#room);
    this.#flushedId = this.#holding.nextId - 1;
    this.#noted = this.#notable();
    try {
      if (trouble !== undefined) throw trouble.cause;
      await this.#within(() => this.#begin([{ k: "start", boot: this.#boot }]));
      this.#durable = true;
    } catch (cause) {
      this.#degrade(cause);
    }
    const { skippedBytes } = this.#files;
    if (skippedBytes > 0) this.#options.log.warn({ event: "journal.damaged", skippedBytes }, "stepped over damage");
  }

  get boot(): string {
    return this.#boot;
  }
  get seq(): number {
    return this.#holding.seq;
  }
  latest(): readonly KeptAlarm[] {
    return this.#holding.latest();
  }
  pending(): readonly Kept[] {
    return this.#holding.pending();
  }
  days(): readonly string[] {
    return this.#holding.days();
  }
  telemetry(): readonly KeptTelemetry[] {
    return this.#holding.telemetry();
  }

  append(drafts: readonly Draft[]): Promise<readonly Kept[]> {
    return this.#inTurn(async () => {
      const ts = Math.trunc(this.#options.clock.wall());
      const { seq } = this.#holding;
      const kept = drafts.map((draft, index) => keptOf(draft, { boot: this.#boot, seq: seq + 1 + index, ts }));
      const entries = kept.map((one): Entry => ({ k: "record", pending: true, kept: one }));
      if (entries.length > 0) await this.#persist(entries, true);
      this.#learn(entries); // only now: what is seen here is published
      return kept;
    });
  }

  free(place: Place): void {
    if (!this.#holding.free(place)) return;
    this.#freed = this.#freed.filter(({ boot, seq }) => boot > place.boot || seq > place.seq);
    this.#freed.push({ boot: place.boot, seq: place.seq });
  }

  adopt(place: Place): Promise<string> {
    return this.#inTurn(async () => {
      if (place.boot <= this.#boot) return this.#boot;
      this.#rename(place);
      if (this.#durable) await this.#attempt(() => this.#files.snapshot(this.#everything()));
      return this.#boot;
    });
  }

  async keepTelemetry(telemetry: readonly Omit<KeptTelemetry, "id">[]): Promise<void> {
    const before = this.#holding.bytes;
    this.#learn(
      telemetry.map(({ code, body }, index): Entry => {
        return { k: "telemetry", kept: { id: this.#holding.nextId + index, code, body: flat(body) } };
      }),
    );
    this.#unflushed ??= { bytes: 0, since: this.#options.clock.now() };
    this.#unflushed.bytes += Math.max(0, this.#holding.bytes - before);
    const { bytes, since } = this.#unflushed;
    if (bytes < FLUSH_BYTES && this.#options.clock.now() - since < FLUSH_MS) return;
    this.#unflushed = undefined;
    await this.#inTurn(() => this.#persist([], false));
  }

  freeTelemetry(upToId: number): void {
    this.#holding.freeTelemetry(upToId);
  }

  toldDropped(records: number): void {
    const { dropped } = this.#holding;
    this.#holding.dropped = { ...dropped, told: Math.max(dropped.told ?? 0, Math.min(records, dropped.records)) };
  }

  stats(): OutboxStats {
    const pending = this.#holding.pending();
    const oldest = pending[0];
    return {
      durable: this.#durable,
      ...(this.#because === undefined ? {} : { because: this.#because }),
      pending: pending.length,
      pendingBytes: this.#holding.pendingBytes,
      roomBytes: this.#room,
      ...(oldest === undefined ? {} : { oldestTs: oldest.body.ts }),
      droppedTelemetry: this.#holding.dropped.telemetry,
      droppedRecords: this.#holding.dropped.records,
      untoldRecords: this.#holding.dropped.records - (this.#holding.dropped.told ?? 0),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#inTurn(() => this.#persist([], true));
    this.#durable = false;
    await this.#within(() => this.#files.close()).catch(() => undefined); // a silent disk must not keep us from ending
  }

  /** One after the other; each ends by its deadline at the latest. */
  #inTurn<T>(job: () => Promise<T>): Promise<T> {
    const done = this.#lane.then(job);
    this.#lane = done.catch(() => undefined);
    return done;
  }

  /** Opens the files and goes on in them with `entries`, or with a snapshot where that cannot be. */
  async #begin(entries: readonly Entry[]): Promise<void> {
    await this.#files.open();
    this.#owned = true;
    if (!(await this.#files.append(entries, true))) await this.#files.snapshot(this.#everything());
  }

  /** Makes `entries`, and what happened since the last write, durable. Never throws: what cannot be written degrades us. */
  async #persist(entries: readonly Entry[], sync: boolean): Promise<void> {
    if (!this.#durable) return;
    const upTo = this.#holding.nextId - 1;
    const fresh = this.#holding.telemetry().filter(({ id }) => id > this.#flushedId);
    const batch = [...this.#note(), ...fresh.map((kept): Entry => ({ k: "telemetry", kept })), ...entries];
    if (batch.length === 0) return;
    await this.#attempt(async () => {
      if (await this.#files.append(batch, sync)) return;
      await this.#files.snapshot([...this.#everything(), ...entries]);
    });
    this.#flushedId = upTo;
    this.#unflushed = undefined;
  }

  #everything(): Entry[] {
    this.#freed = [];
    this.#noted = this.#notable();
    return this.#holding.snapshot();
  }

  #note(): Entry[] {
    if (this.#freed.length === 0 && this.#noted === this.#notable()) return [];
    const { telemetryFrom, dropped } = this.#holding;
    const freed = this.#freed;
    this.#freed = [];
    this.#noted = this.#notable();
    return [{ k: "note", freed, telemetryFrom: Math.min(telemetryFrom, this.#flushedId + 1), dropped }];
  }

  /** What a note would say beside the frees; telemetry that never was on flash needs none. */
  #notable(): string {
    const { telemetryFrom, dropped } = this.#holding;
    return JSON.stringify([Math.min(telemetryFrom, this.#flushedId + 1), dropped]);
  }

  #learn(entries: readonly Entry[]): void {
    for (const entry of entries) this.#holding.apply(entry);
    this.#holding.trim(this.#room);
  }

  #rename({ boot, seq }: Place): void {
    const { clock, random = () => randomBytes(10) } = this.#options;
    const later = nextBoot(clock.wall(), random(), boot);
    if (!BOOT_PATTERN.test(later) || seq > MOST_SEQ) {
      throw new Failure("MESSAGE_INVALID", "no place can follow this one", { facts: { boot, seq } });
    }
    this.#boot = later;
    this.#holding.rename(later, Math.max(this.#holding.seq, seq));
    this.#options.log.warn({ event: "journal.adopted", boot: later, seq: this.#holding.seq }, "took over a lost past");
  }

  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await this.#within(work);
      return true;
    } catch (cause) {
      this.#degrade(cause);
      return false;
    }
  }

  /** Runs one call to the folder, for so long as the deadline lets it. */
  async #within<T>(work: () => Promise<T>): Promise<T> {
    const { clock, deadlineMs = 10_000 } = this.#options;
    if (this.#busy) throw silent(this.#options.folder.path, deadlineMs);
    this.#busy = true;
    const cut = new AbortController();
    const job = (async () => {
      try {
        return await work();
      } finally {
        this.#busy = false;
      }
    })();
    const late = clock
      .sleep(deadlineMs, cut.signal)
      .then(() => Promise.reject(silent(this.#options.folder.path, deadlineMs)));
    try {
      return await Promise.race([job, late]);
    } finally {
      cut.abort();
    }
  }

  #degrade(cause: unknown): void {
    const because = cause instanceof Error ? cause.message : String(cause);
    if (this.#because !== because) {
      this.#options.log.error({ event: "journal.unwritable", because }, "alarms are kept in memory only");
    }
    this.#durable = false;
    this.#because = because;
    this.#healing ??= this.#heal();
  }

  async #heal(): Promise<void> {
    const { clock, healEveryMs = 60_000, log } = this.#options;
    while (!this.#durable) {
      const woken = await clock.sleep(healEveryMs, this.#stop.signal).then(
        () => true,
        () => false,
      );
      if (!woken) return;
      await this.#inTurn(() => this.#mend());
    }
    this.#healing = undefined;
    log.info({ event: "journal.durable" }, "the state folder can be written again");
  }

  /** One try to be durable again: all of memory as a snapshot, after whatever was found there. */
  async #mend(): Promise<void> {
    const mended = await this.#attempt(async () => {
      await this.#files.close(); // what is open may belong to a folder or a file system that is gone
      await this.#overtake();
      await this.#files.open();
      this.#owned = true;
      const upTo = this.#holding.nextId - 1;
      await this.#files.snapshot(this.#everything());
      this.#flushedId = upTo;
    });
    if (!mended) return;
    this.#durable = true;
    this.#because = undefined;
  }

  /** A folder we could not use may hold a later start than ours (another agent's, or an unread one): come after it. */
  async #overtake(): Promise<void> {
    const found = await this.#files.survey();
    if (found.boot === undefined || (this.#owned && found.boot === this.#boot)) return;
    if (found.boot >= this.#boot) this.#rename({ boot: found.boot, seq: found.seq });
  }
}

/** The draft at its place, as flash and wire want it. */
function keptOf(draft: Draft, place: Place & { ts: number }): Kept {
  if (draft.kind === "daily") return { ...draft, body: { ...place, ...pack(draft.body) } };
  return { ...draft, body: flat({ ...draft.body, ...place }) } as Kept;
}

const silent = (path: string, afterMs: number): Failure =>
  new Failure("JOURNAL_UNWRITABLE", `the state folder did not answer within ${afterMs} ms`, {
    facts: { path, afterMs },
  });
