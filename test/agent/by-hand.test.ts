import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { roundByHand } from "../../agent/by-hand.ts";
import { authHold, credentialsKey } from "../../agent/checks/stream/auth-hold.ts";
import { check, daily } from "../../agent/commands.ts";
import { systemClock } from "../../platform/clock.ts";
import { machineAt } from "../../platform/machine.ts";
import { slotAt } from "../../platform/slot.ts";
import { DailyCheck } from "../../protocol/daily.ts";
import { allOff } from "../kit/all-off.ts";
import { needs, programPath } from "../kit/peers.ts";
import { freePort } from "../kit/ports.ts";
import { rawServer } from "../kit/servers.ts";
import { awaitProgram } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

const MAIN = join(import.meta.dirname, "../../agent/main.ts");
const config = (checks: Record<string, unknown>) =>
  JSON.stringify({ device: "ft-0042", brokers: [{ host: "127.0.0.1", port: 9 }], checks });

function order(folder: string, text: string) {
  const file = join(folder, "agent.json");
  writeFileSync(file, text);
  const said: string[] = [];
  return {
    said,
    parts: {
      ...{ file, fallback: "/nonexistent", json: false, lang: "en", self: ["vigil-agent"] as const, version: "9.9.9" },
      ...{ clock: systemClock, machine: machineAt(), signal: new AbortController().signal },
      say: (piece: string) => {
        said.push(piece);
        return 0;
      },
    },
  };
}

