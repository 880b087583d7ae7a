import type { Machine } from "../../../platform/machine.ts";
import { CATALOGUE, type Pattern } from "./catalogue.ts";
import { type LogsConfig, literalsOf } from "./config.ts";
import { hasJournal, SYSTEM_PATHS, systemFiles } from "./present.ts";

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

/** Whether a line of a syslog file is the kernel's: its tag stands behind time and host. */
export function isOfKernel(line: string): boolean {
  const at = line.indexOf(" kernel: ");
  return at >= 0 && at < 80;
}

/** The site's own patterns, and those of the catalogue that are on, with the site's limits. */
function patternsOf(config: LogsConfig): { own: Pattern[]; catalogue: Pattern[] } {
  const own = config.patterns.map(
    ({ titleZh: zh, titleEn: en, literal: _literal, regex, ...limits }, i): Pattern => ({
      ...limits,
      title: { zh, en },
      literals: literalsOf(config.patterns[i] ?? { literal: [] }),
      ...(regex === undefined ? {} : { regex }),
      from: "any",
    }),
  );
  const catalogue = CATALOGUE.flatMap((pattern): Pattern[] => {
    const change = config.catalogue[pattern.id];
    if (change?.enabled === false) return [];
    const { severity: grade, count: times, windowMs, quietMs } = change ?? {};
    return [
      {
        ...pattern,
        severity: grade ?? pattern.severity,
        count: times ?? pattern.count,
        windowMs: windowMs ?? pattern.windowMs,
        quietMs: quietMs ?? pattern.quietMs,
      },
    ];
  });
  return { own, catalogue };
}
