import type { Socket } from "node:net";
import { type Dial, failureOf, onLine, open, placeName } from "../../../platform/dial.ts";
import type { HttpAnswer, HttpOrder } from "../../../platform/dial-http.ts";
import { readSecretFile, readSmallFile } from "../../../platform/small-file.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { CheckPorts } from "../check.ts";
import type { HttpTarget, Target, TcpTarget } from "./config.ts";

/** What one try brought. `nothing` is our own fault: the try says nothing about the service. */
export type Outcome =
  | { got: "answer"; answer: HttpAnswer; text: string }
  | { got: "connection"; ms: number; banner?: string }
  | { got: "failure"; failure: Failure }
  | { got: "nothing"; because: string };

/** Faults of this machine or of its config. */
const OURS = new Set(["DIAL_LOCAL", "FILE_UNUSABLE"]);
const MOST_BODY_BYTES = 65_536;
const MOST_BANNER_BYTES = 4_096;

/** Asks a target once, within its deadline. Rejects only when `signal` aborts. */
export async function tryTarget(target: Target, { clock, machine }: CheckPorts, signal: AbortSignal): Promise<Outcome> {
  const dial = { clock, signal, deadlineMs: target.deadlineMs };
  try {
    if (target.type === "tcp") return await tryTcp(target, dial);
    const { httpRequest } = await import("../../../platform/dial-http.ts");
    const answer = await httpRequest(await orderOf(target, (path) => machine.at(path)), dial);
    return { got: "answer", answer, text: textOf(answer) };
  } catch (cause) {
    signal.throwIfAborted();
    if (!(cause instanceof Failure)) throw cause;
    return OURS.has(cause.code) ? { got: "nothing", because: cause.message } : { got: "failure", failure: cause };
  }
}

async function orderOf(target: HttpTarget, at: (path: string) => string): Promise<HttpOrder> {
  const { url, method, headers, body, redirects, caFile, tokenFile, tokenHeader, user, passwordFile } = target;
  const secret: Record<string, string> = {};
  if (tokenFile !== undefined) {
    const token = await readSecretFile(at(tokenFile));
    secret[tokenHeader ?? "authorization"] = tokenHeader === undefined ? `Bearer ${token}` : token;
  }
  if (user !== undefined && passwordFile !== undefined) {
    const password = await readSecretFile(at(passwordFile));
    secret["authorization"] = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  }
  return {
    url,
    method,
    headers: { ...headers, ...secret },
    redirects,
    bodyCapBytes: MOST_BODY_BYTES,
    ...(body === undefined ? {} : { body }),
    ...(caFile === undefined ? {} : { ca: await readSmallFile(at(caFile), { mostBytes: 1 << 20 }) }),
  };
}

/** The body as text, in the charset it says it has: many devices here still answer in GBK. */
function textOf({ headers, body }: HttpAnswer): string {
  const charset = /charset="?([\w-]{1,40})/i.exec(headers["content-type"] ?? "")?.[1];
  if (charset === undefined || /^utf-?8$/i.test(charset)) return body.toString("utf8");
  try {
    return new TextDecoder(charset).decode(body);
  } catch {
    return body.toString("utf8"); // a charset nobody knows
  }
}

const tryTcp = (target: TcpTarget, dial: Dial): Promise<Outcome> =>
  onLine(placeName(target), dial, async (line): Promise<Outcome> => {
    const { socket, ms } = await open(target, line);
    const { banner } = target;
    if (banner === undefined) return { got: "connection", ms };
    line.phase = "owed its banner";
    if (banner.send !== undefined) socket.write(banner.send);
    const heard = await heardFrom(socket, banner.expect).catch((cause: unknown) => {
      throw failureOf(placeName(target), cause);
    });
    return { got: "connection", ms, banner: heard };
  });

/** What the other side says until `expect` is in it, it has said 4 KiB, or it hangs up. */
function heardFrom(socket: Socket, expect: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      if (heard.length >= MOST_BANNER_BYTES || heard.includes(expect)) resolve(heard.toString("utf8"));
    });
    socket.once("end", () => resolve(heard.toString("utf8")));
    socket.once("error", reject);
  });
}
