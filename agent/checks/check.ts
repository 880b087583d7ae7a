import * as z from "zod/mini";
import type { LinkFacts } from "../../platform/broker-link.ts";
import type { Clock } from "../../platform/clock.ts";
import { cronMistake } from "../../platform/cron.ts";
import type { Folder } from "../../platform/files.ts";
import type { FollowProgram } from "../../platform/follow-program.ts";
import type { Logger } from "../../platform/log.ts";
import type { Machine, Source } from "../../platform/machine.ts";
import type { Redact } from "../../platform/redact.ts";
import type { RunProgram } from "../../platform/run.ts";
import type { Slot } from "../../platform/slot.ts";
import { type Grade, rank, type Severity, worse } from "../../protocol/severity.ts";

/** Figures of one subject; every name ends in its unit (`free_pct`, `temp_c`, `rss_bytes`, `count`). */
export type Readings = Readonly<Record<string, number>>;

/** One subject judged. With two thresholds a fault has two answers, and the debounce picks by what is active now. */
export interface Judged {
  state: "judged";
  subject: string;
  /** How bad it is for a subject that was well: past the raise threshold. */
  grade: Grade;
  /** How bad it still is for a subject in alarm: not yet past the clear threshold. Never less than `grade`. */
  holds: Grade;
  /** Which condition decided; a key of the check's `titles`. Any valid key while both are ok. */
  reason: string;
  /** In place of the check's title for the reason, where what is looked for comes from the config. */
  title?: Title;
  /** The deciding figure and its unit. */
  value?: number;
  unit?: string;
  /** One English sentence of evidence with the numbers in it. */
  says?: string;
  readings: Readings;
}

/** The check could not tell. Never shown as ok; three in a row are an alarm of their own. */
export interface Unknown {
  state: "unknown";
  subject: string;
  because: string;
  /** Which asking it came of, where a round tells again what was told before: one asking counts once. */
  asked?: number;
}

export type Verdict = Judged | Unknown;

/** What a check that asks the kernel alone may touch. */
export interface LocalPorts {
  machine: Machine;
  clock: Clock;
  /** Where the agent keeps its own state, a path of the machine: a fault of the disk under it is critical. */
  stateDir?: string;
}

/** Where a check keeps what must outlive a restart of the agent. */
export interface Keep {
  /** On flash: survives a power cut. Each write costs the flash; the budget is 1 MB a day for everything. */
  folder: Folder;
  /** A small file in memory (`runtimeDir`, /run): survives a kill of the agent, no reboot. Cheap enough for every round. */
  slot(name: string): Slot;
}

/** A broker as the config names it. */
export interface BrokerFacts {
  host: string;
  port: number;
  tls?:
    | { caFile: string; certFile?: string | undefined; keyFile?: string | undefined; servername?: string | undefined }
    | undefined;
}

/** What any check may touch. */
export interface CheckPorts extends LocalPorts {
  run: RunProgram;
  /** Starts a program that runs along; absent in a round by hand, which ends at once. */
  follow?: FollowProgram;
  /** In [0, 1). */
  random: () => number;
  brokers: readonly BrokerFacts[];
  /** Takes out of a text what must not leave the device; every `says` and `because` goes through it once more in the end. */
  redact: Redact;
  /** Absent in a round by hand, which leaves nothing behind. */
  keep?: Keep;
  /** In a round by hand: what the running agent keeps in memory, to be read only. */
  recall?: Keep["slot"];
  /** Absent in a round by hand. */
  link?: () => LinkFacts;
  /** For a choice of a check's own that a person may look for; faults are alarms. Absent in a round by hand. */
  log?: Pick<Logger, "info">;
  /** What starts this very program with its config; a command after it runs as a short-lived child, with a heap of its own. */
  self?: readonly [string, ...string[]];
}

/** A check at work: it remembers what rates and trends need between rounds. */
export interface Judge {
  /**
   * Every subject the check sees now: one left out that was there before is gone, and its alarm clears.
   * Throws Failure when nothing at all could be told (the whole check is then `unknown`). Must give up when `signal` aborts.
   */
  judge(signal: AbortSignal): readonly Verdict[] | Promise<readonly Verdict[]>;
  /**
   * A look that costs next to nothing, in the fast rounds, at a check of the slow ones: true when it should be asked now
   * rather than at its next slot. Must not wait.
   */
  stirred?(): boolean;
  close?(): void;
}

