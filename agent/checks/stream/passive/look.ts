import type { Clock } from "../../../../platform/clock.ts";
import { type HttpAnswer, httpRequest } from "../../../../platform/dial-http.ts";
import type { Names } from "../../../../platform/names.ts";
import { readSecretFile } from "../../../../platform/small-file.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { LookPassive, PassiveFacts } from "../passive.ts";
import { type Facts, mediamtxFacts, nginxFacts, srsFacts, zlmFacts } from "./forwarders.ts";

interface Login {
  /** With `passwordFile`: HTTP basic authentication. */
  user?: string | undefined;
  /** 0600; read for each look. */
  passwordFile?: string | undefined;
}

/** A forwarder whose counters are read, and the stream among what it has. */
export type ForwarderOptions = Login &
  (
    | { type: "nginx-rtmp" /** Of the location with `rtmp_stat`. */; url: string; app: string; stream: string }
    | { type: "srs" /** `http://host:1985`. */; url: string; app: string; stream: string }
    | {
        type: "zlm";
        url: string;
        app: string;
        stream: string;
        /** 0600; sent as a header, so that no access log has it. */
        secretFile?: string | undefined;
      }
    | { type: "mediamtx" /** `http://host:9997`. */; url: string; path: string }
  );

export interface ForwarderPorts {
  clock: Clock;
  /** For one look, ms. */
  deadlineMs: number;
  names?: Names;
}

const MOST_BODY_BYTES = 1 << 20;
const NAMES = { "nginx-rtmp": "nginx-rtmp", srs: "SRS", zlm: "ZLMediaKit", mediamtx: "MediaMTX" } as const;

/**
 * Looks at the counters of one stream in a forwarder's own API. A stream the forwarder does not have is a fact (`fed: false`).
 * A look rejects with Failure DIAL_*, STREAM_AUTH, STREAM_STATUS, STREAM_PROTOCOL (over 1 MB, not this API) or FILE_UNUSABLE.
 */
export function lookForwarder(options: ForwarderOptions, ports: ForwarderPorts): LookPassive {
  const { clock } = ports;
  const place = new URL(options.url).host;
  let counted: { at: number; inBytes: number } | undefined;
  return async (signal) => {
    const answer = await ask(options, ports, signal);
    const at = clock.now();
    if (answer === undefined) return told(options, place, { fed: false }, at);
    if (options.type !== "zlm") return told(options, place, factsOf(options, answer), at);
    const { bytesPerSecond, ...facts } = zlmFacts(answer);
    if (facts.inBytes === undefined && bytesPerSecond !== undefined) {
      // a rate over the last second; what it comes to from look to look is a counter again
      const inBytes = counted === undefined ? 0 : counted.inBytes + (bytesPerSecond * (at - counted.at)) / 1000;
      counted = { at, inBytes };
      facts.inBytes = Math.round(inBytes);
    }
    return told(options, place, facts, at);
  };
}

function factsOf(options: Exclude<ForwarderOptions, { type: "zlm" }>, text: string): Facts {
  if (options.type === "nginx-rtmp") return nginxFacts(text, options.app, options.stream);
  if (options.type === "srs") return srsFacts(text, options.app, options.stream);
  return mediamtxFacts(text);
}

/** The text of the answer; undefined where the API says by its status that it has no such stream. */
async function ask(options: ForwarderOptions, ports: ForwarderPorts, signal: AbortSignal): Promise<string | undefined> {
  const order = { url: addressOf(options), headers: await secrets(options), bodyCapBytes: MOST_BODY_BYTES };
  const answer = await httpRequest(order, { ...ports, signal });
  const { status, isCut, body } = answer;
  const place = new URL(options.url).host;
  if (status === 404 && options.type === "mediamtx") return isApi(answer) ? undefined : wrongPlace(options, place);
  if (status === 401 || status === 403)
    throw new Failure("STREAM_AUTH", `${place} does not let us in: status ${status}`, { facts: { place, status } });
  if (status !== 200)
    throw new Failure("STREAM_STATUS", `${place} answers with status ${status}`, { facts: { place, status } });
  if (isCut)
    throw new Failure("STREAM_PROTOCOL", `${place} answers with more than ${MOST_BODY_BYTES} bytes`, {
      facts: { place },
    });
  return body.toString("utf8");
}

/** MediaMTX says in JSON that it has no such path; a web server in its place says it in HTML. */
const isApi = ({ body }: HttpAnswer): boolean => body.toString("latin1").trimStart().startsWith("{");

function wrongPlace({ type }: ForwarderOptions, place: string): never {
  throw new Failure("STREAM_STATUS", `${place} has no API of ${NAMES[type]}: status 404`, {
    facts: { place, status: 404 },
  });
}

function addressOf(options: ForwarderOptions): string {
  const { type, url } = options;
  if (type === "nginx-rtmp") return url;
  const base = url.replace(/\/+$/, "");
  const part = encodeURIComponent;
  // without `count` SRS lists its first ten
  if (type === "srs") return `${base}/api/v1/streams/?start=0&count=1000`;
  if (type === "zlm") return `${base}/index/api/getMediaList?app=${part(options.app)}&stream=${part(options.stream)}`;
  return `${base}/v3/paths/get/${options.path.split("/").map(part).join("/")}`;
}

async function secrets(options: ForwarderOptions): Promise<Record<string, string>> {
  const headers: Record<string, string> = {};
  if (options.type === "zlm" && options.secretFile !== undefined)
    headers["secret"] = await readSecretFile(options.secretFile);
  if (options.user !== undefined && options.passwordFile !== undefined) {
    const password = await readSecretFile(options.passwordFile);
    headers["authorization"] = `Basic ${Buffer.from(`${options.user}:${password}`).toString("base64")}`;
  }
  return headers;
}

function told(options: ForwarderOptions, place: string, facts: Facts, at: number): PassiveFacts {
  const { fed, inBytes, frames, readers } = facts;
  const stream = options.type === "mediamtx" ? options.path : `${options.app}/${options.stream}`;
  const parts = [
    fed === undefined ? undefined : fed ? "is published" : "is not published",
    inBytes === undefined ? undefined : `${inBytes} bytes in`,
    frames === undefined ? undefined : `${frames} frames`,
    readers === undefined ? undefined : `${readers} readers`,
  ].filter((part) => part !== undefined);
  return { ...facts, at, says: `${NAMES[options.type]} at ${place}: ${stream} ${parts.join(", ")}` };
}
