import type { LogFacts, Logger } from "../../platform/log.ts";

export interface LogLine {
  level: "debug" | "info" | "warn" | "error";
  facts: LogFacts;
  text: string;
}

/** A log that a test can read. */
export interface KeptLog extends Logger {
  readonly lines: LogLine[];
}

export function keptLog(lines: LogLine[] = []): KeptLog {
  const at =
    (level: LogLine["level"]) =>
    (facts: LogFacts, text: string): void => {
      lines.push({ level, facts, text });
    };
  return {
    lines,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => keptLog(lines),
  };
}

const nothing = (): void => {};
/** A log nobody reads. */
export const silentLog: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLog,
};
