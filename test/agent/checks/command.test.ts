import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcp } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CheckPorts, Judge, Verdict } from "../../../agent/checks/check.ts";
import { commands } from "../../../agent/checks/command/command.ts";
import { AgentConfig } from "../../../agent/config.ts";
import { systemClock } from "../../../platform/clock.ts";
import { parseConfig } from "../../../platform/config-file.ts";
import { machineAt } from "../../../platform/machine.ts";
import { runProgram } from "../../../platform/run.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { needsThat } from "../../kit/peers.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";

const PLUGINS = "/usr/lib/nagios/plugins";
const isRoot = process.getuid?.() === 0;

let folder: TempFolder;
let judge: Judge | undefined;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => {
  judge?.close?.();
  folder[Symbol.dispose]();
});

type Words = (string | { file: string })[];
interface Wish {
  name?: string;
  argv: Words;
  [more: string]: unknown;
}
function begin(plugins: Wish[], ports: Partial<CheckPorts> = {}): void {
  const config = commands.Config.parse({ plugins: plugins.map((one, i) => ({ name: `p${i}`, ...one })) });
  judge = commands.begin(config, checkPorts(folder.path, ports));
}
const round = async (): Promise<readonly Verdict[]> => (await judge?.judge(new AbortController().signal)) ?? [];
async function ask(plugin: Wish, ports: Partial<CheckPorts> = {}): Promise<Verdict> {
  begin([plugin], ports);
  const [verdict] = await round();
  if (verdict === undefined) throw new Error("no verdict");
  return verdict;
}
const sh = (script: string): Words => ["/bin/sh", "-c", script];
const at = (name: string): string => join(folder.path, name);

describe("exit codes", () => {
  test.each([
    [0, { state: "judged", grade: "ok", holds: "ok", says: "OK: words" }],
    [1, { state: "judged", grade: "minor", reason: "warning", says: "WARNING: words" }],
    [2, { state: "judged", grade: "major", reason: "critical", says: "CRITICAL: words" }],
    [3, { state: "unknown", because: "UNKNOWN: words" }],
    [4, { state: "unknown", because: "exit code 4: words" }],
    [127, { state: "unknown", because: "exit code 127: words" }],
  ])("%i", async (code, verdict) => {
    expect(await ask({ argv: sh(`echo words; exit ${code}`) })).toMatchObject({ subject: "p0", ...verdict });
  });

  test("are worth what the config says, and unknown and hung are faults where it says so", async () => {
    const severity = { warning: "warning", critical: "critical", unknown: "minor", hung: "major" };
    begin([1, 2, 3].map((code) => ({ argv: sh(`exit ${code}`), severity })));
    expect(await round()).toMatchObject([
      { grade: "warning", reason: "warning" },
      { grade: "critical", reason: "critical" },
      { grade: "minor", reason: "unknown" },
    ]);
    judge?.close?.();
    expect(await ask({ argv: sh("exec sleep 60"), severity, deadlineMs: 100 })).toMatchObject({
      grade: "major",
      reason: "hung",
    });
  });

  test("a program that prints nothing is judged by its words on standard error", async () => {
    expect(await ask({ argv: sh("echo no such host >&2; exit 2") })).toMatchObject({ says: "CRITICAL: no such host" });
  });

  test("a figure out of its range decides, and goes with the alarm", async () => {
    expect(await ask({ argv: sh("echo 'HOT | fan=900;1000: t=81s;70;80'; exit 2") })).toMatchObject({
      value: 81,
      unit: "s",
      readings: { fan_count: 900, t_s: 81 },
    });
  });
});

