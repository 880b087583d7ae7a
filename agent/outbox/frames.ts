import { crc32 } from "node:zlib";

/**
 * How one journal entry lies on flash: magic, generation, length, CRC-32 (four bytes each, big endian), then the text
 * in UTF-8. The magic holds bytes that no UTF-8 text contains, so a lost reader finds the next frame for certain.
 */
const MAGIC = Buffer.from([0xf7, 0x76, 0xff, 0x6a]);
/** Bytes a frame adds to its text. */
export const FRAME_BYTES = 16;
/** Longest text of a frame, bytes of UTF-8: a daily check of the largest size that cannot be compressed at all. */
export const MOST_TEXT_BYTES = 98_304;

/** One frame. Throws RangeError when the text is longer than MOST_TEXT_BYTES. */
export function encode(generation: number, text: string): Buffer {
  const length = Buffer.byteLength(text);
  if (length > MOST_TEXT_BYTES) throw new RangeError(`a journal entry of ${length} bytes`);
  const frame = Buffer.alloc(FRAME_BYTES + length);
  MAGIC.copy(frame);
  frame.writeUInt32BE(generation, 4);
  frame.writeUInt32BE(length, 8);
  frame.write(text, FRAME_BYTES);
  frame.writeUInt32BE(checksum(frame, 0, length), 12);
  return frame;
}

const checksum = (bytes: Buffer, at: number, length: number): number =>
  crc32(bytes.subarray(at + FRAME_BYTES, at + FRAME_BYTES + length), crc32(bytes.subarray(at + 4, at + 12)));

export interface Scanned {
  texts: string[];
  /** Where the last whole frame ends: appending goes on here. */
  end: number;
  /** Damaged bytes between whole frames. What follows `end` is a torn tail or an older generation: not counted. */
  skippedBytes: number;
}

/** All whole frames of one generation; what is damaged is skipped. Never throws, whatever the bytes are. */
export function scan(bytes: Uint8Array, generation: number): Scanned {
  const buffer = asBuffer(bytes);
  const found: Scanned = { texts: [], end: 0, skippedBytes: 0 };
  for (const { at, length, generation: own } of frames(buffer)) {
    if (own !== generation) continue;
    found.skippedBytes += at - found.end;
    found.end = at + FRAME_BYTES + length;
    found.texts.push(buffer.toString("utf8", at + FRAME_BYTES, found.end));
  }
  return found;
}

/** The highest generation with a whole frame in it; 0 when there is none. */
export function newestGeneration(bytes: Uint8Array): number {
  let newest = 0;
  for (const { generation } of frames(asBuffer(bytes))) newest = Math.max(newest, generation);
  return newest;
}

function* frames(bytes: Buffer): Generator<{ at: number; length: number; generation: number }> {
  for (let at = bytes.indexOf(MAGIC); at !== -1; ) {
    const length = wholeLength(bytes, at);
    if (length !== undefined) yield { at, length, generation: bytes.readUInt32BE(at + 4) };
    at = bytes.indexOf(MAGIC, length === undefined ? at + 1 : at + FRAME_BYTES + length);
  }
}

function wholeLength(bytes: Buffer, at: number): number | undefined {
  if (at + FRAME_BYTES > bytes.length) return undefined;
  const length = bytes.readUInt32BE(at + 8);
  if (length > MOST_TEXT_BYTES || at + FRAME_BYTES + length > bytes.length) return undefined;
  return checksum(bytes, at, length) === bytes.readUInt32BE(at + 12) ? length : undefined;
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
