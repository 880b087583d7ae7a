// What does it look like on this machine? Broker, aggregator and agent as real programs, and what they report as lines to read.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { createWriteStream, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../platform/clock.ts";
import { folderAt } from "../platform/files.ts";
import { Failure } from "../protocol/failure.ts";
import { ID_PATTERN, slug } from "../protocol/topics.ts";

const HELP = `npm start -- [options]      守望演示：内置 MQTT 5 代理 + 汇聚端 + 以本机为设备的代理程序

  --mqtt-port N    the embedded broker listens here, loopback only          (1883)
  --http-port N    the aggregator's HTTP API listens here, loopback only    (8480)
  --state DIR      journal, ticket store, tokens, logs of the three         (.vigil)
  --device ID      name of this machine in topics and tickets               (from the host name)
  --watch NAME     a program whose process must live, e.g. --watch nginx; repeat for more
  --lang zh|en     language of the lines printed                            (from LANG, else zh)
  --fresh          forget the state of earlier runs first
  -h, --help       this help

Ctrl-C stops all three. 按 Ctrl-C 停止全部程序。
`;

interface Options {
  mqttPort: number;
  httpPort: number;
  state: string;
  device: string;
  watch: readonly string[];
  lang: "zh" | "en";
  fresh: boolean;
}

function readPort(name: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Failure("ARGUMENT_INVALID", `--${name} takes a port from 1 to 65535, not "${text}"`);
}

function readOptions(args: string[]): Options | "help" {
  const { values } = parseArgs({
    args,
    options: {
      "mqtt-port": { type: "string", default: "1883" },
      "http-port": { type: "string", default: "8480" },
      state: { type: "string", default: ".vigil" },
      device: { type: "string", default: slug(hostname()).slice(0, 40).replace(/-+$/, "") },
      watch: { type: "string", multiple: true, default: [] },
      lang: { type: "string", default: /^en/.test(process.env["LANG"] ?? "") ? "en" : "zh" },
      fresh: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  if (values.lang !== "zh" && values.lang !== "en")
    throw new Failure("ARGUMENT_INVALID", `--lang takes zh or en, not "${values.lang}"`);
  if (!ID_PATTERN.test(values.device))
    throw new Failure("ARGUMENT_INVALID", `--device takes 1–40 of a–z 0–9 -, not "${values.device}"`);
  return {
    mqttPort: readPort("mqtt-port", values["mqtt-port"]),
    httpPort: readPort("http-port", values["http-port"]),
    state: resolve(values.state),
    device: values.device,
    watch: values.watch,
    lang: values.lang,
    fresh: values.fresh,
  };
}

/** Resolves when something accepts on the loopback port; rejects when `child` ends first. */
async function listening(port: number, child: ChildProcess, name: string, log: string): Promise<void> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Failure("DEMO_PART_ENDED", `${name} ended at its start; its words are in ${log}`);
    if (await accepts(port)) return;
    await systemClock.sleep(50);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      done(true);
    });
    socket.on("error", () => done(false));
  });
}

async function mustBeFree(port: number, flag: string): Promise<void> {
  if (await accepts(port))
    throw new Failure(
      "PORT_TAKEN",
      `port ${port} on 127.0.0.1 is taken: stop what listens there, or choose another with ${flag} N`,
    );
}

/** Two demonstrations in one folder would take each other's token, and `--fresh` the other's store. */
async function mustBeOurs(state: string): Promise<void> {
  const holder = await folderAt(state).claim();
  if (holder !== undefined)
    throw new Failure(
      "STATE_TAKEN",
      `${state} is used by the demonstration with pid ${holder}: stop it, or choose another folder with --state DIR`,
    );
}

/** Writes the three configs and a fresh token; returns the token. All files 0600: the token opens the API. */
function prepare({ state, mqttPort, httpPort, device, watch, fresh }: Options): string {
  if (fresh) for (const part of ["agent", "aggregator"]) rmSync(join(state, part), { recursive: true, force: true });
  for (const part of ["agent", "aggregator", "log"]) mkdirSync(join(state, part), { recursive: true, mode: 0o700 });
  const secret = (name: string, text: string): void => writeFileSync(join(state, name), text, { mode: 0o600 });
  const json = (name: string, value: unknown): void => secret(name, `${JSON.stringify(value, undefined, 2)}\n`);
  const token = randomBytes(24).toString("base64url");
  secret("token", `${token}\n`);
  secret("tokens", `demo ${createHash("sha256").update(token).digest("hex")}\n`);
  const brokers = [{ host: "127.0.0.1", port: mqttPort }];
  const quick = { holdOnMs: 3_000, holdOffMs: 5_000 };
  json("agent.json", {
    device,
    brokers,
    stateDir: join(state, "agent"),
    runtimeDir: join(state, "run"),
    heartbeatMs: 10_000,
    telemetryMs: 30_000,
    checks: {
      disk: quick,
      memory: quick,
      process: {
        holdOffMs: 3_000,
        watch: watch.map((name) => ({ name: slug(name), command: name.trim().split(/\s+/) })),
      },
    },
  });
  json("aggregator.json", {
    node: "demo",
    brokers,
    store: join(state, "aggregator", "vigil.db"),
    http: { host: "127.0.0.1", port: httpPort, tokensFile: join(state, "tokens") },
  });
  return token;
}

