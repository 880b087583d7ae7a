import type { OpenLink } from "../platform/broker-link.ts";
import type { Clock } from "../platform/clock.ts";
import type { Cron } from "../platform/cron.ts";
import type { Logger } from "../platform/log.ts";
import type { Machine } from "../platform/machine.ts";
import type { Notifier } from "../platform/notify.ts";
import { slug } from "../protocol/topics.ts";
import { explain } from "./alarms/causes.ts";
import { debounce } from "./alarms/debounce.ts";
import { actives, restore, retire } from "./alarms/ledger.ts";
import { configured } from "./checks/all.ts";
import type { CheckConfig, CheckKind, Judge, Verdict } from "./checks/check.ts";
import { chooseVolumes, parseMountInfo } from "./checks/disk-mounts.ts";
import { selfCheck } from "./checks/self.ts";
import type { AgentConfig } from "./config.ts";
import { bareInfo, type Inventory } from "./inventory.ts";
import { type Courier, startCourier } from "./outbox/courier.ts";
import type { Outbox } from "./outbox/outbox.ts";
import { type Entry, type Result, walkRounds } from "./rounds.ts";

/** What does a device do by itself? It checks itself, remembers what changed, and tells it until it was heard. */

export interface AgentParts {
  config: AgentConfig;
  /** SHA-256 of the config file, told in `info`. */
  configHash: string;
  version: string;
  clock: Clock;
  log: Logger;
  machine: Machine;
  /** In [0, 1). */
  random: () => number;
  outbox: Outbox;
  openLink: OpenLink;
  cron: Cron;
  notify: Notifier;
  watchdogMs: number;
  /** Asks the short-lived child what this device is. */
  takeInventory(): Promise<Inventory>;
}

/** A check at work in the rounds. */
interface Post extends Entry<readonly Verdict[]> {
  kind: CheckKind;
  config: CheckConfig;
  judge: Judge["judge"];
}

const FIRST_INVENTORY_MS = 20_000;
const SESSION_EXPIRY_S = 3_600;

/** Runs until `signal` aborts, then says goodbye. Never rejects for a fault of the device: those are alarms. */
export async function runAgent(parts: AgentParts, signal: AbortSignal): Promise<void> {
  const { config, clock, log, outbox, notify } = parts;
  await using stack = new AsyncDisposableStack();
  let inventory = { ...bareInfo(parts.machine), config_hash: parts.configHash };
  const courier = stack.use(startCourier({ ...courierPart(parts), info: () => inventory }));
  const watchdog = dogWalker(parts);
  const self = selfCheck({
    stats: () => ({ ...outbox.stats(), maxBytes: config.outbox.maxBytes }),
    linkUp: () => courier.stats().up,
    refused: () => courier.stats().refused,
  });
  const posts = begin(parts, self, stack);
  const figures = new Map<string, readonly Verdict[]>();
  const tell = teller(parts, courier, posts, figures);
  await tell.first();

  const startedAt = clock.now();
  const signOfLife = () => [
    { code: "self", body: { ts: clock.wall(), uptime_s: Math.round((clock.now() - startedAt) / 1000) } },
  ];
  const walk = {
    clock,
    signal,
    jitter: parts.random,
    fastMs: config.rounds.fastMs,
    slowMs: config.rounds.slowMs,
    cron: parts.cron,
    onTick: ({ lateMs }: { lateMs: number }) => {
      self.late(lateMs);
      watchdog();
    },
  };
  notify.ready();
  log.info({ event: "agent.started", boot: outbox.boot, checks: posts.map(({ id }) => id) }, "watching");
  await Promise.all([
    walkRounds<readonly Verdict[], Post>(walk, posts, tell.results),
    every(
      parts,
      config.heartbeatMs,
      0,
      () => courier.telemetry([...signOfLife(), ...samples(figures, clock.wall(), (id) => id === "self")]),
      signal,
    ),
    every(
      parts,
      config.telemetryMs,
      2_000,
      () => courier.telemetry(samples(figures, clock.wall(), (id) => id !== "self")),
      signal,
    ),
    every(
      parts,
      config.inventoryMs,
      FIRST_INVENTORY_MS,
      async () => {
        const found = { ...(await parts.takeInventory()), config_hash: parts.configHash };
        if (JSON.stringify(found) === JSON.stringify(inventory)) return;
        inventory = found;
        courier.tellInfo();
      },
      signal,
    ),
  ]);
  notify.stopping();
  log.info({ event: "agent.stopping" }, "saying goodbye");
}

function courierPart({
  config,
  clock,
  log,
  outbox,
  version,
  openLink,
}: AgentParts): Omit<Parameters<typeof startCourier>[0], "info"> {
  return {
    outbox,
    clock,
    log: log.child({ in: "courier" }),
    device: config.device,
    agentVersion: version,
    heartbeatS: config.heartbeatMs / 1000,
    keepEveryMs: Math.max(config.telemetryMs, 60_000),
    connect: (part, events) =>
      openLink(
        {
          ...part,
          brokers: config.brokers,
          clientId: config.device,
          ...(config.username === undefined ? {} : { username: config.username }),
          ...(config.passwordFile === undefined ? {} : { passwordFile: config.passwordFile }),
          keepaliveS: 60,
          sessionExpiryS: SESSION_EXPIRY_S,
          receiveMaximum: 20,
        },
        events,
      ),
  };
}

