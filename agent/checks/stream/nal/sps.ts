import type { PictureFormat } from "../media.ts";
import { NalBits } from "./bits.ts";
import { skipLongTerm, skipScalingLists, skipShortTermSets } from "./sps-h265.ts";

interface Sps {
  id: number;
  format: PictureFormat;
  /** Fields may be coded each as a picture of its own. */
  fields: boolean;
}

/** What level 6.2 of both codecs allows at most, and a frame rate that nobody sends. */
const MOST_PIXELS = 16_888;
const MOST_FPS = 1000;
/** Profiles whose SPS tells the chroma format (H.264 §7.3.2.1.1). */
const WITH_CHROMA: ReadonlySet<number> = new Set([44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244]);

/**
 * Reads a sequence parameter set of H.264 (§7.3.2.1.1), a NAL unit with its header; undefined where it is cut short or
 * absurd. A VUI that does not parse costs only the frame rate: there are encoders that write it wrong.
 */
export function readSpsH264(nal: Uint8Array): Sps | undefined {
  const bits = new NalBits(nal, 1);
  const profile = bits.bits(8);
  bits.skip(8);
  const level = bits.bits(8);
  const id = bits.ue();
  const chroma = WITH_CHROMA.has(profile) ? readChroma(bits) : 1;
  bits.ue(); // log2_max_frame_num_minus4
  skipOrderCount(bits);
  bits.ue(); // max_num_ref_frames
  bits.skip(1);
  const widthMbs = bits.ue() + 1;
  const heightUnits = bits.ue() + 1;
  const framesOnly = bits.flag();
  bits.skip(framesOnly ? 1 : 2);
  const rows = framesOnly ? 1 : 2;
  const size = cropped(bits, chroma, { width: widthMbs * 16, height: heightUnits * 16 * rows, rows });
  const vui = bits.flag();
  if (bits.over || id > 31 || size === undefined) return undefined;
  const fps = vui ? readFpsH264(bits) : undefined;
  return { id, format: { codec: "H264", ...size, profile, level, ...(fps && { fps }) }, fields: !framesOnly };
}

/** The same for H.265 (§7.3.2.2), whose header has two bytes. */
export function readSpsH265(nal: Uint8Array): Sps | undefined {
  const bits = new NalBits(nal, 2);
  bits.skip(4);
  const subLayers = bits.bits(3);
  bits.skip(1);
  const { profile, level } = readProfileTierLevel(bits, subLayers);
  const id = bits.ue();
  const chroma = bits.ue();
  if (chroma === 3) bits.skip(1);
  const width = bits.ue();
  const height = bits.ue();
  const size = cropped(bits, chroma, { width, height, rows: 1 });
  if (bits.over || id > 15 || chroma > 3 || size === undefined) return undefined;
  const fps = readFpsH265(bits, subLayers);
  return { id, format: { codec: "H265", ...size, profile, level, ...(fps && { fps }) }, fields: false };
}

/** frame_cropping (H.264) or conformance_window (H.265), which count in samples of the colours. */
function cropped(
  bits: NalBits,
  chroma: number,
  coded: { width: number; height: number; rows: number },
): { width: number; height: number } | undefined {
  let { width, height } = coded;
  if (width < 1 || height < 1 || width > MOST_PIXELS || height > MOST_PIXELS) return undefined;
  if (bits.flag()) {
    width -= (bits.ue() + bits.ue()) * (chroma === 1 || chroma === 2 ? 2 : 1);
    height -= (bits.ue() + bits.ue()) * (chroma === 1 ? 2 : 1) * coded.rows;
  }
  return width < 1 || height < 1 ? undefined : { width, height };
}

function readChroma(bits: NalBits): number {
  const chroma = bits.ue();
  // ChromaArrayType is 0 where the planes are coded apart.
  const apart = chroma === 3 && bits.flag();
  bits.ue();
  bits.ue();
  bits.skip(1);
  if (bits.flag()) {
    for (let i = 0; i < (chroma === 3 ? 12 : 8) && !bits.over; i += 1) if (bits.flag()) skipScalingList(bits, i < 6);
  }
  if (chroma > 3) bits.over = true;
  return apart ? 0 : chroma;
}

/** §7.3.2.1.1.1 */
function skipScalingList(bits: NalBits, small: boolean): void {
  let last = 8;
  for (let i = 0; i < (small ? 16 : 64) && !bits.over; i += 1) {
    const next = (last + bits.se() + 256) % 256;
    if (next === 0) return;
    last = next;
  }
}

function skipOrderCount(bits: NalBits): void {
  const type = bits.ue();
  if (type === 0) bits.ue();
  if (type !== 1) return;
  bits.skip(1);
  bits.se();
  bits.se();
  const cycle = bits.ue();
  if (cycle > 255) bits.over = true;
  for (let i = 0; i < cycle && !bits.over; i += 1) bits.se();
}

/** What both codecs begin their VUI with (H.264 §E.1.1, H.265 §E.2.1). */
function skipVuiHead(bits: NalBits): void {
  if (bits.flag() && bits.bits(8) === 255) bits.skip(32);
  if (bits.flag()) bits.skip(1);
  if (bits.flag()) {
    bits.skip(4);
    if (bits.flag()) bits.skip(24);
  }
  if (bits.flag()) {
    bits.ue();
    bits.ue();
  }
}

function readFpsH264(bits: NalBits): number | undefined {
  skipVuiHead(bits);
  return readTiming(bits, 2);
}

/** Frames a second of vui_timing_info; `ticks` of it make a frame. */
function readTiming(bits: NalBits, ticks: number): number | undefined {
  if (!bits.flag()) return undefined;
  const units = bits.bits(32);
  const scale = bits.bits(32);
  const fps = scale / (units * ticks);
  return bits.over || !(fps > 0 && fps <= MOST_FPS) ? undefined : Math.round(fps * 1000) / 1000;
}

function readProfileTierLevel(bits: NalBits, subLayers: number): { profile: number; level: number } {
  bits.skip(3);
  const profile = bits.bits(5);
  bits.skip(32 + 48);
  const level = bits.bits(8);
  const told: number[] = [];
  for (let i = 0; i < subLayers; i += 1) told.push(bits.bits(2));
  if (subLayers > 0) bits.skip(2 * (8 - subLayers));
  for (const layer of told) bits.skip((layer & 2 ? 88 : 0) + (layer & 1 ? 8 : 0));
  return { profile, level };
}

/** From bit_depth_luma_minus8 on to vui_timing_info. */
function readFpsH265(bits: NalBits, subLayers: number): number | undefined {
  bits.ue();
  bits.ue();
  const orderBits = bits.ue() + 4;
  const layers = bits.flag() ? subLayers + 1 : 1;
  for (let i = 0; i < layers * 3; i += 1) bits.ue();
  for (let i = 0; i < 6; i += 1) bits.ue();
  if (bits.flag() && bits.flag()) skipScalingLists(bits);
  bits.skip(2);
  if (bits.flag()) {
    bits.skip(8);
    bits.ue();
    bits.ue();
    bits.skip(1);
  }
  skipShortTermSets(bits);
  skipLongTerm(bits, orderBits);
  bits.skip(2);
  if (!bits.flag()) return undefined;
  skipVuiHead(bits);
  bits.skip(3);
  if (bits.flag()) for (let i = 0; i < 4; i += 1) bits.ue();
  return readTiming(bits, 1);
}
