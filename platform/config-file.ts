import { readFile } from "node:fs/promises";
import type * as core from "zod/v4/core";
import { Failure } from "../protocol/failure.ts";

/** What this file needs of a schema: both zod and zod/mini have it. */
export interface ConfigSchema<T> extends core.$ZodType<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: core.$ZodError };
}

const MOST_BYTES = 4_194_304;

/** The text of a config file. Throws CONFIG_UNREADABLE. */
export async function readConfigText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    if (bytes.byteLength > MOST_BYTES) throw new Error(`over ${MOST_BYTES} bytes`);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Failure("CONFIG_UNREADABLE", `cannot read ${path}: ${reasonOf(cause)}`, { facts: { path }, cause });
  }
}

/**
 * Fits the text of a config to its schema; `name` says where it came from. Throws CONFIG_UNREADABLE when it is no JSON,
 * CONFIG_INVALID with one line per mistake: the path, the value there, and what is allowed.
 */
export function parseConfig<T>(text: string, schema: ConfigSchema<T>, name: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const message = `${name} is not JSON: ${reasonOf(cause)}`;
    throw new Failure("CONFIG_UNREADABLE", message, { facts: { path: name }, cause });
  }
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const mistakes = read.error.issues.flatMap((issue) => describe(issue, value, schema));
  throw new Failure("CONFIG_INVALID", [`${name}:`, ...mistakes].join("\n  "), {
    facts: { file: name, path: pathText(read.error.issues[0]?.path ?? []) },
  });
}

/** Reads a JSON config file (UTF-8) and fits it to its schema. Throws CONFIG_UNREADABLE or CONFIG_INVALID. */
export const readConfig = async <T>(path: string, schema: ConfigSchema<T>): Promise<T> =>
  parseConfig(await readConfigText(path), schema, path);

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** One line per mistake: `checks.disk.every: "often" — allowed: "fast", "slow"`. */
function describe(issue: core.$ZodIssue, config: unknown, schema: core.$ZodType): string[] {
  const where = pathText(issue.path);
  if (issue.code === "unrecognized_keys") {
    const allowed = keysAt(schema, issue.path, config);
    return issue.keys.map((key) => {
      const near = nearest(key, allowed);
      const hint = near === undefined ? "" : `did you mean "${near}"? `;
      return `${pathText([...issue.path, key])}: unknown name — ${hint}allowed: ${allowed.join(", ")}`;
    });
  }
  if (issue.code === "invalid_union") {
    const inner = issue.errors.flat().map(allowedBy).filter(Boolean);
    return [`${where}: ${shown(at(config, issue.path))} — allowed: ${inner.join("; or ") || issue.message}`];
  }
  return [`${where}: ${shown(at(config, issue.path))} — allowed: ${allowedBy(issue)}`];
}

function allowedBy(issue: core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.expected === "int" ? "a whole number" : `${article(issue.expected)} ${issue.expected}`;
    case "invalid_value":
      return issue.values.map((value) => JSON.stringify(value)).join(", ");
    case "too_small":
      return `${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}${unitOf(issue.origin)}`;
    case "too_big":
      return `${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}${unitOf(issue.origin)}`;
    case "invalid_format":
      if (!issue.message.startsWith("Invalid")) return issue.message; // words of the schema, not zod's own
      return issue.pattern === undefined ? `a ${issue.format}` : `text that fits ${issue.pattern}`;
    case "invalid_key":
      return `a name that fits: ${issue.issues.map(allowedBy).join("; ")}`;
    default:
      return issue.message ?? "see --print-defaults";
  }
}

const article = (word: string): string => (/^[aeiou]/.test(word) ? "an" : "a");
const unitOf = (origin: string): string => (origin === "string" ? " characters" : origin === "array" ? " entries" : "");

const pathText = (path: readonly PropertyKey[]): string => (path.length === 0 ? "(root)" : path.map(String).join("."));

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (part, key) =>
      typeof part === "object" && part !== null && Object.hasOwn(part, key)
        ? (part as Record<PropertyKey, unknown>)[key]
        : undefined,
    value,
  );

function shown(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value).replaceAll(/(:\/\/[^\s/:@"]*):[^\s"]*@/g, "$1:***@"); // a password in an address
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}

/** Names a strict object at `path` of the schema allows: where it may be of several kinds, those of the kind that `config` says. */
function keysAt(schema: core.$ZodType, path: readonly PropertyKey[], config: unknown): string[] {
  const found = path.reduce<core.$ZodType[]>(
    (inside, key, i) => inside.flatMap((one) => step(one, key, at(config, path.slice(0, i)))),
    [schema],
  );
  const value = at(config, path);
  const names = (one: Inside): string[] => (one.def.type === "object" ? Object.keys(shapeOf(one)) : []);
  return [...new Set(found.flatMap((one) => bare(one, value)).flatMap(names))];
}

type Inside = { def: { type: string } & Record<string, unknown> };
const shapeOf = ({ def }: Inside): Record<string, core.$ZodType> =>
  (def["shape"] ?? {}) as Record<string, core.$ZodType>;

/** What the schema of `value` is once optional, default and union are taken off. */
function bare(schema: core.$ZodType, value: unknown): Inside[] {
  const inside = schema._zod as unknown as Inside;
  const { innerType, options, in: piped, discriminator } = inside.def as Record<string, unknown>;
  if (innerType !== undefined) return bare(innerType as core.$ZodType, value);
  if (piped !== undefined) return bare(piped as core.$ZodType, value);
  if (!Array.isArray(options)) return [inside];
  const all = options.flatMap((option: core.$ZodType) => bare(option, value));
  if (typeof discriminator !== "string") return all;
  const kind = at(value, [discriminator]);
  const fitting = all.filter((one) => shapeOf(one)[discriminator]?._zod.values?.has(kind as core.util.Primitive));
  return fitting.length > 0 ? fitting : all;
}

function step(schema: core.$ZodType, key: PropertyKey, value: unknown): core.$ZodType[] {
  return bare(schema, value).flatMap((inside) => {
    const { type, valueType, element, items, rest } = inside.def as Record<string, unknown> & { type: string };
    const next =
      type === "object"
        ? shapeOf(inside)[String(key)]
        : type === "record"
          ? valueType
          : type === "array"
            ? element
            : type === "tuple" && Array.isArray(items)
              ? (items[Number(key)] ?? rest)
              : undefined;
    return next === undefined || next === null ? [] : [next as core.$ZodType];
  });
}

/** The allowed name fewest edits away, if it is near enough to have been meant. */
function nearest(word: string, allowed: readonly string[]): string | undefined {
  const ranked = allowed
    .map((name) => ({ name, edits: distance(word.toLowerCase(), name.toLowerCase()) }))
    .toSorted((a, b) => a.edits - b.edits)[0];
  return ranked !== undefined && ranked.edits <= Math.max(2, word.length / 3) ? ranked.name : undefined;
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
