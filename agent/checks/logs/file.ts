import * as z from "zod/mini";
import { type GrowingFile, type Look, lookAt, openGrowing } from "../../../platform/growing-file.ts";
import { LINE_BYTES } from "./matcher.ts";
import { isPast, isSame, keyOf, leftBehind, MOST_KNOWN, pastOf, Siblings } from "./siblings.ts";
import { tailLength, tailOf } from "./tail.ts";

/** Where do we stand in a log that others write, rename, cut and remove? */

const Piece = z.object({
  dev: z.number(),
  ino: z.number(),
  bornMs: z.number(),
  /** Everything before is read. */
  offset: z.number(),
  /** The bytes right before `offset` (logs-tail.ts): a file that has others there is not the one we read, or was cut. */
  tail: z.string(),
  /** `offset` is within a line longer than we read: what is left of it is passed over. */
  midLine: z.boolean(),
  size: z.number(),
  /** Of the file as it was read to its end: a copy of what came since is younger. */
  mtimeMs: z.number(),
  /** Not what the name leads to any more: read until nothing comes for a while. */
  left: z.boolean(),
});
type Piece = z.infer<typeof Piece>;

/** What outlives a restart: the files that are not read to their end, oldest first, and what was lost. */
export const FileState = z.object({
  pieces: z.array(Piece),
  /** Files beside it that are of no further interest. */
  known: z.array(z.string()),
  lostBytes: z.number(),
  /** Times the file was cut or went while something in it may have been unread. */
  cuts: z.number(),
  /** Milliseconds since boot; 0 for never. */
  lostAt: z.number(),
});
export type FileState = z.infer<typeof FileState>;

/** Takes whole lines; the bytes are only good until it returns. */
export type OnLines = (bytes: Buffer) => void;

/** One budget for all files of a round, so that a flood neither blocks the loop nor starves another file. */
export interface Budget {
  bytes: number;
  /** Whether there is time for one more chunk. */
  more(): boolean;
}

const CHUNK = 65_536;
const TAIL = 32;
const BEGINNING = 256;
/** A writer goes on in the file it has open until it is told to open the new one. */
const GRACE_MS = 5_000;
/** Further behind than that, the oldest is given up. */
const MOST_BEHIND = 64 * 1024 * 1024;
const KEPT_BEHIND = 1024 * 1024;
/** Files that were rotated away and are not read yet, as after a time in which nobody read; more of them are given up. */
const MOST_PIECES = 16;

/** One buffer for all files: a fresh one per read would grow the heap. */
const buffer = Buffer.allocUnsafeSlow(TAIL + CHUNK);

export class FollowedFile {
  readonly path: string;
  readonly #onLines: OnLines;
  readonly #siblings: Siblings;
  readonly #open = new Map<Piece, GrowingFile>();
  /** So much is read at once. */
  #chunk = CHUNK;
  /** Since when a piece that was left has brought nothing (`now` of the caller). */
  readonly #quietAt = new Map<Piece, number>();
  #state: FileState;
  /** More may be there than the last look told: the budget ended first, or the name was just found anew. */
  #unread = true;
  /** The file at the look before: what of it was not read is lost when it is cut, and a copy of it is younger. */
  #before = { size: 0, mtimeMs: 0 };
  /** When the file was changed last, at the last look. */
  #lookedMtimeMs: number | undefined;
  /** A copy was found of a file that was cut: what is left of it is to be read first. */
  #hasCopy = false;
  /** What stands in it at the first look is no news. */
  #toEnd: boolean;
  /** Nothing was asked of its folder yet. */
  #isNew: boolean;
  /** Why it cannot be read now. */
  trouble: string | undefined;
  /** Since when nothing is there under the name. */
  missingAt: number | undefined;

  /** `state`: where it was left; without it the file is new to us, and begun at its `end` or its `start`. */
  constructor(path: string, onLines: OnLines, state: FileState | "end" | "start") {
    this.path = path;
    this.#onLines = onLines;
    this.#siblings = new Siblings(path);
    this.#toEnd = state === "end";
    this.#isNew = typeof state !== "object";
    this.#state = typeof state === "object" ? state : { pieces: [], known: [], lostBytes: 0, cuts: 0, lostAt: 0 };
  }

  get state(): FileState {
    return this.#state;
  }
  /** Whether there is a place to come back to: where the first look failed, the next is still the first. */
  get isBegun(): boolean {
    return !this.#isNew && !this.#toEnd;
  }
  get behindBytes(): number {
    return this.#state.pieces.reduce((sum, { size, offset }) => sum + Math.max(0, size - offset), 0);
  }

