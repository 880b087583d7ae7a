import type { Systeminformation } from "systeminformation";
import type { Machine } from "../../platform/machine.ts";
import { bareInfo, type Inventory, tidy } from "../inventory.ts";
import { known } from "./look.ts";

/**
 * The few facts of `info`. Loads systeminformation, which spawns programs and keeps its heap: to be called in the
 * short-lived child `vigil-agent inventory` only. What cannot be found out is left out.
 */
export async function takeInventory(machine: Machine): Promise<Inventory> {
  const { default: si } = await import("systeminformation"); // the default: a bundled CommonJS module has no other name
  const [os, system, bios, cpu, disks, nets] = await Promise.all([
    orNothing(si.osInfo()),
    orNothing(si.system()),
    orNothing(si.bios()),
    orNothing(si.cpu()),
    orNothing(si.diskLayout()),
    orNothing(si.networkInterfaces()),
  ]);
  const bare = bareInfo(machine);
  const diskBytes = (disks ?? []).reduce((sum, { size }) => sum + Math.max(size || 0, 0), 0);
  const net = mainInterface(nets);
  return {
    ...known({
      model: tidy([tidy(system?.manufacturer), tidy(system?.model)].filter((word) => word !== undefined).join(" ")),
      serial: tidy(system?.serial),
      firmware: tidy(
        [tidy(bios?.vendor), tidy(bios?.version), tidy(bios?.releaseDate)]
          .filter((word) => word !== undefined)
          .join(" "),
      ),
      os: tidy(`${os?.distro ?? ""} ${os?.release ?? ""}`),
      arch: tidy(os?.arch, 40),
      cpu: tidy(`${cpu?.manufacturer ?? ""} ${cpu?.brand ?? ""}`),
      disk_bytes: Number.isSafeInteger(diskBytes) && diskBytes > 0 ? diskBytes : undefined,
      ip: tidy(net?.ip4 || net?.ip6, 64),
      mac: tidy(net?.mac, 64),
    }),
    ...bare, // the kernel's own words before those guessed from programs' output
  };
}

/** The interface of the default route; else the first one with an address that is not loopback. */
function mainInterface(
  found: Systeminformation.NetworkInterfacesData | Systeminformation.NetworkInterfacesData[] | undefined,
): Systeminformation.NetworkInterfacesData | undefined {
  const all = found === undefined ? [] : [found].flat();
  return all.find((net) => net.default) ?? all.find((net) => !net.internal && (net.ip4 || net.ip6) !== "");
}

const orNothing = async <T>(asked: Promise<T>): Promise<T | undefined> => asked.catch(() => undefined);
