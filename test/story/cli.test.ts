import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { allOff } from "../kit/all-off.ts";
import { startEmbedded } from "../kit/broker.ts";
import { freePort } from "../kit/ports.ts";
import { awaitProgram, openHouse, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";
import { watchedProcesses } from "../kit/watched.ts";

/** What a person sees of the programs at a shell. */

vi.setConfig({ testTimeout: 90_000 }); // a program is started in each, many at once

const nothing = allOff();
const BROKER = [{ host: "127.0.0.1", port: 1883 }];

interface Shown {
  device: string;
  exit: number;
  checks: { check: string; subject?: string; state: string; says?: string }[];
}

/** `vigil-agent check --json` with these checks, and nothing else on. */
async function check(folder: string, checks: Record<string, unknown>): Promise<{ code: number | null; shown: Shown }> {
  const file = join(folder, "agent.json");
  writeFileSync(file, JSON.stringify({ device: "ft-0042", brokers: BROKER, checks: { ...nothing, ...checks } }), {
    mode: 0o600,
  });
  const { code, out, err } = await awaitProgram("agent/main.ts", ["check", "--json", "--config", file]);
  expect(err).toBe("");
  return { code, shown: JSON.parse(out) };
}

test.concurrent("check ends with 0 when all is well, 1 at a small fault and 2 at a grave one", async () => {
  using folder = tempFolder();
  await using fleet = watchedProcesses(2);
  const [here = "", gone = ""] = fleet.names;
  const watch = (name: string, severity: string) => ({
    process: { watch: [{ name, command: [name, "900"], severity }] },
  });
  const well = await check(folder.path, watch(here, "major"));
  expect(well).toMatchObject({
    code: 0,
    shown: { exit: 0, checks: expect.arrayContaining([expect.objectContaining({ subject: here, state: "ok" })]) },
  });

  await fleet.kill(gone);
  const small = await check(folder.path, watch(gone, "minor"));
  expect(small).toMatchObject({
    code: 1,
    shown: { exit: 1, checks: expect.arrayContaining([expect.objectContaining({ subject: gone, state: "minor" })]) },
  });
  expect(await check(folder.path, watch(gone, "critical"))).toMatchObject({ code: 2, shown: { exit: 2 } });
});

test.concurrent("check ends with 3 when it cannot tell", async () => {
  using folder = tempFolder();
  const watch = [{ name: "recorder", unit: "recorder.service" }];
  const { code, shown } = await check(folder.path, { process: { watch } });
  const line = shown.checks.find(({ subject }) => subject === "recorder");
  if (line?.state === "unknown") expect(code).toBe(3);
  else expect({ code, state: line?.state }).toEqual({ code: 2, state: "major" }); // systemd runs here, and has no such unit
});

const MISTAKES: [string, Record<string, unknown>, RegExp[]][] = [
  ["a word that is no key", { devcie: "x" }, [/devcie/, /device/]],
  ["a number out of range", { rounds: { fastMs: 5 } }, [/rounds\.fastMs/, /\b5\b/, /at least \d+/]],
  ["a wrong type", { brokers: "localhost" }, [/brokers/, /localhost/, /array|list|tuple/]],
  ["a value that is none of the allowed ones", { logLevel: "loud" }, [/logLevel/, /loud/, /debug.*info.*warn/]],
  ["a port that is none", { brokers: [{ host: "a", port: 70_000 }] }, [/brokers(\[0\]|\.0)\.port/, /70000/, /65535/]],
  ["a name that no topic can hold", { device: "Terminal 1" }, [/device/, /Terminal 1/, /a-z0-9/]],
  [
    "thresholds the wrong way round",
    { checks: { disk: { space: { major: { raise: 9, clear: 5 } } } } },
    [/checks\.disk\.space\.major/, /clear must not be below raise/],
  ],
];
test.concurrent.for(MISTAKES)(
  "config --validate tells %s: path, value and what is allowed",
  async ([, mistake, words]) => {
    using folder = tempFolder();
    const file = join(folder.path, "agent.json");
    writeFileSync(file, JSON.stringify({ device: "ft-0042", brokers: BROKER, ...mistake }), { mode: 0o600 });
    const { code, out, err } = await awaitProgram("agent/main.ts", ["config", "--validate", "--config", file]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    for (const word of [...words, new RegExp(file)]) expect(err).toMatch(word);
    expect(err).not.toMatch(/ {4}at /); // no stack: it is for people
  },
);

test.concurrent("what --print-defaults prints is valid, for both programs", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "config.json");
  for (const [program, print, validate] of [
    ["agent/main.ts", ["config", "--print-defaults"], ["config", "--validate", "--config", file]],
    ["aggregator/main.ts", ["--print-defaults"], ["--validate", "--config", file]],
  ] as const) {
    writeFileSync(file, (await awaitProgram(program, print)).out, { mode: 0o600 });
    expect(await awaitProgram(program, validate)).toMatchObject({ code: 0, err: "" });
  }
});

