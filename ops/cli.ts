import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { Clock } from "../platform/clock.ts";
import { clean, cleanJson, displayWidth } from "../platform/width.ts";
import { Failure } from "../protocol/failure.ts";
import { TICKET_STATES } from "../protocol/ticket.ts";
import { tokenLine, tokenOf } from "../protocol/token.ts";
import { CODE_PATTERN, ID_PATTERN, TICKET_PATTERN } from "../protocol/topics.ts";
import { type Api, openApi } from "./client.ts";
import { daily } from "./daily.ts";
import { follow } from "./follow.ts";
import { history, trends } from "./history.ts";
import { inventory, inventoryHistory } from "./inventory.ts";
import { type Look, paint } from "./look.ts";
import { showAlarms, showDevice, showDevices, showTicket, showTickets } from "./show.ts";
import { readToken } from "./token-file.ts";
import { watchLines } from "./watch-lines.ts";
import { LANGS, type Lang, langOf, remedy, WORDS } from "./words.ts";

/** Everything of the outside that a command may touch. */
export interface OpsParts {
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** Whether a person looks at standard output. */
  tty: boolean;
  columns?: number | undefined;
  out(text: string): void;
  err(text: string): void;
  clock: Clock;
  random(count: number): Uint8Array;
  /** Aborts on Ctrl-C, on SIGTERM, and when nobody reads our output any more. */
  stop: AbortSignal;
}

/** Exit codes of `vigil`. */
export const EXIT = { ok: 0, failure: 1, usage: 2, unreachable: 3 } as const;
const DEFAULT_URL = "http://127.0.0.1:8480";

interface Common {
  url: string;
  tokenFile?: string;
  lang: Lang;
  json?: boolean;
}
/** One run of one command: its options understood. */
interface Desk extends OpsParts {
  look: Look;
  json: boolean;
  url: string;
  api(): Promise<Api>;
}

/** Runs one `vigil` command. Resolves to the exit code; expected failures are told in one line, never thrown. */
export async function runOps(parts: OpsParts): Promise<number> {
  const lang = langOf(parts.env["LC_ALL"] || parts.env["LC_MESSAGES"] || parts.env["LANG"]);
  try {
    await makeProgram(parts, lang).parseAsync([...parts.argv], { from: "user" });
    return EXIT.ok;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return EXIT.ok; // --help
    if (thrown instanceof CommanderError && thrown.code === "commander.help") return EXIT.usage; // shown already
    if (parts.stop.aborted) return EXIT.failure;
    const failure = asFailure(thrown);
    if (failure === undefined) throw thrown;
    return tell(parts, langAsked(parts.argv) ?? lang, failure);
  }
}

function asFailure(thrown: unknown): Failure | undefined {
  if (thrown instanceof Failure) return thrown;
  if (!(thrown instanceof CommanderError)) return undefined;
  return new Failure("ARGUMENT_INVALID", thrown.message.replace(/^error: /, "").replaceAll("\n", " "));
}

function langAsked(argv: readonly string[]): Lang | undefined {
  const at = argv.findIndex((word) => word === "--lang" || word.startsWith("--lang="));
  const asked = argv[at]?.split("=")[1] ?? argv[at + 1];
  return at === -1 ? undefined : LANGS.find((lang) => lang === asked);
}

/** One line: code, what, remedy. Returns the exit code. */
function tell(parts: OpsParts, lang: Lang, failure: Failure): number {
  const what = failure.message.replace(` (${failure.code})`, "").replace(/\.$/, "");
  parts.err(clean(`vigil: ${failure.code}: ${what}${lang === "zh" ? "。" : ". "}${remedy(lang, failure.code)}`));
  parts.err("\n");
  if (failure.code === "ARGUMENT_INVALID") return EXIT.usage;
  return failure.code === "API_UNREACHABLE" ? EXIT.unreachable : EXIT.failure;
}

