import type { CheckKind } from "../check.ts";
import { judgeLater } from "../later.ts";
import { LogsConfig } from "./config.ts";
import { hasLogs } from "./present.ts";

/** What do the logs of this device say that somebody should hear? */
export const logs: CheckKind<LogsConfig> = {
  id: "logs",
  name: { zh: "日志", en: "Logs" },
  Config: LogsConfig,
  // a pattern's alarm has the pattern's own title
  titles: {
    lost: { zh: "部分日志未能读取", en: "Part of a log was lost before it was read" },
    behind: { zh: "日志增长过快", en: "A log grows faster than it can be read" },
    missing: { zh: "日志文件不存在", en: "Log file missing" },
    followed: { zh: "日志跟踪", en: "Log is followed" },
    gone: { zh: "不再检查该日志内容", en: "Not looked for any more" },
  },
  begin(config, ports) {
    if (config.files.length === 0 && !(config.system && hasLogs(ports.machine, config))) return undefined;
    return judgeLater(async () => {
      const { keep } = ports;
      if (keep !== undefined) return new (await import("./round.ts")).LogRounds(config, { ...ports, keep });
      return new (await import("./look-back.ts")).LookBack(config, ports);
    });
  },
};
