import { randomBytes, randomInt } from "node:crypto";
import { askDatagram } from "../../../platform/datagram.ts";
import { type CheckPorts, type Condition, gradeHigh, type Judged, type Latch, worstOf } from "../check.ts";
import { within } from "../within.ts";
import { readTracking, trackingRequest } from "./chrony.ts";
import type { ClockConfig } from "./clock.ts";
import { COOKIE_BYTES, question, readAnswer, SntpRefused } from "./sntp.ts";

/** What one daemon of this machine says of the clock it sets; undefined where there is no such daemon. */
type Said =
  | { by: string; well: boolean; says: string; offsetMs?: number; readings?: Record<string, number> }
  | undefined;

type Ports = Pick<CheckPorts, "machine" | "clock">;

const LOOPBACK = "127.0.0.1";
const ANSWER_MS = 1_000;
const TIMESYNC = "/run/systemd/timesync";
const SUBJECT = "sync";

/** Asks every daemon that may set this clock; one that has the time is enough. */
export async function judgeSync(
  { sync: config, offsetMs: bands }: Pick<ClockConfig, "sync" | "offsetMs">,
  ports: Ports,
  latch: Latch,
  signal: AbortSignal,
): Promise<Judged> {
  const answers = await Promise.all([
    askTimesyncd(config, ports),
    askChrony(config, ports, signal),
    askNtp(config, ports, signal),
  ]);
  const daemons = answers.filter((answer) => answer !== undefined);
  const well = daemons.find((one) => one.well);
  const readings = Object.assign(
    { synchronised_count: well === undefined ? 0 : 1 },
    ...daemons.map((one) => one.readings),
  );
  const about = { reason: "unsynchronised", readings } as const;
  if (well !== undefined) {
    const synchronised: Condition = { ...about, grade: "ok", holds: "ok", says: `${well.by} ${well.says}` };
    // one that knows the time and cannot or may not set it
    return worstOf(SUBJECT, [synchronised, ...offBy(well, bands)], latch);
  }
  const says =
    daemons.length === 0
      ? "nothing sets this clock: neither systemd-timesyncd nor chronyd nor an NTP daemon answers"
      : daemons.map((one) => `${one.by} ${one.says}`).join("; ");
  const upMs = 1_000 * Number.parseFloat(ports.machine.read("/proc/uptime") ?? "");
  const young = upMs < config.bootGraceMs;
  return worstOf(SUBJECT, [{ ...about, grade: young ? "ok" : "minor", holds: "minor", says }], latch);
}

function offBy({ by, offsetMs }: NonNullable<Said>, bands: ClockConfig["offsetMs"]): Condition[] {
  if (offsetMs === undefined) return [];
  const off = Math.round(offsetMs * 10) / 10;
  const says = `the clock is ${Math.abs(off)} ms ${off < 0 ? "behind" : "ahead of"} the time ${by} knows`;
  return [{ ...gradeHigh(Math.abs(off), bands), reason: "offset", value: off, unit: "ms", says, readings: {} }];
}

/** systemd-timesyncd touches a file each time it has heard of the time. */
async function askTimesyncd({ staleMs }: ClockConfig["sync"], { machine, clock }: Ports): Promise<Said> {
  if (machine.stat(TIMESYNC) === undefined) return undefined;
  const heard = machine.stat(`${TIMESYNC}/synchronized`);
  const by = "systemd-timesyncd";
  if (heard === undefined) return { by, well: false, says: "has not found the time since the start" };
  return aged(by, clock.wall() - heard.mtimeMs, staleMs, "");
}

const aged = (by: string, agoMs: number, staleMs: number, from: string): NonNullable<Said> => ({
  by,
  well: agoMs < staleMs,
  says: `heard the time${from} ${Math.max(0, Math.round(agoMs / 1_000))} s ago`,
});

async function askChrony(
  { chronyPort, staleMs }: ClockConfig["sync"],
  ports: Ports,
  signal: AbortSignal,
): Promise<Said> {
  const sequence = randomInt(2 ** 32);
  const take = (bytes: Uint8Array) => readTracking(bytes, sequence);
  const tracking = await answered(chronyPort, trackingRequest(sequence), take, ports, signal);
  if (tracking === undefined) return undefined;
  const by = "chronyd";
  const { leap, stratum, local, reference, offsetMs, frequencyPpm, heardMs } = tracking;
  if (local) return { by, well: false, says: "hands out this machine's own clock: it has no source" };
  if (leap === 3 || stratum === 0) return { by, well: false, says: "runs, but has no source it trusts" };
  const offset = Math.round(offsetMs * 1_000) / 1_000;
  const readings = { sync_offset_ms: offset, frequency_ppm: Math.round(frequencyPpm * 1_000) / 1_000 };
  return {
    ...aged(by, ports.clock.wall() - heardMs, staleMs, ` from ${reference} (stratum ${stratum})`),
    offsetMs,
    readings,
  };
}

/** ntpd, ntpsec, busybox ntpd -l: a daemon that has the time gives it to whoever asks here. */
async function askNtp({ ntpPort }: ClockConfig["sync"], ports: Ports, signal: AbortSignal): Promise<Said> {
  const cookie = randomBytes(COOKIE_BYTES);
  const take = (bytes: Uint8Array) => {
    try {
      return readAnswer(bytes, cookie, ports.clock.wall());
    } catch (error) {
      if (error instanceof SntpRefused) return undefined;
      throw error;
    }
  };
  const answer = await answered(ntpPort, question(cookie), take, ports, signal);
  if (answer === undefined) return undefined;
  const { leap, stratum, reference } = answer;
  const by = "the NTP daemon";
  if (reference === OWN_CLOCK) return { by, well: false, says: "hands out this machine's own clock: it has no source" };
  if (leap === 3 || stratum === 0 || stratum >= 16)
    return { by, well: false, says: "runs, but has not found the time" };
  return { by, well: true, says: `has the time from ${reference} (stratum ${stratum})` };
}

const OWN_CLOCK = "127.127.1.1";

/** Undefined where nothing answers soon: on this very machine that is nobody. */
async function answered<T>(
  port: number,
  request: Uint8Array,
  take: (bytes: Uint8Array) => T | undefined,
  { clock }: Ports,
  signal: AbortSignal,
): Promise<T | undefined> {
  const enough = new AbortController();
  const asking = askDatagram(
    { address: LOOPBACK, port },
    request,
    take,
    AbortSignal.any([signal, enough.signal]),
  ).catch(() => undefined); // no daemon of this kind here: the next is asked
  try {
    return (await within(asking, ANSWER_MS, clock, signal)) ? await asking : undefined;
  } finally {
    enough.abort();
  }
}
