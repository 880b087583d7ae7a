import { systemClock } from "../../../platform/clock.ts";
import { needs } from "../peers.ts";
import { freePort } from "../ports.ts";
import { clip, needsClips } from "./clips.ts";
import type { FaultCase, Stage, Wanted } from "./matrix.ts";
import { needsNginx, startNginx } from "./nginx.ts";
import { startNms } from "./nms.ts";
import { clipFrames, psPacks, startPsSender } from "./ps.ts";
import { publish } from "./publish.ts";
import { startSipp } from "./sipp.ts";
import { startSrtRelay } from "./srt.ts";

/** Faults of everything but RTSP: nginx (RTMP, HLS, its counters), node-media-server (HTTP-FLV), SRT, GB/T 28181. */

const NO_MEDIA_MS = 5_000;
/** nginx cuts segments of 2 s: three of them without a new one, one more that is told in its pace, and a poll. */
const HLS_MS = 3 * 2_000 + 2_000 + 2_000;

const deadAt = (hop: string, withinMs = NO_MEDIA_MS, clearMs = 15_000): Wanted => ({
  ...{ reason: "no_media", hop, withinMs, clearMs },
});

type Way = "rtmp" | "hls";

/** A publisher that nginx serves by RTMP or as HLS, with its counters beside it. */
async function byNginx(servers: AsyncDisposableStack, way: Way, fault: "hang" | "kill" | "server"): Promise<Stage> {
  const nginx = servers.use(await startNginx());
  let publisher = servers.use(publish(clip("move"), nginx.rtmp("cam")));
  const passive = { type: "nginx-rtmp", url: nginx.stat, app: "live", stream: "cam" };
  const url = way === "rtmp" ? nginx.rtmp("cam") : nginx.hls("cam");
  if (way === "hls") await listed(url);
  const stop = { hang: () => publisher.hang(), kill: () => publisher.kill9() };
  const mend = {
    hang: () => publisher.goOn(),
    kill() {
      publisher = servers.use(publish(clip("move"), nginx.rtmp("cam")));
    },
  };
  const signal = (name: NodeJS.Signals) => (): void => void nginx.child.process.kill(name);
  return {
    target: { type: way, url, at: "forwarder", passive },
    inject: fault === "server" ? signal("SIGSTOP") : stop[fault],
    heal: fault === "server" ? signal("SIGCONT") : mend[fault],
  };
}

/** Resolves when the playlist has three segments. */
async function listed(url: string): Promise<void> {
  for (let tries = 0; tries < 150; tries += 1) {
    const answer = await fetch(url);
    if (((await answer.text()).match(/EXTINF/g) ?? []).length >= 3) return;
    await systemClock.sleep(200);
  }
  throw new Error(`no playlist at ${url}`);
}

async function byNms(servers: AsyncDisposableStack, fault: "hang" | "kill"): Promise<Stage> {
  const nms = servers.use(await startNms());
  let publisher = servers.use(publish(clip("move"), nms.rtmp("cam")));
  return {
    target: { type: "flv", url: nms.flv("cam"), at: "forwarder" },
    inject: () => (fault === "hang" ? publisher.hang() : publisher.kill9()),
    heal() {
      if (fault === "hang") publisher.goOn();
      else publisher = servers.use(publish(clip("move"), nms.rtmp("cam")));
    },
  };
}

/** Long enough that its stamps do not begin anew while we look. */
const lasting = (): string => clip("move", { seconds: 60 });
const ready = (): void => void [clip("move"), lasting()];

const noNginx = (): boolean => [needsNginx(), needsClips()].includes(true);
const noClips = (): boolean => needsClips();

const nginx: FaultCase[] = [
  {
    name: "RTMP publisher hung",
    by: "SIGSTOP, nginx serves RTMP",
    wants: deadAt("encoder"),
    skip: noNginx,
    open: (servers) => byNginx(servers, "rtmp", "hang"),
  },
  {
    name: "RTMP publisher killed",
    by: "SIGKILL, nginx serves RTMP",
    wants: deadAt("encoder"),
    skip: noNginx,
    open: (servers) => byNginx(servers, "rtmp", "kill"),
  },
  {
    name: "RTMP server hung",
    by: "SIGSTOP of nginx",
    wants: deadAt("forwarder"),
    brokenMs: 8_000,
    skip: noNginx,
    open: (servers) => byNginx(servers, "rtmp", "server"),
  },
  {
    name: "RTMP publisher hung, seen as HLS",
    by: "SIGSTOP, nginx serves HLS",
    wants: deadAt("encoder", HLS_MS),
    skip: noNginx,
    open: (servers) => byNginx(servers, "hls", "hang"),
  },
  {
    name: "RTMP publisher killed, m3u8 stale with 200",
    by: "SIGKILL, nginx serves HLS",
    wants: deadAt("encoder", HLS_MS),
    skip: noNginx,
    open: (servers) => byNginx(servers, "hls", "kill"),
  },
  {
    name: "stale m3u8, asked anew",
    by: "publisher killed before the agent starts",
    wants: "never ok",
    brokenMs: 20_000,
    skip: noNginx,
    async open(servers) {
      const server = servers.use(await startNginx());
      const publisher = servers.use(publish(clip("move"), server.rtmp("cam")));
      await listed(server.hls("cam"));
      await publisher.kill9();
      return { target: { type: "hls", url: server.hls("cam"), at: "forwarder" } };
    },
  },
  {
    name: "nginx: a name nobody publishes",
    by: "NetStream.Play.Start for nothing",
    wants: "never ok",
    brokenMs: 15_000,
    skip: noNginx,
    async open(servers) {
      const server = servers.use(await startNginx());
      return { target: { type: "rtmp", url: server.rtmp("nobody"), at: "forwarder" } };
    },
  },
];

