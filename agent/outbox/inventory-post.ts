import type { Outgoing } from "../../platform/broker-link.ts";
import type { Folder } from "../../platform/files.ts";
import { INVENTORY_HASH_PATTERN, MAX_INVENTORY_BYTES } from "../../protocol/inventory-limits.ts";
import { topics } from "../../protocol/topics.ts";

export interface InventoryPostOptions {
  device: string;
  /** The state folder: the short-lived child leaves `inventory.json` there. */
  folder: Pick<Folder, "read" | "replace">;
  /** Has the child make the document anew: it is asked for, and there is none. */
  make(): Promise<void>;
}

const DOCUMENT = "inventory.json";
/** Hash of the document that a broker took last: over a restart of ours, so that a thin line is not filled again. */
const TOLD = "inventory.told";
/** However often we are asked, the document goes out once in so long. */
const ANSWER_EVERY_MS = 60_000;
const HEAD = /^\{"hash":"([0-9a-f]{64})"/;

/** When is the inventory document to be told? When it is another one than a broker has, or when it is asked for. Holds none of it. */
export class InventoryPost {
  readonly #options: InventoryPostOptions;
  /** Of the document in the state folder, as the child said. */
  #hash: string | undefined;
  #told: string | undefined;
  #asked = false;
  /** The broker did not take it: not over this connection. */
  #refused = false;
  #busy = false;
  #answeredAt = Number.NEGATIVE_INFINITY;

  constructor(options: InventoryPostOptions) {
    this.#options = options;
  }

  /** The child has been: `hash` names the document it left, undefined when it could leave none. */
  async found(hash: string | undefined): Promise<void> {
    this.#told ??= await this.#lastTold();
    if (hash !== this.#hash) this.#refused = false;
    this.#hash = hash;
  }

  /** Somebody lacks it. `now`: monotonic ms. */
  ask(now: number): void {
    if (this.#busy || now - this.#answeredAt < ANSWER_EVERY_MS) return;
    this.#asked = true;
    this.#refused = false;
  }

  /** A new connection: what was refused may be tried once more. */
  connected(): void {
    this.#refused = false;
  }

  get due(): boolean {
    if (this.#busy || this.#refused) return false;
    return this.#asked || (this.#hash !== undefined && this.#hash !== this.#told);
  }

  /** Hands the document to `publish`, and remembers that it was taken. Throws what `publish` throws, or the system's error. */
  async send(publish: (message: Outgoing) => Promise<void>, now: () => number): Promise<void> {
    this.#busy = true;
    this.#answeredAt = now();
    try {
      const payload = (await this.#document()) ?? (this.#asked ? await this.#made() : undefined);
      this.#asked = false;
      const hash = HEAD.exec(payload?.slice(0, 80) ?? "")?.[1];
      if (payload === undefined || hash === undefined) {
        this.#refused = true; // nothing there to tell, or not what our child writes: its next run puts it right
        return;
      }
      await publish({ topic: topics.inventory(this.#options.device), payload, qos: 1, retain: true });
      this.#answeredAt = now();
      this.#hash = hash; // the file says it: the child may have left a newer one, and not have told us yet
      if (hash === this.#told) return;
      this.#told = hash;
      await this.#options.folder.replace(TOLD, Buffer.from(hash));
    } catch (cause) {
      this.#refused = true;
      throw cause;
    } finally {
      this.#busy = false;
    }
  }

  async #made(): Promise<string | undefined> {
    await this.#options.make();
    return this.#document();
  }

  async #document(): Promise<string | undefined> {
    const bytes = await this.#options.folder.read(DOCUMENT, MAX_INVENTORY_BYTES + 1);
    return bytes === undefined || bytes.length > MAX_INVENTORY_BYTES ? undefined : bytes.toString("utf8");
  }

  async #lastTold(): Promise<string | undefined> {
    const text = (await this.#options.folder.read(TOLD, 64).catch(() => undefined))?.toString("latin1");
    return INVENTORY_HASH_PATTERN.test(text ?? "") ? text : undefined;
  }
}
