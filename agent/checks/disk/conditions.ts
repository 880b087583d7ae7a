import type { Space } from "../../../platform/machine.ts";
import type { Grade } from "../../../protocol/severity.ts";
import { type Bands, type Condition, gradeLow, type Judged, type Latch, worstOf } from "../check.ts";
import type { Mount } from "../mounts.ts";
import type { MountLimits } from "./config.ts";
import type { Written } from "./probe.ts";
import type { Fall } from "./trend.ts";

/** Everything known of one volume at one moment. */
export interface VolumeFacts {
  subject: string;
  limits: MountLimits;
  /** Its loss stops the device or the agent: root, or the agent's own state. */
  isVital: boolean;
  /** It takes no writes, and why that is a fault or is not. */
  readonly: ReadonlyState | undefined;
  written: Written | undefined;
  space: Space;
  fall: Fall | undefined;
}
export type ReadonlyState = { byDesign: true } | { byDesign: false; says: string };

const HOUR = 3_600_000;

/** Whether a mount that takes no writes is meant to be so. Undefined while it does take them. */
export function judgeReadonly(
  mount: Mount,
  known: {
    policy: MountLimits["readonly"];
    /** What /etc/fstab says. */
    declared: "ro" | "rw" | undefined;
    /** It took writes while we watched. */
    wasWritable: boolean;
    isLower: boolean;
    /** Errors the file system noted in itself. */
    errors: number;
  },
): ReadonlyState | undefined {
  const { policy, declared, wasWritable, isLower, errors } = known;
  if (!mount.readonly && !mount.emergency) return undefined;
  if (policy === "allowed") return { byDesign: true };
  if (mount.emergency) return fault("shut for writing by the kernel because of an error");
  if (policy === "fault") return fault("read-only, against this device's config");
  if (isLower || declared === "ro") return { byDesign: true };
  if (errors > 0) return fault(`read-only, and the file system noted ${errors} error${errors === 1 ? "" : "s"}`);
  if (declared === "rw") return fault("read-only, while /etc/fstab says it is writable");
  return wasWritable ? fault("turned read-only") : { byDesign: true };
}

const fault = (says: string): ReadonlyState => ({ byDesign: false, says });

/** One volume judged. Of equally bad conditions the nearer cause decides: no writing, then no room, then the forecast. */
export function judgeVolume(facts: VolumeFacts, latch: Latch): Judged {
  const { space } = facts;
  const readings = {
    ...(usable(space) > 0 ? { free_pct: round(percent(space.freeBytes, usable(space))) } : {}),
    free_bytes: space.freeBytes,
    total_bytes: space.totalBytes,
    ...(space.totalInodes > 0 ? { inodes_free_pct: round(percent(space.freeInodes, space.totalInodes)) } : {}),
  };
  const known: Condition = { grade: "ok", holds: "ok", reason: "space", readings };
  if (facts.readonly?.byDesign === true) return worstOf(facts.subject, [known]); // an image made full stays full
  const [share, floor] = room(facts, readings.free_pct);
  const others = [floor, inodes(facts, readings.inodes_free_pct), forecast(facts), known];
  const judged = worstOf(facts.subject, [writing(facts), share, ...others], latch);
  return judged.holds === "ok" ? worstOf(facts.subject, [share, ...others]) : judged; // all well: tell the room there is
}

/** What an ordinary user may use, in all: without the blocks kept for root. */
const usable = ({ totalBytes, unusedBytes, freeBytes }: Space): number =>
  Math.max(0, totalBytes - unusedBytes) + Math.max(0, freeBytes);

function writing({ readonly, written, isVital }: VolumeFacts): Condition {
  const grade: Grade = isVital ? "critical" : "major";
  const bad = (reason: string, says: string): Condition => ({ grade, holds: grade, reason, says, readings: {} });
  if (readonly?.byDesign === false) return bad("readonly", readonly.says);
  switch (written?.ended) {
    case "readonly":
      return bad("readonly", `a write was refused (${written.errno ?? "EROFS"}), while it is mounted for writing`);
    case "io":
      return bad("io", `a write failed with ${written.errno ?? "EIO"}`);
    case "late":
      return bad("io", `a write of one byte has not ended in ${Math.round(written.forMs / 1000)} s`);
    case "written":
    case "full":
    case "denied":
    case undefined:
      return { grade: "ok", holds: "ok", reason: "readonly", readings: {} };
  }
}