const HELP_AFTER = `
退出码 · exit codes: 0 成功 ok, 1 失败 failure, 2 用法 usage, 3 聚合器无应答 aggregator unreachable
环境变量 · environment: VIGIL_URL, VIGIL_TOKEN, VIGIL_TOKEN_FILE, LANG, NO_COLOR, NODE_EXTRA_CA_CERTS`;

function makeProgram(parts: OpsParts, lang: Lang): Command {
  const program = new Command("vigil")
    .description("守望：查看设备、告警与工单\nVigil: devices, alarms and tickets from a shell")
    .helpOption("-h, --help", "显示帮助 · show this help")
    .helpCommand(false)
    .enablePositionalOptions() // what stands behind `inventory history` is not `inventory`'s own
    .addHelpText("after", HELP_AFTER)
    .exitOverride()
    .configureOutput({ writeOut: parts.out, writeErr: parts.err, outputError: () => {} })
    .configureHelp({ displayWidth, ...(parts.columns === undefined ? {} : { helpWidth: parts.columns }) });
  const add = (to: Command, name: string, zh: string, en: string) =>
    to
      .command(name)
      .helpCommand(false)
      .helpOption("-h, --help", "显示帮助 · show this help")
      .summary(`${zh} · ${en}`)
      .description(`${zh}\n${en}`);
  const withDesk =
    <A extends unknown[]>(run: (desk: Desk, options: Record<string, never>, ...args: A) => Promise<void>) =>
    async (...given: unknown[]) => {
      const command = given.pop() as Command;
      given.pop();
      const options = command.opts();
      await run(deskOf(parts, options as Common), options as Record<string, never>, ...(given as A));
    };
  const reading = (to: Command, name: string, zh: string, en: string) => common(add(to, name, zh, en), parts, lang);

  reading(program, "devices", "列出设备", "list the devices").action(withDesk(devices));
  reading(program, "device", "一台设备：资产、读数、活动告警", "one device: inventory, figures, active alarms")
    .argument("<id>", "设备编号 · device id", idOf)
    .action(withDesk(device));
  reading(program, "alarms", "列出活动告警", "list the active alarms")
    .option("--device <id>", "只看一台设备 · of one device only", idOf)
    .option("--all", "包括已消除的 · cleared ones too")
    .action(withDesk(alarms));
  reading(program, "tickets", "列出工单", "list the tickets")
    .option("--device <id>", "只看一台设备 · of one device only", idOf)
    .option("--open", "只看未结的 · open ones only")
    .addOption(new Option("--state <state>", "只看一种状态 · in one state only").choices(TICKET_STATES))
    .action(withDesk(tickets));
  const inventoryCommand = reading(
    program,
    "inventory",
    "资产清单：软硬件与版本",
    "inventory: hardware, software, versions",
  )
    .enablePositionalOptions()
    .option("--device <id>", "一台设备的全部明细 · one device, with everything", idOf)
    .option("--site <site>", "只看一个站点 · of one site only", idOf)
    .option("--class <class>", "只看一类设备 · of one class only", idOf)
    .option("--package <name>", "只看装有此软件包的设备 · only devices that have this package")
    .option("--below <version>", "且版本低于 · in a version earlier than")
    .option("--above <version>", "且版本高于 · in a version later than")
    .option("--count", "按类别、站点、型号统计数量 · quantities by class, site and model")
    .option("--csv", "输出 CSV（UTF-8，Excel 可直接打开）· print CSV, for Excel too")
    .action(withDesk((desk, options) => inventory(inventoryDesk(desk), options)));
  reading(inventoryCommand, "history", "一台设备的资产变更记录", "what changed on a device")
    .option("--csv", "输出 CSV · print CSV")
    .argument("<id>", "设备编号 · device id", idOf)
    .action(withDesk((desk, options, id: string) => inventoryHistory(inventoryDesk(desk), options, id)));
  reading(program, "daily", "日检表：每台设备当天的自检", "the daily checks: how each device stood that day")
    .option("--date <date>", "哪一天，默认今天 · which day, today where left out; 2026-11-22", dateOf)
    .option("--device <id>", "一台设备当天的全部明细 · one device, with everything", idOf)
    .option("--site <site>", "只看一个站点 · of one site only", idOf)
    .option("--csv", "输出 CSV（UTF-8，Excel 可直接打开）· print CSV, for Excel too")
    .action(withDesk((desk, options) => daily(inventoryDesk(desk), options)));
  reading(program, "history", "一项读数的历史：曲线与每日数值", "figures over time: a line and each day's values")
    .argument("<id>", "设备编号 · device id", idOf)
    .argument("<code>", "读数代码，如 disk.var · code of the figures", codeOf)
    .argument("[figure]", "指标，如 free_pct；不给则全部 · one figure; all where left out", figureOf)
    .option("--days <n>", "最近几天，默认 14 · days back, 14 where left out", daysOf)
    .option("--raw", "原始样本（保留 30 天），不是小时值 · samples, not hourly values")
    .option("--csv", "输出 CSV（UTF-8，Excel 可直接打开）· print CSV, for Excel too")
    .action(
      withDesk((desk, options, id: string, code: string, figure?: string) =>
        history(inventoryDesk(desk), desk.clock.wall(), options, { id, code, figure }),
      ),
    );
  reading(program, "trends", "趋势预测：哪些指标将达限值", "what is on its way to a limit, or unlike its class")
    .option("--device <id>", "只看一台设备 · of one device only", idOf)
    .option("--csv", "输出 CSV（UTF-8，Excel 可直接打开）· print CSV, for Excel too")
    .action(withDesk((desk, options) => trends(inventoryDesk(desk), options)));
  const ticketCommand = add(program, "ticket", "单个工单", "one ticket");
  reading(ticketCommand, "show", "工单及其时间线", "a ticket with its timeline")
    .argument("<no>", "工单号 · ticket number, GZ-20261122-0001", noOf)
    .action(withDesk(ticket));
  reading(program, "watch", "实时查看变化，每个变化一行", "watch changes, one line each; --json: NDJSON").action(
    withDesk(watch),
  );
  const tokenCommand = add(program, "token", "访问令牌", "access tokens");
  spoken(
    add(tokenCommand, "new", "新建令牌，并给出聚合器要加的一行", "make a token and the line the aggregator needs"),
    lang,
  )
    .argument("<name>", "令牌名 · whose token it is")
    .action(withDesk(tokenNew));
  return program;
}

