import { setMaxListeners } from "node:events";
import type { BrokerLink, LinkOptions, OpenLink } from "../platform/broker-link.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/log.ts";
import { nextBoot } from "../protocol/boot.ts";
import type { AggregatorState } from "../protocol/to-device.ts";
import { FROM_DEVICES } from "../protocol/topics.ts";
import { OFFLINE } from "./absence.ts";
import { Alarms } from "./alarms.ts";
import { type Changes, openChanges } from "./changes.ts";
import type { AggregatorConfig } from "./config.ts";
import { DailyDesk } from "./daily/desk.ts";
import { DailySheets } from "./daily/sheets.ts";
import { Devices } from "./devices.ts";
import { Gaps } from "./gaps.ts";
import { HistoryKeeper } from "./history/keeper.ts";
import type { HistoryReading, HistoryStore } from "./history-store.ts";
import type { Figures } from "./http/metrics.ts";
import { Intake } from "./intake.ts";
import { InventoryLibrary } from "./inventory/library.ts";
import type { News } from "./news.ts";
import { Refusals } from "./refusals.ts";
import { type ClassBook, classBook, openRegistry } from "./registry.ts";
import { Rounds } from "./rounds.ts";
import { SilenceWatch } from "./silence.ts";
import { farewell, MqttSink } from "./sinks/mqtt.ts";
import type { Reading, Store } from "./store.ts";
import { TicketDesk } from "./tickets/desk.ts";
import { TrendWatch } from "./trends/watch.ts";

/** A durable session outlives our restarts by so long: what devices say meanwhile waits at the broker. */
const SESSION_S = 7 * 86_400;

export interface AggregatorParts {
  config: AggregatorConfig;
  version: string;
  clock: Clock;
  log: Logger;
  /** So many random bytes. */
  random(bytes: number): Uint8Array;
  store: Store;
  history: HistoryStore;
  openLink: OpenLink;
  /** Opens what reads and watches (the HTTP API); closed when the aggregator ends. */
  serve(face: AggregatorFace): Promise<AsyncDisposable>;
  /** Called once everything is open. */
  ready?(): void;
  /** Called about twice a second while everything moves. */
  alive?(): void;
}

/** What the desk may see of a running aggregator. */
export interface AggregatorFace {
  reading: Reading;
  history: HistoryReading;
  changes: Changes;
  classes: ClassBook;
  daily: DailySheets;
  counters(): Figures;
  health(): { ok: boolean; because: string[] };
}

/** Listens to devices and keeps tickets until `signal` aborts, then says goodbye and commits what it has heard. */
export async function runAggregator(parts: AggregatorParts, signal: AbortSignal): Promise<void> {
  const { config, clock, log, store, version } = parts;
  const { node } = config;
  const boot = nextBoot(clock.wall(), parts.random(10));
  const registry = openRegistry(config.registry, config.silence.severity);
  const desk = new TicketDesk(config.tickets, config.tickets.timeZone);
  const alarms = new Alarms(desk, alarmRules(config));
  const gaps = new Gaps();
  const library = new InventoryLibrary(await store.reading.inventory.hashes());
  const daily = new DailyDesk(config.tickets.timeZone);
  const devices = new Devices({ alarms, daily, registry, memory: gaps, boot, rules: deviceRules(config) });
  const watch = new SilenceWatch();
  const refusals = new Refusals(log, clock);
  const changes = openChanges();
  const history = new HistoryKeeper({ store: parts.history, clock, log, rules: config.history });
  const state = (): AggregatorState => {
    const base = { online: true, boot, ts: clock.wall(), reason: "birth", version } as const;
    return { ...base, lag_ms: Math.round(intake.lagMs), queue: intake.queued };
  };
  const sink = new MqttSink({ node, store, log, wall: () => clock.wall(), state });
  const committed = (news: News): void => {
    spread(news, { gaps, library, watch, refusals, now: clock.now() });
    sink.tell(news.changes, news.acks);
    for (const change of news.changes) changes.tell(change);
    history.take(news.telemetry);
  };
  const intake = new Intake({
    ...{ store, desk: devices, clock, log, refusals, limits: config.intake, committed },
    inventories: library,
  });
  const rounds = new Rounds({
    ...{ store, devices, alarms, desk, watch, gaps, library, intake, sink, clock, log, committed },
    ...{ daily, dailyKeepDays: config.daily.keepDays },
  });
  const { classOf } = classBook(config.registry);
  const trends = new TrendWatch({
    ...{ store, history: parts.history, alarms, classOf, config: config.trends, timeZone: config.tickets.timeZone },
    ...{ boot, clock, log, committed },
  });
  const ended = new AbortController();
  setMaxListeners(0, ended.signal);

  await rounds.watchKnown();
  await using stack = new AsyncDisposableStack();
  const options = linkOptions(config, (reason) => farewell(node, state(), reason));
  const link: BrokerLink = parts.openLink(options, {
    up: () => {
      watch.listen(clock.now());
      sink.up(link);
    },
    down: (failure) => {
      watch.deafen();
      sink.down();
      log.warn({ event: "broker.down", code: failure.code }, "the broker is not reached: nobody is called silent");
    },
    message: (incoming) => intake.message(incoming),
  });
  stack.use(link);
  stack.use(
    await parts.serve({
      reading: store.reading,
      history: parts.history,
      changes,
      classes: classBook(config.registry),
      daily: new DailySheets(store.reading.daily, { ...config.daily, timeZone: config.tickets.timeZone }, () =>
        clock.wall(),
      ),
      counters: () => ({
        ...figures(intake, refusals),
        ...history.figures(),
        vigil_trends_looked_total: trends.looked,
      }),
      health: () => health(link, intake, rounds),
    }),
  );
  const working = Promise.all([
    intake.run(ended.signal),
    rounds.walk(ended.signal, config.limits.inboxDays, parts.alive),
    history.walk(ended.signal),
    trends.walk(ended.signal),
  ]);
  parts.ready?.();
  log.info({ event: "aggregator.started", node, boot, version }, "listening");
  await Promise.race([new Promise((done) => onAbort(signal, done)), working]);
  await goodbye(link, farewell(node, state(), "shutdown"), sink);
  ended.abort();
  await working;
  await history.finish();
  log.info({ event: "aggregator.stopped" }, "stopped");
}

