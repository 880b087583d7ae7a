import { expect, test } from "vitest";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import { verifyTickets } from "../../aggregator/tickets/verify.ts";
import { TicketLogEntry, TicketSnapshot } from "../../protocol/ticket.ts";
import { Ack, AggregatorState, Resync } from "../../protocol/to-device.ts";
import { topics } from "../../protocol/topics.ts";
import { AggregatorRig, BOOTS, FakeDevice, type Message } from "../kit/aggregator.ts";

const rigged = (config: Record<string, unknown> = {}) =>
  new AggregatorRig(openSqliteStore({ file: ":memory:" }), config).start();
const say = async (rig: AggregatorRig, ...messages: Message[]) => {
  for (const { topic, body } of messages) void rig.hear(topic, body);
  await rig.settle();
};
const all = { limit: 100 };
const tickets = (rig: AggregatorRig) => rig.store.reading.tickets({}, all);
const kinds = async (rig: AggregatorRig, no: string) => (await rig.store.reading.timeline(no)).map(({ kind }) => kind);
const lastAck = (rig: AggregatorRig, device = "ft-0042") => rig.on(topics.ack(device)).at(-1);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("a fault becomes a ticket, its end restores it, half an hour of peace resolves it", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("disk.var", { value: 3.1, unit: "pct" }));
  const [opened] = await tickets(rig);
  expect(opened).toMatchObject({
    ...{ no: "GZ-20261122-0001", type: "故障", level: 2, state: "新建", device: "ft-0042", code: "disk.var" },
    ...{ dedup_key: "ft-0042/disk.var", occurred_at: device.ts },
  });
  await say(rig, device.clear("disk.var"));
  expect((await tickets(rig))[0]).toMatchObject({ state: "已恢复", restored_at: expect.any(Number) });
  await say(rig, device.tele());
  await rig.later(29 * MINUTE);
  expect((await tickets(rig))[0]?.state).toBe("已恢复");
  await rig.later(2 * MINUTE);
  const first = (await tickets(rig))[0];
  expect(first?.state).toBe("已解决");
  expect(await kinds(rig, "GZ-20261122-0001")).toEqual(["opened", "restored", "resolved"]);
});

test("ticket numbers begin anew at midnight where the contract is, and go on beyond four digits", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  rig.clock.setWall(Date.UTC(2026, 10, 22, 15, 59, 58));
  await say(rig, device.state(), device.raise("a.x"));
  rig.clock.setWall(Date.UTC(2026, 10, 22, 16, 0, 0));
  await say(rig, device.raise("b.x"));
  await rig.store.transaction(async (tx) => {
    for (let i = 0; i < 9_998; i += 1) await tx.nextTicketNumber("20261123");
  });
  await say(rig, device.raise("c.x"));
  const nos = ["GZ-20261122-0001", "GZ-20261123-0001", "GZ-20261123-10000"];
  expect((await tickets(rig)).map(({ no }) => no)).toEqual(nos);
  expect((await rig.store.reading.tickets({}, { after: nos[1] ?? "", limit: 9 })).map(({ no }) => no)).toEqual([
    nos[2],
  ]);
});

test("a fault of level 1 is never resolved by a machine", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("disk.var", { severity: "critical" }), device.clear("disk.var"));
  await rig.later(2 * HOUR);
  expect((await tickets(rig))[0]).toMatchObject({ level: 1, state: "已恢复" });
});

test("a warning is a latent fault without a level, and becomes a fault when it gets worse", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("disk.var", { severity: "warning" }));
  const [latent] = await tickets(rig);
  expect(latent).toMatchObject({ type: "隐患", severity: "warning" });
  expect(latent).not.toHaveProperty("level");
  await say(rig, device.change("disk.var", { severity: "critical" }), device.change("disk.var", { severity: "minor" }));
  expect((await tickets(rig))[0]).toMatchObject({ type: "故障", severity: "critical", level: 1 });
  expect(await kinds(rig, latent?.no ?? "")).toEqual(["opened", "alarm", "level", "alarm"]);
});

