import { clean, clip, displayWidth } from "../platform/width.ts";
import type { ApiAlarm, ApiChange, ApiTicket } from "../protocol/api.ts";
import { figure, type Look, levelWord, type Tone, timeOfDay, toneOf } from "./look.ts";
import { type CellLike, line } from "./table.ts";
import { PRESENCE_WORDS, stateWord, WORDS } from "./words.ts";

const SEVERITY_OF_LEVEL = { 1: "critical", 2: "major", 3: "minor" } as const;
export const ticketSeverity = (ticket: Pick<ApiTicket, "level">): string =>
  ticket.level === undefined ? "warning" : SEVERITY_OF_LEVEL[ticket.level];

const ALARM_MARKS = { raised: "●", changed: "◐", cleared: "○" } as const;
/** Entries of a timeline that are told; the others only repeat what the alarm's own line says. */
const TICKET_MARKS: Readonly<Record<string, { mark: string; tone?: Tone }>> = {
  opened: { mark: "▶" },
  reopened: { mark: "↻" },
  level: { mark: "▲" },
  flapping: { mark: "≈" },
  restored: { mark: "✔", tone: "good" },
  resolved: { mark: "■", tone: "good" },
};
/** Columns widen to what was seen, up to here: one long name must not push all others out of sight. */
const MAX_COLUMN = 24;

/** Makes one readable line of each change; undefined for what says nothing new. Remembers columns and presences. */
export function watchLines(look: Look): (change: ApiChange) => string | undefined {
  const widths = { device: 7, code: 8 };
  const presences = new Map<string, string>();
  const columnOf = (column: keyof typeof widths, text: string): CellLike => {
    widths[column] = Math.min(MAX_COLUMN, Math.max(widths[column], displayWidth(text)));
    return { text, cells: widths[column], tone: column === "device" ? "strong" : undefined };
  };
  const begin = (at: number, mark: string, severity: string, tone: Tone | undefined): CellLike[] => [
    { text: timeOfDay(look, at), tone: "quiet" },
    { text: mark, tone },
    { text: severity === "" ? "" : levelWord(look.lang, severity), tone, cells: look.lang === "zh" ? 4 : 6 },
  ];

  const alarmLine = ({ at, change, alarm, severity_was }: Extract<ApiChange, { kind: "alarm" }>) => {
    const cleared = change === "cleared";
    const tone = cleared ? "good" : toneOf(alarm.severity);
    const was = change === "changed" && severity_was !== undefined && severity_was !== alarm.severity;
    return line(look, [
      ...begin(at, ALARM_MARKS[change], alarm.severity, tone),
      columnOf("device", alarm.device),
      columnOf("code", alarm.code),
      titleOf(look, alarm),
      subjectOf(look, alarm),
      { text: figure(alarm.value, alarm.unit), tone: cleared ? undefined : tone },
      was ? { text: `(${WORDS.was[look.lang]} ${levelWord(look.lang, severity_was)})`, tone: "quiet" } : "",
      cleared ? { text: WORDS.cleared[look.lang], tone: "good" } : "",
      alarm.flapping ? { text: WORDS.flapping[look.lang], tone: "warning" } : "",
    ]);
  };
  const ticketLine = ({ at, ticket, entry }: Extract<ApiChange, { kind: "ticket" }>) => {
    const sign = TICKET_MARKS[entry.kind];
    if (sign === undefined) return undefined;
    const tone = sign.tone ?? toneOf(ticketSeverity(ticket));
    return line(look, [
      ...begin(at, sign.mark, ticketSeverity(ticket), tone),
      columnOf("device", ticket.device),
      columnOf("code", ticket.code),
      titleOf(look, ticket),
      "→",
      WORDS.ticket[look.lang],
      { text: ticket.no, tone: "strong" },
      { text: stateWord(look.lang, ticket.state), tone },
      entry.kind === "flapping" ? { text: WORDS.flapping[look.lang], tone: "warning" } : "",
    ]);
  };
  const deviceLine = ({ at, device }: Extract<ApiChange, { kind: "device" }>) => {
    if (presences.get(device.id) === device.presence) return undefined;
    presences.set(device.id, device.presence);
    const here = device.presence === "online";
    const tone = presenceTone(device.presence);
    return line(look, [
      ...begin(at, here ? "◆" : "◇", "", tone),
      columnOf("device", device.id),
      { text: PRESENCE_WORDS[device.presence]?.[look.lang] ?? device.presence, tone },
      { text: device.model ?? "", tone: "quiet" },
    ]);
  };
  return (change) => {
    if (change.kind === "alarm") return alarmLine(change);
    return change.kind === "ticket" ? ticketLine(change) : deviceLine(change);
  };
}

export const presenceTone = (presence: string): Tone | undefined =>
  presence === "online" ? "good" : presence === "unknown" ? "quiet" : "critical";

export const titleOf = ({ lang }: Look, row: { title_zh: string; title_en: string }): string =>
  short(lang === "zh" ? row.title_zh : row.title_en);

/** A title or a subject may be 200 characters long: a line stays one that a person reads. */
const short = (text: string): string => clip(clean(text), 40);

/** The subject, unless title or code have said it already. */
export function subjectOf(look: Look, alarm: ApiAlarm): string {
  const { subject } = alarm;
  return titleOf(look, alarm).includes(subject) || alarm.code.split(".").includes(subject) ? "" : short(subject);
}
