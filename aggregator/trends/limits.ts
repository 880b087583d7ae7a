import * as z from "zod";
import type { Goal } from "./forecast.ts";

/** Patterns of code and figure, `*` for any letters: `disk.*` + `/` + `free_pct`. */
const PATTERN = /^[a-z0-9.*-]{1,122}\/[a-z0-9_*]{1,60}$/;

const name = z.string().min(1).max(60);
export const Limit = z.strictObject({
  /** Where it is bad to go. */
  towards: z.enum(["above", "below"]),
  /** Not to be reached; or not to grow to so many times of where it began. One of both, or none: then it is only compared. */
  limit: z.number().optional(),
  grows: z.number().gt(1).max(1_000).optional(),
  /** It comes in steps of about so much: they are no jumps. */
  step: z.number().min(0).default(0),
  /** Told when the limit is this near; the general horizon where absent. */
  horizonDays: z.number().min(1).max(1_000).optional(),
  /** Compared with the devices of its class; told when it is at least so far from their median. */
  outlierBy: z.number().positive().optional(),
  zh: name,
  en: name,
});
export type Limit = z.infer<typeof Limit>;

const make = (zh: string, en: string, own: Partial<Limit> & Pick<Limit, "towards">): Limit => ({
  step: 0,
  ...own,
  zh,
  en,
});
/** A share that is used up, or that runs out; in steps of a percent, so that rounding is no jump. */
const above = (zh: string, en: string, limit: number, own: Partial<Limit> = {}): Limit =>
  make(zh, en, { towards: "above", limit, step: 1, ...own });
const below = (zh: string, en: string, limit: number, own: Partial<Limit> = {}): Limit =>
  make(zh, en, { towards: "below", limit, step: 1, ...own });
const grows = (zh: string, en: string): Limit => make(zh, en, { towards: "above", grows: 2 });

/**
 * Limits of the figures that the agent's checks tell, by pattern of code and figure: where a check would raise its first
 * alarm or soon after. What takes long to buy or to plan is told months ahead.
 */
export const KNOWN_LIMITS: Readonly<Record<string, Limit>> = {
  "disk.*/free_pct": below("磁盘可用空间", "free disk space", 15),
  "disk.*/inodes_free_pct": below("磁盘可用索引节点", "free inodes", 10),
  "memory.*/available_pct": below("可用内存", "available memory", 12, { outlierBy: 25 }),
  "memory.*/swap_used_pct": above("交换区占用", "swap in use", 80),
  "cpu.*/busy_pct": make("处理器占用", "processor load", { towards: "above", step: 1, outlierBy: 40 }),
  "temperature.*/temp_c": above("温度", "temperature", 85, { outlierBy: 12 }),
  "process.*/rss_bytes": grows("进程内存", "memory of the process"),
  "process.*/fds_pct": above("进程文件句柄占用", "open files of the process", 80),
  "self.*/anon_bytes": grows("代理自身内存", "memory of the agent"),
  "self.*/outbox_pct": above("待发队列占用", "outbox in use", 80),
  "wear.*/used_pct": above("存储寿命消耗", "storage life used", 80, { step: 10, horizonDays: 90 }),
  "wear.*/spare_pct": below("存储备用块", "spare blocks of the storage", 10, { horizonDays: 90 }),
  "wear.*/reallocated_count": above("重映射扇区", "reallocated sectors", 50, { horizonDays: 60 }),
  "certificate.*/left_days": below("证书剩余天数", "days left of the certificate", 14, { horizonDays: 7 }),
  "service.*/certificate_days": below("服务证书剩余天数", "days left of the service's certificate", 14, {
    horizonDays: 7,
  }),
  "network.*/loss_pct": above("网络丢包", "packet loss", 5, { outlierBy: 3 }),
  "network.*/error_pct": above("接口错包", "interface errors", 1, { step: 0.1, outlierBy: 1 }),
  "network.*/drop_pct": above("接口丢包", "interface drops", 1, { step: 0.1, outlierBy: 1 }),
  "network.*/busy_pct": above("链路利用率", "use of the link", 80, { horizonDays: 30 }),
  "switch.*/use_pct": above("交换机端口利用率", "use of the switch port", 80, { horizonDays: 30 }),
  "database.*/used_pct": above("数据库空间占用", "database space used", 80, { horizonDays: 30 }),
  "database.*/connections_pct": above("数据库连接占用", "database connections used", 80),
  "database.*/wraparound_pct": above("事务号消耗", "transaction ids used", 40, { horizonDays: 60 }),
  "power.*/load_pct": above("UPS 负载", "load of the UPS", 85, { horizonDays: 30 }),
  "power.*/runtime_s": below("UPS 续航时间", "runtime of the UPS", 900, { step: 60, horizonDays: 60 }),
};

/** Own limits over the known ones; `false` takes one away. */
export const Limits = z
  .record(z.string().regex(PATTERN), z.union([Limit, z.literal(false)]))
  .transform((own) => ({ ...KNOWN_LIMITS, ...own }));
export type Limits = z.output<typeof Limits>;

/** Finds the limit of a figure: of the patterns that fit the one with the most letters of its own. */
export function openLimits(limits: Limits): (code: string, figure: string) => (Limit & Goal) | undefined {
  const rules = Object.entries(limits)
    .toSorted(([a], [b]) => letters(b) - letters(a))
    .map(([pattern, rule]) => ({ fits: expression(pattern), rule }));
  const known = new Map<string, Limit | undefined>();
  return (code, figure) => {
    const key = `${code}/${figure}`;
    if (known.has(key)) return known.get(key);
    const rule = rules.find(({ fits }) => fits.test(key))?.rule;
    if (known.size > 10_000) known.clear();
    known.set(key, rule === false ? undefined : rule);
    return rule === false ? undefined : rule;
  };
}

const letters = (pattern: string): number => pattern.replaceAll("*", "").length;
const expression = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", "[^/]*")}$`);
