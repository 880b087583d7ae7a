import type { MediaPlaylist, Segment } from "./playlist.ts";

/** Of what is new at once, so many target durations are taken; a look at the stream is wanted, not all that lay waiting. */
const MOST_TARGETS = 3;

/** What a playlist brought. */
export interface News {
  /** Never told before, oldest first. */
  fresh: readonly Segment[];
  /** Media left out before them, ms: they expired before we came, or are too many. */
  skippedMs: number;
  /** The numbers began anew: the encoder, or the packager, was restarted. */
  restarted: boolean;
}
const NOTHING: News = { fresh: [], skippedMs: 0, restarted: false };

/**
 * The live edge of a playlist: which segments are news, and since when there were none. What stood in the first playlist
 * may be hours old and proves nothing, and neither does an older playlist out of a cache that answers between.
 */
export class LiveEdge {
  /** Of the newest segment seen. */
  #newest: number;
  /** Newest number of a playlist that stands behind ours: of a cache, or of an encoder that begins anew. */
  #behind = -1;
  #wasBehind = false;
  /** Monotonic ms at which it last advanced; at first, of the first playlist. */
  advancedAt: number;

  constructor(first: MediaPlaylist, now: number) {
    this.#newest = first.newest;
    this.advancedAt = now;
  }

  get newest(): number {
    return this.#newest;
  }

  /** Takes the next playlist; `now`: monotonic ms. */
  take(playlist: MediaPlaylist, now: number): News {
    const { newest } = playlist;
    if (newest < this.#newest && playlist.segments.length > 0) return this.#takeOlder(playlist, now);
    this.#wasBehind = false;
    if (newest <= this.#newest) return NOTHING;
    return this.#advance(playlist, this.#newest, false, now);
  }

  /**
   * A playlist further back than its own length is of a new beginning, once it has advanced there: its first sight
   * buys it time, though only once, and no other playlist may come between.
   */
  #takeOlder(playlist: MediaPlaylist, now: number): News {
    const before = this.#behind;
    const wasBehind = this.#wasBehind;
    this.#wasBehind = this.#newest - playlist.newest > playlist.segments.length;
    if (!this.#wasBehind) return NOTHING;
    this.#behind = playlist.newest;
    if (wasBehind && playlist.newest > before) return this.#advance(playlist, before, true, now);
    if (!wasBehind && playlist.newest !== before) this.advancedAt = now;
    return NOTHING;
  }

  #advance(playlist: MediaPlaylist, told: number, restarted: boolean, now: number): News {
    const news = playlist.segments.filter(({ sequence }) => sequence > told);
    const fresh = newestOf(news, MOST_TARGETS * playlist.targetMs);
    const expired = playlist.newest - told - news.length;
    const mean = news.reduce((sum, { durationMs }) => sum + durationMs, 0) / Math.max(1, news.length);
    const left = news.slice(0, news.length - fresh.length).reduce((sum, { durationMs }) => sum + durationMs, 0);
    this.#newest = playlist.newest;
    this.#behind = -1;
    this.#wasBehind = false;
    this.advancedAt = now;
    return { fresh, skippedMs: Math.max(0, expired) * mean + left, restarted };
  }
}

/** The newest segments that last no longer than `mostMs` together; at least one. */
function newestOf(news: readonly Segment[], mostMs: number): readonly Segment[] {
  let from = news.length;
  for (let ms = 0; from > 0; from -= 1) {
    ms += news[from - 1]?.durationMs ?? 0;
    if (ms > mostMs && from < news.length) break;
  }
  return news.slice(from);
}
