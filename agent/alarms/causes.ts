import type { Draft } from "../../protocol/record.ts";
import { rank, type Severity } from "../../protocol/severity.ts";
import { actives, BLIND, type Ledger, retold } from "./ledger.ts";
import type { AlarmBody } from "./watch.ts";

/** Which alarm is the root cause of which: the explained one gets no ticket of its own. Pure. */

interface Side {
  check: string;
  reasons: readonly string[];
}
interface Rule {
  cause: Side;
  /** Only where the cause's subject is the mount that holds the agent's state folder. */
  onStateMount?: true;
  /** Only while the cause is so bad: a disk that fills up breaks nothing, one that is full does. */
  atLeast?: Severity;
  /** Only what is called the same (`relay` and `relay`), or what is a part of the cause (`sw1/GE1` of `sw1`). */
  subject?: "same" | "part";
  explains: Side;
}

const BROKER = ["broker", "broker-loss", "broker-rtt"];
const AT_GATEWAY = ["gateway", "gateway-loss", "gateway-rtt"];
const NTP: Side = { check: "clock", reasons: ["server", "unsynchronised"] };
const SWITCH: Side = { check: "switch", reasons: ["unreachable"] };
const ofNetwork = (...reasons: string[]): Side => ({ check: "network", reasons });
const ofLogs = (...reasons: string[]): Side => ({ check: "logs", reasons });
/** What lies beyond the line and gives no answer. */
const BEYOND: readonly Side[] = [
  { check: "service", reasons: ["unreachable"] },
  { check: "power", reasons: ["ups-unreachable"] },
  { check: "stream", reasons: ["unreachable", "sip-down"] },
];
const lost = (reason: string, ...all: Side[]): Rule[] =>
  all.map((explains) => ({ cause: ofNetwork(reason), explains }));

/** From the plug outwards. `carrier` and `address` are reasons of the uplink alone; other ports have their own. */
const NETWORK: readonly Rule[] = [
  ...lost("carrier", ofNetwork("lower", "route", ...AT_GATEWAY, "dns", ...BROKER), NTP, SWITCH, ...BEYOND),
  ...lost("side-carrier", ofNetwork("lower")),
  ...lost("address", ofNetwork("route", ...AT_GATEWAY, "dns", ...BROKER), NTP, SWITCH, ...BEYOND),
  ...lost("route", ofNetwork(...AT_GATEWAY, "dns", ...BROKER), NTP, ...BEYOND),
  ...lost("gateway", ofNetwork("dns", ...BROKER), NTP, ...BEYOND),
  ...lost("gateway-loss", ofNetwork("broker-loss", "broker-rtt")),
  ...lost("gateway-rtt", ofNetwork("broker-rtt")),
  ...lost("dns", ofNetwork("broker", "broker-loss"), { check: "clock", reasons: ["server"] }),
];

/** A disk that is full, read-only or broken takes with it whoever writes there; which mount that is nobody tells us. */
const DISK: readonly Rule[] = [
  { check: "data", reasons: ["count", "size", "stale", "backlog", "unusual", "missing", "damaged"] },
  { check: "database", reasons: ["down", "hung", "damaged"] },
  { check: "service", reasons: ["down", "status", "body"] },
  { check: "process", reasons: ["missing", "restarts"] },
  ofLogs("unit-failed"),
].map(
  (explains): Rule => ({
    cause: { check: "disk", reasons: ["space", "inodes", "readonly", "io", "stuck"] },
    atLeast: "major",
    explains,
  }),
);

const because = (check: string, reasons: readonly string[], ...all: Side[]): Rule[] =>
  all.map((explains) => ({ cause: { check, reasons }, explains }));

/** What else breaks together: from the plug to what the log says of it. */
const HARDWARE: readonly Rule[] = [
  ...because("power", ["mains"], { check: "power", reasons: ["ups-battery", "battery-low"] }),
  ...because(
    "power",
    ["undervoltage"],
    { check: "cpu", reasons: ["throttled"] },
    ofLogs("under-voltage", "usb-reset", "usb-disconnect", "usb-error", "mmc-error"),
  ),
  ...because("temperature", ["hot", "critical"], ofLogs("thermal")),
  ...because("wear", ["failing", "unreadable", "errors"], { check: "disk", reasons: ["io", "readonly"] }),
  ...because("disk", ["io", "readonly"], ofLogs("io-error", "mmc-error", "fs-error", "fs-error-f2fs", "fs-readonly")),
  ...because("memory", ["oom", "available"], ofLogs("oom", "unit-failed")),
  ...because("process", ["missing", "restarts"], ofLogs("unit-failed")),
  ...because("certificate", ["expired"], ofLogs("cert-expired"), { check: "service", reasons: ["certificate"] }),
];

