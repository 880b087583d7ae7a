import { randomBytes } from "node:crypto";
import { basename, join } from "node:path";
import { localTime } from "../../../platform/clock.ts";
import { type Folder, folderAt } from "../../../platform/files.ts";
import { markAt } from "../../../platform/steady-file.ts";
import type { CheckPorts, Judge, Judged, Verdict } from "../check.ts";
import { type Change, compare, octal, sentence, unreadable } from "./compare.ts";
import { type DriftConfig, type FileConfig, subjectOf } from "./config.ts";
import { differences, inWords, type Line } from "./lines.ts";
import { idsOf, Look } from "./look.ts";
import { DriftStore, type Entries, type Entry, linesKept, type Seen, SIGNED_FILE } from "./store.ts";

const MOST_SAYS = 300;
const FILE_DEADLINE_MS = 5_000;
/** Each look that hangs keeps one of the few pool threads, and the journal needs one. */
const MOST_HANGING = 2;
/** What changes all the time must not wear the flash out: so often at most per file, and so much a day for all. */
const SNAPSHOT_EVERY_MS = 600_000;
const SNAPSHOT_BYTES_A_DAY = 262_144;
/** So many in one round: all files at once would take memory at the start. */
const SNAPSHOTS_A_ROUND = 2;
const DAY_MS = 86_400_000;
const KEEP_AGAIN_MS = 600_000;

/** Whether the files are as they were signed off; without any sign-off, as they were seen first. */
export async function driftJudge(config: DriftConfig, ports: CheckPorts): Promise<Judge> {
  const folder =
    ports.keep?.folder ??
    (ports.stateDir === undefined ? undefined : folderAt(join(ports.machine.at(ports.stateDir), "checks")));
  return new DriftJudge(config, ports, folder);
}

/** A file and what is remembered of it. */
interface Post {
  config: FileConfig;
  look: Look;
  /** The question that is still open. */
  hanging?: Promise<unknown> | undefined;
  /** What was judged last, and on what. */
  told?: { entry: Entry | undefined; seen: Seen; verdict: Verdict };
  snapped: Map<string, { hash: string; at: number }>;
}

class DriftJudge implements Judge {
  readonly #config: DriftConfig;
  readonly #ports: CheckPorts;
  readonly #folder: Folder | undefined;
  #store: DriftStore | undefined;
  #posts: readonly Post[] | undefined;
  #signed: Entries = {};
  #signedMark: string | undefined = "never looked";
  #signedFault: string | undefined;
  #unsigned: Entries | undefined;
  #unkept = false;
  #keepAt = 0;
  #told: readonly Verdict[] = [];
  #day = { since: 0, bytes: 0 };
  #snapshotsLeft = 0;

  constructor(config: DriftConfig, ports: CheckPorts, folder: Folder | undefined) {
    this.#config = config;
    this.#ports = ports;
    this.#folder = folder;
  }

  async judge(signal: AbortSignal): Promise<readonly Verdict[]> {
    const posts = await this.#begin();
    await this.#loadSigned(posts);
    this.#snapshotsLeft = SNAPSHOTS_A_ROUND;
    const verdicts: Verdict[] = [];
    for (const post of posts) {
      signal.throwIfAborted();
      verdicts.push(await this.#inTime(post, posts, signal));
    }
    await this.#keepUnsigned();
    if (verdicts.length !== this.#told.length || verdicts.some((verdict, i) => verdict !== this.#told[i]))
      this.#told = verdicts;
    return this.#told;
  }

  /** Once: the key, and what was seen first in the past. By hand nothing is left behind. */
  async #begin(): Promise<readonly Post[]> {
    if (this.#posts !== undefined) return this.#posts;
    const { machine, clock, keep, redact } = this.#ports;
    this.#store = this.#folder === undefined ? undefined : new DriftStore(this.#folder);
    const key = (await this.#store?.key(keep !== undefined).catch(this.#unkeepable)) ?? randomBytes(32);
    // damaged, or made with a key that is lost: what is there now is then seen for the first time
    this.#unsigned = await (this.#store?.load("unsigned") ?? Promise.resolve({})).catch(() => ({}));
    this.#posts = this.#config.files.map((config) => ({
      config,
      look: new Look(config, { machine, clock, key, redact }),
      snapped: new Map<string, { hash: string; at: number }>(),
    }));
    return this.#posts;
  }

