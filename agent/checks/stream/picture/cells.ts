import { type OsdBox, THUMBNAIL } from "../picture.ts";

/** Figures of the 160 × 90 cells of grey. Pure. */

const { width: WIDTH, height: HEIGHT } = THUMBNAIL;
export const CELLS = WIDTH * HEIGHT;

/** Some cells: columns and rows, the last ones not included. */
export interface Area {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The cells that a box touches. */
export function areaOf({ x, y, width, height }: OsdBox): Area {
  const within = (cell: number, most: number): number => Math.min(Math.max(cell, 0), most);
  return {
    left: within(Math.floor(x * WIDTH), WIDTH),
    top: within(Math.floor(y * HEIGHT), HEIGHT),
    right: within(Math.ceil((x + width) * WIDTH), WIDTH),
    bottom: within(Math.ceil((y + height) * HEIGHT), HEIGHT),
  };
}

/** How two thumbnails differ, in steps of grey. */
export interface Difference {
  /** Mean over the cells outside the box. */
  outside: number;
  /** Cells outside the box that changed by far more than noise and coding do. */
  movedCells: number;
  /** The largest within the box; undefined without one. */
  inBox?: number;
}

/** No noise and no coding changes a cell so much that stands for a hundred pixels and more. */
const MOVED = 24;

export function difference(a: Uint8Array, b: Uint8Array, box: Area | undefined): Difference {
  let sum = 0;
  let count = 0;
  let movedCells = 0;
  let inBox = 0;
  for (let row = 0, cell = 0; row < HEIGHT; row += 1) {
    const boxed = box !== undefined && row >= box.top && row < box.bottom;
    for (let column = 0; column < WIDTH; column += 1, cell += 1) {
      const change = Math.abs((a[cell] ?? 0) - (b[cell] ?? 0));
      if (boxed && column >= box.left && column < box.right) {
        if (change > inBox) inBox = change;
        continue;
      }
      sum += change;
      count += 1;
      if (change >= MOVED) movedCells += 1;
    }
  }
  return { outside: count === 0 ? 0 : sum / count, movedCells, ...(box === undefined ? {} : { inBox }) };
}

/** Mean and standard deviation of what is not written over the picture. */
export interface Light {
  mean: number;
  deviation: number;
  /** Share, 0 to 1, of all cells that are clearly lit where writing usually stands. */
  litMargin: number;
}

/** Encoders write at the upper and the lower edge: these rows on each side. */
const MARGIN_ROWS = Math.round(HEIGHT * 0.15);
const LIT = 48;

export function light(grey: Uint8Array, box: Area | undefined): Light {
  let sum = 0;
  let squares = 0;
  let count = 0;
  let lit = 0;
  for (let row = 0, cell = 0; row < HEIGHT; row += 1) {
    const margin = row < MARGIN_ROWS || row >= HEIGHT - MARGIN_ROWS;
    const boxed = box !== undefined && row >= box.top && row < box.bottom;
    for (let column = 0; column < WIDTH; column += 1, cell += 1) {
      const value = grey[cell] ?? 0;
      if (boxed && column >= box.left && column < box.right) continue;
      if (margin) {
        if (value >= LIT) lit += 1;
        continue;
      }
      sum += value;
      squares += value * value;
      count += 1;
    }
  }
  const mean = count === 0 ? 0 : sum / count;
  const deviation = count === 0 ? 0 : Math.sqrt(Math.max(0, squares / count - mean * mean));
  return { mean, deviation, litMargin: lit / CELLS };
}
