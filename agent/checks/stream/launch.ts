import type { CheckPorts, Judge } from "../check.ts";
import { Album } from "./album.ts";
import { type AuthHold, authHold, credentialsKey } from "./auth-hold.ts";
import type { Mode } from "./budget.ts";
import type { PassiveConfig, PlayedTarget, SipConfig, StreamConfig, Target } from "./config.ts";
import { sipName } from "./config.ts";
import { CounterWatch } from "./counter-watch.ts";
import { examinerFor, type StreamExaminer } from "./examine.ts";
import { Fleet, type Ship } from "./fleet.ts";
import { LearnStore, learntAs } from "./learn-store.ts";
import { isPlayed, openTarget, placeOf } from "./open.ts";
import type { LookPassive } from "./passive.ts";
import type { MakeThumbnail } from "./picture.ts";
import { Pictures } from "./pictures.ts";
import { Scout } from "./scout.ts";
import { serverTurns, type TakeTurn } from "./server-turn.ts";
import { SipWatch } from "./sip-watch.ts";
import { readingsOf } from "./verdict.ts";
import { Watch } from "./watch.ts";
import { lookAtWay } from "./way.ts";

/** First answers are worth a wait, as long as the check's own deadline allows. */
const WAIT_SHARE = 0.8;
/** Without media for so long a session is opened anew. RTSP asks by its keep-alive whether the old one lives. */
const RENEW_MS = { rtsp: 60_000, others: 30_000 } as const;
const LOOK_MS = 3_000;

/** What all streams share. */
interface Shared {
  ports: CheckPorts;
  hold: AuthHold;
  turn: TakeTurn;
  store: LearnStore;
  make: MakeThumbnail;
  mode: () => Mode;
  changed: () => void;
}

/** All streams of the config, ready to be asked. */
export async function openFleet(config: StreamConfig, ports: CheckPorts): Promise<Judge> {
  const { clock, keep, machine, log } = ports;
  const slot = keep?.slot ?? ports.recall;
  const store = await LearnStore.open(keep?.folder, clock);
  const hold = authHold(slot?.("stream-auth"), machine, clock);
  const turn = serverTurns();
  const make = thumbnails(ports);
  return new Fleet({
    clock,
    limits: config.budget,
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    waitMs: config.deadlineMs * WAIT_SHARE,
    log: ({ mode, because }) => log?.info({ event: "stream.mode", mode }, because),
    tick: () => void store.keep(),
    build: (mode, changed) => {
      const shared = { ports, hold, turn, store, make, mode, changed };
      return {
        ships: config.targets.flatMap((target) => shipOf(target, shared) ?? []),
        sips: config.targets.flatMap((target) => sipOf(target, shared) ?? []),
      };
    },
  });
}

function shipOf(target: Target, shared: Shared): Ship | undefined {
  if (target.type === "srt" && target.listen === undefined) return countedShip(target, shared);
  return isPlayed(target) ? playedShip(target, shared) : undefined;
}

function playedShip(target: PlayedTarget, shared: Shared): Ship {
  const { ports, hold, turn } = shared;
  const { clock, random, machine } = ports;
  const pictures = picturesOf(target, shared);
  const examiner = examinerFor(target, shared.store.learner(learntAs(target)), clock, pictures);
  const album =
    pictures === undefined || target.picture.thumbnails === "none"
      ? undefined
      : new Album(target.name, pictures, ports.keep?.folder, clock);
  const watch = new Watch({
    name: target.name,
    ...{ clock, random, examiner, hold, turn, sample: target.sample },
    open: () => openTarget(target, { machine }),
    key: () => keyOf(target, machine.at),
    mode: () => (target.mode === "auto" ? shared.mode() : target.mode),
    renewAfterMs: target.type === "rtsp" ? RENEW_MS.rtsp : RENEW_MS.others,
    changed: (conclusion) => {
      scout.heard(conclusion);
      album?.heard(conclusion);
      shared.changed();
    },
  });
  const place = placeOf(target);
  const { source } = target;
  const scout: Scout = new Scout({
    clock,
    look: lookOf(target, ports),
    way:
      place === undefined && source === undefined
        ? undefined
        : (signal) => lookAtWay({ place, source, clock, run: ports.run }, signal),
    looked: (facts) => examiner.looked(facts),
    went: (way) => examiner.went(way),
    standing: () => watch.lookNow(),
  });
  return {
    watch,
    mode: target.mode,
    readings: () => figuresOf(examiner),
    aside: () => asideOf(examiner),
    start: () => scout.start(),
    close: () => {
      scout.stop();
      pictures?.close();
    },
  };
}

function picturesOf(target: PlayedTarget, { ports, store, make }: Shared): Pictures | undefined {
  const { class: streamClass, picture } = target;
  if (!picture.enabled) return undefined;
  const { clock, random } = ports;
  const name = learntAs(target);
  const learntOsd = store.osd(name, () => pictures.learntOsd);
  const pictures = new Pictures({
    ...{ clock, random, make, streamClass, learntOsd, learner: store.learner(name) },
    ...{ everyMs: picture.everyMs, osd: picture.osd },
  });
  return pictures;
}

