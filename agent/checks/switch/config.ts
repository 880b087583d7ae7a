import * as z from "zod/mini";
import { SEVERITIES } from "../../../protocol/severity.ts";
import { commonConfig, highBand, namedOnce } from "../check.ts";

const text = (most: number) => z.string().check(z.minLength(1), z.maxLength(most));
const path = z.string().check(z.regex(/^\/.{1,4000}$/, "an absolute path"));
const label = z.string().check(z.regex(/^[^\s\p{C}/]{1,60}$/u, "up to 60 characters without blanks and slashes"));
const severity = z.enum(SEVERITIES);
const int = (least: number, most: number) => z.int().check(z.minimum(least), z.maximum(most));
const perMin = highBand(0, 1_000_000_000);
const percent = highBand(0, 100);

const Port = z
  .strictObject({
    /** One of: ifIndex, ifName or ifDescr (`GigabitEthernet0/0/1`), ifAlias (its description). */
    index: z.optional(int(1, 2_147_483_647)),
    name: z.optional(text(200)),
    alias: z.optional(text(200)),
    /** How its alarms call it; without, what it was found by. */
    label: z.optional(label),
    expect: z._default(z.enum(["up", "down"]), "up"),
    /** A link that came up slower than this is an alarm: a bad cable falls back to 100 or 10 Mbit/s. */
    minSpeedMbps: z.optional(int(1, 1_000_000)),
    /** Of a link that is down (or, where down is expected, up). */
    severity: z.optional(severity),
  })
  .check(
    z.refine(
      ({ index, name, alias }) => [index, name, alias].filter((one) => one !== undefined).length === 1,
      "needs one of index, name and alias",
    ),
  );
export type PortConfig = z.infer<typeof Port>;

const Device = z
  .strictObject({
    /** The subject of its alarms; those of its ports are `name/port`. */
    name: label,
    host: text(253),
    port: z._default(int(1, 65_535), 161),
    version: z._default(z.enum(["1", "2c", "3"]), "2c"),
    /** 0600. */
    communityFile: z.optional(path),
    user: z.optional(text(32)),
    authProtocol: z._default(z.enum(["md5", "sha", "sha224", "sha256", "sha384", "sha512"]), "sha"),
    /** 0600. */
    authFile: z.optional(path),
    privProtocol: z._default(z.enum(["des", "aes", "aes256b", "aes256r"]), "aes"),
    /** 0600. */
    privFile: z.optional(path),
    context: z.optional(text(32)),
    /** `all`: every Ethernet port that was up since it is watched. */
    ports: z._default(z.union([z.literal("all"), z.array(Port).check(z.maxLength(128))]), []),
    /** Where SNMP is silent, a port that tells whether the device itself is there (22, 80 …). */
    tcpPort: z.optional(int(1, 65_535)),
    /** Of a device that does not answer. */
    severity: z._default(severity, "major"),
    everyMs: z._default(int(10_000, 86_400_000), 60_000),
    /** For one visit. */
    deadlineMs: z._default(int(1_000, 60_000), 8_000),
  })
  .check(
    z.refine(
      ({ version, communityFile, user }) =>
        version === "3"
          ? user !== undefined && communityFile === undefined
          : communityFile !== undefined && user === undefined,
      "version 3 needs user, the others need communityFile",
    ),
    z.refine(({ authFile, privFile }) => privFile === undefined || authFile !== undefined, "privFile needs authFile"),
    z.refine(({ version, authFile }) => version === "3" || authFile === undefined, "authFile needs version 3"),
  );
export type Device = z.infer<typeof Device>;

export const SwitchConfig = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 20_000, holdOffMs: 60_000, deadlineMs: 15_000 }),
  devices: z._default(z.array(Device).check(z.maxLength(32), namedOnce), []),
  /** Frames with errors, in and out. */
  errorsPerMin: z.prefault(
    z.strictObject({
      warning: z._default(z.optional(perMin), { raise: 30, clear: 5 }),
      minor: z._default(z.optional(perMin), { raise: 600, clear: 120 }),
      major: z.optional(perMin),
    }),
    {},
  ),
  /** Good frames thrown away for want of room. */
  discardsPerMin: z.prefault(
    z.strictObject({
      warning: z._default(z.optional(perMin), { raise: 600, clear: 120 }),
      minor: z.optional(perMin),
      major: z.optional(perMin),
    }),
    {},
  ),
  /** Of the link's speed, in the fuller direction. */
  usePct: z.prefault(
    z.strictObject({
      warning: z._default(z.optional(percent), { raise: 90, clear: 80 }),
      minor: z.optional(percent),
      major: z.optional(percent),
    }),
    {},
  ),
  /** A restart is shown for so long. */
  restartHoldMs: z._default(int(60_000, 604_800_000), 3_600_000),
});
export type SwitchConfig = z.infer<typeof SwitchConfig>;
