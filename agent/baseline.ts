import { statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../platform/clock.ts";
import { readConfig } from "../platform/config-file.ts";
import { folderAt } from "../platform/files.ts";
import type { Machine } from "../platform/machine.ts";
import { redactor } from "../platform/redact.ts";
import { displayWidth } from "../platform/width.ts";
import { Failure } from "../protocol/failure.ts";
import { compare, sentence, unreadable } from "./checks/drift/compare.ts";
import { type FileConfig, subjectOf } from "./checks/drift/config.ts";
import { linesIn, when } from "./checks/drift/judge.ts";
import { asDiff, differences, inWords } from "./checks/drift/lines.ts";
import { Look } from "./checks/drift/look.ts";
import { DriftStore, type Entries, type Entry, linesKept, type Seen } from "./checks/drift/store.ts";
import { AgentConfig } from "./config.ts";

/** `vigil-agent baseline …`: a person signs configs off, and sees what is not as it was signed off. */

export interface BaselineOrder {
  config: string;
  /** What follows `baseline`: approve, show, diff or history, and paths. */
  words: readonly string[];
  /** Who signs. */
  by: string | undefined;
  json: boolean;
  lang: string;
  machine: Machine;
  clock: Clock;
  /** Becomes the owner of what is written where we are root: the agent must be able to read it. Returns the way back. */
  become(owner: { uid: number; gid: number }): () => void;
  say(text: string): number;
}

/** A configured file as it is now. */
interface Row {
  file: FileConfig;
  look: Look;
  seen: Seen;
  signed: Entry | undefined;
  first: Entry | undefined;
}

interface Desk extends BaselineOrder {
  store: DriftStore;
  files: readonly FileConfig[];
  paths: readonly string[];
  /** `anew`: what was signed off before need not be readable. */
  rows(anew?: boolean): Promise<Row[]>;
  asOwner<T>(work: () => Promise<T>): Promise<T>;
}

const COMMANDS = { approve, show, diff, history } as const;
const isCommand = (word: string): word is keyof typeof COMMANDS => Object.hasOwn(COMMANDS, word);

/** Returns the exit code: 0 all is as signed off, 1 something is not. Throws Failure ARGUMENT_INVALID, CONFIG_… or BASELINE_UNREADABLE. */
export async function baseline(order: BaselineOrder): Promise<number> {
  const [command = "show", ...paths] = order.words;
  if (!isCommand(command))
    throw new Failure(
      "ARGUMENT_INVALID",
      `no command "baseline ${command}"; there are ${Object.keys(COMMANDS).join(", ")}`,
    );
  if (order.lang !== "zh" && order.lang !== "en")
    throw new Failure("ARGUMENT_INVALID", `--lang takes zh or en, not "${order.lang}"`);
  try {
    return await COMMANDS[command](await desk(order, paths));
  } catch (cause) {
    if (!(cause instanceof Error) || !("syscall" in cause)) throw cause;
    throw new Failure("BASELINE_UNREADABLE", `the state folder cannot be used: ${cause.message}`, { cause });
  }
}

async function desk(order: BaselineOrder, paths: readonly string[]): Promise<Desk> {
  const { machine, clock } = order;
  const config = await readConfig(order.config, AgentConfig);
  const { stateDir, secretWords } = config;
  const store = new DriftStore(folderAt(join(machine.at(stateDir), "checks")));
  const asOwner = ownerOf(machine.at(stateDir), order);
  const files = chosen(config.checks.drift.files, paths);
  const nothing = (): Entries => ({});
  const signedOff = (anew: boolean): Promise<Entries> =>
    anew ? store.load("signed").catch(nothing) : store.load("signed");
  const rows = async (anew = false): Promise<Row[]> => {
    const key = await asOwner(() => store.key(true));
    if (key === undefined) throw new Failure("BASELINE_UNREADABLE", `no key can be kept in ${stateDir}`);
    const [signed, first] = [await signedOff(anew), await store.load("unsigned").catch(nothing)];
    const found: Row[] = [];
    for (const file of files) {
      const look = new Look(file, { machine, clock, key, redact: redactor(secretWords) });
      const seen = await look.now(0);
      found.push({ file, look, seen, signed: signed[look.name], first: first[look.name] });
    }
    return found;
  };
  return { ...order, store, files, paths, rows, asOwner };
}

/** Runs what writes as the owner of the state folder. */
function ownerOf(stateDir: string, { become }: BaselineOrder): Desk["asOwner"] {
  return async (work) => {
    const owner = ownerAt(stateDir);
    const back = become(owner);
    try {
      return await work();
    } finally {
      back();
    }
  };
}

function ownerAt(stateDir: string): { uid: number; gid: number } {
  try {
    const { uid, gid } = statSync(stateDir);
    return { uid, gid };
  } catch (cause) {
    const message = `there is no state folder ${stateDir} yet: start the agent first`;
    throw new Failure("BASELINE_UNREADABLE", message, { facts: { path: stateDir }, cause });
  }
}

/** Those of the config that were named, by path or name; all when none was. */
function chosen(files: readonly FileConfig[], names: readonly string[]): readonly FileConfig[] {
  const known = files.map(({ path }) => path).join(", ") || "none";
  if (files.length === 0)
    throw new Failure(
      "ARGUMENT_INVALID",
      "the config lists no files (checks.drift.files): there is nothing to sign off",
    );
  return names.length === 0
    ? files
    : names.map((name) => {
        const found = files.find((file) => file.path === name || subjectOf(file) === name);
        if (found !== undefined) return found;
        throw new Failure("ARGUMENT_INVALID", `the config does not list ${name}; it lists ${known}`, {
          facts: { name },
        });
      });
}

const SIGNER = /^[^\p{Cc}\p{Cf}]{1,64}$/u;

async function approve({ by, store, paths, rows, asOwner, clock, lang, say, files }: Desk): Promise<number> {
  if (by === undefined || by.trim() === "" || !SIGNER.test(by))
    throw new Failure("ARGUMENT_INVALID", "approve takes --by NAME: who signs it off, 1–64 characters");
  const all = await rows(paths.length === 0);
  const entries: Record<string, Entry> = {};
  const refused: string[] = [];
  for (const { look, seen } of all) {
    const why = unreadable(seen);
    if (why.length > 0) refused.push(`${look.name}: ${why.join(", ")}`);
    else entries[look.name] = { at: clock.wall(), by: by.trim(), seen, lines: await linesIn(look, seen) };
  }
  const before = paths.length === 0 ? {} : await store.load("signed");
  await asOwner(() => store.save("signed", { ...before, ...entries }));
  const words = { zh: ["已签署", "不能签署"], en: ["signed off", "cannot be signed off"] }[lang === "zh" ? "zh" : "en"];
  say(`${words[0]} ${Object.keys(entries).length}/${files.length}  ${by.trim()}  ${when(clock.wall())}\n`);
  for (const one of refused) say(`${words[1]}  ${one}\n`);
  return refused.length === 0 ? 0 : 1;
}

/** How a file stands against what it is compared with. */
interface Standing {
  path: string;
  state: "same" | "differs" | "unsigned" | "unreadable";
  by?: string;
  at?: number;
  says: string;
}

async function standing({ look, seen, signed, first }: Row): Promise<Standing> {
  const path = look.name;
  const entry = signed ?? first;
  const why = unreadable(seen);
  const known = {
    path,
    ...(signed?.by === undefined ? {} : { by: signed.by }),
    ...(entry === undefined ? {} : { at: entry.at }),
  };
  const changes = entry === undefined ? [] : compare(entry.seen, seen);
  if (changes.length === 0 && why.length > 0) return { ...known, state: "unreadable", says: why.join(", ") };
  if (changes.length === 0) return { ...known, state: signed === undefined ? "unsigned" : "same", says: "" };
  const details = new Map<string, readonly string[]>();
  for (const { name } of changes.filter(({ content }) => content)) {
    const [before, after] = [linesKept(entry, name), await look.lines(name)];
    if (before !== undefined && after !== undefined)
      details.set(name, inWords(differences(look.hidden(before), after.lines)));
  }
  return { ...known, state: "differs", says: sentence(path, changes, details, 300) };
}

const STATES = {
  zh: { same: "一致", differs: "不一致", unsigned: "未签署", unreadable: "无法读取" },
  en: { same: "as signed", differs: "differs", unsigned: "not signed", unreadable: "unreadable" },
} as const;

async function show({ rows, lang, json, say }: Desk): Promise<number> {
  const all = await Promise.all((await rows()).map(standing));
  const exit = all.every(({ state }) => state === "same") ? 0 : 1;
  if (json) say(`${JSON.stringify({ exit, files: all })}\n`);
  else {
    const tongue = lang === "zh" ? "zh" : "en";
    const head =
      tongue === "zh"
        ? ["文件", "状态", "签署人", "时间", "差异"]
        : ["file", "state", "signed by", "when", "what differs"];
    const cells = all.map(({ path, state, by = "–", at, says }) => [
      path,
      STATES[tongue][state],
      by,
      at === undefined ? "–" : when(at),
      says,
    ]);
    say(table([head, ...cells]));
  }
  return exit;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => displayWidth(row[i] ?? ""))));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell + " ".repeat(Math.max(0, (widths[i] ?? 0) - displayWidth(cell))))
      .join("  ")
      .trimEnd();
  return `${rows.map(line).join("\n")}\n`;
}

