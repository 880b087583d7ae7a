/** What one line of /proc/PID/stat says that we need. */
export interface ProcStat {
  /** One letter: R S D T t Z X I … */
  state: string;
  /** User and system time used, clock ticks (1/100 s). */
  cpuTicks: number;
  threads: number;
  /** Start of the process after boot, clock ticks: with the pid it names a process for ever. */
  startTicks: number;
  /** Size of its address space, bytes; 0 for a zombie. */
  sizeBytes: number;
}

/** Room for two whole numbers of 64 bits. */
const MOST_DIGITS = 42;

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
  const [startTicks = Number.NaN, sizeBytes = 0] = text
    .slice(at, at + MOST_DIGITS)
    .split(" ", 2)
    .map(Number);
  const whole = Number.isSafeInteger(cpuTicks) && Number.isSafeInteger(threads) && Number.isSafeInteger(startTicks);
  return whole && state > " " ? { state, cpuTicks, threads, startTicks, sizeBytes } : undefined;
}

/** The name of a process, from /proc/PID/stat (at most 15 bytes of what it calls itself). */
export const nameOf = (text: string): string => text.slice(text.indexOf("(") + 1, text.lastIndexOf(")"));

/** A zombie is a process nobody has buried yet. One whose first thread ended while others work on is alive. */
export const isDead = ({ state, threads }: ProcStat): boolean =>
  state === "X" || state === "x" || (state === "Z" && threads <= 1);

/** The first byte of /proc/PID/statm where the process has an address space: a digit, but no 0. A zombie's are all 0. */
export const isNonZeroDigit = (byte: number | undefined): boolean => byte !== undefined && byte > 48 && byte <= 57;

/**
 * Resident memory out of /proc/PID/statm, in pages: exact where that of /proc/PID/stat is an estimate. Undefined for a
 * zombie or a kernel thread, which have none.
 */
export function residentPages(statm: string): number | undefined {
  const [pages = 0, resident = Number.NaN] = statm.split(" ", 2).map(Number);
  return pages > 0 && Number.isSafeInteger(resident) && resident >= 0 ? resident : undefined;
}

/** Bytes of a page: its statm tells the size of a process in pages, its stat (`sizeBytes`) in bytes. A power of two. */
export function pageBytes(statm: string, sizeBytes: number): number | undefined {
  const bytes = 2 ** Math.round(Math.log2(sizeBytes / Number.parseInt(statm, 10))); // the size may have changed in between
  return bytes >= 4_096 && bytes <= 1_048_576 ? bytes : undefined;
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