/** Free bytes and inodes between which no threshold of these limits is crossed: what a look between rounds compares with. */
export interface Calm {
  bytes: readonly [above: number, below: number];
  inodes: readonly [above: number, below: number];
}

/** The calm around a volume as it was just judged. */
export function calmAround(space: Space, limits: MountLimits): Calm {
  const shares = edges(limits.space).map((pct) => (pct * usable(space)) / 100);
  const inodeEdges = space.totalInodes > 0 ? edges(limits.inodes).map((pct) => (pct * space.totalInodes) / 100) : [];
  return {
    bytes: between([...shares, ...edges(limits.floorBytes)], space.freeBytes),
    inodes: between(inodeEdges, space.freeInodes),
  };
}

/** True when nothing was crossed. On an edge counts as crossed: asking once too often does no harm. */
export const isCalm = ({ bytes, inodes: nodes }: Calm, { freeBytes, freeInodes }: Space): boolean =>
  freeBytes > bytes[0] && freeBytes < bytes[1] && freeInodes > nodes[0] && freeInodes < nodes[1];

/** Faster than any disk of a device writes, bytes a second, or makes files, inodes a second. */
const FASTEST = { bytes: 1e9, inodes: 1e5 };

/** For how long nothing can be crossed, ms: 0 where there is an edge above, since room comes back in one moment. */
export function calmForMs({ bytes, inodes: nodes }: Calm, { freeBytes, freeInodes }: Space): number {
  if (Math.min(bytes[1], nodes[1]) < Number.POSITIVE_INFINITY) return 0;
  return 1_000 * Math.min((freeBytes - bytes[0]) / FASTEST.bytes, (freeInodes - nodes[0]) / FASTEST.inodes);
}

const edges = (bands: Bands): number[] =>
  Object.values(bands).flatMap((band) => (band === undefined ? [] : [band.raise, band.clear]));

const between = (all: readonly number[], value: number): readonly [number, number] => [
  Math.max(Number.NEGATIVE_INFINITY, ...all.filter((edge) => edge < value)),
  Math.min(Number.POSITIVE_INFINITY, ...all.filter((edge) => edge > value)),
];

function room({ limits, space }: VolumeFacts, freePct: number | undefined): [Condition, Condition] {
  const none: Condition = { grade: "ok", holds: "ok", reason: "space", readings: {} };
  if (freePct === undefined) return [none, none];
  const says = `${freePct} % free, ${human(space.freeBytes)} of ${human(usable(space))}`;
  const share = gradeLow(percent(space.freeBytes, usable(space)), limits.space);
  const floor = gradeLow(space.freeBytes, limits.floorBytes);
  return [
    { ...none, ...share, value: freePct, unit: "%", says },
    { ...none, ...floor, value: space.freeBytes, unit: "B", says },
  ];
}

function inodes({ limits, space }: VolumeFacts, freePct: number | undefined): Condition {
  const none: Condition = { grade: "ok", holds: "ok", reason: "inodes", readings: {} };
  if (freePct === undefined) return none;
  const says = `${freePct} % of the inodes free, ${space.freeInodes} of ${space.totalInodes}`;
  const graded = gradeLow(percent(space.freeInodes, space.totalInodes), limits.inodes);
  return { ...none, ...graded, value: freePct, unit: "%", says };
}

function forecast({ limits, space, fall }: VolumeFacts): Condition {
  const none: Condition = { grade: "ok", holds: "ok", reason: "forecast", readings: {} };
  if (fall === undefined) return none;
  const hours = round(Math.min(space.freeBytes / fall.bytesPerMs / HOUR, 1e6));
  const says = `full in ${hours < 10 ? hours.toFixed(1) : Math.round(hours)} h at the ${human(
    fall.bytesPerMs * HOUR,
  )} an hour of the last ${(fall.overMs / HOUR).toFixed(1)} h`;
  return {
    ...none,
    ...gradeLow(hours, limits.forecast),
    value: hours,
    unit: "h",
    says,
    readings: { full_in_h: hours },
  };
}

const percent = (part: number, whole: number): number => (whole > 0 ? (100 * part) / whole : 0);
const round = (value: number): number => Math.round(value * 100) / 100;

function human(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = bytes;
  while (size >= 1000 && units.length > 1) {
    size /= 1000;
    units.shift();
  }
  return `${size >= 100 || units[0] === "B" ? Math.round(size) : size.toFixed(1)} ${units[0]}`;
}