export interface Title {
  zh: string;
  en: string;
}

/** A kind of check: what it is called, what may be configured, how it begins. One file each; `all.ts` is the list. */
export interface CheckKind<Config extends CheckConfig = CheckConfig, Ports extends LocalPorts = CheckPorts> {
  /** First part of its alarm codes: `disk` in `disk.var`. */
  id: string;
  name: Title;
  Config: z.ZodMiniType<Config>;
  /** Alarm titles by reason. `gone` is given to an alarm whose subject vanished. */
  titles: Readonly<Record<string, Title>>;
  /** Ready to judge, or undefined where the machine has no such thing ("not present"). */
  begin(config: Config, ports: Ports): Judge | undefined;
}

/**
 * Begins a check. One that cannot even begin because something cannot be read is unknown like one that fails later:
 * each round tries again. Undefined where the machine has no such thing.
 */
export function beginOrLater(kind: CheckKind, config: CheckConfig, ports: CheckPorts): Judge | undefined {
  try {
    return beginOrClose(kind, config, ports);
  } catch {
    let begun: Judge | undefined;
    return {
      judge: (signal) => {
        begun ??= beginOrClose(kind, config, ports);
        return begun?.judge(signal) ?? [];
      },
      close: () => begun?.close?.(),
    };
  }
}

/** A beginning that fails leaves no file open: it is tried every few seconds, perhaps for years. */
function beginOrClose(kind: CheckKind, config: CheckConfig, ports: CheckPorts): Judge | undefined {
  let opened: Source[] = [];
  let beginning = true;
  const source = (path: string): Source => {
    const one = ports.machine.source(path);
    if (beginning) opened.push(one);
    return one;
  };
  try {
    const judge = kind.begin(config, { ...ports, machine: { ...ports.machine, source } });
    opened = [];
    return judge;
  } finally {
    beginning = false;
    for (const one of opened) one.close();
  }
}

/** What every check's config holds beside its own limits. */
export interface CheckConfig {
  enabled: boolean;
  /**
   * Which rounds it is part of; `everyMs` (with the slow round that is due; in each slow round while a hold time runs), or
   * a cron expression (node-cron, device's local time) where it should run at set times only.
   */
  every: "fast" | "slow" | { everyMs: number } | { cron: string };
  /** A fault must last so long before it is raised, milliseconds. */
  holdOnMs: number;
  /** A subject must be well so long before its alarm clears, milliseconds. */
  holdOffMs: number;
  /** The check is cut off, and unknown, after so long. */
  deadlineMs: number;
}

const ms = (fallback: number, most = 86_400_000) => z._default(z.int().check(z.minimum(0), z.maximum(most)), fallback);

/** A cron expression of the config; a mistake in it is told by its field. */
export const cronExpression = z.string().check(
  z.maxLength(100),
  z.refine((text) => cronMistake(text) === undefined, { error: ({ input }) => cronMistake(String(input)) }),
);

/** The config fields every check shares, with this check's defaults; spread into its own `z.strictObject`. */
export const commonConfig = (defaults: {
  every: "fast" | "slow" | { everyMs: number };
  holdOnMs: number;
  holdOffMs: number;
  deadlineMs?: number;
}) => ({
  enabled: z._default(z.boolean(), true),
  every: z._default(
    z.union([
      z.enum(["fast", "slow"]),
      z.strictObject({ everyMs: z.int().check(z.minimum(1_000), z.maximum(2_592_000_000)) }),
      z.strictObject({ cron: cronExpression }),
    ]),
    defaults.every,
  ),
  holdOnMs: ms(defaults.holdOnMs),
  holdOffMs: ms(defaults.holdOffMs),
  deadlineMs: ms(defaults.deadlineMs ?? 5_000, 600_000),
});

/** A check and its part of the config. */
export interface Configured {
  kind: CheckKind;
  config: CheckConfig;
}

/** Two thresholds of one severity: past `raise` it is on, only past `clear` it is off again. */
export interface Band {
  raise: number;
  clear: number;
}
export type Bands = Partial<Record<Severity, Band | undefined>>;

/** Grades a figure that is bad when high. Returns the raise-side and the clear-side answer. */
export function gradeHigh(value: number, bands: Bands): Pick<Judged, "grade" | "holds"> {
  return gradeBy(
    bands,
    (band) => value >= band.raise,
    (band) => value > band.clear,
  );
}

