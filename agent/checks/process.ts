import * as z from "zod/mini";
import { Failure } from "../../protocol/failure.ts";
import { SEVERITIES } from "../../protocol/severity.ts";
import {
  type CheckKind,
  type CheckPorts,
  commonConfig,
  gradeHigh,
  highBand,
  type Judge,
  type Judged,
  type Verdict,
  worstOf,
} from "./check.ts";
import { type Figures, ProcessFigures, TICKS_PER_S } from "./process-figures.ts";
import { Finders } from "./process-find.ts";
import { type Known, Watched } from "./process-watched.ts";

type Condition = Omit<Judged, "state" | "subject">;

const severity = z.enum(SEVERITIES);
const count = (least: number) => z.int().check(z.minimum(least), z.maximum(256));
const ms = (least: number, fallback: number) =>
  z._default(z.int().check(z.minimum(least), z.maximum(604_800_000)), fallback);
const bytes = highBand(0, Number.MAX_SAFE_INTEGER);
const word = z.string().check(z.minLength(1), z.maxLength(1000));

const Watch = z
  .strictObject({
    /** The subject of its alarms. */
    name: z.string().check(z.regex(/^[^\s\p{C}]{1,80}$/u, "up to 80 characters without blanks")),
    /** A systemd unit: every process of its control group. */
    unit: z.optional(
      z.string().check(z.regex(/^[\w@.:\\-]{1,240}\.(service|scope)$/, "a unit name such as nginx.service")),
    ),
    exe: z.optional(z.string().check(z.regex(/^\/.{1,4000}$/, "an absolute path"))),
    /** Any part of the command line, or its first arguments as a list. */
    command: z.optional(
      z.union([
        z.string().check(z.minLength(3), z.maxLength(1000)),
        z.array(word).check(z.minLength(1), z.maxLength(50)),
      ]),
    ),
    min: z._default(count(0), 1),
    max: z.optional(count(0)),
    /** Of missing processes and a wrong count. */
    severity: z._default(severity, "major"),
    restarts: z.prefault(
      z.strictObject({
        raise: z._default(count(1), 3),
        withinMs: ms(60_000, 600_000),
        severity: z._default(severity, "major"),
      }),
      {},
    ),
    /** Resident memory of all its processes together; not judged unless a limit is given. */
    rssBytes: z.optional(bytes),
    /** Robust slope over the growth window, once three quarters of it are seen; not judged unless a limit is given. */
    growthBytesPerHour: z.optional(bytes),
    memorySeverity: z._default(severity, "minor"),
    /** Open files of its fullest process, in percent of that process's own soft limit. */
    descriptorsPct: z.prefault(
      z.strictObject({
        minor: z._default(highBand(0, 100), { raise: 80, clear: 70 }),
        major: z._default(highBand(0, 100), { raise: 95, clear: 85 }),
      }),
      {},
    ),
  })
  .check(
    z.refine((watch) => (watch.unit ?? watch.exe ?? watch.command) !== undefined, "needs unit, exe or command"),
    z.refine((watch) => watch.max === undefined || watch.max >= watch.min, "max must not be below min"),
  );
type Watch = z.infer<typeof Watch>;

const Config = z.strictObject({
  ...commonConfig({ every: "fast", holdOnMs: 0, holdOffMs: 10_000 }),
  watch: z._default(
    z.array(Watch).check(
      z.maxLength(100),
      z.refine((watch) => new Set(watch.map(({ name }) => name)).size === watch.length, "names must differ"),
    ),
    [],
  ),
  /** So long after the machine's start a process that never ran yet raises no alarm. */
  bootGraceMs: ms(0, 60_000),
  figuresEveryMs: ms(1_000, 10_000),
  descriptorsEveryMs: ms(1_000, 60_000),
  growthWindowMs: ms(60_000, 21_600_000),
});
type Config = z.infer<typeof Config>;

