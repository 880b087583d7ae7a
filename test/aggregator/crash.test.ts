import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import type { Store } from "../../aggregator/store.ts";
import { verifyTickets } from "../../aggregator/tickets/verify.ts";
import { topics } from "../../protocol/topics.ts";
import { AggregatorRig, FakeDevice, type Message } from "../kit/aggregator.ts";
import { tempFolder } from "../kit/temp.ts";

/** Everything the store holds, without the times at which it happened to be written. */
async function contents({ reading }: Store) {
  const all = { limit: 1_000 };
  const timed = new Set([
    "at",
    "ts",
    "seenAt",
    "receivedAt",
    "detected_at",
    "restored_at",
    "resolved_at",
    "hash",
    "prevHash",
    "skewMs",
  ]);
  const timeless = (rows: readonly object[]) =>
    rows.map((row) => Object.fromEntries(Object.entries(row).filter(([key]) => !timed.has(key))));
  const tickets = await reading.tickets({}, all);
  const timelines = await Promise.all(tickets.map(async ({ no }) => timeless(await reading.timeline(no))));
  return {
    devices: timeless(await reading.devices(all)),
    alarms: timeless(await reading.alarms({}, all)),
    tickets: timeless(tickets),
    timelines,
  };
}

function story(): Message[] {
  const device = new FakeDevice();
  return [
    device.state(),
    device.raise("disk.var"),
    device.raise("process.db", { explained_by: "disk.var" }),
    device.change("disk.var", { severity: "critical" }),
    device.tele(),
    device.clear("disk.var"),
    device.raise("disk.var", { severity: "minor" }),
    device.clear("process.db"),
    device.clear("disk.var"),
    device.state(),
  ];
}

const hear = async (rig: AggregatorRig, messages: readonly Message[], together: number) => {
  for (let at = 0; at < messages.length; at += together) {
    for (const { topic, body } of messages.slice(at, at + together)) void rig.hear(topic, body);
    await rig.settle();
  }
};

test("a crash at any statement leaves whole transactions only, and the device's repeats lead to the same end", async () => {
  using folder = tempFolder();
  const messages = story();
  const whole = await new AggregatorRig(openSqliteStore({ file: ":memory:" })).start();
  await hear(whole, messages, 4);
  const goal = await contents(whole.store);
  await whole[Symbol.asyncDispose]();

  let crashes = 0;
  for (let k = 1; ; k += 1) {
    const file = join(folder.path, `at-${k}.db`);
    let [statements, started, dead] = [0, false, false];
    const before = () => {
      if (!started) return;
      statements += 1;
      if (statements >= k) dead = true;
      if (dead) throw new Error("the power is gone");
    };
    const store = openSqliteStore({ file, before });
    const first = await new AggregatorRig(store).start();
    started = true;
    await hear(first, messages, 4);
    const acked = Number((first.on(topics.ack("ft-0042")).at(-1) as { seq?: number } | undefined)?.seq ?? 0);
    // The files as they lie on the disk at this moment, as after kill -9: the living process is not asked.
    const after = join(folder.path, `after-${k}.db`);
    for (const end of ["", "-wal"]) if (existsSync(file + end)) copyFileSync(file + end, after + end);
    const reopened = openSqliteStore({ file: after });
    const found = (await reopened.reading.device("ft-0042"))?.acked?.seq ?? 0;
    expect(found, `what was acknowledged before statement ${k} is there`).toBeGreaterThanOrEqual(acked);
    expect(await verifyTickets(reopened.reading)).toEqual([]);
    const second = await new AggregatorRig(reopened).start();
    await hear(second, messages, 4);
    expect(await contents(reopened), `after a crash at statement ${k}`).toEqual(goal);
    await second[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]().catch(() => {});
    if (!dead) break;
    crashes += 1;
  }
  expect(crashes).toBeGreaterThan(50);
});
