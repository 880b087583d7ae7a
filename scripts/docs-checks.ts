import { checkConfigs, everyCheck } from "../agent/checks/all.ts";
import type { CheckConfig, CheckKind, LocalPorts } from "../agent/checks/check.ts";
import { CATALOGUE } from "../agent/checks/logs/catalogue.ts";
import { selfCheck } from "../agent/checks/self/self.ts";

type Kind = CheckKind<CheckConfig, LocalPorts>;

/** The page of all checks: what each is called, when it looks, what it can find, and its part of the example config. */
export function checksPage(madeBy: string, example: { checks: Readonly<Record<string, unknown>> }): string {
  const configs = checkConfigs.parse({});
  const all = [...everyCheck(configs), { kind: itself() as Kind, config: configs.self }];
  return [
    "# Checks 自检项",
    "",
    `<!-- ${madeBy} -->`,
    "",
    "What a device looks at by itself. `vigil-agent check` asks all of them once; `vigil-agent config --print-defaults` prints every",
    "limit; a check with nothing to look at is not present. The examples are parts of",
    "[deploy/examples/checks.json](../deploy/examples/checks.json); recipes for the services of this project are in",
    "[services.md](checks/services.md).",
    "",
    "设备自行检查的全部内容。`vigil-agent check` 手动自检一轮；`vigil-agent config --print-defaults` 列出全部门限；没有检查对象的自检项视为不存在。",
    "",
    "| Check 自检项 | Name 名称 | Asked 检查时机 | Hold-on 确认时间 | Hold-off 恢复确认 |",
    "|---|---|---|---|---|",
    ...all.map(({ kind, config }) => row(kind, config)),
    ...all.flatMap(({ kind }) => section(kind, example.checks[kind.id])),
    "",
  ].join("\n");
}

/** The check of the agent itself; begun nowhere here. */
const itself = () =>
  selfCheck({
    stats: () => ({ durable: true, pending: 0, pendingBytes: 0, droppedTelemetry: 0, droppedRecords: 0, maxBytes: 1 }),
    linkUp: () => true,
    refused: () => 0,
  });

const row = ({ id, name }: Pick<Kind, "id" | "name">, { every, holdOnMs, holdOffMs }: CheckConfig): string =>
  `| [\`${id}\`](#${id}) | ${name.zh} ${name.en} | ${asked(every)} | ${seconds(holdOnMs)} | ${seconds(holdOffMs)} |`;

function asked(every: CheckConfig["every"]): string {
  if (every === "fast") return "1 s";
  if (every === "slow") return "10 s";
  return "cron" in every ? `\`${every.cron}\`` : seconds(every.everyMs);
}

function seconds(ms: number): string {
  if (ms >= 3_600_000 && ms % 3_600_000 === 0) return `${ms / 3_600_000} h`;
  return ms >= 60_000 && ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms / 1000} s`;
}

function section({ id, name, titles }: Pick<Kind, "id" | "name" | "titles">, example: unknown): string[] {
  const patterns = id === "logs" ? CATALOGUE.map((one) => [one.id, one.title] as const) : [];
  const reasons = [...Object.entries(titles), ...patterns].filter(([reason]) => reason !== "gone");
  return [
    "",
    `## ${id}`,
    "",
    `${name.zh} · ${name.en}`,
    "",
    "| Reason 原因 | 告警 | Alarm |",
    "|---|---|---|",
    ...reasons.map(([reason, { zh, en }]) => `| \`${reason}\` | ${zh} | ${en} |`),
    ...(example === undefined ? [] : ["", "```json", JSON.stringify({ [id]: example }, undefined, 2), "```"]),
  ];
}
