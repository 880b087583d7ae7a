import * as z from "zod/mini";
import type { OpenFile } from "../../../platform/files.ts";
import type { Slot } from "../../../platform/slot.ts";
import type { Keep } from "../check.ts";
import { FileState } from "./file.ts";
import { KernelState } from "./kernel.ts";
import { TallyState } from "./tally.ts";

/**
 * Where do we stand, and what was counted up to there? Both in one text, written at once: whoever is killed between any
 * two steps goes on from the one before, and counts nothing twice.
 */

export const LogsState = z.object({
  /** The boot whose milliseconds all times in it are. */
  boot: z.string(),
  files: z.record(z.string(), FileState),
  kernel: z.optional(KernelState),
  journal: z.optional(z.object({ cursor: z.string() })),
  tallies: z.record(z.string(), TallyState),
});
export type LogsState = z.infer<typeof LogsState>;

/** Two in turn: a write that was cut short leaves the other whole. */
const SLOTS = ["logs", "logs-2"] as const;
const FILES = ["logs-1", "logs-2"] as const;
const MOST_BYTES = 60_000;
/** Each costs the flash a page and its journal: 24 of them a day are some 100 kB. */
export const FLASH_MS = 3_600_000;
const PAGE = 4_096;

interface Kept {
  turn: number;
  state: LogsState;
}

export class LogsKeep {
  readonly #keep: Keep;
  readonly #slots: readonly Slot[];
  #turn = 0;
  /** Which of the files is written next: not the one that holds the newest. */
  #nextFile = 0;
  /** The last text, until it is on flash. */
  #pending: string | undefined;
  #flashing: Promise<void> | undefined;

  constructor(keep: Keep) {
    this.#keep = keep;
    this.#slots = SLOTS.map((name) => keep.slot(name));
  }

  /** The newest text that is whole, in memory or on flash; undefined at the first start ever. */
  async load(): Promise<LogsState | undefined> {
    const kept = this.#slots.map((slot) => parse(slot.read()));
    const turns: number[] = [];
    for (const name of FILES) {
      const bytes = await this.#keep.folder.read(name, MOST_BYTES + 2 * PAGE).catch(() => undefined); // the disk check says what is wrong with it
      const one = parse(bytes?.toString("utf8"));
      turns.push(one?.turn ?? 0);
      kept.push(one);
    }
    this.#nextFile = (turns[0] ?? 0) > (turns[1] ?? 0) ? 1 : 0;
    const [newest] = kept.flatMap((one) => one ?? []).toSorted((a, b) => b.turn - a.turn);
    this.#turn = newest?.turn ?? 0;
    return newest?.state;
  }

  /** Throws the system's error. */
  save(state: LogsState): void {
    const turn = this.#turn + 1;
    this.#pending = frame(turn, state);
    this.#slots[turn % 2]?.write(this.#pending);
    this.#turn = turn; // one that failed is tried again in the same place: the other is whole
  }

  /** Lets what was saved last survive a power cut, when there is anything new. */
  flash(): Promise<void> {
    this.#flashing ??= this.#flash().finally(() => {
      this.#flashing = undefined;
    });
    return this.#flashing;
  }

  close(): void {
    for (const slot of this.#slots) slot.close();
    void this.flash().then(() => this.flash()); // the process stays for it
  }

  async #flash(): Promise<void> {
    const text = this.#pending;
    if (text === undefined) return;
    this.#pending = undefined;
    try {
      await written(await this.#keep.folder.open(FILES[this.#nextFile] ?? FILES[0]), text);
      this.#nextFile = 1 - this.#nextFile;
    } catch {
      this.#pending ??= text; // tried again in an hour; the disk check says what is wrong with the disk
    }
  }
}

/** In place: no block is freed or taken, and one page is all that is written in most cases. */
async function written(file: OpenFile, text: string): Promise<void> {
  await using open = file;
  const bytes = Buffer.from(text);
  await open.write(0, Buffer.concat([bytes, Buffer.alloc(PAGE - (bytes.length % PAGE), 0x20)]));
  await open.sync();
}

/** The number of the turn stands before and after: a text written by halves has two. */
function frame(turn: number, state: LogsState): string {
  let json = JSON.stringify(state);
  if (Buffer.byteLength(json) > MOST_BYTES) json = JSON.stringify(withoutExcerpts(state));
  return `${turn}\n${json}\n${turn}\n`;
}

function withoutExcerpts(state: LogsState): LogsState {
  const tallies = Object.entries(state.tallies).map(([id, tally]) => [id, { ...tally, excerpt: "" }]);
  return { ...state, tallies: Object.fromEntries(tallies) };
}

function parse(text: string | undefined): Kept | undefined {
  const [first = "", json = "", last] = text?.split("\n", 3) ?? [];
  if (!/^\d{1,15}$/.test(first) || first !== last) return undefined;
  try {
    const state = LogsState.safeParse(JSON.parse(json));
    return state.success ? { turn: Number(first), state: state.data } : undefined;
  } catch {
    return undefined;
  }
}
