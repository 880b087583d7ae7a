import type { CheckPorts, Judge, Keep, Verdict } from "../check.ts";
import type { Pattern } from "./catalogue.ts";
import type { LogsConfig } from "./config.ts";
import { type FileState, FollowedFile } from "./file.ts";
import { JournalFollower } from "./journal.ts";
import { FLASH_MS, LogsKeep, type LogsState } from "./keep.ts";
import { KernelLog } from "./kernel.ts";
import { Matcher } from "./matcher.ts";
import { KERNEL_LOG } from "./present.ts";
import { Reach } from "./reach.ts";
import { ANY_DEV } from "./siblings.ts";
import { SourceVerdict, STANDS } from "./source-verdict.ts";
import { type FileSource, findSources, isOfKernel, type Sources } from "./sources.ts";
import { Tally } from "./tally.ts";

/** Follows every log, counts what matches, and keeps both together after each round in which something came. */

/** All files of one round together, bytes. */
const ROUND_BYTES = 2 * 1024 * 1024;
/** With so much in one round a log is busy. */
const BUSY_BYTES = 32 * 1024;
/** With so many records in one round the kernel's log is: a small one holds no more than a thousand. */
const BUSY_RECORDS = 250;
/** The loop is not held up longer than this; what is left is read in the next round. */
const ROUND_MS = 100;
/** Logs of the machine that come later (a logging program that is installed or started) are looked for so often. */
const SEARCH_AGAIN_MS = 600_000;
/** What changes by itself, with time, is looked at so often. */
const RECKON_MS = 5_000;
/** A quiet log's place is kept so often: whoever is killed before reads so much of it again, and counts it once. */
const SAVE_MS = 60_000;

/** Alarms that come and go cost the flash no more than one write in so long. */
const FLASH_PAUSE_MS = 600_000;
/** A network folder may be mounted at any time: which there are is looked at so often. */
const REACH_MS = 10_000;

interface Post {
  file: FollowedFile;
  /** Why it is not asked now. */
  beyond: string | undefined;
  /** Lost so far, as it was judged last. */
  lost: number;
  /** Files it consists of: more than one where some were rotated away. */
  pieces: number;
  verdict: SourceVerdict;
}

export class LogRounds implements Judge {
  readonly #config: LogsConfig;
  readonly #ports: CheckPorts;
  readonly #keep: LogsKeep;
  readonly #patterns = new Map<string, Pattern>();
  readonly #tallies = new Map<string, Tally>();
  readonly #posts = new Map<string, Post>();
  /** The same, to begin with another in each round. */
  readonly #inOrder: Post[] = [];
  #kernel: { log: KernelLog; verdict: SourceVerdict; trouble?: string } | undefined;
  #journal: { log: JournalFollower; verdict: SourceVerdict } | undefined;
  #opening: Promise<void> | undefined;
  #isOpen = false;
  /** A hit is kept in its round; and where we stand at the start is a place to come back to. */
  #mustSave = true;
  /** More may be there than the last round had time for, or so much came that waiting could lose some. */
  #isBusy = false;
  /**
   * Lines came in which nothing was found: place and counts are kept together, so whoever starts from an older place counts
   * the same again. That may wait, which spares most rounds their write.
   */
  #unsaved = false;
  #reckonAt = 0;
  #saveAt = 0;
  #isJournalKept = false;
  #boot = "";
  /** Added to the clock's time: milliseconds since the machine's boot, which every process here counts alike. */
  #sinceBootMs = 0;
  #round = 0;
  #flashAt = 0;
  /** Patterns in alarm, as they were put on flash. */
  #flashed = "";
  #searchAt = 0;
  readonly #reach: Reach;
  #reachAt = 0;
  #unkept: string | undefined;
  #last: readonly Verdict[] = [];

  constructor(config: LogsConfig, ports: CheckPorts & { keep: Keep }) {
    this.#config = config;
    this.#ports = ports;
    this.#keep = new LogsKeep(ports.keep);
    this.#reach = new Reach(ports.machine);
  }

