import { blockAfter } from "./redact-blocks.ts";
import { MASK, rowBefore, type Searched, type Span } from "./searched.ts";

/** Where the name of a secret may stand: a cheap look before the name is taken apart. */
const STEM =
  /pass|pwd|pswd|secret|credential|token|key|psk|auth|cookie|session|community|otp|sid|sig|pin码|pin|pw|mima|kouling|密码|口令|密钥|秘钥|令牌|私钥|验证码|动态码|授权码|校验码|鉴权码|访问码|提取码|access_?code/g;
const NAME_SIGN = /[\w.-]/;
const NAME_AFTER = /^[\w.-]{0,80}/;
const HAN = /[\u3400-\u9fff]/;
const HAN_AFTER = /^[\u3400-\u9fff]{0,8}/;

const SECRET_PARTS =
  /^(?:pass|passwd|passphrase|passcode|password|passwort|masterauth|tokens|pwd|pswd|secret|secrets|token|psk|otp|mima|kouling|cookie|cookies|community|authorization|authtok|jsessionid|phpsessid|sessionid|sessid|apikey|secretkey|accesskey|privatekey|privkey|authkey|sharedkey|presharedkey|encryptionkey|signingkey|masterkey|appkey|appsecret|accesstoken|authtoken|refreshtoken|sessionkey|userpwd|bindpw|rootpw|pincode|credential|credentials)$/;
const SECRET_WITHIN =
  /(?<!by|com|low|high|band|sur|tres|under|over|all|first|second|multi)pass$|community$|passw|passphrase|pwd$|secret|密码|口令|密钥|秘钥|令牌|私钥|验证码|动态码|授权码|校验码|鉴权码|访问码|提取码|pin码|(?:access|auth)[_-]?code$/;
/** What makes a secret of a `key`. */
const KEY_OF =
  /^(?:api|access|private|priv|secret|encryption|encrypt|encoding|shared|preshared|pre|signing|sign|master|auth|license|licence|account|app|client|storage|session|aes|des|sm4|rsa|hmac|wep|wpa|ssh|data|cipher|crypt|ak|sk|service|admin|root|user|device|product|enc|dec|subscription|mqtt|cloud|push|webhook|x|security)$/;
/** What comes last in a name that only tells something about a secret. */
const HARMLESS_LAST =
  /^(?:files?|path|dir|folder|authentication|age|length|len|count|type|policy|enabled?|disabled?|required|expiry|expires|expired|expiration|ttl|name|url|uri|attempts?|tries|retries|timeout|changed|change|prompt|errors?|failed|failure|lockout|min|max|size|days|hint|status|state|reset|location|format|version|algorithm|alg|method|manager|agent|lines|bits|usage|exchange|rotation|interval|id|ids|limit|rate|index|store|domain|path|samesite|secure|only|logins?|keys?dir|exception|java|kt|scala|py|js|ts|go|rs|c|cc|cpp|h|php|lua)$/;
/** May be a secret or not: it is one where the value looks like one. */
const WEAK_PARTS = /^(?:key|auth|pin|sid|sig|signature|pw|session|keys)$/;
const HEADER = /^(?:(?:proxy-?)?authorization|(?:set-?)?cookie|x-[a-z-]{0,30}(?:token|key|auth|secret))$/;

type Kind = "header" | "secret" | "weak";

