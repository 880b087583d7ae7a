import * as z from "zod/mini";
import type { Machine } from "../../../platform/machine.ts";
import { discreetName } from "../../../platform/redact.ts";
import { Failure } from "../../../protocol/failure.ts";
import { fingerprint } from "../../../protocol/topics.ts";
import { type CheckPorts, type Judge, Latch, type Verdict, worstOf } from "../check.ts";
import { askChild } from "../child.ts";
import { type Mount, mayHang, parseMountInfo } from "../mounts.ts";
import { inTurns, type Turn } from "../turns.ts";
import { conditionsOf, figuresOf } from "./conditions.ts";
import type { DataConfig, FileConfig, FolderConfig } from "./data.ts";
import type { Integrity } from "./integrity.ts";
import { openUsual, type UsualMemory } from "./memory.ts";
import { subjectOf } from "./name.ts";
import { type Walked, walk } from "./walk.ts";

const AT_ONCE = 2;
const RETRY_MS = 60_000;
/** The child's own start, on a small device that is busy. */
const START_MS = 20_000;

const WalkedAnswer = z.strictObject({
  count: z.number(),
  bytes: z.number(),
  newestMs: z.number(),
  oldestMs: z.number(),
  cut: z.boolean(),
  unreadable: z.number(),
});
const FolderAnswer = z.union([z.literal("missing"), WalkedAnswer]);
const FileAnswer = z.union([
  z.strictObject({ state: z.literal("whole"), count: z.number() }),
  z.strictObject({ state: z.literal("missing") }),
  z.strictObject({ state: z.literal("damaged"), says: z.string() }),
]) satisfies z.ZodMiniType<Integrity>;

/** Watches the folders and files of the config, each at its own pace, at most two at once. */
export async function openData(config: DataConfig, ports: CheckPorts): Promise<Judge> {
  const { clock, random, redact } = ports;
  const memory = await openUsual(
    ports.keep,
    config.folders.map((folder) => discreetName(subjectOf(folder), redact, fingerprint)),
  );
  const look = walker(ports);
  const turns: Turn[] = [
    ...config.folders.map((folder): Turn => {
      const judge = folderJudge(folder, config, ports, memory);
      return { ...paceOf(folder), ask: async (signal) => [await judge(await look(folder, signal))] };
    }),
    ...config.files.map(
      (file): Turn => ({
        ...paceOf(file),
        ask: async (signal) => [fileVerdict(file, await askChild(ports, ...childWords(file, FileAnswer, signal)))],
      }),
    ),
  ];
  const judge = inTurns(turns, { clock, random, redact, atOnce: AT_ONCE, waitMs: config.deadlineMs * 0.9 });
  return {
    judge: (signal) => judge.judge(signal),
    stirred: () => judge.stirred(),
    close() {
      judge.close();
      memory.close();
    },
  };
}

const paceOf = (target: FolderConfig | FileConfig) => ({
  subject: subjectOf(target),
  everyMs: target.everyMs,
  retryMs: RETRY_MS,
  deadlineMs: target.deadlineMs + START_MS,
});

/** `vigil-agent data NAME` */
const childWords = <T>(target: FolderConfig | FileConfig, schema: z.ZodMiniType<T>, signal: AbortSignal) =>
  [["data", subjectOf(target)], { schema, deadlineMs: target.deadlineMs + START_MS / 2, signal }] as const;

type Look = (folder: FolderConfig, signal: AbortSignal) => Promise<Walked | "missing">;

/**
 * A walk on a local disk is ours; one on a mount that may hang is a child's, which can be ended. When a local disk hangs all
 * the same, no second pool thread is given to it.
 */
function walker(ports: CheckPorts): Look {
  let hanging = 0;
  return async (folder, signal) => {
    const { machine, self } = ports;
    if (mayHang(mountsOf(machine), folder.path) && self !== undefined)
      return askChild(ports, ...childWords(folder, FolderAnswer, signal));
    if (hanging > 0) throw new Failure("CHECK_DEADLINE", "not looked at: another folder's disk does not answer");
    const stuck = (): void => {
      hanging += 1;
    };
    signal.addEventListener("abort", stuck, { once: true });
    try {
      return await walk(machine.at(folder.path), folder, signal);
    } catch (cause) {
      throw signal.aborted ? signal.reason : unreadable(folder.path, cause);
    } finally {
      if (signal.aborted) hanging -= 1;
      signal.removeEventListener("abort", stuck);
    }
  };
}

function mountsOf(machine: Machine): Mount[] {
  const source = machine.source("/proc/self/mountinfo");
  try {
    return parseMountInfo(source.read() ?? "");
  } finally {
    source.close();
  }
}

function unreadable(path: string, cause: unknown): Failure {
  const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const remedy = errno === "EACCES" || errno === "EPERM" ? ": give the agent's user read access" : "";
  return new Failure("MACHINE_READ", `cannot read ${path}: ${errno || String(cause)}${remedy}`, {
    facts: { path, errno },
  });
}

/** One folder from look to look. */
function folderJudge(
  folder: FolderConfig,
  { usualAfterDays }: DataConfig,
  { clock, redact }: CheckPorts,
  memory: UsualMemory,
): (walked: Walked | "missing") => Promise<Verdict> {
  const subject = subjectOf(folder);
  const kept = discreetName(subject, redact, fingerprint);
  const latch = new Latch();
  return async (walked) => {
    if (walked === "missing") return absent(subject, folder.missing, `there is no folder ${folder.path}`);
    const wall = clock.wall();
    const figures = figuresOf(walked, wall);
    const usual = folder.usual ? memory.usual(kept, wall, usualAfterDays) : undefined;
    const verdict = worstOf(subject, conditionsOf(folder, walked, figures, usual), latch);
    if (folder.usual && !walked.cut && walked.unreadable === 0) await memory.learn(kept, wall, figures);
    return verdict;
  };
}

const absent = (subject: string, grade: FolderConfig["missing"], says: string): Verdict => ({
  ...{ state: "judged", subject, grade, holds: grade, reason: "missing", says, readings: {} },
});

function fileVerdict(file: FileConfig, found: Integrity): Verdict {
  const subject = subjectOf(file);
  if (found.state === "missing") return absent(subject, file.severity, `there is no file ${file.path}`);
  const damaged = found.state === "damaged";
  const grade = damaged ? file.severity : "ok";
  return {
    ...{ state: "judged", subject, grade, holds: grade, reason: "damaged" },
    says:
      found.state === "damaged"
        ? `${file.integrity}: ${found.says}`
        : `${file.integrity}: whole, ${found.count} looked at`,
    readings: { damaged_count: damaged ? 1 : 0 },
  };
}
