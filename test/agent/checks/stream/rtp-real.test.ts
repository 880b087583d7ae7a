import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openRtpTrack } from "../../../../agent/checks/stream/rtp/track.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { needs, run } from "../../../kit/peers.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { sizeOf, splitAnnexB } from "../../../kit/stream/nal-writer.ts";
import { type Captured, captureRtp, greyOf } from "../../../kit/stream/rtp-capture.ts";
import { type TempFolder, tempFolder } from "../../../kit/temp.ts";

const missing = [needs("ffmpeg", "ffmpeg"), needs("ffprobe", "ffmpeg")].includes(true);

interface Packet {
  size: string;
  flags: string;
  pts: number;
  pos: string;
}
const probe = (path: string): Packet[] =>
  JSON.parse(run("ffprobe", ["-v", "error", "-show_packets", "-of", "json", path])).packets;

/** Hears a capture, in the order it came. Whether each RTCP packet left the stream going. */
function hear({ packets, media }: Captured, wants = 0): { sink: Heard; stayed: boolean[] } {
  const sink = new Heard();
  sink.wants = wants;
  const track = openRtpTrack(0, media, sessionOf(sink, new HandClock()));
  const stayed: boolean[] = [];
  for (const { bytes, rtcp, at } of packets) {
    if (rtcp) stayed.push(track.rtcp(bytes, at));
    else track.rtp(bytes, at);
  }
  track.flush(packets.at(-1)?.at ?? 0);
  return { sink, stayed };
}

const SOURCE = ["-f", "lavfi", "-i", "testsrc2=size=642x360:rate=25"];
const encode = (folder: TempFolder, name: string, args: readonly string[]): string => {
  const path = join(folder.path, name);
  run("ffmpeg", ["-v", "error", "-nostdin", ...args, path]);
  return path;
};

/**
 * Sizes of the packets ffprobe finds in a byte stream, start codes taken away. A zero that ends a packet (of the next start
 * code, which the HEVC parser leaves there) is sent with it, so it counts.
 */
function nalBytes(path: string, packets: readonly Packet[]): string[] {
  const file = readFileSync(path);
  return packets.map(({ pos, size, flags }) => {
    const packet = file.subarray(Number(pos), Number(pos) + Number(size));
    const zeros = packet.length - 1 - packet.findLastIndex((byte) => byte !== 0);
    return `${sizeOf(splitAnnexB(packet)) + zeros}${flags.startsWith("K") ? "*" : ""}`;
  });
}

const CASES = [
  { name: "h264 with B-frames", raw: "h264", codec: "H264", args: ["-c:v", "libx264", "-bf", "3", "-g", "20"] },
  {
    name: "h264 in four slices",
    raw: "h264",
    codec: "H264",
    args: ["-c:v", "libx264", "-x264-params", "slices=4:bframes=0", "-g", "20"],
  },
  {
    name: "h264 with open GOPs",
    raw: "h264",
    codec: "H264",
    args: ["-c:v", "libx264", "-x264-params", "open-gop=1:bframes=2:keyint=15"],
  },
  {
    name: "h264 that refreshes by columns",
    raw: "h264",
    codec: "H264",
    args: ["-c:v", "libx264", "-x264-params", "intra-refresh=1:bframes=0:keyint=20"],
  },
  {
    name: "hevc with B-frames",
    raw: "hevc",
    codec: "H265",
    args: ["-c:v", "libx265", "-x265-params", "log-level=error:keyint=20:bframes=3"],
  },
  {
    name: "hevc in slices, with open GOPs",
    raw: "hevc",
    codec: "H265",
    args: ["-c:v", "libx265", "-x265-params", "log-level=error:keyint=15:slices=3:open-gop=1"],
  },
] as const;

