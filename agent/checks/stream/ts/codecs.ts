import type { Track } from "../media.ts";
import type { PmtStream } from "./psi.ts";

/** Ticks of PTS and DTS in one second. */
export const TS_CLOCK_HZ = 90_000;

/** Stream types of ISO/IEC 13818-1 Table 2-34, and those of GB/T 28181 Annex C and of ATSC beside them. */
const VIDEO: ReadonlyMap<number, string> = new Map([
  [0x01, "MPEG1"],
  [0x02, "MPEG2"],
  [0x10, "MPEG4"],
  [0x1b, "H264"],
  [0x24, "H265"],
  [0x33, "H266"],
  [0x42, "AVS"],
  [0x80, "SVAC"],
  [0xd2, "AVS2"],
]);
const AUDIO: ReadonlyMap<number, string> = new Map([
  [0x03, "MP2"],
  [0x04, "MP2"],
  [0x0f, "AAC"],
  [0x11, "AAC"],
  [0x81, "AC-3"],
  [0x87, "EAC3"],
  [0x90, "PCMA"],
  [0x91, "PCMU"],
  [0x92, "G722"],
  [0x93, "G723"],
  [0x99, "G729"],
  [0x9b, "SVACA"],
]);
/** What a registration descriptor says, for streams of a private type. */
const REGISTERED: ReadonlyMap<string, Pick<Track, "kind" | "codec">> = new Map([
  ["HEVC", { kind: "video", codec: "H265" }],
  ["AVC ", { kind: "video", codec: "H264" }],
  ["AV01", { kind: "video", codec: "AV1" }],
  ["Opus", { kind: "audio", codec: "OPUS" }],
  ["AC-3", { kind: "audio", codec: "AC-3" }],
  ["EAC3", { kind: "audio", codec: "EAC3" }],
]);
const PRIVATE_PES = 0x06;

/** What a stream of a program map is to us. */
export function trackOf({ type, registration }: PmtStream): Track {
  const video = VIDEO.get(type);
  if (video !== undefined) return { kind: "video", codec: video, clockHz: TS_CLOCK_HZ };
  const audio = AUDIO.get(type);
  if (audio !== undefined) return { kind: "audio", codec: audio, clockHz: TS_CLOCK_HZ };
  const said = type === PRIVATE_PES ? REGISTERED.get(registration) : undefined;
  return { kind: said?.kind ?? "other", codec: said?.codec ?? "", clockHz: TS_CLOCK_HZ };
}
