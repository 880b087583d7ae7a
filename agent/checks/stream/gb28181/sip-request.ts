import { isIP } from "node:net";

/** What is sent: a device's heartbeat (GB/T 28181 §9.6, A.2.5), or a question that changes nothing (RFC 3261 §11). */
export type SipMethod = "keepalive" | "options";

export interface SipRequest {
  method: SipMethod;
  transport: "udp" | "tcp";
  /** Our own end of the connection. */
  local: { address: string; port: number };
  deviceId: string;
  platformId: string;
  domain: string;
  callId: string;
  tag: string;
  branch: string;
  cseq: number;
  /** Serial number of the command within the body. */
  sn: number;
  /** A whole header line that answers a challenge. */
  authorization?: string;
}

/** The name of the request as SIP has it. */
export const sipVerb = (method: SipMethod): "MESSAGE" | "OPTIONS" => (method === "keepalive" ? "MESSAGE" : "OPTIONS");

/** Whom the request addresses. */
export const sipUri = ({ platformId, domain }: Pick<SipRequest, "platformId" | "domain">): string =>
  `sip:${platformId}@${domain}`;

/** The request as it goes onto the wire; all of it is ASCII, so that it is GB 18030 and GB 2312 as it stands. */
export function sipRequest(request: SipRequest): string {
  const { method, transport, local, deviceId, domain, callId, tag, branch, cseq, authorization } = request;
  const verb = sipVerb(method);
  const body = method === "keepalive" ? keepalive(request) : "";
  const here = isIP(local.address) === 6 ? `[${local.address}]` : local.address;
  return [
    `${verb} ${sipUri(request)} SIP/2.0`,
    `Via: SIP/2.0/${transport.toUpperCase()} ${here}:${local.port};rport;branch=${branch}`,
    "Max-Forwards: 70",
    `From: <sip:${deviceId}@${domain}>;tag=${tag}`,
    `To: <${sipUri(request)}>`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} ${verb}`,
    ...(authorization === undefined ? [] : [authorization]),
    ...(body === "" ? ["Accept: application/sdp"] : ["Content-Type: Application/MANSCDP+xml"]),
    `Content-Length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
}

/** The 2011 and 2016 editions say GB2312, that of 2022 GB18030, which reads the former as it stands. */
const keepalive = ({ sn, deviceId }: SipRequest): string =>
  [
    '<?xml version="1.0" encoding="GB2312"?>',
    "<Notify>",
    "<CmdType>Keepalive</CmdType>",
    `<SN>${sn}</SN>`,
    `<DeviceID>${deviceId}</DeviceID>`,
    "<Status>OK</Status>",
    "</Notify>",
    "",
  ].join("\r\n");
