import type { MediaSink, Track } from "../media.ts";
import { OddWords } from "../odd.ts";
import { trackOf } from "./codecs.ts";
import { PacketFinder, TS_PACKET_BYTES } from "./packets.ts";
import { PesTrack } from "./pes.ts";
import { Pid } from "./pid.ts";
import { ProgramClock } from "./program-clock.ts";
import { type Pmt, readPat, readPmt, Sections } from "./psi.ts";

/** What comes out of an MPEG transport stream (ISO/IEC 13818-1)? Packets of 188 bytes, whatever carries them. */

/** After so many bytes without a packet it is no transport stream of 188 bytes a packet. */
const FOREIGN_BYTES = 128 * 1024;
const MOST_TRACKS = 8;
const PAT_PID = 0;
const NULL_PID = 0x1fff;
const COUNTS_EVERY_MS = 1000;
const TICKS_PER_MS = 90;

export interface TsOptions {
  /** Tells `packets` about once a second, by the continuity counters; not where the transport beneath counts better (RTP). */
  tellsLoss?: boolean;
}

/** What was found wrong with the packets since the beginning. */
export interface TsCounts {
  packets: number;
  /** Breaks of a continuity counter that no discontinuity_indicator announced (§2.4.3.3). */
  continuity: number;
  duplicates: number;
  /** transport_error_indicator: damaged on the way. */
  damaged: number;
  /** Times the sync byte was not where it belongs. */
  syncs: number;
}

/**
 * Reads a transport stream that comes in chunks cut anywhere. It follows the first program; its elementary streams are the
 * tracks, numbered as the program map orders them, and a changed map keeps the number of the n-th of each kind. Stamps
 * are PTS, 90 kHz, made continuous over their wrap and over announced new time bases.
 * Not read: packets of 192 or 204 bytes (`foreign` becomes true), other programs than the first, scrambled payloads.
 */
export class TsReader {
  readonly counts: TsCounts = { packets: 0, continuity: 0, duplicates: 0, damaged: 0, syncs: 0 };
  readonly #sink: MediaSink;
  readonly #options: TsOptions;
  readonly #odd: OddWords;
  readonly #clock = new ProgramClock();
  /** For each PID the place of what we know of it in `#pids`; 0: nothing. */
  readonly #places = new Uint8Array(0x2000);
  readonly #pids: Pid[] = [];
  readonly #tracks: { track: Track; pes: PesTrack; pid: Pid }[] = [];
  readonly #packets: PacketFinder;
  #at = 0;
  #frameAt = 0;
  #countsAt = Number.NaN;
  #program = -1;
  #pmtPid = NULL_PID;
  #mapped = false;
  #pcrPid = NULL_PID;
  #pcr = Number.NaN;

