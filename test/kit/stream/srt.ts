import { join } from "node:path";
import { type Child, startChild } from "../child.ts";
import { programPath } from "../peers.ts";
import { freePort } from "../ports.ts";
import { tempFolder } from "../temp.ts";
import { bound } from "./sipp.ts";

/** srt-live-transmit (package srt-tools) as a forwarder with statistics, and an encoder that calls it. */
export interface SrtRelay extends AsyncDisposable {
  /** Where callers call. */
  readonly port: number;
  /** Where it sends on what it gets, by UDP on loopback. */
  readonly out: number;
  /** What it writes about its connection. */
  readonly statsFile: string;
  readonly child: Child;
  /** An encoder: ffmpeg sends a clip (.ts) without end and in real time. */
  call(clip: string): Child;
}

/** `everyPackets`: a record of the statistics after so many packets. `totals`: counters that go on from record to record. */
export async function startSrtRelay({
  everyPackets = 20,
  totals = false,
}: {
  everyPackets?: number;
  totals?: boolean;
} = {}): Promise<SrtRelay> {
  const folder = tempFolder("vigil-srt");
  const statsFile = join(folder.path, "stats.json");
  const [port, out] = [await freePort(), await freePort()];
  const words = ["-q", ...(totals ? ["-f"] : []), "-s", String(everyPackets), "-pf", "json", `-statsout:${statsFile}`];
  const listen = `srt://127.0.0.1:${port}?mode=listener&peeridletimeo=1000`;
  const child = startChild(programPath("srt-live-transmit"), [...words, listen, `udp://127.0.0.1:${out}`]);
  await bound(port, child);
  const callers: Child[] = [];
  return {
    port,
    out,
    statsFile,
    child,
    call(clip) {
      const input = ["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", clip];
      const to = `srt://127.0.0.1:${port}?mode=caller`;
      const caller = startChild(programPath("ffmpeg"), [...input, "-c", "copy", "-f", "mpegts", to]);
      callers.push(caller);
      return caller;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([child, ...callers].map((one) => one.kill9()));
      folder[Symbol.dispose]();
    },
  };
}