test("on this very machine, with every check on, as a person at the device would: zh and en", async () => {
  for (const [lang, words] of [
    [
      "zh",
      /^检查 +对象 +状态 +依据\n[\s\S]*\n无此项: [\s\S]*\n共 18 项检查、\d+ 个对象：.*\n\n(正常|警告|严重|未知)\n$/,
    ],
    [
      "en",
      /^check +subject +state +evidence\n[\s\S]*\nnot present: [\s\S]*\n18 checks, \d+ subjects: .*\n\n(OK|WARNING|CRITICAL|UNKNOWN)\n$/,
    ],
  ] as const) {
    using folder = tempFolder();
    const file = join(folder.path, "agent.json");
    writeFileSync(file, config({ network: { gateway: { enabled: false } } })); // nothing beyond this machine
    const done = await awaitProgram("agent/main.ts", ["check", "--config", file, "--lang", lang]);
    expect(done.out).toMatch(words);
    expect(done.err).toBe(""); // no progress where nobody looks
    expect(done.out).toMatch(lang === "zh" ? /磁盘 +\// : /Disk +\//);
  }
});

test("a password that the running agent saw refused is not tried again by hand: a cron job would lock the account", async () => {
  using folder = tempFolder();
  const asked: string[] = [];
  await using server = await rawServer((socket) => {
    socket.on("data", (bytes: Buffer) => asked.push(bytes.toString()));
  });
  const url = `rtsp://127.0.0.1:${server.port}/main`;
  const passwordFile = join(folder.path, "password");
  writeFileSync(passwordFile, "wrong", { mode: 0o600 });
  const agent = authHold(slotAt(folder.path, "stream-auth"), machineAt(), systemClock);
  agent.refused("main", await credentialsKey(url, "admin", passwordFile));
  const targets = [{ name: "main", type: "rtsp", url, user: "admin", passwordFile }];
  const whole = { ...JSON.parse(config({ stream: { targets } })), runtimeDir: folder.path };
  const { parts, said } = order(folder.path, JSON.stringify(whole));
  await check({ ...parts, check: "stream" });
  expect(said[0]).toMatch(/Stream refuses user or password[\s\S]*no new try for \d+ min/);
  expect(asked).toEqual([]); // the way to its host is looked at, no more
});

describe("only some of the checks", () => {
  test("are asked by their ids; one that is switched off says so; an unknown one is named with those there are", async () => {
    using folder = tempFolder();
    const { parts, said } = order(folder.path, config({ wear: { enabled: false } }));
    expect(await check({ ...parts, check: "memory, wear" })).toBe(0);
    expect(said[0]).toMatch(/^check +subject[\s\S]*Memory +ram +ok/);
    expect(said[0]).toContain("switched off:");
    expect(said[0]).toContain("2 checks, 1 subjects: ok 1, switched off 1");
    await expect(check({ ...parts, check: "disc" })).rejects.toThrow(/no check "disc"; there are disk, memory,/);
    const wrong = await awaitProgram("agent/main.ts", ["check", "--check", "disc"]);
    expect([wrong.code, wrong.out]).toEqual([3, ""]);
  });

  test("as JSON they are lines of the same shape as ever", async () => {
    using folder = tempFolder();
    const { parts, said } = order(folder.path, config({ power: { enabled: false } }));
    await check({ ...parts, json: true, check: "memory,power" });
    const { device, exit, checks } = JSON.parse(said[0] ?? "");
    expect([device, exit]).toEqual(["ft-0042", 0]);
    expect(checks).toEqual([
      {
        ...{ check: "memory", name: expect.objectContaining({ en: "Memory" }), subject: "ram", state: "ok" },
        ...{ says: expect.any(String), readings: expect.objectContaining({ available_pct: expect.any(Number) }) },
      },
      { check: "power", name: expect.anything(), state: "disabled" },
    ]);
    said.splice(0);
    await check({ ...parts, json: true });
    expect(said[0]).not.toContain('"disabled"'); // as it was: only what is on
  });
});

test("what hangs is cut by the overall deadline and named; the others have answered", async () => {
  using folder = tempFolder();
  const plugin = join(folder.path, "check_hangs");
  writeFileSync(plugin, "#!/bin/sh\nexec sleep 600\n", { mode: 0o755 });
  const hangs = { plugins: [{ name: "hangs", argv: [plugin], deadlineMs: 60_000 }], deadlineMs: 120_000 };
  const { parts } = order(folder.path, config({ command: hangs }));
  const shown: string[] = [];
  const { checks } = await roundByHand({
    ...parts,
    ...{ only: ["memory", "command"], overallMs: 1_500 },
    waiting: (names) => void shown.push(names.map(({ en }) => en).join()),
  });
  expect(checks[0]).toMatchObject({ kind: { id: "memory" }, said: [{ subject: "ram" }] });
  expect(checks[1]).toMatchObject({ kind: { id: "command" }, said: "did not answer within 1.5 s" });
  expect(shown.length).toBeGreaterThan(1);
  expect(shown.at(-1)).not.toContain("Memory");
});

test.skipIf(needs("script", "bsdutils"))(
  "a person at a terminal sees how far it is, and a table that fits",
  async () => {
    using folder = tempFolder();
    const file = join(folder.path, "agent.json");
    const watch = [{ name: "x".repeat(60), command: "no such program runs here" }];
    writeFileSync(file, config({ ...allOff("process"), process: { watch, bootGraceMs: 0 } }));
    const words = `stty cols 72; exec '${process.execPath}' --disable-warning=ExperimentalWarning '${MAIN}' check -c '${file}' --lang zh`;
    const log = join(folder.path, "typescript");
    const done = spawnSync(programPath("script"), ["-qec", words, log], { encoding: "utf8", timeout: 30_000 });
    expect(done.stdout).toContain("检查中 0/1，等待：");
    const table = done.stdout.slice(done.stdout.lastIndexOf("\u001b[K") + 3).split(/\r?\n/);
    expect(table[0]).toMatch(/^检查 +对象 +状态/);
    for (const one of table) expect(one.length).toBeLessThanOrEqual(72);
    expect(table.join("")).toContain("x".repeat(40));
  },
);

describe("vigil-agent daily", () => {
  test("prints what the day's check would say now: the very message but for its place", async () => {
    using folder = tempFolder();
    const { parts, said } = order(folder.path, config({ wear: { enabled: false } }));
    expect(await daily({ ...parts, json: true })).toBe(0);
    const message = DailyCheck.parse({ ...JSON.parse(said[0] ?? ""), boot: "01JD0000000000000000000000", seq: 1 });
    expect(message).toMatchObject({ agent: "9.9.9", config_hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(new Set(message.checks.map(({ check: id }) => id)).size).toBe(19);
    expect(message.checks).toContainEqual(expect.objectContaining({ check: "wear", state: "disabled" }));
    expect(message.checks).toContainEqual(expect.objectContaining({ check: "memory", subject: "ram", state: "ok" }));
  });

  test("as a table, in zh, as a program of its own; nothing is kept", async () => {
    using folder = tempFolder();
    const file = join(folder.path, "agent.json");
    const port = await freePort();
    const whole = { device: "ft-0042", brokers: [{ host: "127.0.0.1", port }], stateDir: join(folder.path, "state") };
    writeFileSync(file, JSON.stringify({ ...whole, checks: allOff("memory") }));
    const { out, code, err } = await awaitProgram("agent/main.ts", ["daily", "-c", file, "--lang", "zh"]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^日检 \d{4}-\d\d-\d\d ft-0042\n\n检查 +对象 +状态 +依据\n[\s\S]*内存 +ram +正常/);
    expect(out).toContain("未启用: 磁盘、");
    expect(() => machineAt().list(join(folder.path, "state")).length || undefined).toBeDefined();
  });
});
