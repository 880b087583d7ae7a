import type { Machine } from "../../platform/machine.ts";
import type { Pattern } from "./logs-catalogue.ts";
import { type LogsConfig, patternsOf } from "./logs-config.ts";

/** Which logs does this machine have, and what is looked for in each? Chosen so that no line comes by two ways. */

export interface FileSource {
  path: string;
  patterns: readonly Pattern[];
  /** The kernel's lines in it come to us by another way. */
  skipsKernel: boolean;
}

export interface Sources {
  /** The journal of systemd: everything of the machine's own is in it. */
  journal: readonly Pattern[] | undefined;
  /** /dev/kmsg. */
  kernel: readonly Pattern[] | undefined;
  files: FileSource[];
}

export const KERNEL_LOG = "/dev/kmsg";
const JOURNALCTL = ["/usr/bin/journalctl", "/bin/journalctl"];
const JOURNALS = ["/run/log/journal", "/var/log/journal"];
/** Syslog's usual files: all but logins, logins. Of each line the first that is there. */
const SYSLOGS = [
  ["/var/log/syslog", "/var/log/messages"],
  ["/var/log/auth.log", "/var/log/secure"],
] as const;
/** Only where neither the kernel can be asked nor syslog writes all into one file. */
const KERNEL_FILE = "/var/log/kern.log";
const SYSTEM_PATHS: readonly string[] = [...SYSLOGS.flat(), KERNEL_FILE];

/** Finds the sources. `canKernel`: whether /dev/kmsg may be read. */
export function findSources(machine: Machine, config: LogsConfig, canKernel: boolean): Sources {
  const { own, catalogue } = patternsOf(config);
  const all = [...own, ...catalogue];
  const journal = config.system && hasJournal(machine, config);
  const kernel = config.system && !journal && canKernel;
  const chosen = config.files.filter(({ path }) => !journal || !SYSTEM_PATHS.includes(path));
  const paths = config.system && !journal ? systemFiles(machine, kernel) : [];
  const followed = [...new Set([...chosen.map(({ path }) => path), ...paths])];
  return {
    journal: journal ? all : undefined,
    kernel: kernel ? all.filter(({ from }) => from !== "system") : undefined,
    files: followed.map((path): FileSource => {
      const isSystem = SYSTEM_PATHS.includes(path);
      const named = config.files.find((file) => file.path === path)?.patterns;
      const wanted = named === undefined ? (isSystem ? all : own) : all.filter(({ id }) => named.includes(id));
      const skipsKernel = isSystem && kernel;
      // a file the site chose is looked at as the site says, whoever wrote the line
      const patterns = wanted.map((one): Pattern => (named !== undefined && !isSystem ? { ...one, from: "any" } : one));
      return {
        path,
        patterns: patterns.filter(({ from }) => !skipsKernel || from !== "kernel"),
        skipsKernel,
      };
    }),
  };
}

/** Whether there is any log of the machine's own. */
export const hasLogs = (machine: Machine, config: LogsConfig): boolean =>
  hasJournal(machine, config) || machine.stat(KERNEL_LOG) !== undefined || systemFiles(machine, false).length > 0;

function hasJournal(machine: Machine, { journal }: LogsConfig): boolean {
  if (!JOURNALCTL.some((path) => machine.stat(path) !== undefined)) return false;
  const folders = journal.directory === undefined ? JOURNALS : [journal.directory];
  return folders.some((folder) => {
    const names = machine.list(folder);
    const inside = names.flatMap((name) => (/^[0-9a-f]{32}(\.|$)/.test(name) ? machine.list(`${folder}/${name}`) : []));
    return [...names, ...inside].some((name) => name.endsWith(".journal"));
  });
}

function systemFiles(machine: Machine, kernel: boolean): string[] {
  const found = SYSLOGS.flatMap((paths) => paths.find((path) => machine.stat(path)?.type === "file") ?? []);
  const whole = found.some((path) => SYSLOGS[0].some((one) => one === path));
  return kernel || whole || machine.stat(KERNEL_FILE)?.type !== "file" ? found : [...found, KERNEL_FILE];
}

/** Whether a line of a syslog file is the kernel's: its tag stands behind time and host. */
export function isOfKernel(line: string): boolean {
  const at = line.indexOf(" kernel: ");
  return at >= 0 && at < 80;
}
