import type { Cause } from "./causes.ts";
import { seconds } from "./causes.ts";
import { isFed, type PassiveLooks } from "./hop.ts";
import type { Learnt } from "./learn.ts";
import type { Thresholds } from "./thresholds.ts";

/** What counters alone say of a stream to which no session is open. Pure. */

/** Bytes of media in a packet of SRT: seven of MPEG-TS. */
const PACKET_BYTES = 1_316;

/** `live` where the counters move as they should; a cause where they do not; undefined where they do not tell. */
export function judgeCounters(looks: PassiveLooks, learnt: Learnt, limits: Thresholds): "live" | Cause | undefined {
  const fed = isFed(looks);
  const { before, now } = looks;
  const apartMs = now.at - before.at;
  if (now.fed === false)
    return { reason: "missing", state: "no_media", severity: limits.dead, says: `nobody feeds it: ${now.says}` };
  if (fed === undefined || (!fed && apartMs < limits.silentMs)) return undefined;
  if (!fed)
    return {
      reason: "no_media",
      state: "no_media",
      severity: limits.dead,
      says: `the counters stand for ${seconds(apartMs)}: ${now.says}`,
      value: Math.round(apartMs),
      unit: "ms",
    };
  const bytes = (now.inBytes ?? Number.NaN) - (before.inBytes ?? Number.NaN);
  return lossOf(looks, bytes, limits) ?? lowOf(bytes, apartMs, learnt, limits) ?? "live";
}

function lossOf({ before, now }: PassiveLooks, bytes: number, limits: Thresholds): Cause | undefined {
  const lost = (now.lost ?? Number.NaN) - (before.lost ?? Number.NaN);
  if (!(bytes > 0) || !(lost >= 2)) return undefined;
  const pct = (lost / (lost + bytes / PACKET_BYTES)) * 100;
  if (pct < limits.lossWarnPct) return undefined;
  const severity = pct >= limits.lossPct ? "minor" : "warning";
  const says = `${pct.toPrecision(3)} % of the packets were lost on the way in (${lost} packets): ${now.says}`;
  return { reason: "loss", state: "degraded", severity, says, value: pct, unit: "pct" };
}

function lowOf(bytes: number, apartMs: number, { kbps: usual }: Learnt, limits: Thresholds): Cause | undefined {
  const kbps = (bytes * 8) / apartMs;
  if (usual === undefined || !(kbps < (usual * limits.bitratePct) / 100) || kbps < 0) return undefined;
  const says = `${kbps.toFixed(0)} kbit/s come in, usual are ${usual.toFixed(0)}`;
  return { reason: "bitrate", state: "degraded", severity: "minor", says, value: kbps, unit: "kbps" };
}
