import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ExportReader } from "../../../agent/checks/logs/export.ts";
import { JournalFollower, lineOf } from "../../../agent/checks/logs/journal.ts";
import { LogsState } from "../../../agent/checks/logs/keep.ts";
import { logs } from "../../../agent/checks/logs/logs.ts";
import { systemClock } from "../../../platform/clock.ts";
import { followProgram } from "../../../platform/follow-program.ts";
import { runProgram } from "../../../platform/run.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { needsJournald, openJournald } from "../../kit/journald.ts";
import { freePort } from "../../kit/ports.ts";
import { agentProgram, until } from "../../kit/stack.ts";
import { tempFolder } from "../../kit/temp.ts";

type Fields = Record<string, string | Buffer>;

/** As systemd writes it: what is text by its line, the rest by its length. */
function exported(entry: Fields): Buffer {
  const parts = Object.entries(entry).map(([name, value]) => {
    const bytes = Buffer.from(value);
    const isPlain = typeof value === "string" && !/[^\P{Cc}\t]/u.test(value);
    if (isPlain) return Buffer.concat([Buffer.from(`${name}=`), bytes, Buffer.from("\n")]);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(bytes.length));
    return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from("\n")]);
  });
  return Buffer.concat([...parts, Buffer.from("\n")]);
}
const readAll = (bytes: Buffer, cuts: readonly number[], wanted: readonly string[]): Fields[] => {
  const reader = new ExportReader(wanted);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.flatMap((from, i) =>
    reader.push(bytes.subarray(from, places[i + 1] ?? bytes.length)).map((entry) => Object.fromEntries(entry)),
  );
};

describe("the export format of the journal", () => {
  test("is read whole, however it comes in pieces, with values of any bytes", () => {
    const value = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 30 }),
      fc.string({ unit: "binary-ascii", maxLength: 30 }),
      fc.constant("two\nlines=1\n\nMESSAGE=no"),
      fc.constant("x".repeat(20_000)),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    );
    const entry: fc.Arbitrary<Record<"__CURSOR" | "MESSAGE" | "OTHER" | "_PID", string | Buffer>> = fc.record({
      __CURSOR: fc.stringMatching(/^[0-9a-f]{1,20}$/),
      MESSAGE: value,
      OTHER: value,
      _PID: fc.constant("7"),
    });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 6 }), (entries, cuts) => {
        const read = readAll(Buffer.concat(entries.map((one) => exported(one))), cuts, ["__CURSOR", "MESSAGE"]);
        const kept = (one: string | Buffer): string => Buffer.from(one).subarray(0, 8_192).toString("utf8");
        expect(read).toEqual(
          entries.map(({ __CURSOR, MESSAGE }) => ({ __CURSOR: kept(__CURSOR), MESSAGE: kept(MESSAGE) })),
        );
      }),
    );
  });

  test("of any other bytes nothing is made but an error, and little is kept", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (pieces) => {
        const reader = new ExportReader(["MESSAGE"]);
        try {
          for (const piece of pieces) reader.push(Buffer.from(piece));
        } catch (cause) {
          expect(String(cause)).toContain("export format");
        }
      }),
    );
    const reader = new ExportReader(["MESSAGE"]);
    reader.push(Buffer.from("MESSAGE="));
    for (let i = 0; i < 200; i += 1) reader.push(Buffer.alloc(65_536, 0x78)); // a line that never ends
    expect(reader.push(Buffer.from("\n\n"))[0]?.get("MESSAGE")).toHaveLength(8_192);
  });

  test("a line is who said what; the kernel is known by how it came, not by what it is called", () => {
    const line = (fields: Record<string, string>) => lineOf(new Map(Object.entries(fields)));
    expect(line({ SYSLOG_IDENTIFIER: "sshd", _PID: "7", MESSAGE: "hi" })).toEqual({
      line: "sshd[7]: hi",
      isKernel: false,
    });
    expect(line({ SYSLOG_IDENTIFIER: "kernel", _TRANSPORT: "kernel", MESSAGE: "oops" })).toEqual({
      line: "kernel: oops",
      isKernel: true,
    });
    expect(line({ SYSLOG_IDENTIFIER: "kernel", _TRANSPORT: "syslog", MESSAGE: "oops" }).isKernel).toBe(false);
    expect(line({ SYSLOG_IDENTIFIER: "init", _TRANSPORT: "kernel", MESSAGE: "oops" }).isKernel).toBe(false);
    expect(line({ MESSAGE: "bare" }).line).toBe("bare");
  });
});

