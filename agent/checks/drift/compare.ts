import { basename } from "node:path";
import type { Member, Seen } from "./store.ts";

/** In which way a file is not as it was; the first of several decides what the alarm is called. */
export type Reason = "missing" | "replaced" | "changed" | "rights" | "appeared";
const ORDER: readonly Reason[] = ["missing", "replaced", "changed", "rights", "appeared"];

/** One file that is not as it was. */
export interface Change {
  /** Its name below the configured path; `""`: the path itself. */
  name: string;
  reason: Reason;
  /** All but the content, in words: `mode 0600 → 0644`. */
  words: readonly string[];
  /** Its content differs and can be compared line by line, if the lines are at hand. */
  content: boolean;
}

/** Everything that differs, the worst first. */
export function compare(before: Seen, after: Seen): Change[] {
  const own = one("", before, after);
  const inside = before.kind === "folder" && after.kind === "folder" ? members(before.members, after.members) : [];
  return [...(own === undefined ? [] : [own]), ...inside].toSorted(
    (a, b) => ORDER.indexOf(a.reason) - ORDER.indexOf(b.reason),
  );
}

/** What could not be read, and so not be compared: why, in words. */
export function unreadable(after: Seen): string[] {
  if (after.kind === "unreadable") return [after.because];
  if (after.kind !== "folder") return [];
  return Object.entries(after.members).flatMap(([name, member]) =>
    member.kind === "unreadable" ? [`${name}: ${member.because}`] : [],
  );
}

function members(before: Readonly<Record<string, Member>>, after: Readonly<Record<string, Member>>): Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  const absent = { kind: "absent" } as const;
  const of = (all: Readonly<Record<string, Member>>, name: string): Member =>
    (Object.hasOwn(all, name) ? all[name] : undefined) ?? absent;
  return names.flatMap((name) => one(name, of(before, name), of(after, name)) ?? []);
}

function one(name: string, before: Seen, after: Seen): Change | undefined {
  if (before.kind === "absent" && after.kind === "absent") return undefined;
  if (after.kind === "absent") return { name, reason: "missing", words: ["is gone"], content: false };
  if (before.kind === "absent")
    return { name, reason: "appeared", words: [`is new: ${whatItIs(after)}`], content: false };
  const words = [...linkWords(before.link, after.link), ...rightsWords(before, after)];
  const rights: Change | undefined = words.length === 0 ? undefined : { name, reason: "rights", words, content: false };
  if (after.kind === "unreadable") return rights;
  if (before.kind === "file" && after.kind === "file") {
    if (before.hash === after.hash) return rights;
    return { name, reason: "changed", words: [...words, ...bytesWords(before.bytes, after.bytes)], content: true };
  }
  if (sized(before) && sized(after)) {
    if (before.kind === after.kind && before.bytes === after.bytes) return rights;
    return { name, reason: "changed", words: [...bytesWords(before.bytes, after.bytes), ...words], content: false };
  }
  if (before.kind === after.kind && (before.kind !== "other" || after.kind !== "other" || before.type === after.type))
    return rights;
  return { name, reason: "replaced", words: [`is now ${whatItIs(after)}`, ...words], content: false };
}

const sized = (seen: Seen): seen is Extract<Seen, { kind: "file" | "large" }> =>
  seen.kind === "file" || seen.kind === "large";

function whatItIs(seen: Seen): string {
  const { mode, owner } = "mode" in seen ? seen : {};
  const rights = mode === undefined ? "" : `, mode ${octal(mode)}, ${owner ?? ""}`;
  switch (seen.kind) {
    case "absent":
      return "nothing";
    case "file":
    case "large":
      return `a file of ${size(seen.bytes)}${rights}`;
    case "folder":
      return `a folder${rights}`;
    case "other":
      return `a ${seen.type}`;
    case "unreadable":
      return `not readable (${seen.because})`;
  }
}

function rightsWords(before: Exclude<Seen, { kind: "absent" }>, after: Exclude<Seen, { kind: "absent" }>): string[] {
  const words: string[] = [];
  if (before.mode !== undefined && after.mode !== undefined && before.mode !== after.mode)
    words.push(`mode ${octal(before.mode)} → ${octal(after.mode)}`);
  if (before.uid !== undefined && after.uid !== undefined && (before.uid !== after.uid || before.gid !== after.gid)) {
    const names = before.owner !== after.owner;
    const old = names ? before.owner : `${before.uid}:${before.gid}`;
    words.push(`owner ${old} → ${names ? after.owner : `${after.uid}:${after.gid}`}`);
  }
  return words;
}

function linkWords(before: string | undefined, after: string | undefined): string[] {
  if (before === after) return [];
  if (after === undefined) return [`is no link to ${before} any more`];
  return [before === undefined ? `is now a link to ${after}` : `link ${before} → ${after}`];
}

const bytesWords = (before: number, after: number): string[] =>
  before === after ? [] : [`size ${size(before)} → ${size(after)}`];

export const octal = (mode: number): string => mode.toString(8).padStart(4, "0");

function size(bytes: number): string {
  const steps = ["bytes", "kB", "MB", "GB", "TB"];
  const step = Math.min(steps.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${step === 0 ? bytes : (bytes / 1000 ** step).toFixed(1)} ${steps[step]}`;
}

/** The changes in one sentence of at most `most` units. `details`: what differs in the content, by name. */
export function sentence(
  path: string,
  changes: readonly Change[],
  details: ReadonlyMap<string, readonly string[]>,
  most: number,
): string {
  const parts = changes.flatMap(({ name, words, content }) => {
    const lines = details.get(name) ?? (content ? ["content changed"] : []);
    // the size is worth telling only where nothing better is known
    const others = content && details.has(name) ? words.filter((word) => !word.startsWith("size ")) : words;
    return [...lines, ...others].map((text, i) => (name !== "" && i === 0 ? `${name} ${text}` : text));
  });
  let text = `${basename(path)}: `;
  for (const [i, part] of parts.entries()) {
    const rest = parts.length - i;
    const next = `${text}${i === 0 ? "" : ", "}${part}`;
    if (next.length > most - 16 && i > 0) return `${text} and ${rest} more`;
    text = next;
  }
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}
