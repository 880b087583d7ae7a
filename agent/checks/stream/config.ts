import { isIP } from "node:net";
import * as z from "zod/mini";
import { SEVERITIES } from "../../../protocol/severity.ts";
import { commonConfig, namedOnce } from "../check.ts";
import { REASONS } from "./conclusion.ts";
import { DEFAULT_THRESHOLDS as USUAL } from "./thresholds.ts";

const HOUR = 3_600_000;
const whole = (least: number, most: number) => z.int().check(z.minimum(least), z.maximum(most));
const real = (least: number, most: number) => z.number().check(z.minimum(least), z.maximum(most));
const text = (most: number) =>
  z.string().check(z.minLength(1), z.maxLength(most), z.regex(/^\P{C}*$/u, "printable characters"));
const path = z.string().check(z.regex(/^\/.{1,4000}$/, "an absolute path"));
const name = z.string().check(z.regex(/^[^\s\p{C}]{1,80}$/u, "up to 80 characters without blanks"));
const host = z.string().check(z.regex(/^[A-Za-z0-9._:-]{1,253}$/, "a host name or an address"));
const port = whole(1, 65_535);

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})$/i;

/** An address of one of `schemes`. */
const address = (...schemes: string[]) =>
  z.string().check(
    z.maxLength(2_000),
    z.refine(
      (value) => {
        const parsed = URL.canParse(value) ? new URL(value) : undefined;
        return (
          parsed !== undefined &&
          schemes.includes(parsed.protocol.slice(0, -1)) &&
          HOST.test(parsed.hostname) &&
          parsed.username + parsed.password === "" &&
          !/[\s\p{C}]/u.test(value)
        );
      },
      `an address ${schemes.map((scheme) => `${scheme}://`).join(" or ")} with a host, without user name and password (they belong into user and passwordFile)`,
    ),
  );

/** Where datagrams are waited for: an address of this machine, or of a multicast group. */
const Listen = z.strictObject({ address: z._default(host, "0.0.0.0"), port });

/** What the other side should send; what is left out is learnt, or not asked for. */
const Expect = z.strictObject({
  codec: z.optional(z.enum(["H264", "H265", "MJPEG"])),
  width: z.optional(whole(16, 16_384)),
  height: z.optional(whole(16, 16_384)),
  fps: z.optional(real(0.1, 240)),
  kbps: z.optional(real(1, 1_000_000)),
  /** Sound must come, too. */
  audio: z.optional(z.boolean()),
});

const part = real(0, 1);
/** Where the burnt-in clock stands, in parts of the picture's width and height. */
const Osd = z
  .strictObject({ x: part, y: part, width: part, height: part })
  .check(
    z.refine(
      (box) => box.width > 0 && box.height > 0 && box.x + box.width <= 1 && box.y + box.height <= 1,
      "the box must lie within the picture: x + width and y + height at most 1",
    ),
  );

const Picture = z.strictObject({
  enabled: z._default(z.boolean(), true),
  everyMs: z._default(whole(2_000, HOUR), 60_000),
  osd: z.optional(Osd),
  /** `device`: the last two small grey pictures of a fault stay in the agent's state folder, and never leave the device. */
  thumbnails: z._default(z.enum(["none", "device"]), "none"),
});

/** What `sampled` is: so long, so often (moved by a tenth either way). */
const Sample = z.strictObject({
  everyMs: z._default(whole(10_000, HOUR), 60_000),
  forMs: z._default(whole(3_000, 60_000), 5_000),
});

