import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../platform/clock.ts";
import { tempFolder } from "../temp.ts";
import { CLIP_OSD, type ClipKind, type ClipWish, clip, needsClips } from "./clips.ts";
import { GST_USER, type GstOptions, type GstServer, needsEncoder, needsGst, rtpEncoder, startGst } from "./gst.ts";
import type { FaultCase, Stage, Wanted } from "./matrix.ts";
import { readClips, steadyEncoder } from "./steady-encoder.ts";
import { needsVlc, startVlc } from "./vlc.ts";

/** Faults of RTSP: GStreamer's server with its faults and its encoders, and VLC. */

const NO_MEDIA_MS = 5_000;
const GOP_MS = 2_000;
/** Pictures are looked at every 2 s, that is with every third keyframe of clips with one a second. */
const CADENCE_MS = 3_000;
const THUMBNAILS_MS = 3 * CADENCE_MS + 1_000 + 500;
const picture = { everyMs: 2_000 };

const at = (reason: string, hop: string, withinMs: number, clearMs?: number): Wanted => ({
  ...{ reason, hop, withinMs },
  ...(clearMs === undefined ? {} : { clearMs }),
});
const noMedia = at("no_media", "encoder", NO_MEDIA_MS);

/** What the server counted: one session at a time, none left behind, nothing asked twice. */
async function harmed(server: GstServer, describes: number): Promise<string[]> {
  for (let tries = 0; server.sessions() > 0 && tries < 20; tries += 1) await systemClock.sleep(100);
  const most = Math.max(0, ...server.seen().map(({ count = 0 }) => count));
  const asked = server.count("describe");
  return [
    ...(most > 1 ? [`${most} sessions at once`] : []),
    ...(server.sessions() > 0 ? ["a session was left behind"] : []),
    ...(asked > describes ? [`${asked} DESCRIBE`] : []),
  ];
}

/** A fault that the server itself can be switched to. */
async function switched(servers: AsyncDisposableStack, line: string, options: GstOptions = {}): Promise<Stage> {
  const server = servers.use(await startGst(options));
  return {
    target: { type: "rtsp", url: server.url("h264") },
    inject: () => server.fault(line),
    heal: () => server.fault("reset"),
    wrongs: () => harmed(server, 1),
  };
}

/** Another camera behind the same encoder, served by GStreamer. */
async function shown(
  servers: AsyncDisposableStack,
  [well, ill]: readonly [string, string],
  more: Record<string, unknown> = {},
): Promise<Stage> {
  const server = servers.use(await startGst());
  const encoder = servers.use(await steadyEncoder([well, ill], server.forwardPort));
  return {
    target: { type: "rtsp", url: server.url("fwd"), at: "forwarder", ...more },
    inject: () => encoder.show(ill),
    heal: () => encoder.show(well),
    wrongs: () => harmed(server, 1),
  };
}

const noGst = (): boolean => needsGst();
const noClips = (): boolean => [needsGst(), needsEncoder(), needsClips()].includes(true);

/** What is shown when it is well, and when it is not. */
const SCENES = {
  rate: () => [long("move"), long("move", { rate: "cbr150k" })],
  size: () => [long("move"), long("move", { width: 320, height: 180 })],
  black: () => [long("move", { gop: 25 }), long("black", { gop: 25 })],
  bars: () => [long("move"), long("bars")],
  floor: () => [long("move", { rate: "hw2m" }), long("frozen", { rate: "hw2m" })],
  clock: () => [long("move_osd", { gop: 25 }), long("frozen_stopped", { gop: 25 })],
  rest: () => [long("move", { rate: "hw2m" }), long("static", { rate: "hw2m" })],
} as const satisfies Record<string, () => readonly [string, string]>;

const scene = (name: keyof typeof SCENES, more: Record<string, unknown> = {}) => ({
  skip: noClips,
  prepare: (): void => readClips(SCENES[name]()),
  open: (servers: AsyncDisposableStack) => shown(servers, SCENES[name](), more),
});

