import { resolve } from "node:path";
import { parseConfig } from "../platform/config-file.ts";
import { Failure } from "../protocol/failure.ts";
import { type Target, TargetConfig } from "./checks/stream/config.ts";

/** What was said on the command line, beside the address. */
export interface ProbeFlags {
  user: string | undefined;
  passwordFile: string | undefined;
  transport: string | undefined;
  class: string | undefined;
  caFile: string | undefined;
  picture: boolean;
}

/** Which kind of stream an address is, by its scheme and how its path ends; undefined when none. */
function typeOf({ protocol, pathname }: URL): Target["type"] | undefined {
  if (protocol === "rtsp:" || protocol === "rtsps:") return "rtsp";
  if (protocol === "rtmp:") return "rtmp";
  if (protocol === "udp:") return "ts";
  if (protocol !== "http:" && protocol !== "https:") return undefined;
  if (/\.flv$/i.test(pathname)) return "flv";
  return /\.m3u8?$/i.test(pathname) ? "hls" : undefined;
}

/** The address as a target of the config would be, with everything else as it is when left out. Throws ARGUMENT_INVALID or CONFIG_INVALID. */
export function targetOfUrl(word: string, flags: ProbeFlags): Target {
  const url = URL.canParse(word) ? new URL(word) : undefined;
  if (url !== undefined && url.username + url.password !== "")
    throw new Failure(
      "ARGUMENT_INVALID",
      "a password in the address stays in the shell's history and in the list of processes: give --user NAME, and --password-file FILE or type it when asked",
    );
  const type = url === undefined ? undefined : typeOf(url);
  if (url === undefined || type === undefined)
    throw new Failure(
      "ARGUMENT_INVALID",
      "an address is rtsp://…, rtsps://…, rtmp://…, http(s)://….flv, http(s)://….m3u8 or udp://@ADDRESS:PORT (MPEG-TS)",
    );
  if (flags.user !== undefined && type !== "rtsp" && type !== "hls")
    throw new Failure(
      "ARGUMENT_INVALID",
      `--user is for RTSP and HLS: no password is shown to a stream of type ${type}`,
    );
  if (flags.passwordFile !== undefined && flags.user === undefined)
    throw new Failure("ARGUMENT_INVALID", "--password-file needs --user NAME");
  const given = { class: flags.class, transport: flags.transport, caFile: absolute(flags.caFile) };
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const place = type === "ts" ? { listen: { address: hostOf(url), port: Number(url.port) } } : { url: word };
  // a user whose password is asked for has no file: that of the target says only how it is kept
  const passwordFile = absolute(flags.passwordFile);
  const login = passwordFile === undefined ? {} : { user: flags.user, passwordFile };
  const whole = { name: url.host || type, type, ...place, ...said, ...login, picture: { enabled: flags.picture } };
  return parseConfig(JSON.stringify(whole), TargetConfig, "the command line");
}

/** A person names a file from where they stand. */
const absolute = (file: string | undefined): string | undefined => (file === undefined ? undefined : resolve(file));

const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, "");