async function diff({ rows, say, lang }: Desk): Promise<number> {
  let exit = 0;
  for (const row of await rows()) {
    const entry = row.signed ?? row.first;
    const why = unreadable(row.seen);
    if (why.length > 0) say(`${row.look.name}: ${why.join(", ")}\n`);
    const changes = entry === undefined ? [] : compare(entry.seen, row.seen);
    if (changes.length > 0 || why.length > 0) exit = 1;
    if (entry === undefined || changes.length === 0) continue;
    const base = entry.by === undefined ? { zh: "首次所见", en: "first seen" } : { zh: "签署于", en: "signed off" };
    say(
      `--- ${row.look.name}  (${base[lang === "zh" ? "zh" : "en"]} ${when(entry.at)}${entry.by === undefined ? "" : `, ${entry.by}`})\n`,
    );
    for (const { name, words, content } of changes) {
      say(
        `+++ ${[name === "" ? row.look.name : join(row.look.name, name), words.join(", ")].filter(Boolean).join(": ")}\n`,
      );
      const [before, after] = [linesKept(entry, name), content ? await row.look.lines(name) : undefined];
      if (before !== undefined && after !== undefined)
        say(`${asDiff(differences(row.look.hidden(before), after.lines)).join("\n")}\n`);
      else if (content) say(lang === "zh" ? "（内容不可显示）\n" : "(the content cannot be shown)\n");
    }
  }
  return exit;
}

