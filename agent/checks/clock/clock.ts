import * as z from "zod/mini";
import { type CheckKind, commonConfig, highBand } from "../check.ts";
import { judgeLater } from "../later.ts";
import { WallJudge } from "../wall.ts";

const ms = (least: number, most: number, fallback: number) =>
  z._default(z.int().check(z.minimum(least), z.maximum(most)), fallback);
const port = (fallback: number) => z._default(z.int().check(z.minimum(1), z.maximum(65_535)), fallback);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const band = highBand(0, 10 * 365 * DAY);

const Config = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 20_000, holdOffMs: 60_000, deadlineMs: 10_000 }),
  /** The wall clock was set by so much at once. */
  jumpMs: ms(1_000, DAY, 60_000),
  /** A jump is shown for so long. */
  jumpHoldMs: ms(60_000, DAY, 600_000),
  /** Who sets the clock: systemd-timesyncd, chronyd or an NTP daemon of this machine. */
  sync: z.prefault(
    z.strictObject({
      /** False where nothing on this machine sets the clock on purpose. */
      expected: z._default(z.boolean(), true),
      everyMs: ms(1_000, DAY, 300_000),
      /** A time that was told so long ago is worth nothing any more. */
      staleMs: ms(60_000, 7 * DAY, 3 * HOUR),
      /** After its start a machine has so long to find the time. */
      bootGraceMs: ms(0, DAY, 900_000),
      chronyPort: port(323),
      ntpPort: port(123),
    }),
    {},
  ),
  /** NTP servers that are asked besides: `name`, `address` or `name:port`. They do not set the clock, they judge it. */
  servers: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(260))).check(z.maxLength(8)), []),
  serversEveryMs: ms(1_000, 7 * DAY, 1_800_000),
  serversDeadlineMs: ms(100, 30_000, 6_000),
  /** How far the clock is from theirs. */
  offsetMs: z.prefault(
    z.strictObject({
      warning: z._default(band, { raise: 500, clear: 250 }),
      minor: z._default(band, { raise: 5_000, clear: 2_500 }),
      major: z._default(band, { raise: 60_000, clear: 30_000 }),
    }),
    {},
  ),
  /** How much too fast or too slow it runs: microseconds a second. */
  driftPpm: z.prefault(z.strictObject({ warning: z._default(highBand(0, 1e6), { raise: 200, clear: 100 }) }), {}),
  /** How far the clock is from the aggregator's. */
  skewMs: z.prefault(
    z.strictObject({
      warning: z._default(band, { raise: 5_000, clear: 3_000 }),
      minor: z._default(band, { raise: 60_000, clear: 30_000 }),
    }),
    {},
  ),
  /** How far the clock that runs on a battery is from the system's. */
  rtcMs: z.prefault(z.strictObject({ warning: z._default(band, { raise: 60_000, clear: 10_000 }) }), {}),
  rtcEveryMs: ms(1_000, 7 * DAY, HOUR),
});
export type ClockConfig = z.infer<typeof Config>;

/** Is the time right, who says so, and does it stay right? */
export const clocks: CheckKind<ClockConfig> = {
  id: "clock",
  name: { zh: "时钟", en: "Clock" },
  Config,
  titles: {
    jump: { zh: "系统时钟发生跳变", en: "Clock jumped" },
    implausible: { zh: "系统时间不正确", en: "Clock not set" },
    unsynchronised: { zh: "时钟未同步", en: "Clock is not synchronised" },
    offset: { zh: "系统时间偏差大", en: "Clock is off" },
    server: { zh: "时间服务器无应答", en: "No NTP server answers" },
    drift: { zh: "系统时钟走时漂移大", en: "Clock drifts" },
    skew: { zh: "与汇聚端时间不一致", en: "Clock differs from the aggregator's" },
    rtc: { zh: "硬件时钟（RTC）异常", en: "Battery clock (RTC) is wrong" },
    gone: { zh: "时钟项已消失", en: "Clock item gone" },
  },
  begin(config, ports) {
    const wall = new WallJudge(config, ports.clock); // a jump before the first round is one, too
    return judgeLater(async () => {
      const { openClockJudge } = await import("./judge.ts");
      return openClockJudge(config, ports, wall);
    });
  },
};
