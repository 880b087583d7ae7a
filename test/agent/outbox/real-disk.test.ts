import { spawn } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openJournal } from "../../../agent/outbox/journal.ts";
import type { Outbox } from "../../../agent/outbox/outbox.ts";
import { systemClock } from "../../../platform/clock.ts";
import { folderAt } from "../../../platform/files.ts";
import { alarmDraft, codes, expectSound, tell } from "../../kit/drafts.ts";
import { silentLog } from "../../kit/logs.ts";
import { fillUp, needsMounts, openMountSpace } from "../../kit/mount-space.ts";
import { until } from "../../kit/stack.ts";
import { tempFolder } from "../../kit/temp.ts";

/** Real writes take real time: the clock is the machine's, and a second try comes soon. */
const open = (path: string): Promise<Outbox> =>
  openJournal({ folder: folderAt(path), clock: systemClock, log: silentLog, maxBytes: 131_072, healEveryMs: 20 });

describe("on a real disk", () => {
  test("kill -9 at any moment: what was said to be on flash is there, numbers and names go on", async () => {
    using folder = tempFolder("journal");
    const path = join(folder.path, "state");
    let last = { boot: "", seq: 0 };
    for (let kill = 0; kill < 8; kill += 1) {
      const lines = await writeUntilKilled(path, 20 + 37 * kill);
      const [head = "", ...numbers] = lines;
      const [, boot = "", durable] = head.split(" ");
      expect(durable).toBe("true");
      expect(boot > last.boot).toBe(true);
      for (const [at, seq] of numbers.map(Number).entries()) expect(seq).toBeGreaterThan(at === 0 ? last.seq : 0);
      await using outbox = await open(path);
      expectSound(outbox);
      const seq = Number(numbers.at(-1));
      expect(outbox.seq).toBeGreaterThanOrEqual(seq);
      expect(outbox.seq).toBeLessThanOrEqual(seq + 1); // the one that was being written
      const own = outbox.pending().filter(({ body }) => body.boot === boot);
      expect(own.map(({ body }) => body.seq)).toContain(seq);
      expect(outbox.latest().length).toBeLessThanOrEqual(5);
      last = { boot: outbox.boot, seq: outbox.seq };
      outbox.free({ boot: outbox.boot, seq: outbox.seq });
    }
  });

  test("two agents in one folder: the second keeps to its memory until the first is gone", async () => {
    using folder = tempFolder("journal");
    const path = join(folder.path, "state");
    const writer = spawn(process.execPath, [join(import.meta.dirname, "../../kit/journal-writer.ts"), path], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const gone = new Promise((done) => writer.once("exit", done));
    await new Promise((done) => writer.stdout.once("data", done));
    const second = await open(path);
    expect(second.stats().because).toContain(`process ${writer.pid}`);
    await tell(second, alarmDraft("mine"));
    writer.kill("SIGKILL");
    await gone;
    await untilDurable(second);
    await second[Symbol.asyncDispose]();
    await using third = await open(path);
    expect(codes(third.pending())).toContain("mine");
  });

  test.each([
    ["removed", (path: string) => rmSync(path, { recursive: true })],
    ["renamed", (path: string) => renameSync(path, `${path}.old`)],
    ["emptied", (path: string) => ["journal.a", "journal.b"].map((name) => rmSync(join(path, name)))],
  ] as const)(
    "the folder is %s while we run: it is noticed, made anew, and nothing active is lost",
    async (_, harm) => {
      using folder = tempFolder("journal");
      const path = join(folder.path, "state");
      const outbox = await open(path);
      await tell(outbox, alarmDraft("before"));
      outbox.free({ boot: outbox.boot, seq: outbox.seq });
      harm(path);
      const { boot } = outbox;
      await tell(outbox, alarmDraft("after"));
      expect(outbox.stats()).toMatchObject({ durable: false, because: expect.stringContaining("taken away") });
      await untilDurable(outbox);
      expect(outbox.boot).toBe(boot);
      await outbox[Symbol.asyncDispose]();
      await using again = await open(path);
      expect(codes(again.latest())).toEqual(["before", "after"]);
      expect(codes(again.pending())).toEqual(["after"]);
      expect(again.boot > boot).toBe(true);
    },
  );

  test.skipIf(needsMounts())(
    "unmounted while we run: it is noticed, and the journal goes on where the next start will look",
    async () => {
      using space = openMountSpace();
      const mount = space.mountExt4("frail", { megabytes: 8 });
      const path = join(space.at(mount), "state");
      const outbox = await open(path);
      await tell(outbox, alarmDraft("before"));
      space.run("umount", "-l", mount);
      await tell(outbox, alarmDraft("after"));
      expect(outbox.stats().durable).toBe(false);
      await untilDurable(outbox);
      await outbox[Symbol.asyncDispose]();
    },
  );

  test.skipIf(needsMounts())(
    "full to the last block: alarms are durable, over compactions and a new start",
    async () => {
      using space = openMountSpace();
      const mount = space.mountExt4("full", { megabytes: 8 });
      const path = join(space.at(mount), "state");
      await (await open(path))[Symbol.asyncDispose]();
      fillUp(join(space.at(mount), "filler"));
      const outbox = await open(path);
      for (let since = 1; since <= 400; since += 1) {
        await tell(outbox, alarmDraft(`c${since % 3}`, since % 2 === 0, since));
        outbox.free({ boot: outbox.boot, seq: outbox.seq - 1 });
      }
      expect(outbox.stats()).toMatchObject({ durable: true });
      await outbox[Symbol.asyncDispose]();
      await using again = await open(path);
      expect(again.stats().durable).toBe(true);
      expect(again.seq).toBe(400);
      expect(again.latest().map(({ body }) => body.since)).toEqual([398, 399, 400]);
    },
  );

  test.skipIf(needsMounts())("full before the first start: in memory, durable as soon as there is room", async () => {
    using space = openMountSpace();
    const mount = space.mountExt4("full", { megabytes: 8 });
    const path = join(space.at(mount), "state");
    fillUp(join(space.at(mount), "filler"));
    const outbox = await open(path);
    await tell(outbox, alarmDraft("disk"));
    expect(outbox.stats()).toMatchObject({ durable: false, because: expect.stringContaining("ENOSPC") });
    rmSync(join(space.at(mount), "filler"));
    await untilDurable(outbox);
    await outbox[Symbol.asyncDispose]();
    await using again = await open(path);
    expect(codes(again.latest())).toEqual(["disk"]);
  });

  test.skipIf(needsMounts())(
    "read-only: the ledger is known, alarms are kept in memory; durable once it can be written",
    async () => {
      using space = openMountSpace();
      const mount = space.mountExt4("ro", { megabytes: 8 });
      const path = join(space.at(mount), "state");
      mkdirSync(path);
      const first = await open(path);
      await tell(first, alarmDraft("before"));
      await first[Symbol.asyncDispose]();
      space.run("mount", "-o", "remount,ro", mount);
      const outbox = await open(path);
      expect(codes(outbox.latest())).toEqual(["before"]);
      await tell(outbox, alarmDraft("during"));
      expect(outbox.stats()).toMatchObject({ durable: false, because: expect.stringContaining("EROFS") });
      space.run("mount", "-o", "remount,rw", mount);
      await untilDurable(outbox);
      await outbox[Symbol.asyncDispose]();
      await using again = await open(path);
      expect(codes(again.pending())).toEqual(["before", "during"]);
    },
  );
});

const untilDurable = (outbox: Outbox): Promise<boolean> => until("durable again", 20_000, () => outbox.stats().durable);

/** Starts the writer, kills it after so many lines, returns all it said. */
async function writeUntilKilled(path: string, lines: number): Promise<string[]> {
  const writer = spawn(process.execPath, [join(import.meta.dirname, "../../kit/journal-writer.ts"), path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  writer.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    if (text.split("\n").length > lines) writer.kill("SIGKILL");
  });
  await new Promise((done) => writer.once("close", done));
  return text.split("\n").slice(0, -1);
}
