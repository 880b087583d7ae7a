import type { Clock } from "../../../platform/clock.ts";
import type { WriteOutcome } from "../../../platform/probe-file.ts";
import { within } from "../within.ts";

/** A volume whose writing is to be tried. */
export interface Wanted {
  point: string;
  /** Where the byte goes, a path for us. */
  folder: string;
  everyMs: number;
  /** Changes when the mount is another, or mounted otherwise: then what was found before counts no more. */
  mark: string;
}

/** What is known of writing to a volume. */
export type Written = WriteOutcome | { ended: "late"; forMs: number };

/** The write probes of all volumes. */
export interface WriteProbes {
  /** Starts what is due and waits for it up to `waitMs`; what takes longer goes on by itself. Undefined where nothing is due. */
  round(wanted: readonly Wanted[], waitMs: number, signal: AbortSignal): Promise<void> | undefined;
  /** Nothing is to be begun before, nor is at work: monotonic ms. */
  restUntil(): number;
  /** The last result; undefined before the first. */
  of(point: string): Written | undefined;
  close(): void;
}

/** A failing disk is tried again so soon, to see it well again. */
const RETRY_MS = 60_000;
/** A loaded SD card may take seconds for one byte; nothing well takes so long. */
const LATE_MS = 30_000;

interface Known {
  mark: string;
  dueAt: number;
  outcome?: WriteOutcome;
}

/** One probe at a time over all volumes and rounds: a disk that hangs costs one pool thread, not one each round. */
export function openProbes(probe: (folder: string) => Promise<WriteOutcome>, clock: Clock): WriteProbes {
  const known = new Map<string, Known>();
  let running: { point: string; since: number } | undefined;
  let work: Promise<void> | undefined;
  let closed = false;

  async function run(due: readonly Wanted[]): Promise<void> {
    for (const { point, folder, everyMs, mark } of due) {
      const before = known.get(point);
      if (closed || before?.mark !== mark) continue; // unmounted, or mounted anew, while the one before it hung
      running = { point, since: clock.now() };
      const outcome = await probe(folder);
      running = undefined;
      const soon = outcome.ended === "readonly" || outcome.ended === "io";
      if (known.get(point)?.mark === mark)
        known.set(point, { mark, outcome, dueAt: clock.now() + (soon ? Math.min(RETRY_MS, everyMs) : everyMs) });
    }
  }

  function keep(wanted: readonly Wanted[]): void {
    const points = new Set(wanted.map(({ point }) => point));
    for (const point of known.keys()) if (!points.has(point)) known.delete(point);
    for (const { point, mark } of wanted)
      if (known.get(point)?.mark !== mark) known.set(point, { mark, dueAt: clock.now() });
  }

  return {
    round(wanted, waitMs, signal) {
      keep(wanted);
      const due = wanted.filter(({ point }) => (known.get(point)?.dueAt ?? 0) <= clock.now());
      if (work !== undefined || due.length === 0) return undefined;
      work = run(due).finally(() => {
        work = undefined;
      });
      return within(work, waitMs, clock, signal).then(() => undefined);
    },
    restUntil: () => (work === undefined ? Math.min(...[...known.values()].map(({ dueAt }) => dueAt)) : 0),
    of(point) {
      const forMs = running?.point === point ? clock.now() - running.since : 0;
      return forMs >= LATE_MS && known.has(point) ? { ended: "late", forMs } : known.get(point)?.outcome;
    },
    close() {
      closed = true;
    },
  };
}