  readonly #unkeepable = (): undefined => {
    this.#unkept = true;
  };

  /** A new sign-off is noticed by its file, which is put in place at once. */
  async #loadSigned(posts: readonly Post[]): Promise<void> {
    if (this.#folder === undefined || this.#store === undefined) return;
    try {
      const mark = await markAt(join(this.#folder.path, SIGNED_FILE));
      if (mark === this.#signedMark && this.#signedFault === undefined) return;
      this.#signed = mark === undefined ? {} : await this.#store.load("signed");
      this.#signedMark = mark;
      this.#signedFault = undefined;
    } catch (cause) {
      this.#signedFault = reasonOf(cause);
    }
    for (const post of posts) delete post.told;
  }

  async #inTime(post: Post, posts: readonly Post[], signal: AbortSignal): Promise<Verdict> {
    const subject = subjectOf(post.config);
    const unknown = (because: string): Verdict => {
      const last = post.told?.verdict;
      return last?.state === "unknown" && last.because === because ? last : { state: "unknown", subject, because };
    };
    if (post.hanging !== undefined) return unknown("its file system has not answered yet");
    if (posts.filter(({ hanging }) => hanging !== undefined).length >= MOST_HANGING)
      return unknown("not looked at: other file systems do not answer");
    const asked = this.#judgeOne(post, subject);
    post.hanging = asked;
    const settled = asked.finally(() => {
      post.hanging = undefined;
    });
    settled.catch(() => {}); // told below, or nobody's business any more
    const late = Promise.withResolvers<undefined>();
    const callOff = this.#ports.clock.after(FILE_DEADLINE_MS, () => late.resolve(undefined));
    const ended = (): void => late.reject(signal.reason);
    signal.addEventListener("abort", ended, { once: true });
    try {
      const verdict = await Promise.race([settled, late.promise]);
      return verdict ?? unknown(`its file system did not answer within ${FILE_DEADLINE_MS / 1_000} s`);
    } finally {
      callOff();
      signal.removeEventListener("abort", ended);
    }
  }

  async #judgeOne(post: Post, subject: string): Promise<Verdict> {
    if (this.#signedFault !== undefined) return { state: "unknown", subject, because: this.#signedFault };
    try {
      return await this.#lookAndJudge(post, subject);
    } finally {
      post.look.forget();
    }
  }

  async #lookAndJudge(post: Post, subject: string): Promise<Verdict> {
    const seen = await post.look.now(this.#config.rereadMs);
    const entry = this.#signed[post.look.name] ?? (await this.#firstSeen(post, seen));
    await this.#remember(post, seen);
    if (post.told !== undefined && post.told.entry === entry && post.told.seen === seen) return post.told.verdict;
    const verdict = await this.#verdict(post, subject, entry, seen);
    post.told = { entry, seen, verdict };
    return verdict;
  }

  async #verdict({ config, look }: Post, subject: string, entry: Entry | undefined, seen: Seen): Promise<Verdict> {
    const why = unreadable(seen);
    if (entry === undefined)
      return {
        state: "unknown",
        subject,
        because: why.length > 0 ? `cannot be read: ${why.join(", ")}` : "never seen yet",
      };
    const changes = [...this.#demands(config, seen), ...compare(entry.seen, seen)];
    if (changes.length === 0 && why.length > 0)
      return {
        state: "unknown",
        subject,
        because: this.#ports.redact(`cannot be read: ${why.join(", ")}`).slice(0, MOST_SAYS),
      };
    const differs = changes.length > 0;
    const unsigned = entry.by === undefined;
    const grade = differs ? config.severity : unsigned ? this.#config.unsigned : "ok";
    const details = await this.#details(look, entry, changes);
    const says = differs
      ? `${sentence(config.path, changes, details, MOST_SAYS - (unsigned ? 60 : 0))}${unsigned ? `; as first seen ${when(entry.at)}, not signed off` : ""}`
      : `${basename(config.path)}: ${unsigned ? `as first seen ${when(entry.at)}, not signed off` : `as signed off ${when(entry.at)}`}`;
    return {
      state: "judged",
      subject,
      grade,
      holds: grade,
      reason: changes[0]?.reason ?? "unsigned",
      says: this.#ports.redact(says).slice(0, MOST_SAYS),
      readings: {
        differs_count: new Set(changes.map(({ name }) => name)).size,
        files_count: seen.kind === "folder" ? Object.keys(seen.members).length : seen.kind === "absent" ? 0 : 1,
      },
    } satisfies Judged;
  }

  /** What the config itself demands, whatever was signed off. */
  #demands(config: FileConfig, seen: Seen): Change[] {
    const words: string[] = [];
    if ("mode" in seen && seen.mode !== undefined && config.mode !== undefined && octal(seen.mode) !== config.mode)
      words.push(`mode ${octal(seen.mode)}, must be ${config.mode}`);
    if ("uid" in seen && seen.uid !== undefined && config.owner !== undefined) {
      const ids = idsOf(this.#ports.machine, config.owner);
      if (ids === undefined) words.push(`must belong to ${config.owner}, whom this machine does not know`);
      else if (ids.uid !== seen.uid || ids.gid !== seen.gid)
        words.push(`owner ${seen.owner ?? seen.uid}, must be ${config.owner}`);
    }
    return words.length === 0 ? [] : [{ name: "", reason: "rights", words, content: false }];
  }

  /** Which lines differ, where they may be told. */
  async #details(look: Look, entry: Entry, changes: readonly Change[]): Promise<Map<string, readonly string[]>> {
    const details = new Map<string, readonly string[]>();
    for (const { name } of changes.filter(({ content }) => content).slice(0, 5)) {
      const before = linesKept(entry, name);
      const after = before === undefined ? undefined : await look.lines(name);
      if (before === undefined || after === undefined) continue;
      const words = inWords(differences(look.hidden(before), after.lines));
      if (words.length > 0) details.set(name, words);
    }
    return details;
  }

  /** The entry of what was seen first; made now for what was never seen before. */
  async #firstSeen(post: Post, seen: Seen): Promise<Entry | undefined> {
    const known = this.#unsigned?.[post.look.name];
    if (known !== undefined || unreadable(seen).length > 0) return known;
    const entry: Entry = { at: this.#ports.clock.wall(), seen, lines: await linesIn(post.look, seen) };
    this.#unsigned = { ...this.#unsigned, [post.look.name]: entry };
    this.#unkept = true;
    return entry;
  }

  async #keepUnsigned(): Promise<void> {
    const { keep, clock } = this.#ports;
    if (!this.#unkept || keep === undefined || clock.now() < this.#keepAt) return;
    const paths = new Set(this.#posts?.map(({ look }) => look.name));
    const entries = Object.fromEntries(Object.entries(this.#unsigned ?? {}).filter(([path]) => paths.has(path)));
    try {
      await this.#store?.save("unsigned", entries);
      this.#unkept = false;
    } catch {
      this.#keepAt = clock.now() + KEEP_AGAIN_MS; // a full or read-only disk has alarms of its own
    }
  }

  /** Keeps how each file is now, where that is new. */
  async #remember(post: Post, seen: Seen): Promise<void> {
    const { keep, clock } = this.#ports;
    if (keep === undefined || this.#store === undefined) return;
    const files = seen.kind === "folder" ? Object.entries(seen.members) : [["", seen] as const];
    for (const [name, file] of files) {
      if (file.kind === "unreadable" || file.kind === "folder") continue;
      const path = name === "" ? post.look.name : join(post.look.name, name);
      const before = post.snapped.get(name);
      const hash = JSON.stringify(file);
      const now = clock.now();
      if (before?.hash === hash || (before !== undefined && now - before.at < SNAPSHOT_EVERY_MS)) continue;
      if (now - this.#day.since >= DAY_MS) this.#day = { since: now, bytes: 0 };
      if (this.#day.bytes >= SNAPSHOT_BYTES_A_DAY || this.#snapshotsLeft === 0) return;
      this.#snapshotsLeft -= 1;
      const isKept = await this.#snapshot(post, name, path, file, before === undefined).catch(() => true); // told again with the next change
      if (isKept) post.snapped.set(name, { hash, at: now });
    }
  }

  /** False when the file has changed again since it was seen. */
  async #snapshot(post: Post, name: string, path: string, file: Seen, isFirst: boolean): Promise<boolean> {
    const last = isFirst ? (await this.#store?.history(path))?.at(-1) : undefined;
    if (last !== undefined && JSON.stringify(last.seen) === JSON.stringify(file)) return true; // kept before our last restart
    const text = file.kind === "file" ? await post.look.lines(name) : undefined;
    if (text !== undefined && file.kind === "file" && text.hash !== file.hash) return false;
    const snapshot = {
      at: this.#ports.clock.wall(),
      seen: file,
      ...(text === undefined ? {} : { lines: [...text.lines] }),
    };
    this.#day.bytes += (await this.#store?.remember(path, snapshot)) ?? 0;
    return true;
  }
}

/** The lines of every file that was seen, by name. */
export async function linesIn(look: Look, seen: Seen): Promise<Record<string, Line[]>> {
  const names = seen.kind === "folder" ? Object.keys(seen.members) : [""];
  const found: Record<string, Line[]> = {};
  for (const name of names) {
    const text = await look.lines(name);
    if (text !== undefined) found[name] = [...text.lines];
  }
  return found;
}

/** `2026-11-22 13:04`, in the machine's time. */
export function when(wall: number): string {
  const { date, second } = localTime(wall);
  const two = (part: number): string => String(part).padStart(2, "0");
  return `${date} ${two(Math.floor(second / 3_600))}:${two(Math.floor(second / 60) % 60)}`;
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
