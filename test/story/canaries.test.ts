import { spawn } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { connectAsync } from "mqtt";
import { expect, test } from "vitest";
import { ROOT, topics } from "../../protocol/topics.ts";
import { alarmChange } from "../kit/alarm-change.ts";
import { startMosquitto } from "../kit/broker.ts";
import { CANARIES, type Canary, canariesIn, SITE_WORDS } from "../kit/canaries.ts";
import { listener } from "../kit/listener.ts";
import { needs } from "../kit/peers.ts";
import { awaitProgram, type House, openHouse, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

/** Secrets of every kind stand in everything the agent reads, and are found in nothing that it or the aggregator writes. */

const skip = needs("mosquitto", "mosquitto") || needs("mosquitto_sub", "mosquitto-clients");
const DEVICE = "ft-0042";
const KINDS = CANARIES.map(({ kind }) => kind);
const SOON_MS = 40_000;
/** A secret that the agent is given by its config, and needs itself. */
const OWN: Canary = { kind: "a password of the agent's own", text: "KanarieEigen9zW", secret: "KanarieEigen9zW" };
const ALL = [...CANARIES, OWN];

/** Where the canaries are planted, and the config that has the agent read it all. */
class Plant {
  readonly path: string;
  readonly #web: string;

  constructor(path: string, web: string) {
    this.path = path;
    this.#web = web;
    for (const folder of ["conf", "plugins", "data", `data-${SITE_WORDS[0]}`]) mkdirSync(join(path, folder));
    writeFileSync(this.log, "");
    writeFileSync(this.password, OWN.secret, { mode: 0o600 });
    writeFileSync(this.#plugin("say"), '#!/bin/sh\ncat "$1"; cat "$1" >&2; exit 2\n');
    writeFileSync(this.#plugin("echo"), '#!/bin/sh\necho "CRITICAL - refused $1 and $DB_SECRET"; exit 2\n');
    for (const name of ["say", "echo"]) chmodSync(this.#plugin(name), 0o755);
    for (const [i, { text }] of CANARIES.entries()) {
      writeFileSync(this.#conf(i), `count=1\n${text}\n`);
      writeFileSync(this.#plugin(String(i)), `CRITICAL - ${text} | n=1\nmore ${text}\n`);
      writeFileSync(join(path, "data", text.replaceAll(/[/\0]/g, "_").slice(0, 60)), text);
    }
  }
  get log(): string {
    return join(this.path, "app.log");
  }
  get password(): string {
    return join(this.path, "password");
  }
  #conf(i: number): string {
    return join(this.path, "conf", `${i}.conf`);
  }
  #plugin(name: string): string {
    return join(this.path, "plugins", name);
  }
  /** Only the last lines of a log decide what a pattern tells: each canary has a pattern of its own. */
  writeLog(): void {
    appendFileSync(this.log, CANARIES.map(({ text }, i) => `2026-11-22 app[1]: ${mark(i)} ${text}\n`).join(""));
  }
  drift(): void {
    writeFileSync(join(this.path, `data-${SITE_WORDS[0]}`, `${SITE_WORDS[1]}.conf`), "x=1\n");
    for (const [i, { text }] of CANARIES.entries())
      writeFileSync(this.#conf(i), `count=2\n${text} 2\n`, { mode: 0o600 });
  }
  get checks(): Record<string, unknown> {
    const often = { holdOnMs: 0, holdOffMs: 0 };
    const patterns = CANARIES.slice(0, 60).map((_, i) => {
      return { id: `seen-${i}`, titleZh: "出错", titleEn: "fault", literal: mark(i) };
    });
    const plugins = [
      ...CANARIES.map((_, i) => ({ name: `p${i}`, argv: [this.#plugin("say"), this.#plugin(String(i))] })),
      {
        name: "own",
        argv: [this.#plugin("echo"), { file: this.password }],
        envFiles: { DB_SECRET: this.password },
      },
    ];
    const targets = Array.from({ length: Math.ceil(CANARIES.length / 2) }, (_, i) => ({
      ...{ name: `s${i}`, type: "http", url: `${this.#web}/${i}?access_token=${CANARIES[i]?.secret ?? ""}` },
      ...{ tokenFile: this.password, expectStatus: [200], bodyMatch: { contains: "never said" }, everyMs: 5_000 },
    }));
    const full = { count: { high: { minor: { raise: 1, clear: 1 } } } };
    return {
      logs: { ...often, system: false, files: [{ path: this.log }], patterns },
      drift: {
        every: { everyMs: 1_000 },
        files: [
          ...CANARIES.map((_, i) => ({ path: this.#conf(i), name: `c${i}` })),
          { path: join(this.path, `data-${SITE_WORDS[0]}`) },
        ],
      },
      command: { ...often, plugins },
      service: { ...often, targets },
      data: {
        folders: [
          { name: "recordings", path: join(this.path, "data"), ...full },
          {
            path: join(this.path, `data-${SITE_WORDS[0]}`),
            missing: "minor",
            count: { low: { minor: { raise: 1, clear: 2 } } },
          },
        ],
      },
      process: {
        bootGraceMs: 0,
        watch: [
          { name: `${SITE_WORDS[0]}-service`, command: "no such program runs here" },
          { name: `${SITE_WORDS[1]}-relay`, command: [CANARIES[0]?.text ?? "", "900"], max: 0, min: 0 },
        ],
      },
    };
  }
}

/** What stands before canary `i` in the log: a literal of which none is part of another. */
const mark = (i: number): string => `<fault-${String(i).padStart(2, "0")}>`;

/** A web server that has nothing but secrets to say. */
async function secretServer(): Promise<{ url: string } & Disposable> {
  const server = createServer((request, response) => {
    const i = Number(/^\/(\d+)/.exec(request.url ?? "")?.[1] ?? 0) * 2;
    const texts = CANARIES.slice(i, i + 2).map(({ text }) => text);
    response.statusCode = i % 4 === 0 ? 500 : 200;
    response.setHeader("x-secret", texts.map(encodeURIComponent).join(" "));
    response.setHeader("set-cookie", `session=${CANARIES[i]?.secret.replaceAll(/[^\w.-]/g, "") ?? ""}`);
    response.end(texts.join("\n"));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { url: `http://127.0.0.1:${address.port}`, [Symbol.dispose]: () => server.closeAllConnections() };
}

/** Every byte under a folder, file by file; what is packed unpacked. */
function filesIn(folder: string, but: (name: string) => boolean = () => false): Map<string, Buffer> {
  const all = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  return new Map(
    all
      .map((one) => join(one.parentPath, one.name))
      .filter((path) => !but(path))
      .map((path) => {
        const bytes = readFileSync(path);
        return [path, path.endsWith(".gz") ? gunzipSync(bytes) : bytes];
      }),
  );
}

/** Which canaries are found where: `{ "file": ["kind"] }`, empty when none is anywhere. */
function found(places: ReadonlyMap<string, Uint8Array>): Record<string, string[]> {
  return Object.fromEntries(
    [...places].map(([name, bytes]) => [name, canariesIn(bytes, ALL)] as const).filter(([, kinds]) => kinds.length > 0),
  );
}

/** What a person or another program gets to see of all this. */
async function shown(house: House, config: string): Promise<Map<string, Buffer>> {
  const places = new Map<string, Buffer>();
  for (const list of ["devices", "alarms", "tickets"] as const)
    places.set(`/api/v1/${list}`, Buffer.from(JSON.stringify((await house.api.all(list)) ?? [])));
  for (const words of [
    ["check", "--json"],
    ["baseline", "diff"],
    ["baseline", "history", "c0"],
  ]) {
    const { out, err } = await awaitProgram("agent/main.ts", [...words, "--config", config]);
    expect(out.length, words.join(" ")).toBeGreaterThan(10);
    places.set(words.join(" "), Buffer.from(out + err));
  }
  return places;
}

test.skipIf(skip)("no canary gets out of the device, nor into any file of ours", { timeout: 150_000 }, async () => {
  expect(CANARIES.length).toBeGreaterThanOrEqual(50);
  using planted = tempFolder("vigil-canaries");
  using web = await secretServer();
  const plant = new Plant(planted.path, web.url);
  await using broker = await startMosquitto();
  await using everything = await listener(broker.port, ["#"]);
  await using house = await openHouse(broker, {
    agent: {
      ...{ username: "app", passwordFile: plant.password, secretWords: SITE_WORDS, logLevel: "debug" },
      ...{ rounds: { fastMs: 200, slowMs: 1_000 }, checks: plant.checks },
    },
    env: { APP_ENVIRONMENT: CANARIES.map(({ text }) => text).join("\n") },
  });
  const relay = spawn("sleep", ["900"], { argv0: CANARIES[0]?.text ?? "", stdio: "ignore" });
  const state = join(house.folder, "agent-state");
  try {
    await until("the configs were seen", SOON_MS, () => existsSync(join(state, "checks/drift-seen.json")));
    plant.drift();
    const told = (): Set<string> =>
      new Set(everything.heard().flatMap(({ topic }) => topic.split(`${ROOT}/d/${DEVICE}/alm/`)[1] ?? []));
    const many = (check: string): number => [...told()].filter((code) => code.startsWith(`${check}.`)).length;
    const wanted = {
      logs: 60,
      drift: CANARIES.length + 1,
      command: CANARIES.length + 1,
      service: 33,
      data: 2,
      process: 2,
    };
    const missing = (): string[] =>
      Object.entries(wanted).flatMap(([check, least]) =>
        many(check) < least ? [`${check} ${many(check)}/${least}`] : [],
      );
    let waited = 0;
    await until("every reader has told of its canaries", 2 * SOON_MS, () => {
      if (waited % 40 === 0) plant.writeLog(); // lines from before it followed the log are none of its business
      waited += 1;
      return missing().length === 0;
    }).catch((cause: unknown) => {
      throw new Error(`not told: ${missing().join(", ")}\n${house.agent.words().slice(-2_000)}`, { cause });
    });
    const visible = await shown(house, join(house.folder, "agent.json"));
    await house.agent.end("SIGTERM");
    house.agent.start();
    await everything.waitFor(({ topic, payload }) => topic === topics.state(DEVICE) && payload.includes('"link":1'));
    await until("its tickets are there", SOON_MS, async () => ((await house.api.all("tickets"))?.length ?? 0) > 30);
    await house.agent.end("SIGTERM");

    const heard = new Map(
      everything.heard().map(({ topic, payload }, i) => [`${i} ${topic}`, Buffer.from(`${topic}\n${payload}`)]),
    );
    expect(heard.size).toBeGreaterThan(200);
    expect(found(heard)).toEqual({});
    expect(found(visible)).toEqual({});
    const ours = filesIn(house.folder, (path) => /\/(?:agent|aggregator)\.json$|\/tokens$/.test(path));
    const names = [...ours.keys()].join("\n");
    for (const part of ["agent.log", "aggregator.log", "vigil.db", "drift-seen.json", ".gz", "agent-run/"])
      expect(names).toContain(part);
    expect(found(ours)).toEqual({});

    await theSearchFinds(house, plant);
  } finally {
    relay.kill("SIGKILL");
    web[Symbol.dispose]();
  }
});

/** The control: a device that does not redact, told of by the same broker, kept by the same store. The search finds it all. */
async function theSearchFinds(house: House, plant: Plant): Promise<void> {
  expect(canariesIn(Buffer.concat([...filesIn(plant.path).values()]), ALL).toSorted()).toEqual(
    ALL.map(({ kind }) => kind).toSorted(),
  );
  const boot = "01JDA2B3C4D5E6F7G8H9JKMNPQ";
  const leaky = await connectAsync(`mqtt://127.0.0.1:${house.broker.port}`, { clientId: "ft-leaky" });
  for (const [i, { text }] of CANARIES.entries()) {
    const { code, body } = alarmChange(`disk.leak-${i}`, true, Date.now());
    const alarm = { ...body, says: text, boot, seq: i + 1, ts: Date.now() };
    await leaky.publishAsync(topics.alarm("ft-leaky", code), JSON.stringify(alarm), { qos: 1, retain: true });
  }
  await leaky.endAsync();
  const alarms = await until("the leaky device's alarms are kept", SOON_MS, async () => {
    const rows = (await house.api.all("alarms"))?.filter(({ device }) => device === "ft-leaky") ?? [];
    return rows.length === CANARIES.length && rows;
  });
  expect(canariesIn(Buffer.from(JSON.stringify(alarms)))).toEqual(KINDS);
  await house.aggregator.end("SIGTERM");
  const store = [...filesIn(house.folder).entries()].filter(([path]) => path.includes("vigil.db"));
  expect(canariesIn(Buffer.concat(store.map(([, bytes]) => bytes)))).toEqual(KINDS);
}
