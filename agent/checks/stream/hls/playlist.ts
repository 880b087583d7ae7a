import { Failure } from "../../../../protocol/failure.ts";

/** What an HLS playlist says (RFC 8216). */

/** One rendition of a master playlist. */
export interface Variant {
  uri: string;
  /** Bit/s. */
  bandwidth: number;
  /** Undefined where the playlist does not say. */
  hasVideo?: boolean;
}

export interface ByteRange {
  from: number;
  bytes: number;
}

export interface Segment {
  uri: string;
  sequence: number;
  durationMs: number;
  /** Its stamps do not follow those of the one before. */
  discontinuity: boolean;
  /** It is announced not to exist (EXT-X-GAP). */
  gap: boolean;
  range?: ByteRange;
  /** METHOD of the key it is encrypted with. */
  encrypted?: string;
  /** Its initialization section: it is fragmented MP4. */
  map?: { uri: string; range?: ByteRange };
  /** EXT-X-PROGRAM-DATE-TIME, as it stands. */
  programTime?: string;
}

export interface MasterPlaylist {
  kind: "master";
  variants: readonly Variant[];
}

export interface MediaPlaylist {
  kind: "media";
  targetMs: number;
  /** Of the newest segment; one less than EXT-X-MEDIA-SEQUENCE where there is none. */
  newest: number;
  /** The newest ones, oldest first: at most 64. */
  segments: readonly Segment[];
  /** Nothing more comes (EXT-X-ENDLIST). */
  ended: boolean;
}

const MOST_SEGMENTS = 64;
const MOST_VARIANTS = 64;
const MOST_SEQUENCE = Number.MAX_SAFE_INTEGER / 2;
const MOST_LINE = 8_192;
/** One segment may not be longer; a playlist that says so is of no live stream. */
const MOST_SECONDS = 3_600;

const broken = (what: string): Failure =>
  new Failure("STREAM_PROTOCOL", `the playlist is none of HLS: ${what}`, { facts: { what } });

/** What is said of the segment that comes next, and of those after it. */
interface Coming {
  sequence: number;
  durationMs: number | undefined;
  discontinuity: boolean;
  gap: boolean;
  range: ByteRange | undefined;
  encrypted: string | undefined;
  map: { uri: string; range?: ByteRange } | undefined;
  programTime: string | undefined;
  /** Where a range without an offset begins: behind the last of the same resource. */
  rangeEnd: number;
  rangeUri: string;
}