describe.skipIf(missing)("what ffmpeg sends as RTP is what ffprobe sees in the file", () => {
  test.each(CASES)("$name: frames, keyframes, sizes, stamps, format, a picture", async ({ raw, codec, args }) => {
    using folder = tempFolder();
    const clip = encode(folder, "clip.ts", [
      ...SOURCE,
      "-t",
      "3",
      "-pix_fmt",
      "yuv420p",
      "-preset",
      "veryfast",
      ...args,
    ]);
    const stream = encode(folder, `clip.${raw}`, ["-i", clip, "-c", "copy"]);
    const expected = probe(stream);
    const captured = await captureRtp(["-i", clip, "-c", "copy"]);
    const { sink, stayed } = hear(captured, 1);
    const heard = sink.of(0);
    expect(heard.sizes).toEqual(nalBytes(stream, expected));
    const began = heard.stamps[0] ?? 0;
    const shown = probe(clip).map((packet) => packet.pts);
    expect(heard.stamps.map((stamp) => stamp - began)).toEqual(shown.map((pts) => pts - (shown[0] ?? 0)));
    expect(heard.track).toEqual({ kind: "video", codec, clockHz: 90_000 });
    expect(heard.formats).toMatchObject([{ codec, width: 642, height: 360, fps: 25 }]);
    expect(heard.odd).toEqual([]);
    const media = captured.packets.filter(({ rtcp }) => !rtcp);
    expect(heard.counts).toMatchObject({ received: media.length, lost: 0, duplicates: 0, reordered: 0 });
    // Sender's reports all through, and a BYE at the end.
    expect(stayed.lastIndexOf(true)).toBeGreaterThanOrEqual(0);
    expect(stayed.at(-1)).toBe(false);
    expect(heard.clocks.length).toBeGreaterThan(0);
    const [picture] = heard.pictures;
    expect(greyOf(raw, picture?.bytes ?? Buffer.alloc(0))).toEqual(greyOf("mpegts", readFileSync(clip)));
  });

  test("h264 whose parameter sets stand in the SDP only: the keyframe is whole with them", async () => {
    using folder = tempFolder();
    const clip = encode(folder, "clip.mp4", [
      ...SOURCE,
      "-t",
      "1",
      "-pix_fmt",
      "yuv420p",
      "-c:v",
      "libx264",
      "-preset",
      "veryfast",
    ]);
    const { sink } = hear(await captureRtp(["-i", clip, "-c", "copy"]), 1);
    expect(sink.of(0).formats).toMatchObject([{ width: 642, height: 360 }]);
    const raw = encode(folder, "clip.h264", ["-i", clip, "-c", "copy"]);
    expect(greyOf("h264", sink.of(0).pictures[0]?.bytes ?? Buffer.alloc(0))).toEqual(greyOf("h264", readFileSync(raw)));
    expect(sink.of(0).frames).toHaveLength(probe(raw).length);
  });

  test("mjpeg: every frame, its size within the head's, the very pixels", async () => {
    using folder = tempFolder();
    // ffmpeg's sender takes 4:2:0 with the standard Huffman tables only, and sizes in eights.
    const clip = encode(folder, "clip.mkv", [
      ...["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-t", "2", "-pix_fmt", "yuvj420p"],
      ...["-c:v", "mjpeg", "-huffman", "default", "-q:v", "6"],
    ]);
    const { sink } = hear(await captureRtp(["-i", clip, "-c", "copy"]), 1);
    const expected = probe(clip);
    expect(sink.of(0).frames).toHaveLength(expected.length);
    expect(sink.of(0).keys).toBe(expected.length);
    expect(sink.of(0).formats).toEqual([{ codec: "MJPEG", width: 640, height: 360 }]);
    const heads = sink.of(0).frames.map((frame, i) => Number(expected[i]?.size) - frame.size);
    expect(new Set(heads).size).toBe(1);
    const bytes = sink.of(0).pictures[0]?.bytes ?? Buffer.alloc(0);
    const first = encode(folder, "first.mjpeg", ["-i", clip, "-c", "copy", "-frames:v", "1"]);
    expect(greyOf("mjpeg", bytes)).toEqual(greyOf("mjpeg", readFileSync(first)));
  });

  test("sound: every AAC frame with its size; all bytes of G.711", async () => {
    using folder = tempFolder();
    const tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "3"];
    const aac = encode(folder, "clip.m4a", [...tone, "-c:a", "aac"]);
    const heardAac = hear(await captureRtp(["-i", aac, "-c", "copy"], "audio")).sink.of(0);
    expect(heardAac.track).toEqual({ kind: "audio", codec: "AAC", clockHz: 48_000 });
    const sent = heardAac.frames.length;
    // ffmpeg's sender keeps what does not fill its last packet to itself.
    expect(sent).toBeGreaterThan(probe(aac).length - 8);
    expect(heardAac.frames.map((frame) => String(frame.size))).toEqual(
      probe(aac)
        .slice(0, sent)
        .map((packet) => packet.size),
    );
    const steps = heardAac.stamps.slice(1).map((stamp, i) => stamp - (heardAac.stamps[i] ?? 0));
    expect(new Set(steps)).toEqual(new Set([1024]));

    const pcma = encode(folder, "clip.wav", [...tone, "-ar", "8000", "-ac", "1", "-c:a", "pcm_alaw"]);
    const heardPcma = hear(await captureRtp(["-i", pcma, "-c", "copy"], "audio")).sink.of(0);
    expect(heardPcma.track).toEqual({ kind: "audio", codec: "PCMA", clockHz: 8000 });
    const bytes = (sizes: number[]): number => sizes.reduce((sum, size) => sum + size, 0);
    expect(bytes(heardPcma.frames.map((frame) => frame.size))).toBe(
      bytes(probe(pcma).map((packet) => Number(packet.size))),
    );
  });
});
