import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIP } from "node:net";
import snmp, { type Session, type Varbind } from "net-snmp";
import { Failure } from "../protocol/failure.ts";
import { failureOf, type Line, type Place, placeName } from "./dial.ts";
import { addressesOf } from "./names.ts";
import { Guard, INVALID } from "./snmp-guard.ts";

/** Who we are to the device: a community, or a user of SNMPv3 (RFC 3414). */
export type SnmpAccess =
  | { version: "1" | "2c"; community: string }
  | {
      version: "3";
      user: string;
      auth?: { protocol: SnmpAuth; password: string };
      priv?: { protocol: SnmpPriv; password: string };
      context?: string;
    };
export type SnmpAuth = "md5" | "sha" | "sha224" | "sha256" | "sha384" | "sha512";
export type SnmpPriv = "des" | "aes" | "aes256b" | "aes256r";

/** Counter64 is a bigint; undefined: the device has no such thing. */
export type SnmpValue = number | bigint | string | Buffer | undefined;

/** Questions to one device over one socket. All reject with Failure DIAL_*, SNMP_AUTH or SNMP_INVALID. */
export interface Snmp {
  get(oids: readonly string[]): Promise<SnmpValue[]>;
  /** One column of a table, by index, at most `most` rows. */
  column(oid: string, most: number): Promise<Map<string, SnmpValue>>;
  close(): void;
}

const REPETITIONS = 20;
const COUNTER64 = 70;
const MISSING = new Set([128, 129, 130]); // noSuchObject, noSuchInstance, endOfMibView
const TOO_BIG = 1;
const NO_SUCH_NAME = 2;
const AUTHORIZATION_ERROR = 16;

/**
 * Opens a socket towards the device; nothing is sent yet. It is connected, so that the kernel drops what comes from
 * elsewhere and tells when the port is closed. `tryMs`: after so long without an answer a question is sent once more.
 */
export async function openSnmp(to: Place, access: SnmpAccess, tryMs: number, line: Line): Promise<Snmp> {
  const [address = to.host] = await addressesOf(to.host, line.signal, line.names);
  const transport = isIP(address) === 6 ? "udp6" : "udp4";
  const socket = createSocket(transport);
  socket.unref();
  try {
    const connected = once(socket, "connect");
    socket.connect(to.port, address);
    await connected;
  } catch (cause) {
    socket.close();
    throw failureOf(placeName(to), cause);
  }
  return new OpenSnmp(placeName(to), socket, access, (guard) =>
    sessionOf(address, access, {
      port: to.port,
      transport,
      timeout: tryMs,
      retries: 1,
      backwardsGetNexts: false,
      reportOidMismatchErrors: true,
      dgramModule: { createSocket: () => guard },
    }),
  );
}

type SessionOptions = Omit<Parameters<typeof snmp.createSession>[2], "version">;

function sessionOf(address: string, access: SnmpAccess, options: SessionOptions): Session {
  if (access.version !== "3") {
    const version = access.version === "1" ? snmp.Version1 : snmp.Version2c;
    return snmp.createSession(address, access.community, { ...options, version });
  }
  const { user, auth, priv, context } = access;
  const { authPriv, authNoPriv, noAuthNoPriv } = snmp.SecurityLevel;
  const level = auth === undefined ? noAuthNoPriv : priv === undefined ? authNoPriv : authPriv;
  return snmp.createV3Session(
    address,
    {
      name: user,
      level,
      ...(auth && { authProtocol: snmp.AuthProtocols[auth.protocol], authKey: auth.password }),
      ...(auth && priv && { privProtocol: snmp.PrivProtocols[priv.protocol], privKey: priv.password }),
    },
    { ...options, version: snmp.Version3, ...(context === undefined ? {} : { context }) },
  );
}

class OpenSnmp implements Snmp {
  readonly #place: string;
  readonly #session: Session;
  /** SNMPv1 knows one row at a time only. */
  readonly #hasBulk: boolean;
  readonly #waiting = new Set<(cause: unknown) => void>();
  /** Something came that is no SNMP: worth saying when nothing better comes. */
  #heardNoise = false;
  #open = true;

