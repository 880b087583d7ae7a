import { isSecretName, secretValues } from "./redact-keys.ts";
import { personalNumbers } from "./redact-numbers.ts";
import { opaqueSecrets } from "./redact-tokens.ts";
import { siteWords } from "./redact-words.ts";
import { MASK, merged, type Span, searchable } from "./searched.ts";

/** Takes out of a text what must not leave the device. */
export interface Redact {
  (text: string): string;
  /** Only where it is: in order, none touching another. Not cut short: for texts of a known size. */
  readonly find?: (text: string) => readonly Span[];
}

/** No sentence for people is longer; of what is, only the beginning is kept. */
const MOST_UNITS = 65_536;
const MOST_PASSES = 8;
/** At a cut end half a secret could stand, which nothing knows any more. */
const UNSURE_UNITS = 512;

/**
 * Takes out what is secret or personal: values of password, token and key settings in the usual spellings, credentials
 * in headers, URLs and command lines, private keys, password hashes and random tokens, Chinese resident IDs, phone and
 * bank card numbers, licence plates, e-mail addresses, and `words`: names the site lists, in any case, full or half
 * width, also where they are URL-encoded, escaped or in Base64. What a fault needs stays: paths, addresses, numbers of
 * errors, devices and memory, times, UUIDs, digests. Taking out twice changes nothing more. The time is linear in the
 * text, and bounded: of more than 64 Ki units only the beginning is kept.
 */
export function redactor(words: readonly string[]): Redact {
  const find = secretFinder(words);
  const redact = (text: string): string => {
    const { kept, left } = text.length <= MOST_UNITS ? { kept: text, left: "" } : cutShort(text);
    let clean = kept;
    // what was far from the name of a secret may come near it when something in between is taken out
    for (let i = 0; i < MOST_PASSES; i += 1) {
      const spans = find(clean);
      if (spans.length === 0) break;
      clean = masked(clean, spans);
    }
    return clean + left;
  };
  return Object.assign(redact, { find });
}

function secretFinder(words: readonly string[]): (text: string) => readonly Span[] {
  const findWords = siteWords(words);
  return (text) => {
    if (text.length < 2) return [];
    const searched = searchable(text);
    return merged([
      ...findWords(searched),
      ...secretValues(searched),
      ...opaqueSecrets(searched),
      ...personalNumbers(searched),
    ]);
  };
}

/** A name as our own files may hold it: one that holds a secret is told apart by a fingerprint, which `print` makes of it. */
export function discreetName(name: string, redact: Redact, print: (name: string) => string): string {
  const clean = redact(name);
  return clean === name ? name : `${clean}~${print(name)}`;
}

/** Facts of a log line with every string in them redacted, however deep, and whatever is named like a secret left out. */
export function redactFacts(facts: Readonly<Record<string, unknown>>, redact: Redact): Record<string, unknown> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, cleaned(name, value, redact, DEPTH)]));
}

const DEPTH = 5;
const MOST_ENTRIES = 200;

function cleaned(name: string, value: unknown, redact: Redact, depth: number): unknown {
  if (typeof value === "string") return isSecretName(name) ? MASK : redact(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return MASK;
  const inside = (key: string, one: unknown): unknown => cleaned(key, one, redact, depth - 1);
  if (value instanceof Error) {
    const { name: type, message, stack } = value;
    const more = Object.entries(value).filter(([key]) => !["name", "message", "stack", "cause"].includes(key));
    const told = { type, message, stack, ...Object.fromEntries(more) };
    const cause = value.cause === undefined ? {} : { cause: inside("cause", value.cause) };
    return { ...Object.fromEntries(Object.entries(told).map(([key, one]) => [key, inside(key, one)])), ...cause };
  }
  if (Array.isArray(value)) return value.slice(0, MOST_ENTRIES).map((one) => inside(name, one));
  if ("toJSON" in value && typeof value.toJSON === "function") return inside(name, value.toJSON());
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MOST_ENTRIES)
      .map(([key, one]) => [redact(key), inside(key, one)]),
  );
}

/**
 * The text, redacted and at most `most` units long. `isCut`: it was cut already, so that half a secret may stand at its
 * end; the last word goes, too.
 */
export function redactedWithin(text: string, most: number, redact: Redact, isCut = text.length >= most): string {
  const clean = redact(isCut ? text.replace(/\S{0,400}$/, "…") : text);
  return clean.length <= most ? clean : `${clean.slice(0, most - 1).toWellFormed()}…`;
}

function cutShort(text: string): { kept: string; left: string } {
  const most = text.slice(0, MOST_UNITS - UNSURE_UNITS);
  const tail = most.slice(-UNSURE_UNITS);
  const words = tail.search(/\s\S*$/);
  const kept = words === -1 ? most.slice(0, -UNSURE_UNITS) : most.slice(0, words - UNSURE_UNITS);
  return { kept: kept.toWellFormed(), left: " … (the rest is left out)" };
}

function masked(text: string, spans: readonly Span[]): string {
  let at = 0;
  let out = "";
  for (const { start, end } of spans) {
    out += text.slice(at, start) + MASK;
    at = end;
  }
  return out + text.slice(at);
}
