import * as z from "zod/mini";
import { commonConfig, lowBand } from "../check.ts";

const HOUR = 3_600_000;
const bands = (most: number) => {
  const band = z.optional(lowBand(0, most));
  return z.strictObject({ warning: band, minor: band, major: band, critical: band });
};
const path = z.string().check(z.maxLength(4096), z.regex(/^\/$|^\/.*[^/]$/, "a full path without / at its end"));

/** What may differ from mount to mount. A severity left out of a group is off; `{}` turns the whole condition off. */
const LIMITS = {
  /** Free share of what an ordinary user may use, percent, as `df` counts it. */
  space: bands(100),
  /** Free bytes, whatever the share. Off by default. */
  floorBytes: bands(Number.MAX_SAFE_INTEGER),
  /** Free share of inodes, percent; not judged where the file system has no fixed number of them. */
  inodes: bands(100),
  /** Hours until full, at the trend of the last hours. */
  forecast: bands(10_000),
  /**
   * `allowed`: read-only by design. `fault`: never right. `auto`: a fault when /etc/fstab says rw, when it was rw while
   * we watched, or when the file system noted errors.
   */
  readonly: z.enum(["auto", "allowed", "fault"]),
  /** One byte is written, synced and removed so often (each time costs the flash a few blocks); 0: never. */
  probeEveryMs: z
    .int()
    .check(z.refine((ms) => ms === 0 || (ms >= 60_000 && ms <= 30 * 24 * HOUR), "must be 0, or a minute to 30 days")),
};
const MountLimits = z.strictObject(LIMITS);
export type MountLimits = z.infer<typeof MountLimits>;

export const DiskConfig = z
  .strictObject({
    ...commonConfig({ every: "slow", holdOnMs: 30_000, holdOffMs: 60_000 }),
    space: z._default(LIMITS.space, {
      minor: { raise: 15, clear: 17 },
      major: { raise: 5, clear: 7 },
      critical: { raise: 2, clear: 3 },
    }),
    floorBytes: z._default(LIMITS.floorBytes, {}),
    inodes: z._default(LIMITS.inodes, {
      minor: { raise: 10, clear: 12 },
      major: { raise: 5, clear: 7 },
      critical: { raise: 1, clear: 2 },
    }),
    forecast: z._default(LIMITS.forecast, { warning: { raise: 48, clear: 72 } }),
    readonly: z._default(LIMITS.readonly, "auto"),
    probeEveryMs: z._default(LIMITS.probeEveryMs, 6 * HOUR),
    /** How far back the forecast looks, milliseconds. It says nothing in the first 30 minutes. */
    forecastWindowMs: z._default(z.int().check(z.minimum(HOUR), z.maximum(7 * 24 * HOUR)), 6 * HOUR),
    /** A round waits so long for a mount that may hang (then it is `stuck`) and for write probes (which go on). */
    waitMs: z._default(z.int().check(z.minimum(100), z.maximum(60_000)), 2_000),
    /** Other limits for some mount points. */
    mounts: z._default(z.record(path, z.partial(MountLimits)), {}),
    /** Mount points that are not judged; `/media/*` stands for all below. */
    ignore: z._default(z.array(path), []),
    /** Mount points that must be there. */
    expect: z._default(z.array(path), []),
  })
  .check(z.refine(({ waitMs, deadlineMs }) => waitMs < deadlineMs, "waitMs must be below deadlineMs"));
export type DiskConfig = z.infer<typeof DiskConfig>;

/** The limits that hold for one mount point: its own where it has any, the common ones for the rest. */
export function limitsFor(config: DiskConfig, mountPoint: string): MountLimits {
  const own = Object.hasOwn(config.mounts, mountPoint) ? config.mounts[mountPoint] : undefined;
  return {
    space: own?.space ?? config.space,
    floorBytes: own?.floorBytes ?? config.floorBytes,
    inodes: own?.inodes ?? config.inodes,
    forecast: own?.forecast ?? config.forecast,
    readonly: own?.readonly ?? config.readonly,
    probeEveryMs: own?.probeEveryMs ?? config.probeEveryMs,
  };
}