const long = (kind: ClipKind, wish: Partial<ClipWish> = {}): string => clip(kind, { seconds: 26, ...wish });

const signalling: FaultCase[] = [
  {
    name: "encoder hung, port open",
    by: "SIGSTOP of the ffmpeg behind /fwd",
    wants: noMedia,
    skip: noClips,
    async open(servers) {
      const server = servers.use(await startGst());
      const encoder = servers.use(rtpEncoder(clip("move"), server.forwardPort));
      return {
        target: { type: "rtsp", url: server.url("fwd"), at: "forwarder" },
        inject: () => void process.kill(encoder.pid, "SIGSTOP"),
        heal: () => void process.kill(encoder.pid, "SIGCONT"),
        wrongs: () => harmed(server, 1),
      };
    },
  },
  {
    name: "server hung",
    by: "SIGSTOP of gst-rtsp-server",
    wants: noMedia,
    skip: noGst,
    async open(servers) {
      const server = servers.use(await startGst());
      return {
        target: { type: "rtsp", url: server.url("h264") },
        inject: server.freeze,
        heal: server.thaw,
        wrongs: () => harmed(server, 1),
      };
    },
  },
  {
    name: "RTP stops, RTSP and RTCP go on",
    by: "stall=1",
    wants: noMedia,
    skip: noGst,
    open: (servers) => switched(servers, "stall=1"),
  },
  {
    name: "video stops, audio goes on",
    by: "vstall=1",
    wants: at("no_video", "encoder", NO_MEDIA_MS),
    skip: noGst,
    open: (servers) => switched(servers, "vstall=1"),
  },
  {
    name: "server killed, back after 4 s",
    by: "SIGKILL",
    wants: at("refused", "encoder", 2_000),
    skip: noGst,
    async open(servers) {
      const server = servers.use(await startGst());
      const { port } = server;
      return {
        target: { type: "rtsp", url: server.url("h264") },
        inject: server.kill9,
        async heal() {
          servers.use(await startGst({ port }));
        },
      };
    },
  },
  {
    name: "wrong password",
    by: "gst with Digest",
    wants: at("auth", "encoder", 2_000),
    brokenMs: 12_000,
    skip: noGst,
    async open(servers) {
      const folder = servers.use(tempFolder("vigil-password"));
      const passwordFile = join(folder.path, "password");
      writeFileSync(passwordFile, "wr0ng-one\n", { mode: 0o600 });
      const server = servers.use(await startGst({ auth: "digest" }));
      const wrongs: string[] = [];
      return {
        target: { type: "rtsp", url: server.url("h264"), user: GST_USER.user, passwordFile },
        heal() {
          const attempts = server.count("describe", true) + server.count("options", true);
          if (attempts > 1) wrongs.push(`${attempts} attempts with a wrong password`);
          writeFileSync(passwordFile, `${GST_USER.password}\n`, { mode: 0o600 });
        },
        wrongs: () => wrongs,
      };
    },
  },
  {
    name: "VLC hung (461 for TCP, so RTP over UDP)",
    by: "SIGSTOP of VLC",
    wants: noMedia,
    skip: () => [needsVlc(), needsClips()].includes(true),
    async open(servers) {
      const vlc = servers.use(await startVlc(clip("move")));
      return {
        target: { type: "rtsp", url: vlc.url },
        inject: () => void process.kill(vlc.pid, "SIGSTOP"),
        heal: () => void process.kill(vlc.pid, "SIGCONT"),
      };
    },
  },
  {
    name: "SIGSTOPped server, asked anew",
    by: "SIGSTOP before the agent starts",
    wants: "never ok",
    brokenMs: 15_000,
    skip: noGst,
    async open(servers) {
      const server = servers.use(await startGst());
      server.freeze();
      return { target: { type: "rtsp", url: server.url("h264") } };
    },
  },
];