describe("a program that is followed", () => {
  /** A stand-in for journalctl: what it is told to print, and how it ends. */
  const stub = (script: string) => async () =>
    followProgram({ argv: ["/bin/sh", "-c", script], bufferBytes: 1_048_576 });
  const order = { priority: "info", literals: ["tick"] };
  const run = async (): Promise<string> => "__CURSOR=c0\n\n";

  test("that dies is started again, later and later, and said to be in trouble; the cursor goes with it", async () => {
    const clock = new HandClock();
    const lines: string[] = [];
    const argvs: string[] = [];
    const follow = async ({ argv }: { argv: readonly string[] }) => {
      argvs.push(argv.at(-1) ?? "");
      return stub(`printf '__CURSOR=c${argvs.length}\\nMESSAGE=tick\\n\\n'; echo no luck >&2; exit 3`)();
    };
    const journal = new JournalFollower(order, undefined, { follow, run, clock }, (line) => lines.push(line));
    for (const pauseMs of [0, 1_000, 2_000, 4_000]) {
      const known = lines.length;
      await clock.wind(pauseMs);
      await expect.poll(() => polled(journal, () => lines.length)).toBe(known + 1);
      await expect.poll(() => polled(journal, () => journal.trouble)).toBe("journalctl ended: exit code 3 (no luck)");
    }
    await clock.wind(7_000); // not yet
    journal.poll();
    expect(argvs).toEqual(["c0", "c1", "c2", "c3"].map((cursor) => `--after-cursor=${cursor}`));
    expect(journal.cursor).toBe("c4");
    journal.close();
  });

  test("built without pattern matching: it is asked for everything instead", async () => {
    const argvs: string[][] = [];
    const follow = async ({ argv }: { argv: readonly string[] }) => {
      argvs.push([...argv]);
      return stub("echo Compiled without pattern matching support >&2; exit 1")();
    };
    const clock = new HandClock();
    const journal = new JournalFollower(order, "c9", { follow, run, clock }, () => {});
    await expect.poll(() => polled(journal, () => journal.trouble)).toBeDefined();
    await clock.wind(1_000);
    await expect.poll(() => polled(journal, () => argvs.length)).toBe(2);
    expect(argvs.map((argv) => argv.some((word) => word.startsWith("--grep=")))).toEqual([true, false]);
    journal.close();
  });

  test("that prints without end waits until it is read, and is ended with all it started", async () => {
    const child = followProgram({ argv: ["/bin/sh", "-c", "sleep 1000 & echo $!; yes tick"], bufferBytes: 100_000 });
    let most = 0;
    let grandchild = 0;
    for (let taken = 0; taken < 20; ) {
      await systemClock.sleep(10);
      const bytes = child.take();
      if (bytes === undefined) continue;
      taken += 1;
      if (grandchild === 0) grandchild = Number.parseInt(bytes.toString(), 10);
      most = Math.max(most, bytes.length);
    }
    expect(most).toBeLessThan(400_000);
    child.close();
    await expect.poll(() => child.ended).toBeDefined();
    await expect.poll(() => isAlive(grandchild)).toBe(false);
  });

  test("that does not exist has ended at once, with the reason", async () => {
    const child = followProgram({ argv: ["/no/such/program"], bufferBytes: 1_000 });
    await expect.poll(() => child.ended?.exit).toContain("ENOENT");
  });
});

const newestState = (runtimeDir: string): LogsState | undefined => {
  try {
    const texts = readdirSync(runtimeDir)
      .filter((name) => name.startsWith("logs"))
      .map((name) => readFileSync(join(runtimeDir, name), "utf8").split("\n"));
    const [newest] = texts.toSorted((a, b) => Number(b[1]) - Number(a[1]));
    return newest?.[2] === undefined ? undefined : LogsState.parse(JSON.parse(newest[2]));
  } catch {
    return undefined; // between two writes, or not there yet
  }
};

/** Pids of the children of `pid` by name. */
const childrenOf = (pid: number, name: string): string[] =>
  readdirSync("/proc").filter((entry) => {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      return stat.includes(`(${name})`) && Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid;
    } catch {
      return false;
    }
  });

