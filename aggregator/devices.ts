import type { Place } from "../protocol/boot.ts";
import type { FailureCode } from "../protocol/failure.ts";
import type { DeviceState } from "../protocol/from-device.ts";
import type { Alarms, Unheard } from "./alarms.ts";
import type { DailyDesk } from "./daily/desk.ts";
import type { Heard, HeardOf, HeardRecord } from "./decode.ts";
import { enterInventory } from "./inventory/desk.ts";
import type { News } from "./news.ts";
import { ackOf, advance, standing, startsAnew, stateOrder } from "./places.ts";
import type { Registry } from "./registry.ts";
import type { DeviceRow, Tx } from "./store.ts";

export interface DeviceRules {
  /** Devices known at most; one more is refused. */
  maxDevices: number;
  /** Telemetry codes one device may have. */
  maxTelemetryCodes: number;
  /** A sign of life is expected so often from a device that did not say, seconds. */
  heartbeatS: number;
  /** Claims the inbox keeps behind the acked place of each device. */
  inboxKeep: number;
}

/** What is remembered between transactions; read inside one, written after its commit from the news. */
export interface DeviceMemory {
  /** Acked number at which the last birth of a device left a hole open. */
  hole(device: string): number | undefined;
}

export interface DeviceParts {
  alarms: Alarms;
  daily: DailyDesk;
  rules: DeviceRules;
  registry: Registry;
  memory: DeviceMemory;
  /** Name of this start of the aggregator: the order of its own alarms. */
  boot: string;
}

/** Claims read at once when an acked place moves over them. */
const PAGE = 500;

/** What a device says of itself: repeats, order and holes of its records, births and wills, signs of life (rules R1, R2). */
export class Devices {
  readonly #alarms: Alarms;
  readonly #daily: DailyDesk;
  readonly #rules: DeviceRules;
  readonly #registry: Registry;
  readonly #memory: DeviceMemory;
  readonly #boot: string;

  constructor(parts: DeviceParts) {
    this.#alarms = parts.alarms;
    this.#daily = parts.daily;
    this.#rules = parts.rules;
    this.#registry = parts.registry;
    this.#memory = parts.memory;
    this.#boot = parts.boot;
  }

  /** Enters one message. What it brings about outside the store goes to `news`. */
  async heard(tx: Tx, message: Heard, news: News): Promise<void> {
    let row = await tx.device(message.device);
    if (row === undefined) {
      if ((await tx.deviceCount()) >= this.#rules.maxDevices) return refuse(news);
      row = this.#stranger(message);
      await tx.saveDevice(row);
      await this.#daily.met(tx, row.id, message.receivedAt);
    }
    if (message.kind === "state") return this.#state(tx, row, message, news);
    const alive = message.retained ? row : await this.#alive(tx, row, message, news);
    if (message.kind === "info") {
      news.named.set(message.device, message.body.inventory_hash);
      return tx.saveInfo(message.device, message.body);
    }
    if (message.kind === "inventory") return this.#inventory(tx, message, news);
    if (message.kind === "tele") return this.#telemetry(tx, message, news);
    return this.#record(tx, alive, message, news);
  }

  /** A device from which nothing came for too long. */
  async silent(tx: Tx, device: string, news: News): Promise<void> {
    const row = await tx.device(device);
    if (row === undefined || row.presence === "silent" || row.presence === "offline") return;
    await this.#presence(tx, row, "silent", news);
  }

  #stranger({ device, receivedAt }: Heard): DeviceRow {
    const { site } = this.#registry(device);
    const row: DeviceRow = {
      ...{ id: device, link: 0, online: false, presence: "unknown", heartbeatS: this.#rules.heartbeatS },
      ...{ seenAt: receivedAt, dropped: 0 },
    };
    return site === undefined ? row : { ...row, site };
  }

  async #telemetry(tx: Tx, message: HeardOf<"tele">, news: News): Promise<void> {
    const { device, code, raw, receivedAt, isLate } = message;
    const most = this.#rules.maxTelemetryCodes;
    if (await tx.saveTelemetry(device, code, { figures: raw, receivedAt, isLate }, most)) news.telemetry.push(message);
    else refuse(news);
  }

