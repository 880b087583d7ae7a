import * as z from "zod/mini";
import { type CheckKind, commonConfig, highBand, type Judge, lowBand } from "../check.ts";
import { judgeLater } from "../later.ts";

const DAY = 86_400_000;
const high = (most: number) => {
  const band = z.optional(highBand(0, most));
  return z.strictObject({ warning: band, minor: band, major: band, critical: band });
};
const low = (most: number) => {
  const band = z.optional(lowBand(0, most));
  return z.strictObject({ warning: band, minor: band, major: band, critical: band });
};

const Config = z.strictObject({
  ...commonConfig({ every: { everyMs: 3_600_000 }, holdOnMs: 0, holdOffMs: 0, deadlineMs: 60_000 }),
  /**
   * Share of the life a flash was made for that is used, percent; eMMC tells it in steps of 10 (JEDEC JESD84-B51, EXT_CSD
   * 268 and 269: the upper end of the step is taken), 110 is more than it was made for.
   */
  usedPct: z._default(high(255), {
    warning: { raise: 80, clear: 70 },
    minor: { raise: 90, clear: 80 },
    major: { raise: 100, clear: 90 },
    critical: { raise: 110, clear: 100 },
  }),
  /** Days until it is worn out, at the pace since it was made. */
  leftDays: z._default(low(36_500), { warning: { raise: 180, clear: 240 } }),
  /** Errors of a disk or its bus within a day. */
  errorsPerDay: z._default(high(1e9), { warning: { raise: 10, clear: 2 }, minor: { raise: 100, clear: 20 } }),
  /** Sectors a disk has given up (ATA attribute 5), or cannot read now (197, 198; NVMe media errors). */
  reallocated: z._default(high(1e9), { warning: { raise: 10, clear: 5 }, minor: { raise: 100, clear: 50 } }),
  unreadable: z._default(high(1e9), { minor: { raise: 1, clear: 0 }, major: { raise: 50, clear: 10 } }),
  /**
   * smartctl (package smartmontools) on disks that are not eMMC. `auto`: where it is installed and allowed to; `on`: unknown
   * where it cannot tell; it needs root or CAP_SYS_RAWIO and CAP_SYS_ADMIN, and access to the disk.
   */
  smart: z._default(z.enum(["auto", "on", "off"]), "auto"),
  smartEveryMs: z._default(z.int().check(z.minimum(600_000), z.maximum(30 * DAY)), DAY),
  /** Disks and partitions that are not judged, by their kernel names. */
  ignore: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(64))), []),
});
export type WearConfig = z.infer<typeof Config>;

/** Do the disks wear out, and do they make errors? */
export const wear: CheckKind<WearConfig> = {
  id: "wear",
  name: { zh: "存储寿命", en: "Storage wear" },
  Config,
  titles: {
    worn: { zh: "存储寿命将尽", en: "Storage worn out" },
    spare: { zh: "存储备用块将用尽", en: "Spare blocks run out" },
    left: { zh: "存储寿命预计不足", en: "Storage will wear out soon" },
    errors: { zh: "存储读写出错", en: "Storage makes errors" },
    fserrors: { zh: "文件系统有错误记录", en: "File system noted errors" },
    reallocated: { zh: "磁盘坏块增多", en: "Disk gave up sectors" },
    unreadable: { zh: "磁盘有无法读取的扇区", en: "Disk has unreadable sectors" },
    failing: { zh: "磁盘自检报告即将失效", en: "Disk says it fails" },
    gone: { zh: "存储设备已移除", en: "Disk gone" },
  },
  begin: (config, ports): Judge | undefined =>
    ports.machine.list("/sys/block").length === 0
      ? undefined
      : judgeLater(async () => (await import("./judge.ts")).openWear(config, ports)),
};