/** Are the processes of this device's work there, and do they stay well? */
export const processes: CheckKind<Config> = {
  id: "process",
  name: { zh: "进程", en: "Process" },
  Config,
  titles: {
    missing: { zh: "进程未运行", en: "Process is not running" },
    count: { zh: "进程数量异常", en: "Wrong number of processes" },
    restarts: { zh: "进程反复重启", en: "Process keeps restarting" },
    memory: { zh: "进程内存占用异常", en: "Process uses too much memory" },
    descriptors: { zh: "进程文件描述符将耗尽", en: "Process is running out of file descriptors" },
    gone: { zh: "进程不再受监视", en: "Process is no longer watched" },
  },
  begin: (config, ports) => (config.watch.length === 0 ? undefined : new ProcessJudge(config, ports)),
};

interface Post {
  watch: Watch;
  watched: Watched;
  figures: ProcessFigures;
  main: Known | undefined;
  /** `Clock.now` at which the main process was started. */
  bornAtMs: number | undefined;
  /** The last verdict, while nothing has happened that could change it. */
  verdict: Judged | undefined;
  /** Why this round cannot tell. */
  because: string | undefined;
}

class ProcessJudge implements Judge {
  readonly #config: Config;
  readonly #ports: CheckPorts;
  readonly #finders: Finders;
  readonly #posts: readonly Post[];

  constructor(config: Config, ports: CheckPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#finders = new Finders(ports.machine, process.pid);
    this.#posts = config.watch.map((watch) => ({
      watch,
      watched: new Watched(ports.machine, watch, watch.unit !== undefined),
      figures: new ProcessFigures(ports.machine, config),
      main: undefined,
      bornAtMs: undefined,
      verdict: undefined,
      because: undefined,
    }));
  }

  judge(): readonly Verdict[] {
    const nowMs = this.#ports.clock.now();
    for (const post of this.#posts)
      this.#orUnknown(post, () => {
        post.because = undefined;
        if (!post.watched.followUp(nowMs)) post.verdict = undefined;
      });
    const sought = this.#posts.filter(({ watched }) => watched.mustFind(nowMs));
    if (sought.length > 0) this.#find(sought, nowMs);
    return this.#posts.map((post) => this.#verdict(post, nowMs));
  }

  close(): void {
    for (const { watched } of this.#posts) watched.close();
  }

  #find(sought: readonly Post[], nowMs: number): void {
    const found = this.#finders.find(sought.map(({ watch }) => watch));
    for (const [i, post] of sought.entries())
      this.#orUnknown(post, () => {
        const answer = found[i] ?? { because: "not searched for" };
        if ("because" in answer) post.because = answer.because;
        else post.watched.found(answer.pids, nowMs);
        post.verdict = undefined;
      });
  }

  /** A Failure over one watch makes that watch unknown and no other. */
  #orUnknown(post: Post, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      post.because = error.message;
      post.verdict = undefined;
    }
  }

  /** In most rounds nothing happened to a watch since the last: then the verdict stands as it was. */
  #verdict(post: Post, nowMs: number): Verdict {
    const stands = post.because === undefined && !post.figures.due(nowMs) && post.watched.alive >= post.watch.min;
    if (post.verdict !== undefined && stands) return post.verdict;
    this.#orUnknown(post, () => {
      if (post.because === undefined) post.verdict = this.#judgePost(post, nowMs);
    });
    if (post.because === undefined && post.verdict !== undefined) return post.verdict;
    return { state: "unknown", subject: post.watch.name, because: post.because ?? "not judged" };
  }

  #judgePost(post: Post, nowMs: number): Judged {
    this.#noteMain(post, nowMs);
    const figures = post.watched.alive === 0 ? {} : post.figures.of(post.watched.known, nowMs);
    return worstOf(post.watch.name, [
      this.#presence(post, nowMs),
      restartLoop(post, nowMs),
      ...memory(post.watch, figures),
      descriptors(post.watch, figures),
    ]);
  }

  #noteMain(post: Post, nowMs: number): void {
    const { main } = post.watched;
    if (main === undefined || main === post.main) return;
    post.main = main;
    post.figures.reset();
    const upMs = machineUpMs(this.#ports);
    post.bornAtMs = upMs === undefined ? undefined : nowMs - upMs + (main.startTicks * 1000) / TICKS_PER_S;
  }

  #presence({ watch, watched, bornAtMs }: Post, nowMs: number): Condition {
    const { min, max } = watch;
    const { alive } = watched;
    const short = alive < min;
    const wrong = short || watched.tooMany;
    const waits = short && !watched.seen && this.#justBooted();
    return {
      grade: wrong && !waits ? watch.severity : "ok",
      holds: wrong ? watch.severity : "ok",
      reason: alive === 0 && min > 0 ? "missing" : "count",
      value: alive,
      unit: "count",
      says: presenceSays(watch, watched),
      readings: {
        alive_count: alive,
        ...(min > 1 ? { min_count: min } : {}),
        ...(max === undefined ? {} : { max_count: max }),
        ...(bornAtMs === undefined || alive === 0
          ? {}
          : { uptime_s: Math.max(0, Math.round((nowMs - bornAtMs) / 1000)) }),
      },
    };
  }

  #justBooted(): boolean {
    const upMs = machineUpMs(this.#ports);
    return upMs !== undefined && upMs < this.#config.bootGraceMs;
  }
}

