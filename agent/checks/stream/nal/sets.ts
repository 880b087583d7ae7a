import type { PictureFormat } from "../media.ts";
import { NalBits } from "./bits.ts";
import { readSpsH264, readSpsH265 } from "./sps.ts";

export type NalCodec = "H264" | "H265";

/** A stream has two or three; a server that invents more pushes out its own oldest. */
const MOST_SETS = 16;

interface KnownSet {
  type: number;
  id: number;
  bytes: Uint8Array;
}

/** The parameter sets of one stream, the newest of each id, and the format that the newest SPS tells. */
export class ParameterSets {
  readonly #codec: NalCodec;
  #sets: KnownSet[] = [];
  #format: PictureFormat | undefined;
  #changed = false;
  #told = false;
  /** Coded pictures that may make one access unit here: 2 where fields may be coded one by one. */
  picturesInUnit = 1;

  constructor(codec: NalCodec) {
    this.#codec = codec;
  }

  /** Whether a decoder has what it needs to begin: a sequence and a picture parameter set. */
  get complete(): boolean {
    const [sps, pps] = this.#codec === "H264" ? [7, 8] : [33, 34];
    return this.#sets.some((set) => set.type === sps) && this.#sets.some((set) => set.type === pps);
  }

  /** As a decoder wants them: VPS, SPS, PPS. */
  inOrder(): Uint8Array[] {
    return this.#sets.toSorted((a, b) => a.type - b.type).map((set) => set.bytes);
  }

  /** Takes a whole parameter set; `nal` may be written over afterwards. */
  learn(nal: Uint8Array): "known" | "new" | "broken" {
    const type = this.#codec === "H264" ? (nal[0] ?? 0) & 0x1f : ((nal[0] ?? 0) >> 1) & 0x3f;
    if (this.#sets.some((set) => set.type === type && Buffer.compare(set.bytes, nal) === 0)) return "known";
    let id = -1;
    if (type === 7 || type === 33) {
      const sps = this.#codec === "H264" ? readSpsH264(nal) : readSpsH265(nal);
      if (sps === undefined) return "broken";
      id = sps.id;
      this.picturesInUnit = sps.fields ? 2 : 1;
      this.#note(sps.format);
    } else if (type === 8 || type === 34) {
      id = new NalBits(nal, this.#codec === "H264" ? 1 : 2).ue();
    }
    this.#sets = this.#sets.filter((set) => set.type !== type || set.id !== id);
    if (this.#sets.length >= MOST_SETS) this.#sets.shift();
    this.#sets.push({ type, id, bytes: Uint8Array.from(nal) });
    return "new";
  }

  /** The format, where it is not told yet: first with a keyframe (what was told outside the stream may be old), then at once. */
  news(key: boolean): PictureFormat | undefined {
    if (!this.#changed || !(key || this.#told)) return undefined;
    this.#changed = false;
    this.#told = true;
    return this.#format;
  }

  #note(format: PictureFormat): void {
    const old = this.#format;
    this.#format = format;
    this.#changed ||= old === undefined || !sameFormat(old, format);
  }
}

const sameFormat = (a: PictureFormat, b: PictureFormat): boolean =>
  a.width === b.width && a.height === b.height && a.profile === b.profile && a.level === b.level && a.fps === b.fps;
