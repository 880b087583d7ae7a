import { Failure } from "../../../../protocol/failure.ts";
import { headerOf, type Message, messageOf, notRtsp } from "./message.ts";

/** Who hears what an RTSP connection carries. */
export interface ReaderHears {
  message(message: Message): void;
  /** One interleaved packet (RFC 2326 §10.12): what lies in `bytes` from `from` up to `to`, which may be used anew after the call. */
  packet(channel: number, bytes: Buffer, from: number, to: number): void;
}

type Within = "nothing" | "prefix" | "packet" | "head" | "body";

const MOST_HEAD = 65_536;
const MOST_BODY = 65_536;
const [DOLLAR, CR, LF] = [0x24, 0x0d, 0x0a];
const PREFIX = 4;

/**
 * Tells messages and interleaved packets of one RTSP connection apart, in whatever pieces they come. Work is by packet,
 * not by byte, and nothing is copied but what a piece cuts in two.
 */
export class RtspReader {
  readonly #hears: ReaderHears;
  /** What we are in the midst of. */
  #in: Within = "nothing";
  /** Of what we are in the midst of: what has come so far. */
  #part: Buffer = Buffer.allocUnsafe(2_048);
  #filled = 0;
  /** So much of it there will be; not known of a head. */
  #wanted = 0;
  #channel = 0;
  /** Up to where the head was searched for its end. */
  #searched = 0;
  #message: Message | undefined;

  constructor(hears: ReaderHears) {
    this.#hears = hears;
  }

  /** A message has begun and is not whole: how much of it has come, and how much was announced where that is known. */
  get pending(): { of: "head" | "body"; bytes: number; announced?: number } | undefined {
    if (this.#in === "head") return { of: "head", bytes: this.#filled };
    if (this.#in === "body") return { of: "body", bytes: this.#filled, announced: this.#wanted };
    return undefined;
  }

  /** Takes what came next. Throws Failure STREAM_PROTOCOL, and is of no use after that. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) at = this.#in === "nothing" ? this.#begin(chunk, at) : this.#go(chunk, at);
  }

  #begin(chunk: Buffer, at: number): number {
    const first = chunk[at] ?? 0;
    if (first === DOLLAR) {
      const from = at + PREFIX;
      if (from <= chunk.length) {
        const to = from + ((chunk[at + 2] ?? 0) << 8) + (chunk[at + 3] ?? 0);
        if (to <= chunk.length) {
          this.#hears.packet(chunk[at + 1] ?? 0, chunk, from, to);
          return to;
        }
      }
      this.#enter("prefix", PREFIX); // cut in two
      return at;
    }
    if (first === CR || first === LF) return at + 1; // some servers leave one behind a body
    if (first < 0x41 || first > 0x5a) throw notRtsp(chunk.toString("latin1", at, at + 40));
    this.#enter("head", 0);
    this.#searched = 0;
    return at;
  }

  #go(chunk: Buffer, at: number): number {
    if (this.#in === "head") return this.#goHead(chunk, at);
    const taken = chunk.copy(this.#part, this.#filled, at, at + this.#wanted - this.#filled);
    this.#filled += taken;
    if (this.#filled === this.#wanted) this.#whole();
    return at + taken;
  }

  #whole(): void {
    const was = this.#in;
    this.#in = "nothing";
    if (was === "prefix") {
      this.#channel = this.#part[1] ?? 0;
      this.#enter("packet", this.#part.readUInt16BE(2));
      if (this.#wanted === 0) this.#whole();
    } else if (was === "packet") this.#hears.packet(this.#channel, this.#part, 0, this.#wanted);
    else if (this.#message !== undefined)
      this.#hears.message({ ...this.#message, body: this.#part.toString("utf8", 0, this.#wanted) });
  }

  #goHead(chunk: Buffer, at: number): number {
    const before = this.#filled;
    const taken = Math.min(chunk.length - at, MOST_HEAD + PREFIX - before);
    this.#makeRoom(before + taken);
    chunk.copy(this.#part, before, at, at + taken);
    this.#filled = before + taken;
    const end = this.#headEnd();
    if (end === undefined) {
      if (this.#filled < MOST_HEAD + PREFIX) return at + taken;
      throw new Failure("STREAM_PROTOCOL", `a header of more than ${MOST_HEAD} bytes`, { facts: { most: MOST_HEAD } });
    }
    const message = messageOf(this.#part.toString("utf8", 0, end.head));
    const size = bodySize(message);
    this.#message = message;
    this.#enter("body", size);
    if (size === 0) this.#whole();
    return at + end.next - before;
  }

  /** Where the head ends and what follows begins: an empty line, with or without CR. */
  #headEnd(): { head: number; next: number } | undefined {
    const part = this.#part.subarray(0, this.#filled);
    for (let lf = part.indexOf(LF, this.#searched); lf !== -1; lf = part.indexOf(LF, lf + 1)) {
      const next = part[lf + 1] === CR ? lf + 2 : lf + 1;
      if (part[next] === LF) return { head: lf, next: next + 1 };
    }
    this.#searched = Math.max(0, this.#filled - 2); // what follows a line end there may still have to come
    return undefined;
  }

  #enter(what: Within, wanted: number): void {
    this.#in = what;
    this.#wanted = wanted;
    this.#filled = 0;
    this.#makeRoom(wanted);
  }

  #makeRoom(size: number): void {
    if (size <= this.#part.length) return;
    const wider = Buffer.allocUnsafe(Math.max(size, 2 * this.#part.length));
    this.#part.copy(wider, 0, 0, this.#filled);
    this.#part = wider;
  }
}

function bodySize(message: Message): number {
  const announced = headerOf(message, "content-length") ?? "0";
  if (/^\d{1,9}$/.test(announced) && Number(announced) <= MOST_BODY) return Number(announced);
  throw new Failure(
    "STREAM_PROTOCOL",
    `a Content-Length of "${announced.slice(0, 20)}", at most ${MOST_BODY} is taken`,
    {
      facts: { most: MOST_BODY },
    },
  );
}