test.concurrent("a stopped agent says goodbye", async () => {
  await using house = await openHouse(await startEmbedded());
  expect(await house.agent.end("SIGTERM")).toBe(0);
  const gone = await until("the goodbye is heard", 5_000, async () => {
    const device = (await house.api.get("/api/v1/devices/ft-0042"))?.body;
    return device?.["online"] === false && device;
  });
  expect(gone["presence"]).toBe("offline");
  const [offline] =
    (await house.api.all("alarms", "&active=true"))?.filter(({ code }) => code === "device.offline") ?? [];
  expect(offline).toMatchObject({ reason: "shutdown", says: "the agent was stopped" });
  expect(await house.aggregator.end("SIGTERM")).toBe(0);
});

const DEMO = join(import.meta.dirname, "../../demo/main.ts");

/** Pids of the processes whose parent is `pid`. */
function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((candidate) => candidate > 0 && parentOf(candidate) === pid);
}
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined; // it has ended meanwhile
  }
}
const lives = (pid: number): boolean => parentOf(pid) !== undefined;

test.concurrent("Ctrl-C stops every part of the demonstration; meanwhile nobody else takes its folder", {
  timeout: 60_000,
}, async () => {
  using folder = tempFolder();
  const [mqtt, http] = [await freePort(), await freePort()];
  const args = [DEMO, "--mqtt-port", `${mqtt}`, "--http-port", `${http}`, "--state", folder.path];
  const demo = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const said: string[] = [];
  for (const stream of [demo.stdout, demo.stderr]) stream.on("data", (chunk) => said.push(String(chunk)));
  const exit = once(demo, "exit");
  const parts = await until("all four parts run", 30_000, () => {
    const children = childrenOf(demo.pid ?? 0);
    return children.length === 4 && said.join("").includes("Ctrl-C") && children;
  });
  const token = readFileSync(join(folder.path, "token"), "utf8");
  const ports = ["--mqtt-port", `${await freePort()}`, "--http-port", `${await freePort()}`];
  const second = await awaitProgram("demo/main.ts", [...ports, "--state", folder.path, "--fresh"]);
  expect(second.code).toBe(1);
  expect(second.err).toMatch(new RegExp(`pid ${demo.pid}.*--state`));
  expect(readFileSync(join(folder.path, "token"), "utf8")).toBe(token);
  demo.kill("SIGINT");
  expect(await exit).toEqual([0, null]);
  expect(parts.filter(lives)).toEqual([]);
});

test.concurrent("a device name that is none is told before anything is started", async () => {
  using folder = tempFolder();
  const state = join(folder.path, "state");
  const { code, err } = await awaitProgram("demo/main.ts", ["--device", "A B", "--state", state]);
  expect(code).toBe(2);
  expect(err).toMatch(/--device .*"A B"/);
  expect(() => readdirSync(state)).toThrow();
});

test.concurrent("a port that is taken is told with its remedy, and nothing is started", async () => {
  using folder = tempFolder();
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const taken = typeof address === "object" ? String(address?.port) : "";
  const state = join(folder.path, "state");
  for (const flag of ["--mqtt-port", "--http-port"]) {
    const other = flag === "--mqtt-port" ? "--http-port" : "--mqtt-port";
    const { code, err } = await awaitProgram("demo/main.ts", [
      flag,
      taken,
      other,
      String(await freePort()),
      "--state",
      state,
    ]);
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`port ${taken} .*taken.*${flag}`));
    expect(err).not.toMatch(/ {4}at /);
  }
  expect(() => readdirSync(state)).toThrow();
  const file = join(folder.path, "aggregator.json");
  const config = { node: "a", brokers: BROKER, store: join(folder.path, "vigil.db"), http: { port: Number(taken) } };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const { code, err } = await awaitProgram("aggregator/main.ts", ["--config", file]);
  expect(code).toBe(1);
  expect(err).toMatch(/PORT_TAKEN/);
  server.close();
});