const media: FaultCase[] = [
  {
    name: "time stamps stuck",
    by: "tsstuck=1",
    wants: at("timestamp", "encoder", NO_MEDIA_MS),
    skip: noGst,
    open: (servers) => switched(servers, "tsstuck=1"),
  },
  {
    name: "no keyframes",
    by: "noidr=1",
    wants: at("keyframe", "encoder", 3 * GOP_MS + 2_000),
    wellMs: 8_000,
    skip: noGst,
    open: (servers) => switched(servers, "noidr=1"),
  },
  {
    name: "5 % RTP loss in the forwarder",
    by: "drop=5",
    wants: at("loss", "network", 10_000),
    skip: noGst,
    open: (servers) => switched(servers, "drop=5", { pattern: 1 }),
  },
  {
    name: "bit rate 2000 to 150 kbit/s",
    by: "the encoder's rate",
    wants: at("bitrate", "encoder", 10_000),
    wellMs: 14_000,
    ...scene("rate", { picture }),
  },
  {
    name: "wrong resolution",
    by: "320x180 for 640x360",
    wants: at("resolution", "encoder", 2_000),
    ...scene("size", { expect: { codec: "H264", width: 640, height: 360 } }),
  },
];

const pictures: FaultCase[] = [
  {
    name: "black",
    by: "black picture of a live encoder",
    wants: at("black", "capture", THUMBNAILS_MS, 4 * CADENCE_MS + 5_000),
    wellMs: 14_000,
    brokenMs: 8_000,
    ...scene("black", { picture }),
  },
  {
    name: "still test bars",
    by: "SMPTE bars, CBR 2 Mbit/s",
    wants: at("frozen", "capture", 5 * GOP_MS),
    wellMs: 14_000,
    brokenMs: 8_000,
    ...scene("bars", { picture }),
  },
  {
    name: "frozen, QP-floor encoder (F1)",
    by: "the same picture again and again",
    wants: at("frozen", "capture", 5 * GOP_MS),
    wellMs: 14_000,
    brokenMs: 8_000,
    ...scene("floor", { picture }),
  },
  {
    name: "frozen, software CBR, OSD clock (F2)",
    by: "the whole picture stands, its clock too",
    wants: at("frozen", "capture", THUMBNAILS_MS, 4 * CADENCE_MS + 5_000),
    wellMs: 14_000,
    brokenMs: 8_000,
    ...scene("clock", { picture: { ...picture, osd: CLIP_OSD } }),
  },
  {
    name: "control: static live scene, no clock",
    by: "denoised scene that rests, QP floor",
    wants: "quiet",
    wellMs: 14_000,
    brokenMs: 30_000,
    ...scene("rest", { picture }),
  },
];

/** The wall clock of the terminal, set an hour back; time itself goes on. */
function jumpingClock(): Clock & { jump(ms: number): void } {
  let shift = 0;
  return {
    ...systemClock,
    wall: () => systemClock.wall() + shift,
    jump(ms) {
      shift += ms;
    },
  };
}
const HOUR_MS = 3_600_000;

const clocks: FaultCase[] = [
  {
    name: "terminal's clock set back by 1 h",
    by: "wall() − 1 h while it runs",
    wants: "quiet",
    wellMs: 6_000,
    brokenMs: 20_000,
    skip: noGst,
    async open(servers) {
      const clock = jumpingClock();
      const stage = await switched(servers, "reset");
      return { ...stage, clock, inject: () => clock.jump(-HOUR_MS) };
    },
  },
  {
    name: "the same with a fault: encoder hung",
    by: "wall() − 1 h, RTP stops; both back",
    wants: noMedia,
    wellMs: 6_000,
    skip: noGst,
    async open(servers) {
      const clock = jumpingClock();
      const stage = await switched(servers, "stall=1");
      return {
        ...stage,
        clock,
        async inject() {
          clock.jump(-HOUR_MS);
          await stage.inject?.();
        },
        async heal() {
          clock.jump(HOUR_MS);
          await stage.heal?.();
        },
      };
    },
  },
];

export const RTSP_CASES: readonly FaultCase[] = [...signalling, ...media, ...pictures, ...clocks];