test("the same fault within a day reopens its ticket, later it is a new one that names the old", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("disk.var"), device.clear("disk.var"));
  await rig.later(HOUR);
  await say(rig, device.raise("disk.var"));
  expect(await tickets(rig)).toMatchObject([{ state: "重新打开", reopened: 1 }]);
  await say(rig, device.clear("disk.var"));
  await rig.later(25 * HOUR);
  await say(rig, device.raise("disk.var"));
  const faults = (await tickets(rig)).filter(({ code }) => code === "disk.var");
  expect(faults.map(({ state, recurrence_of }) => [state, recurrence_of])).toEqual([
    ["已解决", undefined],
    ["新建", "GZ-20261122-0001"],
  ]);
});

test("a consequence has no ticket of its own, until it outlasts its cause", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(
    rig,
    device.state(),
    device.raise("disk.var", { severity: "minor" }),
    device.raise("process.db", { severity: "major", explained_by: "disk.var" }),
  );
  const [cause, ...others] = await tickets(rig);
  expect(others).toEqual([]);
  expect(cause).toMatchObject({ code: "disk.var", level: 2 });
  await say(rig, device.clear("disk.var"));
  expect((await tickets(rig)).map(({ state }) => state)).toEqual(["已恢复"]);
  await rig.later(91_000);
  expect((await tickets(rig)).map(({ code, state }) => [code, state])).toEqual([
    ["disk.var", "已恢复"],
    ["process.db", "新建"],
  ]);
});

test("a consequence that mends a moment after its cause, as the device tells it, never has a ticket of its own", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(
    rig,
    device.state(),
    device.raise("network.gateway", { severity: "major" }),
    device.raise("network.broker", { severity: "major", explained_by: "network.gateway" }),
  );
  await say(rig, device.clear("network.gateway"), device.change("network.broker", { severity: "major" }));
  expect((await tickets(rig)).map(({ code, state }) => [code, state])).toEqual([["network.gateway", "已恢复"]]);
  await rig.later(60_000);
  await say(rig, device.clear("network.broker"));
  await rig.later(91_000);
  expect((await tickets(rig)).map(({ code }) => code)).toEqual(["network.gateway"]);
});

test("a consequence told before its cause joins it, and one whose cause never comes stands alone", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("process.db", { explained_by: "disk.var" }));
  expect(await tickets(rig)).toEqual([]);
  await say(rig, device.raise("disk.var"), device.raise("process.web", { explained_by: "memory.all" }));
  expect((await tickets(rig)).map(({ code }) => code)).toEqual(["disk.var"]);
  await rig.later(91_000);
  expect((await tickets(rig)).map(({ code }) => code)).toEqual(["disk.var", "process.web"]);
});

test("a consequence seen before its cause had a ticket: young and untouched, it ends in that of the cause", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("service.relay", { severity: "critical" }));
  await rig.later(60_000);
  await say(
    rig,
    device.raise("disk.var", { severity: "major" }),
    device.change("service.relay", { severity: "critical", explained_by: "disk.var" }),
  );
  const [child, cause, ...others] = await tickets(rig);
  expect(others).toEqual([]);
  expect(child).toMatchObject({ code: "service.relay", state: "合并" });
  expect(cause).toMatchObject({ code: "disk.var", state: "新建", level: 1 });
  const kinds = async (no = "") => (await rig.store.reading.timeline(no)).map(({ kind }) => kind);
  expect(await kinds(child?.no)).toEqual(["opened", "merged"]);
  expect(await kinds(cause?.no)).toEqual(["opened", "child", "level"]);
  await say(rig, device.clear("disk.var"), device.clear("service.relay"));
  await rig.later(91_000);
  expect((await tickets(rig)).map(({ code, state }) => [code, state])).toEqual([
    ["service.relay", "合并"],
    ["disk.var", "已恢复"],
  ]);
  await say(rig, device.raise("service.relay", { severity: "critical" }));
  expect((await tickets(rig)).at(-1)).toMatchObject({ code: "service.relay", state: "新建", recurrence_of: child?.no });
});

test("a ticket that ends in another takes its guests along", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(
    rig,
    device.state(),
    device.raise("process.db"),
    device.raise("service.db", { explained_by: "process.db" }),
    device.raise("logs.unit", { explained_by: "service.db" }),
    device.raise("disk.var"),
    device.change("process.db", { explained_by: "disk.var" }),
  );
  const [merged, root] = await tickets(rig);
  expect(merged).toMatchObject({ code: "process.db", state: "合并" });
  const active = await rig.store.reading.alarms({ active: true }, { limit: 100 });
  expect(new Set(active.map(({ ticket }) => ticket))).toEqual(new Set([root?.no]));
});

