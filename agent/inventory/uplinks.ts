import type { RunProgram } from "../../platform/run.ts";
import { Failure } from "../../protocol/failure.ts";
import type { InventoryDocument } from "../../protocol/inventory.ts";
import { tidy } from "../inventory.ts";
import { known } from "./look.ts";

type Uplink = InventoryDocument["uplinks"][number];
export type Neighbours = Pick<InventoryDocument, "uplinks" | "lldp">;

const DEADLINE_MS = 5_000;
const OUTPUT_CAP_BYTES = 262_144;

/**
 * Asks lldpd who is at the other end of our cables: `lldpctl -f json0`, where every value is a list of objects. Needs
 * membership of group _lldpd. Hears CDP too where lldpd was started to (`-c`). Never rejects.
 */
export async function askNeighbours(
  run: RunProgram,
  program = "lldpctl",
  more: readonly string[] = [],
): Promise<Neighbours> {
  try {
    const argv = [program, ...more, "-f", "json0"] as const;
    const uplinks = parseNeighbours(await run({ argv, deadlineMs: DEADLINE_MS, outputCapBytes: OUTPUT_CAP_BYTES }));
    if (uplinks === undefined) return { uplinks: [], lldp: "failed" };
    return { uplinks, lldp: uplinks.length > 0 ? "heard" : "silent" };
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
    return { uplinks: [], lldp: cause.code === "RUN_MISSING" ? "absent" : "failed" };
  }
}

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** Entries under a key; one that stands alone may come without its list. */
function listOf(from: Json, key: string): Json[] {
  const value = Object.hasOwn(from, key) ? from[key] : undefined;
  return (Array.isArray(value) ? value : [value]).filter(isObject);
}
const textOf = (value: unknown, most?: number): string | undefined =>
  typeof value === "string" ? tidy(value, most) : undefined;
const wordOf = (from: Json, key: string, most?: number): string | undefined =>
  textOf(listOf(from, key)[0]?.["value"], most);

/** Neighbours of lldpctl's json0, one per interface and protocol, in a stable order; undefined when it is none. Total. */
export function parseNeighbours(printed: string): Uplink[] | undefined {
  let root: unknown;
  try {
    root = JSON.parse(printed);
  } catch {
    return undefined;
  }
  if (!isObject(root) || !Object.hasOwn(root, "lldp")) return undefined;
  return listOf(root, "lldp")
    .flatMap((lldp) => listOf(lldp, "interface"))
    .flatMap(uplinkOf)
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function uplinkOf(heard: Json): Uplink[] {
  const name = textOf(heard["name"], 64);
  const [chassis] = listOf(heard, "chassis");
  if (name === undefined || chassis === undefined) return [];
  const port = listOf(heard, "port")[0] ?? {};
  const managed = listOf(chassis, "mgmt-ip").map(({ value }) => textOf(value, 64));
  const routable = managed.find((address) => address !== undefined && !/^fe80:/i.test(address)) ?? managed[0];
  return [
    known({
      interface: name,
      protocol: textOf(heard["via"], 20) ?? "LLDP",
      chassis: wordOf(chassis, "name") ?? wordOf(chassis, "descr"),
      chassis_id: wordOf(chassis, "id"),
      port: wordOf(port, "id"),
      port_description: wordOf(port, "descr"),
      management_address: routable,
    }),
  ];
}
