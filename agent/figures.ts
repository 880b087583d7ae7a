import type { Telemetry } from "../protocol/from-device.ts";
import { fingerprint, slug } from "../protocol/topics.ts";
import type { Verdict } from "./checks/check.ts";

/** The last figures of every check, each dated by the moment it was taken. What a check cannot tell any more is not told. */
export class Figures {
  readonly #rounds = new Map<string, { ts: number; verdicts: readonly Verdict[] }>();

  /** One round's answer; `ts` is the device's wall clock then, epoch ms. */
  note(check: string, verdicts: readonly Verdict[], ts: number): void {
    this.#rounds.set(check, { ts, verdicts });
  }
  /** The check could not answer. */
  forget(check: string): void {
    this.#rounds.delete(check);
  }
  /** As telemetry, of the checks that `of` picks. */
  samples(of: (check: string) => boolean): { code: string; body: Telemetry }[] {
    return [...this.#rounds].flatMap(([check, { ts, verdicts }]) => {
      if (!of(check)) return [];
      const codes = codesOf(
        check,
        verdicts.map(({ subject }) => subject),
      );
      return verdicts.flatMap((verdict, i) =>
        verdict.state === "judged" && Object.keys(verdict.readings).length > 0
          ? [{ code: codes[i] ?? check, body: { ...verdict.readings, ts } }]
          : [],
      );
    });
  }
}

/** A code for each subject; those with the same slug are told apart by a fingerprint, as the codes of alarms are. */
function codesOf(check: string, subjects: readonly string[]): string[] {
  const slugs = subjects.map(slug);
  const owners = new Map<string, Set<string>>();
  for (const [i, plain] of slugs.entries())
    owners.set(plain, (owners.get(plain) ?? new Set()).add(subjects[i] ?? plain));
  return slugs.map((plain, i) => {
    const shared = (owners.get(plain)?.size ?? 0) > 1;
    return `${check}.${shared ? `${plain.slice(0, 71)}-${fingerprint(subjects[i] ?? plain)}` : plain}`;
  });
}
