import type { OpenLink } from "../platform/broker-link.ts";
import type { Clock } from "../platform/clock.ts";
import type { Cron } from "../platform/cron.ts";
import type { Folder } from "../platform/files.ts";
import type { FollowProgram } from "../platform/follow-program.ts";
import type { Logger } from "../platform/log.ts";
import type { Machine } from "../platform/machine.ts";
import type { Notifier } from "../platform/notify.ts";
import { type Redact, redactor } from "../platform/redact.ts";
import type { RidingClock } from "../platform/riding-clock.ts";
import type { RunProgram } from "../platform/run.ts";
import type { Draft } from "../protocol/record.ts";
import { explain } from "./alarms/causes.ts";
import { debounce } from "./alarms/debounce.ts";
import { actives, restore, retire, waits } from "./alarms/ledger.ts";
import {
  beginOrLater,
  type CheckConfig,
  type CheckKind,
  type CheckPorts,
  type Configured,
  type Judge,
  type Keep,
  type Verdict,
} from "./checks/check.ts";
import { chooseVolumes, parseMountInfo } from "./checks/mounts.ts";
import { type SelfCheck, selfCheck } from "./checks/self/self.ts";
import { Answers, type DailyParts, lookForDaily } from "./daily.ts";
import { discreet, discreetSubjects } from "./discreet.ts";
import { Figures } from "./figures.ts";
import { bareInfo, type Inventory } from "./inventory.ts";
import { type Courier, startCourier } from "./outbox/courier.ts";
import { InventoryPost } from "./outbox/inventory-post.ts";
import type { Outbox } from "./outbox/outbox.ts";
import { type Entry, type Result, type Tick, walkRounds } from "./rounds.ts";
import type { RunConfig } from "./run-config.ts";

/** What does a device do by itself? It checks itself, remembers what changed, and tells it until it was heard. */

export interface AgentParts {
  config: RunConfig;
  /** Every check with its part of the config, but `self`. */
  checks: readonly Configured[];
  /** SHA-256 of the config file, told in `info`. */
  configHash: string;
  version: string;
  /** Where it can, it is told when the machine is awake, and long waits end then. */
  clock: Clock & Partial<RidingClock>;
  log: Logger;
  machine: Machine;
  /** In [0, 1). */
  random: () => number;
  outbox: Outbox;
  openLink: OpenLink;
  cron: Cron;
  notify: Notifier;
  watchdogMs: number;
  /** A full garbage collection. */
  tidyHeap(): void;
  /** Runs a program of the machine; ends it when the agent ends. */
  run: RunProgram;
  /** Starts a program that runs along with a check. */
  follow?: FollowProgram;
  /** What checks keep over a restart. */
  keep: Keep;
  /** What starts this very program with its config, for checks that need a child. */
  self: readonly [string, ...string[]];
  /** Where that child leaves the inventory document; absent where none is told. */
  stateFolder?: Pick<Folder, "read" | "replace">;
  /** Asks the short-lived child what this device is; ends it and rejects when `signal` aborts. */
  takeInventory(signal: AbortSignal): Promise<Inventory>;
}

/** A check at work in the rounds. */
interface Post extends Entry<readonly Verdict[]> {
  kind: CheckKind;
  config: CheckConfig;
  judge: Judge["judge"];
}

/** The birth goes first; then every check is asked once, whatever its tier. */
const SETTLE_MS = 1_000;
/** Slow rounds between two full garbage collections: an hour. */
const TIDY_EVERY_TICKS = 360;
const FIRST_INVENTORY_MS = 20_000;
const SESSION_EXPIRY_S = 3_600;
/** The day's check is looked after so often, in slow rounds, and at least so often; the first time after as long: NTP may need it. */
const DAILY_LOOK = { rounds: 6, mostMs: 60_000 } as const;