const percent = (fallback: number) => z._default(real(0, 100), fallback);
const ms = (fallback: number) => z._default(whole(0, HOUR), fallback);
/** From where on a stream is not well; each pair's `…Clear` is where it is well again. */
const Limits = z
  .strictObject({
    silentMs: ms(USUAL.silentMs),
    silentFrames: z._default(whole(1, 1_000), USUAL.silentFrames),
    pageMs: ms(USUAL.pageMs),
    ratioLeast: z._default(real(0, 1), USUAL.ratioLeast),
    ratioMost: z._default(real(1, 100), USUAL.ratioMost),
    driftPct: percent(USUAL.driftPct),
    driftClearPct: percent(USUAL.driftClearPct),
    stuckMs: ms(USUAL.stuckMs),
    leapMs: ms(USUAL.leapMs),
    keyframeMs: ms(USUAL.keyframeMs),
    keyframeGops: z._default(real(1, 100), USUAL.keyframeGops),
    keyframeUntaughtMs: ms(USUAL.keyframeUntaughtMs),
    bitratePct: percent(USUAL.bitratePct),
    bitrateClearPct: percent(USUAL.bitrateClearPct),
    fpsPct: percent(USUAL.fpsPct),
    fpsClearPct: percent(USUAL.fpsClearPct),
    lossWarnPct: percent(USUAL.lossWarnPct),
    lossWarnClearPct: percent(USUAL.lossWarnClearPct),
    lossPct: percent(USUAL.lossPct),
    lossClearPct: percent(USUAL.lossClearPct),
    clockMs: ms(USUAL.clockMs),
    clockClearMs: ms(USUAL.clockClearMs),
    /** How bad a reason is, in place of what it is by itself. */
    severities: z._default(z.partialRecord(z.enum(REASONS), z.enum(SEVERITIES)), {}),
  })
  .check((context) => {
    const { value } = context;
    const pairs = [
      ["driftPct", "driftClearPct", 1],
      ["lossWarnPct", "lossWarnClearPct", 1],
      ["lossPct", "lossClearPct", 1],
      ["clockMs", "clockClearMs", 1],
      ["bitratePct", "bitrateClearPct", -1],
      ["fpsPct", "fpsClearPct", -1],
    ] as const;
    for (const [raise, clear, high] of pairs)
      if ((value[raise] - value[clear]) * high < 0)
        context.issues.push({
          code: "custom",
          message: `must not be ${high === 1 ? "above" : "below"} ${raise} (${value[raise]})`,
          path: [clear],
          input: value[clear],
          continue: true,
        });
  });

const together = z.refine<{ user?: string | undefined; passwordFile?: string | undefined }>(
  (one) => (one.user === undefined) === (one.passwordFile === undefined),
  "user and passwordFile go together",
);
const login = {
  user: z.optional(text(200)),
  /** 0600; read for each session. */
  passwordFile: z.optional(path),
};

const api = { url: address("http", "https"), ...login };
/** Where the counters of a forwarder, or of the kernel, stand: what can be known without a session. */
const Passive = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("nginx-rtmp"), ...api, app: text(100), stream: text(200) }).check(together),
  z.strictObject({ type: z.literal("srs"), ...api, app: text(100), stream: text(200) }).check(together),
  z
    .strictObject({
      type: z.literal("zlm"),
      ...api,
      app: text(100),
      stream: text(200),
      /** 0600. */
      secretFile: z.optional(path),
    })
    .check(together),
  z.strictObject({ type: z.literal("mediamtx"), ...api, path: text(300) }).check(together),
  /** Bytes on the TCP connections of a server on this machine, by its port. */
  z.strictObject({ type: z.literal("sockets"), port, address: z.optional(host) }),
  /** What srt-live-transmit writes about itself: `-s N -pf json -statsout:FILE`. */
  z.strictObject({ type: z.literal("srt"), file: path }),
]);

/** What every stream has. */
const common = {
  /** The subject of its alarms. */
  name,
  /** How it behaves: a presentation may stand still, a narrowband channel is slow by design. */
  class: z._default(z.enum(["camera", "presentation", "narrowband"]), "camera"),
  /** What answers at this address: decides which hop a fault is laid at. */
  at: z._default(z.enum(["encoder", "forwarder", "platform"]), "encoder"),
  /** Of a stream that is dead; lesser faults are milder. */
  severity: z._default(z.enum(SEVERITIES), "major"),
  expect: z.prefault(Expect, {}),
  mode: z._default(z.enum(["auto", "continuous", "sampled"]), "auto"),
  sample: z.prefault(Sample, {}),
  picture: z.prefault(Picture, {}),
  thresholds: z.prefault(Limits, {}),
  passive: z.optional(Passive),
  /** The encoder behind a forwarder or a platform, to tell a dead line to it from a dead encoder. */
  source: z.optional(host),
};

/** PEM of the authorities to trust; without, the public ones. */
const caFile = z.optional(path);

