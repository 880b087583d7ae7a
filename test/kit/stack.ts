import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { freePort } from "./ports.ts";

const HERE = join(import.meta.dirname, "..", "..");
const TOKEN = "story-token";

/** A program of ours as a child process, with its log in a file, that can be killed and started again at any moment. */
export class Program implements AsyncDisposable {
  readonly log: string;
  readonly #args: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;

  constructor(folder: string, name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.log = join(folder, `${name}.log`);
    this.#args = args;
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
    this.#child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...this.#args], {
      cwd: HERE,
      stdio: ["ignore", out, out],
      env: { ...process.env, ...this.#env },
    });
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
  env: Record<string, string> = {},
): Program {
  const file = join(folder, "agent.json");
  const quiet = Object.fromEntries(["disk", "memory", "cpu", "temperature"].map((id) => [id, { enabled: false }]));
  const { checks, ...rest } = config as { checks?: Record<string, unknown> };
  const whole = {
    device: "ft-0042",
    brokers: [{ host: "127.0.0.1", port: brokerPort }],
    stateDir: join(folder, "agent-state"),
    heartbeatMs: 2_000,
    telemetryMs: 2_000,
    rounds: { fastMs: 200, slowMs: 1_000 },
    ...rest,
    checks: { ...quiet, ...checks },
  };
  writeFileSync(file, JSON.stringify(whole), { mode: 0o600 });
  return new Program(folder, "agent", ["agent/main.ts", "run", "--config", file], env);
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
  /** All rows of a list, page by page. */
  async all(list: "devices" | "alarms" | "tickets", query = ""): Promise<Row[] | undefined> {
    const rows: Row[] = [];
    for (let after = ""; ; ) {
      const page = await this.get(`/api/v1/${list}?limit=500${query}${after}`);
      if (page === undefined || page.status !== 200) return undefined;
      rows.push(...(page.body[list] as Row[]));
      const next = page.body.next;
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
