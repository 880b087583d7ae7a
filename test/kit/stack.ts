import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";
import { allOff } from "./all-off.ts";
import type { TestBroker } from "./broker.ts";
import type { MountSpace } from "./mount-space.ts";
import { findProgram, programPath } from "./peers.ts";
import { freePort } from "./ports.ts";
import { tempFolder } from "./temp.ts";

const HERE = join(import.meta.dirname, "..", "..");
/** The token every aggregator of a story takes. */
export const TOKEN = "story-token";

interface Where {
  env?: Readonly<Record<string, string>>;
  space?: MountSpace | undefined;
  enter?: readonly string[] | undefined;
}

/** A program of ours as a child process, with its log in a file, that can be killed and started again at any moment. */
export class Program implements AsyncDisposable {
  readonly log: string;
  readonly #words: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;

  /** `space`: it sees the mounts of that namespace; `enter`: words before it, that lead to where it runs. */
  constructor(folder: string, name: string, args: readonly string[], { env = {}, space, enter = [] }: Where = {}) {
    this.log = join(folder, `${name}.log`);
    const [file = "", ...rest] = args;
    const node = [process.execPath, "--disable-warning=ExperimentalWarning", join(HERE, file), ...rest];
    // nsenter becomes the program: it keeps the process id
    const inside =
      space === undefined
        ? [...enter, ...node]
        : [programPath("nsenter"), "-t", String(space.pid), "-m", "--", ...node];
    // so does setpriv: it ends with the test's process, however that ends
    const setpriv = findProgram("setpriv");
    this.#words = setpriv === undefined ? inside : [setpriv, "--pdeathsig", "KILL", ...inside];
    this.#env = env;
  }
  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error("not started");
    return this.#child.pid;
  }
  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }
  start(): this {
    const out = openSync(this.log, "a");
    const [program = "", ...args] = this.#words;
    this.#child = spawn(program, args, { stdio: ["ignore", out, out], env: { ...process.env, ...this.#env } });
    closeSync(out);
    return this;
  }
  words(): string {
    return readFileSync(this.log, "utf8");
  }
  /** Ends it by `signal` and waits until it is gone; returns its exit code, or null when a signal ended it. */
  async end(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !this.running) return child?.exitCode ?? null;
    const gone = new Promise<number | null>((done) => child.once("exit", done));
    child.kill(signal);
    return gone;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }
}

/** An agent with this machine as its device; `config` is laid over a quick default (nothing but what the story watches). */
export function agentProgram(
  folder: string,
  brokerPort: number,
  config: Record<string, unknown> = {},
  how: Where = {},
): Program {
  const name = typeof config["device"] === "string" ? config["device"] : "agent";
  const file = join(folder, `${name}.json`);
  const quiet = allOff("process", "self");
  const { checks, ...rest } = config as { checks?: Record<string, unknown> };
  const whole = {
    device: "ft-0042",
    brokers: [{ host: "127.0.0.1", port: brokerPort }],
    stateDir: join(folder, `${name}-state`),
    runtimeDir: join(folder, `${name}-run`),
    heartbeatMs: 2_000,
    telemetryMs: 2_000,
    rounds: { fastMs: 200, slowMs: 1_000 },
    daily: { enabled: false }, // at a time of day of its own; the stories about it switch it on
    ...rest,
    checks: { ...quiet, ...checks },
  };
  writeFileSync(file, JSON.stringify(whole), { mode: 0o600 });
  return new Program(folder, name, ["agent/main.ts", "run", "--config", file], how);
}

/** An aggregator with its store in `folder`, and its API. */
export async function aggregatorProgram(
  folder: string,
  brokerPort: number,
  config: Record<string, unknown> = {},
): Promise<{ program: Program; api: Api }> {
  const port = await freePort();
  const tokensFile = join(folder, "tokens");
  writeFileSync(tokensFile, `story ${createHash("sha256").update(TOKEN).digest("hex")}\n`, { mode: 0o600 });
  const file = join(folder, "aggregator.json");
  const whole = {
    node: "story",
    brokers: [{ host: "127.0.0.1", port: brokerPort }],
    store: join(folder, "vigil.db"),
    http: { host: "127.0.0.1", port, tokensFile },
    ...config,
  };
  writeFileSync(file, JSON.stringify(whole), { mode: 0o600 });
  return { program: new Program(folder, "aggregator", ["aggregator/main.ts", "--config", file]), api: new Api(port) };
}