const Rtsp = z
  .strictObject({
    ...common,
    type: z.literal("rtsp"),
    url: address("rtsp", "rtsps"),
    ...login,
    /** `auto`: TCP, and UDP where the server refuses that. */
    transport: z._default(z.enum(["auto", "tcp", "udp"]), "auto"),
    caFile,
  })
  .check(together);
const Rtmp = z.strictObject({ ...common, type: z.literal("rtmp"), url: address("rtmp") });
const Flv = z.strictObject({ ...common, type: z.literal("flv"), url: address("http", "https"), caFile });
const Hls = z
  .strictObject({ ...common, type: z.literal("hls"), url: address("http", "https"), ...login, caFile })
  .check(together);
const Ts = z.strictObject({ ...common, type: z.literal("ts"), listen: Listen });
/** By the statistics of srt-live-transmit; with `listen`, the MPEG-TS it gives out is looked into, too. */
const Srt = z.strictObject({ ...common, type: z.literal("srt"), statsFile: path, listen: z.optional(Listen) });

const gbId = z.string().check(z.regex(/^\d{20}$/, "20 digits (GB/T 28181)"));
/** What the platform is asked to see whether it lives; `options` changes nothing there. */
const Sip = z
  .strictObject({
    host,
    port: z._default(port, 5_060),
    transport: z._default(z.enum(["udp", "tcp"]), "udp"),
    method: z._default(z.enum(["options", "keepalive"]), "options"),
    /** Our own id there; never that of the encoder, whose state its keepalive would keep "online". */
    deviceId: gbId,
    platformId: gbId,
    /** First ten digits of the platform's id, when not given. */
    domain: z.optional(z.string().check(z.regex(/^[A-Za-z0-9.-]{1,100}$/, "a SIP domain"))),
    localPort: z.optional(port),
    ...login,
    everyMs: z._default(whole(5_000, HOUR), 30_000),
    deadlineMs: z._default(whole(1_000, 32_000), 4_000),
  })
  .check(together);
const Gb = z
  .strictObject({
    ...common,
    type: z.literal("gb28181"),
    /** Where the channel's media is copied to. */
    media: z.optional(
      z.strictObject({
        listen: Listen,
        transport: z._default(z.enum(["udp", "tcp"]), "udp"),
        /** Only packets of this source. */
        ssrc: z.optional(whole(0, 0xffff_ffff)),
        /** Only from this address. Without it whoever sends first is heard, until it has been silent for 3 s. */
        from: z.optional(z.string().check(z.refine((value) => isIP(value) > 0, "an IP address"))),
      }),
    ),
    sip: z.optional(Sip),
  })
  .check(z.refine((one) => one.media !== undefined || one.sip !== undefined, "needs media, sip or both"));

export const TargetConfig = z.discriminatedUnion("type", [Rtsp, Rtmp, Flv, Hls, Ts, Srt, Gb]);
export type Target = z.infer<typeof TargetConfig>;
type Gb = Extract<Target, { type: "gb28181" }>;
export type SipConfig = NonNullable<Gb["sip"]>;
type Srt = Extract<Target, { type: "srt" }>;
/** One to which a session is opened. */
export type PlayedTarget =
  | Exclude<Target, Gb | Srt>
  | (Gb & { media: NonNullable<Gb["media"]> })
  | (Srt & { listen: NonNullable<Srt["listen"]> });
export type PassiveConfig = NonNullable<Target["passive"]>;

/** The platform's side of a GB/T 28181 channel is a subject of its own. */
export const sipName = (name: string): string => `${name}-sip`;

export const StreamConfig = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 6_000, holdOffMs: 8_000, deadlineMs: 10_000 }),
  /** `auto` streams are watched without a gap up to so many, and while the agent uses no more than `cpuPct` of one core. */
  budget: z.prefault(
    z.strictObject({
      continuousUpTo: z._default(whole(0, 32), 4),
      cpuPct: z._default(real(0.5, 100), 5),
    }),
    {},
  ),
  targets: z._default(
    z.array(TargetConfig).check(
      z.maxLength(32),
      namedOnce,
      z.refine((all) => {
        const names = new Set(all.map(({ name }) => name));
        return all.every((one) => one.type !== "gb28181" || one.sip === undefined || !names.has(sipName(one.name)));
      }, "the name of a channel with -sip after it is that of its platform: no other stream may have it"),
    ),
    [],
  ),
});
export type StreamConfig = z.infer<typeof StreamConfig>;
