import { Failure } from "./failure.ts";

/** What do the programs say to each other, and where? Every topic of the system is built and read in this file alone. */
export const ROOT = "vigil/v1";

/** Ids of devices, sites, nodes, commands: safe in a topic level, a file name and a URL. */
export const ID_PATTERN = /^[a-z0-9-]{1,40}$/;
/** Alarm, event and telemetry codes: check id, and a slug of the subject where there is one (`disk.var`). */
export const CODE_PATTERN = /^[a-z0-9-]{1,40}(\.[a-z0-9-]{1,80})?$/;
/** Ticket numbers: `GZ-20261122-0007`. */
export const TICKET_PATTERN = /^GZ-\d{8}-\d{4,6}$/;

/** A mount, a unit, a sensor name as one topic level: `/var/log` → `var-log`, `/` → `root`. */
export function slug(subject: string): string {
  const plain = subject
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  if (plain === "") return subject === "/" ? "root" : `x${fingerprint(subject)}`;
  return plain.length <= 80 ? plain : `${plain.slice(0, 71)}-${fingerprint(subject)}`;
}

/** FNV-1a, 32 bit, in hex: tells two long or unspeakable subjects apart; not for security. */
export function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

export const topics = {
  state: (device: string) => `${ROOT}/d/${device}/state`,
  info: (device: string) => `${ROOT}/d/${device}/info`,
  inventory: (device: string) => `${ROOT}/d/${device}/inventory`,
  daily: (device: string) => `${ROOT}/d/${device}/daily`,
  tele: (device: string, group: string) => `${ROOT}/d/${device}/tele/${group}`,
  alarm: (device: string, code: string) => `${ROOT}/d/${device}/alm/${code}`,
  event: (device: string, code: string) => `${ROOT}/d/${device}/evt/${code}`,
  ack: (device: string) => `${ROOT}/d/${device}/ack`,
  command: (device: string, name: string) => `${ROOT}/d/${device}/cmd/${name}`,
  ticket: (no: string) => `${ROOT}/t/${no}`,
  ticketLog: (no: string) => `${ROOT}/t/${no}/log`,
  aggregator: (node: string) => `${ROOT}/agg/${node}/state`,
} as const;

/** What the aggregator subscribes to: everything devices say, and nothing it says itself. */
export const FROM_DEVICES = ["state", "info", "inventory", "daily", "tele/+", "alm/+", "evt/+"].map(
  (branch) => `${ROOT}/d/+/${branch}`,
);
/** What one device subscribes to. */
export const toDevice = (device: string): string[] => [
  topics.ack(device),
  topics.command(device, "+"),
  topics.aggregator("+"),
];

/** Branches with nothing below them. */
const PLAIN = ["state", "info", "inventory", "daily"] as const;
const isPlain = (branch: string): branch is (typeof PLAIN)[number] => (PLAIN as readonly string[]).includes(branch);

export type DeviceTopic =
  | { kind: (typeof PLAIN)[number]; device: string }
  | { kind: "tele" | "alarm" | "event"; device: string; code: string };

const BRANCHES = { tele: "tele", alm: "alarm", evt: "event" } as const;

/** Reads a topic that a device published. Throws MESSAGE_TOPIC on anything else. */
export function readDeviceTopic(topic: string): DeviceTopic {
  const [root, version, d, device = "", branch = "", code, ...rest] = topic.split("/");
  if (`${root}/${version}` === ROOT && d === "d" && ID_PATTERN.test(device) && rest.length === 0) {
    if (isPlain(branch) && code === undefined) return { kind: branch, device };
    if (Object.hasOwn(BRANCHES, branch) && code !== undefined && CODE_PATTERN.test(code)) {
      return { kind: BRANCHES[branch as keyof typeof BRANCHES], device, code };
    }
  }
  throw new Failure("MESSAGE_TOPIC", "not a device topic", { facts: { topic: topic.slice(0, 200) } });
}

export type ToDeviceTopic = { kind: "ack" } | { kind: "command"; name: string } | { kind: "aggregator"; node: string };

/** Reads a topic that `device` subscribed to. Throws MESSAGE_TOPIC on anything else. */
export function readToDeviceTopic(device: string, topic: string): ToDeviceTopic {
  if (topic === topics.ack(device)) return { kind: "ack" };
  const [name] = topic.startsWith(topics.command(device, "")) ? topic.split("/").slice(-1) : [];
  if (name !== undefined && topic === topics.command(device, name) && ID_PATTERN.test(name))
    return { kind: "command", name };
  const node = topic.split("/")[3] ?? "";
  if (topic === topics.aggregator(node) && ID_PATTERN.test(node)) return { kind: "aggregator", node };
  throw new Failure("MESSAGE_TOPIC", "not a topic for this device", { facts: { topic: topic.slice(0, 200) } });
}
