import { reasonOf } from "../../../../platform/dial.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { RtpTrack } from "../rtp/track.ts";

/** One track of a session, and the numbers under which its packets come. */
interface Lane {
  track: RtpTrack;
  isVideo: boolean;
  /** Its sender has said goodbye. */
  isOver: boolean;
}

const CHANNELS = 256;

/** Leads each packet to its track: by the channel on the connection, or by a number of our own for each UDP port. */
export class Lanes {
  readonly #rtp: (Lane | undefined)[] = new Array<undefined>(CHANNELS).fill(undefined);
  readonly #rtcp: (Lane | undefined)[] = new Array<undefined>(CHANNELS).fill(undefined);
  readonly #all: Lane[] = [];
  readonly #ended = Promise.withResolvers<never>();
  #isOver = false;

  constructor() {
    this.#ended.promise.catch(() => {}); // it also ends when nobody looks
  }

  /** Rejects with Failure STREAM_ENDED when every sender, or one of a picture, has said goodbye (RTCP BYE). */
  get ended(): Promise<never> {
    return this.#ended.promise;
  }

  get tracks(): readonly RtpTrack[] {
    return this.#all.map(({ track }) => track);
  }

  /** Whether nobody has these two numbers yet. */
  isFree(rtp: number, rtcp: number): boolean {
    return [rtp, rtcp].every((one) => this.#rtp[one] === undefined && this.#rtcp[one] === undefined) && rtp !== rtcp;
  }

  add(rtp: number, rtcp: number, track: RtpTrack, isVideo: boolean): void {
    const lane: Lane = { track, isVideo, isOver: false };
    this.#all.push(lane);
    this.#rtp[rtp] = lane;
    this.#rtcp[rtcp] = lane;
  }

  /** Takes the packet that lies in `bytes` from `from` up to `to`; one that belongs to nobody is passed over. Never throws. */
  hear(channel: number, bytes: Buffer, from: number, to: number, at: number): void {
    if (this.#isOver) return;
    try {
      const lane = this.#rtp[channel];
      if (lane !== undefined) lane.track.rtp(bytes, at, from, to);
      else this.#control(this.#rtcp[channel], bytes.subarray(from, to), at);
    } catch (cause) {
      const why = `a packet could not be read: ${reasonOf(cause)}`;
      this.#end(cause instanceof Failure ? cause : new Failure("STREAM_PROTOCOL", why, { cause }));
    }
  }

  /** Hands on what the tracks still hold back; nothing is heard after it. */
  close(at: number): void {
    this.#isOver = true;
    for (const { track } of this.#all) track.flush(at);
  }

  #control(lane: Lane | undefined, packet: Buffer, at: number): void {
    if (lane === undefined || lane.track.rtcp(packet, at)) return;
    lane.isOver = true;
    if (lane.isVideo || this.#all.every(({ isOver }) => isOver))
      this.#end(new Failure("STREAM_ENDED", "the sender said goodbye (RTCP BYE)", { facts: { how: "bye" } }));
  }

  #end(failure: Failure): void {
    this.#isOver = true;
    this.#ended.reject(failure);
  }
}