/** Every snapshot of one file with what changed from the one before. */
async function history({ store, words, files, json, say, rows }: Desk): Promise<number> {
  const [, named] = words;
  const [file] = files;
  if (named === undefined || file === undefined || words.length > 2)
    throw new Failure("ARGUMENT_INVALID", "history takes one PATH");
  const [row] = await rows();
  const names =
    row?.seen.kind === "folder"
      ? Object.keys(row.seen.members).map((name) => join(row.look.name, name))
      : [row?.look.name ?? file.path];
  const all: { path: string; at: string; hash: string; says: string }[] = [];
  for (const path of names) {
    const snapshots = await store.history(path);
    for (const [i, { at, seen, lines }] of snapshots.entries()) {
      const before = snapshots[i - 1];
      const changes = before === undefined ? [] : compare(before.seen, seen);
      const found =
        before?.lines === undefined || lines === undefined || row === undefined
          ? undefined
          : inWords(differences(row.look.hidden(before.lines), row.look.hidden(lines)));
      const says =
        changes.length === 0 ? "" : sentence(path, changes, new Map(found === undefined ? [] : [["", found]]), 300);
      const hash = seen.kind !== "file" ? seen.kind : (seen.sha256 ?? seen.hash);
      all.push({ path, at: when(at), hash: hash.slice(0, 16), says });
    }
  }
  if (json) say(`${JSON.stringify(all)}\n`);
  else
    say(all.length === 0 ? "–\n" : table(all.map(({ path, at, hash, says }) => [at, hash, says === "" ? path : says])));
  return 0;
}
