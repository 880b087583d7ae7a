import { type JSONSchema, toJSONSchema } from "zod/v4/core";
import example from "../deploy/examples/checks.json" with { type: "json" };
import { FAILURES } from "../protocol/failure.ts";
import { MESSAGES, type MessageKind } from "../protocol/messages.ts";
import { asyncApi, type Message } from "./docs-asyncapi.ts";
import { checksPage } from "./docs-checks.ts";

export const MADE_BY = "made by `npm run docs`: do not edit";

/** Every generated document by its path under docs/. What it says comes from protocol/ and nowhere else. */
export function pages(version: string): Map<string, string> {
  const messages = Object.entries(MESSAGES).map(([name, kind]): Message => ({ name, ...kind, payload: payload(kind) }));
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return new Map([
    ...messages.map((message): [string, string] => [`schemas/${kebab(message.name)}.json`, json(schemaFile(message))]),
    ["asyncapi.json", json(asyncApi(messages, version))],
    ["topics.md", topicsPage(messages)],
    ["errors.md", errorsPage()],
    ["checks.md", checksPage(MADE_BY, example)],
  ]);
}

/** What a sender may write (`io: "input"`): a reader tolerates more. */
function payload({ schema }: MessageKind): JSONSchema.BaseSchema {
  const { $schema: _, ...body } = toJSONSchema(schema, { target: "draft-7", io: "input" });
  return body;
}

const schemaFile = ({ name, says, topic, payload: body }: Message) => ({
  $schema: "http://json-schema.org/draft-07/schema#",
  $comment: MADE_BY,
  title: name,
  description: `${topic}: ${says}`,
  ...body,
});

const kebab = (name: string) => name.replace(/(?<=[a-z])[A-Z]/g, "-$&").toLowerCase();

function topicsPage(messages: readonly Message[]): string {
  const rows = messages.map(
    ({ name, topic, from, to, qos, retained, expiryS, says, saysZh }) =>
      `| \`${topic}\` | [${name}](schemas/${kebab(name)}.json) | ${from} → ${to} | ${qos} | ${retained ? "yes 是" : "no 否"} | ${expiryS === undefined ? "" : `${expiryS} s`} | ${says}<br>${saysZh} |`,
  );
  return [
    "# Topics 主题",
    "",
    `<!-- ${MADE_BY} -->`,
    "",
    "UTF-8 JSON, flat objects (`inventory` and `daily` are documents: decisions/0010), an absent value is left out, `ts` in epoch milliseconds. Unknown fields are ignored. The same in machine's words: [asyncapi.json](asyncapi.json).",
    "",
    "载荷为 UTF-8 JSON 扁平对象；没有的值不写（不用 null）；`ts` 为毫秒时间戳；未知字段一律忽略。机器可读版本见 [asyncapi.json](asyncapi.json)。",
    "",
    "| Topic 主题 | Message 消息 | From → to 方向 | QoS | Retained 保留 | Expiry 过期 | What it says 说明 |",
    "|---|---|---|---|---|---|---|",
    ...rows,
    "",
    "## Fields 字段",
    ...messages.flatMap(fieldsOf),
    "",
  ].join("\n");
}

function fieldsOf({ name, payload: { properties = {}, required = [], additionalProperties } }: Message): string[] {
  const others = typeof additionalProperties === "object" ? Object.entries({ "…": additionalProperties }) : [];
  const rows = [...Object.entries(properties), ...others].map(
    ([field, schema]) => `| \`${field}\` | ${shape(schema)} | ${required.includes(field) ? "yes 是" : "no 否"} |`,
  );
  return ["", `### ${name}`, "", "| Field 字段 | Type 类型 | Required 必填 |", "|---|---|---|", ...rows];
}

function shape(schema: JSONSchema._JSONSchema): string {
  if (typeof schema === "boolean") return "any";
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(" ");
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.anyOf !== undefined) return schema.anyOf.map(shape).join(" ");
  return `${schema.type ?? "any"}`;
}

function errorsPage(): string {
  const rows = Object.entries(FAILURES).map(
    ([code, { retry, help }]) =>
      `| <a id="${code}"></a>\`${code}\` | ${retry ? "yes 是" : "no 否"} | ${help.replaceAll("|", "\\|")} |`,
  );
  return [
    "# Failure codes 故障代码",
    "",
    `<!-- ${MADE_BY} -->`,
    "",
    "A code is stable: logs, reports and the HTTP API name it. Retry says whether the program tries again by itself.",
    "",
    "代码固定不变，日志、上报与 HTTP 接口都用它。“自动重试”指程序是否会自行再试。",
    "",
    "| Code 代码 | Retries 自动重试 | What to do 处理办法 |",
    "|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