/** What a setting of this name holds; undefined when it is nothing secret. `name` in its own case: `dbPassword`, `API_KEY`. */
function kindOf(name: string): Kind | undefined {
  const lower = name.toLowerCase().replace(/^[.-]+|[.-]+$/g, "");
  if (HEADER.test(lower)) return "header";
  const parts = name
    .replace(/([a-z\d])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .split(/[_.-]+/)
    .map((part) => part.replace(/\d+$/, ""))
    .filter((part) => part !== "");
  const last = parts.at(-1) ?? "";
  if (parts.length > 1 && HARMLESS_LAST.test(last)) return undefined;
  if (parts.some((part) => SECRET_PARTS.test(part)) || SECRET_WITHIN.test(lower)) return "secret";
  if (last === "key" && parts.some((part) => KEY_OF.test(part))) return "secret";
  return WEAK_PARTS.test(last) ? "weak" : undefined;
}

/** Whether a setting of this name is a password, token or key. */
export function isSecretName(name: string): boolean {
  const kind = name.length <= 160 ? kindOf(name) : undefined;
  return kind === "secret" || kind === "header";
}

/** Values of password, token and key settings: `key=value`, `"key": "value"`, `<key>value</key>`, `--key value`, `Key: value`, zh. */
export function secretValues({ half, lower }: Searched): Span[] {
  const spans: Span[] = [];
  const stem = new RegExp(STEM);
  for (let match = stem.exec(lower); match !== null; match = stem.exec(lower)) {
    const name = nameAround(lower, match.index, match[0]);
    stem.lastIndex = Math.max(stem.lastIndex, name.end);
    const kind = kindOf(half.slice(name.start, name.end));
    const span = kind === undefined ? undefined : valueAfter(half, lower, name, kind);
    if (span === undefined) continue;
    spans.push(span);
    stem.lastIndex = Math.max(stem.lastIndex, span.end);
  }
  return spans;
}

/** The whole name that the stem at `at` is part of. */
function nameAround(lower: string, at: number, stem: string): Span {
  const han = stem > "\u3400";
  const start = rowBefore(lower, at, han ? 12 : 80, han ? HAN : NAME_SIGN);
  const after = (han ? HAN_AFTER : NAME_AFTER).exec(lower.slice(at + stem.length, at + stem.length + 80))?.[0] ?? "";
  // 密码为 and 密码是 end before the verb
  const verb = han ? after.search(/[为是]/) : -1;
  const more = verb === -1 ? after.length : verb;
  return { start, end: at + stem.length + more };
}

const SEPARATOR = /^(?:\\{0,4}["'`\])]|&quot;|&#34;)?[ \t]{0,16}(?::=|[:=]{1,2}>?|->|%3[ad])[ \t]{0,16}/;
const ATTRIBUTES_END = /^(?:[ \t][^<>\n]{0,100})?>/;
const VALUE_ATTRIBUTE = /^\\{0,4}["']?[ \t]{0,8}[,;]?\s{0,16}\\{0,4}["']?value\\{0,4}["']?\s{0,8}[:=]\s{0,8}/;
/** Behind a flag; between them in a list of arguments. */
const FLAG_SPACE = /^(?:[ \t]{1,8}|["'],[ \t]{0,4}["'])(?!-)/;
const QUOTED_NEXT = /^[ \t]{1,8}(?=["'])/;
const VERB = /^(?:[ \t]{1,4}(?:is|was|set to|changed to)[ \t:]{1,4}|[ \t]{0,4}[为是][ \t:]{0,4}|[ \t]{1,4}(?=[!-~]))/;
/** Chinese needs no space: 密码Abc123, 密码（Abc123）; but 密码8-20位, 密码错误13/15 and 密码2026-12-01过期 are about one. */
const ATTACHED =
  /^[ \t]{0,2}[([{<"'`“”‘「『【《]?[ \t]{0,2}(?=[!-~]{4})(?!\d{1,4}[\d~-]{0,6}[次位天分秒个年月日种条台]|\d{1,4}[/-]\d{1,2}(?![\w])|\d{4}[/-]\d|[\w.-]{1,40}[=:])/;
/** Words of config files that stand in no sentence. */
const DIRECTIVE = /^(?:r[ow]community6?|trapcommunity|requirepass|masterauth|wpa-psk|bindpw|rootpw)$/;
const ALONE_IN_LINE = /^[ \t]{1,40}(?=\S{1,200}[ \t]*(?:$|\r?\n))/;
const LINE_START = /(?:^|\n)[ \t"'#;>-]{0,40}(?:(?:export|set|setenv|environment=)[ \t]{0,4}["']?)?$/;
const TAKES_BARE = /(?<![a-z])(?:login|machine|snmp-server|snmp|identified by)\b[^\n]{0,40}$/;

/** Where the value that belongs to a name stands. */
function valueAfter(half: string, lower: string, name: Span, kind: Kind): Span | undefined {
  const { start, end } = name;
  const next = lower.slice(end, end + 160);
  const before = lower.slice(Math.max(0, start - 64), start);
  const separator = SEPARATOR.exec(next)?.[0];
  const value = (skip: string, how: How): Span | undefined =>
    judged(half, end + skip.length, kind, how, lower.slice(start, end));
  if (separator !== undefined) {
    if (lower.startsWith("//", end + separator.length) && separator.endsWith(":")) return undefined; // key://
    const wholeLine = LINE_START.test(start > 64 ? before : `\n${before}`) && separator.search(/["'`]/) === -1;
    const coded = separator.includes("%");
    const block = kind === "secret" && wholeLine ? blockAfter(half, start, end + separator.length) : undefined;
    if (block !== undefined) {
      const last = trimmed(half, block.start, block.end);
      return last === block.start || half.slice(block.start, last) === MASK ? undefined : { ...block, end: last };
    }
    if (kind === "header") return value(separator, { ends: "line", quote: quoteBefore(before) });
    return value(separator, {
      ends: coded ? "coded" : wholeLine ? "setting" : "word",
      tight: !/[ \t]/.test(separator) && separator.includes("="),
    });
  }
  const opened = /<\/?(?:[\w-]{1,40}:)?$/.test(before);
  const tag = opened ? ATTRIBUTES_END.exec(next)?.[0] : /^["'][ \t]{0,4}>/.exec(next)?.[0];
  if (tag !== undefined) return before.endsWith("/") ? undefined : value(tag, { ends: "tag" });
  const attribute = VALUE_ATTRIBUTE.exec(next)?.[0];
  if (attribute !== undefined) return value(attribute, { ends: "word" });
  if (/^(?:\]|密码$)/.test(next)) return undefined;
  return bareAfter(half, lower, name, kind, next, before);
}

/** Without a sign between name and value only few ways of writing are taken as one: most are sentences about passwords. */
function bareAfter(
  half: string,
  lower: string,
  { start, end }: Span,
  kind: Kind,
  next: string,
  before: string,
): Span | undefined {
  const value = (skip: string, how: How): Span | undefined =>
    judged(half, end + skip.length, kind, how, lower.slice(start, end));
  const flag = before.endsWith("-") || lower.startsWith("-", start) ? FLAG_SPACE.exec(next)?.[0] : undefined;
  if (flag !== undefined) return value(flag, { ends: "word" });
  if (kind !== "secret") return undefined;
  const name = lower.slice(start, end);
  const isToken = name.includes("token");
  if (DIRECTIVE.test(name)) return value(/^[ \t]{0,8}/.exec(next)?.[0] ?? "", { ends: "word" });
  const quoted = isToken ? undefined : QUOTED_NEXT.exec(next)?.[0];
  if (quoted !== undefined) return value(quoted, { ends: "word" });
  const bare = ALONE_IN_LINE.exec(next)?.[0] ?? (TAKES_BARE.test(before) ? /^[ \t]{1,8}/.exec(next)?.[0] : undefined);
  if (bare !== undefined && (TAKES_BARE.test(before) || LINE_START.test(start > 64 ? before : `\n${before}`)))
    return value(bare, { ends: "word" });
  const attached = name > "\u3400" ? ATTACHED.exec(next)?.[0] : undefined;
  if (attached !== undefined) return value(attached, { ends: "ascii", mustLook: true });
  const verb = VERB.exec(next)?.[0];
  if (verb === undefined || (verb.trim() === "" && name < "\u3400")) return undefined;
  return value(verb, { ends: "word", mustLook: true });
}

/** How far a value goes: to the next space or sign of another script, to the end of the line or of a setting's line, to the next tag or `%26`. */
interface How {
  ends: "word" | "ascii" | "line" | "setting" | "tag" | "coded";
  /** The quote that stands before the name closes the whole. */
  quote?: string | undefined;
  /** `key=value` in one piece. */
  tight?: boolean;
  /** Only where the value looks like a secret. */
  mustLook?: boolean;
}

const quoteBefore = (before: string): string | undefined => /["']$/.exec(before)?.[0];
const HARMLESS =
  /^(?:yes|no|true|false|on|off|null|none|nil|undefined|empty|missing|invalid|incorrect|expired|wrong|failed|denied|rejected|required|accepted|not|ok|optional|sufficient|requisite|prohibit-password|without-password|\(null\)|\(none\)|<none>|<unset>|\*+)$/;

/** What may be no secret at all is only looked at so far: a text of nothing but such names must not be read again and again. */
const MOST_UNSURE = 512;
const MOST_LIST = 4_096;

/** The span of the value that begins at `at`, undefined when there is none or it is none of a secret. */
function judged(half: string, from: number, kind: Kind, how: How, name: string): Span | undefined {
  const at = from + (/^[ubr]{1,2}(?=["'])/i.exec(half.slice(from, from + 3))?.[0].length ?? 0); // u'…', b"…": Python's
  const open = /^\\{0,4}(?:["'`]|&quot;|&#34;)/.exec(half.slice(at, at + 12))?.[0] ?? "";
  const start = at + (how.ends === "tag" ? 0 : open.length);
  if (open === "" && half.charAt(start) === "{") return undefined; // the settings in it are looked at one by one
  const isSure = kind !== "weak" && how.mustLook !== true;
  const until = (text: string): number =>
    how.ends !== "tag" && open !== "" ? closing(text, start, open) : endOf(text, start, how);
  const end = until(isSure ? half : half.slice(0, start + MOST_UNSURE));
  const plain = half.slice(start, end).trim().toLowerCase();
  if (plain === "" || plain === MASK || HARMLESS.test(plain)) return undefined;
  if (open === "" && plain.startsWith("[") && kind !== "header") return listOf(half, start);
  if (!isSure && !looksSecret(plain, how)) return undefined;
  if (/^-*(?:pass|tokens?)$/.test(name) && /^\d{1,4}$/.test(plain)) return undefined; // counts of a test or a parser
  if (plain.startsWith(MASK) && how.ends === "line") return undefined;
  return { start, end: end === start + MOST_UNSURE && !isSure ? until(half) : end };
}

/** A list of secrets goes as a whole. */
function listOf(half: string, start: number): Span | undefined {
  const close = half.slice(start, start + MOST_LIST).search(/[\]\n]/);
  const end = close === -1 ? Math.min(half.length, start + MOST_LIST) : start + close;
  return /^\[\s*(?:\*{3})?\s*$/.test(half.slice(start, end)) ? undefined : { start: start + 1, end };
}

function looksSecret(value: string, { tight, mustLook }: How): boolean {
  if (/^(?:\.{0,2}\/|[a-z]:\\)[\w./\\-]+$/.test(value)) return false;
  if (tight === true && mustLook !== true) return value.length >= 4 && !/^0x[0-9a-f]{1,8}$/.test(value);
  return (
    value.length >= 4 &&
    (/\d/.test(value) || value.length >= 16 || (mustLook === true && /[!#$%^&*@~]/.test(value))) &&
    !/^0x[0-9a-f]{1,16}$/.test(value) &&
    !/\s/.test(value)
  );
}

/** The end of a quoted value: its own quote, escaped as often as the opening one; or the end of the line. */
function closing(half: string, start: number, open: string): number {
  if (open.startsWith("&")) return ends(half, start, /&(?:quot|#34);|\n/g);
  const quote = open.at(-1) ?? "";
  const depth = open.length - 1;
  for (let at = start; at < half.length; at += 1) {
    const one = half.charAt(at);
    if (one === "\n") return at;
    if (one !== quote) continue;
    let slashes = 0;
    while (slashes < 8 && half.charAt(at - 1 - slashes) === "\\" && at - 1 - slashes >= start) slashes += 1;
    if (depth === 0 ? slashes % 2 === 0 : slashes <= depth) return at - Math.min(slashes, depth);
  }
  return half.length;
}

const ENDS = {
  word: /[\s"'<>`]/g,
  ascii: /[^!-~]|["'<>`)\]}]/g,
  coded: /[\s"'<>]|%26|%22/gi,
  line: /[\r\n]/g,
  setting: /[\r\n]/g,
  tag: /</g,
} as const;
/** The next setting of a row begins: `, user=` or `&user=` or ` user=`. */
const NEXT_SETTING = /[,;&\s]\s{0,4}["']?[a-z_][\w.-]{0,60}["']?[ \t]{0,2}[:=]/gi;

function endOf(half: string, start: number, how: How): number {
  const far = how.quote === undefined ? ENDS[how.ends] : new RegExp(`[\\r\\n${how.quote}]`, "g");
  const end = ends(half, start, new RegExp(far));
  if (how.ends !== "word" && how.ends !== "setting") return trimmed(half, start, end);
  const next = new RegExp(NEXT_SETTING);
  next.lastIndex = start;
  const at = next.exec(half.slice(0, end))?.index ?? end;
  return trimmed(half, start, at);
}

function ends(half: string, start: number, sign: RegExp): number {
  sign.lastIndex = start;
  return sign.exec(half)?.index ?? half.length;
}

/** Without the spaces and the signs that close a sentence or a bracket around it. */
function trimmed(half: string, start: number, end: number): number {
  let at = end;
  while (at > start && /[\s,;)\]}。，；）】]/.test(half.charAt(at - 1))) at -= 1;
  return at;
}
