import { expect, test } from "vitest";
import { METRICS } from "../../../aggregator/http/metrics.ts";
import { alarmRow, deviceRow, handReading, ticketRow } from "../../kit/hand-reading.ts";
import { httpDesk } from "../../kit/http.ts";

const COUNTERS = {
  vigil_messages_total: [
    { labels: { kind: "alarm", result: "applied" }, value: 7 },
    { labels: { kind: "tele", result: "applied" }, value: 900 },
  ],
  vigil_duplicates_total: 3,
  vigil_refused_total: [{ labels: { code: "MESSAGE_INVALID" }, value: 2 }],
  vigil_intake_lag_seconds: 0.004,
  vigil_intake_queue: 12,
  vigil_history_samples_total: 5,
  vigil_history_dropped_total: [{ labels: { because: "disk" }, value: 1 }],
  vigil_history_removed_total: [{ labels: { because: "age" }, value: 4 }],
  vigil_history_rows: [{ labels: { kind: "raw" }, value: 9 }],
  vigil_history_bytes: 40_960,
  vigil_trends_looked_total: 8,
};

test("metrics are OpenMetrics: every name with its type and help, the store's rows counted, an end mark", async () => {
  const { level: _level, ...latent } = ticketRow({ no: "GZ-20261122-0002", type: "隐患" });
  const reading = handReading({
    devices: [deviceRow(), deviceRow({ id: "b", presence: "silent" })],
    alarms: [alarmRow(), alarmRow({ code: "cpu", active: false })],
    tickets: [ticketRow(), latent],
  });
  await using desk = await httpDesk({ reading, counters: COUNTERS });
  await desk.get("/nope");
  const answer = await desk.get("/metrics");
  expect(answer.headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
  const lines = (await answer.text()).split("\n");
  for (const [name, { type }] of Object.entries(METRICS)) {
    expect(lines).toContain(`# TYPE ${type === "counter" ? name.replace(/_total$/, "") : name} ${type}`);
  }
  for (const sample of [
    'vigil_messages_total{kind="tele",result="applied"} 900',
    "vigil_duplicates_total 3",
    'vigil_refused_total{code="MESSAGE_INVALID"} 2',
    "vigil_intake_lag_seconds 0.004",
    "vigil_intake_queue 12",
    'vigil_tickets_open{level="2"} 1',
    'vigil_tickets_open{level="preventive"} 1',
    'vigil_alarms_active{severity="major"} 1',
    'vigil_devices{presence="silent"} 1',
    'vigil_http_requests_total{route="none",status="404"} 1',
    'vigil_http_refused_total{code="API_NOT_FOUND"} 1',
  ]) {
    expect(lines).toContain(sample);
  }
  expect(lines.slice(-2)).toEqual(["# EOF", ""]);
  expect(lines.filter((line) => /^process_cpu_seconds_total \d/.test(line))).toHaveLength(1);
});

test("figures that are no numbers are left out instead of breaking the whole page", async () => {
  await using desk = await httpDesk({
    counters: { vigil_intake_queue: Number.NaN, vigil_duplicates_total: -1, unknown: 1 },
  });
  const answer = await desk.get("/metrics");
  expect(answer.status).toBe(200);
  expect(await answer.text()).not.toMatch(/NaN|-1|unknown 1/);
});
