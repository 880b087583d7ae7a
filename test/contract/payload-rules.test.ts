import { describe, expect, test } from "vitest";
import { DailyCheck } from "../../protocol/daily.ts";
import { DAILY_STATES } from "../../protocol/daily-state.ts";
import { AlarmChange, DeviceState, Telemetry } from "../../protocol/from-device.ts";
import { TicketSnapshot } from "../../protocol/ticket.ts";
import { figureProblems, grafanaReader, homeAssistantProblems, telegrafProblems } from "./payload-rules.ts";

const ts = Date.UTC(2026, 10, 22, 9);
const boot = "01JD0000000000000000000000";
const json = (value: unknown): string => JSON.stringify(value);

const alarm = AlarmChange.parse({
  active: true,
  severity: "major",
  kind: "raised",
  since: ts,
  boot,
  seq: 41,
  ts,
  check: "disk",
  subject: "/var",
  reason: "space",
  title_zh: "磁盘空间不足",
  title_en: "disk almost full",
  value: 3.1,
  unit: "pct",
});
const state = DeviceState.parse({
  online: true,
  boot,
  seq: 41,
  ts,
  reason: "birth",
  agent: "1.0.0",
  link: 1,
  heartbeat_s: 60,
});
const ticket = TicketSnapshot.parse({
  no: "GZ-20261122-0007",
  type: "故障",
  level: 2,
  severity: "major",
  state: "新建",
  device: "enc-1",
  code: "disk.var",
  dedup_key: "enc-1/disk.var",
  title_zh: "磁盘空间不足",
  title_en: "disk almost full",
  occurred_at: ts,
  detected_at: ts,
  reopened: 0,
  ts,
});
const figures = Telemetry.parse({ ts, free_pct: 3.1, temp_c: 41.5 });

describe("Grafana's MQTT data source", () => {
  test("shows every key of what the protocol says, also when values come and go", () => {
    for (const [first, then] of [
      [alarm, { ...alarm, active: false, value: undefined, unit: undefined }],
      [state, { ...state, online: false, reason: "will", active: "disk.var" }],
      [ticket, { ...ticket, restored_at: ts }],
      [figures, { ...figures, load_pct: 12 }],
    ]) {
      const read = grafanaReader();
      expect([...read(json(first)), ...read(json(then)), ...read(json(first))]).toEqual([]);
    }
  });

  test("would lose what changes its type, is null or nested, or has a name it uses itself", () => {
    const read = grafanaReader();
    read(json({ free_pct: 3.1 }));
    expect(read(json({ free_pct: "3.1" }))).toEqual(["free_pct: was number, is string: dropped"]);
    expect(read(json({ free_pct: null, temp_c: null }))).toEqual([
      "free_pct: null, leave it out",
      "temp_c: a first null is dropped",
    ]);
    expect(read(json({ disks: [1], cpu: { load: 1 } }))).toHaveLength(2);
    expect(read(json({ Time: ts, Value: 3 }))).toHaveLength(2);
    expect(read(json({ "": 1 }))).toHaveLength(1);
    expect(read("online")).toHaveLength(1);
    expect(read("[1]")).toHaveLength(1);
  });
});

test("of a daily check every count at its top is a column; its list is for programs that read documents", () => {
  const counts = Object.fromEntries(DAILY_STATES.map((state) => [`${state}_count`, 1]));
  const line = {
    check: "disk",
    name_zh: "磁盘",
    name_en: "disks",
    subject: "/",
    state: "ok",
    readings: { free_pct: 3.1 },
  };
  const own = { date: "2026-11-22", boot, seq: 41, ts, agent: "1.0.0", config_hash: "c0ffee", cut_count: 0 };
  const message = DailyCheck.parse({ ...own, ...counts, checks: [line] });
  const read = grafanaReader();
  const nested = ["checks: nested, becomes text that no panel can draw"];
  expect([...read(json(message)), ...read(json({ ...message, config_hash: undefined, ok_count: 7 }))]).toEqual([
    ...nested,
    ...nested,
  ]);
  expect(telegrafProblems(json(message), ["date", "boot", "agent", "config_hash"])).toEqual([
    "checks: nested, becomes several fields",
  ]);
  expect(figureProblems(json(line.readings))).toEqual([]);
});

describe("Telegraf", () => {
  test("takes every figure and the time; text only where it is listed", () => {
    expect(telegrafProblems(json(figures))).toEqual([]);
    const texts = Object.keys(alarm).filter((key) => typeof Reflect.get(alarm, key) !== "number");
    expect(telegrafProblems(json(alarm), texts)).toEqual([]);
    expect(telegrafProblems(json(alarm)).length).toBe(texts.length);
    expect(figureProblems(json({ ...figures, ...state }))).toEqual([]);
  });

  test("would refuse or misdate a message without ts in milliseconds, and drop a figure written as text", () => {
    expect(telegrafProblems(json({ free_pct: 1 }))).toHaveLength(1);
    expect(telegrafProblems(json({ ts: ts / 1000, free_pct: 1 }))).toHaveLength(1);
    expect(telegrafProblems(json({ ts: new Date(ts).toISOString() }))).toHaveLength(1);
    expect(telegrafProblems(json({ ts, free_pct: "3.1", up: true, gone: null }))).toHaveLength(3);
    expect(figureProblems(json({ free_pct: "3.1", temp_c: null }))).toHaveLength(2);
    expect(telegrafProblems(json({ ts: 61_000, free_pct: 1 }))).toEqual([]); // a device without a battery clock, in 1970
  });
});

describe("Home Assistant", () => {
  const topic = "homeassistant/device/enc-1/config";
  const sensor = {
    p: "sensor",
    unique_id: "enc-1-free",
    state_topic: "vigil/v1/d/enc-1/tele/disk.var",
    value_template: "{{ value_json.free_pct }}",
  };
  const config = {
    device: { identifiers: ["enc-1"], name: "enc-1" },
    origin: { name: "Vigil" },
    components: { free: sensor },
  };

  test("takes a device with its entities, in long and in short spelling, and its removal", () => {
    expect(homeAssistantProblems(topic, json(config))).toEqual([]);
    expect(
      homeAssistantProblems(
        topic,
        json({ dev: { ids: "enc-1" }, o: { name: "Vigil" }, cmps: { free: sensor }, qos: 1 }),
      ),
    ).toEqual([]);
    expect(homeAssistantProblems(topic, json({ ...config, components: { free: { p: "sensor" } } }))).toEqual([]);
    expect(homeAssistantProblems(topic, "")).toEqual([]);
  });

  test("refuses one that cannot be told from others, says not where it comes from, or names no topic", () => {
    const wrong = (change: object): string[] => homeAssistantProblems(topic, json({ ...config, ...change }));
    expect(wrong({ device: { name: "enc-1" } })).toEqual(["device: neither identifiers nor connections"]);
    expect(wrong({ origin: {} })).toEqual(["origin: has no name"]);
    expect(wrong({ components: undefined })).toEqual(["components: missing"]);
    expect(wrong({ components: { free: { ...sensor, p: "gauge" } } })).toHaveLength(1);
    expect(wrong({ components: { free: { p: "sensor", name: "free" } } })).toEqual([
      "free: no unique_id",
      "free: no state_topic",
    ]);
    expect(wrong({ site: "x" })).toHaveLength(1);
    expect(homeAssistantProblems("homeassistant/sensor/x/config", json(config))).toHaveLength(1);
  });
});
