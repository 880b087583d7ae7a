import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { slug, topics } from "../../protocol/topics.ts";
import { BROKERS, type TestBroker } from "../kit/broker.ts";
import { listener } from "../kit/listener.ts";
import { fillUp, needsMounts, openMountSpace } from "../kit/mount-space.ts";
import { needs } from "../kit/peers.ts";
import { startShipped } from "../kit/shipped-broker.ts";
import { type Api, type House, openHouse, type Row, runProgram, TOKEN, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

/** What the issue allows between the fault and its ticket, over the hold-on time of the check. */
const MOST_MS = 5_000;
const HOLD_ON_MS = 2_000;

async function ticketOf(api: Api, code: string): Promise<Row | undefined> {
  return (await api.all("tickets"))?.find((ticket) => ticket["code"] === code);
}

const ticketInState = (api: Api, code: string, state: string, withinMs: number): Promise<Row> =>
  until(`${code} is ${state}`, withinMs, async () => {
    const ticket = await ticketOf(api, code);
    return ticket?.["state"] === state && ticket;
  });

/** A process with a name that no other on this machine has. */
function startWatched(name: string): ChildProcess {
  return spawn("sleep", ["300"], { argv0: name, stdio: "ignore" });
}

/** Ends it, and waits until it is gone. */
async function kill9(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

const watching = (name: string) => ({ process: { holdOffMs: 500, watch: [{ name, command: [name, "300"] }] } });

for (const { name, skip, start } of BROKERS) {
  test.skipIf(skip || needsMounts())(`with ${name}, a full file system is a ticket until it is free`, async () => {
    using space = openMountSpace();
    const point = space.mountExt4("recordings", { megabytes: 32 });
    const disk = { holdOnMs: HOLD_ON_MS, holdOffMs: 1_000 };
    await using house = await openHouse(await start(), { agent: { checks: { disk } }, space });
    const code = `disk.${slug(point)}`;
    expect(await ticketOf(house.api, code)).toBeUndefined();

    fillUp(space.at(join(point, "film")));
    const ticket = await ticketInState(house.api, code, "新建", HOLD_ON_MS + MOST_MS);
    expect(ticket).toMatchObject({ type: "故障", device: "ft-0042" });
    await until("it is a fault of level 1", 10_000, async () => (await ticketOf(house.api, code))?.["level"] === 1);

    rmSync(space.at(join(point, "film")));
    const restored = await ticketInState(house.api, code, "已恢复", 10_000);
    expect(restored["no"]).toBe(ticket["no"]);
    expect(restored["restored_at"]).toBeGreaterThan(Number(restored["detected_at"]));
  });

  test.skipIf(skip)(`with ${name}, a killed process is a ticket until it is back`, async () => {
    const encoder = `vigil-story-encoder-${process.pid}`;
    let child = startWatched(encoder);
    try {
      await using house = await openHouse(await start(), { agent: { checks: watching(encoder) } });
      const code = `process.${encoder}`;

      await kill9(child);
      const ticket = await ticketInState(house.api, code, "新建", MOST_MS);
      expect(ticket).toMatchObject({ type: "故障", level: 2, code, title_zh: "进程未运行" });

      child = startWatched(encoder);
      await ticketInState(house.api, code, "已恢复", 10_000);
      await everybodyAgrees(house, String(ticket["no"]));
    } finally {
      await kill9(child);
    }
  });
}

/** The API, the shell and the retained topic tell the same of a ticket. */
async function everybodyAgrees({ api, folder, broker }: House, no: string): Promise<void> {
  const { timeline, ...ticket } = (await api.get(`/api/v1/tickets/${no}`))?.body ?? {};
  expect(timeline).toMatchObject([{ kind: "opened" }, { kind: "restored" }]);
  expect(vigil(api, folder, "tickets")).toEqual([ticket]);
  expect(vigil(api, folder, "ticket", "show", no)).toEqual({ ...ticket, timeline });
  if (needs("mosquitto_sub", "mosquitto-clients")) return;
  await using subscriber = await listener(broker.port, [topics.ticket(no)]);
  const kept = await subscriber.waitFor(({ retained }) => retained);
  expect(JSON.parse(kept.payload)).toEqual(ticket);
}

/** What `vigil … --json` prints. */
function vigil(api: Api, folder: string, ...words: string[]): unknown {
  const token = join(folder, "vigil-token");
  writeFileSync(token, TOKEN, { mode: 0o600 });
  const { out, err } = runProgram("ops/main.ts", [...words, "--json", "--url", api.url, "--token-file", token]);
  expect(err).toBe("");
  return JSON.parse(out);
}

const skipTls = needs("mosquitto", "mosquitto") || needs("openssl", "openssl");
test.skipIf(skipTls)("over TLS with client certificates and the broker configuration we ship", async () => {
  using folder = tempFolder("vigil-tls");
  const encoder = `vigil-story-tls-${process.pid}`;
  let child = startWatched(encoder);
  try {
    const { broker, brokers } = await startShipped(folder.path);
    await using house = await openHouse(broker satisfies TestBroker, {
      agent: { brokers: brokers("ft-0042"), checks: watching(encoder) },
      aggregator: { brokers: brokers("aggregator") },
    });
    await kill9(child);
    const { no } = await ticketInState(house.api, `process.${encoder}`, "新建", MOST_MS);
    child = startWatched(encoder);
    const restored = await ticketInState(house.api, `process.${encoder}`, "已恢复", 10_000);
    expect(restored["no"]).toBe(no);
    // the ack came through the shipped ACL too: the device keeps nothing back
    await until("everything is acknowledged", 10_000, async () => {
      const device = (await house.api.get("/api/v1/devices/ft-0042"))?.body;
      const telemetry = device?.["telemetry"] as Record<string, Record<string, number>> | undefined;
      return telemetry?.["self.outbox"]?.["pending_count"] === 0;
    });
    expect(house.agent.words()).not.toMatch(/courier\.refused|link\.denied/);
  } finally {
    await kill9(child);
  }
});