const nms: FaultCase[] = [
  {
    name: "HTTP-FLV publisher hung",
    by: "SIGSTOP, node-media-server",
    wants: deadAt("encoder"),
    skip: noClips,
    open: (servers) => byNms(servers, "hang"),
  },
  {
    name: "HTTP-FLV publisher killed",
    by: "SIGKILL, node-media-server",
    wants: deadAt("encoder"),
    skip: noClips,
    open: (servers) => byNms(servers, "kill"),
  },
  {
    name: "HTTP-FLV out of the GOP cache",
    by: "publisher SIGSTOPped before the agent starts",
    wants: "never ok",
    brokenMs: 15_000,
    skip: noClips,
    open: (servers) => cachedGop(servers),
  },
  {
    name: "node-media-server: a name nobody publishes",
    by: "HTTP 200 for nothing",
    wants: "never ok",
    brokenMs: 15_000,
    skip: noClips,
    async open(servers) {
      const server = servers.use(await startNms());
      return { target: { type: "flv", url: server.flv("nobody"), at: "forwarder" } };
    },
  },
];

/** A publisher that hangs after it filled the cache, so that a whole GOP is served of a dead stream. */
export async function cachedGop(servers: AsyncDisposableStack): Promise<Stage> {
  const server = servers.use(await startNms());
  const publisher = servers.use(publish(clip("move"), server.rtmp("cam")));
  await systemClock.sleep(6_000); // three GOPs
  publisher.hang();
  return { target: { type: "flv", url: server.flv("cam"), at: "forwarder" } };
}

const ID = { deviceId: "34020000001320000001", platformId: "34020000002000000001" } as const;

const others: FaultCase[] = [
  {
    name: "platform SIP hung (asked every 5 s)",
    by: "SIGSTOP of SIPp",
    wants: { reason: "sip-late", hop: "platform", withinMs: 16_000 },
    skip: () => needs("sipp", "sip-tester"),
    async open(servers) {
      const platform = servers.use(await startSipp({ answers: "ok" }));
      const sip = { host: "127.0.0.1", port: platform.port, everyMs: 5_000, deadlineMs: 2_000, ...ID };
      return {
        target: { type: "gb28181", at: "platform", sip },
        inject: platform.hang,
        heal: platform.goOn,
      };
    },
  },
  {
    name: "SRT caller stopped",
    by: "SIGKILL of ffmpeg, srt-live-transmit",
    wants: deadAt("encoder"),
    skip: () => [needs("srt-live-transmit", "srt-tools"), needsClips()].includes(true),
    async open(servers) {
      const relay = servers.use(await startSrtRelay());
      let caller = relay.call(clip("move"));
      const listen = { address: "127.0.0.1", port: relay.out };
      return {
        target: { type: "srt", statsFile: relay.statsFile, listen, at: "forwarder" },
        inject: () => caller.kill9(),
        heal() {
          caller = relay.call(clip("move"));
        },
      };
    },
  },
  {
    name: "SRT caller stopped, by the counters alone",
    by: "the same without a look at the media",
    // it writes its statistics late, by the buffer
    wants: deadAt("encoder", 20_000),
    wellMs: 4_000,
    skip: () => [needs("srt-live-transmit", "srt-tools"), needsClips()].includes(true),
    async open(servers) {
      const relay = servers.use(await startSrtRelay());
      let caller = relay.call(clip("move"));
      return {
        target: { type: "srt", statsFile: relay.statsFile, at: "forwarder" },
        inject: () => caller.kill9(),
        heal() {
          caller = relay.call(clip("move"));
        },
      };
    },
  },
  {
    name: "PS over RTP stops (GB/T 28181)",
    prepare: ready,
    by: "the sender goes silent",
    wants: deadAt("encoder"),
    skip: noClips,
    async open(servers) {
      const port = await freePort();
      const packs = psPacks(clipFrames(lasting(), "h264"));
      const to = { host: "127.0.0.1", port };
      const sender = servers.use(await startPsSender({ packs, to, transport: "udp", fps: 25, loop: true }));
      return {
        target: { type: "gb28181", at: "platform", media: { listen: { address: "127.0.0.1", port } } },
        inject() {
          sender.paused = true;
        },
        heal() {
          sender.paused = false;
        },
      };
    },
  },
];

export const SERVER_CASES: readonly FaultCase[] = [...nginx, ...nms, ...others];
