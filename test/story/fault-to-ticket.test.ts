import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { slug, topics } from "../../protocol/topics.ts";
import { BROKERS } from "../kit/broker.ts";
import { listener } from "../kit/listener.ts";
import { needsMounts, openMountSpace, takeAllRoom } from "../kit/mount-space.ts";
import { needs } from "../kit/peers.ts";
import { startShipped } from "../kit/shipped-broker.ts";
import { type Api, awaitProgram, type House, openHouse, TOKEN, ticketInState, ticketOf, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";
import { watchedProcesses } from "../kit/watched.ts";

/** The contract between a fault and its ticket, over the hold-on time of the check. */
const MOST_MS = 5_000;
const HOLD_ON_MS = 2_000;

for (const { name, skip, start } of BROKERS) {
  test
    .skipIf(skip || needsMounts())
    .concurrent(`with ${name}, a full file system is a ticket until it is free`, { timeout: 90_000 }, async () => {
      using space = openMountSpace();
      const point = space.mountExt4("recordings", { megabytes: 32 });
      const disk = { holdOnMs: HOLD_ON_MS, holdOffMs: 1_000 };
      const rounds = { fastMs: 1_000, slowMs: 10_000 }; // as shipped: the disk check is one of the slow ones
      await using house = await openHouse(await start(), { agent: { rounds, checks: { disk } }, space });
      const code = `disk.${slug(point)}`;
      await until("the disk was judged", 10_000, async () => house.api.telemetry("ft-0042", code));
      expect(await ticketOf(house.api, code)).toBeUndefined();

      const free = takeAllRoom(space.at(point));
      const ticket = await ticketInState(house.api, code, "新建", HOLD_ON_MS + MOST_MS);
      expect(ticket).toMatchObject({ type: "故障", device: "ft-0042" });
      await until("it is a fault of level 1", 10_000, async () => (await ticketOf(house.api, code))?.["level"] === 1);

      free();
      const restored = await ticketInState(house.api, code, "已恢复", 10_000);
      expect(restored["no"]).toBe(ticket["no"]);
      expect(restored["restored_at"]).toBeGreaterThan(Number(restored["detected_at"]));
    });

  test
    .skipIf(skip)
    .concurrent(`with ${name}, a killed process is a ticket until it is back`, { timeout: 90_000 }, async () => {
      await using fleet = watchedProcesses(1);
      const [encoder = ""] = fleet.names;
      await using house = await openHouse(await start(), { agent: { checks: fleet.checks } });
      const code = `process.${encoder}`;

      await fleet.kill(encoder);
      const ticket = await ticketInState(house.api, code, "新建", MOST_MS);
      expect(ticket).toMatchObject({ type: "故障", level: 2, code, title_zh: "进程未运行" });

      fleet.start(encoder);
      await ticketInState(house.api, code, "已恢复", 10_000);
      await everybodyAgrees(house, String(ticket["no"]));
    });
}

/** The API, the shell and the retained topic tell the same of a ticket. */
async function everybodyAgrees({ api, folder, broker }: House, no: string): Promise<void> {
  const { timeline, ...ticket } = (await api.get(`/api/v1/tickets/${no}`))?.body ?? {};
  expect(timeline).toMatchObject([{ kind: "opened" }, { kind: "restored" }]);
  expect(await vigil(api, folder, "tickets")).toEqual([ticket]);
  expect(await vigil(api, folder, "ticket", "show", no)).toEqual({ ...ticket, timeline });
  if (needs("mosquitto_sub", "mosquitto-clients")) return;
  await using subscriber = await listener(broker.port, [topics.ticket(no)]);
  const kept = await subscriber.waitFor(({ retained }) => retained);
  expect(JSON.parse(kept.payload)).toEqual(ticket);
}

/** What `vigil … --json` prints. */
async function vigil(api: Api, folder: string, ...words: string[]): Promise<unknown> {
  const token = join(folder, "vigil-token");
  writeFileSync(token, TOKEN, { mode: 0o600 });
  const { out, err } = await awaitProgram("ops/main.ts", [...words, "--json", "--url", api.url, "--token-file", token]);
  expect(err).toBe("");
  return JSON.parse(out);
}

const skipTls = needs("mosquitto", "mosquitto") || needs("openssl", "openssl");
test
  .skipIf(skipTls)
  .concurrent(
    "over TLS with client certificates and the broker configuration we ship",
    { timeout: 90_000 },
    async () => {
      using folder = tempFolder("vigil-tls");
      await using fleet = watchedProcesses(1);
      const [encoder = ""] = fleet.names;
      const { broker, brokers } = await startShipped(folder.path);
      await using house = await openHouse(broker, {
        agent: { brokers: brokers("ft-0042"), checks: fleet.checks },
        aggregator: { brokers: brokers("aggregator") },
      });
      await fleet.kill(encoder);
      const { no } = await ticketInState(house.api, `process.${encoder}`, "新建", MOST_MS);
      fleet.start(encoder);
      const restored = await ticketInState(house.api, `process.${encoder}`, "已恢复", 10_000);
      expect(restored["no"]).toBe(no);
      // the ack came through the shipped ACL too: the device keeps nothing back
      await until("everything is acknowledged", 10_000, async () => {
        return (await house.api.telemetry("ft-0042", "self.outbox"))?.["pending_count"] === 0;
      });
      expect(house.agent.words()).not.toMatch(/courier\.refused|link\.denied/);
    },
  );
