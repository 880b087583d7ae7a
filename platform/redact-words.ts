import { type Searched, type Span, searchable } from "./searched.ts";

/** The spellings in which one name of the site may stand in a text. */
interface Spellings {
  /** In lower case: as it is. */
  plain: string;
  /** In lower case: with more space in it, or with something else for it. */
  spaced: readonly string[];
  /** In lower case: with `%`, with `\`, with `&#`. */
  percent: readonly string[];
  escaped: readonly string[];
  entities: readonly string[];
  /** As they are: Base64 of the name at each of the three places it can have in a longer text. */
  base64: readonly string[];
}

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
const unique = (texts: readonly string[]): string[] => [...new Set(texts)];

function spellingsOf(word: string): Spellings {
  const { half, lower: plain } = searchable(word);
  const bytes = [...Buffer.from(plain)];
  const points = [...plain];
  const perByte = (write: (byte: number) => string): string =>
    bytes.map((byte) => (byte < 0x80 ? String.fromCharCode(byte) : write(byte))).join("");
  const perUnit = (write: (unit: string) => string): string =>
    [...Array(plain.length).keys()]
      .map((i) => (plain.charCodeAt(i) < 0x80 ? plain.charAt(i) : write(hex(plain.charCodeAt(i)).padStart(4, "0"))))
      .join("");
  const perPoint = (write: (point: number) => string): string =>
    points.map((one) => (one < "\x80" ? one : write(one.codePointAt(0) ?? 0))).join("");
  const differs = (texts: readonly string[]): string[] => unique(texts).filter((text) => text !== plain);
  return {
    plain,
    spaced: differs(spacedOf(plain)),
    percent: differs([
      perByte((byte) => `%${hex(byte)}`),
      encodeURIComponent(plain.toWellFormed()).toLowerCase(),
      bytes.map((byte) => `%${hex(byte)}`).join(""),
      plain.replaceAll(" ", "+"),
    ]),
    escaped: differs([
      perUnit((unit) => `\\u${unit}`),
      perPoint((point) => `\\u{${point.toString(16)}}`),
      perByte((byte) => `\\x${hex(byte)}`),
      perByte((byte) => `\\${byte.toString(8).padStart(3, "0")}`),
    ]),
    entities: differs([perPoint((point) => `&#${point};`), perPoint((point) => `&#x${point.toString(16)};`)]),
    base64: unique([word, plain, half]).flatMap(inBase64),
  };
}

/** 王五 as wide as 诸葛孔明 is 王　五; names of several words are one word in those of files and accounts. */
function spacedOf(plain: string): string[] {
  if (/^[\u3400-\u9fff]{2,4}$/.test(plain)) return [" ", "  "].map((space) => [...plain].join(space));
  return /\S\s+\S/.test(plain) ? ["", "  ", "_", "-", ".", "\n"].map((by) => plain.replace(/\s+/g, by)) : [];
}

/** What of the name's Base64 does not depend on what stands before and behind it; too short a piece would be found anywhere. */
function inBase64(text: string): string[] {
  const bytes = Buffer.from(text);
  return [0, 1, 2]
    .map((before) => {
      const coded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64url");
      const whole = Math.floor(((before + bytes.length) * 8) / 6);
      return coded.slice(Math.ceil((before * 8) / 6), whole);
    })
    .filter((piece) => piece.length >= 6)
    .flatMap((piece) => unique([piece, piece.replaceAll("-", "+").replaceAll("_", "/")]));
}

/** Two or three letters stand in many an innocent word: they count only by themselves. */
const SHORT_LETTERS = /^[a-z0-9]{1,3}$/;
const isLetter = (text: string, at: number): boolean => /[a-z0-9]/.test(text.charAt(at));

/** Finds the names the site lists. The time is the text's length times the number of names. */
export function siteWords(words: readonly string[]): (searched: Searched) => Span[] {
  const all = unique(words)
    .filter((word) => word.trim() !== "")
    .map(spellingsOf);
  return ({ half: text, lower }) => {
    const spans: Span[] = [];
    const hasPercent = lower.includes("%") || lower.includes("+");
    const hasEscapes = lower.includes("\\");
    const hasEntities = lower.includes("&#");
    for (const { plain, spaced, percent, escaped, entities, base64 } of all) {
      every(lower, plain, spans, SHORT_LETTERS.test(plain));
      for (const one of spaced) every(lower, one, spans);
      if (hasPercent) for (const one of percent) every(lower, one, spans);
      if (hasEscapes) for (const one of escaped) every(lower, one, spans);
      if (hasEntities) for (const one of entities) every(lower, one, spans);
      for (const one of base64) every(text, one, spans);
    }
    return spans;
  };
}

function every(text: string, word: string, spans: Span[], alone = false): void {
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + word.length)) {
    const end = at + word.length;
    if (!alone || !(isLetter(text, at - 1) || isLetter(text, end))) spans.push({ start: at, end });
  }
}
