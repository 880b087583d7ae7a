import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { accepting, type Child, startChild } from "./child.ts";
import { needs, programPath, run } from "./peers.ts";
import { freePort } from "./ports.ts";
import { tempFolder } from "./temp.ts";

/** A broker of a test, on loopback. The same port and data folder over every restart. */
export interface TestBroker extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  output(): string;
  stop(): Promise<void>;
  kill9(): Promise<void>;
  /** Starts it again after `stop` or `kill9`. */
  restart(): Promise<void>;
}

export interface BrokerOptions {
  port?: number;
  /** PEM files; with `ca` a client must show a certificate of it, whose common name is then its user name. */
  tls?: { cert: string; key: string; ca?: string };
}

export interface MosquittoOptions extends BrokerOptions {
  /** Lines of an acl_file; without, everybody may do everything. */
  acl?: readonly string[];
  /** User names and their passwords (mosquitto_passwd); without, anonymous clients are let in. */
  users?: Readonly<Record<string, string>>;
  /** More lines of mosquitto.conf. */
  config?: readonly string[];
}

/** A broker that story and contract tests run against. */
export interface BrokerKind {
  name: string;
  skip: boolean;
  start(options?: BrokerOptions): Promise<TestBroker>;
}

export const BROKERS: readonly BrokerKind[] = [
  { name: "mosquitto", skip: needs("mosquitto", "mosquitto"), start: startMosquitto },
  { name: "the embedded broker", skip: false, start: startEmbedded },
];

/** Mosquitto from Debian, its config and data in a temporary folder that goes with it. */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<TestBroker> {
  const folder = tempFolder("mosquitto");
  const port = options.port ?? (await freePort());
  const file = join(folder.path, "mosquitto.conf");
  writeFileSync(file, `${mosquittoConfig(folder.path, port, options).join("\n")}\n`);
  const start = (): Child => startChild(programPath("mosquitto"), ["-c", file]);
  return running(port, start, () => folder[Symbol.dispose]());
}

function mosquittoConfig(folder: string, port: number, { tls, acl, users, config = [] }: MosquittoOptions): string[] {
  const data = join(folder, "data");
  mkdirSync(data, { mode: 0o700 });
  const lines = [
    `listener ${port} 127.0.0.1`,
    "persistence true",
    `persistence_location ${data}/`,
    "autosave_interval 1",
    "max_queued_messages 200000",
    "message_size_limit 262144",
    "user root", // as root mosquitto would turn into another user, who may not write here
    ...config,
  ];
  if (tls !== undefined) lines.push(`certfile ${tls.cert}`, `keyfile ${tls.key}`);
  if (tls?.ca !== undefined)
    lines.push(`cafile ${tls.ca}`, "require_certificate true", "use_identity_as_username true");
  if (acl !== undefined) {
    writeFileSync(join(folder, "acl"), `${acl.join("\n")}\n`, { mode: 0o600 });
    lines.push(`acl_file ${join(folder, "acl")}`);
  }
  if (users === undefined) return [...lines, "allow_anonymous true"];
  const passwords = join(folder, "passwords");
  writePasswords(passwords, users);
  return [...lines, `password_file ${passwords}`];
}

function writePasswords(file: string, users: Readonly<Record<string, string>>): void {
  const text = Object.entries(users).map(([name, password]) => `${name}:${password}`);
  writeFileSync(file, `${text.join("\n")}\n`, { mode: 0o600 });
  run("mosquitto_passwd", ["-U", file]); // hashes them in place
}

/** demo/broker.ts as a child process: what `npm start` runs. */
export async function startEmbedded(options: BrokerOptions = {}): Promise<TestBroker> {
  const program = fileURLToPath(new URL("../../demo/broker.ts", import.meta.url));
  const port = options.port ?? (await freePort());
  const { tls } = options;
  const files = tls === undefined ? [] : ["--cert", tls.cert, "--key", tls.key];
  if (tls?.ca !== undefined) files.push("--ca", tls.ca);
  const start = (): Child => startChild(process.execPath, [program, "--port", String(port), ...files]);
  return running(port, start, () => {});
}

/** A broker that `start` starts, once it accepts; `cleanUp` when it is gone for good. */
export async function running(port: number, start: () => Child, cleanUp: () => void): Promise<TestBroker> {
  let child = start();
  const stop = (): Promise<void> => child.stop();
  const ready = (): Promise<void> =>
    accepting(port, child).catch(async (cause: unknown) => {
      await stop();
      cleanUp();
      throw cause;
    });
  await ready();
  return {
    port,
    get pid() {
      return child.pid;
    },
    output: () => child.output(),
    stop,
    kill9: () => child.kill9(),
    async restart() {
      await stop();
      child = start();
      await ready();
    },
    async [Symbol.asyncDispose]() {
      await stop();
      cleanUp();
    },
  };
}
