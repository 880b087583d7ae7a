import type { MediaSink } from "./media.ts";

/** A peer chooses what goes wrong, not how many words for it we keep. */
const MOST_WORDS = 32;
const EVERY_MS = 1000;

/** Says what is odd about one track's data, each word at most once a second, as `MediaSink.odd` wants it. */
export class OddWords {
  readonly #sink: MediaSink;
  readonly #id: number;
  readonly #saidAt = new Map<string, number>();

  constructor(id: number, sink: MediaSink) {
    this.#id = id;
    this.#sink = sink;
  }

  /** `at`: monotonic ms. The word is one of ours, never the peer's. */
  say(what: string, at: number): void {
    const said = this.#saidAt.get(what);
    if (said !== undefined ? at - said < EVERY_MS : this.#saidAt.size >= MOST_WORDS) return;
    this.#saidAt.set(what, at);
    this.#sink.odd(this.#id, what);
  }
}
