import type { Clock } from "../../../platform/clock.ts";
import type { Folder } from "../../../platform/files.ts";
import { slug } from "../../../protocol/topics.ts";
import type { Conclusion, Reason } from "./conclusion.ts";
import { pgm } from "./picture/evidence.ts";
import type { Thumbnail } from "./picture.ts";

/** The flash has a budget; the first pictures of a fault are the ones that matter. */
const WRITE_MS = 3_600_000;
const OF_THE_PICTURE: ReadonlySet<Reason> = new Set(["black", "frozen", "suspect"]);

/** Where the site allows it: two small grey pictures of a fault, on the device's own disk. They are never sent. */
export class Album {
  readonly #name: string;
  readonly #pictures: { evidence(): readonly Thumbnail[] };
  readonly #folder: Folder | undefined;
  readonly #clock: Clock;
  #wroteAt = Number.NEGATIVE_INFINITY;

  constructor(name: string, pictures: { evidence(): readonly Thumbnail[] }, folder: Folder | undefined, clock: Clock) {
    this.#name = slug(name);
    this.#pictures = pictures;
    this.#folder = folder;
    this.#clock = clock;
  }
  /** Told of each other conclusion. */
  heard({ reason }: Conclusion): void {
    const now = this.#clock.now();
    if (reason === undefined || !OF_THE_PICTURE.has(reason) || now - this.#wroteAt < WRITE_MS) return;
    this.#wroteAt = now;
    void this.#write();
  }

  async #write(): Promise<void> {
    for (const [i, one] of this.#pictures.evidence().entries())
      await this.#folder?.replace(`stream-${this.#name}-${i + 1}.pgm`, pgm(one)).catch(() => {}); // a full disk says so itself
  }
}
