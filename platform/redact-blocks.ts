import type { Span } from "./searched.ts";

const BLOCK = /^(?:[|>][+-]?\d?[+-]?)?[ \t]{0,16}(?:#[^\n]{0,200})?\r?\n/;
const MAPPING = /^[ \t-]*["']?[\w.-]{1,80}["']?[ \t]{0,4}:(?:\s|$)/;

/**
 * YAML: the value stands below its name and deeper, as text after `|` or `>`, or as scalars and a list of them. Undefined
 * when it stands beside the name; empty where none follows: settings that are named in it are looked at by themselves.
 */
export function blockAfter(half: string, name: number, at: number): Span | undefined {
  const head = BLOCK.exec(half.slice(at, at + 240))?.[0];
  if (head === undefined) return undefined;
  const isText = /^[|>]/.test(head);
  const before = half.slice(Math.max(0, name - 64), name);
  const depth = before.length - before.lastIndexOf("\n") - 1;
  let [start, end] = [at, at];
  for (let from = at + head.length; from < half.length; ) {
    const newline = half.indexOf("\n", from);
    const until = newline === -1 ? half.length : newline;
    const indent = /^[ \t]*/.exec(half.slice(from, Math.min(until, from + 200)))?.[0].length ?? 0;
    if (from + indent < until && half.charAt(from + indent) !== "\r") {
      const isItem = !isText && indent === depth && half.charAt(from + indent) === "-";
      if (indent <= depth && !isItem) break;
      if (!isText && MAPPING.test(half.slice(from, Math.min(until, from + 240)))) break;
      if (start === end) start = from + indent;
      end = until;
    }
    from = until + 1;
  }
  return { start, end };
}
