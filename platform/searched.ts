/** Part of a text, as indices of its UTF-16 units; `end` is behind it. */
export interface Span {
  start: number;
  end: number;
}

/**
 * A text as it is searched: `half` has full-width letters, digits and signs made half-width, `lower` is that in lower case.
 * Each has the units of the text at the text's own places, so that what is found there is cut out here.
 */
export interface Searched {
  readonly half: string;
  readonly lower: string;
}

/** What stands in place of a secret. Never a secret itself: what was taken out once stays as it is. */
export const MASK = "***";

const FULL_WIDTH = /[\u3000\uff01-\uff5e]/;
const EVERY_FULL_WIDTH = /[\u3000\uff01-\uff5e]/g;

/** `text` as it is searched for secrets. */
export function searchable(text: string): Searched {
  const half = FULL_WIDTH.test(text)
    ? text.replace(EVERY_FULL_WIDTH, (one) =>
        one === "\u3000" ? " " : String.fromCharCode(one.charCodeAt(0) - 0xfee0),
      )
    : text;
  const lower = half.toLowerCase();
  // a few letters grow in lower case (İ): then only those that keep their place are lowered
  return {
    half,
    lower: lower.length === half.length ? lower : half.replace(/[A-Z]+/g, (some) => some.toLowerCase()),
  };
}

/** Where the row of signs that `isPart` knows begins which ends at `end`; at most `most` units are looked at. */
export function rowBefore(text: string, end: number, most: number, isPart: RegExp): number {
  let start = end;
  while (start > 0 && end - start < most && isPart.test(text.charAt(start - 1))) start -= 1;
  return start;
}

/** The same places in order, none touching another. */
export function merged(spans: Span[]): Span[] {
  if (spans.length < 2) return spans;
  const found: Span[] = [];
  for (const { start, end } of spans.toSorted((a, b) => a.start - b.start)) {
    const last = found.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else found.push({ start, end });
  }
  return found;
}
