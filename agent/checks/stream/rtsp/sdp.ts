import { Failure } from "../../../../protocol/failure.ts";
import { printable } from "./message.ts";

/** One stream of a presentation that can be played over RTP. */
export interface SdpMedia {
  kind: "video" | "audio";
  /** The encoding name, upper case. */
  codec: string;
  clockHz: number;
  payloadType: number;
  /**
   * Parameters of the format (`a=fmtp`), names in lower case: `sprop-parameter-sets`, `sprop-vps`, `packetization-mode` …, and
   * the attributes `framerate` and `x-dimensions` among them.
   */
  fmtp: Readonly<Record<string, string>>;
  /** As it stands there: relative, absolute, "*" or missing. */
  control?: string;
}

export interface Sdp {
  control?: string;
  /** At most 8; in their order. */
  media: readonly SdpMedia[];
  /** What else it offers, in a few words: for the sentence that says why nothing can be played. */
  others: string;
}

const MOST_MEDIA = 8;
const MOST_LINES = 2_000;
const MOST_FORMATS = 128;
const MOST_PARAMETERS = 64;
const MOST_CLOCK_HZ = 1_000_000_000;

/** RFC 3551 §6: what a payload type means without a word of it in the SDP. */
const STATIC: Readonly<Record<number, readonly [string, number]>> = {
  0: ["PCMU", 8_000],
  3: ["GSM", 8_000],
  4: ["G723", 8_000],
  5: ["DVI4", 8_000],
  6: ["DVI4", 16_000],
  7: ["LPC", 8_000],
  8: ["PCMA", 8_000],
  9: ["G722", 8_000],
  10: ["L16", 44_100],
  11: ["L16", 44_100],
  12: ["QCELP", 8_000],
  13: ["CN", 8_000],
  14: ["MPA", 90_000],
  15: ["G728", 8_000],
  16: ["DVI4", 11_025],
  17: ["DVI4", 22_050],
  18: ["G729", 8_000],
  26: ["JPEG", 90_000],
  31: ["H261", 90_000],
  32: ["MPV", 90_000],
  33: ["MP2T", 90_000],
  34: ["H263", 90_000],
};
/** Attributes of their own that belong to the format. */
const OF_FORMAT = ["framerate", "x-dimensions"] as const;

interface Section {
  /** `m=` without these two. */
  line: string;
  attributes: [name: string, value: string][];
}

/**
 * Reads a session description (RFC 4566) for what RTSP needs of it. What is odd in it is passed over; throws Failure
 * STREAM_PROTOCOL only where it is no SDP at all.
 */
export function parseSdp(text: string): Sdp {
  const [session, ...sections] = sectionsOf(text);
  if (session === undefined) throw new Failure("STREAM_PROTOCOL", "the description of the stream is no SDP");
  const media: SdpMedia[] = [];
  const others: string[] = [];
  for (const section of sections) {
    const one = mediaOf(section);
    if (one !== undefined && media.length < MOST_MEDIA) media.push(one);
    else if (others.length < MOST_MEDIA) others.push(printable(section.line, 40));
  }
  return { ...controlOf(session), media, others: others.join(", ") };
}

/** The session's own part first; undefined when there is no `v=` line in front. */
function sectionsOf(text: string): Section[] {
  const lines = text.split(/[\r\n]+/, MOST_LINES).filter((line) => line !== "");
  if (!lines[0]?.replace(/^\uFEFF/, "").startsWith("v=")) return [];
  let current: Section = { line: "", attributes: [] };
  const sections = [current];
  for (const line of lines) {
    if (line.startsWith("m=")) {
      current = { line: line.slice(2), attributes: [] };
      sections.push(current);
    }
    if (!line.startsWith("a=")) continue;
    const colon = line.indexOf(":");
    const end = colon === -1 ? line.length : colon;
    current.attributes.push([line.slice(2, end).trim().toLowerCase(), line.slice(end + 1).trim()]);
  }
  return sections;
}

