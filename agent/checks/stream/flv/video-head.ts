/** What the head of a video tag says its body is. */
export const VIDEO_OTHER = 0;
/** Parameter sets: a decoder configuration record. */
export const VIDEO_CONFIG = 1;
export const VIDEO_FRAME = 2;
/** The last word of a sequence. */
export const VIDEO_END = 3;

/** Longer heads than this are none: six bytes are usual, modifiers of Enhanced RTMP may come before. */
export const HEAD_BYTES = 32;

const KEY_FRAME = 1;
const COMMAND_FRAME = 5;
/** Codecs of the classic tag (FLV 10.1 §E.4.3.1); 12 and 13 are what encoders and servers in China use for H.265 and AV1. */
const CLASSIC: Readonly<Record<number, string>> = {
  2: "H263",
  3: "SCREEN",
  4: "VP6",
  5: "VP6A",
  6: "SCREEN2",
  7: "H264",
  12: "H265",
  13: "AV1",
};
const FOUR_CC: Readonly<Record<string, string>> = {
  avc1: "H264",
  hvc1: "H265",
  vvc1: "H266",
  av01: "AV1",
  vp08: "VP8",
  vp09: "VP9",
};

/** Packet types of Enhanced RTMP. */
const SEQUENCE_START = 0;
const CODED_FRAMES = 1;
const SEQUENCE_END = 2;
const CODED_FRAMES_X = 3;
const MULTITRACK = 6;
const MOD_EX = 7;
/** One track among possibly several; the other kinds carry several in one message. */
const ONE_TRACK = 0;

/** The head of a video tag, classic (FLV 10.1 §E.4.3) or of Enhanced RTMP v1/v2; one object, read anew for each tag. */
export class VideoHead {
  /** As `Track.codec`; "" when unknown. */
  codec = "";
  what = VIDEO_OTHER;
  /** By the tag's own word. */
  key = false;
  /** Presentation stamp less the tag's, ms. */
  composition = 0;
  /** Where the body begins. */
  bodyAt = 0;
  /** Carries several tracks, of which the first is read. */
  several = false;

  /** `length` bytes of `bytes` are the tag's first, at most `HEAD_BYTES`. False: too short to be a tag. */
  read(bytes: Uint8Array, length: number): boolean {
    this.codec = "";
    this.what = VIDEO_OTHER;
    this.composition = 0;
    this.several = false;
    const first = bytes[0] ?? 0;
    this.key = ((first >> 4) & 7) === KEY_FRAME;
    if ((first & 0x80) !== 0) return this.#readEnhanced(bytes, length);
    this.codec = CLASSIC[first & 15] ?? "";
    return this.#readClassic(bytes, length, first >> 4);
  }

  #readClassic(bytes: Uint8Array, length: number, frameType: number): boolean {
    const sized = this.codec === "H264" || this.codec === "H265" || this.codec === "AV1";
    this.bodyAt = sized ? 5 : 1;
    if (length < this.bodyAt) return false;
    if (frameType === COMMAND_FRAME) return true;
    const packet = sized ? bytes[1] : CODED_FRAMES;
    if (packet === SEQUENCE_START) this.what = VIDEO_CONFIG;
    else if (packet === SEQUENCE_END) this.what = VIDEO_END;
    else if (packet === CODED_FRAMES) {
      this.what = VIDEO_FRAME;
      if (sized) this.composition = signed24(bytes, 2);
    }
    return true;
  }

  #readEnhanced(bytes: Uint8Array, length: number): boolean {
    let packet = (bytes[0] ?? 0) & 15;
    let at = 1;
    while (packet === MOD_EX) {
      let size = (bytes[at++] ?? 0) + 1;
      if (size === 256) {
        size = (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) + 1;
        at += 2;
      }
      at += size;
      if (at >= length) return false;
      packet = (bytes[at++] ?? 0) & 15;
    }
    let kind = -1;
    if (packet === MULTITRACK) {
      const both = bytes[at++] ?? 0;
      kind = both >> 4;
      packet = both & 15;
    }
    if (at + 4 > length) return false;
    this.codec = FOUR_CC[String.fromCharCode(...bytes.subarray(at, at + 4))] ?? "";
    at += 4;
    if (kind >= 0) at += 1;
    if (kind > ONE_TRACK) {
      this.several = true;
      at += 3;
    }
    const shifted =
      packet === CODED_FRAMES && (this.codec === "H264" || this.codec === "H265" || this.codec === "H266");
    if (at + (shifted ? 3 : 0) > length) return false;
    if (shifted) {
      this.composition = signed24(bytes, at);
      at += 3;
    }
    this.bodyAt = at;
    if (packet === SEQUENCE_START) this.what = VIDEO_CONFIG;
    else if (packet === CODED_FRAMES || packet === CODED_FRAMES_X) this.what = VIDEO_FRAME;
    else if (packet === SEQUENCE_END) this.what = VIDEO_END;
    return true;
  }
}

const signed24 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8)) >> 8;