test("a ticket of some age is worked on: it stays one of its own, whatever explains it later", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("service.relay"));
  for (let minute = 0; minute < 11; minute += 1) {
    await rig.later(60_000);
    await say(rig, device.tele());
  }
  await say(rig, device.raise("disk.var"), device.change("service.relay", { explained_by: "disk.var" }));
  expect((await tickets(rig)).map(({ code, state }) => [code, state])).toEqual([
    ["service.relay", "新建"],
    ["disk.var", "新建"],
  ]);
});

test("a consequence explained anew moves to its new cause, and holds up the old one no longer", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(
    rig,
    device.state(),
    device.raise("temperature.a", { severity: "minor" }),
    device.raise("temperature.b", { severity: "minor" }),
    device.raise("cpu.all", { severity: "minor", explained_by: "temperature.a" }),
    device.change("cpu.all", { severity: "minor", explained_by: "temperature.b" }),
    device.clear("temperature.a"),
  );
  const standing = async () => (await tickets(rig)).map(({ code, state }) => [code, state]);
  expect(await standing()).toEqual([
    ["temperature.a", "已恢复"],
    ["temperature.b", "新建"],
  ]);
  await say(rig, device.clear("temperature.b"));
  await rig.later(91_000);
  expect(await standing()).toEqual([
    ["temperature.a", "已恢复"],
    ["temperature.b", "已恢复"],
    ["cpu.all", "新建"],
  ]);
});

test("a consequence of a consequence does not hold up the first cause, and follows the nearer one", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(
    rig,
    device.state(),
    device.raise("a.x"),
    device.raise("c.x", { explained_by: "a.x" }),
    device.raise("b.x", { explained_by: "c.x" }),
    device.clear("a.x"),
  );
  const standing = async () => (await tickets(rig)).map(({ code, state }) => [code, state]);
  expect(await standing()).toEqual([["a.x", "已恢复"]]);
  await rig.later(91_000);
  expect(await standing()).toEqual([
    ["a.x", "已恢复"],
    ["c.x", "新建"],
  ]);
  await say(rig, device.clear("c.x"));
  await rig.later(91_000);
  expect(await standing()).toEqual([
    ["a.x", "已恢复"],
    ["c.x", "已恢复"],
    ["b.x", "新建"],
  ]);
});

test("an alarm that loses its explanation before its cause was heard gets its ticket at once", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("process.db", { explained_by: "disk.var" }), device.change("process.db"));
  expect((await tickets(rig)).map(({ code }) => code)).toEqual(["process.db"]);
});

test("a raise that comes after its clear is no fault where a hold-on would have let it pass", async () => {
  await using rig = await rigged({ tickets: { holdOnMs: { disk: 120_000 } } });
  const device = new FakeDevice();
  await say(rig, device.state());
  const [raised, cleared] = [device.raise("disk.var"), device.clear("disk.var")];
  await say(rig, cleared, raised);
  expect(await tickets(rig)).toEqual([]);
});

test("alarms that explain each other still get a ticket", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(
    rig,
    device.state(),
    device.raise("a.x", { explained_by: "b.x" }),
    device.raise("b.x", { explained_by: "a.x" }),
  );
  await rig.later(91_000);
  expect(await tickets(rig)).toHaveLength(1);
});

test("the end of a guest that came to explain its host leaves the host its ticket", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(
    rig,
    device.state(),
    device.raise("a.x"),
    device.raise("b.x", { explained_by: "a.x" }),
    device.change("a.x", { explained_by: "b.x" }),
    device.clear("b.x"),
  );
  await rig.later(91_000);
  expect((await tickets(rig)).map(({ code, state }) => [code, state])).toEqual([["a.x", "新建"]]);
  expect(await kinds(rig, "GZ-20261122-0001")).toEqual(["opened", "child", "alarm", "alarm"]);
  await say(rig, device.clear("a.x"));
  expect((await tickets(rig)).map(({ state }) => state)).toEqual(["已恢复"]);
});

test("a hold-on keeps a short alarm from a ticket and not a long one, over a restart too", async () => {
  const store = openSqliteStore({ file: ":memory:" });
  const device = new FakeDevice();
  const config = { tickets: { holdOnMs: { disk: 120_000 } } };
  const before = await new AggregatorRig(store, config).start();
  await say(before, device.state(), device.raise("disk.var"), device.raise("disk.tmp"));
  await before.clock.wind(60_000);
  await say(before, device.clear("disk.tmp"));
  await before.stop();
  await using after = await new AggregatorRig(store, config, before.clock).start();
  expect(await tickets(after)).toEqual([]);
  await after.clock.wind(61_000);
  expect((await tickets(after)).map(({ code }) => code)).toEqual(["disk.var"]);
});