  judge(): readonly Verdict[] | Promise<readonly Verdict[]> {
    if (this.#isOpen) return this.#judge();
    this.#opening ??= this.#begin().catch((cause: unknown) => {
      this.#opening = undefined; // tried again in the next round
      throw cause;
    });
    return this.#opening.then(() => this.#judge());
  }

  /** A log that grows fast is read in the fast rounds, too: what is cut away before it was read is lost. */
  stirred(): boolean {
    return this.#isBusy;
  }

  close(): void {
    if (this.#isOpen && this.#unsaved) this.#save();
    for (const { file } of this.#posts.values()) file.close();
    this.#kernel?.log.close();
    this.#journal?.log.close();
    this.#reach.close();
    this.#keep.close();
  }

  async #begin(): Promise<void> {
    const { machine, clock } = this.#ports;
    this.#boot = machine.read("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
    this.#sinceBootMs = Number.parseFloat(machine.read("/proc/uptime") ?? "0") * 1_000 - clock.now();
    const kept = await this.#keep.load();
    const state = kept === undefined || kept.boot === this.#boot ? kept : fromOtherBoot(kept, this.#now());
    const canKernel = this.#config.system && this.#openKernel(state);
    const sources = findSources(machine, this.#config, canKernel);
    for (const pattern of allPatterns(sources)) this.#patterns.set(pattern.id, pattern);
    for (const [id, tally] of Object.entries(state?.tallies ?? {})) {
      const pattern = this.#patterns.get(id);
      if (pattern !== undefined) this.#tallies.set(id, new Tally(pattern, this.#ports.redact, tally));
    }
    if (sources.kernel === undefined) this.#closeKernel();
    else this.#kernelMatcher = new Matcher(sources.kernel);
    for (const source of sources.files) this.#followFile(source, state?.files[source.path] ?? "end");
    if (sources.journal !== undefined) this.#followJournal(sources.journal, state?.journal?.cursor);
    const now = this.#now();
    this.#flashAt = now + FLASH_MS - FLASH_PAUSE_MS;
    this.#searchAt = now + SEARCH_AGAIN_MS;
    this.#isOpen = true;
  }

  #kernelMatcher: Matcher | undefined;

  /** Whether the kernel may be asked. */
  #openKernel(state: LogsState | undefined): boolean {
    const onLine = (line: string, isKernel: boolean): void =>
      this.#kernelMatcher?.line(line, (pattern, text) => this.#hit(pattern, text, "the kernel's log"), isKernel);
    try {
      const log = new KernelLog(
        this.#ports.machine.at(KERNEL_LOG),
        this.#boot,
        state?.kernel,
        state?.kernel === undefined,
        onLine,
      );
      this.#kernel = { log, verdict: new SourceVerdict("kernel", begun(state?.kernel === undefined)) };
      return true;
    } catch {
      return false; // not for this user, or no such device: then a syslog file has its lines
    }
  }

  #closeKernel(): void {
    this.#kernel?.log.close();
    this.#kernel = undefined;
  }

  #followFile({ path, patterns, skipsKernel }: FileSource, from: FileState | "end" | "start"): void {
    const matcher = new Matcher(patterns);
    const onHit = (pattern: Pattern, line: string): void => {
      if (!skipsKernel || !isOfKernel(line)) this.#hit(pattern, line, path);
    };
    const file = new FollowedFile(this.#ports.machine.at(path), (lines) => matcher.scan(lines, onHit), from);
    const post = {
      file,
      beyond: undefined,
      lost: file.state.lostBytes + file.state.cuts,
      pieces: file.state.pieces.length,
      verdict: new SourceVerdict(path, begun(from === "end")),
    };
    this.#posts.set(path, post);
    this.#inOrder.push(post);
  }

  #followJournal(patterns: readonly Pattern[], cursor: string | undefined): void {
    const { follow, run, clock } = this.#ports;
    if (follow === undefined) return;
    const matcher = new Matcher(patterns);
    const { directory, priority } = this.#config.journal;
    const order = { directory, priority, literals: matcher.literals };
    const log = new JournalFollower(order, cursor, { follow, run, clock }, (line, isKernel) =>
      matcher.line(line, (pattern, text) => this.#hit(pattern, text, "the journal"), isKernel),
    );
    this.#journal = { log, verdict: new SourceVerdict("journal", begun(cursor === undefined)) };
  }

  #hit(pattern: Pattern, line: string, where: string): void {
    const tally = this.#tallies.get(pattern.id) ?? new Tally(pattern, this.#ports.redact);
    this.#tallies.set(pattern.id, tally);
    tally.hit(line, where, this.#now());
    this.#mustSave = true;
  }

  #judge(): readonly Verdict[] {
    const now = this.#now();
    if (now >= this.#searchAt) this.#searchAgain(now);
    if (this.#poll(now)) this.#unsaved = true;
    if (!this.#mustSave && now < this.#reckonAt) return this.#last;
    this.#reckonAt = now + RECKON_MS;
    let verdicts = this.#verdicts(now);
    const before = this.#unkept;
    if (this.#mustSave || (this.#unsaved && (this.#isBusy || now >= this.#saveAt))) {
      this.#save();
      if (this.#unkept === undefined) {
        this.#mustSave = false;
        this.#unsaved = false;
        this.#saveAt = now + SAVE_MS;
      }
    }
    if (this.#unkept !== before) verdicts = this.#verdicts(now);
    this.#flash(now);
    if (verdicts.length !== this.#last.length || verdicts.some((verdict, i) => verdict !== this.#last[i]))
      this.#last = verdicts;
    return this.#last;
  }

  /** Each hour; sooner when an alarm came or went, or after a power cut it would be told anew. */
  #flash(now: number): void {
    const raised = [...this.#tallies].flatMap(([id, { state }]) => (state.raised ? [id] : [])).join(" ");
    if (now < this.#flashAt && (raised === this.#flashed || now < this.#flashAt - FLASH_MS + FLASH_PAUSE_MS)) return;
    this.#flashed = raised;
    this.#flashAt = now + FLASH_MS;
    void this.#keep.flash();
  }

  /** Reads all sources, beginning with another file each time; true when there was anything. */
  #poll(now: number): boolean {
    const { clock } = this.#ports;
    const until = clock.now() + ROUND_MS;
    const budget = { bytes: ROUND_BYTES, more: () => clock.now() < until };
    const posts = this.#inOrder;
    const first = this.#round % Math.max(1, posts.length);
    this.#round += 1;
    let moved = false;
    this.#lookReach(now);
    for (let i = 0; i < posts.length; i += 1) {
      const post = posts[(first + i) % posts.length];
      if (post?.beyond !== undefined || post?.file.poll(now, budget) !== true) continue;
      moved = true;
      const lost = post.file.state.lostBytes + post.file.state.cuts;
      const pieces = post.file.state.pieces.length;
      this.#mustSave ||= lost !== post.lost || pieces !== post.pieces;
      post.lost = lost;
      post.pieces = pieces;
    }
    const records = this.#pollKernel(now, budget.more);
    moved = this.#pollJournal() || records > 0 || moved;
    this.#isBusy = ROUND_BYTES - budget.bytes >= BUSY_BYTES || records >= BUSY_RECORDS || !budget.more();
    return moved;
  }

  #pollJournal(): boolean {
    const log = this.#journal?.log;
    const moved = log?.poll() === true;
    // without a place to come back to, the next start would begin at its end
    this.#mustSave ||= log?.cursor !== undefined && !this.#isJournalKept;
    return moved;
  }

  #lookReach(now: number): void {
    if (now < this.#reachAt) return;
    this.#reachAt = now + REACH_MS;
    this.#reach.look();
    for (const [path, post] of this.#posts) {
      post.beyond = this.#reach.whyNot(path);
      if (post.beyond !== undefined) post.file.passOver(post.beyond);
    }
  }

  /** Returns how many records that were. */
  #pollKernel(now: number, more: () => boolean): number {
    const kernel = this.#kernel;
    if (kernel === undefined) return 0;
    const { next } = kernel.log.state;
    try {
      kernel.log.poll(now, more);
      delete kernel.trouble;
    } catch (cause) {
      kernel.trouble = cause instanceof Error ? cause.message : String(cause);
    }
    return kernel.log.state.next - next;
  }

  #verdicts(now: number): Verdict[] {
    const verdicts: Verdict[] = [];
    for (const { file, verdict } of this.#posts.values()) {
      const { lostBytes, cuts, lostAt } = file.state;
      const { trouble, missingAt, behindBytes } = file;
      verdicts.push(verdict.of({ trouble, missingAt, behindBytes, lostBytes, lostCount: cuts, lostAt }, now));
    }
    if (this.#kernel !== undefined) {
      const { log, verdict, trouble } = this.#kernel;
      verdicts.push(verdict.of({ ...STANDS, trouble, lostCount: log.state.lost, lostAt: log.state.lostAt }, now));
    }
    if (this.#journal !== undefined) {
      const { log, verdict } = this.#journal;
      verdicts.push(verdict.of(log.trouble === undefined ? STANDS : { ...STANDS, trouble: log.trouble }, now));
    }
    for (const tally of this.#tallies.values()) verdicts.push(tally.verdict(now));
    if (this.#unkept !== undefined)
      verdicts.push({ state: "unknown", subject: "place", because: `cannot keep where it stands: ${this.#unkept}` });
    return verdicts;
  }

  #save(): void {
    try {
      this.#keep.save({
        boot: this.#boot,
        files: Object.fromEntries(
          [...this.#posts].flatMap(([path, { file }]) => (file.isBegun ? [[path, file.state]] : [])),
        ),
        ...(this.#kernel === undefined ? {} : { kernel: this.#kernel.log.state }),
        ...(this.#journal?.log.cursor === undefined ? {} : { journal: { cursor: this.#journal.log.cursor } }),
        tallies: Object.fromEntries([...this.#tallies].map(([id, tally]) => [id, tally.state])),
      });
      this.#unkept = undefined;
      this.#isJournalKept = this.#journal?.log.cursor !== undefined;
    } catch (cause) {
      this.#unkept = cause instanceof Error ? cause.message : String(cause);
    }
  }

  /** A log of the machine's own that was not there at the start. */
  #searchAgain(now: number): void {
    this.#searchAt = now + SEARCH_AGAIN_MS;
    if (this.#journal !== undefined) return;
    for (const source of findSources(this.#ports.machine, this.#config, this.#kernel !== undefined).files)
      if (!this.#posts.has(source.path)) this.#followFile(source, "start");
  }

  #now = (): number => Math.round(this.#sinceBootMs + this.#ports.clock.now());
}

const begun = (isFirst: boolean): string =>
  isFirst ? "followed from where it ended at the first start" : "followed from where it was left";

const allPatterns = ({ journal, kernel, files }: Sources): Pattern[] => [
  ...(journal ?? []),
  ...(kernel ?? []),
  ...files.flatMap(({ patterns }) => patterns),
];

/**
 * Times of another boot mean nothing in this one: what was counted stays, what was lately begins anew. An alarm that stood
 * has to be quiet as long as any: a fault that is there again after each reboot is one.
 */
function fromOtherBoot(state: LogsState, now: number): LogsState {
  const tallies = Object.entries(state.tallies).map(([id, tally]) => [
    id,
    { ...tally, recent: [], lastAt: tally.raised ? now : 0, excerpt: tally.raised ? tally.excerpt : "" },
  ]);
  const files = Object.entries(state.files).map(([path, file]) => [
    path,
    { ...file, lostAt: 0, pieces: file.pieces.map((piece) => ({ ...piece, dev: ANY_DEV })) },
  ]);
  return { ...state, files: Object.fromEntries(files), tallies: Object.fromEntries(tallies) };
}