/** Runs until `stop` aborts, then says goodbye. Never rejects for a fault of the device: those are alarms. */
export async function runAgent(parts: AgentParts, stop: AbortSignal): Promise<void> {
  const { config, clock, log, outbox, notify } = parts;
  await using stack = new AsyncDisposableStack();
  const broken = new AbortController();
  const signal = AbortSignal.any([stop, broken.signal]);
  const redact = redactor(config.secretWords);
  /** Serial numbers look like somebody's phone: only the name that a person chose is looked at. */
  const told = (facts: Inventory) => ({
    ...facts,
    ...(facts.hostname === undefined ? {} : { hostname: redact(facts.hostname) }),
    config_hash: parts.configHash,
  });
  let inventory = told(bareInfo(parts.machine));
  const post =
    parts.stateFolder && new InventoryPost({ device: config.device, folder: parts.stateFolder, make: stock });
  const courier = stack.use(
    startCourier({ ...courierPart(parts), info: () => inventory, ...(post && { inventory: post }) }),
  );
  async function stock(): Promise<void> {
    const found = told(await parts.takeInventory(signal));
    await post?.found(found.inventory_hash);
    if (JSON.stringify(found) === JSON.stringify(inventory)) return courier.wake(); // its document may be untold yet
    inventory = found;
    courier.tellInfo();
  }
  const self = selfCheck({
    stats: () => {
      const { roomBytes: maxBytes, ...stats } = outbox.stats();
      return { ...stats, maxBytes };
    },
    linkUp: () => courier.stats().up,
    refused: () => courier.stats().refused,
  });
  const ports = checkPorts(parts, courier, redact);
  const posts: Post[] = begin(parts, ports, self, stack, (check) => tell.isImpatient(check));
  const watchdog = dogWalker(parts, posts);
  const figures = new Figures();
  const answers = new Answers();
  const tell = teller(parts, courier, posts, { figures, answers, redact });
  const daily = { ...dailyPart(parts, posts, self, redact), answers, tell: (draft: Draft) => tell.append([draft]) };
  await tell.first();

  const startedAt = clock.now();
  let slowTicks = 0;
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
    restless: () => tell.isRestless(),
    onTick: ({ tier, lateMs }: Tick) => {
      self.late(lateMs);
      watchdog.tick();
      if (tier === "slow") {
        slowTicks += 1;
        clock.tick?.();
      }
      if (slowTicks >= TIDY_EVERY_TICKS) {
        slowTicks = 0;
        parts.tidyHeap();
      }
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
      () => courier.telemetry([...signOfLife(), ...figures.samples((id) => id === "self")]),
      signal,
    ),
    every(parts, config.telemetryMs, 2_000, () => courier.telemetry(figures.samples((id) => id !== "self")), signal),
    every(parts, config.inventoryMs, Math.min(FIRST_INVENTORY_MS, config.inventoryMs), stock, signal),
    config.daily.enabled
      ? every(parts, dailyLookMs(config), dailyLookMs(config), () => lookForDaily(daily, signal), signal)
      : undefined,
    watchdog.walk(signal),
  ]).finally(() => broken.abort());
  notify.stopping();
  log.info({ event: "agent.stopping" }, "saying goodbye");
}

const dailyLookMs = ({ rounds }: RunConfig): number => Math.min(DAILY_LOOK.rounds * rounds.slowMs, DAILY_LOOK.mostMs);

/** What the day's check is made of: every check there is, whether it runs or not. */
function dailyPart(
  { config, checks, clock, log, outbox, version, configHash }: AgentParts,
  posts: readonly Post[],
  self: SelfCheck,
  redact: Redact,
): Omit<DailyParts, "answers" | "tell"> {
  const all = [...checks, { kind: self, config: config.checks.self }];
  const running = new Set(posts.map(({ id }) => id));
  return {
    ...{ clock, log, device: config.device, config: config.daily, slowMs: config.rounds.slowMs },
    checks: all.map(({ kind, config: { enabled, every: when, deadlineMs } }) => ({
      kind,
      state: running.has(kind.id) ? "watched" : enabled ? "absent" : "disabled",
      ...(typeof when === "object" && "cron" in when ? {} : { deadlineMs }),
    })),
    days: () => outbox.days(),
    roomBytes: outbox.stats().roomBytes,
    facts: { agent: version, config_hash: configHash },
    redact,
  };
}

