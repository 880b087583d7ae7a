import type { Clock } from "../../../platform/clock.ts";
import type { Following, FollowProgram } from "../../../platform/follow-program.ts";
import type { RunProgram } from "../../../platform/run.ts";
import { ExportReader, type JournalEntry } from "./export.ts";

/** What does the journal of systemd say? One idle `journalctl`, which wakes us for nothing but lines that have a literal. */

const FIELDS = ["MESSAGE", "SYSLOG_IDENTIFIER", "_COMM", "_PID", "_TRANSPORT"] as const;
/** What is taken in one round: a flood of more waits in the journal, and the loop is not held up by it. */
const BUFFER_BYTES = 256 * 1024;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 300_000;
/** One that has lived so long was well: the next pause is short again. */
const WELL_MS = 60_000;

export interface JournalOrder {
  /** Another folder than the machine's own. */
  directory?: string | undefined;
  /** Entries of this priority and worse. */
  priority: string;
  literals: readonly string[];
}

interface JournalPorts {
  follow: FollowProgram;
  run: RunProgram;
  clock: Clock;
}

/** A line of the journal as a pattern sees it. */
export type OnEntry = (line: string, isKernel: boolean) => void;

/** `sshd[812]: Failed password …`: as a log file would have it, without time and host. */
export function lineOf(entry: JournalEntry): { line: string; isKernel: boolean } {
  // a program that writes to /dev/kmsg comes the same way, under a name of its own
  const isKernel = entry.get("_TRANSPORT") === "kernel" && (entry.get("SYSLOG_IDENTIFIER") ?? "kernel") === "kernel";
  const who = entry.get("SYSLOG_IDENTIFIER") ?? entry.get("_COMM") ?? (isKernel ? "kernel" : "");
  const pid = entry.get("_PID");
  const message = entry.get("MESSAGE") ?? "";
  const name = pid === undefined || isKernel ? who : `${who}[${pid}]`;
  return { line: name === "" ? message : `${name}: ${message}`, isKernel };
}

type Argv = [program: string, ...string[]];

const argvOf = ({ directory }: JournalOrder, ...more: string[]): Argv => [
  "journalctl",
  "--quiet",
  ...(directory === undefined ? [] : [`--directory=${directory}`]),
  ...more,
];

/** Where the journal ends now, undefined when nothing is in it. Rejects with Failure of `run`. */
async function endOfJournal(order: JournalOrder, run: RunProgram, signal: AbortSignal): Promise<string | undefined> {
  const argv = argvOf(order, "--lines=1", "--output=export", "--output-fields=_TRANSPORT");
  const text = await run({ argv, deadlineMs: 8_000, outputCapBytes: 65_536, signal });
  return /^__CURSOR=(.*)$/m.exec(text)?.[1];
}

/** Any of the literals, as PCRE2 reads it. */
const anyOf = (literals: readonly string[]): string =>
  literals.map((literal) => literal.replace(/[^\w\s\u0080-\uffff]/g, "\\$&")).join("|");

export class JournalFollower {
  readonly #order: JournalOrder;
  readonly #follow: FollowProgram;
  readonly #clock: Clock;
  readonly #onEntry: OnEntry;
  readonly #run: RunProgram;
  readonly #closing = new AbortController();
  /** Where it ends now has to be asked first: what is in it already is no news. */
  #toEnd: boolean;
  /** The end was found, and is to be kept. */
  #found = false;
  #cursor: string | undefined;
  #child: Following | undefined;
  #reader = new ExportReader([...FIELDS, "__CURSOR"]);
  #starting = false;
  #startedAt = Number.NEGATIVE_INFINITY;
  #startAt = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;
  #filters = true;
  /** Why nothing comes, while it does not run. */
  trouble: string | undefined;

  /** `cursor`: the last entry read; without it the journal is new to us, and begun at its end. */
  constructor(order: JournalOrder, cursor: string | undefined, ports: JournalPorts, onEntry: OnEntry) {
    this.#order = order;
    this.#cursor = cursor;
    this.#toEnd = cursor === undefined;
    this.#follow = ports.follow;
    this.#run = ports.run;
    this.#clock = ports.clock;
    this.#onEntry = onEntry;
  }

  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Takes in what came, and sees that the child runs. True when there was an entry. */
  poll(): boolean {
    const child = this.#child;
    if (child === undefined) {
      if (!this.#starting && this.#clock.now() >= this.#startAt) void this.#start();
      return false;
    }
    const moved = this.#take(child) || this.#found;
    this.#found = false;
    if (this.#child !== undefined && child.ended !== undefined) this.#ended(child.ended);
    else if (this.#clock.now() - this.#startedAt >= WELL_MS) this.trouble = undefined;
    return moved;
  }

  close(): void {
    this.#closing.abort();
    this.#child?.close();
    this.#child = undefined;
  }

  #take(child: Following): boolean {
    const bytes = child.take();
    if (bytes === undefined) return false;
    try {
      const entries = this.#reader.push(bytes);
      for (const entry of entries) {
        const { line, isKernel } = lineOf(entry);
        this.#onEntry(line, isKernel);
        this.#cursor = entry.get("__CURSOR") ?? this.#cursor;
      }
      if (entries.length > 0) this.trouble = undefined;
      return entries.length > 0;
    } catch (cause) {
      child.close();
      this.#ended({ exit: cause instanceof Error ? cause.message : String(cause), words: "" });
      return true;
    }
  }

  async #start(): Promise<void> {
    this.#starting = true;
    this.#startedAt = this.#clock.now();
    try {
      if (this.#toEnd) {
        this.#cursor = await endOfJournal(this.#order, this.#run, this.#closing.signal);
        this.#toEnd = false;
        this.#found = true;
      }
      const child = await this.#follow({ argv: this.#argv(), bufferBytes: BUFFER_BYTES });
      if (this.#closing.signal.aborted) return child.close();
      this.#reader = new ExportReader([...FIELDS, "__CURSOR"]);
      this.#child = child;
    } catch (cause) {
      this.#ended({ exit: cause instanceof Error ? cause.message : String(cause), words: "" });
    } finally {
      this.#starting = false;
    }
  }

  #argv(): Argv {
    const { priority, literals } = this.#order;
    return argvOf(
      this.#order,
      ...["--follow", "--no-tail", "--output=export", `--output-fields=${FIELDS.join(",")}`, `--priority=${priority}`],
      ...(this.#filters && literals.length > 0 ? [`--grep=${anyOf(literals)}`, "--case-sensitive=yes"] : []),
      ...(this.#cursor === undefined ? [] : [`--after-cursor=${this.#cursor}`]),
    );
  }

  #ended({ exit, words }: { exit: string; words: string }): void {
    this.#child = undefined;
    const now = this.#clock.now();
    if (/pattern matching|--grep|PCRE/i.test(words))
      this.#filters = false; // built without: then all of it comes to us
    else if (now - this.#startedAt >= WELL_MS) this.#pauseMs = FIRST_PAUSE_MS;
    this.trouble = `journalctl ended: ${exit}${words === "" ? "" : ` (${words})`}`;
    this.#startAt = now + this.#pauseMs;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }
}