/** A process that is dead but not yet taken note of by its parent is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Asks what came after the follower took it in. */
function polled<T>(follower: JournalFollower, what: () => T): T {
  follower.poll();
  return what();
}

describe.skipIf(needsJournald())("a real journal", () => {
  test("is followed by one idle child over a kill of the agent: each line once, the kernel's among them", async () => {
    await using journal = await openJournald();
    using folder = tempFolder("vigil-journal");
    const patterns = [
      { id: "tick", titleZh: "滴答", titleEn: "Tick", literal: "tick [", regex: "tick \\[\\d+\\]", count: 1_000 },
    ];
    await using agent = agentProgram(
      folder.path,
      await freePort(),
      { checks: { logs: { patterns } } },
      { space: journal.space },
    );
    await journal.write("app", "tick [0] from before the first start");
    const state = (): LogsState | undefined => newestState(join(folder.path, "agent-run"));
    const count = (id: string): number => state()?.tallies[id]?.total ?? 0;
    agent.start();
    await until("the journal is followed", 20_000, () => state()?.journal !== undefined);
    await until("its child runs", 20_000, () => childrenOf(agent.pid, "journalctl").length === 1);
    await journal.write("app", "tick [1]", "tock", "tick [2]", "tick [x]");
    await until("two are counted", 20_000, () => count("tick") === 2);
    const [child = ""] = childrenOf(agent.pid, "journalctl");
    await agent.end("SIGKILL");
    await journal.write("app", "tick [3]", "a \u001b[31m tick [4] of\u0007 many");
    await until("its child ends with it", 20_000, () => !readdirSync("/proc").includes(child));
    agent.start();
    await until("four are counted", 20_000, () => count("tick") === 4);
    await journal.write(
      "sshd",
      ...Array.from({ length: 10 }, (_, i) => `Failed password for root from 10.0.0.${i} port 22 ssh2`),
    );
    await journal.write("app", "oom: Out of memory: Killed process 1 (this is no kernel)");
    await until("ten are counted", 20_000, () => count("auth-failed") === 10);
    expect(state()?.tallies["auth-failed"]).toMatchObject({ raised: true, where: "the journal" });
    expect(JSON.stringify(state())).not.toContain("this is no kernel"); // the kernel's own word may be there: it is this machine's
    expect(count("tick")).toBe(4);
    expect(Object.keys(state()?.files ?? {})).toEqual([]);
    await agent.end("SIGTERM");
    expect(agent.words()).not.toContain("unknown");
  });

  test("nothing that was there before the first start counts; what comes after it does, even to a follower of a folder", async () => {
    await using journal = await openJournald();
    const folder = readdirSync(journal.space.at("/run/log/journal")).map((name) =>
      journal.space.at(`/run/log/journal/${name}`),
    )[0];
    await journal.write("app", "handtick before");
    const lines: string[] = [];
    const ports = {
      follow: async (order: Parameters<typeof followProgram>[0]) => followProgram(order),
      run: (order: Parameters<typeof runProgram>[0]) => runProgram(order, systemClock),
      clock: systemClock,
    };
    const follower = new JournalFollower(
      { directory: folder, priority: "info", literals: ["tick", "a.b|c"] },
      undefined,
      ports,
      (line) => lines.push(line.replace(/\[\d+\]/, "")),
    );
    await until("the end is found", 10_000, () => polled(follower, () => follower.cursor !== undefined));
    await journal.write("app", "handtick after", "axb", "a.b|c", "Tick");
    await until("both are told", 10_000, () => polled(follower, () => lines.length >= 2));
    expect(lines).toEqual(["app: handtick after", "app: a.b|c"]);
    expect(follower.trouble).toBeUndefined();
    follower.close();
    const { keep: _keep, ...byHand } = checkPorts(folder ?? "");
    const pattern = { id: "tick", titleZh: "滴答", titleEn: "Tick", literal: "handtick" };
    const config = logs.Config.parse({ journal: { directory: folder }, patterns: [pattern] });
    const verdicts = await logs.begin(config, byHand)?.judge(new AbortController().signal);
    expect(verdicts?.map(({ subject }) => subject)).toContain("journal");
    expect(verdicts?.find(({ subject }) => subject === "tick")).toMatchObject({ grade: "warning", value: 2 });
  });
});
