/** A cell as a row has it; a number is written as one. */
export type CsvCell = string | number | undefined;

export interface CsvColumn<T> {
  en: string;
  zh: string;
  cell(row: T): CsvCell;
}

/** Excel takes a file without it for GBK or Latin-1 and shows Chinese as garbage. */
const BOM = "\ufeff";
/** What makes a spreadsheet run a cell as a formula (OWASP, CSV injection), full-width twins included. */
const FORMULA = /^\s*[=+\-@|%\t\r\uff1d\uff0b\uff0d\uff20]/;

/** One cell (RFC 4180). A text that a spreadsheet would run gets an apostrophe before it and stays a text. */
export function csvCell(cell: CsvCell): string {
  if (cell === undefined) return "";
  if (typeof cell === "number") return String(cell);
  const text = FORMULA.test(cell) ? `'${cell}` : cell;
  return /[",;\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const line = (cells: readonly CsvCell[]): string => `${cells.map(csvCell).join(",")}\r\n`;

/** A table in pieces, one per page of rows; made as fast as it is read. */
export async function* csvPieces<T>(
  columns: readonly CsvColumn<T>[],
  lang: "zh" | "en",
  pages: AsyncIterable<readonly T[]>,
): AsyncGenerator<Uint8Array> {
  const bytes = (text: string): Uint8Array => Buffer.from(text);
  yield bytes(BOM + line(columns.map((column) => column[lang])));
  for await (const rows of pages) {
    if (rows.length > 0) yield bytes(rows.map((row) => line(columns.map(({ cell }) => cell(row)))).join(""));
  }
}
