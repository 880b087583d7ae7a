/** What a GB/T 28181 sender packs into RTP: a program stream, as annex C wants, or the picture itself. */
export type PayloadKind = "ps" | "H264" | "H265";

/** The dynamic types as GB/T 28181-2016 C.2.4.2 gives them away, and the 2022 edition for H.265; 96 is PS, but not always. */
const BY_TYPE: Readonly<Record<number, PayloadKind>> = { 98: "H264", 100: "H265" };
/** So many packets that look like one codec are enough; a pack comes much sooner. */
const ENOUGH = 64;

/**
 * Finds out what the payloads are: a program stream by its start codes, whatever the payload type says; else what the type
 * says; else what the headers of the payloads look like.
 */
export class KindGuess {
  #h264 = 0;
  #h265 = 0;
  seen = 0;

  /** One payload more, of this RTP payload type; undefined: not known yet. */
  look(bytes: Uint8Array, from: number, to: number, payloadType: number): PayloadKind | undefined {
    this.seen += 1;
    const [a = 0, b = 0, c = 0, d = 0] = [bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]];
    if (to - from < 4) return undefined;
    if (a === 0 && b === 0 && c === 1 && d >= 0xba) return "ps";
    const said = BY_TYPE[payloadType];
    if (said !== undefined) return said;
    if (isH264(a)) this.#h264 += 1;
    if (isH265(a, b)) this.#h265 += 1;
    if (Math.max(this.#h264, this.#h265) < ENOUGH) return undefined;
    return this.#h264 > this.#h265 ? "H264" : "H265";
  }
}

/** RFC 6184 §5.4: slices, parameter sets, STAP-A, FU-A. */
function isH264(first: number): boolean {
  const type = first & 0x1f;
  return first < 0x80 && [1, 5, 6, 7, 8, 24, 28].includes(type);
}

/** RFC 7798 §4.4: slices, parameter sets, AP, FU, of the base layer. */
function isH265(first: number, second: number): boolean {
  const type = first >> 1;
  return (first & 0x81) === 0 && second >= 1 && second <= 7 && [0, 1, 19, 20, 21, 32, 33, 34, 48, 49].includes(type);
}
