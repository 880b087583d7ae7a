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

const limit = (zh: string, en: string, own: Partial<Limit> & Pick<Limit, "towards">): Limit => ({
  step: 0,
  ...own,
  zh,
  en,
});
const free = (zh: string, en: string) => limit(zh, en, { towards: "below", limit: 10, step: 1 });
const used = (zh: string, en: string, at: number) => limit(zh, en, { towards: "above", limit: at, step: 1 });

/** Limits of the figures that the agent's checks tell; by pattern of code and figure. */
export const KNOWN_LIMITS: Readonly<Record<string, Limit>> = {
  "disk.*/free_pct": free("磁盘可用空间", "free disk space"),
  "disk.*/inodes_free_pct": free("磁盘可用索引节点", "free inodes"),
  "memory.*/available_pct": { ...free("可用内存", "available memory"), outlierBy: 25 },
  "memory.*/swap_used_pct": used("交换区占用", "swap in use", 80),
  "temperature.*/temp_c": { ...limit("温度", "temperature", { towards: "above", limit: 85, step: 1 }), outlierBy: 12 },
  "cpu.*/busy_pct": limit("处理器占用", "processor load", { towards: "above", step: 1, outlierBy: 40 }),
  "process.*/rss_bytes": limit("进程内存", "memory of the process", { towards: "above", grows: 2 }),
  "process.*/fds_pct": used("进程文件句柄占用", "open files of the process", 80),
  "self.*/anon_bytes": limit("代理自身内存", "memory of the agent", { towards: "above", grows: 2 }),
  "self.*/outbox_pct": used("待发队列占用", "outbox in use", 80),
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
