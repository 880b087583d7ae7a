import { FAILURES, type FailureCode } from "../protocol/failure.ts";
import type { TicketState } from "../protocol/ticket.ts";

export type Lang = "zh" | "en";
export const LANGS = ["zh", "en"] as const;

/** Language of a locale name as LANG has it (`en_GB.UTF-8`); zh for everything but English. */
export const langOf = (locale: string | undefined): Lang => (/^en([_.@-]|$)/i.test(locale ?? "") ? "en" : "zh");

/** Every word of the tables and lines, both languages side by side. */
export const WORDS = {
  device: { zh: "设备", en: "device" },
  presence: { zh: "状态", en: "presence" },
  alarms: { zh: "告警", en: "alarms" },
  heard: { zh: "最近消息", en: "heard" },
  agent: { zh: "代理版本", en: "agent" },
  model: { zh: "型号", en: "model" },
  site: { zh: "站点", en: "site" },
  level: { zh: "级别", en: "level" },
  code: { zh: "代码", en: "code" },
  title: { zh: "标题", en: "title" },
  subject: { zh: "对象", en: "subject" },
  value: { zh: "数值", en: "value" },
  since: { zh: "持续", en: "for" },
  ticket: { zh: "工单", en: "ticket" },
  state: { zh: "状态", en: "state" },
  age: { zh: "已过", en: "age" },
  reopened: { zh: "重开", en: "reopened" },
  figures: { zh: "最新读数", en: "latest figures" },
  activeAlarms: { zh: "活动告警", en: "active alarms" },
  timeline: { zh: "时间线", en: "timeline" },
  none: { zh: "（无）", en: "(none)" },
  cleared: { zh: "已消除", en: "cleared" },
  changed: { zh: "变化", en: "changed" },
  was: { zh: "原", en: "was" },
  flapping: { zh: "抖动", en: "flapping" },
  ago: { zh: "前", en: "ago" },
  detected: { zh: "发现", en: "detected" },
  occurred: { zh: "发生", en: "occurred" },
  restored: { zh: "恢复", en: "restored" },
  resolved: { zh: "解决", en: "resolved" },
  recurrence: { zh: "再次发生自", en: "recurrence of" },
  boot: { zh: "启动标识", en: "boot" },
  acked: { zh: "已确认至", en: "acked to" },
  dropped: { zh: "丢弃记录", en: "dropped records" },
  skew: { zh: "时钟偏差", en: "clock skew" },
  inventory: { zh: "资产信息", en: "inventory" },
  watching: { zh: "正在守望", en: "watching" },
  stop: { zh: "Ctrl-C 结束", en: "Ctrl-C ends" },
  lost: { zh: "连接中断，自动重连", en: "connection lost, connecting again by itself" },
  back: { zh: "已重新连接，期间的变化已补上", en: "connected again, what changed meanwhile follows" },
  backMissed: {
    zh: "已重新连接，期间可能漏掉变化：请看 vigil alarms 与 vigil tickets",
    en: "connected again, changes may be missing: see vigil alarms and vigil tickets",
  },
  addLine: {
    zh: "在聚合器的令牌文件中加入这一行（权限 0600）",
    en: "add this line to the aggregator's tokens file (0600)",
  },
  keepToken: { zh: "令牌只显示这一次，请妥善保存", en: "the token is shown this once: keep it safe" },
  plainHttp: {
    zh: "注意：令牌经明文 HTTP 发往其他主机，请使用 https",
    en: "note: the token goes to another host over plain HTTP, use https",
  },
  looseFile: {
    zh: "注意：令牌文件可被他人读取，请 chmod 600",
    en: "note: others may read the token file, chmod 600 it",
  },
} as const satisfies Record<string, Record<Lang, string>>;

export const PRESENCE_WORDS: Readonly<Record<string, Record<Lang, string>>> = {
  online: { zh: "在线", en: "online" },
  offline: { zh: "离线", en: "offline" },
  silent: { zh: "失联", en: "silent" },
  unknown: { zh: "未知", en: "unknown" },
};

const STATE_EN: Record<TicketState, string> = {
  新建: "new",
  已受理: "accepted",
  处理中: "in work",
  已恢复: "restored",
  已解决: "resolved",
  待确认: "to confirm",
  已关闭: "closed",
  挂起: "paused",
  合并: "merged",
  误报: "false alarm",
  重新打开: "reopened",
};
export const stateWord = (lang: Lang, state: TicketState): string => (lang === "zh" ? state : STATE_EN[state]);

/** What to do about each failure this program can meet, zh; the English is protocol/failure.ts itself. */
const REMEDY_ZH: Partial<Record<FailureCode, string>> = {
  ARGUMENT_INVALID: "用 --help 查看本命令的用法。",
  CONFIG_UNREADABLE: "检查文件是否存在、当前用户能否读取。",
  API_UNREACHABLE: "检查地址是否正确、聚合器是否在运行。",
  API_UNAUTHORIZED: "用 --token-file 或 VIGIL_TOKEN 提供聚合器认可的令牌（vigil token new 可新建）。",
  API_NOT_FOUND: "没有这个设备或工单，请先列出再查看。",
  API_INVALID: "参数不在允许范围内。",
  API_LIMITED: "此地址发送了过多错误令牌，请稍候再试。",
  API_BUSY: "观看者已满，请稍后再试。",
  API_FAULT: "聚合器处理失败，原因见其日志。",
  STORE_BUSY: "工单库忙或磁盘已满，请检查聚合器的磁盘。",
};
export const remedy = (lang: Lang, code: FailureCode): string =>
  lang === "zh" ? (REMEDY_ZH[code] ?? FAILURES[code].help) : FAILURES[code].help;
