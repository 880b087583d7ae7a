import { debounce, type Round, type Verdict } from "../../../agent/alarms/debounce.ts";
import { type Ledger, newLedger, restore } from "../../../agent/alarms/ledger.ts";
import type { AlarmBody } from "../../../agent/alarms/watch.ts";
import { AlarmChange } from "../../../protocol/from-device.ts";
import type { Draft, KeptAlarm } from "../../../protocol/record.ts";
import type { Grade } from "../../../protocol/severity.ts";
import { CODE_PATTERN } from "../../../protocol/topics.ts";

export const WALL = Date.UTC(2026, 10, 22, 9, 0, 0);
export const S = 1_000;
export const MIN = 60_000;

export const disk: Round["check"] = {
  id: "disk",
  titles: {
    space: { zh: "磁盘空间不足", en: "Disk space low" },
    inodes: { zh: "索引节点不足", en: "Inodes low" },
    gone: { zh: "挂载点已卸载", en: "Mount gone" },
  },
  holdOnMs: 30 * S,
  holdOffMs: 60 * S,
};

type More = { holds?: Grade; reason?: string; value?: number; says?: string };

export const judged = (subject: string, grade: Grade, more: More = {}): Verdict => ({
  state: "judged",
  subject,
  grade,
  holds: grade,
  reason: "space",
  unit: "%",
  ...more,
});
export const unknown = (subject: string, because = "cannot read /proc/mounts: EIO"): Verdict => ({
  state: "unknown",
  subject,
  because,
});

const BOOT = "01JD0000000000000000000000";

/** A device in a test: one ledger, a journal of what it told, and both clocks. Every draft is checked against the wire. */
export class Device {
  ledger: Ledger = newLedger();
  now = 0;
  wall = WALL;
  readonly told: { at: number; code: string; body: AlarmBody }[] = [];
  readonly journal = new Map<string, KeptAlarm>();
  #seq = 0;

  /** Winds both clocks. */
  wait(ms: number): this {
    this.now += ms;
    this.wall += ms;
    return this;
  }
  /** One round of `check`; returns what was told, as `kind code severity`. */
  round(verdicts: readonly Verdict[], check = disk): string[] {
    return this.take(debounce(this.ledger, { check, verdicts }, this));
  }
  fail(because: string, check = disk): string[] {
    return this.take(debounce(this.ledger, { check, failed: { because } }, this));
  }
  /** Repeats a round every `stepMs` from now on, for `forMs`. */
  keep(forMs: number, verdicts: readonly Verdict[], { check = disk, stepMs = 10 * S } = {}): string[] {
    const said: string[] = [];
    for (let waited = 0; waited < forMs; waited += stepMs) {
      this.wait(stepMs);
      said.push(...this.round(verdicts, check));
    }
    return said;
  }
  take({ ledger, drafts }: { ledger: Ledger; drafts: readonly Draft[] }): string[] {
    this.ledger = ledger;
    return drafts.map((draft) => {
      if (draft.kind !== "alarm") throw new Error("only alarms come out of the debounce");
      if (!CODE_PATTERN.test(draft.code)) throw new Error(`not a code: ${draft.code}`);
      this.#seq += 1;
      const body = AlarmChange.parse({ ...draft.body, boot: BOOT, seq: this.#seq, ts: Math.round(this.wall) });
      this.told.push({ at: this.now, code: draft.code, body: draft.body });
      this.journal.set(draft.code, { kind: "alarm", code: draft.code, body });
      return `${body.kind} ${draft.code} ${body.severity}`;
    });
  }
  /** A new start of the agent: memory is lost, the journal is not, and the monotonic clock begins anew. */
  restart(): this {
    this.now = 5 * S;
    this.ledger = restore([...this.journal.values()], this.now);
    return this;
  }
  get last(): AlarmBody {
    const last = this.told.at(-1);
    if (last === undefined) throw new Error("nothing was told");
    return last.body;
  }
}
