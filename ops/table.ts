import { clean, displayWidth, pad } from "../platform/width.ts";
import { type Look, paint, type Tone } from "./look.ts";

/** A piece of text for a terminal. What goes through here is cleaned: nothing from the wire reaches a terminal otherwise. */
export interface Cell {
  text: string;
  tone?: Tone | undefined;
  /** Blanks up to this many cells. */
  cells?: number;
  side?: "left" | "right";
}
export type CellLike = string | Cell;

const cellOf = (cell: CellLike): Cell => {
  const { text, ...rest } = typeof cell === "string" ? { text: cell } : cell;
  return { ...rest, text: clean(text) };
};

/** One line: cells parted by one blank, empty ones without a place left out, no blanks at its end. */
export function line(look: Look, cells: readonly CellLike[]): string {
  const shown = cells.map(cellOf).filter((cell) => cell.text !== "" || cell.cells !== undefined);
  return shown
    .map((cell) => paint(look, cell.tone, pad(cell.text, cell.cells ?? 0, cell.side)))
    .join(" ")
    .trimEnd();
}

export interface Column {
  name: string;
  /** Figures stand at the right. */
  right?: boolean;
}

/** A table with its heading; columns as wide as their widest cell, those empty in every row left out. */
export function table(look: Look, columns: readonly Column[], rows: readonly (readonly CellLike[])[]): string {
  const cells = rows.map((row) => row.map(cellOf));
  const used = columns
    .map((column, index) => ({ ...column, index }))
    .filter(({ index }) => cells.some((row) => (row[index]?.text ?? "") !== ""));
  const widths = used.map(({ name, index }) =>
    Math.max(displayWidth(name), ...cells.map((row) => displayWidth(row[index]?.text ?? ""))),
  );
  const write = (row: readonly Cell[]) =>
    used
      .map(({ right }, place) => {
        const cell = row[place] ?? { text: "" };
        return paint(look, cell.tone, pad(cell.text, widths[place] ?? 0, right === true ? "left" : "right"));
      })
      .join("  ")
      .trimEnd();
  const heading = used.map(({ name }): Cell => ({ text: name, tone: "quiet" }));
  return [heading, ...cells.map((row) => used.map(({ index }) => row[index] ?? { text: "" }))]
    .map((row) => `${write(row)}\n`)
    .join("");
}
