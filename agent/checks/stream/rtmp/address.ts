import { isIP } from "node:net";
import type { Place } from "../../../../platform/dial.ts";
import { Failure } from "../../../../protocol/failure.ts";

const PORT = 1935;

/** Where an RTMP stream is. */
export interface RtmpAddress {
  to: Place;
  app: string;
  /** With its query: tokens and virtual hosts stand there. Never in a message. */
  name: string;
  /** What the server is told the address is: without the stream's name. */
  tcUrl: string;
}

/**
 * Reads `rtmp://host[:port]/app[/…]/name[?query]`: what stands behind the last slash is the stream's name. Where the path has
 * one part only, a query with a slash in it belongs to the app (`live?vhost=a/cam`, as SRS has it).
 * Throws Failure STREAM_UNSUPPORTED.
 */
export function rtmpAddress(url: string): RtmpAddress {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== "rtmp:" || parsed.hostname === "") throw unsupported("it is no rtmp:// address with a host");
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  const to = { host, port: Number(parsed.port) || PORT };
  const path = parsed.pathname.replace(/^\/+/, "");
  const whole = !path.includes("/") && parsed.search.includes("/") ? path + parsed.search : path;
  const slash = whole.lastIndexOf("/");
  const app = whole.slice(0, Math.max(0, slash)).replace(/\/+$/, "");
  const name = whole.slice(slash + 1) + (whole === path ? parsed.search : "");
  if (app === "" || name === "") throw unsupported("it names no application and stream, as in rtmp://host/live/cam1");
  const authority = isIP(host) === 6 ? `[${host}]` : host;
  return { to, app, name, tcUrl: `rtmp://${authority}:${to.port}/${app}` };
}

const unsupported = (why: string): Failure => new Failure("STREAM_UNSUPPORTED", `the address cannot be played: ${why}`);
