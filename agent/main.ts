import "../platform/small-buffers.ts"; // before anything that imports mqtt
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../platform/clock.ts";
import { parseConfig, readConfigText } from "../platform/config-file.ts";
import { folderAt } from "../platform/files.ts";
import { leaveAfter } from "../platform/leave.ts";
import { openLog } from "../platform/log.ts";
import { machineAt } from "../platform/machine.ts";
import { openNotifier, readSupervision } from "../platform/notify.ts";
import { redactor } from "../platform/redact.ts";
import { slotAt } from "../platform/slot.ts";
import { Failure } from "../protocol/failure.ts";
import { VERSION } from "../protocol/version.ts";
import { runAgent } from "./app.ts";
import { AgentConfig } from "./config.ts";

const HELP = `vigil-agent [run] [--config FILE]        看护本设备，直到被停止 · watch this device until stopped
vigil-agent check [--config FILE] [--json] [--lang zh|en]
                                         手动自检一轮 · one round by hand; exit 0 ok, 1 warning, 2 critical, 3 unknown
vigil-agent config --print-defaults      全部配置项及默认值 · every key with its default
vigil-agent config --validate [--config FILE]
                                         配置文件哪里写错 · what is wrong with a config file; exit 2 when something is
vigil-agent inventory [--full] [--config FILE]
                                         本设备资产清单（一行 JSON；--full 全部明细）· what this device is: one line
                                         of JSON; --full everything down to packages and peripherals
vigil-agent data NAME | database NAME [--config FILE]
                                         问一个数据目录/数据库（一行 JSON）· ask one of the config's, one line of JSON

  -c, --config FILE    default /etc/vigil/agent.json
  -h, --help · -v, --version
`;
const DEFAULT_CONFIG = "/etc/vigil/agent.json";
/** What a monitoring plugin answers that could not ask at all. */
const UNKNOWN = 3;
/** A thread that hangs in a dead mount holds us no longer than this. */
const LEAVE_MS = 2_000;
/** What starts this very program. */
const SELF = [process.execPath, ...process.execArgv, import.meta.filename] as const;
const COMMANDS = ["run", "check", "config", "inventory", "data", "database"];

async function run(file: string, stop: AbortSignal): Promise<number> {
  const text = await readConfigText(file);
  const config = parseConfig(text, AgentConfig, file);
  const { openJournal } = await import("./outbox/journal.ts");
  const clock = systemClock;
  const log = openLog(config.logLevel, "agent", redactor(config.secretWords));
  const supervision = readSupervision(process.env, process.pid);
  const { stateDir, outbox: limits } = config;
  const opening = openJournal({ folder: folderAt(stateDir), clock, log, maxBytes: limits.maxBytes });
  const { openMqttLink } = await import("../platform/mqtt-link.ts"); // loaded while the flash takes the first write
  await using outbox = await opening;
  await runAgent(
    {
      config,
      configHash: createHash("sha256").update(text).digest("hex"),
      version: VERSION,
      clock,
      log,
      machine: machineAt(),
      random: Math.random,
      outbox,
      openLink: openMqttLink({ clock, random: Math.random, log }),
      cron: async (expression, work, signal) =>
        (await import("../platform/cron.ts")).nodeCron(expression, work, signal),
      notify: openNotifier(supervision.fd),
      watchdogMs: supervision.watchdogMs ?? 60_000,
      run: async (order) => {
        const { runProgram } = await import("../platform/run.ts");
        return runProgram(
          { ...order, signal: order.signal === undefined ? stop : AbortSignal.any([stop, order.signal]) },
          clock,
        );
      },
      self: [...SELF, "--config", file],
      keep: {
        folder: folderAt(join(stateDir, "checks")),
        slot: (name) => slotAt(config.runtimeDir, name),
      },
      stateFolder: folderAt(stateDir),
      takeInventory: async (signal) => {
        const { runInventory } = await import("./inventory.ts");
        const { runProgram } = await import("../platform/run.ts");
        return runInventory(
          (order) => runProgram({ ...order, signal }, clock),
          [...SELF, "inventory", "--save", "--config", file],
        );
      },
    },
    stop,
  );
  return 0;
}

async function main(args: string[], stop: AbortSignal): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      config: { type: "string", short: "c" },
      json: { type: "boolean", default: false },
      lang: { type: "string" },
      full: { type: "boolean", default: false },
      save: { type: "boolean", default: false }, // the agent to its child: leave the document in the state folder
      "print-defaults": { type: "boolean", default: false },
      validate: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      version: { type: "boolean", short: "v", default: false },
    },
  });
  const [command = "run", ...extra] = positionals;
  if (values.help) return say(HELP);
  if (values.version) return say(`${VERSION}\n`);
  const asks = command === "data" || command === "database"; // of one target of the config
  if (!COMMANDS.includes(command) || (asks ? extra.length === 0 || extra.length > 2 : extra.length > 0))
    throw new Failure(
      "ARGUMENT_INVALID",
      `no command "${[command, ...extra].join(" ")}"; there are ${COMMANDS.join(", ")}`,
    );
  if (command === "run") return run(values.config ?? DEFAULT_CONFIG, stop);
  if (asks) {
    const targets = await import("./targets.ts");
    const file = values.config ?? DEFAULT_CONFIG;
    return targets[command]({ file, words: extra, machine: machineAt(), clock: systemClock, signal: stop, say });
  }
  if (command === "inventory") {
    const { inventory } = await import("./inventory-command.ts");
    const { config: given, save, full } = values;
    return inventory({
      ...{ file: given, fallback: DEFAULT_CONFIG, save, full },
      ...{ machine: machineAt(), clock: systemClock, say },
    });
  }
  const commands = await import("./commands.ts"); // loaded only by hand: the watching agent has no use for it
  const lang = values.lang ?? (/^en/.test(process.env["LC_ALL"] ?? process.env["LANG"] ?? "") ? "en" : "zh");
  if (command === "check")
    return commands.check({
      file: values.config,
      fallback: DEFAULT_CONFIG,
      json: values.json,
      lang,
      clock: systemClock,
      machine: machineAt(),
      self: SELF,
      signal: stop,
      say,
    });
  if (values["print-defaults"]) return commands.printDefaults(say);
  if (values.validate) return commands.validate(values.config ?? DEFAULT_CONFIG, say);
  throw new Failure("ARGUMENT_INVALID", "config takes --print-defaults or --validate");
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort());
try {
  process.exitCode = await main(process.argv.slice(2), stop.signal);
} catch (error) {
  const usage = error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
  const failure = error instanceof Failure;
  const told = failure || usage ? `vigil-agent: ${error.message}` : error instanceof Error ? error.stack : undefined;
  process.stderr.write(`${redactor([])(told ?? String(error))}\n`); // a config's mistake is shown with its value
  if (usage || (failure && error.code === "ARGUMENT_INVALID")) process.stderr.write("see vigil-agent --help\n");
  const wrong = usage || (failure && error.code !== "MACHINE_READ") ? 2 : 1;
  process.exitCode = process.argv.includes("check") ? UNKNOWN : wrong;
}
void leaveAfter(LEAVE_MS, Number(process.exitCode));