const spoken = (command: Command, lang: Lang): Command =>
  command
    .option("--json", "输出 JSON · print JSON")
    .addOption(new Option("--lang <lang>", "语言 · language, from LANG").choices(LANGS).default(lang));

function common(command: Command, { env }: OpsParts, lang: Lang): Command {
  return spoken(command, lang)
    .option("--url <url>", "聚合器地址 · aggregator, VIGIL_URL", urlOf, urlOf(env["VIGIL_URL"] || DEFAULT_URL))
    .option("--token-file <file>", "令牌文件 · file with the token, VIGIL_TOKEN_FILE or VIGIL_TOKEN");
}

function urlOf(text: string): string {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "") return text;
  throw new InvalidArgumentError("Allowed: http://host:port or https://host:port.");
}
function idOf(text: string): string {
  if (ID_PATTERN.test(text)) return text;
  throw new InvalidArgumentError("Allowed: 1–40 of a–z 0–9 -.");
}
function codeOf(text: string): string {
  if (CODE_PATTERN.test(text)) return text;
  throw new InvalidArgumentError("Allowed: a code like disk.var, see vigil device.");
}
function figureOf(text: string): string {
  if (/^[a-z][a-z0-9_]{0,59}$/.test(text)) return text;
  throw new InvalidArgumentError("Allowed: a figure like free_pct, see vigil device.");
}
function daysOf(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Allowed: 1 to 9999.");
}
function dateOf(text: string): string {
  if (/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/.test(text)) return text;
  throw new InvalidArgumentError("Allowed: a day like 2026-11-22.");
}
function noOf(text: string): string {
  if (TICKET_PATTERN.test(text)) return text;
  throw new InvalidArgumentError("Allowed: a ticket number like GZ-20261122-0001.");
}

