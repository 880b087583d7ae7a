import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { InventoryDocument } from "../../../protocol/inventory.ts";
import { type Child, startChild } from "../../kit/child.ts";
import { type NetSpace, needsNets, openLine } from "../../kit/net-space.ts";
import { needs, programPath } from "../../kit/peers.ts";
import { until } from "../../kit/stack.ts";

const MAIN = join(import.meta.dirname, "../../../agent/main.ts");
const skip = needs("lldpd", "lldpd") || needs("lldpctl", "lldpd") || needsNets();

/**
 * lldpd in a host of the test, with a /run of its own: its socket is where lldpctl looks for it. It begins paused and tells
 * itself to go on; who speaks to it before may leave it deaf for ever, so it is left alone until its first frame is out.
 */
async function speak({ run, enter }: NetSpace, port: string): Promise<Child> {
  run("sh", "-c", "mountpoint -q /run || mount -t tmpfs none /run; mkdir -p /run/lldpd; chown _lldpd: /run/lldpd");
  const [program, ...words] = enter;
  for (let tries = 1; ; tries += 1) {
    const child = startChild(program, [...words, programPath("lldpd"), "-dddd", "-I", port]);
    try {
      await until("lldpd sends", 10_000, () => child.output().includes(`send PDU to ethernet device ${port}`));
      return child;
    } catch (cause) {
      await child.stop();
      if (tries === 3) throw cause;
    }
  }
}

/** `vigil-agent inventory --full` on that host. */
function inventoryOf({ enter }: NetSpace): InventoryDocument {
  const [program, ...words] = enter;
  const args = [...words, process.execPath, MAIN, "inventory", "--full"];
  const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8", timeout: 60_000 });
  if (stdout === "") throw new Error(stderr);
  return InventoryDocument.strict().parse(JSON.parse(stdout));
}

test.skipIf(skip)(
  "the switch port at the other end of the cable is heard from a real lldpd, and why none is told",
  async () => {
    using line = openLine();
    await using stack = new AsyncDisposableStack();
    const started = (child: Child): Child => stack.adopt(child, (one) => one.kill9());
    const own = started(await speak(line.device, "eth0"));
    expect(inventoryOf(line.device).lldp).toBe("silent");
    const far = started(await speak(line.gateway, "lan0"));
    line.gateway.run("lldpcli", "configure", "system", "hostname", "SW-TIANHE-3");
    line.gateway.run("lldpcli", "configure", "lldp", "tx-interval", "1");
    const document = await until("the neighbour is heard", 60_000, () => {
      const found = inventoryOf(line.device);
      return found.uplinks[0]?.chassis === "SW-TIANHE-3" && found;
    });
    expect(document.lldp).toBe("heard");
    expect(document.uplinks).toEqual([
      {
        ...{ interface: "eth0", protocol: "LLDP", chassis: "SW-TIANHE-3", port_description: "lan0" },
        ...{
          chassis_id: expect.stringMatching(/^([0-9a-f]{2}:){5}/),
          port: expect.stringMatching(/^([0-9a-f]{2}:){5}/),
        },
        management_address: "10.9.0.1",
      },
    ]);
    expect(inventoryOf(line.device).hash).toBe(document.hash); // its age and time to live are no news
    await far.stop();
    await own.stop();
    expect(inventoryOf(line.device)).toMatchObject({ lldp: "failed", uplinks: [] });
  },
  150_000,
);
