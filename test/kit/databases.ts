import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../platform/clock.ts";
import { type Child, startChild } from "./child.ts";
import { programPath, run } from "./peers.ts";
import { freePort } from "./ports.ts";

/** A database server of a test, in the test's folder; its users come in without a password but for those made with one. */
export interface Server extends AsyncDisposable {
  readonly port: number;
  readonly child: Child;
  /** Runs statements as the server's own superuser. */
  sql(text: string): string;
}

const PG_BIN = "/usr/lib/postgresql";
/** Where Debian keeps PostgreSQL's programs, undefined where it is not installed. */
export const postgresBin = (): string | undefined =>
  existsSync(PG_BIN)
    ? readdirSync(PG_BIN)
        .map((version) => join(PG_BIN, version, "bin"))
        .find((bin) => existsSync(join(bin, "initdb")))
    : undefined;

const NOBODY = 65_534;
/** Database servers refuse to run as root. */
const asNobody = (...argv: string[]): string[] =>
  process.getuid?.() === 0
    ? ["--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups", "--pdeathsig", "KILL", "--", ...argv]
    : ["--pdeathsig", "KILL", "--", ...argv];

function ownFolder(parent: string, name: string): string {
  chmodSync(parent, 0o755);
  const folder = join(parent, name);
  mkdirSync(folder);
  if (process.getuid?.() === 0) chownSync(folder, NOBODY, NOBODY);
  return folder;
}

/** `secret` needs its password, everyone else none. `options` are the server's own. */
export async function startPostgres(parent: string, options: readonly string[] = []): Promise<Server> {
  const bin = postgresBin() ?? "";
  const folder = ownFolder(parent, "postgres");
  const data = join(folder, "data");
  const initdb = ["-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--no-locale"];
  run("setpriv", asNobody(join(bin, "initdb"), ...initdb));
  writeFileSync(
    join(data, "pg_hba.conf"),
    "local all all trust\nhost all secret 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
  );
  const port = await freePort();
  const light = ["-c", "shared_buffers=1MB", "-c", "fsync=off", "-c", "max_connections=12"];
  const place = ["-D", data, "-p", String(port), "-k", folder, "-h", "127.0.0.1"];
  const child = startChild(programPath("setpriv"), asNobody(join(bin, "postgres"), ...place, ...light, ...options));
  const sql = (text: string): string =>
    run("psql", [
      "-h",
      folder,
      "-p",
      String(port),
      "-U",
      "postgres",
      "-d",
      "postgres",
      "-v",
      "ON_ERROR_STOP=1",
      "-Atqc",
      text,
    ]);
  await ready(child, () => sql("SELECT 1"));
  return { port, child, sql, [Symbol.asyncDispose]: () => end(child) };
}

/** root comes in without a password. `options` are the server's own. */
export async function startMariadb(parent: string, options: readonly string[] = []): Promise<Server> {
  const folder = ownFolder(parent, "mariadb");
  const data = join(folder, "data");
  const fresh = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"];
  run("setpriv", asNobody("mariadb-install-db", "--no-defaults", `--datadir=${data}`, ...fresh));
  const port = await freePort();
  const socket = join(folder, "socket");
  const place = [
    "--no-defaults",
    `--datadir=${data}`,
    `--socket=${socket}`,
    `--port=${port}`,
    "--bind-address=127.0.0.1",
  ];
  const light = ["--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0", "--max-connections=12"];
  const child = startChild(programPath("setpriv"), asNobody(programPath("mariadbd"), ...place, ...light, ...options));
  const sql = (text: string): string =>
    run("mariadb", [
      "--no-defaults",
      "--default-character-set=utf8mb4",
      "-S",
      socket,
      "-u",
      "root",
      "-N",
      "-B",
      "-e",
      text,
    ]);
  await ready(child, () => sql("SELECT 1"));
  return { port, child, sql, [Symbol.asyncDispose]: () => end(child) };
}

/** A stopped server hears no other signal. */
async function end(child: Child): Promise<void> {
  child.process.kill("SIGCONT");
  await child.kill9();
}

async function ready(child: Child, ask: () => string): Promise<void> {
  for (;;) {
    try {
      ask();
      return;
    } catch (cause) {
      if (child.process.exitCode !== null) throw new Error(child.output(), { cause });
      await systemClock.sleep(50);
    }
  }
}
