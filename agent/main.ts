import "../platform/small-buffers.ts"; // before anything that imports mqtt
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../platform/clock.ts";
import { readConfigText } from "../platform/config-file.ts";
import { folderAt } from "../platform/files.ts";
import { leaveAfter } from "../platform/leave.ts";
import { openLog } from "../platform/log.ts";
import { machineAt } from "../platform/machine.ts";
import { openNotifier, readSupervision } from "../platform/notify.ts";
import { redactor } from "../platform/redact.ts";
import { ridingClock } from "../platform/riding-clock.ts";
import { slotAt } from "../platform/slot.ts";
import { heapTidier } from "../platform/tidy-heap.ts";
import { Failure } from "../protocol/failure.ts";
import { VERSION } from "../protocol/version.ts";
import { runAgent } from "./app.ts";
import { parseRunConfig } from "./run-config.ts";

const HELP = `vigil-agent [run] [--config FILE]        看护本设备，直到被停止 · watch this device until stopped
vigil-agent check [--check ID[,ID]] [--config FILE] [--json] [--lang zh|en]
                                         手动自检一轮 · one round by hand; exit 0 ok, 1 warning, 2 critical, 3 unknown
                                         --check 只做这些检查 · only these checks: --check disk,network
vigil-agent daily [--config FILE] [--json] [--lang zh|en]
                                         日检此刻会报什么（不发送）· what the daily check would say now; nothing is sent
vigil-agent config --print-defaults      全部配置项及默认值 · every key with its default
vigil-agent config --validate [--config FILE]
                                         配置文件哪里写错 · what is wrong with a config file; exit 2 when something is
vigil-agent baseline approve --by NAME [--config FILE] [PATH…]
                                         签署配置基线（须具名）· sign configs off as they are now, by name
vigil-agent baseline [show] [--json] | diff [PATH…] | history PATH
                                         与基线的差异与历史 · what is not as signed off; exit 1 when something is not
vigil-agent inventory [--full] [--config FILE]
                                         本设备资产清单（一行 JSON；--full 全部明细）· what this device is: one line
                                         of JSON; --full everything down to packages and peripherals
vigil-agent data NAME | database NAME [--config FILE]
                                         问一个数据目录/数据库（一行 JSON）· ask one of the config's, one line of JSON
vigil-agent probe URL|NAME [--seconds N] [--json] [--lang zh|en] [--user U] [--password-file F]
                 [--transport tcp|udp] [--class camera|presentation|narrowband] [--ca-file F] [--no-picture]
                                         探测一路视频流（rtsp rtmp flv hls ts）并给出结论 · is this stream alive, and if
                                         not, at which hop; exit 0 alive, 1 not well, 2 dead, 3 unknown

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
const COMMANDS = ["run", "check", "daily", "config", "inventory", "data", "database", "baseline", "probe"];

async function run(file: string, stop: AbortSignal): Promise<number> {
  const text = await readConfigText(file);
  const { config, checks } = await parseRunConfig(text, file);
  const { openJournal } = await import("./outbox/journal.ts");
  const clock = ridingClock(systemClock, 1.1 * config.rounds.slowMs); // a slow round may come late by its jitter
  const log = openLog(config.logLevel, "agent", redactor(config.secretWords));
  const supervision = readSupervision(process.env, process.pid);
  const { stateDir, outbox: limits } = config;
  const opening = openJournal({ folder: folderAt(stateDir), clock, log, maxBytes: limits.maxBytes });
  const { openMqttLink } = await import("../platform/mqtt-link.ts"); // loaded while the flash takes the first write
  await using outbox = await opening;
  await runAgent(
    {
      config,
      checks,
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
      tidyHeap: heapTidier(),
      watchdogMs: supervision.watchdogMs ?? 60_000,
      run: async (order) => {
        const { runProgram } = await import("../platform/run.ts");
        return runProgram(
          { ...order, signal: order.signal === undefined ? stop : AbortSignal.any([stop, order.signal]) },
          systemClock,
        );
      },
      follow: async (order) => (await import("../platform/follow-program.ts")).followProgram(order),
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
          (order) => runProgram({ ...order, signal }, systemClock),
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
      check: { type: "string" },
      lang: { type: "string" },
      by: { type: "string" },
      full: { type: "boolean", default: false },
      seconds: { type: "string" },
      user: { type: "string" },
      "password-file": { type: "string" },
      "ca-file": { type: "string" },
      transport: { type: "string" },
      class: { type: "string" },
      "no-picture": { type: "boolean", default: false },
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
  if (command === "probe" && extra.length !== 1)
    throw new Failure("ARGUMENT_INVALID", '"probe" takes an address or a name of the config, and only one');
  const words = command === "probe" ? [1, 1] : asks ? [1, 2] : command === "baseline" ? [0, extra.length] : [0, 0];
  if (!COMMANDS.includes(command) || extra.length < (words[0] ?? 0) || extra.length > (words[1] ?? 0))
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
  if (command === "probe") {
    const { probe } = await import("./probe-command.ts");
    const { seconds, user, transport, class: streamClass, json } = values;
    const flags = { user, transport, class: streamClass, passwordFile: values["password-file"] };
    return probe({
      ...{ word: extra[0] ?? "", config: values.config ?? DEFAULT_CONFIG, seconds, json, lang: langOf(values.lang) },
      ...{ ...flags, caFile: values["ca-file"], picture: !values["no-picture"] },
      ...{ clock: systemClock, machine: machineAt(), signal: stop, say },
      columns: columnsOf(process.stdout),
      terminal:
        process.stderr.isTTY && process.stdin.isTTY
          ? { stdin: process.stdin, stderr: process.stderr, canDraw: CAN_DRAW }
          : undefined,
    });
  }
  if (command === "inventory") {
    const { inventory } = await import("./inventory-command.ts");
    const { config: given, save, full } = values;
    return inventory({
      ...{ file: given, fallback: DEFAULT_CONFIG, save, full },
      ...{ machine: machineAt(), clock: systemClock, say },
    });
  }
  if (command === "baseline") {
    const { baseline } = await import("./baseline.ts");
    const { by, json } = values;
    return baseline({
      ...{ config: values.config ?? DEFAULT_CONFIG, words: extra, by, json, lang: langOf(values.lang) },
      ...{ machine: machineAt(), clock: systemClock, become: becomeOwner, say },
    });
  }
  const commands = await import("./commands.ts"); // loaded only by hand: the watching agent has no use for it
  const lang = langOf(values.lang);
  if (command === "check" || command === "daily")
    return commands[command]({
      ...{ file: values.config, fallback: DEFAULT_CONFIG, check: values.check, json: values.json, lang },
      ...{ clock: systemClock, machine: machineAt(), self: SELF, signal: stop, say, version: VERSION },
      columns: columnsOf(process.stdout),
      progress:
        process.stderr.isTTY && CAN_DRAW
          ? { columns: columnsOf(process.stderr) ?? USUAL_COLUMNS, tell: overwrite }
          : undefined,
    });
  if (values["print-defaults"]) return commands.printDefaults(say);
  if (values.validate) return commands.validate(values.config ?? DEFAULT_CONFIG, say);
  throw new Failure("ARGUMENT_INVALID", "config takes --print-defaults or --validate");
}

const langOf = (given: string | undefined): string =>
  given ?? (/^en/.test(process.env["LC_ALL"] || process.env["LANG"] || "") ? "en" : "zh"); // set to nothing is not set

/** Root writes as the owner of the state folder. Returns the way back. */
function becomeOwner({ uid, gid }: { uid: number; gid: number }): () => void {
  if (process.geteuid?.() !== 0 || uid === 0) return () => {};
  const own = process.getegid?.() ?? 0;
  process.setegid?.(gid);
  process.seteuid?.(uid);
  return () => {
    process.seteuid?.(0);
    process.setegid?.(own);
  };
}

function say(text: string): number {
  // whoever read us has gone (`| head`): the exit code still stands
  if (process.stdout.listenerCount("error") === 0)
    process.stdout.on("error", (cause) => {
      if (!("code" in cause && cause.code === "EPIPE")) throw cause;
    });
  process.stdout.write(text);
  return 0;
}

/** A dumb terminal would show the commands to it as letters. */
const CAN_DRAW = process.env["TERM"] !== "dumb";
const USUAL_COLUMNS = 80;
/** A serial console says it has none. */
const columnsOf = ({ isTTY, columns }: NodeJS.WriteStream): number | undefined =>
  isTTY && columns > 0 ? columns : undefined;

/** One line of standard error, written over again and again; "" takes it away. */
function overwrite(text: string): void {
  process.stderr.write(`\r\u001b[K${text}`);
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
  const asks = ["check", "probe"].some((command) => process.argv.includes(command));
  process.exitCode = asks ? UNKNOWN : wrong;
}
void leaveAfter(LEAVE_MS, Number(process.exitCode));
