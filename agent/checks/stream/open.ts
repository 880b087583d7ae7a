import type { Place } from "../../../platform/dial.ts";
import type { Machine } from "../../../platform/machine.ts";
import { readSecretFile } from "../../../platform/small-file.ts";
import type { PlayedTarget, Target } from "./config.ts";
import type { Credentials, Play } from "./media.ts";

/** User name and password where they come from no file of the config. */
export interface Secrets {
  user: string;
  password(): Promise<string>;
}

interface OpenPorts {
  machine: Machine;
  secrets?: Secrets;
}

/**
 * A session with this target made ready; the code of its protocol is loaded with the first. Passwords are read when they are
 * needed, and kept nowhere. Rejects with Failure FILE_UNUSABLE.
 */
export async function openTarget(target: PlayedTarget, { machine, secrets }: OpenPorts): Promise<Play> {
  const ca = "caFile" in target && target.caFile !== undefined ? { caFile: machine.at(target.caFile) } : {};
  switch (target.type) {
    case "rtsp": {
      const { playRtsp } = await import("./rtsp/play.ts");
      const { url, transport } = target;
      const credentials = credentialsOf(target, machine, secrets);
      const login = credentials === undefined ? {} : { credentials };
      return (session) => playRtsp({ url, transport, ...login, ...ca }, session);
    }
    case "rtmp": {
      const { playRtmp } = await import("./rtmp/play.ts");
      return (session) => playRtmp({ url: target.url }, session);
    }
    case "flv": {
      const { playFlv } = await import("./flv/play.ts");
      return (session) => playFlv({ url: target.url, ...ca }, session);
    }
    case "hls": {
      const { playHls } = await import("./hls/play.ts");
      const credentials = credentialsOf(target, machine, secrets);
      return (session) => playHls({ url: target.url, credentials, ...ca }, session);
    }
    case "gb28181": {
      const { playGb } = await import("./gb28181/play.ts");
      const { listen, ssrc, from, transport } = target.media;
      const only = { ...(ssrc === undefined ? {} : { ssrc }), ...(from === undefined ? {} : { from }) };
      return (session) => playGb({ listen: placeOfListen(listen), transport, ...only }, session);
    }
    case "ts":
    case "srt": {
      const { playTsUdp } = await import("./ts/play.ts");
      return (session) => playTsUdp(placeOfListen(target.listen), session);
    }
  }
}

/** Whether a session can be opened to it; a platform is only asked, and counters are only read. */
export const isPlayed = (target: Target): target is PlayedTarget =>
  !(target.type === "gb28181" && target.media === undefined) && !(target.type === "srt" && target.listen === undefined);

const placeOfListen = ({ address, port }: { address: string; port: number }): Place => ({ host: address, port });

function credentialsOf(
  { user, passwordFile }: { user?: string | undefined; passwordFile?: string | undefined },
  machine: Machine,
  secrets: Secrets | undefined,
): (() => Promise<Credentials>) | undefined {
  if (secrets !== undefined) return async () => ({ user: secrets.user, password: await secrets.password() });
  if (user === undefined || passwordFile === undefined) return undefined;
  return async () => ({ user, password: await readSecretFile(machine.at(passwordFile)) });
}

const PORTS: Readonly<Record<string, number>> = {
  "rtsp:": 554,
  "rtsps:": 322,
  "rtmp:": 1_935,
  "http:": 80,
  "https:": 443,
};

/** Where a target is asked; undefined where we wait for what is sent to us. */
export function placeOf(target: Target): Place | undefined {
  if (!("url" in target)) return undefined;
  const { hostname, port, protocol } = new URL(target.url);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) || (PORTS[protocol] ?? 0) };
}