/** Grades a figure that is bad when low. */
export function gradeLow(value: number, bands: Bands): Pick<Judged, "grade" | "holds"> {
  return gradeBy(
    bands,
    (band) => value <= band.raise,
    (band) => value < band.clear,
  );
}

function gradeBy(
  bands: Bands,
  raises: (band: Band) => boolean,
  holds: (band: Band) => boolean,
): Pick<Judged, "grade" | "holds"> {
  const worst = (test: (band: Band) => boolean): Grade =>
    (Object.entries(bands) as [Severity, Band | undefined][]).reduce<Grade>(
      (top, [severity, band]) => (band !== undefined && test(band) && rank(severity) > rank(top) ? severity : top),
      "ok",
    );
  const grade = worst(raises);
  const held = worst((band) => raises(band) || holds(band));
  return { grade, holds: held };
}

/** A strict band schema for a figure that is bad when high (`clear` at or under `raise`). */
export const highBand = (least: number, most: number) =>
  z
    .strictObject({ raise: limit(least, most), clear: limit(least, most) })
    .check(z.refine((band) => band.clear <= band.raise, "clear must not be above raise"));

/** A strict band schema for a figure that is bad when low (`clear` at or over `raise`). */
export const lowBand = (least: number, most: number) =>
  z
    .strictObject({ raise: limit(least, most), clear: limit(least, most) })
    .check(z.refine((band) => band.clear >= band.raise, "clear must not be below raise"));

const limit = (least: number, most: number) => z.number().check(z.minimum(least), z.maximum(most));

/** One condition of a subject, before the worst of them is chosen. */
export type Condition = Omit<Judged, "state" | "subject">;

/**
 * Remembers which conditions of one subject were truly raised. Without it a condition that lies between its two
 * thresholds, though never past the first, would hold the alarm that another condition had raised.
 */
export class Latch {
  #held: Map<string, Grade> | undefined;

  /** The conditions with `holds` cut to what each of them has raised since it was last well. */
  hold<C extends Condition>(conditions: readonly C[]): C[] {
    const before = this.#held;
    const after = new Map<string, Grade>();
    const held = conditions.map((condition) => {
      const { reason, grade } = condition;
      // the first look knows no past: an alarm kept over a restart may be this condition's
      const most = before === undefined ? condition.holds : (before.get(reason) ?? "ok");
      const holds = worse(grade, rank(most) < rank(condition.holds) ? most : condition.holds);
      if (holds !== "ok") after.set(reason, worse(holds, after.get(reason) ?? "ok"));
      return holds === condition.holds ? condition : { ...condition, holds };
    });
    this.#held = after;
    return held;
  }
}

/** The worst of several conditions of one subject; the first of equals decides. Readings are merged. */
export function worstOf(subject: string, conditions: readonly Condition[], latch?: Latch): Judged {
  const [first, ...others] = latch?.hold(conditions) ?? conditions;
  if (first === undefined) throw new Error(`${subject}: judged by no condition`);
  const decides = others.reduce(
    (top, next) =>
      rank(next.grade) > rank(top.grade) || (rank(next.grade) === rank(top.grade) && rank(next.holds) > rank(top.holds))
        ? next
        : top,
    first,
  );
  const holds = [first, ...others].reduce<Grade>((top, { holds: held }) => worse(top, held), "ok");
  return {
    ...decides,
    state: "judged",
    subject,
    holds,
    readings: Object.assign({}, ...conditions.map(({ readings }) => readings)),
  };
}

/** The same where some of the reasons need more looks: an alarm that one of them raised before a restart stays till then. */
export function worstYet(
  subject: string,
  conditions: readonly Condition[],
  unmeasured: readonly string[],
  latch: Latch,
): Judged {
  if (unmeasured.length === 0) return worstOf(subject, conditions, latch);
  const open = unmeasured.map((reason): Condition => ({ grade: "ok", holds: "critical", reason, readings: {} }));
  const { holds } = worstOf(subject, [...conditions, ...open], latch);
  return { ...worstOf(subject, conditions), holds };
}

/** A rule of config lists: what is watched has a name of its own, since that becomes the code of its alarms. */
export const namedOnce = z.refine<readonly { name: string }[]>(
  (all) => new Set(all.map(({ name }) => name)).size === all.length,
  "each needs a name of its own",
);
