import { Counter, Gauge, type OpenMetricsContentType, Registry } from "prom-client";
import type { StoreCounts } from "../store.ts";

export interface Labelled {
  labels: Readonly<Record<string, string>>;
  value: number;
}
/** What the intake counts, by metric name; see `METRICS` for the names known and their labels. */
export type Figures = Readonly<Record<string, number | readonly Labelled[]>>;

interface MetricSpec {
  type: "counter" | "gauge";
  help: string;
  labels: readonly string[];
}
/** Every metric on /metrics. A figure by a name that is not here is left out: names are a contract with dashboards. */
export const METRICS = {
  vigil_messages_total: { type: "counter", help: "Messages from devices", labels: ["kind", "result"] },
  vigil_duplicates_total: { type: "counter", help: "Records that were committed before", labels: [] },
  vigil_refused_total: { type: "counter", help: "Messages refused, by failure code", labels: ["code"] },
  vigil_intake_lag_seconds: { type: "gauge", help: "From arrival to commit, of the last batch", labels: [] },
  vigil_intake_queue: { type: "gauge", help: "Messages waiting for their commit", labels: [] },
  vigil_tickets_open: { type: "gauge", help: "Open tickets by contract level", labels: ["level"] },
  vigil_alarms_active: { type: "gauge", help: "Active alarms by severity", labels: ["severity"] },
  vigil_devices: { type: "gauge", help: "Devices by presence", labels: ["presence"] },
  vigil_history_samples_total: { type: "counter", help: "Samples filed in the history", labels: [] },
  vigil_history_dropped_total: { type: "counter", help: "Samples or figures not kept", labels: ["because"] },
  vigil_history_removed_total: { type: "counter", help: "Rows deleted for their age or for room", labels: ["because"] },
  vigil_history_rows: { type: "gauge", help: "Rows of the history", labels: ["kind"] },
  vigil_history_bytes: { type: "gauge", help: "Pages the history uses", labels: [] },
  vigil_trends_looked_total: { type: "counter", help: "Figures looked at for a trend", labels: [] },
  vigil_daily_checks: { type: "gauge", help: "Devices by how their daily check of today stands", labels: ["state"] },
  vigil_http_requests_total: { type: "counter", help: "Requests by route and status", labels: ["route", "status"] },
  vigil_http_refused_total: { type: "counter", help: "Requests refused, by failure code", labels: ["code"] },
  vigil_watch_clients: { type: "gauge", help: "Clients of the watch stream", labels: [] },
  process_cpu_seconds_total: { type: "counter", help: "CPU time of this process", labels: [] },
  process_resident_memory_bytes: { type: "gauge", help: "Resident memory", labels: [] },
  process_start_time_seconds: { type: "gauge", help: "Start since the epoch", labels: [] },
  nodejs_heap_size_used_bytes: { type: "gauge", help: "JavaScript heap in use", labels: [] },
  nodejs_external_memory_bytes: { type: "gauge", help: "Memory of buffers outside the heap", labels: [] },
} as const satisfies Record<string, MetricSpec>;

export const METRICS_TYPE = Registry.OPENMETRICS_CONTENT_TYPE;

/**
 * Writes figures as OpenMetrics text. The registry is made for each scrape: the figures live where they are counted.
 * (prom-client's own process metrics are not used: they keep a 10 ms timer running for the event-loop delay.)
 */
export async function renderMetrics(figures: Figures): Promise<string> {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(METRICS_TYPE);
  for (const [name, spec] of Object.entries<MetricSpec>(METRICS)) {
    const figure = figures[name];
    if (figure === undefined) continue;
    const rows = typeof figure === "number" ? [{ labels: {}, value: figure }] : figure;
    const shape = { name, help: spec.help, labelNames: [...spec.labels], registers: [registry] };
    const metric = spec.type === "counter" ? new Counter(shape) : new Gauge(shape);
    metric.reset(); // a metric without labels begins with a 0 that a row replaces
    for (const { labels, value } of rows) if (Number.isFinite(value) && value >= 0) metric.inc({ ...labels }, value);
  }
  return registry.metrics();
}

export function storeFigures(counts: StoreCounts): Figures {
  return {
    vigil_tickets_open: labelled("level", counts.ticketsOpen),
    vigil_alarms_active: labelled("severity", counts.alarmsActive),
    vigil_devices: labelled("presence", counts.devices),
  };
}

/** Figures of this process; `startedAt`: epoch ms. */
export function processFigures(startedAt: number): Figures {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    process_cpu_seconds_total: (user + system) / 1e6,
    process_resident_memory_bytes: rss,
    process_start_time_seconds: Math.round(startedAt / 1000),
    nodejs_heap_size_used_bytes: heapUsed,
    nodejs_external_memory_bytes: external,
  };
}

/** Counts by one label's values. */
export const labelled = (
  label: string,
  counts: Iterable<[string, number]> | Readonly<Record<string, number>>,
): Labelled[] =>
  [...(Symbol.iterator in counts ? counts : Object.entries(counts))].map(([value, count]) => ({
    labels: { [label]: value },
    value: count,
  }));