test("a clock set back by a day does not put off a ticket", async () => {
  await using rig = await rigged({ tickets: { holdOnMs: { disk: 10_000 } } });
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("disk.var"));
  rig.clock.setWall(rig.clock.wall() - 24 * HOUR);
  await rig.clock.wind(11_000);
  expect(await tickets(rig)).toHaveLength(1);
});

test("an alarm that flaps is noted once an hour, and its ticket stays one", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("disk.var", { flapping: true }));
  for (let i = 0; i < 8; i += 1) {
    await say(rig, device.clear("disk.var", { flapping: true }), device.raise("disk.var", { flapping: true }));
    await rig.later(10 * MINUTE);
  }
  const [ticket, ...others] = await tickets(rig);
  expect(others.filter(({ code }) => code === "disk.var")).toEqual([]);
  expect(ticket).toMatchObject({ flapping: true, reopened: 8 });
  expect((await kinds(rig, ticket?.no ?? "")).filter((kind) => kind === "flapping")).toHaveLength(2);
});

test("an alarm gone mad does not fill its timeline", async () => {
  await using rig = await rigged({ tickets: { maxNotes: 20 } });
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("disk.var"));
  for (let i = 0; i < 60; i += 1) void rig.hear(topics.alarm(device.id, "disk.var"), device.change("disk.var").body);
  await say(rig, device.change("disk.var", { severity: "critical" }), device.clear("disk.var"));
  const [ticket] = await tickets(rig);
  expect(ticket).toMatchObject({ level: 1, state: "已恢复" });
  expect(await kinds(rig, ticket?.no ?? "")).toHaveLength(22);
});

test("a repeat changes nothing and is acknowledged again", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  const raised = device.raise("disk.var");
  await say(rig, raised, device.state());
  expect(rig.on(topics.ack(device.id))).toEqual([{ boot: BOOTS[0], seq: 1 }]);
  await say(rig, raised, raised);
  expect(rig.on(topics.ack(device.id))).toHaveLength(2);
  expect(rig.face.counters().vigil_duplicates_total).toBe(2);
  expect(await kinds(rig, "GZ-20261122-0001")).toEqual(["opened"]);
});

test("a raise that comes after its clear is a fault of its own, once; one whose fault was counted by a later word is not", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  const [raised, cleared] = [device.raise("a.x"), device.clear("a.x")];
  await say(rig, cleared, raised, raised);
  expect(await kinds(rig, "GZ-20261122-0001")).toEqual(["opened", "restored"]);
  const [first, worse, over] = [device.raise("b.x"), device.change("b.x"), device.clear("b.x")];
  await say(rig, worse, over, first);
  expect(await kinds(rig, "GZ-20261122-0002")).toEqual(["opened", "restored"]);
  expect(lastAck(rig)).toEqual({ boot: BOOTS[0], seq: 5 });
});

test("nothing is acknowledged over a hole; the hole is asked for, and closed when the record comes", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  const [one, two, three] = [device.raise("a.x"), device.raise("b.x"), device.raise("c.x")];
  await say(rig, one, three);
  expect(lastAck(rig)).toEqual({ boot: BOOTS[0], seq: 1 });
  await rig.clock.wind(4_000);
  expect(rig.on(topics.command(device.id, "resync"))).toEqual([]);
  await rig.clock.wind(2_000);
  expect(rig.on(topics.command(device.id, "resync"))).toEqual([Resync.parse({ because: "records are missing" })]);
  await rig.clock.wind(30_000);
  expect(rig.on(topics.command(device.id, "resync"))).toHaveLength(1);
  await rig.clock.wind(31_000);
  expect(rig.on(topics.command(device.id, "resync"))).toHaveLength(2);
  await say(rig, two);
  expect(lastAck(rig)).toEqual({ boot: BOOTS[0], seq: 3 });
  await rig.clock.wind(120_000);
  expect(rig.on(topics.command(device.id, "resync"))).toHaveLength(2);
});

