import { randomBytes, randomInt } from "node:crypto";
import { type Dial, type Line, onLine, type Place, placeName } from "../../../../platform/dial.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Credentials } from "../media.ts";
import { authorization, strongestOf } from "../rtsp/auth.ts";
import { type SipMethod, type SipRequest, sipRequest, sipUri, sipVerb } from "./sip-request.ts";
import type { SipResponse } from "./sip-response.ts";
import { type SipWire, tcpWire, udpWire } from "./sip-wire.ts";

/** Does the SIP side of a GB/T 28181 platform live? Says nothing of the media: the two are judged apart. */

export interface SipPlatform extends Place {
  transport: "udp" | "tcp";
  /**
   * `options` (the harmless one): any final answer, a refusal too, proves that the platform's SIP stack lives; it changes no
   * device's state. `keepalive`: the heartbeat of a device, which only a platform that knows `deviceId` as registered takes;
   * never with the id of the encoder itself, whose state it would keep "online" after its death.
   */
  method: SipMethod;
  /** 20 digits. */
  deviceId: string;
  platformId: string;
  domain: string;
  /** Where platforms know a device by its port (UDP only); a free one when not given. */
  localPort?: number;
  /** Asked only when the platform challenges a keepalive. */
  credentials?: () => Promise<Credentials>;
}

export interface SipRoundTrip {
  /** From the request that was answered, its first copy, to its final answer. */
  ms: number;
  status: number;
  /** Copies that had to be sent again. */
  retransmitted: number;
}

/** RFC 3261 §17.1.2.2: timer E begins at T1 and doubles up to T2; once a provisional answer came it is T2. */
const T1_MS = 500;
const T2_MS = 4_000;

/**
 * Sends one request to the platform and waits for its final answer until the deadline; over UDP again and again as the
 * RFC has it. A challenge (401, 407) is answered once. Rejects with Failure DIAL_* (no connection; DIAL_REFUSED over UDP where
 * nothing listens), STREAM_TIMEOUT (no final answer; facts.step), STREAM_AUTH (401, 403, 407; facts.status), STREAM_STATUS
 * (refused otherwise; facts.status) or STREAM_PROTOCOL (what came is no SIP).
 */
export async function keepaliveRoundTrip(platform: SipPlatform, dial: Dial): Promise<SipRoundTrip> {
  const place = placeName(platform);
  let wire: SipWire | undefined;
  try {
    return await onLine(place, dial, async (line) => {
      wire =
        platform.transport === "udp"
          ? await udpWire(platform, line, platform.localPort)
          : await tcpWire(platform, line);
      return await pinged(platform, wire, line);
    });
  } catch (cause) {
    if (wire === undefined || !(cause instanceof Failure) || cause.code !== "DIAL_TIMEOUT") throw cause;
    if (wire.strange !== undefined) throw wire.strange;
    throw new Failure(
      "STREAM_TIMEOUT",
      `${place} does not answer ${sipVerb(platform.method)} in ${dial.deadlineMs} ms`,
      {
        facts: { place, step: platform.method, deadlineMs: dial.deadlineMs },
      },
    );
  }
}

async function pinged(platform: SipPlatform, wire: SipWire, line: Line): Promise<SipRoundTrip> {
  const { method } = platform;
  const request: SipRequest = {
    ...platform,
    local: wire.local,
    callId: randomBytes(16).toString("hex"),
    tag: randomBytes(8).toString("hex"),
    branch: newBranch(),
    cseq: randomInt(1, 1_000_000),
    sn: randomInt(1, 2_147_483_647),
  };
  line.phase = "was asked";
  const first = await ask(wire, request, line);
  if (method === "options") return first.trip;
  if (first.answer.status !== 401 && first.answer.status !== 407) return accepted(platform, first);
  const authorization = await answerTo(platform, first.answer);
  const again = { ...request, branch: newBranch(), cseq: request.cseq + 1, authorization };
  return accepted(platform, await ask(wire, again, line));
}

/** What RFC 3261 branches begin with, and as much chance as a Call-ID has. */
const newBranch = (): string => `z9hG4bK${randomBytes(12).toString("hex")}`;

interface Answered {
  answer: SipResponse;
  trip: SipRoundTrip;
}

/** One non-INVITE client transaction. */
async function ask(wire: SipWire, request: SipRequest, { clock, signal }: Line): Promise<Answered> {
  const message = sipRequest(request);
  const sentAt = clock.now();
  const answered = Promise.withResolvers<SipResponse>();
  let retransmitted = 0;
  let everyMs = T1_MS;
  wire.hear((response) => {
    if (!answers(response, request)) return;
    if (response.status >= 200) answered.resolve(response);
    else everyMs = T2_MS;
  });
  let callOff = (): void => {};
  const again = (): void => {
    callOff = clock.after(everyMs, () => {
      if (signal.aborted) return;
      retransmitted += 1;
      wire.send(message);
      everyMs = Math.min(T2_MS, everyMs * 2);
      again();
    });
  };
  wire.send(message);
  if (!wire.reliable) again();
  // the line may end while nothing comes: then nobody is left to call the next copy off
  signal.addEventListener("abort", () => callOff(), { once: true });
  try {
    const answer = await Promise.race([answered.promise, wire.broken]);
    return { answer, trip: { ms: clock.now() - sentAt, status: answer.status, retransmitted } };
  } finally {
    callOff();
  }
}

/** RFC 3261 §17.1.3, and the Call-ID: nobody who has not seen our request can make an answer to it. */
const answers = (response: SipResponse, { callId, cseq, method, branch }: SipRequest): boolean =>
  response.callId === callId &&
  response.cseq === cseq &&
  response.method === sipVerb(method) &&
  response.branch === branch;

/** The header line that answers a challenge. Only Digest: Basic would send the password as it is. */
async function answerTo(platform: SipPlatform, { status, reason, challenges }: SipResponse): Promise<string> {
  const proxy = status === 407;
  const challenge = strongestOf(challenges.filter((one) => one.proxy === proxy).map(({ value }) => value));
  if (platform.credentials === undefined || challenge?.scheme !== "digest") throw refused(platform, status, reason);
  const asked = {
    method: sipVerb(platform.method),
    uri: sipUri(platform),
    count: 1,
    cnonce: randomBytes(8).toString("hex"),
  };
  const value = authorization(challenge, await platform.credentials(), asked);
  return `${proxy ? "Proxy-Authorization" : "Authorization"}: ${value}`;
}

function accepted(platform: SipPlatform, { answer: { status, reason }, trip }: Answered): SipRoundTrip {
  if (status >= 200 && status < 300) return trip;
  throw refused(platform, status, reason);
}

function refused(platform: SipPlatform, status: number, reason: string): Failure {
  const place = placeName(platform);
  const denied = status === 401 || status === 403 || status === 407;
  return new Failure(
    denied ? "STREAM_AUTH" : "STREAM_STATUS",
    `${place} refuses the keepalive of ${platform.deviceId}: ${status} ${reason}`,
    { facts: { place, status, step: platform.method } },
  );
}
