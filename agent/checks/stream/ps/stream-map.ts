import type { Track } from "../media.ts";

/** One elementary stream as the program stream map announces it. */
export interface MappedStream {
  /** 0xc0–0xdf sound, 0xe0–0xef picture, 0xbd private. */
  streamId: number;
  kind: Track["kind"];
  codec: string;
}

/** H.222.0 Table 2-34, and what GB/T 28181 annex C (2016: 附录C, 2022: 附录C) adds to it. */
const TYPES: Readonly<Record<number, readonly [kind: Track["kind"], codec: string]>> = {
  1: ["video", "MPV"],
  2: ["video", "MPV"],
  3: ["audio", "MPA"],
  4: ["audio", "MPA"],
  15: ["audio", "AAC"],
  16: ["video", "MPEG4"],
  27: ["video", "H264"],
  36: ["video", "H265"],
  128: ["video", "SVAC"],
  144: ["audio", "PCMA"],
  145: ["audio", "PCMU"],
  146: ["audio", "G7221"],
  147: ["audio", "G723"],
  153: ["audio", "G729"],
  155: ["audio", "SVACA"],
};
const MOST_STREAMS = 8;

/**
 * The streams of a program stream map (H.222.0 §2.5.4), `map` from its start code to its end; what is not announced by a
 * type known to us is kept with the kind its stream id says and no codec. Undefined where its lengths contradict each other.
 * Its CRC is not asked: many devices write 0 there.
 */
export function streamMap(map: Uint8Array): MappedStream[] | undefined {
  const two = (at: number): number => ((map[at] ?? 0) << 8) | (map[at + 1] ?? 0);
  const begin = 10 + two(8) + 2;
  const end = begin + two(begin - 2);
  if (map.length < 12 || end > map.length) return undefined;
  const streams: MappedStream[] = [];
  for (let at = begin; at + 4 <= end; at += 4 + two(at + 2)) {
    const [type = 0, streamId = 0] = [map[at], map[at + 1]];
    const [kind, codec] = TYPES[type] ?? [kindOf(streamId), ""];
    if (streams.length < MOST_STREAMS && isCarried(streamId)) streams.push({ streamId, kind, codec });
  }
  return streams;
}

/** What a stream is by its id alone (H.222.0 Table 2-22). */
export function kindOf(streamId: number): Track["kind"] {
  if (streamId >= 0xe0 && streamId <= 0xef) return "video";
  return streamId >= 0xc0 && streamId <= 0xdf ? "audio" : "other";
}

/** Whether the packets of this id are sound or picture: private data (0xbd, 0xbf) and all the rest are passed over. */
export const isCarried = (streamId: number): boolean => streamId >= 0xc0 && streamId <= 0xef;