export type Row = Record<string, unknown>;

/** The HTTP API as a program outside would use it; while the aggregator is down every list is undefined. */
export class Api {
  readonly url: string;
  constructor(port: number) {
    this.url = `http://127.0.0.1:${port}`;
  }
  async get(path: string): Promise<{ status: number; body: Row } | undefined> {
    try {
      const answer = await fetch(this.url + path, {
        headers: { authorization: `Bearer ${TOKEN}` },
        signal: AbortSignal.timeout(5_000),
      });
      return { status: answer.status, body: (await answer.json()) as Row };
    } catch {
      return undefined; // down or going down: the story asks again
    }
  }
  /** Latest figures of a device by code: `telemetry("ft-0042", "self.outbox")`. */
  async telemetry(device: string, code: string): Promise<Record<string, number> | undefined> {
    const found = await this.get(`/api/v1/devices/${device}`);
    return (found?.body["telemetry"] as Record<string, Record<string, number>> | undefined)?.[code];
  }
  /** One metric summed over its labels; undefined while the aggregator is down. */
  async metric(name: string): Promise<number | undefined> {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const page = await fetch(`${this.url}/metrics`, { headers })
      .then((answer) => answer.text())
      .catch(() => undefined);
    const lines = page?.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines?.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }
  /** All rows of a list, page by page. */
  async all(list: "devices" | "alarms" | "tickets", query = ""): Promise<Row[] | undefined> {
    const rows: Row[] = [];
    for (let after = ""; ; ) {
      const page = await this.get(`/api/v1/${list}?limit=500${query}${after}`);
      if (page === undefined || page.status !== 200) return undefined;
      rows.push(...(page.body["items"] as Row[]));
      const next = page.body["next"];
      if (typeof next !== "string") return rows;
      after = `&after=${encodeURIComponent(next)}`;
    }
  }
}

/** Asks `question` until it answers something, every 50 ms, at most `withinMs`; then fails with `what` and the last answer. */
export async function until<T>(
  what: string,
  withinMs: number,
  question: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const answer = await question();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await wait(50);
  }
}

/** Broker, aggregator and agent at work, as real programs in a folder of their own. */
export interface House extends AsyncDisposable {
  readonly folder: string;
  readonly broker: TestBroker;
  readonly aggregator: Program;
  readonly agent: Program;
  readonly api: Api;
}

interface HouseOptions {
  agent?: Record<string, unknown>;
  aggregator?: Record<string, unknown>;
  env?: Record<string, string>;
  /** The agent lives in this mount namespace. */
  space?: MountSpace;
  /** Words before the agent, that lead to where it runs. */
  enter?: readonly string[];
}

/** Starts aggregator and agent on `broker`, which is the house's from then on; returns when the device is online. */
export async function openHouse(broker: TestBroker, options: HouseOptions = {}): Promise<House> {
  const folder = tempFolder("vigil-house");
  const { program: aggregator, api } = await aggregatorProgram(folder.path, broker.port, options.aggregator);
  const { env, space, enter } = options;
  const agent = agentProgram(folder.path, broker.port, options.agent, { ...(env && { env }), space, enter });
  const close = async (): Promise<void> => {
    await agent[Symbol.asyncDispose]();
    await aggregator[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  };
  try {
    aggregator.start();
    agent.start();
    await until("the device is online", 20_000, async () => (await api.all("devices"))?.some(({ online }) => online));
  } catch (cause) {
    const words = `${aggregator.words()}\n${agent.words()}`;
    await close();
    throw new Error(words, { cause });
  }
  return { folder: folder.path, broker, aggregator, agent, api, [Symbol.asyncDispose]: close };
}

/** The ticket of an alarm code (the newest), undefined while there is none. */
export async function ticketOf(api: Api, code: string): Promise<Row | undefined> {
  return (await api.all("tickets"))?.findLast((ticket) => ticket["code"] === code);
}

/** Waits until the ticket of `code` is in `state`, at most `withinMs`. */
export const ticketInState = (api: Api, code: string, state: string, withinMs: number): Promise<Row> =>
  until(`the ticket of ${code} is ${state}`, withinMs, async () => {
    const ticket = await ticketOf(api, code);
    return ticket?.["state"] === state && ticket;
  });

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** Runs one of our programs to its end. */
export async function awaitProgram(file: string, args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", join(HERE, file), ...args]);
  child.stdin.end();
  const ended = once(child, "close");
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code: child.exitCode, out, err };
}
