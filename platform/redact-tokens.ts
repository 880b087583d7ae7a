import { MASK, rowBefore, type Searched, type Span } from "./searched.ts";

/** A pattern and which of its groups is the secret (0: all of it). */
type Pattern = readonly [RegExp, number];

/** Each needs one of its literals in the text, in lower case, before it is tried at all. */
const MARKED: readonly (readonly [literal: string, pattern: Pattern])[] = [
  ["eyj", [/(?<![a-z0-9])eyj[\w-]{8,}(?:\.[\w-]*){0,4}/g, 0]],
  ["bearer", [/(?<![a-z])bearer[ \t"':=]{1,4}((?=[\w.~+/-]{0,200}[\d.=_])[\w.~+/=-]{6,}|[\w.~+/=-]{20,})/g, 1]],
  ["basic", [/(?<![a-z])basic[ \t]{1,4}((?=[\w+/-]{0,200}[\d=])[\w+/=-]{6,}|[\w+/=-]{20,})/g, 1]],
  ["auth", [/auth (?:plain|login)[ \t]{1,4}([a-z0-9+/]{8,400}={0,2})/g, 1]],
  ["digest", [/(?<![a-z])c?response[ \t]{0,2}=[ \t]{0,2}\\?"?([0-9a-f]{32,128})/g, 1]],
  ["identified", [/identified by (?:password )?["']([^"'\n]{1,200})/g, 1]],
  ["set password", [/set password(?: for [^\s=]{1,120})?[ \t]{0,4}=[ \t]{0,4}(?:password\()?["']([^"'\n]{1,200})/g, 1]],
  [
    "htpasswd",
    [
      /htpasswd[ \t]{1,4}(?:-\w{1,8}[ \t]{1,4}){1,6}[^\s-]\S{0,200}[ \t]{1,4}\S{1,64}[ \t]{1,4}["']?([^\s"']{1,200})/g,
      1,
    ],
  ],
  ["user", [/--(?:proxy-)?user[ \t=]{1,4}["']?[^\s"':]{1,64}:((?!\d{1,6}(?![^\s"']))[^\s"']{1,200})/g, 1]],
  ["smb", [/(?<![^\s])-u[ \t]{0,4}["']?[\w\\./-]{1,64}%([^\s"';]{1,200})/g, 1]],
  ["com2sec", [/com2sec6?[ \t][^\n]{0,120}?[ \t](\S{1,64})[ \t]*(?=$|\n)/g, 1]],
  ["createuser", [/createuser[ \t]+\S{1,64}[ \t]+([^\n]{1,200})/g, 1]],
  // a class within a class is written like a hash: Outer$Inner$Builder.build
  ["$", [/\$(?:(?<![\w$]\$)|(?<=(?:sha\d{1,3}|md5|crypt|sha256\$|:\d)\$))[a-z0-9-]{1,16}\$[./a-z0-9$=,+*-]{8,}/g, 0]],
  ["{", [/\{(?:s?sha\d{0,3}|s?md5|crypt|pbkdf2[\w-]{0,20})\}([a-z0-9+/=$.]{8,})/g, 1]],
  ["*", [/(?<!\w)\*[0-9a-f]{40}(?![0-9a-f])/g, 0]],
  [":", [/(?<![^\n])[\w.-]{1,32}:([./0-9a-z]{13})(?=$|[\r\n:])/g, 1]],
  ["pbkdf2", [/pbkdf2[\w:-]{0,20}\$\d{1,9}\$[\w+/=.-]{1,100}\$[\w+/=.-]{8,}/g, 0]],
  ["%3a%2f%2f", [/%3a%2f%2f((?:(?!%2f|%40)[^\s"'&<>]){1,300}%40)/g, 1]],
];

/** Tokens that say themselves what they are. */
const PREFIXED =
  /(?<![A-Za-z0-9])(?:(?:AKIA|ASIA|AROA|LTAI|AKID|AKLT)[A-Za-z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|gl(?:pat|rt)-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|(?:sk|pk|rk)[-_](?:live|test|proj|ant)[-_][\w-]{10,}|sk-[\w-]{20,}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|npm_[A-Za-z0-9]{20,}|dop_v1_[0-9a-f]{32,}|hf_[A-Za-z0-9]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|SWMTKN-1-[\w-]{20,}|pypi-[\w-]{30,}|vgl_[\w-]{20,}|hvs\.[\w-]{20,})/g;
const RUN = /(?<![\w+/-])[\w+/-]{24,}={0,2}/g;
const PRIVATE_BEGIN = /-----begin [a-z0-9 ]{0,40}private key(?: block)?-----/g;
const PRIVATE_END = /-----end [a-z0-9 ]{0,40}private key(?: block)?-----/g;

/** Keys, hashes and tokens known by their shape, credentials in URLs and command lines, e-mail addresses. */
export function opaqueSecrets({ half, lower }: Searched): Span[] {
  const spans: Span[] = [];
  for (const [literal, pattern] of MARKED) if (lower.includes(literal)) all(lower, pattern, spans);
  all(half, [PREFIXED, 0], spans);
  for (const match of half.matchAll(RUN))
    if (looksRandom(match[0])) spans.push({ start: match.index, end: match.index + match[0].length });
  if (lower.includes("-----")) privateKeys(lower, spans);
  if (lower.includes("://")) inUrls(lower, spans);
  if (lower.includes("@") || lower.includes("%40")) beforeAts(lower, spans);
  if (/(?:^|[\s"'])-[a-z]/.test(lower)) inFlags(half, lower, spans);
  return spans;
}

function all(text: string, [pattern, group]: Pattern, spans: Span[]): void {
  for (const match of text.matchAll(pattern)) {
    const secret = match[group] ?? "";
    const end = match.index + match[0].length;
    // every group used here ends its match
    if (secret !== "" && secret !== MASK && !secret.startsWith(`${MASK}@`))
      spans.push({ start: end - secret.length, end });
  }
}

/**
 * Whether a row of Base64 signs is a random token rather than a name: letters of both cases and digits change places all
 * the time. Hex digits of one case alone are digests and addresses, of which a fault tells.
 */
function looksRandom(run: string): boolean {
  let [lower, upper, islands, changes, pairs] = [0, 0, 0, 0, 0];
  let before = "";
  for (const one of run) {
    const kind = one >= "a" && one <= "z" ? "a" : one >= "A" && one <= "Z" ? "A" : one >= "0" && one <= "9" ? "0" : "";
    if (kind === "a") lower += 1;
    if (kind === "A") upper += 1;
    if (kind === "0" && before !== "0") islands += 1;
    if (kind !== "" && before !== "") {
      pairs += 1;
      // capitals beside digits are part numbers
      if (kind !== before && (kind === "a" || before === "a")) changes += 1;
    }
    before = kind;
  }
  const padded = run.endsWith("=");
  return lower > 1 && upper > 1 && islands >= (padded ? 1 : 2) && changes / pairs >= (padded ? 0.25 : 0.33);
}

/** From BEGIN to END, or to the end of a text that was cut off; before an END without its BEGIN, what looks like a key. */
function privateKeys(lower: string, spans: Span[]): void {
  let after = 0;
  for (const match of lower.matchAll(PRIVATE_BEGIN)) {
    if (match.index < after) continue;
    const start = match.index + match[0].length;
    const close = lower.indexOf("-----end", start);
    after = close === -1 ? lower.length : close;
    if (lower.slice(start, Math.min(after, start + 40)).trim() !== MASK) spans.push({ start, end: after });
  }
  for (const match of lower.matchAll(PRIVATE_END)) {
    let start = match.index;
    while (start > 0 && /[a-z0-9+/=\s\\]/.test(lower.charAt(start - 1))) start -= 1;
    if (start < match.index && !/^\s*$/.test(lower.slice(start, match.index))) spans.push({ start, end: match.index });
  }
}

const URL_END = /[\s"'<>`\\]|$/g;

/** `scheme://user:password@host`, whatever odd signs the password has, and also where the text ends within it. */
function inUrls(lower: string, spans: Span[]): void {
  let end = 0;
  let lastAt = -1;
  for (let at = lower.indexOf("://"); at !== -1; at = lower.indexOf("://", at + 3)) {
    const start = at + 3;
    if (start > end) {
      URL_END.lastIndex = start;
      end = URL_END.exec(lower)?.index ?? lower.length;
      lastAt = start + lower.slice(start, end).lastIndexOf("@");
    }
    const secret = userEnd(lower, start, end, lastAt);
    if (secret > start && lower.slice(start, secret) !== MASK) spans.push({ start, end: secret });
  }
}

/** Where user and password of the URL end whose host part begins at `start`; `start` when there are none. */
function userEnd(lower: string, start: number, end: number, lastAt: number): number {
  const bounded = lower.slice(start, Math.min(end, start + 600));
  const host = /^[^/?#]*/.exec(bounded)?.[0] ?? "";
  const [first = ""] = host.split("@", 1);
  const hasPassword = !host.startsWith("[") && /:(?!\d{0,5}(?:$|[,;)\]。，]))/.test(first);
  // a slash or a question mark may be part of the password: then the last @ of all ends it
  if (hasPassword) return lastAt > start ? lastAt : start + first.length;
  const at = host.lastIndexOf("@");
  return at === -1 ? start : start + at;
}

const LOCAL = /[a-z0-9._%+-]/;
const WORD = /[^\s"'<>(=]/;
const DOMAIN = /^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,3}\.([a-z]{2,24})(?![a-z0-9-])/;
const HOST = /^(?:[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,5}|\[[0-9a-f:.]{2,40}\])(?=[:/\s,;"')(>?]|$)/;
/** Instances of systemd's units are written like addresses. */
const UNITS = /^(?:service|socket|timer|mount|automount|slice|scope|target|device|path|swap|conf|log)$/;

/** E-mail addresses, and `user:password@host` without a scheme. */
function beforeAts(lower: string, spans: Span[]): void {
  for (const match of lower.matchAll(/@|%40/g)) {
    const at = match.index;
    const after = lower.slice(at + match[0].length, at + 300);
    const domain = DOMAIN.exec(after);
    const local = rowBefore(lower, at, 64, LOCAL);
    if (domain !== null && local < at && !UNITS.test(domain[1] ?? ""))
      spans.push({ start: local, end: at + match[0].length + domain[0].length });
    if (!HOST.test(after)) continue;
    const word = lower.slice(rowBefore(lower, at, 128, WORD), at);
    const bare = word.replace(/^(?:sips?|mailto|xmpp|im|ssh|git):/, "");
    if (/^[^:]+:./.test(bare) && !bare.includes("://") && !bare.endsWith(MASK))
      spans.push({ start: at - bare.length, end: at });
  }
}

const FLAGS = /(?:^|[\s"'])-([pPaAXcCuw])(?:[ \t]{1,4}["']?|["'],[ \t]{0,4}["']|["']|(?=[^\s-]))([^\s"']{1,256})/g;
const DATABASE = /(?:mysql|mariadb|sshpass|plink|7z|mongo|sqlcmd|isql)/;

/** Passwords given to programs by one letter: what else these letters mean stays. */
function inFlags(half: string, lower: string, spans: Span[]): void {
  const isSnmp = lower.includes("snmp");
  const isDatabase = DATABASE.test(lower);
  for (const match of half.matchAll(FLAGS)) {
    const [whole, letter = "", value = ""] = match;
    const end = match.index + whole.length;
    const isAttached = whole.endsWith(`-${letter}${value}`);
    const taken = { letter, value, isAttached, isSnmp, isDatabase, text: lower };
    if (letter === "u" && (!isAttached || lower.includes("curl"))) {
      const colon = value.indexOf(":");
      const user = value.slice(0, colon);
      const pass = value.slice(colon + 1);
      if (
        colon > 0 &&
        pass !== "" &&
        pass !== MASK &&
        !(/^\d+$/.test(user) && /^\d+$/.test(pass)) &&
        !pass.startsWith("//")
      )
        spans.push({ start: end - pass.length, end });
    } else if (isPassword(taken) && value !== MASK) spans.push({ start: end - value.length, end });
  }
}

interface Flag {
  letter: string;
  value: string;
  isAttached: boolean;
  isSnmp: boolean;
  isDatabase: boolean;
  text: string;
}

function isPassword({ letter, value, isAttached, isSnmp, isDatabase, text }: Flag): boolean {
  if (letter === "p" && isDatabase) return !isAttached || value.length >= 3;
  if (isAttached) return false;
  if (letter === "p") return isOpaque(value);
  if ("cCAX".includes(letter)) return isSnmp;
  if (letter === "P") return text.includes("mosquitto") || text.includes("ipmi");
  if (letter === "a") return text.includes("redis");
  return letter === "w" && text.includes("ldap");
}

/** No port, path, protocol, name or template. */
function isOpaque(value: string): boolean {
  if (/^\d{1,5}(?:[-:,/]\d{1,5})*(?:\/(?:tcp|udp))?$/.test(value) || /[/\\]/.test(value) || value.startsWith("$"))
    return false;
  return /[A-Z]|\d|[!#%^&*@~]/.test(value) || value.length >= 12;
}
