import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { freePort } from "../test/kit/ports.ts";
import { type Group, type Memory, makeGroup, memoryOf } from "./cgroup.ts";
import { install } from "./shipped.ts";

const TOKEN = "bench-token";

/** What the aggregator had done at one moment. */
export interface Moment {
  /** Monotonic milliseconds. */
  at: number;
  /** Messages committed since its start, of the kinds asked for. */
  committed: number;
  cpuS: number;
}

/** The real aggregator in a control group of its own. */
export class Aggregator implements Disposable {
  readonly #group: Group;
  readonly #url: string;
  readonly #pid: number;
  /** From spawn to the first `/healthz` that says well, ms. */
  readonly readyMs: number;

  private constructor(group: Group, pid: number, url: string, readyMs: number) {
    this.#group = group;
    this.#pid = pid;
    this.#url = url;
    this.readyMs = readyMs;
  }

  /** Its store is `folder/vigil.db`. */
  static async start(folder: string, brokerPort: number, config: object = {}): Promise<Aggregator> {
    mkdirSync(folder, { recursive: true });
    const port = await freePort();
    const tokensFile = join(folder, "tokens");
    writeFileSync(tokensFile, `bench ${createHash("sha256").update(TOKEN).digest("hex")}\n`, { mode: 0o600 });
    const { argv, env } = install("aggregator", folder, {
      node: "bench",
      brokers: [{ host: "127.0.0.1", port: brokerPort }],
      store: join(folder, "vigil.db"),
      logLevel: "warn",
      http: { port, tokensFile },
      ...config,
    });
    const group = makeGroup("aggregator");
    const began = systemClock.now();
    const { pid } = group.start(argv, join(folder, "log"), env);
    const url = `http://127.0.0.1:${port}`;
    while (!(await isWell(url))) {
      if (systemClock.now() - began > 60_000) throw new Error("the aggregator is not well after a minute");
      await systemClock.sleep(2);
    }
    return new Aggregator(group, pid, url, systemClock.now() - began);
  }

  memory(): Memory {
    return memoryOf(this.#pid);
  }

  async get(path: string): Promise<Response> {
    return fetch(this.#url + path, { headers: { authorization: `Bearer ${TOKEN}` } });
  }

  async moment(kinds: readonly string[]): Promise<Moment> {
    const text = await (await this.get("/metrics")).text();
    const counts = text.matchAll(/^vigil_messages_total\{kind="(\w+)",result="committed"\} (\d+)/gm);
    const committed = [...counts].reduce(
      (sum, [, kind = "", count]) => sum + (kinds.includes(kind) ? Number(count) : 0),
      0,
    );
    return { at: systemClock.now(), committed, cpuS: this.#group.cpuS() };
  }

  /** Looks twice a second until `count` messages are committed; every look in order. */
  async until(count: number, kinds: readonly string[]): Promise<Moment[]> {
    const moments: Moment[] = [];
    for (let last = 0, lastAt = systemClock.now(); last < count; ) {
      await systemClock.sleep(500);
      const moment = await this.moment(kinds);
      moments.push(moment);
      if (moment.committed > last) lastAt = moment.at;
      last = moment.committed;
      if (moment.at - lastAt > 30_000) throw new Error(`stuck at ${last} of ${count} messages`);
    }
    return moments;
  }

  [Symbol.dispose](): void {
    this.#group[Symbol.dispose]();
  }
}

const isWell = (url: string): Promise<boolean> =>
  fetch(`${url}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );
