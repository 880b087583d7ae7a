import { systemClock } from "../platform/clock.ts";
import { type Child, startChild } from "../test/kit/child.ts";
import { programPath } from "../test/kit/peers.ts";
import { freePort } from "../test/kit/ports.ts";
import { CLIP_OSD, type ClipKind, type ClipWish, clip } from "../test/kit/stream/clips.ts";
import { rtpEncoder, startGst } from "../test/kit/stream/gst.ts";
import { startNginx } from "../test/kit/stream/nginx.ts";
import { startNms } from "../test/kit/stream/nms.ts";
import { publish } from "../test/kit/stream/publish.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, round, tell } from "./bench.ts";
import { LiveCheck } from "./stream-check.ts";

/** One healthy stream: what it shows, how it is coded, what serves it. */
interface Healthy {
  name: string;
  kind: ClipKind;
  wish: Partial<ClipWish>;
  by: "rtsp" | "rtmp" | "flv" | "hls" | "ts";
  class?: "camera" | "presentation" | "narrowband";
  more?: object;
}

/** Acceptance test A2's set; 640 × 360, so that two cores carry all at once. */
const SET: readonly Healthy[] = [
  { name: "moving-cbr", kind: "move", wish: { rate: "cbr2m" }, by: "rtsp" },
  { name: "moving-h265-crf", kind: "move", wish: { rate: "crf", codec: "h265" }, by: "rtsp" },
  { name: "moving-5fps", kind: "move", wish: { rate: "crf", fps: 5 }, by: "rtmp" },
  { name: "moving-gop-10s", kind: "move", wish: { rate: "crf", gop: 250 }, by: "rtsp" },
  { name: "moving-vfr", kind: "move", wish: { rate: "crf", vfr: true }, by: "rtsp" },
  { name: "moving-narrowband", kind: "move", wish: { rate: "cbr150k" }, by: "rtmp", class: "narrowband" },
  { name: "still-qp-floor", kind: "static", wish: { rate: "hw2m" }, by: "rtsp" },
  {
    name: "still-cbr-osd",
    kind: "static_osd",
    wish: { rate: "cbr2m" },
    by: "hls",
    more: { picture: { osd: CLIP_OSD } },
  },
  { name: "still-crf", kind: "static", wish: { rate: "crf" }, by: "flv" },
  { name: "still-h265-qp-floor-osd", kind: "static_osd", wish: { rate: "hw2m", codec: "h265" }, by: "ts" },
  { name: "slides-crf", kind: "presentation", wish: { rate: "crf" }, by: "flv", class: "presentation" },
  { name: "slides-qp-floor", kind: "presentation", wish: { rate: "hw2m" }, by: "rtsp", class: "presentation" },
];

/**
 * How long a clip is before it plays again. No two looks in a row are so far apart (20 s, 54 to 66 s): with 30 s a sampled
 * stream was seen three times at the very same picture of its clip, which no camera does, and was rightly called frozen.
 */
const CLIP_S = 100;

interface Served {
  url?: string;
  listen?: { address: string; port: number };
  encoder: Child;
}

export const streamCalm = bench({
  asks: "Does a healthy set of streams raise alarms?",
  minutes: 32,
  options: { minutes: 30 },
  async run({ minutes }) {
    await using servers = new AsyncDisposableStack();
    const { targets, encoders } = await serve(servers);
    using folder = tempFolder("stream-calm");
    using check = new LiveCheck({ deadlineMs: 30_000, targets }, folder.path);
    const isWell = await check.wellWithin(120_000);
    tell(`${targets.length} watched streams ${isWell ? "are all well" : "are NOT all well"}; ${minutes} minutes`);
    const cpu = process.cpuUsage();
    const began = systemClock.now();
    for (let told = 0; systemClock.now() - began < minutes * 60_000; await systemClock.sleep(1_000)) {
      for (const { subject, what, reason, says } of check.events.slice(told))
        tell(`${round((systemClock.now() - began) / 60_000)} min: ${subject} ${what} ${reason} ${says}`);
      told = check.events.length;
      for (const { name, encoder } of encoders)
        if (encoder.process.exitCode !== null) throw new Error(`the encoder of ${name} has ended: ${encoder.output()}`);
    }
    const of = (...kinds: string[]): number => check.events.filter(({ what }) => kinds.includes(what)).length;
    const { user, system } = process.cpuUsage(cpu);
    return {
      figures: [
        {
          figure: `healthy: alarms in ${minutes} min of ${SET.length} streams, each watched continuously and sampled`,
          measured: of("raised", "changed"),
          unit: "alarms",
          atMost: 0,
        },
        { figure: "… verdicts that were not ok, held back by the hold-on", measured: of("verdict"), unit: "verdicts" },
        { figure: "… times that nothing could be told", measured: of("unknown"), unit: "times" },
        { figure: "… streams that were well at the end", measured: wellOnes(check), unit: `of ${targets.length}` },
      ],
      cpuSeconds: round((user + system) / 1e6),
      events: check.events,
      last: check.verdicts,
    };
  },
});

const wellOnes = ({ verdicts }: LiveCheck): number =>
  verdicts.filter((one) => one.state === "judged" && one.grade === "ok").length;

/** Starts a real server for each, and names it twice: watched without a gap, and sampled. */
async function serve(servers: AsyncDisposableStack) {
  const nginx = servers.use(await startNginx());
  const nms = servers.use(await startNms());
  const encoders: { name: string; encoder: Child }[] = [];
  const targets: object[] = [];
  for (const one of SET) {
    tell(`serving ${one.name} over ${one.by}`);
    const served = await serveOne(one, servers, { nginx, nms });
    encoders.push({ name: one.name, encoder: served.encoder });
    const { url, listen } = served;
    const common = {
      ...{ type: one.by, class: one.class ?? "camera", picture: { everyMs: 20_000 } },
      ...(url === undefined ? { listen } : { url }),
    };
    const withMore = (more: object): object => ({
      ...common,
      ...more,
      picture: {
        ...common.picture,
        ...(one.more !== undefined && "picture" in one.more ? Object(one.more.picture) : {}),
      },
    });
    targets.push(withMore({ name: one.name, mode: "continuous" }));
    // a port can be listened on once
    if (one.by !== "ts") targets.push(withMore({ name: `${one.name}-sampled`, mode: "sampled" }));
  }
  return { targets, encoders };
}

type Shared = { nginx: Awaited<ReturnType<typeof startNginx>>; nms: Awaited<ReturnType<typeof startNms>> };

async function serveOne(
  { name, kind, wish, by }: Healthy,
  servers: AsyncDisposableStack,
  { nginx, nms }: Shared,
): Promise<Served> {
  const file = clip(kind, { seconds: CLIP_S, ...wish });
  if (by === "rtsp") {
    const gst = servers.use(await startGst({ forwards: wish.codec === "h265" ? "H265" : "H264" }));
    const encoder = servers.use(rtpEncoder(file, gst.forwardPort));
    return { url: gst.url("fwd"), encoder };
  }
  if (by === "ts") {
    const port = await freePort();
    const input = ["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", file];
    const to = `udp://127.0.0.1:${port}?pkt_size=1316`;
    const encoder = startChild(programPath("ffmpeg"), [...input, "-c", "copy", "-f", "mpegts", to]);
    servers.defer(() => encoder.kill9());
    return { listen: { address: "127.0.0.1", port }, encoder };
  }
  const to = by === "flv" ? nms.rtmp(name) : nginx.rtmp(name);
  const { child } = servers.use(publish(file, to));
  return { url: by === "flv" ? nms.flv(name) : by === "hls" ? nginx.hls(name) : to, encoder: child };
}
