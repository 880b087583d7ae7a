/** Codecs of the classic tag (FLV 10.1 §E.4.2.1); 13 is what servers in China use for Opus. */
const CLASSIC: Readonly<Record<number, string>> = {
  0: "PCM",
  1: "ADPCM",
  2: "MP3",
  3: "PCM",
  4: "NELLYMOSER",
  5: "NELLYMOSER",
  6: "NELLYMOSER",
  7: "PCMA",
  8: "PCMU",
  10: "AAC",
  11: "SPEEX",
  13: "OPUS",
  14: "MP3",
};
const FOUR_CC: Readonly<Record<string, string>> = {
  mp4a: "AAC",
  Opus: "OPUS",
  ".mp3": "MP3",
  fLaC: "FLAC",
  "ac-3": "AC3",
  "ec-3": "EAC3",
};
const ENHANCED = 9;
const AAC = 10;
const CODED_FRAMES = 1;

/** The head of an audio tag, classic (FLV 10.1 §E.4.2) or of Enhanced RTMP v2; one object, read anew for each tag. */
export class AudioHead {
  /** As `Track.codec`; "" when unknown. */
  codec = "";
  /** The body is sound, not a configuration. */
  isFrame = false;
  bodyAt = 0;

  /** `length` bytes of `bytes` are the tag's first. False: too short to be a tag. */
  read(bytes: Uint8Array, length: number): boolean {
    const first = bytes[0] ?? 0;
    const format = first >> 4;
    if (format === ENHANCED) return this.#readEnhanced(bytes, length, first & 15);
    this.codec = CLASSIC[format] ?? "";
    this.bodyAt = format === AAC ? 2 : 1;
    this.isFrame = format !== AAC || bytes[1] === 1;
    return length >= this.bodyAt;
  }

  #readEnhanced(bytes: Uint8Array, length: number, packet: number): boolean {
    this.bodyAt = 5;
    this.isFrame = packet === CODED_FRAMES;
    this.codec = packet > 4 ? "" : (FOUR_CC[String.fromCharCode(...bytes.subarray(1, 5))] ?? "");
    return length >= 5;
  }
}