test("a device that goes on talking over a hole is asked no later", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  device.raise("lost.x");
  for (let i = 0; i < 4; i += 1) {
    await say(rig, device.raise(`a.x${i}`));
    await rig.clock.wind(1_900);
  }
  expect(rig.on(topics.command(device.id, "resync"))).toHaveLength(1);
});

test("a first contact is acknowledged only when a live birth closes the snapshot", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.raise("a.x"), device.raise("b.x"));
  const birth = device.state();
  void rig.hear(birth.topic, birth.body, true);
  await rig.settle();
  expect(rig.on(topics.ack(device.id))).toEqual([]);
  await rig.clock.wind(6_000);
  expect(rig.on(topics.command(device.id, "resync"))).toHaveLength(1);
  await say(rig, device.state());
  expect(rig.on(topics.ack(device.id))).toEqual([Ack.parse({ boot: BOOTS[0], seq: 2 })]);
});

test("a birth over a hole is asked again; when two births leave it, the records are given up", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("a.x"));
  device.raise("lost.x");
  device.clear("lost.x");
  await say(rig, device.state());
  expect(lastAck(rig)).toEqual({ boot: BOOTS[0], seq: 1 });
  await rig.clock.wind(1_000);
  expect(rig.on(topics.command(device.id, "resync"))).toHaveLength(1);
  await say(rig, device.state());
  expect(lastAck(rig)).toEqual({ boot: BOOTS[0], seq: 3 });
});

test("records that the device says it dropped are not asked for", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("a.x"));
  device.raise("lost.x");
  device.clear("lost.x");
  await say(rig, device.state({ dropped: 2 }));
  expect(lastAck(rig)).toEqual({ boot: BOOTS[0], seq: 3 });
  expect((await rig.store.reading.device(device.id))?.dropped).toBe(2);
});

test("records written before a reboot arrive late under their own boot and count", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  const old = device.raise("disk.var");
  device.boot = BOOTS[1];
  await say(rig, old, device.state());
  expect(lastAck(rig)).toEqual({ boot: BOOTS[1], seq: 1 });
  expect(await tickets(rig)).toHaveLength(1);
});

test("a device that lost its state begins anew: what it no longer knows is cleared", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  for (const code of ["a.x", "b.x", "c.x"]) await say(rig, device.raise(code));
  const reborn = new FakeDevice();
  reborn.boot = BOOTS[1];
  await say(rig, reborn.raise("c.x"), reborn.state());
  expect(lastAck(rig)).toEqual({ boot: BOOTS[1], seq: 1 });
  const alarms = await rig.store.reading.alarms({}, all);
  expect(alarms.map(({ code, active }) => [code, active])).toEqual([
    ["a.x", false],
    ["b.x", false],
    ["c.x", true],
  ]);
  expect((await tickets(rig)).map(({ code, state }) => [code, state])).toEqual([
    ["a.x", "已恢复"],
    ["b.x", "已恢复"],
    ["c.x", "新建"],
  ]);
  await say(rig, ...device.records); // an echo of the old life
  expect((await rig.store.reading.alarms({ active: true }, all)).map(({ code }) => code)).toEqual(["c.x"]);
});

test("a device whose clock says 1970 and whose state is lost is told a boot it must pass", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  device.boot = BOOTS[1];
  await say(rig, device.raise("a.x"), device.raise("b.x"), device.state());
  const lost = new FakeDevice();
  lost.boot = "00000000000000000000000001";
  await say(rig, lost.state());
  expect(rig.on(topics.ack(device.id))).toHaveLength(2);
  expect(lastAck(rig)).toEqual({ boot: BOOTS[1], seq: 2 });
  lost.boot = BOOTS[2];
  await say(rig, lost.state());
  expect(lastAck(rig)).toEqual({ boot: BOOTS[2], seq: 0 });
  expect(await rig.store.reading.alarms({ active: true }, all)).toEqual([]);
});

test("a state that lists an alarm we lack is answered by a question", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state({ active: "disk.var" }));
  await rig.clock.wind(1_000);
  expect(rig.on(topics.command(device.id, "resync"))).toHaveLength(1);
});

test("a will that its successor's birth overtook is ignored", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  const stale = device.will();
  device.link = 2;
  await say(rig, device.state(), stale);
  expect(await rig.store.reading.device(device.id)).toMatchObject({ presence: "online", link: 2 });
  device.boot = BOOTS[1];
  device.link = 1;
  const late = { ...stale, body: { ...stale.body, link: 9 } };
  await say(rig, device.state(), late);
  expect(await rig.store.reading.device(device.id)).toMatchObject({ presence: "online", boot: BOOTS[1] });
});

