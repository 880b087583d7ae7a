import type { Clock } from "../../../platform/clock.ts";
import type { Folder } from "../../../platform/files.ts";
import { fingerprint } from "../../../protocol/topics.ts";
import type { Target } from "./config.ts";
import { Learner } from "./learn.ts";
import { type LearntOsd, readLearntOsd } from "./picture/osd.ts";

const FILE = "streams.json";
const MOST_BYTES = 262_144;
/** The flash has a budget; a power cut costs an hour of learning at most. */
const WRITE_MS = 3_600_000;
/** What a first quarter of an hour has taught is worth a write by itself. */
const FIRST_MS = 900_000;

/** What is usual for each stream, in one file of all. */
export class LearnStore {
  readonly #folder: Folder | undefined;
  readonly #clock: Clock;
  readonly #texts: ReadonlyMap<string, string>;
  readonly #learners = new Map<string, Learner>();
  readonly #osds = new Map<string, () => LearntOsd | undefined>();
  #wroteAt: number;

  private constructor(folder: Folder | undefined, clock: Clock, texts: ReadonlyMap<string, string>) {
    this.#folder = folder;
    this.#clock = clock;
    this.#texts = texts;
    this.#wroteAt = clock.now() + FIRST_MS - WRITE_MS;
  }
  /** `folder` absent: nothing is known and nothing kept. A file that is not ours is as none. */
  static async open(folder: Folder | undefined, clock: Clock): Promise<LearnStore> {
    const bytes = await folder?.read(FILE, MOST_BYTES).catch(() => undefined); // the disk check tells what is wrong
    return new LearnStore(folder, clock, textsOf(bytes?.toString("utf8")));
  }

  learner(name: string): Learner {
    const learner = this.#learners.get(name) ?? new Learner(this.#texts.get(name));
    this.#learners.set(name, learner);
    return learner;
  }

  /** Where the burnt-in clock of this stream was found before a restart; `now` is asked when it is kept. */
  osd(name: string, now: () => LearntOsd | undefined): LearntOsd | undefined {
    this.#osds.set(name, now);
    return readLearntOsd(this.#texts.get(osdKey(name)));
  }

  /** Writes when something is worth it, once an hour at most. */
  async keep(): Promise<void> {
    const now = this.#clock.now();
    const due = [...this.#learners.values()].some((learner) => learner.due(now));
    if (this.#folder === undefined || !due || now - this.#wroteAt < WRITE_MS) return;
    this.#wroteAt = now;
    const osds = [...this.#osds].flatMap(([name, learnt]) => {
      const osd = learnt();
      return osd === undefined ? [] : [[osdKey(name), JSON.stringify(osd)]];
    });
    const rates = [...this.#learners].map(([name, learner]) => [name, learner.save(now)]);
    const all: Record<string, string> = Object.fromEntries([...rates, ...osds]);
    await this.#folder.replace(FILE, Buffer.from(JSON.stringify(all))).catch(() => {}); // tried again in an hour
  }
}

/**
 * Under what a stream's usual is kept: its name and its address. Another stream under the same name has another rate, and its
 * burnt-in clock stands elsewhere: what was learnt of the old one would be held against it. The address itself may carry
 * a token, so it is not written down.
 */
export function learntAs(target: Target): string {
  const at = "url" in target ? target.url : "media" in target ? target.media : "listen" in target && target.listen;
  return `${target.name}@${fingerprint(JSON.stringify([target.type, at, "statsFile" in target && target.statsFile]))}`;
}

/** No name of a stream has a blank in it. */
const osdKey = (name: string): string => `${name} osd`;

function textsOf(text: string | undefined): ReadonlyMap<string, string> {
  try {
    const all: unknown = JSON.parse(text ?? "{}");
    if (typeof all !== "object" || all === null) return new Map();
    return new Map(
      Object.entries(all).flatMap(([name, one]): [string, string][] => (typeof one === "string" ? [[name, one]] : [])),
    );
  } catch {
    return new Map(); // torn or not ours: it is learnt anew
  }
}
