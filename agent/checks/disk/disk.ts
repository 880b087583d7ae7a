import type { Clock } from "../../../platform/clock.ts";
import type { Machine, Source, Space } from "../../../platform/machine.ts";
import { type ProbeWrite, probeFile } from "../../../platform/probe-file.ts";
import { Failure } from "../../../protocol/failure.ts";
import { type CheckKind, type Judge, type Judged, Latch, type LocalPorts, type Verdict } from "../check.ts";
import { chooseVolumes, type Mount, parseFstab, parseMountInfo, type Volume } from "../mounts.ts";
import {
  type Calm,
  calmAround,
  calmForMs,
  isCalm,
  judgeReadonly,
  judgeVolume,
  type ReadonlyState,
} from "./conditions.ts";
import { DiskConfig, limitsFor, type MountLimits } from "./config.ts";
import { openProbes, type WriteProbes } from "./probe.ts";
import { type Answer, type AskRemote, openRemote } from "./remote.ts";
import { type FillTrend, openFillTrend } from "./trend.ts";

/** A volume we watch, and what its earlier rounds told. */
interface Watched {
  volume: Volume;
  limits: MountLimits;
  wasWritable: boolean;
  trend: FillTrend;
  latch: Latch;
  /** Set once judged, for a volume that cannot hang. */
  calm?: Calm;
  /** No write can have used up the calm before, monotonic ms. */
  calmUntil: number;
  totalBytes: number;
}

/** While all is well and nothing crosses a threshold the figures are renewed so often. */
const FIGURES_MS = 60_000;
const NO_ANSWERS: ReadonlyMap<string, Answer> = new Map();
/** Error numbers that name a fault of the disk or the mount; others say only that we cannot look. */
const IO_FAULTS = new Set(["EIO", "ENXIO", "ENODEV"]);
const NO_FAULTS = new Set(["EACCES", "EPERM", "EMFILE", "ENFILE", "ENOMEM", "EINTR"]);
/** Left of the deadline for everything but waiting for remote mounts. */
const RESERVE_MS = 500;

/** The disk check with the write probe given: tests bring their own. */
export const diskWith = (probe: ProbeWrite): CheckKind<DiskConfig, LocalPorts> => ({
  id: "disk",
  name: { zh: "磁盘", en: "Disk" },
  Config: DiskConfig,
  titles: {
    space: { zh: "磁盘空间不足", en: "Disk space low" },
    inodes: { zh: "磁盘索引节点不足", en: "Disk inodes nearly used up" },
    readonly: { zh: "文件系统变为只读", en: "File system read-only" },
    io: { zh: "磁盘读写错误", en: "Disk input/output error" },
    stuck: { zh: "挂载点无响应", en: "Mount does not answer" },
    missing: { zh: "应有的挂载点缺失", en: "Required mount missing" },
    forecast: { zh: "磁盘空间即将耗尽", en: "Disk filling up" },
    gone: { zh: "挂载点已卸载", en: "Mount gone" },
  },
  begin(config, ports) {
    const source = ports.machine.source("/proc/self/mountinfo");
    if (source.read() !== undefined) return new DiskJudge(config, ports, source, probe);
    source.close();
    return undefined;
  },
});

/** Is there room on every mounted file system, and does it take writes? */
export const disk = diskWith(probeFile);

class DiskJudge implements Judge {
  readonly #config: DiskConfig;
  readonly #machine: Machine;
  readonly #clock: Clock;
  readonly #stateDir: string | undefined;
  readonly #source: Source;
  readonly #probes: WriteProbes;
  readonly #askRemote: AskRemote;
  #seen = "";
  #last: readonly Verdict[] | undefined;
  /** So long the last verdicts may stand, monotonic ms. */
  #restUntil = 0;
  #mounted: ReadonlySet<string> = new Set();
  #watched = new Map<string, Watched>();

  constructor(config: DiskConfig, { machine, clock, stateDir }: LocalPorts, source: Source, probe: ProbeWrite) {
    this.#config = config;
    this.#machine = machine;
    this.#clock = clock;
    this.#stateDir = stateDir;
    this.#source = source;
    this.#probes = openProbes((folder) => probe(machine.at(folder), folder === stateDir), clock);
    this.#askRemote = openRemote(machine, clock);
  }