  /** It is not asked while it may hang: `why` says so. What was open is closed, for a read would hang as well. */
  passOver(why: string): void {
    this.close();
    this.trouble = why;
    this.#unread = true;
  }

  /** Looks, and reads what is new. `now`: milliseconds since boot. True when anything moved that must be kept. */
  poll(now: number, budget: Budget): boolean {
    let moved = false;
    try {
      const look = lookAt(this.path);
      this.trouble = look !== undefined && look.kind !== "file" ? `a ${look.kind}, not a plain file` : undefined;
      const plain = this.trouble === undefined ? look : undefined;
      this.missingAt = look === undefined ? (this.missingAt ?? now) : undefined;
      this.#lookedMtimeMs = plain?.mtimeMs;
      if (this.#isNew) this.#remember();
      this.#isNew = false;
      if (this.#toEnd) this.#standAtEnd();
      this.#toEnd = false;
      moved = this.#compare(plain, now);
      if (moved || this.#unread || this.#state.pieces.some(({ left }) => left))
        do moved = this.#readAll(now, budget) || moved;
        while (this.#hasCopy);
    } catch (cause) {
      this.trouble = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
      this.#unread = true;
    }
    return moved;
  }

  close(): void {
    for (const file of this.#open.values()) file.close();
    this.#open.clear();
  }

  /** Stands at the end of what is there: only what comes from now on is read. */
  #standAtEnd(): void {
    const look = lookAt(this.path);
    if (look?.kind !== "file") return;
    const piece = newPiece(look);
    const file = this.#fileOf(piece);
    if (file === undefined) return;
    // a line that is half written now belongs to what is to come
    const from = Math.max(0, look.size - CHUNK);
    const length = file.read(buffer, Math.min(CHUNK, look.size - from), from);
    const lastLine = buffer.subarray(0, length).lastIndexOf(10) + 1;
    piece.offset = lastLine === 0 && from > 0 ? look.size : from + lastLine;
    piece.midLine = lastLine === 0 && from > 0;
    piece.tail = tailOf(buffer, Math.max(0, piece.offset - from - TAIL), piece.offset - from);
    this.#state.pieces = [piece];
  }

  /** Whether what the name leads to now is another file, or longer or shorter than before. */
  #compare(look: Look | undefined, now: number): boolean {
    const last = this.#state.pieces.at(-1);
    const current = last?.left === false ? last : undefined;
    if (current !== undefined && look !== undefined && isSame(current, look)) {
      current.dev = look.dev;
      if (look.size === current.size && look.mtimeMs === current.mtimeMs) return false;
      this.#before = { size: current.size, mtimeMs: current.mtimeMs };
      if (look.size < current.offset) this.#cut(current, now);
      current.size = look.size;
      this.#unread = true;
      return true;
    }
    if (current === undefined && look === undefined) return false;
    if (current !== undefined) current.left = true;
    if (look !== undefined) this.#turnTo(look, last, now);
    return true;
  }

  /** The name leads to another file: between the one we had and this one others may have come and gone. */
  #turnTo(look: Look, old: Piece | undefined, now: number): void {
    for (const piece of this.#state.pieces) if (this.#fileOf(piece) === undefined) this.#notFound(piece, now);
    const held = [...this.#state.known, ...this.#state.pieces.map(keyOf), keyOf(look)];
    const between = this.#siblings.newOnes(held, this.#beginning(old), old?.mtimeMs ?? Number.POSITIVE_INFINITY);
    this.#remember();
    this.#state.pieces.push(...between.map((one) => ({ ...newPiece(one), left: true })), newPiece(look));
    this.#giveUpOldest(now);
    this.#unread = true;
  }

  /** Rotated away faster than it is read: of too many pieces those that are read go first, then the oldest. */
  #giveUpOldest(now: number): void {
    if (this.#state.pieces.length <= MOST_PIECES) return;
    // the last look at them was before they were rotated
    for (const piece of this.#state.pieces) piece.size = this.#fileOf(piece)?.look().size ?? piece.size;
    while (this.#state.pieces.length > MOST_PIECES) {
      const { pieces } = this.#state;
      const given = pieces.find(({ left, offset, size }) => left && offset >= size) ?? pieces[0];
      if (given === undefined) return;
      if (given.size > given.offset) this.#lose(given.size - given.offset, now);
      this.#drop(given);
    }
  }

  /** The first bytes of a piece: a file beside it that begins alike is a copy of it, and was read. */
  #beginning(piece: Piece | undefined): string | undefined {
    const file = piece === undefined ? undefined : this.#open.get(piece);
    return file === undefined ? undefined : buffer.toString("latin1", 0, file.read(buffer, BEGINNING, 0));
  }

  /** Reads the pieces in their order; a newer one is begun once the older are at their end. */
  #readAll(now: number, budget: Budget): boolean {
    let moved = false;
    this.#unread = false;
    this.#hasCopy = false;
    for (const piece of [...this.#state.pieces]) {
      const file = this.#fileOf(piece);
      if (file === undefined) {
        moved = this.#notFound(piece, now) || moved;
        continue;
      }
      if (piece.left) {
        const { size, mtimeMs } = file.look();
        if (size < piece.offset) this.#cut(piece, now);
        piece.size = size;
        piece.mtimeMs = mtimeMs;
      }
      const end = this.#read(piece, file, now, budget);
      moved = moved || end.moved;
      if (!end.dry) {
        this.#unread = true;
        return moved;
      }
      if (!piece.left) piece.mtimeMs = this.#lookedMtimeMs ?? piece.mtimeMs;
      moved = this.#leave(piece, file, end.moved, now) || moved;
    }
    return moved;
  }

  /** Reads one piece up to its last newline. `dry`: there is no more. */
  #read(piece: Piece, file: GrowingFile, now: number, budget: Budget): { moved: boolean; dry: boolean } {
    if (piece.offset === 0 && !piece.left && this.#wasCutUnseen(piece)) return { moved: true, dry: false };
    let moved = this.#giveUp(piece, now);
    while (budget.bytes > 0 && budget.more()) {
      if (!this.#open.has(piece)) return { moved: true, dry: true }; // cut, and of no further interest
      const tail = tailLength(piece.tail);
      const chunk = this.#chunk;
      const length = file.read(buffer, tail + chunk, piece.offset - tail);
      if (length < tail || tailOf(buffer, 0, tail) !== piece.tail) {
        this.#cut(piece, now);
        if (this.#hasCopy) return { moved: true, dry: false }; // which comes first
        moved = true;
        continue;
      }
      const taken = this.#take(piece, tail, length, chunk);
      // lines made to be slow to search: fewer of them before the next look at the time
      this.#chunk = budget.more() ? Math.min(CHUNK, chunk * 4) : Math.max(LINE_BYTES, chunk / 4);
      budget.bytes -= Math.max(taken, 512);
      moved = moved || taken > 0;
      if (length < tail + chunk) return { moved, dry: true };
    }
    return { moved, dry: false };
  }

  /** Hands on the lines among `buffer[from..to)` that are whole. Returns how many bytes that were. */
  #take(piece: Piece, from: number, to: number, chunk: number): number {
    let begin = from;
    while (begin < to && buffer[begin] === 0) begin += 1; // a hole: cut under a writer that writes on at its old place
    const end = buffer.subarray(0, to).lastIndexOf(10) + 1;
    if (end <= begin) {
      if (to - from < chunk) return begin === to ? this.#advance(piece, from, to) : 0; // its newline is still to come
      if (!piece.midLine && begin < to) this.#onLines(buffer.subarray(begin, Math.min(to, begin + LINE_BYTES)));
      piece.midLine = begin < to || piece.midLine;
      return this.#advance(piece, from, to);
    }
    if (piece.midLine) begin = buffer.indexOf(10, begin) + 1;
    piece.midLine = false;
    if (begin < end) this.#onLines(buffer.subarray(begin, end));
    return this.#advance(piece, from, end);
  }

  #advance(piece: Piece, from: number, end: number): number {
    piece.offset += end - from;
    piece.tail = tailOf(buffer, Math.max(0, end - TAIL), end);
    if (piece.size < piece.offset) piece.size = piece.offset;
    return end - from;
  }

  /** A piece that is not written any more goes when nothing came for a while; its last line may have no newline. */
  #leave(piece: Piece, file: GrowingFile, moved: boolean, now: number): boolean {
    if (!piece.left || !this.#open.has(piece)) return false;
    const quietAt = this.#quietAt.get(piece);
    if (quietAt === undefined || moved) this.#quietAt.set(piece, now);
    else if (now - quietAt >= GRACE_MS) {
      const length = file.read(buffer, LINE_BYTES, piece.offset);
      if (length > 0 && !piece.midLine) this.#onLines(buffer.subarray(0, length));
      this.#state.known.push(keyOf(piece), pastOf(piece));
      this.#drop(piece);
      return true;
    }
    return false;
  }

  /** Left so far behind that it would never catch up: the oldest is passed over, and counted. */
  #giveUp(piece: Piece, now: number): boolean {
    const behind = piece.size - piece.offset;
    if (behind <= MOST_BEHIND) return false;
    this.#lose(behind - KEPT_BEHIND, now);
    piece.offset = piece.size - KEPT_BEHIND;
    piece.tail = "";
    piece.midLine = true;
    return true;
  }

  /** Shorter than we have read, or other bytes where we stood: it was cut. Perhaps it was copied before. */
  #cut(piece: Piece, now: number): void {
    if (piece.left) {
      if (piece.size > piece.offset) this.#lose(piece.size - piece.offset, now);
      this.#drop(piece);
      return;
    }
    const copies = this.#copiesOf(piece, now);
    this.#putBefore(piece, copies);
    if (copies[0]?.tail === piece.tail) this.#state.cuts += 1;
    else this.#lose(Math.max(0, this.#before.size - piece.offset), now);
    piece.offset = 0;
    piece.tail = "";
    piece.midLine = false;
  }

  /** Nothing of it was read yet, so nothing in it gives a cut away: only a new copy beside it does, that begins otherwise. */
  #wasCutUnseen(piece: Piece): boolean {
    const held = [...this.#state.known, ...this.#state.pieces.map(keyOf)];
    const copies = this.#siblings
      .newOnes(held, this.#beginning(piece), this.#before.mtimeMs || Number.POSITIVE_INFINITY)
      .filter(({ mtimeMs }) => mtimeMs >= this.#before.mtimeMs);
    if (copies.length === 0) return false;
    this.#putBefore(
      piece,
      copies.map((one) => ({ ...newPiece(one), left: true })),
    );
    this.#state.cuts += 1;
    return true;
  }

  #putBefore(piece: Piece, copies: readonly Piece[]): void {
    if (copies.length > 0) {
      this.#state.pieces.splice(this.#state.pieces.indexOf(piece), 0, ...copies);
      this.#hasCopy = true;
    }
    this.#remember();
  }

  /** What lies beside it now is of no further interest. */
  #remember(): void {
    const past = this.#state.known.filter(isPast).slice(-MOST_KNOWN);
    this.#state.known = [...this.#siblings.all(), ...past];
  }

  /** The copy of a file that was cut, where we stood in it; after it what was copied when it was cut again since. */
  #copiesOf(piece: Piece, now: number): Piece[] {
    const { mtimeMs } = this.#before;
    const copy = this.#siblings.copyOf({ ...piece, mtimeMs });
    const overwritten = this.#state.pieces.find((one) => one !== piece && copy !== undefined && isSame(one, copy));
    if (overwritten !== undefined) this.#cut(overwritten, now); // the copy before this one
    const held = [...this.#state.known, ...this.#state.pieces.map(keyOf), ...(copy === undefined ? [] : [keyOf(copy)])];
    const since = copy?.mtimeMs ?? mtimeMs;
    const later = this.#siblings.newOnes(held, undefined, since).filter((one) => one.mtimeMs >= since);
    const { offset, tail, midLine } = piece;
    const first = copy === undefined ? [] : [{ ...newPiece(copy), offset, tail, midLine, left: true }];
    return [...first, ...later.map((one) => ({ ...newPiece(one), left: true }))];
  }

  /** After a restart: a file we stood in is nowhere any more, unless it was packed, which tells at least its size. */
  #notFound(piece: Piece, now: number): boolean {
    if (!piece.left) return false; // it is only its name that is gone again: the next look tells
    const missed = leftBehind(this.#siblings.packed(this.#state.known), piece.offset);
    const lost = missed ?? Math.max(0, piece.size - piece.offset);
    if (missed === undefined || lost > 0) this.#lose(lost, now);
    this.#drop(piece);
    return true;
  }

  #lose(bytes: number, now: number): void {
    this.#state.lostBytes += bytes;
    this.#state.cuts += 1;
    this.#state.lostAt = now;
  }

  #drop(piece: Piece): void {
    this.#open.get(piece)?.close();
    this.#open.delete(piece);
    this.#quietAt.delete(piece);
    this.#state.pieces = this.#state.pieces.filter((one) => one !== piece);
  }

  /** The open file of a piece: by the name where that still leads to it, else by whatever name it has now. */
  #fileOf(piece: Piece): GrowingFile | undefined {
    const known = this.#open.get(piece);
    if (known !== undefined) return known;
    const here = piece.left ? undefined : openGrowing(this.path);
    const file = here !== undefined && isSame(piece, here.look()) ? here : undefined;
    if (file === undefined) here?.close();
    const found = file ?? this.#siblings.open(piece);
    if (found !== undefined) this.#open.set(piece, found);
    return found;
  }
}

const newPiece = ({ dev, ino, bornMs, size, mtimeMs }: Look): Piece => ({
  ...{ dev, ino, bornMs, size, mtimeMs },
  offset: 0,
  tail: "",
  midLine: false,
  left: false,
});