  async #inventory(tx: Tx, { body, ...heard }: HeardOf<"inventory">, news: News): Promise<void> {
    if (body !== undefined) news.inventories.set(heard.device, await enterInventory(tx.inventory, { ...heard, body }));
  }

  // Records: alarm changes, moments and daily checks

  async #record(tx: Tx, row: DeviceRow, message: Heard & HeardRecord, news: News): Promise<void> {
    const place: Place = { boot: message.body.boot, seq: message.body.seq };
    const stands = standing(row, place, this.#rules.inboxKeep);
    if (stands === "stale" || stands === "repeat") return this.#repeated(row, message, news);
    let device = stands === "lost" ? startsAnew(row, place.boot) : row;
    if (stands === "lost") {
      await tx.forgetClaims(row.id, Number.MAX_SAFE_INTEGER);
      await tx.saveDevice(device);
    }
    if (!(await this.#claim(tx, message, place))) return this.#repeated(device, message, news);
    if (message.kind === "alarm") await this.#alarms.heard(tx, message, news);
    if (message.kind === "daily" && !(await this.#daily.heard(tx, message))) refuse(news, "DAILY_DATE");
    if (device.boot === undefined || place.boot > device.boot) device = { ...device, boot: place.boot, link: 0 };
    if (device.acked === undefined) {
      if (device !== row) await tx.saveDevice(device);
      return void news.gaps.set(row.id, device.presence !== "offline");
    }
    await this.#moveOn(tx, { ...device, acked: device.acked }, news);
  }

  #claim(tx: Tx, message: Heard & HeardRecord, { boot, seq }: Place): Promise<boolean> {
    const { device, receivedAt, kind, code, raw } = message;
    const branch = BRANCHES[kind](code);
    return tx.claim({ device, boot, seq, receivedAt, branch, payload: raw });
  }

  #repeated(row: DeviceRow, { device, retained }: Heard, news: News): void {
    news.duplicates += 1;
    if (retained) return; // nobody waits for an answer to what the broker kept
    const newest = row.boot === undefined ? undefined : { boot: row.boot, seq: 0 };
    const ack = ackOf(row) ?? (row.floorBoot === undefined ? undefined : newest);
    if (ack !== undefined) news.acks.set(device, ack);
  }

  /** Moves the acked place over what is claimed behind it, and tells the device. */
  async #moveOn(tx: Tx, row: DeviceRow & { acked: Place }, news: News): Promise<void> {
    let acked = row.acked;
    for (;;) {
      const claimed = await tx.claimedAfter(row.id, acked.seq, row.floorBoot ?? "", PAGE);
      const further = advance(acked, claimed);
      const done = claimed.length < PAGE || further.seq === acked.seq;
      const hole = (claimed.at(-1)?.seq ?? 0) > further.seq;
      acked = further;
      if (!done) continue;
      news.gaps.set(row.id, hole);
      break;
    }
    const moved = { ...row, acked };
    await tx.saveDevice(moved);
    if (acked.seq % 64 === 0 || acked.seq - row.acked.seq > 64) {
      await tx.forgetClaims(row.id, acked.seq - this.#rules.inboxKeep);
    }
    const ack = ackOf(moved);
    if (ack !== undefined) news.acks.set(row.id, ack);
  }

  // States: births, wills, goodbyes

  async #state(tx: Tx, row: DeviceRow, message: HeardOf<"state">, news: News): Promise<void> {
    const { body, retained } = message;
    const order = stateOrder(row, body);
    if (order === "older") return this.#older(tx, row, message, news);
    if (body.online && order === "same" && !row.online) return; // the end of this connection was heard already
    const lost = body.online && row.acked !== undefined && body.boot > row.acked.boot && body.seq < row.acked.seq;
    if (lost) await tx.forgetClaims(row.id, Number.MAX_SAFE_INTEGER);
    const known = stated(lost ? startsAnew(row, body.boot) : row, message);
    if (!body.online) {
      news.lives.set(row.id, undefined);
      news.gaps.set(row.id, false); // nobody there to ask
      await this.#presence(tx, known, "offline", news, body.reason === "shutdown" ? "shutdown" : "offline");
      return;
    }
    const there = retained
      ? await this.#believed(tx, known, order, message, news)
      : await this.#alive(tx, known, message, news);
    const active = body.active === undefined ? undefined : new Set(body.active.split(" ").filter(Boolean));
    if (active !== undefined) await this.#alarms.reconcile(tx, row.id, active, body, news);
    if (retained) return tx.saveDevice(there);
    const lacks = active !== undefined && (await this.#alarms.lacks(tx, row.id, active, body));
    if (lacks) news.resyncs.set(row.id, "alarms are active that were not told");
    await this.#close(tx, there, body, news);
  }

  /** A live birth under a boot from the past comes of a device without a clock that lost its state: it is given a later place. */
  async #older(tx: Tx, row: DeviceRow, message: HeardOf<"state">, news: News): Promise<void> {
    const { body, retained } = message;
    if (!body.online || retained || row.boot === undefined || body.boot >= row.boot) return;
    await this.#alive(tx, row, message, news);
    news.acks.set(row.id, ackOf(row) ?? { boot: row.boot, seq: 0 });
  }

  /** A birth closes the snapshot: up to its number everything was told. A hole is closed over only when two births left it. */
  async #close(tx: Tx, row: DeviceRow, { boot, seq, dropped = 0 }: DeviceState, news: News): Promise<void> {
    const { acked } = row;
    const hole = acked !== undefined && acked.seq < seq && dropped === 0;
    const before = news.holes.has(row.id) ? news.holes.get(row.id) : this.#memory.hole(row.id);
    if (hole && before !== acked.seq) {
      news.holes.set(row.id, acked.seq);
      news.resyncs.set(row.id, "a birth left a hole");
      return tx.saveDevice(row);
    }
    news.holes.set(row.id, undefined);
    const later = acked !== undefined && acked.seq > seq ? acked : { boot, seq };
    await this.#moveOn(tx, { ...row, acked: later }, news);
  }

  // Presence

  /** A sign of life, by any live message. */
  async #alive(tx: Tx, row: DeviceRow, message: Heard, news: News): Promise<DeviceRow> {
    const { receivedAt, at } = message;
    const tells = message.kind === "state" || message.kind === "tele" || message.kind === "info";
    const skewMs = tells ? message.body.ts - receivedAt : row.skewMs;
    const alive = { ...row, seenAt: receivedAt, ...(skewMs !== undefined && { skewMs }) };
    news.lives.set(row.id, { at, heartbeatS: row.heartbeatS });
    if (row.presence === "online") {
      await tx.seen(row.id, receivedAt, skewMs);
      return alive;
    }
    return this.#presence(tx, alive, "online", news);
  }

  /** The broker kept a birth: one we had not heard of is believed until its time is up, the one we know says nothing new. */
  async #believed(tx: Tx, row: DeviceRow, order: "newer" | "same", { at }: Heard, news: News): Promise<DeviceRow> {
    const away = row.presence === "offline" || row.presence === "silent";
    if (away && order === "same") return row;
    news.lives.set(row.id, { at, heartbeatS: row.heartbeatS });
    return away ? this.#presence(tx, row, "online", news) : row;
  }

  async #presence(tx: Tx, row: DeviceRow, presence: DeviceRow["presence"], news: News, why?: Unheard) {
    const now: DeviceRow = { ...row, presence };
    await tx.saveDevice(now);
    if (row.presence !== presence) news.changes.push({ at: news.now, kind: "device", row: now });
    const reason = presence === "online" ? undefined : (why ?? "silent");
    await this.#alarms.unheard(tx, row, reason, this.#registry(row.id).offlineSeverity, this.#boot, news);
    return now;
  }
}

const BRANCHES = {
  alarm: (code: string) => `alm/${code}`,
  event: (code: string) => `evt/${code}`,
  daily: () => "daily",
} as const;
const refuse = (news: News, code: FailureCode = "DEVICE_LIMIT"): void =>
  void news.refused.set(code, (news.refused.get(code) ?? 0) + 1);

/** The device as its newest state has it. */
function stated(row: DeviceRow, { body, retained }: HeardOf<"state">): DeviceRow {
  const again = row.boot === body.boot && row.link === body.link && row.stateTs === body.ts;
  return {
    ...row,
    ...{ boot: body.boot, link: body.link, online: body.online, heartbeatS: body.heartbeat_s, agent: body.agent },
    stateTs: body.ts,
    dropped: row.dropped + (again || retained || !body.online ? 0 : (body.dropped ?? 0)),
  };
}
