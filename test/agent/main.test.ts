import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { allOff } from "../kit/all-off.ts";
import { needsFuse, openMountSpace } from "../kit/mount-space.ts";
import { programPath } from "../kit/peers.ts";
import { freePort } from "../kit/ports.ts";
import { agentProgram, awaitProgram, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

const OFF = allOff("process", "self");
const withChecks = (checks: Record<string, unknown>) => ({
  device: "ft-0042",
  brokers: [{ host: "127.0.0.1", port: 9 }],
  checks: { ...OFF, ...checks },
});

async function check(config: unknown) {
  using folder = tempFolder();
  const file = join(folder.path, "agent.json");
  writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config));
  return await awaitProgram("agent/main.ts", ["check", "--config", file, "--lang", "en"]);
}
const watching = (severity: string) => ({
  process: { watch: [{ name: "app", command: "no such program runs here", severity }], bootGraceMs: 0 },
});

describe("check by hand answers as a monitoring plugin does", () => {
  test.each([
    ["nothing is wrong", withChecks({}), 0, "OK"],
    ["level 3", withChecks(watching("minor")), 1, "WARNING"],
    ["level 2", withChecks(watching("major")), 2, "CRITICAL"],
  ])("%s", async (_, config, code, word) => {
    const done = await check(config);
    expect(done).toMatchObject({ code, err: "" });
    expect(done.out.trimEnd().split("\n").at(-1)).toBe(word);
  });

  test.each([
    ["a config that is no JSON", ["check", "-c", "/dev/null"]],
    ["no such file", ["check", "--config", "/no/such/file"]],
    ["a language it does not speak", ["check", "--lang", "fr"]],
    ["an option there is not", ["check", "--colour"]],
  ])("%s says nothing of the device: unknown, not a fault", async (_, words) => {
    expect(await awaitProgram("agent/main.ts", words)).toMatchObject({ code: 3, out: "" });
  });
});

test("other words and configs that are wrong end with 2 and say where", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "agent.json");
  writeFileSync(file, JSON.stringify({ ...withChecks({}), device: "No!" }));
  for (const words of [
    ["run", "-c", file],
    ["config", "--validate", "-c", file],
  ]) {
    const done = await awaitProgram("agent/main.ts", words);
    expect(done.code).toBe(2);
    expect(done.err).toContain('device: "No!"');
  }
  expect(await awaitProgram("agent/main.ts", ["dance"])).toMatchObject({ code: 2 });
  expect(await awaitProgram("agent/main.ts", ["config"])).toMatchObject({ code: 2 });
  expect(await awaitProgram("agent/main.ts", ["--help"])).toMatchObject({ code: 0, err: "" });
});

describe.skipIf(needsFuse())("with a mount that hangs for ever", () => {
  const disk = { disk: { enabled: true, waitMs: 200, deadlineMs: 1_000 } };

  test("check by hand answers, and ends with its exit code", () => {
    using space = openMountSpace();
    space.mountHung("dead");
    const file = join(space.folder, "agent.json");
    writeFileSync(file, JSON.stringify(withChecks(disk)));
    const words = [
      "-t",
      String(space.pid),
      "-m",
      "--",
      process.execPath,
      join(import.meta.dirname, "../../agent/main.ts"),
    ];
    const done = spawnSync(programPath("nsenter"), [...words, "check", "-c", file, "--lang", "en"], {
      encoding: "utf8",
      timeout: 20_000,
      killSignal: "SIGKILL",
    });
    expect(done.stdout).toContain("no answer for");
    expect(done.status).toBe(2);
  });

  test("SIGTERM ends the agent all the same", async () => {
    using space = openMountSpace();
    const hung = space.mountHung("dead");
    await using agent = agentProgram(
      space.folder,
      await freePort(),
      { checks: disk, rounds: { slowMs: 1_000 } },
      { space },
    );
    agent.start();
    await until("the mount is asked", 15_000, () => agent.words().includes("agent.started"));
    await until("a thread waits for it", 15_000, () => waitsIn(agent.pid));
    const gone = agent.end("SIGTERM");
    expect(
      await Promise.race([gone.then(() => "gone"), until("it ends", 15_000, () => !agent.running).then(() => "gone")]),
    ).toBe("gone");
    hung.release();
  });
});

/** Whether some thread of the process waits for an answer of a FUSE file system. */
function waitsIn(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/task`)) return false;
  const { stdout } = spawnSync("sh", ["-c", `cat /proc/${pid}/task/*/wchan /proc/${pid}/task/*/stack 2>/dev/null`], {
    encoding: "utf8",
  });
  return /fuse|request_wait/.test(stdout);
}