function machineUpMs({ machine }: CheckPorts): number | undefined {
  const seconds = Number.parseFloat(machine.read("/proc/uptime") ?? "");
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}

function presenceSays({ min, max, unit, exe, command }: Watch, { alive, zombies }: Watched): string {
  const what = unit ?? exe ?? (typeof command === "string" ? command : (command ?? []).join(" "));
  const wanted = max === undefined ? `at least ${min}` : `${min} to ${max}`;
  const dead = alive === 0 && zombies > 0 ? `, ${zombies} left as zombie` : "";
  return `${alive} alive of ${what}${dead}; ${wanted} wanted`;
}

/** A few restarts are none of an alarm's business: they must not hold up another one of this watch either. */
function restartLoop({ watch, watched }: Post, nowMs: number): Condition {
  const { count: restarts, loop } = watched.restarts(nowMs);
  const { raise, withinMs, severity: grade } = watch.restarts;
  return {
    grade: restarts >= raise ? grade : "ok",
    holds: loop ? grade : "ok",
    reason: "restarts",
    value: restarts,
    unit: "count",
    says: `started again ${restarts} times within ${Math.round(withinMs / 60_000)} min`,
    readings: { restarts_count: restarts },
  };
}

const MIB = 1_048_576;

function memory(watch: Watch, { rssBytes, growthBytesPerHour, cpuPct }: Figures): Condition[] {
  const used: Condition = {
    ...gradeHigh(rssBytes ?? 0, rssBytes === undefined ? {} : { [watch.memorySeverity]: watch.rssBytes }),
    reason: "memory",
    ...(rssBytes === undefined
      ? {}
      : { value: rssBytes, unit: "B", says: `${(rssBytes / MIB).toFixed(1)} MiB resident` }),
    readings: {
      ...(rssBytes === undefined ? {} : { rss_bytes: rssBytes }),
      ...(cpuPct === undefined ? {} : { cpu_pct: cpuPct }),
    },
  };
  if (growthBytesPerHour === undefined) return [used];
  const grows: Condition = {
    ...gradeHigh(growthBytesPerHour, { [watch.memorySeverity]: watch.growthBytesPerHour }),
    reason: "memory",
    value: growthBytesPerHour,
    unit: "B/h",
    says: `resident memory grows by ${(growthBytesPerHour / MIB).toFixed(2)} MiB an hour`,
    readings: { growth_bytes_per_h: growthBytesPerHour },
  };
  return [used, grows];
}

function descriptors(watch: Watch, { fds, fdsPct, fdsLimit }: Figures): Condition {
  return {
    ...gradeHigh(fdsPct ?? 0, fdsPct === undefined ? {} : watch.descriptorsPct),
    reason: "descriptors",
    ...(fdsPct === undefined
      ? {}
      : { value: fdsPct, unit: "%", says: `${fdsPct.toFixed(0)} % of its ${fdsLimit} file descriptors are open` }),
    readings: {
      ...(fds === undefined ? {} : { fds_count: fds }),
      ...(fdsPct === undefined ? {} : { fds_pct: fdsPct }),
    },
  };
}
