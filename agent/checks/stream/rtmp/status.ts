import { Failure } from "../../../../protocol/failure.ts";
import type { AmfValue } from "./amf.ts";

/** What a server says of a connection or a stream (RTMP 1.0 §7.2.2): the information object of onStatus, _result or _error. */
export interface Status {
  level: string;
  code: string;
  description: string;
}

const MOST_CHARACTERS = 120;

/** Of whatever a server put there; without a code all is "". */
export function statusOf(value: AmfValue): Status {
  const text = (name: string): string => {
    const found = value instanceof Map ? value.get(name) : undefined;
    return typeof found === "string"
      ? found
          .replace(/\p{C}+/gu, " ")
          .replace(/\?\S+/g, "?…")
          .slice(0, MOST_CHARACTERS)
      : "";
  };
  return { level: text("level"), code: text("code"), description: text("description") };
}

const REFUSES_US = /\b40[13]\b|\bauth|not allowed|access denied|forbidden|unauthori[sz]ed/i;
const ENDED: Readonly<Record<string, string>> = {
  "NetStream.Play.UnpublishNotify": "unpublished",
  "NetStream.Play.Stop": "stopped",
  "NetStream.Play.Complete": "played to its end",
  "NetConnection.Connect.Closed": "closed",
  "NetConnection.Connect.AppShutdown": "the application was shut down",
};

/** The failure that an onStatus tells, undefined where it is none. */
export function failureIn(status: Status, place: string): Failure | undefined {
  const { code, level } = status;
  const how = ENDED[code];
  if (how !== undefined) {
    return new Failure("STREAM_ENDED", `${place} ended the stream: ${how}`, { facts: { place, how, status: code } });
  }
  const refused =
    level === "error" || /\.(StreamNotFound|Failed|Rejected|InvalidApp|InvalidArg|FileNotFound)$/.test(code);
  return refused ? refusal(status, place, "play") : undefined;
}

/** A request was refused; `asked` is its name. What the server says may name the stream; `statusOf` has taken its query away. */
export function refusal({ code, description }: Status, place: string, asked: string): Failure {
  const facts = { place, status: code === "" ? "_error" : code, asked };
  if (REFUSES_US.test(`${code} ${description}`)) {
    return new Failure("STREAM_AUTH", `${place} does not let us in: ${facts.status} at "${asked}"`, { facts });
  }
  return new Failure("STREAM_STATUS", `${place} refuses "${asked}": ${facts.status}`, { facts });
}
