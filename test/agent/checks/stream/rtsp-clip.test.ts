import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { needs, run } from "../../../kit/peers.ts";
import { needsGst, startGst } from "../../../kit/stream/gst.ts";
import { beginRtsp } from "../../../kit/stream/rtsp-play.ts";
import { type TempFolder, tempFolder } from "../../../kit/temp.ts";

const missing = [needsGst(), needs("ffmpeg", "ffmpeg"), needs("ffprobe", "ffmpeg")].includes(true);

const SECONDS = 4;
const X265 = "log-level=error:keyint=20:min-keyint=20:bframes=2:open-gop=0";
const CODERS = {
  h264: ["-c:v", "libx264", "-g", "20", "-keyint_min", "20", "-bf", "2"],
  h265: ["-c:v", "libx265", "-x265-params", X265],
};

function encode(folder: TempFolder, codec: keyof typeof CODERS): string {
  const path = join(folder.path, `clip-${codec}.mkv`);
  const source = ["-f", "lavfi", "-i", "testsrc2=size=642x360:rate=25", "-t", String(SECONDS), "-pix_fmt", "yuv420p"];
  run("ffmpeg", ["-v", "error", "-nostdin", ...source, ...CODERS[codec], "-preset", "veryfast", path]);
  return path;
}

interface Probed {
  packets: { size: string; flags: string; pts_time: string }[];
  streams: { codec_name: string; width: number; height: number }[];
}

describe.skipIf(missing)("a clip that a real server plays is to us what it is to ffprobe", () => {
  test.each([
    ["h264", "tcp"],
    ["h264", "udp"],
    ["h265", "tcp"],
    ["h265", "udp"],
  ] as const)("%s over %s: every frame, keyframe, stamp, size and the codec", async (codec, transport) => {
    using folder = tempFolder();
    const clips = { h264: "", h265: "", [codec]: encode(folder, codec) };
    const words = ["-v", "error", "-show_packets", "-show_streams", "-of", "json", clips[codec]];
    const probed: Probed = JSON.parse(run("ffprobe", words));
    const { packets, streams } = probed;
    expect(packets).toHaveLength(25 * SECONDS);
    await using gst = await startGst({ clips });
    await using playing = beginRtsp({ url: gst.url(`clip-${codec}`), transport });
    await playing.until((heard) => heard.of(0).frames.length >= packets.length);
    await playing.leave();
    const heard = playing.heard.of(0);
    expect(heard.frames).toHaveLength(packets.length);
    expect(heard.frames.map(({ key }) => key)).toEqual(packets.map(({ flags }) => flags.startsWith("K")));
    const [began = 0, shown = 0] = [heard.frames[0]?.stamp, Number(packets[0]?.pts_time)];
    const offsets = heard.frames.map(({ stamp }) => Math.round((stamp - began) / 90));
    expect(offsets).toEqual(packets.map(({ pts_time }) => Math.round((Number(pts_time) - shown) * 1_000)));
    for (const [i, { size, key }] of heard.frames.entries()) {
      // Matroska has four bytes of length where we count none; parameter sets of a keyframe may travel beside it
      const file = Number(packets[i]?.size);
      expect(Math.abs(file - size), `frame ${i}`).toBeLessThanOrEqual(key ? 120 : 8);
    }
    const [stream] = streams;
    expect(heard.track?.codec).toBe(stream?.codec_name === "hevc" ? "H265" : stream?.codec_name.toUpperCase());
    expect(heard.formats).toMatchObject([{ width: stream?.width, height: stream?.height }]);
    expect(heard.counts).toMatchObject({ lost: 0, duplicates: 0 });
  });
});
