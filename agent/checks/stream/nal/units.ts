import type { MediaSink } from "../media.ts";
import { OddWords } from "../odd.ts";
import { KeptPicture } from "./kept.ts";
import { recoveryPoint } from "./sei.ts";
import { type NalCodec, ParameterSets } from "./sets.ts";

/** Of what is gathered of a NAL unit that is read: a parameter set longer than this is none; of an SEI the rest is not read. */
const GATHERED_BYTES = 4096;
const SEI_BYTES = 256;

/** What a NAL unit is to us, by its type (H.264 Table 7-1, H.265 Table 7-1). */
const OTHER = 0;
const SLICE = 1;
const KEY_SLICE = 2;
const PARAMETERS = 3;
const SEI = 4;
const DELIMITER = 5;

/**
 * Video access units out of NAL units, for every transport alike (RTP, PES, FLV): counts frames and their sizes, knows
 * keyframes, reads the format out of parameter sets and keeps a wanted keyframe whole. The transport says
 *   `at(stamp, at)` before the NAL units of a stamp (another stamp ends the unit before),
 *   `nal(bytes, from, to)` for a whole NAL unit without start code or length, or `open(header)`, `more(…)`…, `close()` for
 *   one that comes in pieces, and
 *   `end(at)` when it knows that the unit is whole (RTP marker, end of an FLV tag): no need to wait for the next stamp.
 * Within one stamp a unit also ends where the data itself begins a new picture, so that frames are counted though their
 * stamps stand still.
 *
 * `key`: IDR (H.264), IRAP 16–21 (H.265), or a recovery point SEI, with which streams that refresh by columns instead of
 * whole pictures, and open GOPs, say that a decoder can begin; a picture is kept of the latter only where it is whole at
 * once (recovery_frame_cnt 0). `size`: bytes of the unit's NAL units, without start codes or lengths.
 */
export class VideoUnits {
  readonly #id: number;
  readonly #sink: MediaSink;
  readonly #h265: boolean;
  readonly #odd: OddWords;
  readonly #sets: ParameterSets;
  #kept: KeptPicture | undefined;

  #stamp = Number.NaN;
  #at = 0;

  /** Of the unit. */
  #size = 0;
  #sliced = false;
  #key = false;
  #asked = false;
  #spoilt = false;
  /** Its frame is told already: what still comes of this stamp belongs to it. */
  #told = false;
  #pictures = 0;
  /** recovery_frame_cnt of its recovery point SEI, -1 without. */
  #recovery = -1;

  /** Bytes of parameter sets after a slice, of this unit or of the next. */
  #betweenSize = 0;

  /** Of the NAL unit. */
  #header = 0;
  #kind = OTHER;
  /** It is a slice whose first byte has not come. */
  #fresh = false;
  #skipped = false;
  /** A parameter set after a slice. */
  #between = false;
  #gathering = false;
  #gathered = 0;
  #scratch: Buffer | undefined;

  constructor(id: number, codec: NalCodec, sink: MediaSink) {
    this.#id = id;
    this.#sink = sink;
    this.#h265 = codec === "H265";
    this.#odd = new OddWords(id, sink);
    this.#sets = new ParameterSets(codec);
  }