  constructor(sink: MediaSink, options: TsOptions = {}) {
    this.#sink = sink;
    this.#options = options;
    this.#odd = new OddWords(0, sink);
    this.#packets = new PacketFinder({
      packet: (bytes, start) => this.#packet(bytes, start),
      syncLost: () => {
        this.counts.syncs += 1;
        this.#odd.say("sync lost", this.#at);
      },
    });
    this.#follow(PAT_PID).sections = new Sections();
  }

  /** Its program map has come, and names nothing that we know. */
  get isUnreadable(): boolean {
    return this.#mapped && !this.#tracks.some(({ track }) => track.kind !== "other");
  }

  /** What comes is no transport stream. */
  get foreign(): boolean {
    return this.#packets.unsynced > FOREIGN_BYTES;
  }

  /** The next bytes, which came at `at`. They may be written over afterwards. */
  push(chunk: Buffer, at: number): void {
    this.#at = at;
    this.#packets.push(chunk);
    this.#settle();
  }

  /** What was begun is whole (the end of a file): frames that waited for their successor are told. */
  flush(at: number): void {
    for (const { pes } of this.#tracks) pes.flush(at);
    this.#settle();
    this.#packets.reset();
  }

  /** Another file follows: its counters and its tables begin anew. With `gapMs` its stamps do, too, so long after the last. */
  restart(gapMs?: number): void {
    for (const pid of this.#pids) pid.forget();
    this.#pcr = Number.NaN;
    this.#packets.reset();
    if (gapMs !== undefined) this.#clock.restart(gapMs * TICKS_PER_MS);
  }

  #packet(bytes: Buffer, start: number): void {
    const second = bytes[start + 1] ?? 0;
    const place = this.#places[((second & 0x1f) << 8) | (bytes[start + 2] ?? 0)] ?? 0;
    this.counts.packets += 1;
    const pid = this.#pids[place - 1];
    if (pid === undefined) return;
    const { pes } = pid;
    if (pes !== undefined) pes.untold += TS_PACKET_BYTES;
    if (second >= 0x80) {
      this.counts.damaged += 1;
      this.#odd.say("transport error", this.#at);
      return;
    }
    const fourth = bytes[start + 3] ?? 0;
    const to = start + TS_PACKET_BYTES;
    let from = start + 4;
    let announced = false;
    if ((fourth & 0x20) !== 0) {
      from += 1 + (bytes[start + 4] ?? 0);
      if (from > start + 5) announced = this.#adaptation(bytes, start, place);
    }
    if ((fourth & 0x10) === 0) return;
    const lost = pid.next(fourth & 0x0f, bytes, start, announced);
    if (lost !== 0 && !this.#broken(pid, lost)) return;
    if (from >= to) {
      if (from > to) this.#odd.say("adaptation field", this.#at);
      return;
    }
    if ((fourth & 0xc0) !== 0) this.#odd.say("scrambled", this.#at);
    else if (pes !== undefined) pes.payload(bytes, from, to, (second & 0x40) !== 0, this.#pcr, this.#at);
    else if (pid.sections !== undefined) this.#section(pid, bytes, from, to, (second & 0x40) !== 0);
  }

  /** False: the packet is one we had. */
  #broken(pid: Pid, lost: number): boolean {
    if (lost < 0) {
      this.counts.duplicates += 1;
      return false;
    }
    this.counts.continuity += 1;
    this.#odd.say("continuity", this.#at);
    pid.pes?.gap();
    pid.sections?.gap();
    return true;
  }

  /** Reads the adaptation field (§2.4.3.5); returns its discontinuity_indicator. */
  #adaptation(bytes: Buffer, start: number, place: number): boolean {
    const flags = bytes[start + 5] ?? 0;
    const announced = (flags & 0x80) !== 0;
    const pid = this.#pids[place - 1];
    if (pid?.pes !== undefined) pid.pes.entry = (flags & 0x40) !== 0;
    if (place !== this.#places[this.#pcrPid] || (flags & 0x10) === 0 || (bytes[start + 4] ?? 0) < 7) return announced;
    // program_clock_reference_base: the upper 33 of its bits count 90 kHz
    this.#pcr = bytes.readUInt32BE(start + 6) * 2 + ((bytes[start + 10] ?? 0) >> 7);
    if (announced) this.#clock.restart((this.#at - this.#frameAt) * TICKS_PER_MS);
    return announced;
  }

  #section(pid: Pid, bytes: Buffer, from: number, to: number, starts: boolean): void {
    const section = pid.sections?.take(bytes, from, to, starts);
    if (section === undefined) return;
    if (section === "broken") {
      this.#odd.say("table", this.#at);
      return;
    }
    if (pid === this.#pids[0]) this.#takePat(section);
    else this.#takePmt(section);
    pid.sections?.accept(section);
  }

  #takePat(section: Buffer): void {
    const pat = readPat(section);
    if (pat === undefined) return;
    if (pat.programs > 1) this.#odd.say("more than one program", this.#at);
    if (pat.pmtPid === this.#pmtPid && pat.program === this.#program) return;
    if (pat.pmtPid === PAT_PID || pat.pmtPid === NULL_PID) {
      this.#odd.say("table", this.#at);
      return;
    }
    if (this.#pmtPid !== NULL_PID) this.#places[this.#pmtPid] = 0;
    this.#program = pat.program;
    this.#pmtPid = pat.pmtPid;
    const pid = this.#follow(pat.pmtPid);
    pid.pes = undefined;
    pid.sections = new Sections();
  }

  #takePmt(section: Buffer): void {
    const pmt = readPmt(section, this.#program);
    if (pmt === undefined) return;
    this.#mapped = true;
    this.#mapTracks(pmt);
    if (pmt.pcrPid !== NULL_PID) this.#follow(pmt.pcrPid);
    if (pmt.pcrPid !== this.#pcrPid) this.#pcr = Number.NaN;
    this.#pcrPid = pmt.pcrPid;
  }

  /** The n-th stream of a kind stays the track it was, whatever PID it has now. */
  #mapTracks({ streams }: Pmt): void {
    const free = this.#tracks.slice();
    for (const { pid } of this.#tracks) pid.pes = undefined;
    for (let pid = 1; pid < NULL_PID; pid += 1) if (pid !== this.#pmtPid) this.#places[pid] = 0;
    const taken = new Set([PAT_PID, this.#pmtPid, NULL_PID]);
    for (const stream of streams) {
      if (taken.has(stream.pid)) {
        this.#odd.say("table", this.#at);
        continue;
      }
      taken.add(stream.pid);
      const track = trackOf(stream);
      const same = free.find((one) => one.track.kind === track.kind);
      if (same !== undefined) free.splice(free.indexOf(same), 1);
      else if (this.#tracks.length >= MOST_TRACKS) {
        this.#odd.say("too many tracks", this.#at);
        continue;
      }
      this.#follow(stream.pid).pes = this.#trackFor(track, same, this.#follow(stream.pid));
    }
  }

  #trackFor(track: Track, same: { track: Track; pes: PesTrack; pid: Pid } | undefined, pid: Pid): PesTrack {
    if (same !== undefined && same.track.codec === track.codec) {
      same.pid = pid;
      return same.pes;
    }
    same?.pes.flush(this.#at);
    const id = same?.pes.id ?? this.#tracks.length;
    const pes = new PesTrack(id, track, this.#sink, this.#clock);
    this.#tracks[id] = { track, pes, pid };
    this.#sink.track(id, track);
    return pes;
  }

  /** What we know of a PID; something from now on. */
  #follow(pid: number): Pid {
    const known = this.#pids[(this.#places[pid] ?? 0) - 1];
    if (known !== undefined) return known;
    const used = new Set(this.#places);
    let place = 1;
    while (used.has(place)) place += 1;
    const fresh = new Pid();
    this.#pids[place - 1] = fresh;
    this.#places[pid] = place;
    return fresh;
  }

  /** The end of a chunk: what was gathered is passed on, bytes and losses are told. */
  #settle(): void {
    const at = this.#at;
    for (const { pes } of this.#tracks) {
      pes.settle();
      if (pes.untold > 0) this.#sink.bytes(pes.id, pes.untold, at);
      pes.untold = 0;
    }
    this.#frameAt = at;
    if (this.#options.tellsLoss !== true || at - this.#countsAt < COUNTS_EVERY_MS) return;
    this.#countsAt = at;
    for (const { pes, pid } of this.#tracks)
      this.#sink.packets(pes.id, {
        received: pid.received,
        lost: pid.lost,
        duplicates: pid.duplicates,
        reordered: 0,
      });
  }
}
