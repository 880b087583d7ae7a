import { Failure } from "../../../../protocol/failure.ts";

/** One stream of nginx-rtmp's `/stat` (module 1.1.4 and 1.2.x): what its elements say as text, by name. */
interface NginxStream {
  /** `<publishing/>`: somebody feeds it. */
  publishing: boolean;
  /** bytes_in, bytes_out, bw_video, nclients … */
  numbers: ReadonlyMap<string, number>;
}

const MOST_DEPTH = 32;
/** Of a tag's name: with the depth it bounds what each step through the page costs. */
const MOST_NAME = 64;
const NUMBERS = new Set(["bytes_in", "bytes_out", "bw_in", "bw_video", "nclients", "time"]);
const STREAM_PATH = "rtmp/server/application/live/stream";
const APP_NAME = "rtmp/server/application/name";

/**
 * Finds a stream in the XML that `rtmp_stat` writes. Undefined where it is not listed: nobody publishes or plays it. Throws
 * Failure STREAM_PROTOCOL for what is no such page.
 */
export function nginxStream(xml: string, app: string, name: string): NginxStream | undefined {
  const path: string[] = [];
  let found: NginxStream | undefined;
  let inApp = "";
  let current: { name: string; publishing: boolean; numbers: Map<string, number> } | undefined;
  let isStat = false;
  for (const { kind, text } of markup(xml)) {
    if (kind === "open") {
      if (path.length >= MOST_DEPTH) throw notStat("it is nested too deep");
      path.push(text);
      isStat ||= path.length === 1 && text === "rtmp";
      const at = path.join("/");
      if (at === STREAM_PATH) current = { name: "", publishing: false, numbers: new Map() };
      else if (at === `${STREAM_PATH}/publishing` && current !== undefined) current.publishing = true;
      else if (at === "rtmp/server/application") inApp = "";
    } else if (kind === "close") {
      const at = path.join("/");
      if (path.pop() !== text) throw notStat(`</${text.slice(0, 40)}> closes nothing`);
      if (at === STREAM_PATH && current?.name === name && inApp === app) found ??= current;
    } else {
      const at = path.join("/");
      const element = path.at(-1) ?? "";
      if (at === APP_NAME) inApp = text;
      else if (at === `${STREAM_PATH}/name` && current !== undefined) current.name = text;
      else if (at === `${STREAM_PATH}/${element}` && NUMBERS.has(element)) current?.numbers.set(element, Number(text));
    }
  }
  if (!isStat) throw notStat("it has no <rtmp>");
  return found;
}

const notStat = (why: string): Failure =>
  new Failure("STREAM_PROTOCOL", `the page is none of nginx-rtmp's rtmp_stat: ${why}`, { facts: { why } });

interface Piece {
  kind: "open" | "close" | "text";
  text: string;
}

/** Tags and the text between them; attributes, comments, declarations and CDATA marks are passed over. */
function* markup(xml: string): Generator<Piece> {
  let at = 0;
  for (;;) {
    const begins = xml.indexOf("<", at);
    const text = xml.slice(at, begins < 0 ? xml.length : begins).trim();
    if (text !== "") yield { kind: "text", text: plain(text) };
    if (begins < 0) return;
    if (xml.startsWith("<!--", begins)) {
      at = after(xml, "-->", begins);
      continue;
    }
    if (xml.startsWith("<![CDATA[", begins)) {
      at = after(xml, "]]>", begins);
      yield { kind: "text", text: xml.slice(begins + 9, at - 3).trim() };
      continue;
    }
    at = after(xml, ">", begins);
    const tag = xml.slice(begins + 1, at - 1);
    if (tag.startsWith("?") || tag.startsWith("!")) continue;
    const name = (tag.startsWith("/") ? tag.slice(1) : tag).split(/[\s/]/, 1)[0] ?? "";
    if (name.length > MOST_NAME) throw notStat(`a name of more than ${MOST_NAME} characters`);
    if (tag.startsWith("/")) yield { kind: "close", text: name };
    else {
      yield { kind: "open", text: name };
      if (tag.endsWith("/")) yield { kind: "close", text: name };
    }
  }
}

function after(xml: string, end: string, from: number): number {
  const found = xml.indexOf(end, from);
  if (found < 0) throw notStat("it is cut short");
  return found + end.length;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

const plain = (text: string): string =>
  text.includes("&")
    ? text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (whole, decimal, hex, name) => {
        const code = decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal);
        if (Number.isNaN(code)) return ENTITIES[name] ?? whole;
        return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
      })
    : text;
