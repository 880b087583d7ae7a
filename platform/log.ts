import { writeSync } from "node:fs";
import { pino } from "pino";
import { type Redact, redactFacts } from "./redact.ts";

/** A structured log: facts first (never named `level`, `time` or `msg`), then a sentence. Once per change, not per attempt. */
export interface Logger {
  debug(facts: LogFacts, text: string): void;
  info(facts: LogFacts, text: string): void;
  warn(facts: LogFacts, text: string): void;
  error(facts: LogFacts, text: string): void;
  child(bindings: Record<string, string | number>): Logger;
}
export type LogFacts = { event: string } & Record<string, unknown>;
export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * A pino log to standard output, written at once: what was logged before a crash is there after it. Every fact and every
 * sentence goes through `redact` first; that costs nothing for lines below `level`.
 */
export function openLog(level: LogLevel, part: string, redact: Redact): Logger {
  const log = pino(
    {
      level,
      base: { part },
      formatters: { level: (label) => ({ level: label }), log: (facts) => redactFacts(facts, redact) },
      serializers: { err: (told: unknown) => told }, // it is plain by then
      hooks: {
        logMethod(args, method) {
          const [facts, text, ...more] = args;
          method.apply(this, [facts, typeof text === "string" ? redact(text) : text, ...more]);
        },
      },
    },
    standardOutput,
  );
  const child = log.child;
  return Object.assign(log, {
    child(this: typeof log, bindings: Record<string, string | number>) {
      return child.call(this, redactFacts(bindings, redact));
    },
  });
}

/** A line that cannot be written is lost: a full disk under the log must not end a program that has to tell of it. */
const standardOutput = {
  write(line: string): void {
    const bytes = Buffer.from(line);
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
    } catch {
      // full, closed or not read by anyone
    }
  },
};
