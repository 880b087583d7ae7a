import { Failure } from "../../../../protocol/failure.ts";
import type { Session } from "../media.ts";
import { OddWords } from "../odd.ts";
import { TsReader } from "../ts/reader.ts";
import { LiveEdge } from "./edge.ts";
import { HttpHost, type HttpSource } from "./http.ts";
import { Pace } from "./pace.ts";
import { lightest, type MediaPlaylist, readPlaylist, type Segment } from "./playlist.ts";
import { unpacked } from "./unpack.ts";

const MOST_PLAYLIST_BYTES = 1 << 20;
const MOST_SEGMENT_BYTES = 64 << 20;
/** A playlist that promises segments seldom or all the time is looked at within these bounds, ms. */
const LEAST_TARGET_MS = 500;
const MOST_TARGET_MS = 30_000;
/** Without a new segment for so many target durations it stands. */
const STALE_TARGETS = 3;
/** A segment may take so many target durations to come. */
const SLOW_TARGETS = 3;
/** Between the last stamp and the first of a new time base. */
const FRAME_MS = 40;

/**
 * Plays HLS (RFC 8216) with segments of MPEG-TS; see `Play`. What stood in the first playlist may be hours old: of that
 * the newest segment is had once, for its tracks, format and picture, and only later ones bring frames. A playlist that does not
 * advance for three target durations is STREAM_ENDED with facts.how "stale" and facts.ageMs, whatever its HTTP status;
 * EXT-X-ENDLIST is STREAM_ENDED "endlist". Media that cannot be read (encrypted, fragmented MP4, on another host) are
 * STREAM_UNSUPPORTED once the playlist has advanced, "stale" where it does not.
 */
export async function playHls(source: HttpSource, session: Session): Promise<void> {
  const { signal } = session;
  if (signal.aborted) return;
  const host = new HttpHost(source, session);
  const pace = new Pace(session.sink, session.clock);
  try {
    await new HlsWatch(new URL(source.url), host, pace, session).run();
  } catch (cause) {
    if (!signal.aborted) throw cause;
  } finally {
    pace.stop();
    host.close();
  }
}

class HlsWatch {
  readonly #host: HttpHost;
  readonly #pace: Pace;
  readonly #session: Session;
  readonly #reader: TsReader;
  readonly #odd: OddWords;
  #url: URL;
  #targetMs = 0;
  #body: Buffer = Buffer.alloc(0);
  #playlist: MediaPlaylist | undefined;
  #hasRead = false;

  constructor(url: URL, host: HttpHost, pace: Pace, session: Session) {
    this.#url = url;
    this.#host = host;
    this.#pace = pace;
    this.#session = session;
    this.#reader = new TsReader(pace, { tellsLoss: true });
    this.#odd = new OddWords(0, session.sink);
  }

  /** Never resolves; rejects with what ends it. */
  async run(): Promise<never> {
    const { clock, sink, signal } = this.#session;
    const begun = clock.now();
    let playlist = await this.#first();
    sink.step("described", clock.now() - begun);
    const edge = new LiveEdge(playlist, clock.now());
    let unreadable = await this.#old(playlist);
    sink.step("playing", 0);
    let advanced = false;
    let askedAt = clock.now();
    for (;;) {
      if (playlist.ended) throw this.#over(edge);
      const waitMs = advanced ? this.#targetMs : this.#targetMs / 2;
      await clock.sleep(Math.max(0, askedAt + waitMs - clock.now()), signal);
      askedAt = clock.now();
      playlist = await this.#load();
      const news = edge.take(playlist, clock.now());
      advanced = news.fresh.length > 0;
      if (!advanced) this.#live(playlist, edge);
      if (advanced && unreadable !== undefined) throw unreadable;
      if (news.restarted) this.#odd.say("sequence began anew", askedAt);
      if (news.skippedMs > 0) this.#odd.say("segments left out", askedAt);
      let gapMs = news.restarted || news.skippedMs > 0 ? news.skippedMs + FRAME_MS : undefined;
      for (const segment of news.fresh) {
        unreadable = await this.#segment(segment, false, gapMs);
        if (unreadable !== undefined) throw unreadable;
        gapMs = undefined;
      }
    }
  }

  /** The media playlist, by way of a master playlist or not. */
  async #first(): Promise<MediaPlaylist> {
    const first = await this.#get();
    if (first.kind === "media") return this.#noted(first);
    const { uri } = lightest(first);
    this.#url = this.#resolved(uri, this.#url);
    const second = await this.#get();
    if (second.kind === "media") return this.#noted(second);
    throw new Failure("STREAM_PROTOCOL", "the variant of a master playlist is one itself", {
      facts: { place: this.#url.host },
    });
  }

  async #load(): Promise<MediaPlaylist> {
    const playlist = await this.#get();
    if (playlist.kind === "media") return this.#noted(playlist);
    throw new Failure("STREAM_PROTOCOL", "a media playlist has become a master playlist", {
      facts: { place: this.#url.host },
    });
  }

