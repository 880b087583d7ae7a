import * as z from "zod/mini";
import { type OsdBox, THUMBNAIL } from "../picture.ts";
import { type Area, areaOf } from "./cells.ts";

/**
 * Finds by itself where the encoder burns its clock in: what changes from nearly every keyframe to the next, is small,
 * lies at the upper or the lower edge, while most of the rest does not change so. Pure.
 */

const unit = z.number().check(z.minimum(0), z.maximum(1));
const LearntOsdSchema = z.strictObject({
  v: z.literal(1),
  x: unit,
  y: unit,
  width: unit,
  height: unit,
  /** How many pairs of thumbnails showed it, and in how many of them it had changed. */
  pairs: z.int().check(z.minimum(0), z.maximum(1e9)),
  changed: z.int().check(z.minimum(0), z.maximum(1e9)),
  /** Over how long, ms of watching. */
  watchedMs: z.int().check(z.minimum(0), z.maximum(1e13)),
});
/** What is kept over restarts; see `OsdLearner.learnt`. */
export type LearntOsd = Readonly<z.infer<typeof LearntOsdSchema>>;

/** What `JSON.stringify` made of `learnt`; undefined for anything else. */
export function readLearntOsd(text: string | undefined): LearntOsd | undefined {
  try {
    if (text === undefined || text.length > 1_000) return undefined;
    const read = z.safeParse(LearntOsdSchema, JSON.parse(text));
    return read.success && read.data.changed <= read.data.pairs ? read.data : undefined;
  } catch {
    return undefined;
  }
}

/** A block is so many cells. */
const BLOCK = { width: 4, height: 3 } as const;
const COLUMNS = THUMBNAIL.width / BLOCK.width;
const ROWS = THUMBNAIL.height / BLOCK.height;
/** A clock that ticks changes a cell by 15 and more, coding a resting one by 2. */
export const TICK = 8;
/** So many pairs, over so long, before a place is chosen; as many again before it is believed. */
const FIRST_PAIRS = 30;
const FIRST_MS = 300_000;
/** The last digit of a clock shows the same in one of ten pairs; all its digits together never do. */
const OFTEN = 0.75;
const ALWAYS = 0.97;
/** The rest does not change so often. */
const SELDOM = 0.6;
const MOST_AREA = 0.08;
const EDGE = 0.25;
/** A television in the picture runs for an evening, a fan for a shift: what changes through a day and a night is a clock. */
const FIRM_MS = 86_400_000;
const LONGEST_GAP_MS = 600_000;
/** Standing so often while all else moves it is no clock, or is one no more. */
const MOST_MISSES = 10;

export class OsdLearner {
  #learnt: LearntOsd | undefined;
  #area: Area | undefined;
  #misses = 0;
  #counts = new Uint16Array(COLUMNS * ROWS);
  #pairs = 0;
  #watchedMs = 0;

  constructor(learnt?: LearntOsd) {
    this.#take(learnt);
  }
  /** The place found, with how often it held; worth keeping. */
  get learnt(): LearntOsd | undefined {
    return this.#learnt;
  }
  /** Where it is; undefined before it is believed. */
  get area(): Area | undefined {
    return this.#learnt !== undefined && this.#learnt.pairs >= FIRST_PAIRS ? this.#area : undefined;
  }
  /** Whether it has shown for long enough that its standing proves a frozen picture. */
  get firm(): boolean {
    return this.#learnt !== undefined && this.#learnt.watchedMs >= FIRM_MS;
  }

  /** Takes in two thumbnails `gapMs` apart. `still`: the rest of the picture has not moved. */
  pair(before: Uint8Array, now: Uint8Array, gapMs: number, still: boolean): void {
    const ms = Math.round(Math.min(gapMs, LONGEST_GAP_MS));
    if (this.#learnt !== undefined && this.#area !== undefined) this.#watch(before, now, ms, still);
    else this.#seek(before, now, ms);
  }

  #take(learnt: LearntOsd | undefined): void {
    this.#learnt = learnt;
    this.#area = learnt === undefined ? undefined : areaOf(learnt);
    this.#misses = 0;
    this.#counts.fill(0);
    this.#pairs = 0;
    this.#watchedMs = 0;
  }

  #watch(before: Uint8Array, now: Uint8Array, ms: number, still: boolean): void {
    const { learnt, area } = { learnt: this.#learnt, area: this.#area };
    if (learnt === undefined || area === undefined) return;
    const changed = hasChanged(before, now, area);
    const believed = learnt.pairs >= FIRST_PAIRS;
    // once it is believed, a whole picture that stands says nothing against it: that is what it is there to tell
    if (!changed && still && believed) return;
    this.#misses = changed ? 0 : this.#misses + 1;
    const next = {
      ...learnt,
      pairs: learnt.pairs + 1,
      changed: learnt.changed + (changed ? 1 : 0),
      watchedMs: learnt.watchedMs + ms,
    };
    const doubtful = next.pairs >= FIRST_PAIRS && next.changed < ALWAYS * next.pairs;
    if (doubtful || this.#misses >= MOST_MISSES) this.#take(undefined);
    else this.#learnt = next;
  }

  #seek(before: Uint8Array, now: Uint8Array, ms: number): void {
    for (let row = 0; row < ROWS; row += 1)
      for (let column = 0; column < COLUMNS; column += 1) {
        const block = row * COLUMNS + column;
        if (hasChanged(before, now, blockArea(column, row))) this.#counts[block] = (this.#counts[block] ?? 0) + 1;
      }
    this.#pairs += 1;
    this.#watchedMs += ms;
    if (this.#pairs < FIRST_PAIRS || this.#watchedMs < FIRST_MS) return;
    const box = chosen(this.#counts, this.#pairs);
    this.#take(box === undefined ? undefined : { v: 1, ...box, pairs: 0, changed: 0, watchedMs: 0 });
  }
}

/** The box of the blocks that changed nearly always, with a block around it; undefined where they are not like a clock. */
function chosen(counts: Uint16Array, pairs: number): OsdBox | undefined {
  let [left, top, right, bottom, seldom] = [COLUMNS, ROWS, 0, 0, 0];
  counts.forEach((count, block) => {
    if (count < SELDOM * pairs) seldom += 1;
    if (count < OFTEN * pairs) return;
    const column = block % COLUMNS;
    const row = (block - column) / COLUMNS;
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
  });
  if (right <= left || seldom < counts.length / 2) return undefined;
  const atEdge = bottom <= ROWS * EDGE || top >= ROWS * (1 - EDGE);
  [left, right] = [Math.max(0, left - 1), Math.min(COLUMNS, right + 1)];
  [top, bottom] = [Math.max(0, top - 1), Math.min(ROWS, bottom + 1)];
  const box = { x: left / COLUMNS, y: top / ROWS, width: (right - left) / COLUMNS, height: (bottom - top) / ROWS };
  return atEdge && box.width * box.height <= MOST_AREA ? box : undefined;
}

const blockArea = (column: number, row: number): Area => ({
  left: column * BLOCK.width,
  top: row * BLOCK.height,
  right: (column + 1) * BLOCK.width,
  bottom: (row + 1) * BLOCK.height,
});

/** Whether a cell of the area changed as the digits of a clock do. */
function hasChanged(before: Uint8Array, now: Uint8Array, { left, top, right, bottom }: Area): boolean {
  for (let row = top; row < bottom; row += 1)
    for (let cell = row * THUMBNAIL.width + left, end = row * THUMBNAIL.width + right; cell < end; cell += 1)
      if (Math.abs((before[cell] ?? 0) - (now[cell] ?? 0)) >= TICK) return true;
  return false;
}