  /** A volume that fills up is asked about at once: in ten seconds an SD card takes 200 MB. One with room to spare is left alone. */
  stirred(): boolean {
    const now = this.#clock.now();
    for (const watched of this.#watched.values()) {
      const { calm, volume } = watched;
      if (calm === undefined || now < watched.calmUntil) continue;
      const space = this.#machine.space(volume.mount.point);
      if (!isCalm(calm, space)) return true;
      watched.calmUntil = now + calmForMs(calm, space);
    }
    return false;
  }

  judge(signal: AbortSignal): readonly Verdict[] | Promise<readonly Verdict[]> {
    signal.throwIfAborted();
    this.#look();
    if (this.#last !== undefined && this.#clock.now() < this.#restUntil && this.#isCalm()) return this.#last;
    this.#last = undefined;
    const asking = this.#ask(signal);
    const writing = this.#tryWriting(signal);
    if (asking === undefined && writing === undefined) {
      const verdicts = this.#verdicts(NO_ANSWERS);
      if (verdicts.every(isWell)) this.#last = verdicts;
      this.#restUntil = Math.min(this.#clock.now() + FIGURES_MS, this.#probes.restUntil());
      return verdicts;
    }
    return Promise.all([asking ?? NO_ANSWERS, writing]).then(([answers]) => this.#verdicts(answers));
  }

  /** Whether every volume is one that cannot hang, and no threshold was crossed since it was judged. */
  #isCalm(): boolean {
    try {
      for (const { calm, volume } of this.#watched.values())
        if (calm === undefined || !isCalm(calm, this.#machine.space(volume.mount.point))) return false;
      return true;
    } catch {
      return false; // why is told when it is judged
    }
  }

  #verdicts(answers: ReadonlyMap<string, Answer>): Verdict[] {
    const missing = this.#config.expect.filter((point) => !this.#mounted.has(point)).map(judgeMissing);
    return [...this.#watched.values()]
      .flatMap((watched) => this.#judge(watched, answers.get(watched.volume.mount.point)) ?? [])
      .concat(missing);
  }

  close(): void {
    this.#source.close();
    this.#probes.close();
  }

  /** Takes in what is mounted now; costs next to nothing while that is what it was. */
  #look(): void {
    const text = this.#source.read();
    if (text === undefined) throw new Failure("MACHINE_READ", "/proc/self/mountinfo is gone");
    if (text === this.#seen) return;
    const mounts = parseMountInfo(text);
    const before = this.#watched;
    this.#mounted = new Set(mounts.map(({ point }) => point));
    this.#watched = new Map();
    for (const volume of chooseVolumes(mounts, { ignore: this.#config.ignore, stateDir: this.#stateDir })) {
      const { mount } = volume;
      const known = before.get(mount.point);
      const isSame = known?.volume.mount.device === mount.device && known.volume.mount.id === mount.id;
      this.#watched.set(mount.point, {
        volume,
        limits: limitsFor(this.#config, mount.point),
        wasWritable: takesWrites(mount) || (isSame && known.wasWritable),
        trend: isSame ? known.trend : openFillTrend(this.#config.forecastWindowMs),
        latch: isSame ? known.latch : new Latch(),
        totalBytes: isSame ? known.totalBytes : 0,
        calmUntil: 0,
      });
    }
    this.#seen = text;
    this.#last = undefined;
  }

  #ask(signal: AbortSignal): Promise<ReadonlyMap<string, Answer>> | undefined {
    const remote = [...this.#watched.values()].filter(({ volume }) => volume.reach === "remote");
    if (remote.length === 0) return undefined;
    const { waitMs, deadlineMs } = this.#config;
    const points = remote.map(({ volume }) => volume.mount.point);
    return this.#askRemote(points, { waitMs, budgetMs: Math.max(waitMs, deadlineMs - RESERVE_MS) }, signal);
  }

  #tryWriting(signal: AbortSignal): Promise<void> | undefined {
    const wanted = [...this.#watched.values()].flatMap(({ volume: { mount, probeIn }, limits }) => {
      if (probeIn === undefined || limits.probeEveryMs === 0 || !takesWrites(mount)) return [];
      return [
        { point: mount.point, folder: probeIn, everyMs: limits.probeEveryMs, mark: `${mount.id} ${mount.device}` },
      ];
    });
    return this.#probes.round(wanted, this.#config.waitMs, signal);
  }

  #judge(watched: Watched, answer: Answer | undefined): Verdict | undefined {
    if (answer !== undefined) return this.#judgeRemote(watched, answer);
    try {
      return this.#judgeSpace(watched, this.#machine.space(watched.volume.mount.point));
    } catch (cause) {
      const { subject } = watched.volume;
      const errno = errnoOf(cause);
      if (errno === "ENOENT" || errno === "ENOTDIR") return undefined; // unmounted meanwhile, or under another mount
      if (!IO_FAULTS.has(errno)) return { state: "unknown", subject, because: wordsOf(cause) };
      return judgeFault(subject, isVital(watched.volume) ? "critical" : "major", "io", `it answers ${errno}`);
    }
  }

  #judgeRemote(watched: Watched, answer: Answer): Verdict | undefined {
    const { subject } = watched.volume;
    if (answer.got === "space") return this.#judgeSpace(watched, answer.space);
    if (answer.got === "nothing") return { state: "unknown", subject, because: `waiting behind ${answer.behind}` };
    if (answer.got === "silence")
      return judgeFault(subject, "major", "stuck", `no answer for ${Math.max(1, Math.round(answer.forMs / 1000))} s`);
    const errno = errnoOf(answer.cause);
    if (errno === "ENOENT") return undefined;
    if (NO_FAULTS.has(errno) || errno === "") return { state: "unknown", subject, because: wordsOf(answer.cause) };
    return judgeFault(subject, "major", "stuck", `it answers ${errno}`);
  }

  #judgeSpace(watched: Watched, space: Space): Judged {
    const { volume, limits } = watched;
    if (watched.totalBytes !== space.totalBytes) watched.trend = openFillTrend(this.#config.forecastWindowMs); // resized
    watched.totalBytes = space.totalBytes;
    watched.trend.add(this.#clock.now(), space.freeBytes);
    const facts = {
      subject: volume.subject,
      limits,
      isVital: isVital(volume),
      readonly: this.#readonly(watched),
      written: this.#probes.of(volume.mount.point),
      space,
      fall: watched.trend.fall(),
    };
    if (volume.reach !== "remote") {
      watched.calm = calmAround(space, limits);
      watched.calmUntil = this.#clock.now() + calmForMs(watched.calm, space);
    }
    return judgeVolume(facts, watched.latch);
  }

  #readonly({ volume: { mount, isLower }, limits, wasWritable }: Watched): ReadonlyState | undefined {
    if (takesWrites(mount)) return undefined;
    const declared = parseFstab(this.#machine.read("/etc/fstab") ?? "").get(mount.point);
    const errors = this.#notedErrors(mount);
    return judgeReadonly(mount, { policy: limits.readonly, declared, wasWritable, isLower, errors });
  }

  /** Errors that ext4 keeps in its superblock until it is repaired: they outlive our own memory of a time before. */
  #notedErrors({ type, device }: Mount): number {
    if (!/^ext[234]$/.test(type)) return 0;
    const name = this.#machine.link(`/sys/dev/block/${device}`)?.split("/").at(-1);
    const count = Number(name === undefined ? 0 : this.#machine.read(`/sys/fs/ext4/${name}/errors_count`));
    return Number.isSafeInteger(count) ? count : 0;
  }
}

const isWell = (verdict: Verdict): boolean =>
  verdict.state === "judged" && verdict.grade === "ok" && verdict.holds === "ok";
const takesWrites = ({ readonly, emergency }: Mount): boolean => !readonly && !emergency;
const isVital = ({ mount, holdsState }: Volume): boolean => mount.point === "/" || holdsState;

const judgeFault = (subject: string, grade: Judged["grade"], reason: string, says: string): Judged => ({
  state: "judged",
  subject,
  grade,
  holds: grade,
  reason,
  says,
  readings: {},
});

const judgeMissing = (point: string): Judged => judgeFault(point, "major", "missing", "nothing is mounted there");

const errnoOf = (cause: unknown): string => (cause instanceof Failure ? String(cause.facts.errno ?? "") : "");
const wordsOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
