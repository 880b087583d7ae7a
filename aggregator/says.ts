import { LEVEL_NAMES, type Severity } from "../protocol/severity.ts";
import type { TicketEvent } from "./store.ts";

export interface Says {
  zh: string;
  en: string;
}

const SEVERITY_NAMES: Record<Severity, Says> = {
  critical: { zh: "严重", en: "critical" },
  major: { zh: "重要", en: "major" },
  minor: { zh: "次要", en: "minor" },
  warning: { zh: "警告", en: "warning" },
};
const CHANGES: Record<string, Says> = {
  raised: { zh: "告警产生", en: "alarm raised" },
  changed: { zh: "告警变化", en: "alarm changed" },
  cleared: { zh: "告警消除", en: "alarm cleared" },
};
const CHILDREN: Record<string, Says> = {
  joined: { zh: "由本故障引起的告警并入", en: "alarm explained by this fault joined" },
  left: { zh: "告警不再由本故障引起", en: "alarm no longer explained by this fault" },
  accounts: { zh: "设备自述", en: "the device's own word" },
  accounted: { zh: "设备自述", en: "the device's own word" },
};
const REASONS: Record<string, Says> = { severity: { zh: "随告警级别", en: "as the alarm's severity" } };

/**
 * One entry of a timeline as a sentence. Total: it reads what `data` holds and leaves out what it lacks. Keys it knows:
 * `code`, `device`, `title_zh`, `title_en`, `severity`, `level`, `value`, `unit`, `change` (raised, changed, cleared; joined, left,
 * accounts, accounted), `from`, `to` (levels; times of a child), `reason`, `reopened` (how often), `changes` (how many), `recurrence_of`, `into`.
 */
export function says(event: Pick<TicketEvent, "kind" | "data">): Says {
  const { data } = event;
  const alarm = alarmOf(data);
  switch (event.kind) {
    case "opened": {
      const again = text(data["recurrence_of"]);
      return join(
        both("工单新建", "ticket opened"),
        levelOf(data["level"]),
        alarm,
        again === "" ? both("", "") : both(`再次发生，前单 ${again}`, `recurrence of ${again}`),
      );
    }
    case "alarm":
      return join(CHANGES[text(data["change"])] ?? both("告警", "alarm"), alarm);
    case "level":
      return join(both("级别调整", "level"), arrow(data["from"], data["to"]), reasonOf(data["reason"]));
    case "restored":
      return join(both("服务已恢复，进入观察", "service restored, under observation"), alarm);
    case "merged":
      return join(both(`并入工单 ${text(data["into"])}`, `merged into ticket ${text(data["into"])}`), alarm);
    case "reopened":
      return join(both("重新打开", "reopened"), times(data["reopened"]), alarm);
    case "resolved":
      return join(both("观察期满，已解决", "observation over, resolved"), reasonOf(data["reason"]));
    case "flapping":
      return join(both("告警抖动，工单保持打开", "alarm flapping, ticket stays open"), times(data["changes"]), alarm);
    case "child":
      return join(CHILDREN[text(data["change"])] ?? both("关联告警", "related alarm"), alarm, span(data));
  }
}

type Data = TicketEvent["data"];
const both = (zh: string, en: string): Says => ({ zh, en });
const text = (value: Data[string] | undefined): string => (value === undefined ? "" : String(value));

function join(head: Says, ...parts: Says[]): Says {
  const tail = parts.filter((part) => part.zh !== "");
  if (tail.length === 0) return head;
  return both(
    `${head.zh}：${tail.map((part) => part.zh).join("，")}`,
    `${head.en}: ${tail.map((part) => part.en).join(", ")}`,
  );
}

/** As many digits as a person reads; the exact figure stays in `data`. */
const rounded = (value: Data[string]): string =>
  typeof value === "number" ? String(Number(value.toFixed(Math.abs(value) >= 1 ? 1 : 3))) : String(value);

const place = (words: readonly (string | undefined)[]): string => words.filter((word) => (word ?? "") !== "").join(" ");

function alarmOf(data: Data): Says {
  const severity = Object.entries(SEVERITY_NAMES).find(([name]) => name === data["severity"])?.[1];
  const where = place([text(data["device"]), text(data["code"])]);
  const figure =
    data["value"] === undefined || data["unit"] === "count" ? "" : place([rounded(data["value"]), text(data["unit"])]);
  return both(
    place([where, text(data["title_zh"]), figure]) + (severity === undefined ? "" : `（${severity.zh}）`),
    place([where, text(data["title_en"]), figure, severity && `(${severity.en})`]),
  );
}

function levelOf(level: Data[string] | undefined): Says {
  if (level === 1 || level === 2 || level === 3) return LEVEL_NAMES[level];
  return level === "隐患" ? both("隐患", "latent fault") : both(text(level), text(level));
}

function arrow(from: Data[string] | undefined, to: Data[string] | undefined): Says {
  const [a, b] = [levelOf(from), levelOf(to)];
  return both(place([a.zh, "→", b.zh]), place([a.en, "→", b.en]));
}

function span(data: Data): Says {
  const [from, to] = [text(data["from"]), text(data["to"])];
  if (from === "") return both("", "");
  return to === "" ? both(`自 ${from} 起`, `from ${from}`) : both(`${from} 至 ${to}`, `from ${from} to ${to}`);
}

function reasonOf(reason: Data[string] | undefined): Says {
  return REASONS[text(reason)] ?? both(text(reason), text(reason));
}

function times(count: Data[string] | undefined): Says {
  return typeof count === "number" ? both(`${count} 次`, `${count} times`) : both("", "");
}