test("a will is an alarm at once and a ticket after a minute; the birth clears it", async () => {
  await using rig = await rigged({
    registry: {
      classes: { terminal: { offlineSeverity: "critical" } },
      devices: { "ft-0042": { site: "hq", class: "terminal" } },
    },
  });
  const device = new FakeDevice();
  await say(rig, device.state(), device.will());
  expect(await rig.store.reading.alarms({ active: true }, all)).toMatchObject([
    { code: "device.offline", check: "device", subject: "ft-0042", reason: "offline", severity: "critical" },
  ]);
  await rig.clock.wind(58_000);
  expect(await tickets(rig)).toEqual([]);
  await rig.clock.wind(2_500);
  expect(await tickets(rig)).toMatchObject([{ code: "device.offline", level: 1, site: "hq", title_zh: "设备失联" }]);
  device.link = 2;
  await say(rig, device.state());
  expect(await tickets(rig)).toMatchObject([{ state: "已恢复" }]);
});

test("a short absence is an alarm and no ticket; a clean stop says so", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.state({ online: false, reason: "shutdown" }));
  expect(await rig.store.reading.alarms({ active: true }, all)).toMatchObject([{ reason: "shutdown" }]);
  await rig.clock.wind(30_000);
  device.boot = BOOTS[1];
  await say(rig, device.state());
  await rig.clock.wind(60_000);
  expect(await tickets(rig)).toEqual([]);
});

test("a silent device is found within two heartbeats and a second", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  device.heartbeatS = 10;
  await say(rig, device.state());
  const start = rig.clock.now();
  const presence = async () => (await rig.store.reading.device(device.id))?.presence;
  await rig.clock.wind(19_800);
  expect(await presence()).toBe("online");
  await rig.clock.wind(21_000 - (rig.clock.now() - start));
  expect(await presence()).toBe("silent");
  expect(await rig.store.reading.alarms({ active: true }, all)).toMatchObject([{ reason: "silent" }]);
  await say(rig, device.tele());
  expect(await presence()).toBe("online");
  expect(await rig.store.reading.alarms({ active: true }, all)).toEqual([]);
});

test("while our own line is down nobody is silent, and afterwards everybody has the full time again", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  await rig.down();
  await rig.clock.wind(10 * MINUTE);
  await rig.up();
  await rig.clock.wind(119_000);
  expect((await rig.store.reading.device(device.id))?.presence).toBe("online");
  await rig.clock.wind(3_000);
  expect((await rig.store.reading.device(device.id))?.presence).toBe("silent");
});

test("after our own restart a device that is gone is found, and one known as silent is not opened again by an old birth", async () => {
  const store = openSqliteStore({ file: ":memory:" });
  const device = new FakeDevice();
  const before = await new AggregatorRig(store).start();
  const birth = device.state();
  await say(before, birth);
  await before.stop();
  await using after = await new AggregatorRig(store, {}, before.clock).start();
  await after.clock.wind(122_000);
  expect((await store.reading.device(device.id))?.presence).toBe("silent");
  void after.hear(birth.topic, birth.body, true);
  await after.settle();
  expect((await store.reading.device(device.id))?.presence).toBe("silent");
});

test("a wall clock that jumps by a day makes nobody silent", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  rig.clock.setWall(rig.clock.wall() + 24 * HOUR);
  await rig.clock.wind(60_000);
  expect((await rig.store.reading.device(device.id))?.presence).toBe("online");
});

test("a birth told again behind its own end is no sign of life", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  const birth = device.state();
  await say(rig, birth, device.will());
  await say(rig, birth);
  expect(await rig.store.reading.device(device.id)).toMatchObject({ presence: "offline", online: false });
  device.link += 1;
  await say(rig, device.state());
  expect(await rig.store.reading.device(device.id)).toMatchObject({ presence: "online", online: true });
});

test("a birth of a later connection that the broker kept ends an absence, until its time is up", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.will());
  device.link += 1;
  const { topic, body } = device.state();
  void rig.hear(topic, body, true);
  await rig.settle();
  const offline = async () => (await rig.store.reading.alarms({ active: true }, all)).map(({ reason }) => reason);
  expect([(await rig.store.reading.device(device.id))?.presence, await offline()]).toEqual(["online", []]);
  await rig.clock.wind(122_000);
  expect([(await rig.store.reading.device(device.id))?.presence, await offline()]).toEqual(["silent", ["silent"]]);
});

