import type { Machine } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { numbered } from "../numbered.ts";
import { believableLimit, type OwnLimits, parseCelsius } from "./bands.ts";

/** A temperature this machine can tell. */
export interface Sensor {
  /** Names it for ever: type of the zone, or chip and label; numbered where several share a name. */
  subject: string;
  path: string;
  /** Where the driver itself says that the sensor is broken. */
  faultPath?: string;
  kind: "soc" | "disk";
  own: OwnLimits;
}

const THERMAL = "/sys/class/thermal";
const HWMON = "/sys/class/hwmon";
const DISKS = ["nvme", "drivetemp", "disk", "ssd", "sata"];
const MOST_TRIPS = 12;
const MOST_INPUTS = 64;

/** Every temperature sensor of the machine, each physical one once. */
export function findSensors(machine: Machine): Sensor[] {
  const zones = findZones(machine);
  const types = new Set(zones.map(({ subject }) => mirrorName(subject)));
  const found = [...zones, ...findChips(machine, types)];
  const used = new Map<string, number>();
  const taken = new Set(found.map(({ subject }) => subject));
  return found.map((sensor) => {
    const nth = (used.get(sensor.subject) ?? 0) + 1;
    used.set(sensor.subject, nth);
    if (nth === 1) return sensor;
    let subject = `${sensor.subject}-${nth}`;
    while (taken.has(subject)) subject += "-";
    taken.add(subject);
    return { ...sensor, subject };
  });
}

function findZones(machine: Machine): Sensor[] {
  return numbered(machine, THERMAL, "thermal_zone").flatMap((name) => {
    const folder = `${THERMAL}/${name}`;
    const type = textOf(machine, `${folder}/type`);
    if (type === undefined || !machine.list(folder).includes("temp")) return [];
    return [{ subject: type, path: `${folder}/temp`, kind: kindOf(type), own: tripsOf(machine, folder) }];
  });
}

/** Trip points of a thermal zone. The highest passive one is where cooling by slowing down must hold. */
function tripsOf(machine: Machine, folder: string): OwnLimits {
  const own: OwnLimits = {};
  for (let trip = 0; trip < MOST_TRIPS; trip += 1) {
    const type = textOf(machine, `${folder}/trip_point_${trip}_type`);
    if (type === undefined) break;
    const limitC = limitOf(machine, `${folder}/trip_point_${trip}_temp`);
    if (limitC === undefined) continue;
    if (type === "critical") own.shutdownC = Math.min(limitC, own.shutdownC ?? limitC);
    else if (type === "hot") own.hotC = Math.min(limitC, own.hotC ?? limitC);
    else if (type === "passive") own.passiveC = Math.max(limitC, own.passiveC ?? limitC);
  }
  return own;
}

function findChips(machine: Machine, zoneTypes: ReadonlySet<string>): Sensor[] {
  return numbered(machine, HWMON, "hwmon").flatMap((chip) => {
    const folder = attributesOf(machine, `${HWMON}/${chip}`);
    const name = textOf(machine, `${folder}/name`) ?? chip;
    if (zoneTypes.has(mirrorName(name)) || isMirror(machine, `${HWMON}/${chip}/device`)) return [];
    return inputsOf(machine, folder).map((input): Sensor => {
      const label = textOf(machine, `${folder}/${input}_label`) ?? input;
      const faultPath = `${folder}/${input}_fault`;
      return {
        subject: `${name}-${label.replaceAll(" ", "-")}`,
        path: `${folder}/${input}_input`,
        ...(textOf(machine, faultPath) === undefined ? {} : { faultPath }),
        kind: kindOf(name),
        own: chipLimits(machine, `${folder}/${input}`),
      };
    });
  });
}

/** Before Linux 3.13 a chip's figures lay in the folder of its device. */
const attributesOf = (machine: Machine, folder: string): string =>
  machine.list(folder).includes("name") ? folder : `${folder}/device`;

const inputsOf = (machine: Machine, folder: string): string[] =>
  machine
    .list(folder)
    .filter((name) => name.startsWith("temp") && name.endsWith("_input"))
    .map((name) => name.slice(0, -"_input".length))
    .toSorted((a, b) => Number(a.slice(4)) - Number(b.slice(4)))
    .slice(0, MOST_INPUTS);

function chipLimits(machine: Machine, prefix: string): OwnLimits {
  const criticalC = limitOf(machine, `${prefix}_crit`) ?? limitOf(machine, `${prefix}_emergency`);
  const hotC = limitOf(machine, `${prefix}_max`);
  return { ...(criticalC === undefined ? {} : { criticalC }), ...(hotC === undefined ? {} : { hotC }) };
}

/** The kernel shows many thermal zones a second time as hwmon chips, under their type with `_` for `-`. */
const mirrorName = (name: string): string => name.replaceAll("-", "_");
const isMirror = (machine: Machine, device: string): boolean =>
  machine.link(device)?.split("/").at(-1)?.startsWith("thermal_zone") === true;

const kindOf = (name: string): Sensor["kind"] =>
  DISKS.some((word) => name.toLowerCase().includes(word)) ? "disk" : "soc";

function limitOf(machine: Machine, path: string): number | undefined {
  const text = textOf(machine, path);
  const limitC = text === undefined ? undefined : parseCelsius(text, false);
  return believableLimit(limitC) ? limitC : undefined;
}

/** A word in a file of /sys; undefined when it is empty, not there, or the driver will not say. */
function textOf(machine: Machine, path: string): string | undefined {
  try {
    return machine.read(path)?.trim() || undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
