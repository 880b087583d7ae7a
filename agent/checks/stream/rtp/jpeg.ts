import type { MediaSink, PictureFormat } from "../media.ts";
import { KeptPicture } from "../nal/kept.ts";
import { buildJpegHead, type JpegHead, tablesOfQuality } from "./jpeg-head.ts";
import { type PayloadReader, word } from "./payload.ts";

/** How far into a first packet a frame header (SOF) is looked for. */
const SOF_WITHIN = 1024;
const END_OF_IMAGE = Uint8Array.of(0xff, 0xd9);

/**
 * JPEG in RTP (RFC 2435). A frame ends with the marker, or where another begins; its size is that of the scan data, every
 * frame is a keyframe. Pictures over 2040 pixels have the size 0 in their header: it is then that of `a=x-dimensions`
 * (`dimensions`, "3840,2160"), or of the SOF that ONVIF devices send in a header extension.
 */
export class JpegReader implements PayloadReader {
  readonly #id: number;
  readonly #sink: MediaSink;
  readonly #odd: (what: string, at: number) => void;
  readonly #dimensions: { width: number; height: number } | undefined;
  #format: PictureFormat | undefined;
  /** Quantisation tables by Q, where they may be told once for all (128 to 254). */
  readonly #tables = new Map<number, Buffer>();

  #stamp = Number.NaN;
  #size = 0;
  #width = 0;
  #height = 0;
  #begun = false;
  #kept: KeptPicture | undefined;

  constructor(id: number, sink: MediaSink, dimensions: string | undefined, odd: (what: string, at: number) => void) {
    this.#id = id;
    this.#sink = sink;
    this.#odd = odd;
    const [width, height] = (dimensions ?? "").split(",").map(Number);
    if (width !== undefined && height !== undefined && width > 0 && height > 0) this.#dimensions = { width, height };
  }

  read(
    bytes: Buffer,
    from: number,
    to: number,
    stamp: number,
    marker: boolean,
    _lost: boolean,
    at: number,
    headerAt: number,
  ): void {
    const offset = to - from < 8 ? -1 : bytes.readUIntBE(from + 1, 3);
    if (stamp !== this.#stamp || (offset === 0 && this.#size > 0)) this.flush(at);
    this.#stamp = stamp;
    if (offset < 0) {
      this.#odd("jpeg", at);
      return;
    }
    const data = from + 8 + ((bytes[from + 4] ?? 0) & 64 ? 4 : 0);
    const scan = offset === 0 ? this.#start(bytes, from, data, to, headerAt) : data;
    // Of what was lost before it, this says whether it was of this frame.
    if (offset !== this.#size) this.#kept = undefined;
    if (scan > to) {
      this.#kept = undefined;
      this.#odd("jpeg", at);
    } else {
      this.#size += to - scan;
      if (this.#kept?.add(bytes, scan, to) === false) this.#kept = undefined; // too large
    }
    if (marker) this.flush(at);
  }

  flush(at: number): void {
    if (this.#size === 0) return;
    this.#sink.frame(this.#id, this.#stamp, this.#size, true, at);
    if (this.#begun) this.#tellFormat();
    if (this.#kept?.add(END_OF_IMAGE, 0, END_OF_IMAGE.length) === true)
      this.#sink.picture(this.#id, { format: "mjpeg", bytes: this.#kept.take() });
    this.#size = 0;
    this.#begun = false;
    this.#kept = undefined;
  }

  /** The first packet of a frame: returns where its scan begins. */
  #start(bytes: Buffer, from: number, data: number, to: number, headerAt: number): number {
    const quality = bytes[from + 5] ?? 0;
    this.#begun = true;
    this.#width = (bytes[from + 6] ?? 0) * 8;
    this.#height = (bytes[from + 7] ?? 0) * 8;
    if (this.#width === 0 || this.#height === 0)
      this.#sizeElsewhere(bytes, headerAt + 12, Math.min(to, data + SOF_WITHIN));
    const length = quality < 128 ? 0 : word(bytes, data + 2);
    const scan = data + (quality < 128 ? 0 : 4 + length);
    if (scan > to) return scan;
    if (quality >= 128 && length > 0) this.#learnTables(quality, bytes.subarray(data + 4, scan));
    if (scan < to && this.#sink.wantsPicture(this.#id)) this.#keep(bytes, from, quality, (bytes[data + 1] ?? 0) !== 0);
    return scan;
  }

  #learnTables(quality: number, tables: Buffer): void {
    const known = this.#tables.get(quality);
    if (tables.length <= 256 && known?.equals(tables) !== true) this.#tables.set(quality, Buffer.from(tables));
  }

  /** Tables of 16 bits (`wide`) belong to no baseline JPEG; without tables nothing can be shown. */
  #keep(bytes: Buffer, from: number, quality: number, wide: boolean): void {
    const type = (bytes[from + 4] ?? 0) & ~64;
    const tables = quality < 128 ? tablesOfQuality(quality) : this.#tables.get(quality);
    if (tables === undefined || type > 1 || this.#width === 0 || (quality >= 128 && wide)) return;
    const restart = (bytes[from + 4] ?? 0) & 64 ? word(bytes, from + 8) : 0;
    const head: JpegHead = { type, width: this.#width, height: this.#height, tables, restart };
    const begin = buildJpegHead(head);
    this.#kept = new KeptPicture([]);
    this.#kept.add(begin, 0, begin.length);
  }

  #sizeElsewhere(bytes: Buffer, from: number, to: number): void {
    this.#width = this.#dimensions?.width ?? 0;
    this.#height = this.#dimensions?.height ?? 0;
    // In scan data a 0xff is followed by 0 or by a restart marker: this can only be a frame header.
    for (let at = from; at + 9 <= to; at += 1) {
      if (bytes[at] !== 0xff || ((bytes[at + 1] ?? 0) & 0xfe) !== 0xc0) continue;
      this.#height = word(bytes, at + 5);
      this.#width = word(bytes, at + 7);
      return;
    }
  }

  #tellFormat(): void {
    const [width, height] = [this.#width, this.#height];
    if (width === 0 || height === 0 || (this.#format?.width === width && this.#format.height === height)) return;
    this.#format = { codec: "MJPEG", width, height };
    this.#sink.format(this.#id, this.#format);
  }
}
