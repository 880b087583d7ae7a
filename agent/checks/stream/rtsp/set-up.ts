import { openDatagramPair } from "../../../../platform/datagram-pair.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Session } from "../media.ts";
import { openRtpTrack, type RtpMedia, type RtpTrack } from "../rtp/track.ts";
import type { Lanes } from "./lanes.ts";
import { headerOf, type Reply } from "./message.ts";
import { controlUrl, type SdpMedia } from "./sdp.ts";
import { type Transport, transportOf } from "./transport.ts";

export type Carrier = "tcp" | "udp";

/** What the set-up of a session needs of the conversation it stands in. */
export interface SetUpOrder {
  /** SETUP of one track with this header `Transport`; resolves with any answer but 401 and 403. */
  ask: (uri: string, transport: string) => Promise<Reply>;
  /** Sends an interleaved packet. */
  send: (channel: number, packet: Uint8Array) => void;
  base: string;
  media: readonly SdpMedia[];
  /** What to try, in this order, until the server takes one. */
  carriers: readonly Carrier[];
  /** Addresses of this connection, for UDP. */
  local: string;
  peer: string;
  lanes: Lanes;
  session: Session;
}

/** A track that plays. */
export interface PlayedTrack {
  track: RtpTrack;
  /** Sends an RTCP packet to its sender. */
  control(packet: Uint8Array): void;
  close(): void;
}

/** The server takes no track by this carrier: 461, or how servers that do not know 461 say it. */
const REFUSALS = new Set([400, 406, 461, 501, 551]);

/** An RTP packet without payload (version 2, all else 0): it opens the way through a NAT and says nothing. */
const PUNCH = Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/**
 * Sets every track up and opens it, in their order. Without its sound a picture is played all the same. What was opened is
 * in `played` even where it rejects: with Failure STREAM_UNSUPPORTED (no carrier that both know), STREAM_STATUS, STREAM_PROTOCOL.
 */
export async function setUp(order: SetUpOrder, played: PlayedTrack[]): Promise<void> {
  let carriers = order.carriers;
  const hasPicture = order.media.some(({ kind }) => kind === "video");
  for (const media of order.media) {
    try {
      const carrier = await setUpOne(order, media, carriers, played);
      carriers = [carrier];
    } catch (cause) {
      const isRefused =
        cause instanceof Failure && (cause.code === "STREAM_STATUS" || cause.code === "STREAM_UNSUPPORTED");
      if (!isRefused || media.kind === "video" || !hasPicture) throw cause;
    }
  }
}

async function setUpOne(
  order: SetUpOrder,
  media: SdpMedia,
  carriers: readonly Carrier[],
  played: PlayedTrack[],
): Promise<Carrier> {
  let refusal: Reply | undefined;
  for (const carrier of carriers) {
    const refused = carrier === "tcp" ? await overTcp(order, media, played) : await overUdp(order, media, played);
    if (refused === undefined) return carrier;
    if (!REFUSALS.has(refused.status)) throw statusFailure("SETUP", refused);
    refusal = refused;
  }
  const { status = 0, phrase = "" } = refusal ?? {};
  const tried = carriers.map((one) => one.toUpperCase()).join(" and ");
  throw new Failure("STREAM_UNSUPPORTED", `the server refuses RTP over ${tried}: ${status} ${phrase}`, {
    facts: { status, step: "set-up" },
  });
}

/** Undefined when it is set up, else the server's refusal. */
async function overTcp(order: SetUpOrder, media: SdpMedia, played: PlayedTrack[]): Promise<Reply | undefined> {
  const channel = 2 * played.length;
  const reply = await order.ask(
    controlUrl(order.base, media.control),
    `RTP/AVP/TCP;unicast;interleaved=${channel}-${channel + 1}`,
  );
  if (reply.status >= 300) return reply;
  const { tcp, interleaved = [channel, channel + 1] } = answered(reply);
  if (!tcp) throw new Failure("STREAM_PROTOCOL", "the server set up another transport than it was asked for");
  const [rtp, rtcp] = interleaved;
  const gathered = (order.session.gatherMs ?? 0) > 0;
  const track = opened(order, { ...media, gathered }, played, rtp, rtcp);
  played.push({ track, control: (packet) => order.send(rtcp, packet), close: () => {} });
  return undefined;
}

async function overUdp(order: SetUpOrder, media: SdpMedia, played: PlayedTrack[]): Promise<Reply | undefined> {
  const { lanes, session, local, peer } = order;
  const channel = 2 * played.length;
  const pair = await openDatagramPair(local, peer, (on, bytes) =>
    lanes.hear(channel + on, bytes, 0, bytes.length, session.clock.now()),
  );
  try {
    const { port } = pair;
    const wish = `RTP/AVP;unicast;client_port=${port}-${port + 1}`;
    const reply = await order.ask(controlUrl(order.base, media.control), wish);
    if (reply.status >= 300) {
      pair.close();
      return reply;
    }
    const [rtp, rtcp] = answered(reply).serverPort ?? [0, 0];
    const track = opened(order, media, played, channel, channel + 1);
    played.push({ track, control: (packet) => pair.send(1, rtcp, packet), close: () => pair.close() });
    pair.send(0, rtp, PUNCH);
    return undefined;
  } catch (cause) {
    pair.close();
    throw cause;
  }
}

function answered(reply: Reply): Transport | { tcp: true; interleaved?: never; serverPort?: never } {
  const header = headerOf(reply, "transport");
  if (header === undefined) return { tcp: true }; // some say nothing and mean what they were asked for
  const transport = transportOf(header);
  if (!transport.multicast) return transport;
  throw new Failure("STREAM_UNSUPPORTED", "the server plays to a multicast group only", { facts: { step: "set-up" } });
}

function opened(order: SetUpOrder, media: RtpMedia, played: readonly unknown[], rtp: number, rtcp: number): RtpTrack {
  const { lanes, session } = order;
  if (!lanes.isFree(rtp, rtcp))
    throw new Failure("STREAM_PROTOCOL", `the server gives channel ${rtp} or ${rtcp} to two at once`);
  const track = openRtpTrack(played.length, media, session);
  lanes.add(rtp, rtcp, track, media.kind === "video");
  return track;
}

/** The failure for an answer that refuses. */
export function statusFailure(method: string, { status, phrase }: Reply): Failure {
  const whither = status >= 300 && status < 400 ? "; a redirect is not followed" : "";
  return new Failure("STREAM_STATUS", `${method} was refused: ${status} ${phrase}${whither}`, {
    facts: { status, method },
  });
}
