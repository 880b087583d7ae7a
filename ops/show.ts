import type { ApiAlarm, ApiDevice, ApiDeviceDetail, ApiTicket, ApiTicketDetail } from "../protocol/api.ts";
import { bytes, figure, type Look, levelWord, localTime, paint, span, toneOf } from "./look.ts";
import { type CellLike, line, table } from "./table.ts";
import { presenceTone, subjectOf, ticketSeverity, titleOf } from "./watch-lines.ts";
import { PRESENCE_WORDS, stateWord, WORDS } from "./words.ts";

/** Lists and single things for a person's eyes; every function returns whole lines. `now`: epoch ms. */
export function showDevices(look: Look, devices: readonly ApiDevice[], alarms: readonly ApiAlarm[], now: number) {
  const w = wordsOf(look);
  const active = Map.groupBy(alarms, (alarm) => alarm.device);
  const rows = devices.map((device): CellLike[] => {
    const own = active.get(device.id) ?? [];
    return [
      { text: device.id, tone: "strong" },
      presence(look, device),
      { text: own.length === 0 ? "" : String(own.length), tone: own.length === 0 ? undefined : "minor" },
      ago(look, now, device.seen_at),
      device.site ?? "",
      device.model ?? device.hostname ?? "",
      device.agent ?? "",
    ];
  });
  const columns = [w("device"), w("presence"), w("alarms"), w("heard"), w("site"), w("model"), w("agent")];
  return rows.length === 0 ? none(look) : table(look, columns.map(named(2)), rows);
}

export function showAlarms(look: Look, alarms: readonly ApiAlarm[], now: number): string {
  const w = wordsOf(look);
  const rows = alarms.map((alarm): CellLike[] => [
    { text: levelWord(look.lang, alarm.severity), tone: alarm.active ? toneOf(alarm.severity) : "quiet" },
    { text: alarm.device, tone: "strong" },
    alarm.code,
    titleOf(look, alarm),
    subjectOf(look, alarm),
    figure(alarm.value, alarm.unit),
    alarm.active ? span(look.lang, now - alarm.since) : { text: w("cleared"), tone: "good" },
    { text: alarm.flapping ? w("flapping") : "", tone: "warning" },
    alarm.ticket ?? "",
  ]);
  const columns = [
    w("level"),
    w("device"),
    w("code"),
    w("title"),
    w("subject"),
    w("value"),
    w("since"),
    "",
    w("ticket"),
  ];
  return rows.length === 0 ? none(look) : table(look, columns.map(named(5)), rows);
}

export function showTickets(look: Look, tickets: readonly ApiTicket[], now: number): string {
  const w = wordsOf(look);
  const rows = tickets.map((ticket): CellLike[] => [
    { text: ticket.no, tone: "strong" },
    level(look, ticket),
    stateWord(look.lang, ticket.state),
    ticket.device,
    ticket.code,
    titleOf(look, ticket),
    ticket.reopened === 0 ? "" : String(ticket.reopened),
    span(look.lang, now - ticket.detected_at),
  ]);
  const columns = [w("ticket"), w("level"), w("state"), w("device"), w("code"), w("title"), w("reopened"), w("age")];
  return rows.length === 0 ? none(look) : table(look, columns.map(named(6)), rows);
}

