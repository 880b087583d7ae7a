import { Failure } from "../../../../protocol/failure.ts";
import type { PassiveFacts } from "../passive.ts";
import { booleanIn, jsonObject, numberIn, objectOr, objectsIn } from "./json.ts";
import { nginxStream } from "./nginx-stat.ts";

/** What forwarders say of a stream in their own words, made one. All pure: the text of an answer in, facts out. */

export type Facts = Omit<PassiveFacts, "at" | "says">;

const NOT_FED: Facts = { fed: false };

/** nginx-rtmp, `rtmp_stat all`, as XML. A publisher that hangs stays `<publishing/>`: only the counters tell. */
export function nginxFacts(text: string, app: string, stream: string): Facts {
  const found = nginxStream(text, app, stream);
  if (found === undefined) return NOT_FED;
  const { publishing, numbers } = found;
  const clients = numberIn(numbers.get("nclients"));
  return defined({
    fed: publishing,
    inBytes: numberIn(numbers.get("bytes_in")),
    outBytes: numberIn(numbers.get("bytes_out")),
    // the publisher is one of them
    readers: clients === undefined ? undefined : Math.max(0, clients - (publishing ? 1 : 0)),
  });
}

/** SRS 4 to 6, `GET /api/v1/streams/`: it counts a stream that nobody publishes any more on, for a while, as not active. */
export function srsFacts(text: string, app: string, stream: string): Facts {
  const answer = jsonObject(text, "SRS");
  refusedBy(answer["code"], 0, "SRS");
  const found = objectsIn(answer["streams"]).filter((one) => one["app"] === app && one["name"] === stream);
  const active = found.find((one) => objectOr(one["publish"])["active"] === true) ?? found[0];
  if (active === undefined) return NOT_FED;
  const fed = booleanIn(objectOr(active["publish"])["active"]);
  const clients = numberIn(active["clients"]);
  return defined({
    fed,
    inBytes: numberIn(active["recv_bytes"]),
    outBytes: numberIn(active["send_bytes"]),
    frames: numberIn(active["frames"]),
    // the publisher is one of them
    readers: clients === undefined ? undefined : Math.max(0, clients - (fed === true ? 1 : 0)),
  });
}

/** `bytesPerSecond` where it counts no total (before the end of 2024). */
export type ZlmFacts = Facts & { bytesPerSecond?: number };

const ZLM_AUTH = -100;
const ZLM_INVALID = -300;
const ZLM_VIDEO = 0;

/**
 * ZLMediaKit, `GET /index/api/getMediaList`: a stream stands there once for each protocol it is offered by, and one that
 * nobody plays may rest, so the largest counts.
 */
export function zlmFacts(text: string): ZlmFacts {
  const answer = jsonObject(text, "ZLMediaKit");
  const { code, msg } = answer;
  // a secret that is missing is an invalid argument to it
  if (code === ZLM_AUTH || (code === ZLM_INVALID && typeof msg === "string" && msg.includes("secret")))
    throw new Failure("STREAM_AUTH", "ZLMediaKit refuses the API's secret", { facts: { status: code } });
  refusedBy(code, 0, "ZLMediaKit");
  const found = objectsIn(answer["data"]);
  if (found.length === 0) return NOT_FED;
  const largest = (name: string): number | undefined => most(found.map((one) => numberIn(one[name])));
  const tracks = found.flatMap((one) => objectsIn(one["tracks"])).filter((one) => one["codec_type"] === ZLM_VIDEO);
  return defined({
    fed: true,
    inBytes: largest("totalBytes"),
    bytesPerSecond: largest("bytesSpeed"),
    frames: most(tracks.map((one) => numberIn(one["frames"]))),
    readers: largest("totalReaderCount") ?? largest("readerCount"),
  });
}

/** MediaMTX 1.x, `GET /v3/paths/get/{name}`; newer ones say `online` and `inboundBytes` for `ready` and `bytesReceived`. */
export function mediamtxFacts(text: string): Facts {
  const path = jsonObject(text, "MediaMTX");
  const readers = path["readers"];
  return defined({
    // `ready` is also true of a path that plays an offline clip on repeat: `online` is not
    fed: booleanIn(path["online"]) ?? booleanIn(path["ready"]),
    inBytes: numberIn(path["inboundBytes"]) ?? numberIn(path["bytesReceived"]),
    outBytes: numberIn(path["outboundBytes"]) ?? numberIn(path["bytesSent"]),
    readers: Array.isArray(readers) ? readers.length : undefined,
  });
}

function refusedBy(code: unknown, well: number, api: string): void {
  if (code === undefined || code === well) return;
  const status = typeof code === "number" ? code : "?";
  throw new Failure("STREAM_STATUS", `${api} answers with code ${status}`, { facts: { status } });
}

const most = (numbers: readonly (number | undefined)[]): number | undefined =>
  numbers.reduce((top, one) => (one === undefined || (top !== undefined && top >= one) ? top : one), undefined);

/** Without what is undefined: a reading that is not there is not told as one. */
function defined<T extends object>(facts: { [K in keyof T]: T[K] | undefined }): T;
function defined(facts: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}
