import type { Draft, KeptAlarm } from "../../protocol/record.ts";
import { fingerprint, slug } from "../../protocol/topics.ts";
import { type AlarmBody, isWaiting, restoredWatch, type Watch } from "./watch.ts";

/** A subject (or, under the key `WHOLE`, a whole check) that could not be judged lately. */
export interface Blind {
  /** Times in a row nobody could tell, counted up to `BLIND.after`. */
  readonly count: number;
  /** The asking that was counted last. */
  readonly asked?: number;
  readonly beganAt: number;
  /** Its alarm `check.…`. */
  readonly watch: Watch;
}

/** What is remembered of one check: only the subjects that are not simply well. */
export interface CheckLedger {
  readonly watches: ReadonlyMap<string, Watch>;
  readonly blinds: ReadonlyMap<string, Blind>;
}

/** What changed so far: the state of every alarm of this device, in memory. The journal keeps the told half of it. */
export interface Ledger {
  readonly checks: ReadonlyMap<string, CheckLedger>;
}

/** A check that could not tell so often in a row has an alarm of its own. */
export const BLIND = {
  after: 3,
  severity: "minor",
  reason: "unknown",
  prefix: "check",
  title: { zh: "自检项无法执行", en: "check cannot run" },
} as const;

/** Key of a whole check among its blinds; no subject is empty. */
export const WHOLE = "";
export const NO_CHECK: CheckLedger = { watches: new Map(), blinds: new Map() };

/** The ledger of a device nothing is known of. */
export const newLedger = (): Ledger => ({ checks: new Map() });

/** True while a hold time of this check's subjects runs: ask it soon, so that an alarm is neither late nor long. */
export function waits(ledger: Ledger, check: string): boolean {
  const known = ledger.checks.get(check);
  if (known === undefined) return false;
  for (const watch of known.watches.values()) if (isWaiting(watch)) return true;
  return false;
}

/** The ledger after a restart: what the journal holds as active is on, so nothing is told twice or forgotten. */
export function restore(latest: readonly KeptAlarm[], now: number): Ledger {
  let ledger = newLedger();
  for (const { code, body: kept } of latest) {
    if (!kept.active) continue;
    const { boot: _boot, seq: _seq, ts: _ts, ...told } = kept;
    const watch = restoredWatch(code, told, now);
    const before = ledger.checks.get(told.check) ?? NO_CHECK;
    ledger = withCheck(
      ledger,
      told.check,
      isBlindCode(code, told)
        ? {
            ...before,
            blinds: withKey(before.blinds, blindKey(code, told), { count: BLIND.after, beganAt: now, watch }),
          }
        : { ...before, watches: withKey(before.watches, told.subject, watch) },
    );
  }
  return ledger;
}

const isBlindCode = (code: string, told: AlarmBody): boolean =>
  code.startsWith(`${BLIND.prefix}.`) && told.reason === BLIND.reason;
const blindKey = (code: string, told: AlarmBody): string =>
  code === `${BLIND.prefix}.${told.check}` ? WHOLE : told.subject;

/** Forgets every check that does not run any more, and clears what it had raised. */
export function retire(ledger: Ledger, running: ReadonlySet<string>): { ledger: Ledger; drafts: Draft[] } {
  const gone = new Set([...ledger.checks.keys()].filter((check) => !running.has(check)));
  if (gone.size === 0) return { ledger, drafts: [] };
  const drafts = actives(ledger)
    .filter(({ body }) => gone.has(body.check))
    .map(({ code, body }): Draft => {
      const { value: _value, unit: _unit, flapping: _flapping, explained_by: _cause, ...told } = body;
      const says = "the check is not configured any more";
      return { kind: "alarm", code, body: { ...told, active: false, kind: "cleared", reason: "retired", says } };
    });
  return { ledger: { checks: new Map([...ledger.checks].filter(([check]) => !gone.has(check))) }, drafts };
}

/** Every watch of the ledger, those of checks that cannot run among them. */
export const watchesOf = (ledger: Ledger): Watch[] =>
  [...ledger.checks.values()].flatMap(({ watches, blinds }) => [
    ...watches.values(),
    ...[...blinds.values()].map(({ watch }) => watch),
  ]);

/** The alarms active now, as they were told last. */
export const actives = (ledger: Ledger): { code: string; body: AlarmBody }[] =>
  watchesOf(ledger).flatMap(({ code, told }) =>
    code === undefined || told === undefined ? [] : [{ code, body: told }],
  );

/** The ledger with another last word on an active alarm. */
export function retold(ledger: Ledger, code: string, told: AlarmBody): Ledger {
  const check = ledger.checks.get(told.check);
  if (check === undefined) return ledger;
  const update = (watch: Watch): Watch => (watch.code === code ? { ...watch, told } : watch);
  return withCheck(ledger, told.check, {
    watches: new Map([...check.watches].map(([subject, watch]) => [subject, update(watch)])),
    blinds: new Map([...check.blinds].map(([key, blind]) => [key, { ...blind, watch: update(blind.watch) }])),
  });
}

/** The ledger with `check` remembered so, or not at all when there is nothing to remember. */
export const withCheck = (ledger: Ledger, id: string, check: CheckLedger): Ledger => {
  const checks = new Map(ledger.checks);
  if (check.watches.size === 0 && check.blinds.size === 0) checks.delete(id);
  else checks.set(id, check);
  return { checks };
};

const withKey = <V>(map: ReadonlyMap<string, V>, key: string, value: V): ReadonlyMap<string, V> =>
  new Map(map).set(key, value);

/**
 * The alarm code of a subject: `prefix.slug`. Where another subject of the same round, or a code in use, has the same
 * slug, a fingerprint of the subject tells them apart; so the order of subjects and of faults does not matter.
 */
export function codeFor(
  prefix: string,
  name: (subject: string) => string,
  subject: string,
  others: Iterable<string>,
  taken: ReadonlySet<string>,
): string {
  const plain = name(subject);
  const shared = [...others].some((other) => other !== subject && name(other) === plain);
  if (!shared && !taken.has(`${prefix}.${plain}`)) return `${prefix}.${plain}`;
  for (let tries = 0; ; tries += 1) {
    const code = `${prefix}.${plain.slice(0, 71)}-${fingerprint(tries === 0 ? subject : `${subject} ${tries}`)}`;
    if (!taken.has(code)) return code;
  }
}

/** `check.<id>` for a whole check, `check.<id>-<slug>` for a subject of it. */
export const blindName =
  (check: string) =>
  (key: string): string =>
    key === WHOLE ? slug(check) : slug(`${check}-${slug(key)}`);