export function showDevice(look: Look, device: ApiDeviceDetail, now: number): string {
  const w = wordsOf(look);
  const facts: [string, CellLike][] = [
    [w("presence"), presence(look, device)],
    [w("heard"), `${localTime(look, device.seen_at)} (${ago(look, now, device.seen_at)})`],
    [w("site"), device.site ?? ""],
    [w("agent"), device.agent ?? ""],
    [w("boot"), device.boot ?? ""],
    [w("acked"), device.acked_seq === undefined ? "" : String(device.acked_seq)],
    [w("skew"), Math.abs(device.skew_ms ?? 0) < 1_000 ? "" : `${Math.round((device.skew_ms ?? 0) / 1000)} s`],
    [w("dropped"), device.dropped === 0 ? "" : { text: String(device.dropped), tone: "critical" }],
  ];
  const inventory: [string, CellLike][] = [
    ["hostname", device.hostname ?? ""],
    ["model", device.model ?? ""],
    ["serial", device.serial ?? ""],
    ["firmware", device.firmware ?? ""],
    ["os", device.os ?? ""],
    ["kernel", device.kernel ?? ""],
    ["cpu", [device.cpu ?? device.arch ?? "", device.cores && `× ${device.cores}`].filter(Boolean).join(" ")],
    ["memory", device.memory_bytes === undefined ? "" : bytes(device.memory_bytes)],
    ["disk", device.disk_bytes === undefined ? "" : bytes(device.disk_bytes)],
    ["ip", device.ip ?? ""],
    ["mac", device.mac ?? ""],
  ];
  const figures = Object.entries(device.telemetry).map(([code, values]): [string, CellLike] => [
    code,
    Object.entries(values)
      .filter(([name]) => name !== "ts")
      .map(([name, value]) => `${name} ${Number(value.toFixed(2))}`)
      .join("  "),
  ]);
  return [
    `${line(look, [{ text: device.id, tone: "strong" }])}\n`,
    pairs(look, facts),
    heading(look, w("inventory")),
    pairs(look, inventory),
    heading(look, w("activeAlarms")),
    showAlarms(look, device.alarms, now),
    heading(look, w("figures")),
    figures.length === 0 ? none(look) : pairs(look, figures),
  ].join("");
}

export function showTicket(look: Look, ticket: ApiTicketDetail, now: number): string {
  const w = wordsOf(look);
  const time = (at: number | undefined) => (at === undefined ? "" : `${localTime(look, at)} (${ago(look, now, at)})`);
  const facts: [string, CellLike][] = [
    [w("state"), { text: stateWord(look.lang, ticket.state), tone: "strong" }],
    [w("device"), ticket.device],
    [w("code"), ticket.code],
    [w("site"), ticket.site ?? ""],
    [w("occurred"), time(ticket.occurred_at)],
    [w("detected"), time(ticket.detected_at)],
    [w("restored"), time(ticket.restored_at)],
    [w("resolved"), time(ticket.resolved_at)],
    [w("reopened"), ticket.reopened === 0 ? "" : String(ticket.reopened)],
    [w("recurrence"), ticket.recurrence_of ?? ""],
  ];
  const entries = ticket.timeline.map((entry) =>
    line(look, [
      { text: localTime(look, entry.at), tone: "quiet" },
      look.lang === "zh" ? entry.says_zh : entry.says_en,
      { text: entry.actor === "aggregator" ? "" : `— ${entry.actor}`, tone: "quiet" },
    ]),
  );
  return [
    `${line(look, [{ text: ticket.no, tone: "strong" }, level(look, ticket), ticket.type, titleOf(look, ticket)])}\n`,
    pairs(look, facts),
    heading(look, w("timeline")),
    ...entries.map((entry) => `${entry}\n`),
  ].join("");
}

const wordsOf =
  ({ lang }: Look) =>
  (key: keyof typeof WORDS): string =>
    WORDS[key][lang];
const named = (rightColumn: number) => (name: string, index: number) => ({ name, right: index === rightColumn });
export const none = (look: Look): string => `${paint(look, "quiet", WORDS.none[look.lang])}\n`;
export const heading = (look: Look, text: string): string => `\n${paint(look, "strong", text)}\n`;
const level = (look: Look, ticket: ApiTicket): CellLike => ({
  text: levelWord(look.lang, ticketSeverity(ticket)),
  tone: toneOf(ticketSeverity(ticket)),
});
const presence = ({ lang }: Look, { presence: is }: ApiDevice): CellLike => ({
  text: PRESENCE_WORDS[is]?.[lang] ?? is,
  tone: presenceTone(is),
});

function ago({ lang }: Look, now: number, at: number): string {
  const gone = span(lang, now - at);
  if (now - at < 1_000) return gone;
  return lang === "zh" ? `${gone}${WORDS.ago.zh}` : `${gone} ${WORDS.ago.en}`;
}

/** Names beside their values; those without one are left out. */
export function pairs(look: Look, facts: readonly [string, CellLike][]): string {
  const shown = facts.filter(([, cell]) => (typeof cell === "string" ? cell : cell.text) !== "");
  if (shown.length === 0) return none(look);
  const rows = shown.map(([name, cell]): CellLike[] => [{ text: name, tone: "quiet" }, cell]);
  const [, ...lines] = table(look, [{ name: "" }, { name: "" }], rows).split("\n");
  return lines.join("\n");
}
