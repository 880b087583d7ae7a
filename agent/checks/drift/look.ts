import { createHash, createHmac } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../../../platform/clock.ts";
import type { FileStat, Machine } from "../../../platform/machine.ts";
import { discreetName, type Redact } from "../../../platform/redact.ts";
import type { Span } from "../../../platform/searched.ts";
import { errnoOf, type Found, findAt, namesIn, readSteady, type Steady } from "../../../platform/steady-file.ts";
import { fingerprint } from "../../../protocol/topics.ts";
import type { FileConfig } from "./config.ts";
import { type Hiding, isSealed, type Line, linesOf } from "./lines.ts";
import type { Member, Rights, Seen } from "./store.ts";

/** What is there now: the look at one configured path, cheap as long as nothing changes. */

const MOST_MEMBERS = 200;
const MOST_DEPTH = 8;
/** A file that changed so shortly before it was read may have changed again within the same tick of the file system. */
const RACY_MS = 2_000;

export interface LookParts {
  machine: Machine;
  clock: Clock;
  key: Uint8Array;
  redact: Redact;
  /** How a file is read: `readSteady` where nothing else is given. */
  read?: typeof readSteady;
}

interface Known {
  mark: string;
  readAt: number;
  seen: Member;
}

/** The lines of a file, with the hash of just this content. */
interface Text {
  hash: string;
  lines: readonly Line[];
}

/** One configured path from look to look. */
export class Look {
  readonly #config: FileConfig;
  readonly #parts: LookParts;
  readonly #hiding: Hiding;
  #known = new Map<string, Known>();
  /** Of the last look, until `forget`: to tell and to keep what has changed takes the same text. */
  readonly #texts = new Map<string, Text>();
  readonly #realNames = new Map<string, string>();
  #last: Seen | undefined;
  /** What this look could not take from the one before. */
  #fresh = 0;

