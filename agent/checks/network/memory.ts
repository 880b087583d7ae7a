import * as z from "zod/mini";
import type { Clock } from "../../../platform/clock.ts";
import type { Folder } from "../../../platform/files.ts";

const Port = z.object({
  carrier: z.optional(z.boolean()),
  speedMbps: z.optional(z.number()),
  fullDuplex: z.optional(z.boolean()),
  /** IPv4 only: IPv6 makes itself new ones. */
  addresses: z.optional(z.array(z.string())),
});
const Learned = z.object({
  uplink: z.optional(z.string()),
  gateway: z.optional(z.object({ address: z.string(), methods: z.array(z.string()) })),
  ports: z._default(z.record(z.string(), Port), {}),
});
/** What is usual for this device. */
export type Learned = z.infer<typeof Learned>;
export type LearnedPort = z.infer<typeof Port>;

const FILE = "network.json";
const MOST_BYTES = 65_536;
const MOST_PORTS = 200;
/** What is learned waits so long for the flash. */
const SAVE_EVERY_MS = 600_000;

/** What a network check learns of its device, kept over restarts; a damaged file is a device that is met anew. */
export class NetworkMemory {
  readonly learned: Learned;
  readonly #folder: Folder | undefined;
  readonly #clock: Clock;
  #saved: string;
  #savedAt = Number.NEGATIVE_INFINITY;
  #saving = false;
  #touched = false;

  private constructor(learned: Learned, folder: Folder | undefined, clock: Clock) {
    this.learned = learned;
    this.#folder = folder;
    this.#clock = clock;
    this.#saved = JSON.stringify(learned);
  }

  /** Without a folder (a round by hand) nothing is known and nothing kept. */
  static async open(folder: Folder | undefined, clock: Clock): Promise<NetworkMemory> {
    return new NetworkMemory(await read(folder), folder, clock);
  }

  port(name: string): LearnedPort {
    const { ports } = this.learned;
    const known = Object.hasOwn(ports, name) ? ports[name] : undefined;
    if (known !== undefined) return known;
    const fresh: LearnedPort = {};
    // a device whose ports come under ever new names must not fill its flash
    if (Object.keys(ports).length < MOST_PORTS) ports[name] = fresh;
    return fresh;
  }

  /** Something was learned. */
  touch(): void {
    this.#touched = true;
  }

  /** Writes what was learned, at once or when the flash has had its rest. */
  save(): void {
    const folder = this.#folder;
    if (!this.#touched || this.#saving || folder === undefined) return;
    if (this.#clock.now() - this.#savedAt < SAVE_EVERY_MS) return;
    this.#touched = false;
    const text = JSON.stringify(this.learned);
    if (text === this.#saved) return;
    this.#savedAt = this.#clock.now();
    this.#saving = true;
    folder
      .replace(FILE, Buffer.from(text))
      .then(
        () => {
          this.#saved = text;
        },
        () => this.touch(), // the disk check tells of the disk; tried again later
      )
      .finally(() => {
        this.#saving = false;
      });
  }
}

async function read(folder: Folder | undefined): Promise<Learned> {
  try {
    const bytes = await folder?.read(FILE, MOST_BYTES);
    const parsed = Learned.safeParse(JSON.parse(bytes?.toString("utf8") ?? "{}"));
    return parsed.success ? parsed.data : { ports: {} };
  } catch {
    return { ports: {} };
  }
}
