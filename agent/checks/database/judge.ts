import * as z from "zod/mini";
import type { Slot } from "../../../platform/slot.ts";
import { type CheckPorts, type Judge, Latch, type Verdict, worstOf } from "../check.ts";
import { askChild } from "../child.ts";
import { inTurns, type Turn } from "../turns.ts";
import { DatabaseAnswer } from "./answer.ts";
import { conditionsOf } from "./conditions.ts";
import type { DatabaseConfig, DatabasesConfig } from "./database.ts";

const RETRY_MS = 60_000;
/** The child's own start, on a small device that is busy. */
const START_MS = 20_000;
const SLOT = "database";

/** Asks the databases of the config by a short-lived child each, one at a time. */
export function openDatabases({ databases, deadlineMs }: DatabasesConfig, ports: CheckPorts): Judge {
  const { clock, random, redact } = ports;
  const checks = quickChecks(ports);
  const turns = databases.map((config): Turn => {
    const latch = new Latch();
    return {
      subject: config.name,
      everyMs: config.everyMs,
      retryMs: RETRY_MS,
      deadlineMs: config.deadlineMs + START_MS,
      async ask(signal) {
        const full = checks.isDue(config);
        const words = ["database", config.name, ...(full ? ["full"] : [])];
        const deadline = config.deadlineMs + START_MS / 2;
        const answer = await askChild(ports, words, { schema: DatabaseAnswer, deadlineMs: deadline, signal });
        if (full && answer.state === "answered") checks.done(config, answer.damage);
        return [verdictOf(config, answer, checks.damageOf(config), latch, redact)];
      },
    };
  });
  const judge = inTurns(turns, { clock, random, redact, atOnce: 1, waitMs: deadlineMs * 0.9 });
  return {
    judge: (signal) => judge.judge(signal),
    stirred: () => judge.stirred(),
    close() {
      judge.close();
      checks.close();
    },
  };
}

function verdictOf(
  config: DatabaseConfig,
  answer: DatabaseAnswer,
  damage: string | undefined,
  latch: Latch,
  redact: (text: string) => string,
): Verdict {
  const subject = config.name;
  if (answer.state === "unknown") return { state: "unknown", subject, because: redact(answer.because) };
  if (answer.state !== "answered") {
    const reason = answer.state === "full" ? "connections" : answer.state;
    const grade = config.down;
    return { ...{ state: "judged", subject, grade, holds: grade, reason, readings: {} }, says: redact(answer.because) };
  }
  const known = damage === undefined || answer.damage !== undefined ? answer : { ...answer, damage };
  const verdict = worstOf(subject, conditionsOf(config, known), latch);
  return verdict.says === undefined ? verdict : { ...verdict, says: redact(verdict.says) };
}

interface QuickChecks {
  isDue(config: DatabaseConfig): boolean;
  done(config: DatabaseConfig, damage: string | undefined): void;
  /** Found by the last one: it holds until the next one. */
  damageOf(config: DatabaseConfig): string | undefined;
  close(): void;
}

/** When each file was last looked through, and what was found, kept over a restart of the agent: each look reads all of it. */
function quickChecks({ clock, keep }: CheckPorts): QuickChecks {
  const slot = keep?.slot(SLOT);
  const done = readDone(slot);
  return {
    isDue({ name, url, quickCheckEveryMs }) {
      if (!url.startsWith("sqlite:") || quickCheckEveryMs === 0) return false;
      const at = done.get(name)?.at;
      // a wall clock that was set back says nothing
      return at === undefined || clock.wall() - at >= quickCheckEveryMs || at > clock.wall();
    },
    damageOf: ({ name, url }) => (url.startsWith("sqlite:") ? done.get(name)?.damage : undefined),
    done({ name }, damage) {
      done.set(name, { at: clock.wall(), damage });
      try {
        slot?.write(JSON.stringify([...done]));
      } catch {
        // /run is full: it is looked through once more after a restart
      }
    },
    close: () => slot?.close(),
  };
}

const Done = z.array(z.tuple([z.string(), z.object({ at: z.number(), damage: z.optional(z.string()) })]));

function readDone(slot: Slot | undefined): Map<string, { at: number; damage?: string | undefined }> {
  try {
    const kept = z.safeParse(Done, JSON.parse(slot?.read() ?? "[]"));
    return new Map(kept.success ? kept.data : []);
  } catch {
    return new Map();
  }
}