/** Begins every check that is configured and that this machine has. */
function begin({ config, machine, clock, log }: AgentParts, self: CheckKind, stack: AsyncDisposableStack): Post[] {
  const all = [
    ...configured(config.checks),
    ...(config.checks.self.enabled ? [{ kind: self, config: config.checks.self }] : []),
  ];
  return all.flatMap(({ kind, config: own }): Post[] => {
    const judge = kind.begin(own, { machine, clock, stateDir: config.stateDir });
    if (judge === undefined) {
      log.info({ event: "check.not_present", check: kind.id }, "this machine has no such thing");
      return [];
    }
    stack.defer(() => judge.close?.());
    return [
      {
        id: kind.id,
        kind,
        config: own,
        every: own.every,
        deadlineMs: own.deadlineMs,
        judge: (signal) => judge.judge(signal),
      },
    ];
  });
}

/** The one way from verdicts to records: debounce, root causes, one durable append, then the courier is woken. */
function teller(
  { config, clock, log, outbox, machine, version }: AgentParts,
  courier: Courier,
  posts: readonly Post[],
  figures: Map<string, readonly Verdict[]>,
) {
  let ledger = restore(outbox.latest(), clock.now());
  const stateMount = stateMountOf(machine, config.stateDir);
  const place = stateMount === undefined ? {} : { stateMount };

  async function append(drafts: Parameters<Outbox["append"]>[0]): Promise<void> {
    if (drafts.length === 0) return;
    for (const kept of await outbox.append(drafts)) {
      if (kept.kind === "alarm")
        log.warn(
          {
            event: `alarm.${kept.body.kind}`,
            code: kept.code,
            severity: kept.body.severity,
            reason: kept.body.reason,
            seq: kept.body.seq,
          },
          kept.body.title_en,
        );
    }
    courier.wake();
  }

  return {
    /** What must be said before the first round: that we are here, and what is watched no more. */
    async first(): Promise<void> {
      const retired = retire(ledger, new Set(posts.map(({ id }) => id)));
      const explained = explain(retired.drafts, retired.ledger, place);
      ledger = explained.ledger;
      const says = `vigil-agent ${version}, ${actives(ledger).length} alarms active`;
      await append([
        { kind: "event", code: "agent-start", body: { title_zh: "代理程序启动", title_en: "agent started", says } },
        ...explained.drafts,
      ]);
    },
    async results(results: readonly Result<readonly Verdict[], Post>[]): Promise<void> {
      const at = { now: clock.now(), wall: clock.wall() };
      let drafts: ReturnType<typeof debounce>["drafts"] = [];
      for (const result of results) {
        const { kind, config: own } = result.entry;
        const check = { id: kind.id, titles: kind.titles, holdOnMs: own.holdOnMs, holdOffMs: own.holdOffMs };
        if ("verdicts" in result) figures.set(kind.id, result.verdicts);
        const round =
          "verdicts" in result
            ? { check, verdicts: result.verdicts }
            : { check, failed: { because: result.failed.because } };
        const step = debounce(ledger, round, at);
        ledger = step.ledger;
        if (step.drafts.length > 0) drafts = [...drafts, ...step.drafts];
      }
      if (drafts.length === 0) return;
      const explained = explain(drafts, ledger, place);
      ledger = explained.ledger;
      await append(explained.drafts);
    },
  };
}

/** The mount that holds the state folder, as the disk check names it. */
function stateMountOf(machine: Machine, stateDir: string): string | undefined {
  const mounts = parseMountInfo(machine.read("/proc/self/mountinfo") ?? "");
  return chooseVolumes(mounts, { stateDir }).find(({ holdsState }) => holdsState)?.subject;
}

/** The last figures of the checks that `of` picks, as telemetry. */
function samples(
  figures: ReadonlyMap<string, readonly Verdict[]>,
  ts: number,
  of: (id: string) => boolean,
): { code: string; body: { ts: number } }[] {
  return [...figures].flatMap(([id, verdicts]) =>
    of(id)
      ? verdicts.flatMap((verdict) =>
          verdict.state === "judged" && Object.keys(verdict.readings).length > 0
            ? [{ code: `${id}.${slug(verdict.subject)}`, body: { ...verdict.readings, ts } }]
            : [],
        )
      : [],
  );
}

/** Does `work` after `firstMs` and then every `periodMs`, each moved a little at random: a fleet must not beat in step. */
async function every(
  { clock, random, log }: AgentParts,
  periodMs: number,
  firstMs: number,
  work: () => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (let pause = firstMs; !signal.aborted; pause = periodMs * (0.95 + 0.1 * random())) {
    await clock.sleep(pause, signal).catch((cause: unknown) => {
      if (!signal.aborted) throw cause;
    });
    if (signal.aborted) return;
    try {
      await work();
    } catch (cause) {
      log.warn(
        { event: "agent.periodic_failed", because: cause instanceof Error ? cause.message : String(cause) },
        "tried again next time",
      );
    }
  }
}

/** Tells the supervisor that the rounds live, three times within its patience, and never more often. */
function dogWalker({ clock, notify, watchdogMs }: AgentParts): () => void {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.now() - last < watchdogMs / 3) return;
    last = clock.now();
    notify.watchdog();
  };
}