/** Reads a playlist. Throws Failure STREAM_PROTOCOL where it is none, or out of all proportion. */
export function readPlaylist(text: string): MasterPlaylist | MediaPlaylist {
  const lines = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  if (!/^#EXTM3U[\s]/.test(`${lines.slice(0, 8)}\n`)) throw broken("its first line is not #EXTM3U");
  return new Reading().read(lines);
}

class Reading {
  readonly #variants: Variant[] = [];
  #segments: Segment[] = [];
  #targetMs = 0;
  #ended = false;
  #variant: Omit<Variant, "uri"> | undefined;
  #coming: Coming = {
    sequence: 0,
    durationMs: undefined,
    discontinuity: false,
    gap: false,
    range: undefined,
    encrypted: undefined,
    map: undefined,
    programTime: undefined,
    rangeEnd: 0,
    rangeUri: "",
  };

  read(text: string): MasterPlaylist | MediaPlaylist {
    for (let at = 0; at < text.length; ) {
      const found = text.indexOf("\n", at);
      const end = found < 0 ? text.length : found;
      if (end - at > MOST_LINE) throw broken(`a line of ${end - at} characters`);
      const line = text.slice(at, end).trim();
      if (line.startsWith("#EXT")) this.#tag(line);
      else if (line !== "" && !line.startsWith("#")) this.#uri(line);
      at = end + 1;
    }
    if (this.#variants.length > 0) return { kind: "master", variants: this.#variants };
    if (this.#targetMs === 0) throw broken("it has neither variants nor EXT-X-TARGETDURATION");
    const newest = this.#coming.sequence - 1;
    return {
      kind: "media",
      targetMs: this.#targetMs,
      newest,
      segments: this.#segments.slice(-MOST_SEGMENTS),
      ended: this.#ended,
    };
  }

  #tag(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1);
    const coming = this.#coming;
    switch (name) {
      case "#EXTINF":
        coming.durationMs = secondsIn(value, name) * 1000;
        break;
      case "#EXT-X-TARGETDURATION":
        this.#targetMs = Math.max(1, secondsIn(value, name)) * 1000;
        break;
      case "#EXT-X-MEDIA-SEQUENCE":
        coming.sequence = wholeIn(value, name);
        break;
      case "#EXT-X-DISCONTINUITY":
        coming.discontinuity = true;
        break;
      case "#EXT-X-GAP":
        coming.gap = true;
        break;
      case "#EXT-X-BYTERANGE":
        coming.range = rangeIn(value);
        break;
      case "#EXT-X-PROGRAM-DATE-TIME":
        coming.programTime = /^[0-9TZ:.+-]{1,40}$/.test(value) ? value : undefined;
        break;
      case "#EXT-X-ENDLIST":
        this.#ended = true;
        break;
      default:
        this.#attributes(name, value);
    }
  }

  #attributes(name: string, value: string): void {
    if (name === "#EXT-X-KEY") {
      const method = attribute(value, "METHOD") ?? "";
      this.#coming.encrypted = method === "NONE" ? undefined : method.slice(0, 32).replace(/[^\w-]/g, "?");
    } else if (name === "#EXT-X-MAP") {
      const uri = attribute(value, "URI");
      if (uri === undefined) throw broken("EXT-X-MAP without URI");
      const range = attribute(value, "BYTERANGE");
      this.#coming.map = { uri, ...(range === undefined ? {} : { range: rangeIn(range) }) };
    } else if (name === "#EXT-X-STREAM-INF") {
      const codecs = attribute(value, "CODECS");
      const isVideo = attribute(value, "RESOLUTION") !== undefined || /avc|hvc|hev/.test(codecs ?? "");
      this.#variant = {
        bandwidth: Number(attribute(value, "BANDWIDTH") ?? 0) || 0,
        ...(isVideo || codecs !== undefined ? { hasVideo: isVideo } : {}),
      };
    }
  }

  #uri(uri: string): void {
    if (this.#variant !== undefined) {
      if (this.#variants.length < MOST_VARIANTS) this.#variants.push({ uri, ...this.#variant });
      this.#variant = undefined;
      return;
    }
    const coming = this.#coming;
    const { sequence, durationMs, discontinuity, gap, range, encrypted, map, programTime } = coming;
    if (durationMs === undefined) throw broken("a segment without EXTINF");
    if (range !== undefined && range.from < 0) range.from = coming.rangeUri === uri ? coming.rangeEnd : 0;
    this.#segments.push({
      uri,
      sequence,
      durationMs,
      discontinuity,
      gap,
      ...(range === undefined ? {} : { range }),
      ...(encrypted === undefined ? {} : { encrypted }),
      ...(map === undefined ? {} : { map }),
      ...(programTime === undefined ? {} : { programTime }),
    });
    if (this.#segments.length >= 2 * MOST_SEGMENTS) this.#segments = this.#segments.slice(MOST_SEGMENTS);
    const rangeEnd = range === undefined ? 0 : range.from + range.bytes;
    this.#coming = {
      ...coming,
      sequence: sequence + 1,
      durationMs: undefined,
      discontinuity: false,
      gap: false,
      range: undefined,
      programTime: undefined,
      rangeEnd,
      rangeUri: uri,
    };
  }
}

function secondsIn(value: string, name: string): number {
  const seconds = Number.parseFloat(value);
  if (!(seconds >= 0 && seconds <= MOST_SECONDS)) throw broken(`${name} of ${value.slice(0, 20)} seconds`);
  return seconds;
}

function wholeIn(value: string, name: string): number {
  const whole = Number(value);
  if (!Number.isInteger(whole) || whole < 0 || whole > MOST_SEQUENCE) throw broken(`${name} is no number`);
  return whole;
}

/** `<bytes>[@<offset>]`; an offset of -1: behind the last range. */
function rangeIn(value: string): ByteRange {
  const [bytes, from = "-1"] = value.split("@");
  const range = { bytes: Number(bytes), from: Number(from) };
  if (!(range.bytes > 0 && range.bytes <= MOST_SEQUENCE && range.from >= -1 && range.from <= MOST_SEQUENCE))
    throw broken("a byte range that is none");
  return range;
}

/** One value of an attribute list (§4.2), without its quotes. */
function attribute(list: string, name: string): string | undefined {
  for (const [, key, value = ""] of list.matchAll(/([A-Z0-9-]{1,64})=("[^"]*"|[^",]*)/g))
    if (key === name) return value.startsWith('"') ? value.slice(1, -1) : value;
  return undefined;
}

/**
 * The variant to play: the lowest rate that has a picture, or else the lowest of all, since each costs the server and the
 * line what it weighs. Throws Failure STREAM_PROTOCOL where there is none.
 */
export function lightest({ variants }: MasterPlaylist): Variant {
  const seen = variants.filter(({ hasVideo }) => hasVideo !== false);
  const [best] = (seen.length > 0 ? seen : variants).toSorted((a, b) => a.bandwidth - b.bandwidth);
  if (best === undefined) throw broken("no variant");
  return best;
}
