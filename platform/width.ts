/** How text stands in a terminal: its width in cells, and only characters that are safe to show there. */

/** Ranges of code points two cells wide: East Asian Width W and F of Unicode, with emoji shown as pictures. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x231a, 0x231b],
  [0x2329, 0x232a],
  [0x23e9, 0x23ec],
  [0x23f0, 0x23f0],
  [0x23f3, 0x23f3],
  [0x25fd, 0x25fe],
  [0x2614, 0x2615],
  [0x2648, 0x2653],
  [0x267f, 0x267f],
  [0x2693, 0x2693],
  [0x26a1, 0x26a1],
  [0x26aa, 0x26ab],
  [0x26bd, 0x26be],
  [0x26c4, 0x26c5],
  [0x26ce, 0x26ce],
  [0x26d4, 0x26d4],
  [0x26ea, 0x26ea],
  [0x26f2, 0x26f3],
  [0x26f5, 0x26f5],
  [0x26fa, 0x26fa],
  [0x26fd, 0x26fd],
  [0x2705, 0x2705],
  [0x270a, 0x270b],
  [0x2728, 0x2728],
  [0x274c, 0x274c],
  [0x274e, 0x274e],
  [0x2753, 0x2755],
  [0x2757, 0x2757],
  [0x2795, 0x2797],
  [0x27b0, 0x27b0],
  [0x27bf, 0x27bf],
  [0x2b1b, 0x2b1c],
  [0x2b50, 0x2b50],
  [0x2b55, 0x2b55],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1aff0, 0x1b2ff],
  [0x1f004, 0x1f004],
  [0x1f0cf, 0x1f0cf],
  [0x1f18e, 0x1f18e],
  [0x1f191, 0x1f19a],
  [0x1f200, 0x1f265],
  [0x1f300, 0x1f320],
  [0x1f32d, 0x1f335],
  [0x1f337, 0x1f37c],
  [0x1f37e, 0x1f393],
  [0x1f3a0, 0x1f3ca],
  [0x1f3cf, 0x1f3d3],
  [0x1f3e0, 0x1f3f0],
  [0x1f3f4, 0x1f3f4],
  [0x1f3f8, 0x1f43e],
  [0x1f440, 0x1f440],
  [0x1f442, 0x1f4fc],
  [0x1f4ff, 0x1f53d],
  [0x1f54b, 0x1f54e],
  [0x1f550, 0x1f567],
  [0x1f57a, 0x1f57a],
  [0x1f595, 0x1f596],
  [0x1f5a4, 0x1f5a4],
  [0x1f5fb, 0x1f64f],
  [0x1f680, 0x1f6c5],
  [0x1f6cc, 0x1f6cc],
  [0x1f6d0, 0x1f6d2],
  [0x1f6d5, 0x1f6d7],
  [0x1f6dc, 0x1f6df],
  [0x1f6eb, 0x1f6ec],
  [0x1f6f4, 0x1f6fc],
  [0x1f7e0, 0x1f7eb],
  [0x1f7f0, 0x1f7f0],
  [0x1f90c, 0x1f93a],
  [0x1f93c, 0x1f945],
  [0x1f947, 0x1f9ff],
  [0x1fa70, 0x1faff],
  [0x20000, 0x2fffd],
  [0x30000, 0x3fffd],
];
/** Marks that stand on the character before them, and characters without a shape of their own. */
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}\u{1160}-\u{11ff}]$/u;

/** What could steer a terminal or hide text: controls (C0, DEL, C1), line and paragraph separators, bidirectional marks. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const STEERING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
/** Colours and other sequences that end in a letter, as this program itself writes them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const SGR = /\u001b\[[0-9;]*m/g;

/** Whole terminal commands: CSI (colours, cursor), OSC (title, links, clipboard), and the rest of one byte. */
const SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b\]|\u009d)[^\u0007\u001b\u009c]{0,400}(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]*[0-~]/g;

/** Text from the wire as it may be shown: one line, and nothing in it that a terminal obeys. */
export const clean = (text: string): string => text.toWellFormed().replace(SEQUENCE, "").replace(STEERING, "");

/** JSON for a terminal: what JSON.stringify lets pass of `clean`'s characters is escaped, so no value is changed. */
export const cleanJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replace(STEERING, (char) =>
    char === "\n" ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

function isWide(point: number): boolean {
  let [low, high] = [0, WIDE.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [first, last] = WIDE[middle] ?? [0, 0];
    if (point < first) high = middle - 1;
    else if (point > last) low = middle + 1;
    else return true;
  }
  return false;
}

/** Cells a terminal gives to `text`; colours take none. Characters of ambiguous width (● →) count one. */
export function displayWidth(text: string): number {
  let cells = 0;
  for (const char of text.replace(SGR, "")) {
    if (!ZERO.test(char)) cells += isWide(char.codePointAt(0) ?? 0) ? 2 : 1;
  }
  return cells;
}

/** `text` with blanks to `cells` cells, on the left of a figure. Longer text stays as it is. */
export function pad(text: string, cells: number, side: "left" | "right" = "right"): string {
  const blanks = " ".repeat(Math.max(0, cells - displayWidth(text)));
  return side === "right" ? text + blanks : blanks + text;
}

/** `text` in at most `cells` cells; what was cut ends in …. For text without colours. */
export function clip(text: string, cells: number): string {
  if (displayWidth(text) <= cells) return text;
  let kept = "";
  let used = 0;
  for (const char of text) {
    const width = displayWidth(char);
    if (used + width > cells - 1) break;
    kept += char;
    used += width;
  }
  return `${kept}…`;
}

/** `text` in lines of at most `cells` cells, broken at blanks and beside wide characters; a longer word is cut. At least one line. */
export function wrap(text: string, cells: number): string[] {
  const most = Math.max(2, cells); // a wide character needs two
  const lines: string[] = [];
  let line = "";
  let used = 0;
  const end = (): void => {
    lines.push(line.trimEnd());
    line = "";
    used = 0;
  };
  for (const piece of pieces(text)) {
    const width = displayWidth(piece);
    if (used > 0 && used + displayWidth(piece.trimEnd()) > most) end();
    if (used === 0 && lines.length > 0 && piece.trim() === "") continue;
    if (width <= most) {
      line += piece;
      used += width;
      continue;
    }
    for (const char of piece) {
      const own = displayWidth(char);
      if (used + own > most) end();
      line += char;
      used += own;
    }
  }
  if (line !== "" || lines.length === 0) end();
  return lines;
}

const CLOSING = /[，。；：、！？）】》”’,.;:!?)\]}%]/u;

/** Where a line may break: after a word's blanks, and around each wide character, but not before what closes a sentence. */
function pieces(text: string): string[] {
  const found: string[] = [];
  let word = "";
  for (const char of text) {
    const wide = isWide(char.codePointAt(0) ?? 0);
    const before = found.at(-1);
    if (CLOSING.test(char) && word === "" && before !== undefined && !before.endsWith(" ")) {
      found[found.length - 1] = before + char;
      continue;
    }
    if (wide && word !== "" && !CLOSING.test(char)) {
      found.push(word);
      word = "";
    }
    word += char;
    if (wide || char === " ") {
      found.push(word);
      word = "";
    }
  }
  return word === "" ? found : [...found, word];
}