/** One decoder for all; its code is loaded with the first keyframe. */
function thumbnails(ports: CheckPorts): MakeThumbnail {
  let loaded: Promise<MakeThumbnail> | undefined;
  return async (keyframe, at, signal) => {
    loaded ??= import("./picture/ffmpeg.ts").then(({ thumbnailer }) => thumbnailer(ports));
    return (await loaded)(keyframe, at, signal);
  };
}

function countedShip(target: Extract<Target, { type: "srt" }>, shared: Shared): Ship {
  const examiner = examinerFor(target, shared.store.learner(learntAs(target)), shared.ports.clock);
  const { changed, ports } = shared;
  const look = later(async () => {
    const { lookSrtStats } = await import("./srt/stats.ts");
    return lookSrtStats({ file: ports.machine.at(target.statsFile) }, ports);
  });
  const watch = new CounterWatch({ name: target.name, clock: ports.clock, look, examiner, changed });
  return { watch, mode: "continuous", readings: () => ({}), aside: () => "", start: () => {}, close: () => {} };
}

const figuresOf = ({ figures }: StreamExaminer): Record<string, number> =>
  figures === undefined ? {} : readingsOf(figures);

/** A picture that nobody could look at is never said to be well. */
const asideOf = ({ view }: StreamExaminer): string =>
  view?.state === "unknown" ? `; the picture itself is unknown: ${view.says}` : "";

const keyOf = (target: Target, at: (path: string) => string): Promise<string> => {
  const { url = "", user, passwordFile } = { url: undefined, user: undefined, passwordFile: undefined, ...target };
  return credentialsKey(url, user, passwordFile === undefined ? undefined : at(passwordFile));
};

/** The counters beside a session. */
function lookOf(target: PlayedTarget, ports: CheckPorts): LookPassive | undefined {
  const config: PassiveConfig | undefined =
    target.type === "srt" ? { type: "srt", file: target.statsFile } : target.passive;
  return config === undefined ? undefined : later(() => counters(config, ports));
}

async function counters(config: PassiveConfig, ports: CheckPorts): Promise<LookPassive> {
  const { clock, run, machine } = ports;
  if (config.type === "srt")
    return (await import("./srt/stats.ts")).lookSrtStats({ file: machine.at(config.file) }, ports);
  if (config.type === "sockets") {
    const { lookSockets } = await import("./sockets/sockets.ts");
    const { port, address } = config;
    return lookSockets({ port, ...(address === undefined ? {} : { host: address }) }, { clock, run });
  }
  const { lookForwarder } = await import("./passive/look.ts");
  const at = (path: string | undefined): string | undefined => (path === undefined ? undefined : machine.at(path));
  const secrets = config.type === "zlm" ? { secretFile: at(config.secretFile) } : {};
  return lookForwarder(
    { ...config, ...secrets, passwordFile: at(config.passwordFile) },
    { clock, deadlineMs: LOOK_MS },
  );
}

/** Its code is loaded with the first look. */
function later(load: () => Promise<LookPassive>): LookPassive {
  let loaded: Promise<LookPassive> | undefined;
  return async (signal) => {
    loaded ??= load();
    return (await loaded)(signal);
  };
}

function sipOf(target: Target, shared: Shared): SipWatch | undefined {
  if (target.type !== "gb28181" || target.sip === undefined) return undefined;
  const { name, severity, sip } = target;
  const { ports, hold, changed } = shared;
  const { clock, random, machine } = ports;
  const file = sip.passwordFile === undefined ? undefined : machine.at(sip.passwordFile);
  return new SipWatch({
    name: sipName(name),
    ...{ severity, clock, random, hold, changed, everyMs: sip.everyMs },
    ask: (signal) => askPlatform(sip, ports, signal),
    key: () => credentialsKey(`${sip.host}:${sip.port} ${sip.deviceId}`, sip.user, file),
  });
}

async function askPlatform(sip: SipConfig, { clock, machine }: CheckPorts, signal: AbortSignal) {
  const { keepaliveRoundTrip } = await import("./gb28181/keepalive.ts");
  const { readSecretFile } = await import("../../../platform/small-file.ts");
  const { host, port, transport, method, deviceId, platformId, localPort, user, passwordFile } = sip;
  const credentials =
    user === undefined || passwordFile === undefined
      ? {}
      : { credentials: async () => ({ user, password: await readSecretFile(machine.at(passwordFile)) }) };
  const domain = sip.domain ?? platformId.slice(0, 10);
  return keepaliveRoundTrip(
    {
      ...{ host, port, transport, method, deviceId, platformId, domain },
      ...(localPort === undefined ? {} : { localPort }),
      ...credentials,
    },
    { clock, signal, deadlineMs: sip.deadlineMs },
  );
}