  /** What comes from now on is of this stamp (ticks, unwrapped), and came at `at`. */
  at(stamp: number, at: number): void {
    this.#at = at;
    if (stamp === this.#stamp) return;
    this.#close();
    this.#next();
    this.#clear();
    this.#betweenSize = 0;
    this.#stamp = stamp;
  }

  /** The unit is whole. */
  end(at: number): void {
    this.#at = at;
    this.#close();
    this.#finish();
  }

  /** Something of this unit, or of the one before it, is missing: it is counted, but no picture is kept of it. */
  spoil(): void {
    this.#spoilt = true;
    this.#kept = undefined;
  }

  /** A parameter set told outside the stream (sprop-…, decoder configuration record): a whole NAL unit. */
  remember(nal: Uint8Array): void {
    if (nal.length > GATHERED_BYTES || nal.length < 2) return;
    const header = this.#h265 ? ((nal[0] ?? 0) << 8) | (nal[1] ?? 0) : (nal[0] ?? 0);
    if (this.#kindOf(header) === PARAMETERS) this.#learn(nal);
  }

  /** A whole NAL unit: `bytes` from `from`, its header, up to `to`. */
  nal(bytes: Uint8Array, from: number, to: number): void {
    const header = this.#h265 ? 2 : 1;
    if (to - from < header) return;
    const first = bytes[from] ?? 0;
    this.open(this.#h265 ? (first << 8) | (bytes[from + 1] ?? 0) : first);
    this.more(bytes, from + header, to);
    this.#close();
  }

  /** A NAL unit begins: its header, one byte (H.264) or two, the first the higher (H.265). Ends the one before. */
  open(header: number): void {
    this.#begin(header);
    this.#fresh = this.#kind === SLICE || this.#kind === KEY_SLICE;
    if (this.#fresh) return;
    // A delimiter or an SEI after a picture begins the next unit. A parameter set does, too, by the book; but GStreamer
    // (config-interval=-1) repeats them before each slice of one keyframe: which it was the next slice tells.
    const after = this.#pictures >= this.#sets.picturesInUnit && this.#sliced;
    if (after && (this.#kind === DELIMITER || this.#kind === SEI)) this.#next();
    if (this.#kind === DELIMITER && !this.#sliced) this.#drop();
    this.#between = after && this.#kind === PARAMETERS;
    this.#count(this.#h265 ? 2 : 1);
    this.#gathering = this.#kind === PARAMETERS || this.#kind === SEI;
    if (this.#gathering) this.#gatherHeader();
  }

  /** A NAL unit goes on whose beginning was lost: its header is known (fragmentation units repeat it). */
  resume(header: number): void {
    this.spoil();
    this.#begin(header);
    if (this.#kind === SLICE || this.#kind === KEY_SLICE) this.#slice(false);
  }

  /** Its next bytes, after the header. */
  more(bytes: Uint8Array, from: number, to: number): void {
    if (to <= from) return;
    // first_mb_in_slice = 0, first_slice_segment_in_pic_flag = 1: the first bit after the header.
    if (this.#fresh) this.#slice(((bytes[from] ?? 0) & 0x80) !== 0);
    if (this.#skipped) return;
    this.#count(to - from);
    if (this.#gathering) this.#gather(bytes, from, to);
    else if (this.#kept !== undefined && this.#kind !== OTHER) this.#keep(bytes, from, to);
  }

  /** The NAL unit has ended. */
  close(): void {
    this.#close();
  }

  #begin(header: number): void {
    this.#close();
    this.#header = header;
    this.#kind = this.#kindOf(header);
    this.#skipped = false;
    this.#between = false;
  }

  #count(bytes: number): void {
    if (this.#between) this.#betweenSize += bytes;
    else this.#size += bytes;
  }

  #kindOf(header: number): number {
    return this.#h265 ? kindOfH265((header >> 9) & 0x3f) : kindOfH264(header & 0x1f);
  }

  #slice(first: boolean): void {
    this.#fresh = false;
    if (first) {
      if (this.#pictures >= this.#sets.picturesInUnit) this.#next();
      this.#pictures += 1;
    }
    this.#skipped = this.#told;
    if (this.#told) return;
    this.#size += this.#betweenSize;
    this.#betweenSize = 0;
    this.#sliced = true;
    this.#size += this.#h265 ? 2 : 1;
    if (this.#kind === KEY_SLICE || this.#recovery >= 0) this.#keySlice();
    if (this.#kept !== undefined && !this.#kept.begin(this.#header, this.#h265)) this.#tooLarge();
  }

  #keySlice(): void {
    this.#key = true;
    if (this.#asked) return;
    this.#asked = true;
    if (this.#spoilt || !this.#sets.complete || !(this.#kind === KEY_SLICE || this.#recovery === 0)) return;
    if (this.#sink.wantsPicture(this.#id)) this.#kept = new KeptPicture(this.#sets.inOrder());
  }

  #close(): void {
    this.#fresh = false;
    if (!this.#gathering) return;
    this.#gathering = false;
    const nal = this.#scratch?.subarray(0, this.#gathered);
    if (nal === undefined) return;
    if (this.#kind === SEI) this.#recovery = Math.max(this.#recovery, recoveryPoint(nal, this.#h265 ? 2 : 1));
    else if (this.#gathered < GATHERED_BYTES) this.#learn(nal);
    else this.#odd.say("parameter set", this.#at);
    this.#kind = OTHER;
  }

  #learn(nal: Uint8Array): void {
    if (this.#sets.learn(nal) === "broken") this.#odd.say("sps", this.#at);
  }

  #gatherHeader(): void {
    this.#scratch ??= Buffer.allocUnsafeSlow(GATHERED_BYTES);
    this.#gathered = 0;
    if (this.#h265) this.#scratch[this.#gathered++] = this.#header >> 8;
    this.#scratch[this.#gathered++] = this.#header & 0xff;
  }

  #gather(bytes: Uint8Array, from: number, to: number): void {
    if (this.#scratch === undefined) return;
    const room = (this.#kind === SEI ? SEI_BYTES : GATHERED_BYTES) - this.#gathered;
    if (room <= 0) return;
    const part = bytes.subarray(from, Math.min(to, from + room));
    this.#scratch.set(part, this.#gathered);
    this.#gathered += part.length;
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    if (this.#kept?.add(bytes, from, to) === false) this.#tooLarge();
  }

  #tooLarge(): void {
    this.#kept = undefined;
    this.#odd.say("large keyframe", this.#at);
  }

  /** Another unit begins. */
  #next(): void {
    this.#finish();
    this.#told = false;
    this.#pictures = 0;
    this.#size += this.#betweenSize;
    this.#betweenSize = 0;
  }

  /** A unit begins here (H.264 §7.4.1.2.3): what came before it without a picture is what a gap left of another. */
  #drop(): void {
    this.#size = 0;
    this.#recovery = -1;
  }

  /** Tells the frame, if there is one. */
  #finish(): void {
    if (!this.#sliced) return;
    this.#sink.frame(this.#id, Number.isNaN(this.#stamp) ? 0 : this.#stamp, this.#size, this.#key, this.#at);
    const format = this.#sets.news(this.#key);
    if (format !== undefined) this.#sink.format(this.#id, format);
    if (this.#kept !== undefined && this.#key) {
      this.#sink.picture(this.#id, { format: this.#h265 ? "h265" : "h264", bytes: this.#kept.take() });
    }
    this.#told = true;
    this.#clear();
  }

  #clear(): void {
    this.#size = 0;
    this.#sliced = false;
    this.#key = false;
    this.#asked = false;
    this.#spoilt = false;
    this.#recovery = -1;
    this.#kept = undefined;
  }
}

function kindOfH264(type: number): number {
  if (type === 5) return KEY_SLICE;
  if (type === 1 || type === 2) return SLICE;
  if (type === 7 || type === 8) return PARAMETERS;
  if (type === 6) return SEI;
  return type === 9 ? DELIMITER : OTHER;
}

function kindOfH265(type: number): number {
  if (type >= 16 && type <= 21) return KEY_SLICE;
  if (type < 32) return SLICE;
  if (type <= 34) return PARAMETERS;
  if (type === 39) return SEI;
  return type === 35 ? DELIMITER : OTHER;
}
