import { Failure } from "../../../../protocol/failure.ts";

/** Header fields by lower-case name, each value in the order it came. */
export type Headers = ReadonlyMap<string, readonly string[]>;

export interface Reply {
  kind: "reply";
  status: number;
  /** What the server says of it: printable, cut short. */
  phrase: string;
  headers: Headers;
  body: string;
}

/** A request of the server's own (RFC 2326 lets it ask, too). */
export interface ServerRequest {
  kind: "request";
  method: string;
  headers: Headers;
  body: string;
}

export type Message = Reply | ServerRequest;

/** Most header lines of one message: what is beyond is passed over. */
const MOST_LINES = 256;
const MOST_PHRASE = 80;
const STATUS_LINE = /^RTSP\/1\.\d (\d{3})(?: (.*))?$/;
const REQUEST_LINE = /^([A-Z][A-Z_]{2,30}) \S+ RTSP\/1\.\d$/;

/** Reads the head of a message (RFC 2326 §6, §7), without its empty line. Throws Failure STREAM_PROTOCOL. */
export function messageOf(head: string): Message {
  const [first = "", ...lines] = head.split(/\r?\n/, MOST_LINES);
  const headers = headersOf(lines);
  const [, status, phrase = ""] = STATUS_LINE.exec(first) ?? [];
  if (status !== undefined)
    return {
      kind: "reply",
      status: Number(status),
      phrase: withoutQuery(printable(phrase, MOST_PHRASE)),
      headers,
      body: "",
    };
  const [, method] = REQUEST_LINE.exec(first) ?? [];
  if (method !== undefined) return { kind: "request", method, headers, body: "" };
  throw notRtsp(first);
}

/** What to say of a first line that is none of RTSP's. */
export function notRtsp(first: string): Failure {
  const begins = printable(first, 40);
  const says = /^HTTP\/\d/.test(first) ? "answers in HTTP" : "what came is no RTSP";
  return new Failure("STREAM_PROTOCOL", `${says}: it begins with "${begins}"`, { facts: { begins } });
}

function headersOf(lines: readonly string[]): Headers {
  const headers = new Map<string, string[]>();
  let last: string[] | undefined;
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (/^[ \t]/.test(line) && last !== undefined) last.push(`${last.pop()} ${line.trim()}`); // a folded line
    if (colon < 1 || /[\s"]/.test(line.slice(0, colon))) continue;
    const name = line.slice(0, colon).toLowerCase();
    last = headers.get(name) ?? [];
    headers.set(name, last);
    last.push(line.slice(colon + 1).trim());
  }
  return headers;
}

/** The first value of a header. */
export const headerOf = ({ headers }: Message, name: string): string | undefined => headers.get(name)?.[0];

/** Text from outside as it may stand in a message of ours: one line, cut. */
export const printable = (text: string, most: number): string =>
  text
    .slice(0, 4 * most)
    .replace(/[\p{C}\uFFFD]+/gu, " ")
    .trim()
    .slice(0, most)
    .toWellFormed();

/** What a server says may repeat the address we asked for, and a token may stand in its query. */
const withoutQuery = (text: string): string => text.replace(/\?\S+/g, "?…");

/** A request as it goes over the wire. What would end a line is taken out of every value: some of them came from outside. */
export function requestText(method: string, uri: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${oneLine(value)}\r\n`);
  return `${method} ${oneLine(uri)} RTSP/1.0\r\n${lines.join("")}\r\n`;
}

/** Our answer to a request of the server. `cseq` is its own. */
export function answerText(status: string, cseq: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${oneLine(value)}\r\n`);
  return `RTSP/1.0 ${status}\r\nCSeq: ${/^\d{1,10}$/.test(cseq) ? cseq : "0"}\r\n${lines.join("")}\r\n`;
}

const oneLine = (text: string): string => text.replace(/\p{Cc}+/gu, "");
