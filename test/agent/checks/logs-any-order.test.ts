import { appendFileSync, copyFileSync, existsSync, renameSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FileState, FollowedFile } from "../../../agent/checks/logs/file.ts";
import { tempFolder } from "../../kit/temp.ts";

/** A log, whoever writes and rotates it, and a follower that has little time and is killed: in any order. */

type Step =
  | { do: "write"; lines: number }
  | { do: "turn" | "kill" | "save" | "wait" }
  | { do: "poll"; bytes: number; looks: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("write" as const), lines: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 2, arbitrary: fc.constant({ do: "turn" } as const) },
  { weight: 2, arbitrary: fc.constant({ do: "kill" } as const) },
  { weight: 3, arbitrary: fc.constant({ do: "save" } as const) },
  { weight: 1, arbitrary: fc.constant({ do: "wait" } as const) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("poll" as const),
      bytes: fc.constantFrom(1, 600, 1_000_000),
      looks: fc.constantFrom(1, 2, 1_000),
    }),
  },
);
/** More rotated files than that, unread, are given up. */
const MOST_TURNS = 12;

class Field {
  readonly path: string;
  written = 0;
  turns = 0;
  #file: FollowedFile;
  #heard: string[] = [];
  #kept: { state: string; heard: string[] };
  /** Seconds: a file's time is set by hand, each change later than the one before. */
  #at = 1_000_000;
  #now = 0;

  readonly #how: "rename" | "copy" | "cut";

  constructor(folder: string, how: "rename" | "copy" | "cut") {
    this.#how = how;
    this.path = join(folder, "app.log");
    writeFileSync(this.path, "begin\n");
    this.#touch(this.path);
    this.#file = this.#start("end");
    this.#poll(1_000_000, 1_000);
    this.#kept = this.#keep();
  }
  take(step: Step): void {
    if (step.do === "write") this.#write(step.lines);
    if (step.do === "turn") this.#turn();
    if (step.do === "poll") this.#poll(step.bytes, step.looks);
    if (step.do === "save") this.#kept = this.#keep();
    if (step.do === "wait") this.#now += 6_000;
    if (step.do === "kill") {
      this.#file.close();
      this.#heard = [...this.#kept.heard];
      this.#file = this.#start(FileState.parse(JSON.parse(this.#kept.state)));
    }
  }
  /** All that is heard once nothing happens any more, and what is told of losses. */
  end(): { heard: readonly string[]; lostBytes: number; cuts: number } {
    for (let i = 0; i < 20; i += 1) {
      this.#now += 3_000;
      this.#poll(1_000_000, 1_000);
    }
    this.#file.close();
    const { lostBytes, cuts } = this.#file.state;
    return { heard: this.#heard.toSorted(), lostBytes, cuts };
  }
  #start(from: FileState | "end"): FollowedFile {
    const onLines = (bytes: Buffer): void => void this.#heard.push(...bytes.toString().split("\n").slice(0, -1));
    return new FollowedFile(this.path, onLines, from);
  }
  #keep(): { state: string; heard: string[] } {
    return { state: JSON.stringify(this.#file.state), heard: [...this.#heard] };
  }
  #poll(bytes: number, looks: number): void {
    let left = looks;
    this.#now += 1_000;
    this.#file.poll(this.#now, { bytes, more: () => left-- > 0 });
  }
  #write(lines: number): void {
    for (let i = 0; i < lines; i += 1) appendFileSync(this.path, `tick ${this.written++}\n`);
    this.#touch(this.path);
  }
  #turn(): void {
    if (this.turns >= MOST_TURNS) return;
    this.turns += 1;
    for (let i = MOST_TURNS; i >= 1; i -= 1)
      if (existsSync(`${this.path}.${i}`)) renameSync(`${this.path}.${i}`, `${this.path}.${i + 1}`);
    if (this.#how === "rename") {
      renameSync(this.path, `${this.path}.1`);
      writeFileSync(this.path, "");
    } else {
      if (this.#how === "copy") {
        copyFileSync(this.path, `${this.path}.1`);
        this.#touch(`${this.path}.1`);
      }
      truncateSync(this.path);
    }
    this.#touch(this.path);
  }
  #touch(path: string): void {
    this.#at += 1;
    utimesSync(path, this.#at, this.#at);
  }
}

/** Scripts of some length: short ones find nothing. */
const steps = fc.array(step, { minLength: 10, maxLength: 60, size: "max" });
const everyLine = (count: number): string[] => Array.from({ length: count }, (_, i) => `tick ${i}`).toSorted();

function play(script: readonly Step[], how: "rename" | "copy" | "cut") {
  using folder = tempFolder("vigil-any-order");
  const field = new Field(folder.path, how);
  for (const one of script) field.take(one);
  return { ...field.end(), every: everyLine(field.written), turns: field.turns };
}

describe("a follower with little time, killed at any moment", () => {
  test.each(["rename", "copy"] as const)("hears each line once of a log that is rotated by %s", (how) => {
    fc.assert(
      fc.property(steps, (script) => {
        const { heard, every, lostBytes } = play(script, how);
        expect(heard).toEqual(every);
        expect(lostBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("hears no line twice of a log that is cut without a copy, and tells that some may be lost", () => {
    fc.assert(
      fc.property(steps, (script) => {
        const { heard, every, turns, cuts } = play(script, "cut");
        const missing = new Set(every).difference(new Set(heard));
        expect(heard).toEqual(every.filter((line) => !missing.has(line)));
        if (turns === 0) expect(missing.size).toBe(0);
        if (missing.size > 0) expect(cuts).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });
});