const onAbort = (signal: AbortSignal, done: (value?: unknown) => void): void => {
  if (signal.aborted) done();
  else signal.addEventListener("abort", () => done(), { once: true });
};

/** The last words while the line is still there; then no message can come any more, and the queue runs empty. */
async function goodbye(link: BrokerLink, words: ReturnType<typeof farewell>, sink: MqttSink): Promise<void> {
  if (link.up) {
    sink.down();
    await link.publish(words).catch(() => {}); // the will says the same
  }
  await link.close();
}

function alarmRules({ silence, tickets, limits }: AggregatorConfig): ConstructorParameters<typeof Alarms>[1] {
  const holdOns: Readonly<Record<string, number>> = { [OFFLINE]: silence.holdOnMs, ...tickets.holdOnMs };
  const own = (key: string): number | undefined => (Object.hasOwn(holdOns, key) ? holdOns[key] : undefined);
  return {
    holdOnMs: (code) => own(code) ?? own(code.split(".")[0] ?? code) ?? 0,
    longestMs: Math.max(tickets.childGraceMs, ...Object.values(holdOns)),
    childGraceMs: tickets.childGraceMs,
    maxCodes: limits.alarmCodes,
  };
}

const deviceRules = ({ limits, silence }: AggregatorConfig): ConstructorParameters<typeof Devices>[0]["rules"] => ({
  maxDevices: limits.devices,
  maxTelemetryCodes: limits.telemetryCodes,
  heartbeatS: silence.heartbeatS,
  inboxKeep: limits.inboxRecords,
});

function linkOptions(config: AggregatorConfig, last: (reason: "will") => ReturnType<typeof farewell>): LinkOptions {
  const { node, brokers, username, passwordFile, keepaliveS } = config;
  return {
    brokers: brokers.map(brokerOf) as unknown as LinkOptions["brokers"],
    clientId: `vigil-${node}`,
    ...(username !== undefined && { username }),
    ...(passwordFile !== undefined && { passwordFile }),
    subscriptions: FROM_DEVICES,
    keepaliveS,
    sessionExpiryS: SESSION_S,
    receiveMaximum: 100,
    will: () => ({ ...last("will"), delayS: 5 }),
  };
}

function brokerOf({ host, port, tls }: AggregatorConfig["brokers"][number]): LinkOptions["brokers"][number] {
  if (tls === undefined) return { host, port };
  const { caFile, certFile, keyFile, servername } = tls;
  return {
    ...{ host, port },
    tls: {
      caFile,
      ...(certFile !== undefined && { certFile }),
      ...(keyFile !== undefined && { keyFile }),
      ...(servername !== undefined && { servername }),
    },
  };
}

/** Carries the news of a commit to what is kept in memory. */
function spread(
  news: News,
  memory: { gaps: Gaps; library: InventoryLibrary; watch: SilenceWatch; refusals: Refusals; now: number },
): void {
  const { gaps, library, watch, refusals, now } = memory;
  for (const [device, hash] of news.inventories) library.stored(device, hash);
  for (const [device, hash] of news.named) library.said(device, hash, now);
  for (const [device, open] of news.gaps) gaps.note(device, open, now);
  for (const [device, hole] of news.holes) gaps.setHole(device, hole);
  for (const [device, because] of news.resyncs) gaps.want(device, because);
  for (const [device, life] of news.lives) {
    if (life === undefined) watch.forget(device);
    else watch.heard(device, life.at, life.heartbeatS);
  }
  for (const [code, count] of news.refused) refusals.count(code, count);
}

function figures(intake: Intake, refusals: Refusals): Figures {
  return {
    vigil_messages_total: Object.entries(intake.taken).map(([kind, value]) => ({
      labels: { kind, result: "committed" },
      value,
    })),
    vigil_duplicates_total: intake.duplicates,
    vigil_refused_total: [...refusals.counts].map(([code, value]) => ({ labels: { code }, value })),
    vigil_intake_lag_seconds: intake.lagMs / 1000,
    vigil_intake_queue: intake.queued,
  };
}

function health(link: BrokerLink, intake: Intake, rounds: Rounds): { ok: boolean; because: string[] } {
  const failing = intake.stuck?.code ?? rounds.failing;
  const because = [
    ...(link.up ? [] : ["the broker is not reached"]),
    ...(failing === undefined ? [] : [`the store cannot write: ${failing}`]),
  ];
  return { ok: because.length === 0, because };
}