  #noted(playlist: MediaPlaylist): MediaPlaylist {
    this.#targetMs = Math.min(MOST_TARGET_MS, Math.max(LEAST_TARGET_MS, playlist.targetMs));
    this.#pace.every(this.#targetMs);
    return playlist;
  }

  async #get(): Promise<MediaPlaylist | ReturnType<typeof readPlaylist>> {
    const parts: Buffer[] = [];
    const head = await this.#host.get({
      url: this.#url,
      step: "playlist",
      withinMs: this.#session.answerMs,
      mostBytes: MOST_PLAYLIST_BYTES,
      data: (bytes) => parts.push(bytes),
    });
    // Relative addresses are those of where it came from in the end (§4.1).
    this.#url = head.url;
    const body = Buffer.concat(parts);
    if (this.#playlist !== undefined && body.equals(this.#body)) return this.#playlist;
    const playlist = readPlaylist(unpacked(body, head.encoding, MOST_PLAYLIST_BYTES).toString("utf8"));
    this.#body = body;
    this.#playlist = playlist.kind === "media" ? playlist : undefined;
    return playlist;
  }

  #over({ newest }: LiveEdge): Failure {
    const facts = { place: this.#url.host, how: "endlist", sequence: newest };
    return new Failure("STREAM_ENDED", `the playlist of ${facts.place} says that the stream has ended`, { facts });
  }

  /** Throws where there was nothing new for too long. */
  #live(playlist: MediaPlaylist, { newest: sequence, advancedAt }: LiveEdge): void {
    const place = this.#url.host;
    const ageMs = Math.round(this.#session.clock.now() - advancedAt);
    if (ageMs < STALE_TARGETS * this.#targetMs) return;
    const programTime = playlist.segments.at(-1)?.programTime;
    throw new Failure(
      "STREAM_ENDED",
      `the playlist of ${place} is stale: no segment after number ${sequence} for ${Math.round(ageMs / 100) / 10} s`,
      { facts: { place, how: "stale", ageMs, sequence, ...(programTime === undefined ? {} : { programTime }) } },
    );
  }

  /** The newest segment of the first playlist: for what it is made of, not for life. Returns why it cannot be read. */
  async #old({ segments }: MediaPlaylist): Promise<Failure | undefined> {
    const newest = segments.at(-1);
    return newest === undefined ? undefined : this.#segment(newest, true, undefined);
  }

  /** Has and reads one segment. Returns why it cannot be read, if so; rejects where it does not come. */
  async #segment(segment: Segment, isOld: boolean, gapMs: number | undefined): Promise<Failure | undefined> {
    const { clock } = this.#session;
    if (segment.gap) {
      this.#odd.say("segment announced missing", clock.now());
      return undefined;
    }
    const url = this.#resolved(segment.uri, this.#url);
    const unreadable = this.#unreadable(segment, url);
    if (unreadable !== undefined) return unreadable;
    const reader = this.#reader;
    reader.restart(gapMs ?? (segment.discontinuity && this.#hasRead ? FRAME_MS : undefined));
    let packed: string | undefined;
    try {
      await this.#host.get({
        url,
        step: "segment",
        withinMs: Math.max(this.#session.answerMs, SLOW_TARGETS * this.#targetMs),
        mostBytes: MOST_SEGMENT_BYTES,
        ...(segment.range === undefined ? {} : { range: segment.range }),
        head: ({ encoding }) => {
          packed = encoding === "identity" ? undefined : encoding;
        },
        data: (bytes) => {
          if (packed !== undefined) throw unsupported(`segments packed with ${packed.slice(0, 20)}`, url.host);
          reader.push(bytes, clock.now());
          if (reader.foreign) throw foreign(url.host);
        },
      });
    } catch (cause) {
      if (await this.#hasExpired(cause, segment)) return undefined;
      throw cause;
    } finally {
      reader.flush(clock.now());
      this.#pace.segment(segment.durationMs, isOld);
    }
    this.#hasRead = true;
    if (reader.counts.packets === 0) throw foreign(url.host);
    if (reader.isUnreadable) throw unsupported("no track of a codec we know", url.host);
    return undefined;
  }

  /** A segment that has left the playlist by now we have come too late for; one that still stands in it is missing. */
  async #hasExpired(cause: unknown, { sequence }: Segment): Promise<boolean> {
    if (!(cause instanceof Failure) || (cause.facts["status"] !== 404 && cause.facts["status"] !== 410)) return false;
    const { segments } = await this.#load();
    if (segments.some((one) => one.sequence === sequence)) return false;
    this.#odd.say("segments left out", this.#session.clock.now());
    return true;
  }

  #unreadable({ encrypted, map }: Segment, url: URL): Failure | undefined {
    if (!this.#host.allows(url))
      return unsupported(`segments on another host, ${url.protocol}//${url.host}`, this.#url.host);
    if (encrypted !== undefined) return unsupported(`encrypted segments (${encrypted})`, url.host);
    if (map !== undefined) return unsupported("segments of fragmented MP4", url.host);
    return undefined;
  }

  #resolved(uri: string, base: URL): URL {
    if (URL.canParse(uri, base.href)) return new URL(uri, base);
    throw new Failure("STREAM_PROTOCOL", "the playlist names an address that is none", {
      facts: { place: base.host },
    });
  }
}

const unsupported = (what: string, place: string): Failure =>
  new Failure("STREAM_UNSUPPORTED", `${place} has ${what}, which we do not read`, { facts: { place, what } });

const foreign = (place: string): Failure =>
  new Failure("STREAM_PROTOCOL", `what ${place} sends is no MPEG transport stream`, { facts: { place } });