test("a hole that moved is another hole: no birth closes over one it left for the first time", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  const records = ["a.x", "b.x", "c.x", "d.x", "e.x", "f.x"].map((code) => device.raise(code));
  await say(rig, ...records.slice(0, 2), device.state());
  expect(lastAck(rig)).toEqual({ boot: BOOTS[0], seq: 2 });
  await say(rig, ...records.slice(2, 4), device.state());
  expect(lastAck(rig)).toEqual({ boot: BOOTS[0], seq: 4 });
  await say(rig, device.state());
  expect(lastAck(rig)).toEqual({ boot: BOOTS[0], seq: 6 });
});

test("a device that has left is not asked for what is missing", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state());
  device.raise("a.x");
  await say(rig, device.raise("b.x"), device.will());
  await rig.clock.wind(10_000);
  expect(rig.on(topics.command(device.id, "resync"))).toEqual([]);
});

test("a ticket the broker would not take for now is told again by itself", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  const topic = topics.ticket("GZ-20261122-0001");
  rig.answer = (to) => (to === topic ? "LINK_REFUSED" : undefined);
  await say(rig, device.state(), device.raise("a.x"));
  expect(rig.on(topic)).toEqual([]);
  rig.answer = () => undefined;
  await rig.clock.wind(61_000);
  expect(rig.on(topic)).toMatchObject([{ state: "新建" }]);
  await rig.clock.wind(120_000);
  expect(rig.on(topic)).toHaveLength(1);
});

test("a birth of a past boot that the broker kept says nothing", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  const old = device.state();
  device.boot = BOOTS[1];
  await say(rig, device.state(), device.will());
  const acks = rig.on(topics.ack(device.id)).length;
  void rig.hear(old.topic, old.body, true);
  await rig.settle();
  expect((await rig.store.reading.device(device.id))?.presence).toBe("offline");
  expect(rig.on(topics.ack(device.id))).toHaveLength(acks);
});

test("what a device had to drop is counted once for each birth", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  const birth = device.state({ dropped: 3 });
  await say(rig, birth, birth);
  void rig.hear(birth.topic, birth.body, true);
  const will = device.will();
  await say(rig, { ...will, body: { ...will.body, dropped: 3 } });
  expect((await rig.store.reading.device(device.id))?.dropped).toBe(3);
  device.link += 1;
  await say(rig, device.state({ dropped: 2 }));
  expect((await rig.store.reading.device(device.id))?.dropped).toBe(5);
});

test("what the broker kept of a silent device does not end its silence, and a will told twice is one", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  device.boot = "01ZZ0000000000000000000000"; // of a clock ahead of ours
  device.heartbeatS = 5;
  const birth = device.state();
  await say(rig, birth);
  await rig.clock.wind(12_000);
  void rig.hear(birth.topic, birth.body, true);
  await rig.settle();
  const active = async () => (await rig.store.reading.alarms({ active: true }, all)).map(({ reason }) => reason);
  expect(await active()).toEqual(["silent"]);
  const heard: string[] = [];
  rig.face.changes.subscribe((change) => change.kind === "alarm" && heard.push(change.row.reason));
  const will = device.will();
  await say(rig, will, will);
  expect([await active(), heard]).toEqual([["offline"], ["offline"]]);
});

test("what it tells fits the protocol: birth, snapshot, timeline, and a will that says offline", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("disk.var"), device.clear("disk.var"));
  const [birth] = rig.on(topics.aggregator("rig"));
  expect(AggregatorState.parse(birth)).toMatchObject({ online: true, reason: "birth" });
  const will = rig.options.will(1);
  expect(will).toMatchObject({ topic: topics.aggregator("rig"), retain: true });
  expect(AggregatorState.parse(JSON.parse(will.payload))).toMatchObject({ online: false, reason: "will" });
  const snapshots = rig.told.filter(({ topic }) => topic === topics.ticket("GZ-20261122-0001"));
  expect(snapshots.every(({ retain }) => retain)).toBe(true);
  expect(TicketSnapshot.parse(JSON.parse(snapshots.at(-1)?.payload ?? ""))).toMatchObject({ state: "已恢复" });
  const entries = rig.on(topics.ticketLog("GZ-20261122-0001")).map((entry) => TicketLogEntry.parse(entry));
  expect(entries.map(({ id, kind }) => [id, kind])).toEqual([
    [1, "opened"],
    [2, "restored"],
  ]);
  await rig.stop();
  expect(AggregatorState.parse(rig.on(topics.aggregator("rig")).at(-1))).toMatchObject({
    online: false,
    reason: "shutdown",
  });
});

