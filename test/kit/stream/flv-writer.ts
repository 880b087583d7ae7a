import { readFileSync } from "node:fs";
import { run } from "../peers.ts";
import { tempFolder } from "../temp.ts";

/** FLV as a test wants it, written by hand: what ffmpeg 5 cannot write (H.265), and what nobody should. */

export const FLV_HEADER = Buffer.from("464c5601050000000900000000", "hex");

/** A tag with its header and the size after it. `stamp`: unsigned 32-bit ms. */
export function flvTag(type: number, stamp: number, body: Uint8Array): Buffer {
  const tag = Buffer.alloc(11 + body.length + 4);
  tag[0] = type;
  tag.writeUIntBE(body.length, 1, 3);
  tag.writeUIntBE(stamp & 0xffffff, 4, 3);
  tag[7] = stamp >>> 24;
  tag.set(body, 11);
  tag.writeUInt32BE(11 + body.length, 11 + body.length);
  return tag;
}

/** An access unit of a clip: its NAL units, without start codes. */
export interface ClipUnit {
  nals: Buffer[];
  key: boolean;
}

/** NAL unit types, H.265 Table 7-1 and H.264 Table 7-1. */
const H265 = { type: (nal: Buffer): number => ((nal[0] ?? 0) >> 1) & 63, sets: [32, 33, 34], delimiter: 35, first: 2 };
const H264 = { type: (nal: Buffer): number => (nal[0] ?? 0) & 31, sets: [7, 8], delimiter: 9, first: 1 };

/** The access units of a clip in the order of decoding, and its parameter sets; ffmpeg writes it with delimiters between. */
export function clipUnits(path: string, codec: "h264" | "h265"): { units: ClipUnit[]; sets: Buffer[] } {
  using folder = tempFolder("vigil-units");
  const raw = `${folder.path}/raw`;
  const name = codec === "h264" ? "h264" : "hevc";
  const insert = ["-bsf:v", `${name}_metadata=aud=insert`];
  run("ffmpeg", ["-v", "error", "-i", path, "-map", "0:v", "-c", "copy", ...insert, "-f", name, raw]);
  const words = codec === "h264" ? H264 : H265;
  const units: ClipUnit[] = [];
  const sets: Buffer[] = [];
  for (const nal of nalsIn(readFileSync(raw))) {
    const type = words.type(nal);
    if (type === words.delimiter) units.push({ nals: [], key: false });
    else if (words.sets.includes(type)) {
      if (!sets.some((set) => set.equals(nal))) sets.push(nal);
    } else {
      const unit = units.at(-1);
      unit?.nals.push(nal);
      if (unit !== undefined && (codec === "h264" ? type === 5 : type >= 16 && type <= 21)) unit.key = true;
    }
  }
  return { units, sets };
}

function nalsIn(stream: Buffer): Buffer[] {
  const nals: Buffer[] = [];
  let from = -1;
  for (;;) {
    const found = stream.indexOf("\0\0\x01", Math.max(0, from), "latin1");
    if (from >= 0) {
      let end = found < 0 ? stream.length : found;
      while (end > from && stream[end - 1] === 0) end -= 1;
      nals.push(stream.subarray(from, end));
    }
    if (found < 0) return nals;
    from = found + 3;
  }
}

/** HEVCDecoderConfigurationRecord with these sets and lengths of four bytes; what only a player needs is 0. */
export function hevcRecord(sets: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(23);
  head[0] = 1;
  head[21] = 3;
  head[22] = sets.length;
  const arrays = sets.map((set) => {
    const array = Buffer.alloc(5);
    array[0] = H265.type(set);
    array.writeUInt16BE(1, 1);
    array.writeUInt16BE(set.length, 3);
    return Buffer.concat([array, set]);
  });
  return Buffer.concat([head, ...arrays]);
}

/** AVCDecoderConfigurationRecord of one SPS and one PPS. */
export function avcRecord(sps: Buffer, pps: Buffer): Buffer {
  const sized = (set: Buffer): Buffer => Buffer.concat([Buffer.of(set.length >> 8, set.length & 255), set]);
  return Buffer.concat([
    Buffer.of(1, sps[1] ?? 0, sps[2] ?? 0, sps[3] ?? 0, 0xff, 0xe1),
    sized(sps),
    Buffer.of(1),
    sized(pps),
  ]);
}

/** NAL units with their lengths before them. */
export function sized(nals: readonly Buffer[]): Buffer {
  return Buffer.concat(
    nals.flatMap((nal) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(nal.length, 0);
      return [length, nal];
    }),
  );
}
