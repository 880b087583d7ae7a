import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { runProgram } from "../../platform/run.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { tempFolder } from "../kit/temp.ts";

const roomy = { deadlineMs: 20_000, outputCapBytes: 65_536 };
const run = (...argv: [string, ...string[]]) => runProgram({ argv, ...roomy }, systemClock);

test("what a program printed is what it answers", async () => {
  expect(await run("printf", "%s\\n", "温度 ok")).toBe("温度 ok\n");
  expect(await run("true")).toBe("");
});

test("no shell reads the arguments", async () => {
  expect(await run("printf", "%s|", "$(id)", "; id", "*", "a b")).toBe("$(id)|; id|*|a b|");
});

test("an exit code but 0 is a failure with the program's last words", async () => {
  await expect(run("sh", "-c", "echo out; echo no such disk >&2; exit 3")).rejects.toMatchObject({
    code: "RUN_FAILED",
    facts: { program: "sh", exit: "3", stderr: "no such disk" },
  });
});

test("a program ended by a signal is a failure that names it", async () => {
  await expect(run("sh", "-c", "kill -TERM $$")).rejects.toMatchObject({
    code: "RUN_FAILED",
    facts: { exit: "SIGTERM" },
  });
});

test.each(["vigil-no-such-program", "/etc", "/no/such/path"])("%s cannot be run: missing", async (program) => {
  await expect(run(program)).rejects.toMatchObject({ code: "RUN_MISSING", facts: { program } });
});

test("printing exactly as much as it may is fine, one byte more ends it", async () => {
  const argv: [string, ...string[]] = ["head", "-c", "5000", "/dev/zero"];
  expect(await runProgram({ argv, deadlineMs: 20_000, outputCapBytes: 5_000 }, systemClock)).toHaveLength(5_000);
  await expect(runProgram({ argv, deadlineMs: 20_000, outputCapBytes: 4_999 }, systemClock)).rejects.toMatchObject({
    code: "RUN_OUTPUT",
  });
});

test("a program that prints for ever is ended at the cap", async () => {
  await expect(run("yes")).rejects.toMatchObject({ code: "RUN_OUTPUT" });
});

test("past its deadline it is ended with all its children", async () => {
  using folder = tempFolder();
  const note = join(folder.path, "pids");
  const clock = new HandClock();
  const script = `sleep 1000 & echo "$$ $!" > ${note}.new; mv ${note}.new ${note}; wait`;
  const outcome = runProgram({ argv: ["sh", "-c", script], deadlineMs: 5_000, outputCapBytes: 10 }, clock);
  const failed = expect(outcome).rejects.toMatchObject({ code: "RUN_DEADLINE" });
  const pids = (await written(note)).trim().split(" ").map(Number);
  expect(pids.every(alive)).toBe(true);
  await clock.wind(4_999);
  expect(pids.every(alive)).toBe(true);
  await clock.wind(1);
  await failed;
  while (pids.some(alive)) await systemClock.sleep(5);
});

test("a child left behind in the group is ended too, and does not outlive the deadline by holding the output open", async () => {
  using folder = tempFolder();
  const note = join(folder.path, "pid");
  const clock = new HandClock();
  const script = `sleep 1000 & echo $! > ${note}.new; mv ${note}.new ${note}; exit 0`;
  const outcome = runProgram({ argv: ["sh", "-c", script], deadlineMs: 5_000, outputCapBytes: 10 }, clock);
  const failed = expect(outcome).rejects.toMatchObject({ code: "RUN_DEADLINE" });
  const pid = Number(await written(note));
  await clock.wind(5_000);
  await failed;
  while (alive(pid)) await systemClock.sleep(5);
});

test("it is ended, with its children, when its owner ends", async () => {
  using folder = tempFolder();
  const mark = join(folder.path, "pid");
  const cut = new AbortController();
  const argv: [string, ...string[]] = ["sh", "-c", `sleep 60 & echo $! > ${mark}.new; mv ${mark}.new ${mark}; wait`];
  const outcome = runProgram({ argv, ...roomy, signal: cut.signal }, systemClock);
  outcome.catch(() => undefined);
  const child = Number(await written(mark));
  cut.abort();
  await expect(outcome).rejects.toMatchObject({ code: "RUN_FAILED" });
  while (alive(child)) await systemClock.sleep(5);
  await expect(runProgram({ argv, ...roomy, signal: cut.signal }, systemClock)).rejects.toMatchObject({
    code: "RUN_FAILED",
  });
});

test("an exit code that is an answer comes with what was printed; an end by a signal is none", async () => {
  const codes: number[] = [];
  const exited = (code: number): number => codes.push(code);
  const asked = (script: string) => runProgram({ argv: ["sh", "-c", script], ...roomy, exited }, systemClock);
  expect(await asked("echo bad; exit 2")).toBe("bad\n");
  expect(await asked("echo well")).toBe("well\n");
  await expect(asked("kill -KILL $$")).rejects.toMatchObject({ code: "RUN_FAILED", facts: { exit: "SIGKILL" } });
  expect(codes).toEqual([2, 0]);
});

test("it sees the environment and the folder it is given, and nothing of ours", async () => {
  const env = { PATH: "/usr/bin:/bin", A: "1" };
  const said = await runProgram({ argv: ["sh", "-c", "pwd; env"], ...roomy, env, cwd: "/" }, systemClock);
  expect(said.split("\n").toSorted()).toEqual(["", "/", "A=1", "PATH=/usr/bin:/bin", "PWD=/"]);
});

test.skipIf(process.getuid?.() !== 0)("it runs as the user it is given, without our groups", async () => {
  const argv: [string, ...string[]] = ["sh", "-c", "id -u; id -g; id -G"];
  expect(await runProgram({ argv, ...roomy, user: { uid: 65_534, gid: 65_534 }, cwd: "/" }, systemClock)).toBe(
    "65534\n65534\n65534\n",
  );
});

test("what was printed over the cap is told by its beginning", async () => {
  await expect(run("sh", "-c", "echo first line; yes")).rejects.toMatchObject({
    facts: { begins: expect.stringMatching(/^first line\ny/) },
  });
});

async function written(path: string): Promise<string> {
  for (;;) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      await systemClock.sleep(5);
    }
  }
}
/** A zombie nobody buried yet is not alive. */
function alive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

test("input of every byte comes back unchanged as Latin-1, however large", async () => {
  const input = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
  const order = {
    argv: ["cat"] as const,
    input,
    encoding: "latin1",
    deadlineMs: 20_000,
    outputCapBytes: 300_000,
  } as const;
  expect(Buffer.from(await runProgram(order, systemClock), "latin1").equals(input)).toBe(true);
});

test("a program that does not read its input is no failure; one that is given none finds it empty", async () => {
  expect(await runProgram({ argv: ["true"], ...roomy, input: Buffer.alloc(1_000_000) }, systemClock)).toBe("");
  expect(await run("cat")).toBe("");
});

test("it stands back as far as it is told", async () => {
  // the end of its input comes after its priority was set
  const argv = ["sh", "-c", "cat; cut -d' ' -f19 /proc/self/stat"] as const;
  expect(await runProgram({ argv, ...roomy, input: Buffer.alloc(0), niceness: 19 }, systemClock)).toBe("19\n");
});
