import { Failure } from "../../../../protocol/failure.ts";
import { AUDIO_TAG, DATA_TAG, type FlvMedia, VIDEO_TAG } from "./media.ts";

const FILE_HEADER_BYTES = 9;
const TAG_HEADER_BYTES = 11;
/** The size of the tag before, after each tag. Many senders write 0: it is not looked at. */
const BACK_BYTES = 4;
const MOST_TAG_BYTES = 8 * 1024 * 1024;
const MOST_OFFSET = 1024;
const TYPES: readonly number[] = [AUDIO_TAG, VIDEO_TAG, DATA_TAG];

/** What comes next. */
const FILE_HEADER = 0;
const TAG_HEADER = 1;
const BODY = 2;
const SKIP = 3;

const LANE = 0;

const notFlv = (what: string): Failure =>
  new Failure("STREAM_PROTOCOL", `what came is no FLV: ${what}`, { facts: { what } });

/**
 * The tags of an FLV file (FLV 10.1 §E.2 to E.4.1) that comes in chunks cut anywhere. Throws Failure STREAM_PROTOCOL for what
 * is none. Without `fileHeader` it begins with a tag: the body of an RTMP aggregate message (§7.1.6), whose stamps `base`
 * shifts to where the message lies.
 */
export class FlvTags {
  readonly #media: FlvMedia;
  readonly #header = new Uint8Array(TAG_HEADER_BYTES);
  readonly #base: number | undefined;
  #shift = 0;
  #next: number;
  #have = 0;
  #left = 0;
  #type = 0;
  /** A tag was seen. */
  #begun = false;

  constructor(media: FlvMedia, base?: number) {
    this.#media = media;
    this.#base = base;
    this.#next = base === undefined ? FILE_HEADER : TAG_HEADER;
  }

  /** The next bytes: those of `bytes` from `from` up to `to`; they came at `at`, monotonic ms. */
  push(bytes: Uint8Array, from: number, to: number, at: number): void {
    let i = from;
    while (i < to) {
      if (this.#next === BODY || this.#next === SKIP) i = this.#through(bytes, i, to, at);
      else {
        this.#header[this.#have++] = bytes[i++] ?? 0;
        if (this.#next === FILE_HEADER) this.#fileHeader();
        else if (this.#have === TAG_HEADER_BYTES) this.#tagHeader(at);
      }
    }
  }

  #through(bytes: Uint8Array, from: number, to: number, at: number): number {
    const end = Math.min(to, from + this.#left);
    if (this.#next === BODY) this.#media.piece(LANE, this.#type, bytes, from, end);
    this.#left -= end - from;
    if (this.#left > 0) return end;
    if (this.#next === BODY) {
      this.#media.end(LANE, this.#type, at);
      this.#next = SKIP;
      this.#left = BACK_BYTES;
    } else this.#next = TAG_HEADER;
    return end;
  }

  #fileHeader(): void {
    const header = this.#header;
    // looked at as it comes: a page in its place may be shorter than nine bytes
    const right = [0x46, 0x4c, 0x56, 1][this.#have - 1];
    if (right !== undefined && header[this.#have - 1] !== right) throw notFlv("no FLV signature");
    if (this.#have < FILE_HEADER_BYTES) return;
    const offset = uint32(header, 5);
    if (offset < FILE_HEADER_BYTES || offset > MOST_OFFSET) throw notFlv(`a header of ${offset} bytes`);
    this.#have = 0;
    this.#next = SKIP;
    this.#left = offset - FILE_HEADER_BYTES + BACK_BYTES;
  }

  #tagHeader(at: number): void {
    const header = this.#header;
    const first = header[0] ?? 0;
    this.#have = 0;
    this.#type = first & 0x1f;
    this.#left = ((header[1] ?? 0) << 16) | ((header[2] ?? 0) << 8) | (header[3] ?? 0);
    if (!TYPES.includes(this.#type)) throw notFlv(`a tag of type ${this.#type}`);
    if ((first & 0x20) !== 0) throw new Failure("STREAM_UNSUPPORTED", "the FLV is encrypted");
    if (this.#left > MOST_TAG_BYTES) throw notFlv(`a tag of ${this.#left} bytes`);
    const stamp =
      (((header[7] ?? 0) << 24) | ((header[4] ?? 0) << 16) | ((header[5] ?? 0) << 8) | (header[6] ?? 0)) >>> 0;
    if (this.#base !== undefined && !this.#begun) this.#shift = this.#base - stamp;
    this.#begun = true;
    this.#media.begin(LANE, this.#type, this.#left, TAG_HEADER_BYTES + BACK_BYTES, (stamp + this.#shift) >>> 0, at);
    this.#next = BODY;
    if (this.#left > 0) return;
    this.#media.end(LANE, this.#type, at);
    this.#next = SKIP;
    this.#left = BACK_BYTES;
  }
}

const uint32 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0;
