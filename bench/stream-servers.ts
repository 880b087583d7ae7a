import type { Child } from "../test/kit/child.ts";
import { clip, FULL_HD } from "../test/kit/stream/clips.ts";
import { type GstServer, rtpEncoder, startGst } from "../test/kit/stream/gst.ts";

/** One encoder's stream at one address: 1080p25, 2 Mbit/s, H.264, encoded once and played again and again. */
export interface FullHdServer extends AsyncDisposable {
  /** Any number of sessions may play it: the server makes it once for all. */
  readonly url: string;
  readonly gst: GstServer;
  readonly encoder: Child;
}

/** GStreamer's RTSP server, fed by ffmpeg that copies: its own cost is no encoder's. */
export async function serveFullHd(): Promise<FullHdServer> {
  const file = clip("move", { ...FULL_HD, rate: "cbr2m", seconds: 12 });
  const gst = await startGst();
  const encoder = rtpEncoder(file, gst.forwardPort);
  return {
    url: gst.url("fwd"),
    gst,
    encoder,
    async [Symbol.asyncDispose]() {
      await encoder.kill9();
      await gst.kill9();
    },
  };
}
