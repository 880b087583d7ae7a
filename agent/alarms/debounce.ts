import type { Draft } from "../../protocol/record.ts";
import { rank } from "../../protocol/severity.ts";
import { fingerprint, slug } from "../../protocol/topics.ts";
import { BLIND, type Blind, blindName, codeFor, type Ledger, NO_CHECK, WHOLE, watchesOf, withCheck } from "./ledger.ts";
import { GONE, type Moment, type Rule, step } from "./step.ts";
import { type AlarmBody, type Finding, isQuiet, newWatch, pause, type Watch } from "./watch.ts";

/** What changed? Verdicts of one round and the ledger of all alarms go in; changes worth telling come out. Pure. */

/** One subject's verdict, as the checks give it. */
export type Verdict =
  | ({ state: "judged"; subject: string } & Finding)
  | { state: "unknown"; subject: string; because: string; asked?: number };

/** What one round of one check brought: its verdicts, or why there are none. */
export type Round = {
  check: {
    id: string;
    titles: Readonly<Record<string, { zh: string; en: string }>>;
    holdOnMs: number;
    holdOffMs: number;
  };
} & ({ verdicts: readonly Verdict[] } | { failed: { because: string } });

const isWell = (verdict: Verdict): boolean => verdict.state === "judged" && verdict.grade === "ok";

/**
 * Takes in one round. `at.now` (monotonic ms) alone decides hold times, `at.wall` (epoch ms) only dates the alarms.
 * The ledger comes back as the same object when nothing moved.
 */
export function debounce(ledger: Ledger, round: Round, at: Moment): { ledger: Ledger; drafts: Draft[] } {
  const before = ledger.checks.get(round.check.id);
  // nearly every round of a device's life: all is well and was before
  if (before === undefined && "verdicts" in round && round.verdicts.every(isWell)) return { ledger, drafts: [] };
  const desk = new Desk(ledger, round.check, at);
  if ("verdicts" in round) desk.judged(bySubject(round.verdicts));
  else desk.failed(round.failed.because);
  return desk.result();
}

/** Verdicts by subject, cut to what a record can carry; of two on the same subject the worse one counts. */
function bySubject(verdicts: readonly Verdict[]): Map<string, Verdict> {
  const weight = (verdict: Verdict): number =>
    verdict.state === "unknown" ? 0.5 : rank(verdict.grade) + rank(verdict.holds) / 10;
  const found = new Map<string, Verdict>();
  for (const verdict of verdicts) {
    const subject = speakable(verdict.subject);
    const other = found.get(subject);
    if (other === undefined || weight(verdict) > weight(other)) found.set(subject, verdict);
  }
  return found;
}

function speakable(subject: string): string {
  if (subject === "") return "-";
  return subject.length <= 200 ? subject : `${subject.slice(0, 191).toWellFormed()}-${fingerprint(subject)}`;
}

/** One round being worked off: the maps are its own until `result`. */
class Desk {
  readonly #ledger: Ledger;
  readonly #rule: Rule;
  readonly #at: Moment;
  readonly #watches: Map<string, Watch>;
  readonly #blinds: Map<string, Blind>;
  readonly #drafts: Draft[] = [];
  #subjects: readonly string[] = [];
  #moved = false;

  constructor(ledger: Ledger, check: Round["check"], at: Moment) {
    const { watches, blinds } = ledger.checks.get(check.id) ?? NO_CHECK;
    this.#ledger = ledger;
    this.#rule = { check: check.id, titles: check.titles, holdOnMs: check.holdOnMs, holdOffMs: check.holdOffMs };
    this.#at = at;
    this.#watches = new Map(watches);
    this.#blinds = new Map(blinds);
  }