/** Causes and what follows from them; free of circles. */
export const CAUSES: readonly Rule[] = [
  ...NETWORK,
  ...DISK,
  ...HARDWARE,
  // a clock that nobody sets, or that was set wrong, is off
  { cause: { check: "clock", reasons: ["server"] }, explains: { check: "clock", reasons: ["unsynchronised"] } },
  {
    cause: { check: "clock", reasons: ["implausible", "jump", "unsynchronised"] },
    explains: { check: "clock", reasons: ["offset", "drift", "skew", "rtc"] },
  },
  { cause: { check: "clock", reasons: ["offset"] }, explains: { check: "clock", reasons: ["skew", "rtc"] } },
  { cause: { check: "temperature", reasons: ["hot", "critical"] }, explains: { check: "cpu", reasons: ["throttled"] } },
  {
    cause: { check: "memory", reasons: ["oom", "available"] },
    explains: { check: "process", reasons: ["missing", "restarts"] },
  },
  // a service whose process is not there cannot answer
  {
    cause: { check: "process", reasons: ["missing", "restarts"] },
    subject: "same",
    explains: { check: "service", reasons: ["down", "status", "body", "slow"] },
  },
  // a forwarder whose process is not there (the stream is called what the process is) serves nothing
  {
    cause: { check: "process", reasons: ["missing", "restarts"] },
    subject: "same",
    explains: { check: "stream", reasons: ["refused", "hung", "ended", "missing", "no_media", "sip-down"] },
  },
  // the ports of a switch that does not answer are not known
  {
    cause: { check: "switch", reasons: ["unreachable", "snmp", "auth"] },
    subject: "part",
    explains: { check: "switch", reasons: [BLIND.reason] },
  },
  {
    cause: { check: "disk", reasons: ["space", "inodes", "readonly", "io", "stuck"] },
    onStateMount: true,
    explains: { check: "self", reasons: ["store"] },
  },
];

/** What the rules must know of this device. */
export interface Place {
  /** The mount that holds the agent's state folder, as the disk check names it. */
  stateMount?: string;
}

interface Active {
  code: string;
  body: AlarmBody;
}

const isOf = (side: Side, body: AlarmBody): boolean => body.check === side.check && side.reasons.includes(body.reason);

/**
 * Marks what one batch of drafts raised or changed with its root cause, and drafts a change for every other active
 * alarm that gained or lost one. Give it the ledger the debounce returned with the batch.
 */
export function explain(
  drafts: readonly Draft[],
  ledger: Ledger,
  place: Place = {},
): { ledger: Ledger; drafts: Draft[] } {
  const active = actives(ledger);
  let marked = ledger;
  const told = [...drafts];
  for (const { code, body } of active) {
    const cause = rootOf({ code, body }, active, place)?.code;
    if (cause === body.explained_by) continue;
    const { explained_by: _old, ...rest } = body;
    const now: AlarmBody = cause === undefined ? rest : { ...rest, explained_by: cause };
    const index = told.findLastIndex((draft) => draft.kind === "alarm" && draft.code === code);
    const next: AlarmBody = index >= 0 ? now : { ...now, kind: "changed" };
    if (index >= 0) told[index] = { kind: "alarm", code, body: next };
    else told.push({ kind: "alarm", code, body: next });
    marked = retold(marked, code, next);
  }
  return { ledger: marked, drafts: told };
}

/** The alarm at the beginning of the chain that leads to `child`, if any explains it. */
function rootOf(child: Active, active: readonly Active[], place: Place): Active | undefined {
  const causes = active.filter((other) => other.code !== child.code && explains(other.body, child.body, place));
  // the one told before stays, so that a second cause does not make news; else the worst, then the first by code
  const [cause] = causes.toSorted(
    (a, b) =>
      Number(b.code === child.body.explained_by) - Number(a.code === child.body.explained_by) ||
      rank(b.body.severity) - rank(a.body.severity) ||
      (a.code < b.code ? -1 : 1),
  );
  return cause === undefined ? undefined : (rootOf(cause, active, place) ?? cause);
}

const explains = (cause: AlarmBody, child: AlarmBody, place: Place): boolean =>
  CAUSES.some(
    (rule) =>
      isOf(rule.explains, child) &&
      isOf(rule.cause, cause) &&
      (rule.atLeast === undefined || rank(cause.severity) >= rank(rule.atLeast)) &&
      (rule.onStateMount === undefined || cause.subject === place.stateMount) &&
      (rule.subject !== "same" || child.subject === cause.subject) &&
      (rule.subject !== "part" || child.subject.startsWith(`${cause.subject}/`)),
  );