type Part = { name: string; child: ChildProcess };

/** Starts a program of ours in a process group of its own: Ctrl-C then reaches only us, and we stop them in order. */
function startPart(name: string, args: string[], state: string, visible = false): Part {
  const log = createWriteStream(join(state, "log", `${name}.log`), { flags: "a", mode: 0o600 });
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...args], {
    detached: true,
    stdio: ["ignore", visible ? "inherit" : "pipe", visible ? "inherit" : "pipe"],
  });
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  return { name, child };
}

const ended = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((done) => child.once("exit", () => done()));

/** Asks, waits up to 8 s, then insists: nothing of ours outlives us. */
async function stopPart({ child }: Part): Promise<void> {
  child.kill("SIGTERM");
  const patience = new AbortController();
  await Promise.race([ended(child), systemClock.sleep(8_000, patience.signal)]);
  patience.abort();
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  await ended(child);
}

async function run(options: Options, stop: AbortSignal): Promise<number> {
  await mustBeFree(options.mqttPort, "--mqtt-port");
  await mustBeFree(options.httpPort, "--http-port");
  await mustBeOurs(options.state);
  const token = prepare(options);
  const { state, mqttPort, httpPort } = options;
  const here = (file: string): string => join(import.meta.dirname, "..", file);
  const logOf = (name: string): string => join(state, "log", `${name}.log`);
  const parts: Part[] = [];
  const start = (name: string, args: string[], visible = false): ChildProcess => {
    const part = startPart(name, args, state, visible);
    parts.unshift(part);
    return part.child;
  };
  try {
    const broker = start("broker", [here("demo/broker.ts"), "--port", String(mqttPort)]);
    await listening(mqttPort, broker, "the broker", logOf("broker"));
    const aggregator = start("aggregator", [here("aggregator/main.ts"), "--config", join(state, "aggregator.json")]);
    await listening(httpPort, aggregator, "the aggregator", logOf("aggregator"));
    console.log(banner(options, token));
    const watch = start(
      "watch",
      [
        here("ops/main.ts"),
        "watch",
        "--url",
        `http://127.0.0.1:${httpPort}`,
        "--token-file",
        join(state, "token"),
        "--lang",
        options.lang,
      ],
      true,
    );
    const agent = start("agent", [here("agent/main.ts"), "run", "--config", join(state, "agent.json")]);
    const lost = await firstEnd([broker, aggregator, agent, watch], stop);
    if (lost === undefined) return 0;
    const { name } = parts.find(({ child }) => child === lost) ?? { name: "a part" };
    console.error(`${name} ended by itself: see ${logOf(name)}`);
    return 1;
  } finally {
    for (const part of parts) await stopPart(part);
  }
}

/** The first child to end, or undefined when `stop` came first. */
function firstEnd(children: readonly ChildProcess[], stop: AbortSignal): Promise<ChildProcess | undefined> {
  return new Promise((done) => {
    for (const child of children) void ended(child).then(() => done(child));
    if (stop.aborted) done(undefined);
    stop.addEventListener("abort", () => done(undefined), { once: true });
  });
}

function banner({ state, mqttPort, httpPort, device }: Options, token: string): string {
  const api = `http://127.0.0.1:${httpPort}`;
  return [
    "守望 Vigil",
    `  设备 device      ${device}  (this machine)`,
    `  代理 broker      mqtt://127.0.0.1:${mqttPort}      mosquitto_sub -p ${mqttPort} -v -t 'vigil/v1/#'`,
    `  接口 API         ${api}/api/v1/openapi.json`,
    `  令牌 token       ${token}`,
    `                   curl -H 'Authorization: Bearer ${token}' ${api}/api/v1/tickets`,
    `  命令 shell       npm run vigil -- tickets --url ${api} --token-file ${join(state, "token")}`,
    `  日志 logs        ${join(state, "log")}`,
    "  每次变化一行，Ctrl-C 停止 · one line per change, Ctrl-C stops all",
    "",
  ].join("\n");
}

const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stop.abort());
try {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") console.log(HELP);
  else process.exitCode = await run(options, stop.signal);
} catch (error) {
  const usage = error instanceof TypeError && "code" in error;
  console.error(error instanceof Failure || usage ? `vigil: ${(error as Error).message}` : error);
  if (usage) console.error("see: npm start -- --help");
  process.exitCode = error instanceof Failure && error.code !== "ARGUMENT_INVALID" ? 1 : 2;
}