function deskOf(parts: OpsParts, options: Common): Desk {
  const colour = parts.tty && !parts.env["NO_COLOR"] && parts.env["TERM"] !== "dumb";
  const look: Look = { lang: options.lang, colour };
  const note = (text: string) => parts.err(`vigil: ${text}\n`);
  return {
    ...parts,
    look,
    json: options.json === true,
    url: options.url,
    async api() {
      const { token, loose } = await readToken(parts.env, options.tokenFile);
      if (loose) note(WORDS.looseFile[look.lang]);
      const { protocol, hostname } = new URL(options.url);
      const near = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
      if (token !== undefined && protocol === "http:" && !near) note(WORDS.plainHttp[look.lang]);
      return openApi({ url: options.url, token, signal: parts.stop });
    },
  };
}

const inventoryDesk = (desk: Desk) => ({
  ...desk,
  print: (value: unknown, text: () => string) => print(desk, value, text),
});

const print = (desk: Desk, value: unknown, text: () => string): void =>
  desk.out(desk.json ? `${cleanJson(value, 2)}\n` : text());

async function devices(desk: Desk): Promise<void> {
  const api = await desk.api();
  const rows = await api.devices();
  if (desk.json) return print(desk, rows, () => "");
  const active = await api.alarms({ active: true });
  desk.out(showDevices(desk.look, rows, active, desk.clock.wall()));
}

async function device(desk: Desk, _options: unknown, id: string): Promise<void> {
  const row = await (await desk.api()).device(id);
  print(desk, row, () => showDevice(desk.look, row, desk.clock.wall()));
}

async function alarms(desk: Desk, options: { device?: string; all?: boolean }): Promise<void> {
  const active = options.all === true ? undefined : true;
  const rows = await (await desk.api()).alarms({ device: options.device, active });
  print(desk, rows, () => showAlarms(desk.look, rows, desk.clock.wall()));
}

async function tickets(desk: Desk, options: { device?: string; state?: string; open?: boolean }): Promise<void> {
  const { device: of, state, open } = options;
  const rows = await (await desk.api()).tickets({ device: of, state, open });
  print(desk, rows, () => showTickets(desk.look, rows, desk.clock.wall()));
}

async function ticket(desk: Desk, _options: unknown, no: string): Promise<void> {
  const row = await (await desk.api()).ticket(no);
  print(desk, row, () => showTicket(desk.look, row, desk.clock.wall()));
}

async function watch(desk: Desk): Promise<void> {
  const { look, stop, clock } = desk;
  const lineOf = watchLines(look);
  const note = (key: keyof typeof WORDS, more = "") =>
    desk.err(`${paint(look, "quiet", `— ${WORDS[key][look.lang]}${more}`)}\n`);
  for await (const followed of follow({ api: await desk.api(), clock, stop })) {
    if (followed.kind === "lost") note("lost");
    else if (followed.kind === "connected") {
      if (!followed.again) note("watching", ` ${desk.url} · ${WORDS.stop[look.lang]}`);
      else note(followed.missed ? "backMissed" : "back");
    } else {
      const text = desk.json ? cleanJson(followed.change) : lineOf(followed.change);
      if (text !== undefined) desk.out(`${text}\n`);
    }
  }
}

async function tokenNew(desk: Desk, _options: unknown, name: string): Promise<void> {
  const token = tokenOf(desk.random(32));
  const entry = tokenLine(name, token);
  if (desk.json) return print(desk, { name, token, line: entry }, () => "");
  desk.err(`# ${WORDS.keepToken[desk.look.lang]}\n`);
  desk.out(`${token}\n`);
  desk.err(`# ${WORDS.addLine[desk.look.lang]}\n`);
  desk.out(`${entry}\n`);
}
