/** What one line of /proc/PID/stat says that we need. */
export interface ProcStat {
  /** One letter: R S D T t Z X I … */
  state: string;
  /** User and system time used, clock ticks (1/100 s). */
  cpuTicks: number;
  threads: number;
  /** Start of the process after boot, clock ticks: with the pid it names a process for ever. */
  startTicks: number;
}

/**
 * Parses /proc/PID/stat; undefined when it is not one. The name in parentheses is the process's own choice and may hold
 * spaces and parentheses: the fields begin after the last one.
 */
export function parseStat(text: string): ProcStat | undefined {
  const close = text.lastIndexOf(")");
  if (close < 0 || text.charCodeAt(close + 1) !== 32) return undefined;
  let at = close + 2;
  const state = text.charAt(at);
  let cpuTicks = 0;
  let threads = 0;
  for (let field = 3; field < 22; field += 1) {
    const space = text.indexOf(" ", at);
    if (space < 0) return undefined;
    if (field === 14 || field === 15) cpuTicks += Number(text.slice(at, space));
    else if (field === 20) threads = Number(text.slice(at, space));
    at = space + 1;
  }
  const space = text.indexOf(" ", at);
  const startTicks = Number(space < 0 ? text.slice(at) : text.slice(at, space));
  const whole = Number.isSafeInteger(cpuTicks) && Number.isSafeInteger(threads) && Number.isSafeInteger(startTicks);
  return whole && state > " " ? { state, cpuTicks, threads, startTicks } : undefined;
}

/** The name of a process, from /proc/PID/stat (at most 15 bytes of what it calls itself). */
export const nameOf = (text: string): string => text.slice(text.indexOf("(") + 1, text.lastIndexOf(")"));

/** A zombie is a process nobody has buried yet. One whose first thread ended while others work on is alive. */
export const isDead = ({ state, threads }: ProcStat): boolean =>
  state === "X" || state === "x" || (state === "Z" && threads <= 1);

/** VmRSS of /proc/PID/status in bytes; undefined for a zombie or a kernel thread, which have none. */
export function parseRss(text: string): number | undefined {
  const at = text.indexOf("\nVmRSS:");
  if (at < 0) return undefined;
  const kilobytes = Number.parseInt(text.slice(at + 7, at + 40), 10);
  return Number.isSafeInteger(kilobytes) && kilobytes >= 0 ? kilobytes * 1024 : undefined;
}

/** Soft limit of open files, from /proc/PID/limits; undefined when it is unlimited or not told. */
export function parseOpenFilesLimit(text: string): number | undefined {
  const label = "Max open files";
  const at = text.indexOf(label);
  if (at < 0) return undefined;
  const limit = Number.parseInt(text.slice(at + label.length, at + 80), 10);
  return Number.isSafeInteger(limit) && limit > 0 ? limit : undefined;
}

/** Process ids of cgroup.procs: each once, without the 0 that stands for one outside our own namespace. */
export function parsePids(text: string): number[] {
  const pids = new Set<number>();
  for (const line of text.split("\n")) {
    const pid = Number(line);
    if (Number.isSafeInteger(pid) && pid > 0) pids.add(pid);
  }
  return [...pids];
}

/** Whether a command line (its arguments ended by NUL each) has these words: any part of the whole line, or its first arguments. */
export function commandMatches(cmdline: string, wanted: string | readonly string[]): boolean {
  const argv = (cmdline.endsWith("\0") ? cmdline.slice(0, -1) : cmdline).split("\0");
  if (typeof wanted === "string") return argv.join(" ").includes(wanted);
  return wanted.length <= argv.length && wanted.every((word, i) => word === argv[i]);
}
