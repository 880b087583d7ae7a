/** Times of all processors together since boot, clock ticks, from the first line of /proc/stat. */
export interface CpuTimes {
  busy: number;
  iowait: number;
  steal: number;
  total: number;
}

/** Parses /proc/stat; undefined when its first line is not the sum over all processors. */
export function parseCpuTimes(text: string): CpuTimes | undefined {
  if (!text.startsWith("cpu ")) return undefined;
  const end = text.indexOf("\n");
  const figures = (end < 0 ? text : text.slice(0, end))
    .split(" ")
    .filter((word) => word !== "")
    .slice(1)
    .map(Number);
  const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0] = figures; // guest time is inside user
  if (user === undefined || nice === undefined || system === undefined || idle === undefined) return undefined;
  const busy = user + nice + system + irq + softirq + steal;
  const total = busy + idle + iowait;
  return Number.isSafeInteger(total) && total >= 0 ? { busy, iowait, steal, total } : undefined;
}

export interface CpuShares {
  busyPct: number;
  iowaitPct: number;
  stealPct: number;
}

/** Shares between two readings; undefined when no time passed. A counter that ran back (a core taken offline) counts as still. */
export function sharesOf(before: CpuTimes, after: CpuTimes): CpuShares | undefined {
  const total = after.total - before.total;
  if (total <= 0) return undefined;
  const share = (from: number, to: number): number => Math.min(100, Math.max(0, (100 * (to - from)) / total));
  return {
    busyPct: share(before.busy, after.busy),
    iowaitPct: share(before.iowait, after.iowait),
    stealPct: share(before.steal, after.steal),
  };
}

/** Load over 1, 5 and 15 minutes, from /proc/loadavg. */
export function parseLoad(text: string): readonly [number, number, number] | undefined {
  const [one = Number.NaN, five = Number.NaN, fifteen = Number.NaN] = text.split(" ", 3).map(toFigure);
  return isFigure(one) && isFigure(five) && isFigure(fifteen) ? [one, five, fifteen] : undefined;
}

export interface Pressure {
  avg10Pct: number;
  avg60Pct: number;
}

/** The line `some avg10=… avg60=…` of a file in /proc/pressure: the share of time at least one task waited. */
export function parsePressure(text: string): Pressure | undefined {
  if (!text.startsWith("some ")) return undefined;
  const figure = (name: string): number => {
    const at = text.indexOf(` ${name}=`);
    return at < 0 ? Number.NaN : Number.parseFloat(text.slice(at + name.length + 2, at + name.length + 12));
  };
  const avg10Pct = figure("avg10");
  const avg60Pct = figure("avg60");
  return avg10Pct >= 0 && avg10Pct <= 100 && avg60Pct >= 0 && avg60Pct <= 100 ? { avg10Pct, avg60Pct } : undefined;
}

const MOST_CPUS = 8192;

/** Numbers of a processor list such as `0-3,5`; [] when it is not one. */
export function parseCpuList(text: string): number[] {
  const cpus = new Set<number>();
  for (const part of text.trim().split(",")) {
    const [from = Number.NaN, to = from] = part.split("-", 3).map(toFigure);
    if (!Number.isInteger(from) || !Number.isInteger(to) || from > to || to >= MOST_CPUS) return [];
    for (let cpu = from; cpu <= to; cpu += 1) cpus.add(cpu);
  }
  return [...cpus];
}

const toFigure = (word: string): number => (word.trim() === "" ? Number.NaN : Number(word));
const isFigure = (value: number): boolean => Number.isFinite(value) && value >= 0;
