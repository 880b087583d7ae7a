import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LogsState } from "../../../agent/checks/logs/keep.ts";
import { systemClock } from "../../../platform/clock.ts";
import { type Child, startChild } from "../../kit/child.ts";
import { until } from "../../kit/stack.ts";
import { tempFolder } from "../../kit/temp.ts";

const QUIET = "--disable-warning=ExperimentalWarning";
const FOLLOWER = join(import.meta.dirname, "../../kit/log-follower.ts");
const WRITER = join(import.meta.dirname, "../../kit/log-writer.ts");

/** What the agent has kept last. */
function kept(runtimeDir: string): LogsState | undefined {
  const texts = ["logs", "logs-2"].flatMap((name) => {
    const path = join(runtimeDir, name);
    return existsSync(path) ? [readFileSync(path, "utf8").split("\n")] : [];
  });
  const [newest] = texts.filter((lines) => lines[1] === lines[3]).toSorted((a, b) => Number(b[1]) - Number(a[1]));
  return newest?.[2] === undefined ? undefined : LogsState.parse(JSON.parse(newest[2]));
}

/** Follows a log that a program writes at 2,000 lines a second, while whoever reads it is killed again and again. */
async function follow(turn: "rename" | "copy" | "cut"): Promise<{ state: LogsState; written: number; path: string }> {
  using folder = tempFolder("vigil-follow");
  mkdirSync(join(folder.path, "log"));
  const path = join(folder.path, "log", "app.log");
  writeFileSync(path, "begin\n"); // of a file in which nothing was ever seen, nobody can tell that it was cut
  const pattern = {
    id: "tick",
    titleZh: "滴答",
    titleEn: "Tick",
    literal: "tick ",
    regex: "tick \\d+$",
    count: 1_000_000,
  };
  const config = join(folder.path, "logs.json");
  writeFileSync(config, JSON.stringify({ system: false, files: [{ path }], patterns: [pattern] }));
  const start = (): Child => startChild(process.execPath, [QUIET, FOLLOWER, folder.path, config]);
  const state = (): LogsState | undefined => kept(join(folder.path, "run"));
  const total = (): number => state()?.tallies["tick"]?.total ?? 0;
  let follower = start();
  await until("it follows", 20_000, () => state() !== undefined);
  const count = join(folder.path, "count");
  const words = ["--path", path, "--seconds", "4", "--every", "450", "--turn", turn, "--count", count];
  const writer = startChild(process.execPath, [QUIET, WRITER, ...words]);
  const isDone = (): boolean => existsSync(count);
  try {
    let kills = 0;
    for (; !isDone(); kills += 1) {
      const before = total();
      await until("it reads on", 20_000, () => total() > before || isDone());
      await systemClock.sleep(37 * (kills % 7));
      await follower.kill9();
      follower = start();
    }
    expect(kills).toBeGreaterThan(0); // a dozen on a machine at rest
    const written = Number(readFileSync(count, "utf8"));
    if (turn !== "cut") await until(`${written} lines are counted`, 10_000, () => total() >= written).catch(() => {}); // told below, exactly
    await systemClock.sleep(500); // what is counted twice would be counted by now
    await follower.stop();
    const last = state();
    if (last === undefined) throw new Error(follower.output());
    return { state: last, written, path };
  } finally {
    await follower.kill9();
    await writer.kill9();
  }
}

describe("a log at 2,000 lines a second, the follower killed in between", () => {
  test("rotated by rename: no line lost, none counted twice", async () => {
    const { state, written, path } = await follow("rename");
    expect(state.tallies["tick"]?.total).toBe(written);
    expect(state.files[path]?.lostBytes).toBe(0);
  });

  test("copied and cut: what stands in the copy is read there; what a kill between copy and cut hides is told", async () => {
    const { state, written, path } = await follow("copy");
    const total = state.tallies["tick"]?.total ?? 0;
    if (total < written) expect(state.files[path]?.lostBytes).toBeGreaterThan(0);
    expect(Math.abs(total - written)).toBeLessThan(written / 20);
  });

  test("cut without a copy: every cut that may have lost something is told", async () => {
    const { state, written, path } = await follow("cut");
    const total = state.tallies["tick"]?.total ?? 0;
    expect(total).toBeGreaterThan(0);
    expect(total).toBeLessThanOrEqual(written);
    if (total < written) expect(state.files[path]?.cuts).toBeGreaterThan(0);
  });
});
