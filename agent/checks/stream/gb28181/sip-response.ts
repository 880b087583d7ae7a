import { Failure } from "../../../../protocol/failure.ts";

/** A final or provisional answer of a SIP server, as far as a ping needs it (RFC 3261 §7.2). */
export interface SipResponse {
  status: number;
  reason: string;
  callId: string;
  /** Of the topmost Via: which of our requests it answers. */
  branch: string;
  cseq: number;
  method: string;
  /** Every WWW-Authenticate and Proxy-Authenticate, as written. */
  challenges: readonly { proxy: boolean; value: string }[];
}

/** Headers longer than this are no answer to a ping. */
export const MOST_HEADER_BYTES = 16_384;
const MOST_BODY_BYTES = 65_536;
const MOST_LINES = 128;
/** The compact forms that we read (RFC 3261 §7.3.3). */
const COMPACT: Readonly<Record<string, string>> = { v: "via", i: "call-id", l: "content-length" };

/** How many bytes of `bytes` are one whole message; 0 while it is still coming. Throws Failure STREAM_PROTOCOL. */
export function messageBytes(bytes: Buffer): number {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) {
    if (bytes.length > MOST_HEADER_BYTES) throw broken("its header does not end");
    return 0;
  }
  if (end > MOST_HEADER_BYTES) throw broken("its header is too long");
  const length = headers(bytes.toString("latin1", 0, end)).find(([name]) => name === "content-length")?.[1] ?? "0";
  const body = Number(length);
  if (!/^\d{1,7}$/.test(length) || body > MOST_BODY_BYTES) throw broken("its Content-Length is not sane");
  const whole = end + 4 + body;
  return bytes.length < whole ? 0 : whole;
}

/**
 * Reads a response out of one whole message or datagram. Undefined for a request: a platform may ask us things, and we
 * answer none. Throws Failure STREAM_PROTOCOL when it is no SIP at all.
 */
export function sipResponse(bytes: Buffer): SipResponse | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  const head = bytes.toString("latin1", 0, Math.min(end < 0 ? bytes.length : end, MOST_HEADER_BYTES));
  const [first = ""] = head.split("\r\n", 1);
  if (/^[A-Z]{1,32} \S{1,2000} SIP\/2\.0$/.test(first)) return undefined;
  const [, status, reason = ""] = /^SIP\/2\.0 ([1-6]\d\d) ?(.*)$/.exec(first) ?? [];
  if (status === undefined) throw broken("what came is no SIP");
  const all = headers(head);
  const one = (wanted: string): string => all.find(([name]) => name === wanted)?.[1] ?? "";
  const [, cseq = "", method = ""] = /^(\d{1,10})[ \t]+([A-Z]{1,32})$/.exec(one("cseq")) ?? [];
  return {
    status: Number(status),
    reason: reason.replace(/[^\x20-\x7e]/g, "?").slice(0, 100),
    callId: one("call-id"),
    branch: /;[ \t]*branch[ \t]*=[ \t]*([^;,\s]{1,200})/i.exec(one("via"))?.[1] ?? "",
    cseq: cseq === "" ? -1 : Number(cseq),
    method,
    challenges: all.flatMap(([name, value]) =>
      name === "www-authenticate" || name === "proxy-authenticate"
        ? [{ proxy: name === "proxy-authenticate", value }]
        : [],
    ),
  };
}

/** The header fields, names in lower case and at length, folded lines in one. */
function headers(head: string): [name: string, value: string][] {
  const fields: [string, string][] = [];
  const lines = head.split("\r\n", MOST_LINES + 1);
  if (lines.length > MOST_LINES) throw broken("it has too many header lines");
  for (const line of lines.slice(1)) {
    const last = fields.at(-1);
    const colon = line.indexOf(":");
    if (/^[ \t]/.test(line)) {
      if (last !== undefined) last[1] += ` ${line.trim()}`;
    } else if (colon > 0) {
      const name = line.slice(0, colon).trim().toLowerCase();
      fields.push([COMPACT[name] ?? name, line.slice(colon + 1).trim()]);
    }
  }
  return fields;
}

const broken = (what: string): Failure =>
  new Failure("STREAM_PROTOCOL", `the platform's answer cannot be read: ${what}`, { facts: { what } });
