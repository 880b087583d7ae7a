import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { connectAsync, type IClientOptions } from "mqtt";
import { expect, test } from "vitest";
import { topics } from "../../protocol/topics.ts";
import { bundle, licencesOf } from "../../scripts/bundle.ts";
import { PROGRAMS } from "../../scripts/programs.ts";
import { startEmbedded } from "../kit/broker.ts";
import { testCa } from "../kit/certs.ts";
import { startChild } from "../kit/child.ts";
import { needs } from "../kit/peers.ts";
import { until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

const ROOT = join(import.meta.dirname, "../..");
const DEVICE = {
  name: "agent",
  entry: "agent/main.ts",
  notAtStart: ["node_modules/systeminformation/"],
  never: ["node_modules/zod/v4/classic/"],
};

function house(folder: string, files: Record<string, string>): string {
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  for (const [file, code] of Object.entries({ "package.json": '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), code);
  }
  return folder;
}

test("a bundle runs away from node_modules, and loads what is imported dynamically only when asked", async () => {
  using folder = tempFolder();
  const root = house(folder.path, {
    "agent/main.ts": `
      import * as z from "zod/mini";
      import mqtt from "mqtt";
      import { pino } from "pino";
      console.log(z.parse(z.object({ a: z.int() }), { a: 1 }).a, typeof mqtt.connect, typeof pino);
      if (process.argv[2] === "info") console.log(typeof (await import("systeminformation")).default.cpu);`,
  });
  using away = tempFolder();
  const made = await bundle(DEVICE, root, join(away.path, "dist"));
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(away.path, "dist/agent.js"), ...args], { encoding: "utf8", cwd: away.path });
  expect(run("info").stdout).toBe("1 function function\nfunction\n");
  expect(made.startBytes).toBeLessThan(1_000_000);
  expect(made.lazyBytes).toBeGreaterThan(100_000);
  expect(existsSync(join(away.path, "dist/agent-lazy"))).toBe(true);
  const licences = licencesOf(made.packages, root);
  expect(licences).toMatch(/^== mqtt 5\.\d+\.\d+ \(MIT\)$/m);
  expect(licences).toMatch(/^== systeminformation /m);
  expect(licences.match(/permission is hereby granted/gi)?.length).toBeGreaterThan(5);
});

test("full zod in the agent stops the build, and the importer is named", async () => {
  using folder = tempFolder();
  const root = house(folder.path, {
    "agent/main.ts": 'import { Wire } from "./wire.ts";\nconsole.log(Wire);',
    "agent/wire.ts": 'import * as z from "zod";\nexport const Wire = z.object({});',
  });
  await expect(bundle(DEVICE, root, join(folder.path, "dist"))).rejects.toThrow(
    /zod\/v4\/classic.*agent\/main\.ts → agent\/wire\.ts → .*zod/,
  );
});

test("what should come when asked for must not come at start", async () => {
  using folder = tempFolder();
  const root = house(folder.path, { "agent/main.ts": 'import si from "systeminformation";\nconsole.log(si);' });
  await expect(bundle(DEVICE, root, join(folder.path, "dist"))).rejects.toThrow(
    /systeminformation\/ must not be at its start/,
  );
});

test("only the types of a message reach the agent, not its schema", async () => {
  using folder = tempFolder();
  const root = house(folder.path, {
    "agent/main.ts": 'import type { Wire } from "../protocol/wire.ts";\nexport const wire: Wire = { a: 1 };',
    "protocol/wire.ts":
      'import * as z from "zod";\nexport const Wire = z.object({ a: z.int() });\nexport type Wire = z.infer<typeof Wire>;',
  });
  const { packages } = await bundle(DEVICE, root, join(folder.path, "dist"));
  expect(packages).toEqual([]);
  expect(readFileSync(join(folder.path, "dist/agent.js"), "utf8").length).toBeLessThan(500);
});

test("the shipped agent runs away from node_modules, with what it loads only when asked", async () => {
  using away = tempFolder();
  const agent = PROGRAMS.find(({ name }) => name === "agent");
  if (agent === undefined) throw new Error("no agent among the programs");
  const { startBytes } = await bundle(agent, ROOT, away.path);
  expect(startBytes).toBeLessThan(400_000);
  const run = (...args: string[]) => {
    const program = ["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", join(away.path, "agent.js"), ...args];
    return spawnSync(process.execPath, program, { encoding: "utf8", cwd: away.path });
  };
  expect(run("--help")).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining("vigil-agent") });
  expect(JSON.parse(run("config", "--print-defaults").stdout)).toHaveProperty("brokers");
  expect(JSON.parse(run("inventory").stdout)).toHaveProperty("os");
});

test.skipIf(needs("openssl", "openssl"))(
  "the shipped agent watches and says goodbye over TLS with the flags of its unit, without what its bundle leaves out",
  async () => {
    using away = tempFolder();
    const [agent] = PROGRAMS;
    if (agent?.name !== "agent") throw new Error("no agent among the programs");
    await bundle(agent, ROOT, away.path);
    const ca = testCa(away.path);
    await using broker = await startEmbedded({ tls: { ...ca.server, ca: ca.ca } });
    const { cert, key } = ca.client("ft-0042");
    const config = join(away.path, "agent.json");
    const tls = { caFile: ca.ca, certFile: cert, keyFile: key, servername: "localhost" };
    const brokers = [{ host: "127.0.0.1", port: broker.port, tls }];
    const checks = { network: { gateway: { enabled: false } } };
    const folders = { stateDir: join(away.path, "state"), runtimeDir: join(away.path, "run") };
    writeFileSync(config, JSON.stringify({ device: "ft-0042", brokers, checks, ...folders }));
    const heard = await connectAsync({
      ...{ host: "127.0.0.1", port: broker.port, protocol: "mqtts", protocolVersion: 5, servername: "localhost" },
      ...{ ca: readFileSync(ca.ca), cert: readFileSync(cert), key: readFileSync(key), clientId: "listener" },
    } as IClientOptions);
    const states: { online: boolean; reason: string }[] = [];
    heard.on("message", (_topic, payload) => states.push(JSON.parse(payload.toString())));
    await heard.subscribeAsync(topics.state("ft-0042"), { qos: 1 });
    const unit = readFileSync(join(ROOT, "deploy/vigil-agent.service"), "utf8");
    const flags = /^ExecStart=.*\/node (.*?) \S*agent\.js/m.exec(unit)?.[1]?.split(" ") ?? [];
    const child = startChild(process.execPath, [...flags, join(away.path, "agent.js"), "run", "-c", config]);
    await until("it is online", 20_000, () => states.some(({ online }) => online));
    await child.stop();
    await until("it said goodbye", 10_000, () => states.at(-1)?.reason === "shutdown");
    await heard.endAsync();
    expect(flags).toContain("--jitless");
    expect(child.output()).not.toContain("not in this bundle");
  },
);

for (const program of PROGRAMS.filter(({ name }) => name !== "agent")) {
  test(`the shipped ${program.name} says its help`, async () => {
    using away = tempFolder();
    await bundle(program, ROOT, away.path);
    const file = join(away.path, `${program.name}.js`);
    const { status, stdout } = spawnSync(process.execPath, [file, "--help"], { encoding: "utf8", cwd: away.path });
    expect(stdout).toContain("vigil");
    expect(status).toBe(0);
  });
}