function mediaOf(section: Section): SdpMedia | undefined {
  const [kind = "", , profile = "", ...formats] = section.line.trim().split(/\s+/);
  if ((kind !== "video" && kind !== "audio") || !/^RTP\/AVPF?(?:\/|$)/i.test(profile)) return undefined;
  for (const format of formats.slice(0, MOST_FORMATS)) {
    const payloadType = /^\d{1,3}$/.test(format) ? Number(format) : -1;
    const map = payloadType < 0 || payloadType > 127 ? undefined : mapOf(section, payloadType);
    if (map === undefined) continue;
    const [codec, clockHz] = map;
    return { kind, codec, clockHz, payloadType, fmtp: formatOf(section, payloadType), ...controlOf(section) };
  }
  return undefined;
}

/** `a=rtpmap:96 H264/90000`; without one what the number means by itself. */
function mapOf(section: Section, payloadType: number): readonly [codec: string, clockHz: number] | undefined {
  const map = numberedOf(section, "rtpmap", payloadType);
  const [, codec = "", clock = ""] = /^([\w.+-]{1,32})\/(\d{1,10})(?:\/|\s|$)/.exec(map ?? "") ?? [];
  const clockHz = Number(clock);
  return clockHz > 0 && clockHz <= MOST_CLOCK_HZ ? [codec.toUpperCase(), clockHz] : STATIC[payloadType];
}

const attributeOf = ({ attributes }: Section, name: string): string | undefined =>
  attributes.find(([one]) => one === name)?.[1];

/** The value of an attribute that begins with a payload type, without it. */
function numberedOf({ attributes }: Section, name: string, payloadType: number): string | undefined {
  const found = attributes.find(([one, value]) => one === name && Number.parseInt(value, 10) === payloadType);
  return found?.[1].replace(/^\d+\s*/, "");
}

/** `packetization-mode=1; sprop-parameter-sets=Z0IA,aM4=`: a value may hold "=". */
function formatOf(section: Section, payloadType: number): Readonly<Record<string, string>> {
  const parameters = (numberedOf(section, "fmtp", payloadType) ?? "")
    .split(";", MOST_PARAMETERS)
    .map((one): [string, string] => {
      const equals = one.indexOf("=");
      const end = equals === -1 ? one.length : equals;
      return [one.slice(0, end).trim().toLowerCase(), one.slice(end + 1).trim()];
    });
  const attributes = OF_FORMAT.map((name): [string, string] => [name, attributeOf(section, name) ?? ""]);
  const fitting = attributes.filter(([, value]) => value !== "");
  return Object.fromEntries([...fitting, ...parameters.filter(([name]) => name !== "")]);
}

function controlOf(section: Section): { control?: string } {
  const control = attributeOf(section, "control");
  return control === undefined || control === "" ? {} : { control };
}

const MOST_URL = 2_048;

/**
 * The URL a control attribute means (RFC 2326 §C.1.1). A relative one is put behind the base as it stands, a query
 * included: that is what servers expect, whatever RFC 3986 says. It only ever names what is asked for on the connection we have;
 * user and password in it are dropped. Throws Failure STREAM_PROTOCOL.
 */
export function controlUrl(base: string, control: string | undefined): string {
  if (control === undefined || control === "*") return base;
  if (/^rtsps?:\/\//i.test(control)) return rtspUrl(control);
  if (control.startsWith("/")) return rtspUrl(base.replace(/^(rtsps?:\/\/[^/?#]*).*$/i, "$1") + control);
  return rtspUrl(`${base}${base.endsWith("/") ? "" : "/"}${control}`);
}

/** A URL that the server names, as we may say it back. Throws Failure STREAM_PROTOCOL. */
export function rtspUrl(url: string): string {
  if (url.length <= MOST_URL && /^rtsps?:\/\/[!-~]+$/i.test(url)) return url.replace(/^(rtsps?:\/\/)[^/?#]*@/i, "$1");
  // what we asked for stands in front, and a token may stand in its query
  const says = printable(url.replace(/\?.*$/s, "?…").replace(/^(rtsps?:\/\/)[^/]*@/i, "$1"), 60);
  throw new Failure("STREAM_PROTOCOL", `the server names an address that is none: "${says}"`, { facts: { url: says } });
}