  judged(verdicts: ReadonlyMap<string, Verdict>): void {
    this.#subjects = [...verdicts.keys()];
    for (const [subject, verdict] of verdicts) {
      if (verdict.state === "unknown") {
        this.#pause(subject);
        this.#untold(subject, verdict.because, verdict.asked);
      } else {
        this.#step(subject, verdict);
        this.#told(subject);
      }
    }
    for (const subject of [...this.#watches.keys()].filter((known) => !verdicts.has(known)))
      this.#step(subject, { grade: "ok", holds: "ok", reason: GONE, says: `${subject} is not there any more` });
    // the whole check is among them: it can tell again
    for (const key of [...this.#blinds.keys()].filter((known) => !verdicts.has(known))) this.#told(key);
  }

  /** A check that failed as a whole says nothing about its subjects. */
  failed(because: string): void {
    for (const subject of this.#watches.keys()) this.#pause(subject);
    this.#untold(WHOLE, because);
  }

  result(): { ledger: Ledger; drafts: Draft[] } {
    if (!this.#moved) return { ledger: this.#ledger, drafts: [] };
    const check = { watches: this.#watches, blinds: this.#blinds };
    return { ledger: withCheck(this.#ledger, this.#rule.check, check), drafts: this.#drafts };
  }

  #pause(subject: string): void {
    const watch = this.#watches.get(subject);
    if (watch !== undefined) this.#keep(subject, watch, pause(watch, this.#at.now));
  }

  #step(subject: string, finding: Finding): void {
    const known = this.#watches.get(subject);
    if (known === undefined && finding.grade === "ok") return;
    const before = known ?? newWatch(subject);
    const { watch, tell } = step(before, finding, this.#rule, this.#at);
    this.#keep(subject, known, tell === undefined ? watch : this.#tell(watch, tell, this.#rule.check, slug, subject));
  }

  #keep(subject: string, before: Watch | undefined, after: Watch): void {
    if (after === before) return;
    this.#moved = true;
    if (isQuiet(after)) this.#watches.delete(subject);
    else this.#watches.set(subject, after);
  }

  /** Nobody could tell about this subject (or the whole check): at the third time in a row that is an alarm. */
  #untold(key: string, because: string, asked?: number): void {
    const { now } = this.#at;
    const known = this.#blinds.get(key);
    if (asked !== undefined && known?.asked === asked) return; // told again, and not asked again
    const asking = asked === undefined ? {} : { asked };
    const subject = key === WHOLE ? this.#rule.check : key;
    const count = Math.min((known?.count ?? 0) + 1, BLIND.after);
    const beganAt = known === undefined || known.count === 0 ? now : known.beganAt;
    const before = known?.watch ?? newWatch(subject);
    if (count < BLIND.after) {
      this.#see(key, known, { count, ...asking, beganAt, watch: pause(before, now) });
      return;
    }
    const began =
      before.on === 0 ? { ...before, wishes: newWatch(subject, { grade: BLIND.severity, beganAt }).wishes } : before;
    const finding = { grade: BLIND.severity, holds: BLIND.severity, reason: BLIND.reason, says: because };
    this.#see(key, known, { count, ...asking, beganAt, watch: this.#stepBlind(key, began, finding) });
  }

  /** Something could be told again. */
  #told(key: string): void {
    const known = this.#blinds.get(key);
    if (known === undefined) return;
    const finding = { grade: "ok", holds: "ok", reason: BLIND.reason, says: "the check can tell again" } as const;
    this.#see(key, known, { count: 0, beganAt: known.beganAt, watch: this.#stepBlind(key, known.watch, finding) });
  }

  #stepBlind(key: string, before: Watch, finding: Finding): Watch {
    const rule: Rule = { ...this.#rule, titles: { [BLIND.reason]: BLIND.title }, holdOnMs: 0, holdOffMs: 0 };
    const { watch, tell } = step(before, finding, rule, this.#at);
    return tell === undefined ? watch : this.#tell(watch, tell, BLIND.prefix, blindName(rule.check), key);
  }

  #see(key: string, before: Blind | undefined, after: Blind): void {
    if (before !== undefined && before.count === after.count && before.watch === after.watch) return;
    this.#moved = true;
    if (after.count === 0 && isQuiet(after.watch)) this.#blinds.delete(key);
    else this.#blinds.set(key, after);
  }

  /** Writes a change down; a subject gets its code with its first one. */
  #tell(watch: Watch, body: AlarmBody, prefix: string, name: (key: string) => string, key: string): Watch {
    const code = watch.code ?? codeFor(prefix, name, key, this.#subjects, this.#taken());
    this.#drafts.push({ kind: "alarm", code, body });
    return watch.code === undefined ? { ...watch, code } : watch;
  }

  #taken(): Set<string> {
    const here = [...this.#watches.values(), ...[...this.#blinds.values()].map(({ watch }) => watch)];
    return new Set([...watchesOf(this.#ledger), ...here].flatMap(({ code }) => (code === undefined ? [] : [code])));
  }
}
