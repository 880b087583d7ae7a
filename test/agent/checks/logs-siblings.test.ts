import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Siblings } from "../../../agent/checks/logs/siblings.ts";
import { systemClock } from "../../../platform/clock.ts";
import { lookAt } from "../../../platform/growing-file.ts";
import { startChild } from "../../kit/child.ts";
import { until } from "../../kit/stack.ts";
import { tempFolder } from "../../kit/temp.ts";

const CASCADE = join(import.meta.dirname, "../../kit/log-cascade.ts");
const COUNT = 24;

/** `COUNT` rotated files of one log, each with its number in it, that are renamed all the time while `work` runs. */
async function renamed(work: (path: string, renaming: () => Promise<void>) => Promise<void>): Promise<void> {
  using folder = tempFolder("vigil-siblings");
  const path = join(folder.path, "app.log");
  for (let i = 1; i <= COUNT; i += 1) writeFileSync(`${path}.${i}`, `${i}\n`);
  await using over = new AsyncDisposableStack();
  await work(path, async () => {
    const words = ["--disable-warning=ExperimentalWarning", CASCADE, path, String(COUNT)];
    const child = startChild(process.execPath, words);
    over.defer(() => child.kill9());
    await until("it renames", 20_000, () => child.output() !== "");
  });
}

test("no rotated file is missed while all of them are renamed", () =>
  renamed(async (path, renaming) => {
    const siblings = new Siblings(path);
    const inodes = (): string[] => siblings.all().map((key) => key.split(":")[0] ?? "");
    const all = inodes().toSorted();
    expect(all).toHaveLength(COUNT);
    await renaming();
    for (let i = 0; i < 1_000; i += 1) {
      expect(inodes().toSorted()).toEqual(all);
      if (i % 50 === 0) await systemClock.sleep(1);
    }
  }));

test("a rotated file is opened, it and no other, while all of them are renamed", () =>
  renamed(async (path, renaming) => {
    const siblings = new Siblings(path);
    const own = lookAt(`${path}.7`);
    if (own === undefined) throw new Error("it is not there");
    await renaming();
    for (let i = 0; i < 1_000; i += 1) {
      const file = siblings.open({ ...own, offset: 0, tail: "" });
      const bytes = Buffer.alloc(8);
      expect(bytes.toString("latin1", 0, file?.read(bytes, 8, 0))).toBe("7\n");
      file?.close();
      if (i % 50 === 0) await systemClock.sleep(1);
    }
  }));
