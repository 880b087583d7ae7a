import type { Machine } from "../../../platform/machine.ts";
import type { LogsConfig } from "./config.ts";

/** Has this machine logs of its own? Asked at the start, before anything of the check is loaded. */

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
export const SYSTEM_PATHS: readonly string[] = [...SYSLOGS.flat(), KERNEL_FILE];

/** Whether there is any log of the machine's own. */
export const hasLogs = (machine: Machine, config: LogsConfig): boolean =>
  hasJournal(machine, config) || machine.stat(KERNEL_LOG) !== undefined || systemFiles(machine, false).length > 0;

export function hasJournal(machine: Machine, { journal }: LogsConfig): boolean {
  if (!JOURNALCTL.some((path) => machine.stat(path) !== undefined)) return false;
  const folders = journal.directory === undefined ? JOURNALS : [journal.directory];
  return folders.some((folder) => {
    const names = machine.list(folder);
    const inside = names.flatMap((name) => (/^[0-9a-f]{32}(\.|$)/.test(name) ? machine.list(`${folder}/${name}`) : []));
    return [...names, ...inside].some((name) => name.endsWith(".journal"));
  });
}

export function systemFiles(machine: Machine, kernel: boolean): string[] {
  const found = SYSLOGS.flatMap((paths) => paths.find((path) => machine.stat(path)?.type === "file") ?? []);
  const whole = found.some((path) => SYSLOGS[0].some((one) => one === path));
  return kernel || whole || machine.stat(KERNEL_FILE)?.type !== "file" ? found : [...found, KERNEL_FILE];
}
