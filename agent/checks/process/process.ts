import type { Source } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import {
  type CheckKind,
  type Condition,
  type Judge,
  type Judged,
  Latch,
  type LocalPorts,
  type Verdict,
  worstOf,
} from "../check.ts";
import { descriptors, memory, presenceSays, restartLoop } from "./conditions.ts";
import { ProcessConfig, type Watch } from "./config.ts";
import { ProcessFigures, TICKS_PER_S } from "./figures.ts";
import { Finders } from "./find.ts";
import { pageBytes, parseStat } from "./stat.ts";
import { beats, type Known, Watched } from "./watched.ts";

/** Are the processes of this device's work there, and do they stay well? */
export const processes: CheckKind<ProcessConfig, LocalPorts> = {
  id: "process",
  name: { zh: "进程", en: "Process" },
  Config: ProcessConfig,
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
  latch: Latch;
  main: Known | undefined;
  /** `Clock.now` at which the main process was started. */
  bornAtMs: number | undefined;
  /** The last verdict, while nothing has happened that could change it. */
  verdict: Judged | undefined;
  /** Why this round cannot tell. */
  because: string | undefined;
}

class ProcessJudge implements Judge {
  readonly #config: ProcessConfig;
  readonly #ports: LocalPorts;
  readonly #finders: Finders;
  readonly #posts: readonly Post[];
  #last: readonly Verdict[] = [];
  /** Of all processes that are followed. */
  #pulses: readonly Source[] = [];
  /** While they all live nothing else is to be done before: so it is in nearly every round. Monotonic ms. */
  #calmUntilMs = Number.NEGATIVE_INFINITY;

  constructor(config: ProcessConfig, ports: LocalPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#finders = new Finders(ports.machine, process.pid);
    // asked of ourselves: a process that was just started may have grown between the two looks
    const own = parseStat(ports.machine.read("/proc/self/stat") ?? "");
    const page = pageBytes(ports.machine.read("/proc/self/statm") ?? "", own?.sizeBytes ?? 0);
    this.#posts = config.watch.map((watch) => ({
      watch,
      watched: new Watched(ports.machine, watch, watch.unit !== undefined),
      figures: new ProcessFigures(ports.machine, config, page),
      latch: new Latch(),
      main: undefined,
      bornAtMs: undefined,
      verdict: undefined,
      because: undefined,
    }));
  }

  judge(): readonly Verdict[] {
    const nowMs = this.#ports.clock.now();
    if (nowMs < this.#calmUntilMs && this.#allLive()) return this.#last;
    for (const post of this.#posts)
      this.#orUnknown(post, () => {
        post.because = undefined;
        if (!post.watched.followUp(nowMs)) post.verdict = undefined;
      });
    const sought = this.#posts.filter(({ watched }) => watched.mustFind(nowMs));
    if (sought.length > 0) this.#find(sought, nowMs);
    const verdicts = this.#posts.map((post) => this.#verdict(post, nowMs));
    if (!verdicts.every((verdict, i) => verdict === this.#last[i])) this.#last = verdicts;
    this.#rest();
    return this.#last; // the same object as before: nothing to tell
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
        else if (!post.watched.found(answer.pids, nowMs)) return;
        post.verdict = undefined;
      });
  }

  #allLive(): boolean {
    try {
      for (const pulse of this.#pulses) if (!beats(pulse)) return false;
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return false; // whose it is is told when each watch is asked
    }
  }

  #rest(): void {
    this.#pulses = this.#posts.flatMap(({ watched }) => watched.known.map(({ pulse }) => pulse));
    this.#calmUntilMs = Math.min(...this.#posts.map(calmUntilMs));
  }

  /** A Failure over one watch makes that watch unknown and no other. */
  #orUnknown(post: Post, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#unknown(post, error);
    }
  }

  #unknown(post: Post, error: unknown): void {
    if (!(error instanceof Failure)) throw error;
    post.because = error.message;
    post.verdict = undefined;
  }

  /** In most rounds nothing happened to a watch since the last: then the verdict stands as it was. */
  #verdict(post: Post, nowMs: number): Verdict {
    this.#orUnknown(post, () => {
      if (post.because === undefined && !this.#stands(post, nowMs)) post.verdict = this.#judgePost(post, nowMs);
    });
    if (post.because === undefined && post.verdict !== undefined) return post.verdict;
    return { state: "unknown", subject: post.watch.name, because: post.because ?? "not judged" };
  }

  /** Memory below its limit is judged anew only with the other figures: what is well then stays as it was told. */
  #stands({ verdict, watched, watch, figures }: Post, nowMs: number): boolean {
    if (verdict === undefined || watched.alive < watch.min) return false;
    if (nowMs < figures.dueAtMs) return true;
    const isWell = verdict.grade === "ok" && verdict.holds === "ok" && watched.alive > 0;
    return isWell && figures.staysBelow(watch.rssBytes?.raise ?? Number.POSITIVE_INFINITY, watched.known, nowMs);
  }

  #judgePost(post: Post, nowMs: number): Judged {
    this.#noteMain(post, nowMs);
    const figures = post.watched.alive === 0 ? {} : post.figures.of(post.watched.known, nowMs);
    const conditions = [
      this.#presence(post, nowMs),
      restartLoop(post.watch, post.watched, nowMs),
      ...memory(post.watch, figures),
      ...descriptors(post.watch, figures),
    ];
    return worstOf(post.watch.name, conditions, post.latch);
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

function calmUntilMs({ verdict, because, watched, watch, figures }: Post): number {
  const isWell = verdict !== undefined && because === undefined && watched.alive >= watch.min;
  if (!isWell) return Number.NEGATIVE_INFINITY;
  return Math.min(watched.calmUntilMs, watched.alive === 0 ? Number.POSITIVE_INFINITY : figures.dueAtMs);
}

function machineUpMs({ machine }: LocalPorts): number | undefined {
  const seconds = Number.parseFloat(machine.read("/proc/uptime") ?? "");
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}
