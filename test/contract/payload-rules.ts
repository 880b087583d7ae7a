/** What dashboards off the shelf make of a payload. Each function returns what would be lost or misread; [] is good. */

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parse(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch {
    return undefined;
  }
}

type Column = "number" | "string" | "boolean";
const columnOf = (value: unknown): Column | undefined => {
  const type = typeof value;
  return type === "number" || type === "string" || type === "boolean" ? type : undefined;
};

/**
 * Grafana's MQTT data source (pkg/mqtt/framer.go): each top-level key becomes a column whose type is that of its first
 * value for as long as the panel is open; other types are dropped without a word. One reader per topic, over time.
 */
export function grafanaReader(): (payload: string) => string[] {
  const columns = new Map<string, Column>();
  return (payload) => {
    const read = parse(payload);
    if (!isObject(read)) return ["not a JSON object: becomes one column named Value"];
    return Object.entries(read).flatMap(([key, value]) => grafanaField(columns, key, value));
  };
}

function grafanaField(columns: Map<string, Column>, key: string, value: unknown): string[] {
  if (key === "") return ["an empty key ends the reading: what follows is lost"];
  if (key === "Time") return ["Time is the column of the receiving time: dropped"];
  if (key === "Value") return ["Value is the column of payloads that are no objects"];
  const known = columns.get(key);
  if (value === null) return [known === undefined ? `${key}: a first null is dropped` : `${key}: null, leave it out`];
  const column = columnOf(value);
  if (column === undefined) return [`${key}: nested, becomes text that no panel can draw`];
  if (known !== undefined && known !== column) return [`${key}: was ${known}, is ${column}: dropped`];
  columns.set(key, column);
  return [];
}

/** Today in seconds is 1.8e9; in milliseconds that is a day of January 1970, and less than 1e9 is a clock that was never set. */
const looksLikeSeconds = (ts: number): boolean => ts >= 1e9 && ts < 1e11;

/**
 * Telegraf, inputs.mqtt_consumer with data_format "json", json_time_key "ts", json_time_format "unix_ms": numbers
 * become fields; text and booleans only when `listed` in json_string_fields or tag_keys; nothing else.
 */
export function telegrafProblems(payload: string, listed: readonly string[] = []): string[] {
  const read = parse(payload);
  if (!isObject(read)) return ["not a JSON object"];
  const { ts, ...fields } = read;
  const time =
    typeof ts !== "number" || !Number.isInteger(ts)
      ? ["ts: missing or no whole number: the message is refused"]
      : looksLikeSeconds(ts)
        ? ["ts: seconds, not milliseconds: would lie in 1970"]
        : [];
  const lost = Object.entries(fields).flatMap(([key, value]) => {
    if (typeof value === "number") return [];
    if (value === null) return [`${key}: null is skipped`];
    if (typeof value === "object") return [`${key}: nested, becomes several fields`];
    return listed.includes(key) ? [] : [`${key}: ${typeof value}, dropped unless listed`];
  });
  return [...time, ...lost];
}

/** Keys of a figure: the name ends in its unit, so that Telegraf and a person know what it is. */
const FIGURE = /_(pct|ms|s|c|kbps|bytes|mb|w|v|a|db|rpm|per_s|per_min|per_h)$/;

/** Figures must be numbers; Telegraf drops `"3.1"` without a word. */
export function figureProblems(payload: string): string[] {
  const read = parse(payload);
  if (!isObject(read)) return ["not a JSON object"];
  return Object.entries(read).flatMap(([key, value]) =>
    FIGURE.test(key) && typeof value !== "number" ? [`${key}: a figure that is no number`] : [],
  );
}

const PLATFORMS = new Set([
  "binary_sensor",
  "button",
  "event",
  "number",
  "select",
  "sensor",
  "switch",
  "text",
  "update",
]);
const DISCOVERY_TOPIC = /^homeassistant\/device\/[a-zA-Z0-9_-]+\/config$/;
/** Home Assistant's short names for the keys it knows (abbreviations.py), those that matter here. */
const LONG: Readonly<Record<string, string>> = {
  dev: "device",
  o: "origin",
  cmps: "components",
  p: "platform",
  ids: "identifiers",
  cns: "connections",
  stat_t: "state_topic",
  uniq_id: "unique_id",
  avty_t: "availability_topic",
  avty: "availability",
};
const ROOT_KEYS = new Set([
  ...["device", "components", "origin", "state_topic", "command_topic", "qos", "encoding", "availability"],
  ...["availability_mode", "availability_topic", "availability_template", "payload_available", "payload_not_available"],
]);
const TOPICS_ONLY = new Set(["sensor", "binary_sensor", "event"]);

const spelledOut = (value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).map(([key, inner]) => [LONG[key] ?? key, inner]));
const filled = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : typeof value === "string" && value !== "";

/** Home Assistant's device discovery (components/mqtt/schemas.py): one retained config per device, with all its entities. */
export function homeAssistantProblems(topic: string, payload: string): string[] {
  if (!DISCOVERY_TOPIC.test(topic)) return ["not a device discovery topic"];
  if (payload === "") return []; // takes the device away
  const read = parse(payload);
  if (!isObject(read)) return ["not a JSON object"];
  const { device, origin, components, ...rest } = spelledOut(read);
  const problems = Object.keys(rest)
    .filter((key) => !ROOT_KEYS.has(key))
    .map((key) => `${key}: unknown, the whole config is refused`);
  const dev = isObject(device) ? spelledOut(device) : {};
  if (!filled(dev["identifiers"]) && !filled(dev["connections"]))
    problems.push("device: neither identifiers nor connections");
  if (!isObject(origin) || !filled(origin["name"])) problems.push("origin: has no name");
  if (!isObject(components)) return [...problems, "components: missing"];
  const hasTopic = filled(rest["state_topic"]);
  return [...problems, ...Object.entries(components).flatMap(([id, part]) => componentProblems(id, part, hasTopic))];
}

function componentProblems(id: string, part: unknown, hasTopic: boolean): string[] {
  if (!isObject(part)) return [`${id}: not an object`];
  const { platform, unique_id: uniqueId, state_topic: stateTopic } = spelledOut(part);
  if (typeof platform !== "string" || !PLATFORMS.has(platform)) return [`${id}: platform missing or unknown`];
  if (Object.keys(part).length === 1) return []; // only its platform: takes this entity away
  const problems = filled(uniqueId) ? [] : [`${id}: no unique_id`];
  if (TOPICS_ONLY.has(platform) && !hasTopic && !filled(stateTopic)) problems.push(`${id}: no state_topic`);
  return problems;
}