  constructor(config: FileConfig, parts: LookParts) {
    this.#config = config;
    this.#parts = parts;
    this.#hiding = {
      find: secretsIn(parts.redact),
      keys: config.secretKeys.map((key) => key.toLowerCase()),
      seal: (text) => this.#seal(`line\0${text}`).slice(0, 12),
    };
  }

  /**
   * What is at the path; the very same object when nothing has changed. Content is read anew where something did, and
   * where the last reading is older than `rereadMs`. Never rejects: what cannot be read is seen as unreadable.
   */
  async now(rereadMs: number): Promise<Seen> {
    const known = new Map<string, Known>();
    this.forget();
    this.#fresh = 0;
    const top = await this.#at("", rereadMs, known);
    const seen = top.kind === "folder" ? await this.#folder(top, rereadMs, known) : top;
    const isSame = this.#fresh === 0 && known.size === this.#known.size;
    this.#known = known;
    if (isSame && this.#last !== undefined) return this.#last;
    if (this.#last === undefined || JSON.stringify(this.#last) !== JSON.stringify(seen)) this.#last = seen;
    return this.#last;
  }

  /**
   * The lines of a file in it (`""`: the path itself), with the hash of just this content; undefined where nothing may be
   * shown or it is no text. Never rejects.
   */
  async lines(name: string): Promise<Text | undefined> {
    const known = this.#texts.get(name);
    if (known !== undefined || this.#config.secret) return known;
    const read = await this.#readFile(name).catch(() => undefined); // the verdict says that it cannot be read
    return read?.got === "whole" ? this.#textOf(read.bytes) : undefined;
  }

  /** Lets go of the texts of the last look. */
  forget(): void {
    this.#texts.clear();
  }

  #textOf(bytes: Buffer): Text | undefined {
    if (this.#config.secret || bytes.includes(0)) return undefined;
    return { hash: this.#seal(bytes), lines: linesOf(bytes.toString("utf8"), this.#hiding) };
  }

  /** What the path is called in our own files. */
  get name(): string {
    return this.#named(this.#config.path);
  }

  /** Lines kept earlier, with hidden what is secret by today's config. */
  hidden(lines: readonly Line[]): Line[] {
    return lines.map((line) => (typeof line === "string" ? (linesOf(line, this.#hiding)[0] ?? line) : line));
  }

  #real(name: string): string {
    const { path } = this.#config;
    return this.#parts.machine.at(name === "" ? path : join(path, this.#realNames.get(name) ?? name));
  }

  /** File names and link targets are kept and told, too. */
  #named(name: string): string {
    const plain = discreetName(name, this.#parts.redact, fingerprint);
    return plain === "__proto__" ? "./__proto__" : plain; // no object can hold it by its own name
  }

  #readFile(name: string): Promise<Steady> {
    return (this.#parts.read ?? readSteady)(this.#real(name), this.#config.maxBytes);
  }

  #seal(content: string | Uint8Array): string {
    return createHmac("sha256", this.#parts.key).update(content).digest("hex").slice(0, 32);
  }

  async #folder(top: Extract<Member, { kind: "folder" }>, rereadMs: number, known: Map<string, Known>): Promise<Seen> {
    const members: Record<string, Member> = {};
    const walk = async (below: string, depth: number): Promise<void> => {
      for (const one of await namesIn(this.#real(below), MOST_MEMBERS)) {
        const real = below === "" ? one : join(below, one);
        const name = this.#named(real);
        this.#realNames.set(name, real);
        const member = await this.#at(name, rereadMs, known);
        if (member.kind === "absent" || (member.kind === "folder" && !this.#config.recursive)) continue;
        if (Object.keys(members).length === MOST_MEMBERS) throw new Error(`holds more than ${MOST_MEMBERS} files`);
        members[name] = member;
        if (member.kind === "folder" && member.link === undefined && depth < MOST_DEPTH) await walk(real, depth + 1);
      }
    };
    try {
      await walk("", 1);
      return { ...top, members };
    } catch (cause) {
      return { kind: "unreadable", because: reasonOf(cause), ...rightsIn(top) };
    }
  }

  async #at(name: string, rereadMs: number, known: Map<string, Known>): Promise<Member> {
    const { clock } = this.#parts;
    try {
      const found = await findAt(this.#real(name));
      if (found === undefined) {
        this.#fresh += 1;
        return { kind: "absent" };
      }
      const before = this.#known.get(name);
      const now = clock.now();
      if (before !== undefined && before.mark === found.mark && now - before.readAt < rereadMs) {
        known.set(name, before);
        return before.seen;
      }
      this.#fresh += 1;
      const seen = await this.#read(name, found);
      const isSure = Math.abs(clock.wall() - (found.end?.ctimeMs ?? 0)) > RACY_MS && seen.kind !== "unreadable";
      known.set(name, { mark: isSure ? found.mark : "", readAt: now, seen });
      return seen;
    } catch (cause) {
      this.#fresh += 1;
      return { kind: "unreadable", because: reasonOf(cause) };
    }
  }

  async #read(name: string, { link, end }: Found): Promise<Member> {
    const own = { ...(link === undefined ? {} : { link: this.#named(link) }) };
    if (end === undefined) return { kind: "other", type: "link that leads nowhere", ...own };
    const rights = { ...own, ...this.#rights(end) };
    if (end.type === "folder") return { kind: "folder", members: {}, ...rights };
    if (end.type !== "file") return { kind: "other", type: end.type, ...rights };
    if (end.size > this.#config.maxBytes) return { kind: "large", bytes: end.size, ...rights };
    try {
      const read = await this.#readFile(name);
      if (read.got === "large") return { kind: "large", bytes: read.bytes, ...rights };
      if (read.got === "whole") return { kind: "file", ...this.#hashes(name, read.bytes), ...rights };
      return { kind: "unreadable", because: "it is written to all the time", ...rights };
    } catch (cause) {
      return { kind: "unreadable", because: reasonOf(cause), ...rights };
    }
  }

  /** A plain SHA-256 only of what holds no secret: it could be found out by trying. */
  #hashes(name: string, bytes: Buffer): { bytes: number; hash: string; sha256?: string } {
    const text = this.#textOf(bytes);
    if (text !== undefined) this.#texts.set(name, text);
    const isOpen = text !== undefined && this.#config.secretKeys.length === 0 && !text.lines.some(isSealed);
    const sha256 = isOpen ? { sha256: createHash("sha256").update(bytes).digest("hex") } : {};
    return { bytes: bytes.length, hash: text?.hash ?? this.#seal(bytes), ...sha256 };
  }

  #rights({ mode, uid, gid }: FileStat): Rights {
    const { machine } = this.#parts;
    const owner = `${nameIn(machine, "/etc/passwd", uid)}:${nameIn(machine, "/etc/group", gid)}`;
    return { mode, uid, gid, owner };
  }
}

/** Where a text has secrets; by the line where `redact` cannot say it better. */
function secretsIn(redact: Redact): (text: string) => readonly Span[] {
  return (
    redact.find ??
    ((text) => {
      let start = 0;
      return text.split("\n").flatMap((line) => {
        const span = { start, end: start + line.length };
        start = span.end + 1;
        return redact(line) === line ? [] : [span];
      });
    })
  );
}

/** The name of a user or group of this machine, its number where it has none. */
function nameIn(machine: Machine, file: string, id: number): string {
  try {
    const line = machine.read(file)?.match(new RegExp(`^([^:\\n]{1,64}):[^:\\n]*:${id}:`, "m"));
    return line?.[1] ?? String(id);
  } catch {
    return String(id);
  }
}

/** The numbers of `user:group`, given by names or numbers; undefined where this machine does not know one of them. */
export function idsOf(machine: Machine, owner: string): { uid: number; gid: number } | undefined {
  const [user = "", group = ""] = owner.split(":");
  const number = (file: string, name: string): number => {
    if (/^\d+$/.test(name)) return Number(name);
    const lines = machine.read(file)?.split("\n") ?? [];
    return Number(lines.find((line) => line.startsWith(`${name}:`))?.split(":")[2]);
  };
  const ids = { uid: number("/etc/passwd", user), gid: number("/etc/group", group) };
  return Number.isInteger(ids.uid) && Number.isInteger(ids.gid) ? ids : undefined;
}

function rightsIn({
  mode,
  uid,
  gid,
  owner,
  link,
}: Extract<Member, { kind: "folder" }>): Partial<Rights> & { link?: string } {
  return { mode, uid, gid, owner, ...(link === undefined ? {} : { link }) };
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "not permitted",
  EIO: "read error (EIO)",
  ELOOP: "its links lead in a circle",
  ESTALE: "its server has forgotten it (ESTALE)",
};

function reasonOf(cause: unknown): string {
  const errno = errnoOf(cause);
  return REASONS[errno] ?? (cause instanceof Error && !("code" in cause) ? cause.message : errno);
}