const checkPorts = (
  { config, machine, clock, run, follow, random, keep, self, log }: AgentParts,
  courier: Courier,
  redact: Redact,
): CheckPorts => ({
  ...{ machine, clock, stateDir: config.stateDir, run, random, keep, self },
  ...(follow === undefined ? {} : { follow }),
  brokers: config.brokers,
  redact,
  link: () => courier.link(),
  log,
});

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
function begin(
  { config, checks, log }: AgentParts,
  ports: CheckPorts,
  self: SelfCheck,
  stack: AsyncDisposableStack,
  isImpatient: (check: string) => boolean,
): Post[] {
  const all = [...checks, { kind: self as CheckKind, config: config.checks.self }];
  return all.flatMap(({ kind, config: own }): Post[] => {
    if (!own.enabled) return [];
    const judge = beginOrLater(kind, own, ports);
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
        impatient: () => isImpatient(kind.id),
        ...(judge.stirred === undefined ? {} : { stirred: () => judge.stirred?.() === true }),
      },
    ];
  });
}

/** The one way from verdicts to records: debounce, root causes, one durable append, then the courier is woken. */
function teller(
  { config, clock, log, outbox, machine, version }: AgentParts,
  courier: Courier,
  posts: readonly Post[],
  { figures, answers, redact }: { figures: Figures; answers: Answers; redact: Redact },
) {
  let ledger = restore(outbox.latest(), clock.now());
  let seen: typeof ledger | undefined;
  let restless = false;
  const unasked = new Set(
    posts.flatMap(({ id, every: when }) => (typeof when === "object" && "cron" in when ? [] : [id])),
  );
  const settledAt = clock.now() + SETTLE_MS;
  const stateMount = stateMountOf(machine, config.stateDir);
  const place = stateMount === undefined ? {} : { stateMount };
  const named = discreetSubjects(redact);

  async function append(drafts: Parameters<Outbox["append"]>[0]): Promise<void> {
    if (drafts.length === 0) return;
    for (const kept of await outbox.append(drafts.map((draft) => discreet(draft, redact)))) {
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
    /** Whether a check should not wait for its slow round: a hold time of it runs, it was never asked yet, or the day's check wants it. */
    isImpatient: (check: string): boolean =>
      waits(ledger, check) || (unasked.has(check) && clock.now() >= settledAt) || answers.wants(check),
    /** Whether this may be so for any of them. */
    isRestless(): boolean {
      if (unasked.size > 0 || answers.wantsAny) return true;
      if (ledger !== seen) {
        seen = ledger;
        restless = [...ledger.checks.keys()].some((check) => waits(ledger, check));
      }
      return restless;
    },
    append,
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
        unasked.delete(kind.id);
        const check = { id: kind.id, titles: kind.titles, holdOnMs: own.holdOnMs, holdOffMs: own.holdOffMs };
        const verdicts = "verdicts" in result ? named(result.verdicts) : undefined;
        if (verdicts === undefined) figures.forget(kind.id);
        else figures.note(kind.id, verdicts, at.wall);
        const because = "failed" in result ? result.failed.because : "";
        answers.note(kind.id, at.now, verdicts ?? because);
        const round = verdicts === undefined ? { check, failed: { because } } : { check, verdicts };
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
      if (signal.aborted) return;
      log.warn(
        { event: "agent.periodic_failed", because: cause instanceof Error ? cause.message : String(cause) },
        "tried again next time",
      );
    }
  }
}

/**
 * Tells the supervisor that the rounds live, three times within its patience: with their ticks, or where those come more
 * seldom than that, in between for as long as no tick is overdue.
 */
function dogWalker(parts: AgentParts, posts: readonly Post[]) {
  const { clock, config, notify } = parts;
  const patienceMs = parts.watchdogMs / 3;
  const tiers = { fast: config.rounds.fastMs, slow: config.rounds.slowMs } as const;
  const periods = posts.flatMap(({ every: tier }) => (typeof tier === "string" ? [tiers[tier]] : []));
  const shortestMs = Math.min(...periods);
  const pingsAlone = shortestMs <= patienceMs;
  let tickedAt = clock.now();
  let pingedAt = Number.NEGATIVE_INFINITY;
  const ping = (): void => {
    pingedAt = clock.now();
    notify.watchdog();
  };
  return {
    tick(): void {
      tickedAt = clock.now();
      if (tickedAt - pingedAt >= patienceMs) ping();
    },
    async walk(signal: AbortSignal): Promise<void> {
      const alive = (): boolean => clock.now() - tickedAt <= 2 * shortestMs + patienceMs;
      if (!pingsAlone) await every(parts, patienceMs, 0, () => (alive() ? ping() : undefined), signal);
    },
  };
}
