import "../platform/small-buffers.ts"; // before anything that imports mqtt
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { systemClock } from "../platform/clock.ts";
import { readConfig } from "../platform/config-file.ts";
import { openLog } from "../platform/log.ts";
import { openMqttLink } from "../platform/mqtt-link.ts";
import { openNotifier, readSupervision } from "../platform/notify.ts";
import { redactor } from "../platform/redact.ts";
import { Failure } from "../protocol/failure.ts";
import { VERSION } from "../protocol/version.ts";
import { runAggregator } from "./app.ts";
import { AggregatorConfig, exampleConfig } from "./config.ts";
import { startHttp } from "./http/server.ts";
import { readTokens } from "./http/tokens.ts";
import { openSqliteHistory } from "./sqlite/history.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const DEFAULT_CONFIG = "/etc/vigil/aggregator.json";
const HELP = `vigil-aggregator [--config FILE]          汇聚端：听设备，管工单 · listens to devices, keeps tickets
vigil-aggregator --print-defaults         全部配置项及默认值 · every key with its default
vigil-aggregator --validate [--config FILE]
                                          配置文件哪里写错 · what is wrong with a config file; exit 2 when something is

  -c, --config FILE    default ${DEFAULT_CONFIG}
  -h, --help · -v, --version

退出码 exit codes: 0 stopped on request · 1 it failed · 2 a wrong argument or config
`;

async function run(config: AggregatorConfig, stop: AbortSignal): Promise<void> {
  const clock = systemClock;
  const log = openLog(config.logLevel, "aggregator", redactor([]));
  const supervision = readSupervision(process.env, process.pid);
  const notify = openNotifier(supervision.fd);
  const { host, port, tokensFile, tls } = config.http;
  const tokens = tokensFile === undefined ? [] : await readTokens(tokensFile);
  await using store = openSqliteStore({ file: config.store });
  await using history = openSqliteHistory({
    ...{ file: config.history.file ?? besideStore(config.store) },
    ...{ rawEveryMs: config.history.rawEveryS * 1_000, maxFigures: config.history.figures },
    putAside: (as, { message }) => {
      log.error(
        { event: "history.damaged", as, because: message },
        "the history is damaged: put aside, a new one begins",
      );
    },
  });
  await runAggregator(
    {
      ...{ config, version: VERSION, clock, log, store, history },
      random: randomBytes,
      openLink: openMqttLink({ clock, random: Math.random, log }),
      serve: async (face) => {
        const server = await startHttp({ config: { host, port, tokens, tls }, clock, log, ...face });
        log.info({ event: "http.listening", host, port: server.port }, "answering");
        return server;
      },
      ready: () => notify.ready(),
      alive: () => notify.watchdog(),
    },
    stop,
  );
  notify.stopping();
}

/** `vigil.db` → `vigil-history.db`. */
const besideStore = (store: string): string =>
  store === ":memory:" ? store : store.replace(/(\.[^./]*)?$/, (end) => `-history${end}`);

async function main(args: string[], stop: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      config: { type: "string", short: "c", default: DEFAULT_CONFIG },
      "print-defaults": { type: "boolean", default: false },
      validate: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      version: { type: "boolean", short: "v", default: false },
    },
  });
  if (values.help) return say(HELP);
  if (values.version) return say(`${VERSION}\n`);
  if (values["print-defaults"]) return say(`${JSON.stringify(exampleConfig(), undefined, 2)}\n`);
  const config = await readConfig(values.config, AggregatorConfig);
  if (values.validate) return say(`${values.config}: 正确 valid (${config.node})\n`);
  await run(config, stop);
}

function say(text: string): void {
  process.stdout.write(text);
}

const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort());
try {
  await main(process.argv.slice(2), stop.signal);
} catch (error) {
  const usage = error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
  const failure = error instanceof Failure;
  const told =
    failure || usage ? `vigil-aggregator: ${error.message}` : error instanceof Error ? error.stack : undefined;
  process.stderr.write(`${redactor([])(told ?? String(error))}\n`); // a config's mistake is shown with its value
  if (usage) process.stderr.write("see vigil-aggregator --help\n");
  process.exitCode = usage || (failure && /^(CONFIG|ARGUMENT|TOKENS)_/.test(error.code)) ? 2 : 1;
}