describe("what goes wrong", () => {
  test("a plugin that hangs, deaf to SIGTERM and with children, is ended with all of them, and keeps no other waiting", async () => {
    const script = `trap '' TERM; sleep 1000 & echo $! $$ > ${at("new")}; mv ${at("new")} ${at("pids")}; while :; do wait; done`;
    const clock = new HandClock();
    const plugins = [
      { name: "deaf", argv: sh(script), deadlineMs: 300 },
      { name: "well", argv: ["/bin/true"] },
    ];
    begin(plugins, { clock, run: (order) => runProgram(order, clock) });
    const asked = round();
    await until(clock, () => existsSync(at("pids")));
    await clock.wind(300);
    expect(await asked).toMatchObject([
      { subject: "deaf", state: "unknown", because: expect.stringContaining("did not end within 0.3 s") },
      { subject: "well", state: "judged", grade: "ok" },
    ]);
    for (const pid of readFileSync(at("pids"), "utf8").trim().split(" ")) while (alive(pid)) await systemClock.sleep(5);
  });

  test("a flood is cut: unknown, with its first words", async () => {
    const verdict = await ask({ argv: sh("echo first words; exec yes"), outputCapBytes: 2048 });
    expect(verdict).toMatchObject({ state: "unknown" });
    expect(verdict).toHaveProperty("because", expect.stringMatching(/^printed more than 2048 bytes: first words y y/));
  });

  test("the unit of a figure that decides is printable too", async () => {
    const verdict = await ask({ argv: sh("printf 'HOT | t=81\\033[31mC;70;80'; exit 2") });
    expect(verdict).toMatchObject({ value: 81, unit: "C" });
  });

  test("binary output is one printable line", async () => {
    const verdict = await ask({ argv: sh("head -c 4000 /dev/urandom; exit 2") });
    expect(verdict).toMatchObject({ state: "judged", grade: "major" });
    const told = JSON.stringify(verdict).replaceAll("\\\\", ""); // a backslash that was printed is one
    expect(told).not.toMatch(/\\u00|\\n/);
  });

  test("a program that is not there, not executable, or ends by a signal is unknown and says why", async () => {
    writeFileSync(at("plain"), "#!/bin/sh\n", { mode: 0o644 });
    begin([{ argv: [at("absent")] }, { argv: [at("plain")] }, { argv: sh("kill -SEGV $$") }]);
    expect(await round()).toMatchObject([
      { state: "unknown", because: expect.stringContaining("ENOENT") },
      { state: "unknown", because: `${at("plain")} may not be run by the agent: EACCES` },
      { state: "unknown", because: expect.stringContaining("ended by SIGSEGV") },
    ]);
  });
});

describe("surroundings", () => {
  test("no shell reads the words, and the environment is clean but for what the config names", async () => {
    const argv = ["/bin/sh", "-c", 'echo "$1 $(env | grep -v ^PWD= | sort | tr "\\n" " ")"', "x", "$(id);*"];
    expect(await ask({ argv, env: { SITE: "7" } })).toMatchObject({
      says: "OK: $(id);* LANG=C PATH=/usr/sbin:/usr/bin:/sbin:/bin SITE=7",
    });
  });

  test("words and variables from files go in, and come out nowhere", async () => {
    writeFileSync(at("word"), "hunter2-word\n");
    writeFileSync(at("env"), "hunter2-env\n");
    const argv = [...sh('echo "$1 $TOKEN | $1=5"; echo "$1" >&2; exit 2'), "x", { file: at("word") }];
    const verdict = await ask({ argv, envFiles: { TOKEN: at("env") } });
    expect(verdict).toMatchObject({ says: "CRITICAL: *** ***" });
    expect(JSON.stringify(verdict)).not.toContain("hunter2");
  });

  test("of a secret that is part of another, or cut where we stop listening, nothing is left over", async () => {
    writeFileSync(at("short"), "hunter2");
    writeFileSync(at("long"), "hunter2-and-more-of-it");
    const envFiles = { SHORT: at("short"), LONG: at("long") };
    expect(await ask({ argv: sh('echo "$LONG"'), envFiles })).toMatchObject({ says: "OK: ***" });
    const x390 = "x".repeat(390);
    const errors = await ask({ argv: sh(`printf %s "$LONG""${x390}" >&2; exit 2`), envFiles });
    expect(errors).toMatchObject({ says: expect.stringMatching(/^CRITICAL: \*{3}x+$/) });
    const argv = sh(`printf %s "$(printf %0385d 0)$LONG$(printf %02000d 0)"`);
    const much = await ask({ argv, envFiles, outputCapBytes: 1_024 });
    expect(much).toMatchObject({ because: expect.stringContaining("printed more than 1024 bytes") });
    expect(JSON.stringify([errors, much])).not.toMatch(/hunt|and-more|of-it/);
  });

  test("a file that is not there is unknown by its name, and nothing runs", async () => {
    expect(await ask({ argv: sh(`touch ${at("ran")}`), envFiles: { TOKEN: at("absent") } })).toMatchObject({
      state: "unknown",
      because: expect.stringContaining(at("absent")),
    });
    expect(existsSync(at("ran"))).toBe(false);
  });

  test("what the site calls secret is taken out", async () => {
    const redact = (text: string): string => text.replaceAll("张三", "***");
    expect(await ask({ argv: sh("echo 张三 is in; exit 1") }, { redact })).toMatchObject({
      says: "WARNING: *** is in",
    });
  });

  test("its own titles, where the config gives them", async () => {
    expect(await ask({ argv: sh("exit 2"), titleZh: "门禁异常", titleEn: "door fault" })).toMatchObject({
      title: { zh: "门禁异常", en: "door fault" },
    });
  });
});

