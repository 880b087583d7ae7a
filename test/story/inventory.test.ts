import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startMosquitto, type TestBroker } from "../kit/broker.ts";
import { needsMounts, openMountSpace } from "../kit/mount-space.ts";
import { needs } from "../kit/peers.ts";
import { type Api, agentProgram, aggregatorProgram, awaitProgram, type Program, TOKEN, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

/** From what dpkg has installed on a device to what `vigil inventory` answers, through every loss on the way. */

const skip = needs("mosquitto", "mosquitto") || needsMounts();
const DEVICE = "ft-0042";

const status = (packages: Record<string, string>): string =>
  Object.entries(packages)
    .map(
      ([name, version]) => `Package: ${name}\nStatus: install ok installed\nArchitecture: all\nVersion: ${version}\n`,
    )
    .join("\n");

/** Devices and versions that `vigil inventory --package libssl3 --below …` names. */
async function below(api: Api, version: string): Promise<string[]> {
  process.env["VIGIL_TOKEN"] = TOKEN;
  const args = ["inventory", "--package", "libssl3", "--below", version, "--json", "--url", api.url];
  const { out, err } = await awaitProgram("ops/main.ts", args);
  expect(err).toBe("");
  return JSON.parse(out).map((row: Record<string, string>) => `${row["device"]} ${row["version"]}`);
}

test.skipIf(skip)(
  "which devices run X below y, whatever was lost on the way",
  async () => {
    using folder = tempFolder();
    using space = openMountSpace();
    const list = join(folder.path, "dpkg-status");
    const installs = (packages: Record<string, string>): void => writeFileSync(list, status(packages)); // in place: it is mounted
    installs({ libssl3: "3.0.11-1~deb12u2", zlib1g: "1:1.2.13" });
    space.run("mount", "--bind", list, "/var/lib/dpkg/status");

    await using stack = new AsyncDisposableStack();
    let broker: TestBroker = await startMosquitto();
    const { port } = broker;
    stack.defer(() => broker[Symbol.asyncDispose]());
    const { program: aggregator, api } = await aggregatorProgram(folder.path, port);
    const agent: Program = agentProgram(folder.path, port, { inventoryMs: 5_000 }, { space });
    stack.use(aggregator.start());
    stack.use(agent.start());
    const kept = join(folder.path, "agent-state", "inventory.json");
    const has = (words: string) =>
      until(`the device has ${words}`, 60_000, () => {
        try {
          return readFileSync(kept, "utf8").includes(words);
        } catch {
          return false;
        }
      });
    const knows = (version: string): Promise<unknown> =>
      until(`the aggregator knows libssl3 ${version}`, 60_000, async () => {
        const found = (await api.get(`/api/v1/devices/${DEVICE}/inventory`))?.body["packages"];
        return JSON.stringify(found ?? {}).includes(`"libssl3":"${version}"`);
      });
    await knows("3.0.11-1~deb12u2");
    expect(await below(api, "3.0.14")).toEqual([`${DEVICE} 3.0.11-1~deb12u2`]);

    // An upgrade while nobody is there to hear it, and the power goes before it is told.
    await broker.stop();
    await aggregator.end("SIGKILL");
    installs({ libssl3: "3.0.14-1~deb12u1", curl: "7.88.1-10" });
    await has("3.0.14-1~deb12u1");
    await agent.end("SIGKILL");
    await broker.restart();
    aggregator.start();
    agent.start();
    await knows("3.0.14-1~deb12u1");
    expect(await below(api, "3.0.14")).toEqual([]);
    const changes = (await api.get(`/api/v1/devices/${DEVICE}/inventory/history`))?.body["items"] as object[];
    expect(changes).toMatchObject([
      { kind: "vanished", part: "package", item: "zlib1g" },
      { kind: "changed", part: "package", item: "libssl3", was: "3.0.11-1~deb12u2", is: "3.0.14-1~deb12u1" },
      { kind: "appeared", part: "package", item: "curl" },
      { kind: "first" },
    ]);

    // The aggregator loses its store: the broker still has the document.
    await aggregator.end("SIGKILL");
    const forget = (): void => {
      for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder.path, `vigil.db${suffix}`), { force: true });
    };
    forget();
    aggregator.start();
    await knows("3.0.14-1~deb12u1");

    // Broker and aggregator lose everything, and the device its state: it is asked, and makes the document anew.
    await aggregator.end("SIGKILL");
    await agent.end("SIGKILL");
    await broker[Symbol.asyncDispose]();
    forget();
    rmSync(kept);
    broker = await startMosquitto({ port });
    aggregator.start();
    agent.start();
    await knows("3.0.14-1~deb12u1");
  },
  240_000,
);