  constructor(place: string, socket: Socket, access: SnmpAccess, begin: (guard: Guard) => Session) {
    this.#place = place;
    this.#hasBulk = access.version !== "1";
    const broken = (cause: unknown): void => {
      for (const reject of [...this.#waiting]) reject(cause);
    };
    const noise = (): void => {
      this.#heardNoise = true;
    };
    const needsAuth = access.version === "3" && access.auth !== undefined;
    this.#session = begin(new Guard(socket, needsAuth, broken, noise));
    this.#session.on("error", noise);
  }

  async get(oids: readonly string[]): Promise<SnmpValue[]> {
    try {
      const varbinds = await this.#ask<Varbind[]>((done) => this.#session.get([...oids], done));
      return varbinds.map(plainValue);
    } catch (cause) {
      // SNMPv1 has no word for "I have all but one of them", and a small device none for "too much at once"
      const { status = 0 } = cause instanceof Failure ? cause.facts : {};
      if (status !== TOO_BIG && status !== NO_SUCH_NAME) throw cause;
      if (oids.length === 1) return [undefined];
      const half = Math.ceil(oids.length / 2);
      return [...(await this.get(oids.slice(0, half))), ...(await this.get(oids.slice(half)))];
    }
  }

  async column(oid: string, most: number): Promise<Map<string, SnmpValue>> {
    const rows = new Map<string, SnmpValue>();
    for (let last = oid; rows.size < most; ) {
      const before = last;
      for (const varbind of await this.#next(before)) {
        if (MISSING.has(varbind.type) || !varbind.oid.startsWith(`${oid}.`)) return rows;
        if (!follows(last, varbind.oid)) throw this.#invalid("its table runs in a circle");
        last = varbind.oid;
        if (rows.size < most) rows.set(last.slice(oid.length + 1), plainValue(varbind));
      }
      if (last === before) return rows;
    }
    return rows;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#session.close();
  }

  async #next(oid: string): Promise<Varbind[]> {
    try {
      if (!this.#hasBulk) return await this.#ask<Varbind[]>((done) => this.#session.getNext([oid], done));
      const found = await this.#ask<Varbind[][]>((done) => this.#session.getBulk([oid], 0, REPETITIONS, done));
      return found[0] ?? [];
    } catch (cause) {
      if (cause instanceof Failure && cause.facts["status"] === NO_SUCH_NAME) return [];
      throw cause;
    }
  }

  /** The library's own words hold communities and digests: they go no further. */
  #ask<T>(question: (done: (error: Error | null, answer?: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (!this.#open) return reject(this.#invalid("its session was closed"));
      const settle = (error: unknown, answer?: T): void => {
        this.#waiting.delete(settle);
        if (error === null && answer !== undefined) resolve(answer);
        else reject(this.#failureOf(error));
      };
      this.#waiting.add(settle);
      question(settle);
    });
  }

  #failureOf(error: unknown): Failure {
    const { name = "", code = 0, status = 0 } = error instanceof Error ? (error as LibraryError) : {};
    const place = this.#place;
    if (name === "RequestTimedOutError" && !this.#heardNoise)
      return new Failure("DIAL_TIMEOUT", `${place} does not answer`, { facts: { place, phase: "owed an answer" } });
    if (name === "RequestFailedError" && status === AUTHORIZATION_ERROR) return this.#refused();
    if (name === "RequestFailedError")
      return new Failure("SNMP_INVALID", `${place} refuses the question, error ${status}`, {
        facts: { place, status },
      });
    if (code === INVALID || name === "RequestTimedOutError") return this.#invalid("what it answers is no SNMP");
    if (AUTH.has(Number(code))) return this.#refused();
    if (name === "ResponseInvalidError") return this.#invalid(`its answer does not fit the question (${code})`);
    return failureOf(place, Object.assign(new Error("socket"), { code: typeof code === "string" ? code : "failed" }));
  }

  #refused(): Failure {
    const place = this.#place;
    return new Failure("SNMP_AUTH", `${place} refuses user, password or protocol`, { facts: { place } });
  }

  #invalid(why: string): Failure {
    return new Failure("SNMP_INVALID", `${this.#place}: ${why}`, { facts: { place: this.#place } });
  }
}

interface LibraryError extends Error {
  code?: number | string;
  status?: number;
}

/** ResponseInvalidCode of net-snmp: could not decrypt, authentication failure, unexpected report, outside the time window. */
const AUTH = new Set([4, 5, 11, 14]);

function plainValue({ type, value }: Varbind): SnmpValue {
  if (MISSING.has(type)) return undefined;
  if (type === COUNTER64 && value instanceof Buffer)
    return value.length > 9 ? undefined : BigInt(`0x${value.toString("hex") || "0"}`);
  return typeof value === "number" || typeof value === "string" || value instanceof Buffer ? value : undefined;
}

/** Whether one object identifier comes after another. */
export function follows(before: string, after: string): boolean {
  const a = before.split(".").map(Number);
  const b = after.split(".").map(Number);
  for (const [i, part] of b.entries()) {
    const other = a[i];
    if (other === undefined || part > other) return true;
    if (part < other) return false;
  }
  return false;
}