describe.skipIf(!isRoot)("another user", () => {
  test("by name or by number", async () => {
    begin(["nobody", "65534", "12345:54321"].map((user) => ({ argv: sh("echo $(id -u) $(id -G)"), user })));
    expect(await round()).toMatchObject([
      { says: "OK: 65534 65534" },
      { says: "OK: 65534 65534" },
      { says: "OK: 12345 54321" },
    ]);
  });

  test("who has gone is unknown, by name", async () => {
    const root = at("root");
    mkdirSync(join(root, "etc"), { recursive: true });
    writeFileSync(join(root, "etc/passwd"), "nagios:x:1234:1234::/:/bin/sh\n");
    const clock = new HandClock();
    begin([{ argv: sh("id -u"), user: "nagios", everyMs: 60_000 }], { machine: machineAt(root), clock });
    expect(await round()).toMatchObject([{ says: "OK: 1234" }]);
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/:/bin/sh\n");
    await clock.wind(66_000);
    await round();
    await until(clock, () => judge?.stirred?.() === true);
    expect(await round()).toMatchObject([{ state: "unknown", because: expect.stringContaining("no user nagios") }]);
  });

  test("one we may not become is unknown, with the remedy", async () => {
    // the whole agent as nobody: its plugin cannot become root
    const { runProgram } = await import("../../../platform/run.ts");
    chmodSync(folder.path, 0o755);
    const config = at("agent.json");
    writeFileSync(
      config,
      JSON.stringify({
        device: "x",
        brokers: [{ host: "127.0.0.1", port: 1 }],
        checks: {
          ...(await import("../../kit/all-off.ts")).allOff("command"),
          command: { plugins: [{ name: "p", argv: ["/bin/true"], user: "root" }] },
        },
      }),
      { mode: 0o644 },
    );
    const main = new URL("../../../agent/main.ts", import.meta.url).pathname;
    const printed = await runProgram(
      {
        argv: [
          "setpriv",
          "--reuid=65534",
          "--regid=65534",
          "--clear-groups",
          process.execPath,
          main,
          "check",
          "-c",
          config,
          "--json",
        ],
        deadlineMs: 20_000,
        outputCapBytes: 100_000,
        exited: () => {},
      },
      systemClock,
    );
    expect(printed).toContain("cannot become user root: for this the agent must run as root");
  });
});

describe("pace", () => {
  test("each at its own; in between the very same answer; after a change three looks in haste", async () => {
    const clock = new HandClock();
    writeFileSync(at("code"), "0");
    const argv = sh(`echo x >> ${at("runs")}; exit $(cat ${at("code")})`);
    let running = 0;
    const run: CheckPorts["run"] = (order) => {
      running += 1;
      return runProgram(order, systemClock).finally(() => {
        running -= 1;
      });
    };
    begin([{ argv, everyMs: 300_000, retryMs: 30_000 }], { clock, run });
    const first = await round();
    expect(await round()).toBe(first);
    const runs = (): number => readFileSync(at("runs"), "utf8").split("\n").length - 1;
    expect(runs()).toBe(1);
    writeFileSync(at("code"), "2");
    const looks: number[] = [];
    for (let minute = 0; minute < 24; minute += 0.5) {
      const before = runs();
      await clock.wind(30_000);
      await round();
      while (running > 0) await systemClock.sleep(2);
      await round();
      if (runs() > before) looks.push(minute + 0.5);
    }
    expect(looks).toEqual([5, 5.5, 6, 6.5, 11.5, 16.5, 21.5]);
  });
});