test("tickets that changed while the line was down are told at the next connection, and all are told again", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("a.x"), device.raise("b.x"));
  await rig.down();
  rig.told.length = 0;
  await say(rig, device.clear("a.x"));
  expect(rig.told).toEqual([]);
  await rig.up();
  await rig.settle();
  const told = rig.told.map(({ topic }) => topic);
  expect(told[0]).toBe(topics.aggregator("rig"));
  expect(rig.on(topics.ticket("GZ-20261122-0001"))).toMatchObject([{ state: "已恢复" }]);
  expect(rig.on(topics.ticket("GZ-20261122-0002"))).toMatchObject([{ state: "新建" }]);
  expect(rig.on(topics.ticketLog("GZ-20261122-0001"))).toMatchObject([{ kind: "restored" }]);
});

test("a resolved ticket stays on its topic for a day, then the topic is emptied", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("a.x"), device.clear("a.x"));
  await rig.later(HOUR);
  await rig.later(23 * HOUR);
  const topic = topics.ticket("GZ-20261122-0001");
  expect(rig.on(topic).at(-1)).toMatchObject({ state: "已解决" });
  await rig.later(2 * HOUR);
  await rig.clock.wind(11 * MINUTE); // the broom comes every ten
  expect(rig.told.filter((one) => one.topic === topic).at(-1)).toMatchObject({ payload: "", retain: true });
  const before = rig.told.length;
  await rig.up();
  expect(rig.told.slice(before).filter((one) => one.topic === topic)).toEqual([]);
});

test("a topic emptied where nobody listens is emptied all the same", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("a.x"), device.clear("a.x"));
  await rig.later(HOUR);
  let tries = 0;
  rig.answer = (to) => {
    if (to === topics.ticket("GZ-20261122-0001")) tries += 1;
    return "LINK_UNHEARD";
  };
  await rig.later(25 * HOUR);
  await rig.clock.wind(22 * MINUTE);
  expect(tries).toBe(1);
  expect(await rig.store.shownTickets({ limit: 9 })).not.toContainEqual(
    expect.objectContaining({ no: "GZ-20261122-0001" }),
  );
});

test("the desk is told of every change, after its commit", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  const heard: string[] = [];
  rig.face.changes.subscribe((change) => heard.push(`${change.kind} ${"event" in change ? change.event.kind : ""}`));
  await say(rig, device.state(), device.raise("a.x"), device.clear("a.x"));
  expect(heard).toEqual(["device ", "alarm ", "ticket opened", "alarm ", "ticket restored"]);
});

test("a device over the bound is refused and counted; the known ones go on", async () => {
  await using rig = await rigged({ limits: { devices: 1 } });
  await say(rig, new FakeDevice("one").state(), new FakeDevice("two").state());
  expect((await rig.store.reading.devices(all)).map(({ id }) => id)).toEqual(["one"]);
  expect(rig.face.counters().vigil_refused_total).toEqual([{ labels: { code: "DEVICE_LIMIT" }, value: 1 }]);
});

test("every timeline is whole and every ticket is the fold of its own, and an edited row is found", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.state(), device.raise("a.x"), device.raise("b.x"), device.clear("a.x"), device.raise("a.x"));
  expect(await verifyTickets(rig.store.reading)).toEqual([]);
  const { tickets: list, timeline } = rig.store.reading;
  const edited = async (no: string) =>
    (await timeline(no)).map((event) => (event.kind === "restored" ? { ...event, at: event.at - 1 } : event));
  expect(await verifyTickets({ tickets: list, timeline: edited })).toEqual([
    { ticket: "GZ-20261122-0001", id: 2, because: "it was edited" },
  ]);
  const cut = async (no: string) => (await timeline(no)).slice(0, 1);
  expect(await verifyTickets({ tickets: list, timeline: cut })).toMatchObject([{ ticket: "GZ-20261122-0001" }]);
});
