import { Failure } from "../../../../protocol/failure.ts";
import { printable } from "./message.ts";

/** What a server answers to SETUP (RFC 2326 §12.39), as far as we go by it: never `source` or `destination`. */
export interface Transport {
  tcp: boolean;
  multicast: boolean;
  /** Channels of RTP and RTCP on the connection. */
  interleaved?: readonly [number, number];
  /** Where it sends RTP and RTCP from. */
  serverPort?: readonly [number, number];
}

/** Reads the header `Transport`; of several alternatives the first. Throws Failure STREAM_PROTOCOL. */
export function transportOf(header: string): Transport {
  const [profile = "", ...parameters] = (header.split(",", 1)[0] ?? "").split(";").map((part) => part.trim());
  if (!/^RTP\/AVPF?(?:\/(?:TCP|UDP))?$/i.test(profile)) {
    const says = printable(header, 60);
    throw new Failure("STREAM_PROTOCOL", `the server set up "${says}"`, { facts: { transport: says } });
  }
  const pair = (name: string, most: number): readonly [number, number] | undefined => {
    const value = parameters.find((one) => one.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
    const [, first, second] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(value) ?? [];
    const [rtp, rtcp] = [Number(first), Number(second ?? Number(first) + 1)];
    return first !== undefined && rtp <= most && rtcp <= most ? [rtp, rtcp] : undefined;
  };
  const [interleaved, serverPort] = [pair("interleaved", 255), pair("server_port", 65_535)];
  return {
    tcp: /\/TCP$/i.test(profile) || interleaved !== undefined,
    multicast: parameters.some((one) => one.toLowerCase() === "multicast"),
    ...(interleaved === undefined ? {} : { interleaved }),
    ...(serverPort === undefined ? {} : { serverPort }),
  };
}

export interface SessionHeader {
  id: string;
  timeoutMs: number;
}

const DEFAULT_TIMEOUT_S = 60;
const MOST_TIMEOUT_S = 3_600;

/** Reads the header `Session` (RFC 2326 §12.37): `12345678;timeout=60`. Undefined where there is no name in it. */
export function sessionOf(header: string): SessionHeader | undefined {
  const [, id = "", parameters = ""] = /^([!-:<-~]{1,256})\s*(;.*)?$/.exec(header.trim()) ?? [];
  if (id === "") return undefined;
  const seconds = Number(/;\s*timeout\s*=\s*(\d{1,6})/i.exec(parameters)?.[1] ?? 0);
  return { id, timeoutMs: 1_000 * Math.min(seconds || DEFAULT_TIMEOUT_S, MOST_TIMEOUT_S) };
}