describe.skipIf(needsThat(existsSync(`${PLUGINS}/check_tcp`), "monitoring-plugins-basic"))(
  "Debian's plugins, unchanged",
  () => {
    const plugin = (name: string, ...words: string[]): Wish => ({ name, argv: [`${PLUGINS}/${name}`, ...words] });

    test("look at this machine", async () => {
      writeFileSync(at("old"), "x");
      begin([
        plugin("check_load", "-w", "900", "-c", "900"),
        plugin("check_disk", "-w", "1%", "-c", "1%", "-p", "/proc/self/..", "-p", "/"),
        plugin("check_procs", "-w", "1:100000"),
        plugin("check_users", "-w", "1000", "-c", "1000"),
        plugin("check_file_age", "-f", at("old"), "-w", "9000", "-c", "9000"),
        plugin("check_dummy", "1", "so be it"),
        plugin("check_cluster", "-s", "-d", "0,2", "-c", "0"),
        plugin("check_log", "-F", at("old"), "-O", at("seek"), "-q", "nothing"),
        plugin("check_sensors", "--no-such-option"),
        plugin("check_apt", "--no-such-option"),
      ]);
      const verdicts = new Map((await round()).map((verdict) => [verdict.subject, verdict]));
      expect(verdicts.get("check_load")).toMatchObject({
        grade: "ok",
        readings: { load1_count: expect.any(Number), load15_count: expect.any(Number) },
      });
      expect(verdicts.get("check_procs")).toMatchObject({ grade: "ok", says: expect.stringMatching(/^OK: PROCS OK/) });
      expect(verdicts.get("check_users")).toMatchObject({ grade: "ok" });
      expect(verdicts.get("check_file_age")).toMatchObject({ grade: "ok", readings: { size_bytes: 1 } });
      expect(verdicts.get("check_dummy")).toMatchObject({ grade: "minor", says: "WARNING: WARNING: so be it" });
      expect(verdicts.get("check_cluster")).toMatchObject({ grade: "major", reason: "critical" });
      expect(verdicts.get("check_apt")).toMatchObject({ state: "unknown" });
      expect(verdicts.get("check_disk")?.state).toBeDefined();
    });

    test("reach real servers, and tell when they are gone", async () => {
      const http = createServer((request, response) => {
        response.statusCode = request.url === "/well" ? 200 : 503;
        response.end("all is well");
      });
      const silent = createTcp((socket) => socket.on("error", () => {}).resume());
      await Promise.all(
        [http, silent].map((server) => new Promise<void>((done) => server.listen(0, "127.0.0.1", done))),
      );
      const portOf = (server: { address(): AddressInfo | string | null }): string => {
        const address = server.address();
        return typeof address === "object" && address !== null ? String(address.port) : "";
      };
      const port = portOf(http);
      const clock = new HandClock();
      begin(
        [
          { ...plugin("check_tcp", "-H", "127.0.0.1", "-p", port), name: "tcp" },
          { ...plugin("check_http", "-I", "127.0.0.1", "-p", port, "-u", "/well", "-s", "is well"), name: "http" },
          { ...plugin("check_http", "-I", "127.0.0.1", "-p", port, "-u", "/ill"), name: "http-ill" },
          {
            ...plugin("check_http", "-I", "127.0.0.1", "-p", portOf(silent), "-t", "60"),
            name: "silent",
            deadlineMs: 300,
          },
          { ...plugin("check_tcp", "-H", "127.0.0.1", "-p", "1"), name: "closed" },
        ].map((one) => ({ ...one, everyMs: 60_000 })),
        { clock },
      );
      expect(await round()).toMatchObject([
        { subject: "tcp", grade: "ok", readings: { time_s: expect.any(Number) } },
        { subject: "http", grade: "ok", readings: { size_bytes: expect.any(Number) } },
        { subject: "http-ill", grade: "major", says: expect.stringContaining("503") },
        { subject: "silent", state: "unknown" },
        { subject: "closed", grade: "major", says: expect.stringContaining("refused") },
      ]);
      http.closeAllConnections();
      await Promise.all([http, silent].map((server) => new Promise((done) => server.close(done))));
      await clock.wind(66_000);
      await round();
      const tcp = async (): Promise<Verdict | undefined> => (await round()).find(({ subject }) => subject === "tcp");
      for (;;) {
        const verdict = await tcp();
        if (verdict?.state === "judged" && verdict.grade === "major") break;
        await systemClock.sleep(5);
      }
    });
  },
);

describe("config", () => {
  const agent = (plugin: unknown) => () =>
    parseConfig(
      JSON.stringify({
        device: "x",
        brokers: [{ host: "h", port: 1 }],
        checks: { command: { plugins: [{ name: "a", argv: ["/bin/true"] }, plugin] } },
      }),
      AgentConfig,
      "agent.json",
    );

  test.each([
    [{ name: "b", argv: [] }, "checks.command.plugins.1.argv"],
    [{ name: "b", argv: "/bin/true" }, "checks.command.plugins.1.argv"],
    [{ name: "b", argv: ["/bin/true", { file: "relative" }] }, "checks.command.plugins.1.argv.1"],
    [{ name: "b", argv: ["a\0b"] }, "checks.command.plugins.1.argv.0"],
    [{ name: "b", argv: ["x"], user: "a b" }, "checks.command.plugins.1.user"],
    [{ name: "b", argv: ["x"], env: { "A-B": "1" } }, "checks.command.plugins.1.env"],
    [
      { name: "b", argv: ["x"], deadline: 1 },
      'checks.command.plugins.1.deadline: unknown name — did you mean "deadlineMs"',
    ],
    [{ name: "a", argv: ["x"] }, "checks.command.plugins"],
  ])("%j is refused by its path", (plugin, path) => {
    expect(agent(plugin)).toThrow(path);
  });

  test("without plugins there is nothing to judge", () => {
    expect(commands.begin(commands.Config.parse({}), checkPorts(folder.path))).toBeUndefined();
  });
});

async function until(clock: HandClock, done: () => boolean): Promise<void> {
  while (!done()) {
    await clock.wind(0);
    await systemClock.sleep(5);
  }
}
/** A zombie nobody buried yet is not alive. */
function alive(pid: string): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
