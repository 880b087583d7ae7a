import { join } from "node:path";
import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS, hourOf } from "../../../aggregator/history-store.ts";
import { openSqliteHistory } from "../../../aggregator/sqlite/history.ts";
import { openSqliteStore } from "../../../aggregator/sqlite-store.ts";
import { verifyTickets } from "../../../aggregator/tickets/verify.ts";
import { topics } from "../../../protocol/topics.ts";
import { AggregatorRig, FakeDevice } from "../../kit/aggregator.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { fill } from "../../kit/hand-history.ts";
import { tempFolder } from "../../kit/temp.ts";

const CODE = "trend.disk-var-free-pct";
const START = Date.UTC(2026, 10, 22, 9, 20);

/** An aggregator with its files in a folder, that can be ended and begun anew. */
class Desk {
  readonly clock = new HandClock(START);
  readonly #folder: string;
  readonly #config: Record<string, unknown>;
  rig: AggregatorRig;
  constructor(folder: string, config: Record<string, unknown> = {}) {
    this.#folder = folder;
    this.#config = config;
    this.rig = this.#open();
  }
  #open(): AggregatorRig {
    const store = openSqliteStore({ file: join(this.#folder, "vigil.db") });
    const history = openSqliteHistory({ file: join(this.#folder, "vigil-history.db") });
    return new AggregatorRig(store, this.#config, this.clock, history);
  }
  async restart(): Promise<void> {
    await this.rig[Symbol.asyncDispose]();
    this.rig = this.#open();
    await this.rig.start();
  }
  /** What the history knew before: one value an hour, up to now. */
  async past(
    days: number,
    at: (daysAgo: number) => number,
    device = "ft-0042",
    code = "disk.var",
    figure = "free_pct",
  ) {
    const now = hourOf(this.clock.wall()) * HOUR_MS;
    const samples = Array.from({ length: 24 * days }, (_, back) => {
      const ts = now - (back + 1) * HOUR_MS + 60_000;
      return { device, code, ts, figures: { [figure]: at((back + 1) / 24) } };
    });
    await fill(this.rig.history, samples);
  }
  /** An hour goes by; every device tells what it has. */
  async hour(
    tell: (ts: number) => { device: FakeDevice; code: string; figures: Record<string, number> }[],
  ): Promise<void> {
    const ts = this.clock.wall() + 60_000;
    for (const { device, code, figures } of tell(ts))
      void this.rig.hear(device.tele(code, { ...figures, ts }).topic, { ...figures, ts });
    await this.rig.settle();
    await this.clock.wind(5_100);
    await this.rig.later(HOUR_MS - 6_000);
  }
  tickets() {
    return this.rig.store.reading.tickets({}, { limit: 500 });
  }
  [Symbol.asyncDispose]() {
    return this.rig[Symbol.asyncDispose]();
  }
}

const bear = async (desk: Desk, devices: readonly FakeDevice[]) => {
  for (const device of devices) {
    const { topic, body } = device.state({ heartbeat_s: 86_400 });
    void desk.rig.hear(topic, body);
  }
  await desk.rig.settle();
};

test("a disk that fills one percent a day gets one preventive ticket before its threshold, over a restart, and none of its own when the fault comes", async () => {
  using folder = tempFolder();
  await using desk = new Desk(folder.path);
  await desk.rig.start();
  const device = new FakeDevice();
  await bear(desk, [device]);
  await desk.past(10, (ago) => 31 + ago);
  const begun = desk.clock.wall();
  const free = () => 31 - (desk.clock.wall() - begun) / DAY_MS;
  const hours = async (count: number) => {
    for (let n = 0; n < count; n += 1)
      await desk.hour(() => [{ device, code: "disk.var", figures: { free_pct: free() } }]);
  };
  await hours(20); // 16 % above the limit: 16 days, beyond the horizon
  expect(await desk.tickets()).toEqual([]);
  await hours(40);
  const [ticket, ...more] = await desk.tickets();
  expect(more).toEqual([]);
  expect(ticket).toMatchObject({
    type: "隐患",
    severity: "warning",
    state: "新建",
    code: CODE,
    title_zh: "磁盘可用空间：按趋势将达限值",
  });
  expect(ticket).not.toHaveProperty("level");
  const [alarm] = await desk.rig.store.reading.alarms({ active: true }, { limit: 9 });
  expect(alarm).toMatchObject({ check: "trend", subject: "disk.var free_pct", reason: "forecast", unit: "d" });
  expect(alarm?.says).toMatch(
    /^free_pct of disk\.var falls by (1|1\.0\d*|0\.99\d*) a day \(.*\), now (?:28|29)\.\d*; reaches 15 on 2026-12-0[78] \(between/,
  );
  expect(desk.rig.on(topics.ticket(ticket?.no ?? ""))).not.toEqual([]);

  await desk.restart();
  await bear(desk, [device]);
  await hours(30);
  expect((await desk.tickets()).map(({ code, state }) => [code, state])).toEqual([[CODE, "新建"]]);
  expect(await desk.rig.store.reading.timeline(ticket?.no ?? "")).toHaveLength(1);

  // It comes: the device's own alarm stands for this cause from now on.
  const { topic, body } = device.raise("disk.var", { severity: "major" });
  void desk.rig.hear(topic, body);
  await hours(3);
  expect((await desk.tickets()).map(({ code, type, state }) => [code, type, state])).toEqual([
    [CODE, "隐患", expect.stringMatching("已恢复|已解决")],
    ["disk.var", "故障", "新建"],
  ]);
  await hours(12);
  expect(await desk.tickets()).toHaveLength(2);
  expect((await desk.rig.history.findings({}, { limit: 9 })).map(({ toldAt }) => toldAt)).toEqual([undefined]);
  expect(await verifyTickets(desk.rig.store.reading)).toEqual([]);
}, 30_000);

test("freed, the trend is taken back after a day and not before; the ticket goes to 已恢复", async () => {
  using folder = tempFolder();
  await using desk = new Desk(folder.path);
  await desk.rig.start();
  const device = new FakeDevice();
  await bear(desk, [device]);
  await desk.past(10, (ago) => 25 + ago);
  const hours = async (count: number, value: () => number) => {
    for (let n = 0; n < count; n += 1)
      await desk.hour(() => [{ device, code: "disk.var", figures: { free_pct: value() } }]);
  };
  const begun = desk.clock.wall();
  await hours(10, () => 25 - (desk.clock.wall() - begun) / DAY_MS);
  expect((await desk.tickets()).map(({ state }) => state)).toEqual(["新建"]);
  await hours(24, () => 80);
  expect((await desk.tickets()).map(({ state }) => state)).toEqual(["新建"]);
  await hours(40, () => 80);
  expect((await desk.tickets()).map(({ state, reopened }) => [state, reopened])).toEqual([["已解决", 0]]);
  expect(await desk.rig.history.findings({}, { limit: 9 })).toEqual([]);
}, 30_000);

test("while the device's own alarm on that code is active a trend opens nothing", async () => {
  using folder = tempFolder();
  await using desk = new Desk(folder.path);
  await desk.rig.start();
  const device = new FakeDevice();
  await bear(desk, [device]);
  const { topic, body } = device.raise("disk.var", { severity: "minor", reason: "forecast" });
  void desk.rig.hear(topic, body);
  await desk.past(10, (ago) => 20 + ago);
  for (let n = 0; n < 12; n += 1) await desk.hour(() => [{ device, code: "disk.var", figures: { free_pct: 20 } }]);
  expect((await desk.tickets()).map(({ code }) => code)).toEqual(["disk.var"]);
});

test("one of a class runs hot: a day later there is one ticket, and none for the others or for strangers", async () => {
  using folder = tempFolder();
  const ids = Array.from({ length: 10 }, (_, n) => `enc-${n}`);
  const registry = {
    classes: { encoder: { offlineSeverity: "major" } },
    devices: Object.fromEntries(ids.map((id) => [id, { class: "encoder" }])),
  };
  await using desk = new Desk(folder.path, { registry });
  await desk.rig.start();
  const devices = [...ids, "stranger"].map((id) => new FakeDevice(id));
  await bear(desk, devices);
  const tempC = (id: string) => (id === "enc-3" || id === "stranger" ? 75 : 50 + (Number(id.slice(4)) % 4));
  for (let n = 0; n < 42; n += 1)
    await desk.hour(() =>
      devices.map((device) => ({ device, code: "temperature.cpu", figures: { temp_c: tempC(device.id) } })),
    );
  expect(await desk.tickets()).toMatchObject([
    { device: "enc-3", code: "trend.temperature-cpu-temp-c", type: "隐患", title_zh: "温度：异于同类设备" },
  ]);
}, 30_000);

test("of a device that is away nothing is taken back; an alarm whose history was lost goes when the figures say so", async () => {
  using folder = tempFolder();
  await using desk = new Desk(folder.path);
  await desk.rig.start();
  const device = new FakeDevice();
  await bear(desk, [device]);
  await desk.past(10, (ago) => 25 + ago);
  for (let n = 0; n < 10; n += 1)
    await desk.hour(() => [{ device, code: "disk.var", figures: { free_pct: 25 - n / 24 } }]);
  expect(await desk.tickets()).toHaveLength(1);
  const will = device.will();
  void desk.rig.hear(will.topic, will.body);
  await desk.rig.settle();
  for (let n = 0; n < 10; n += 1) await desk.rig.later(DAY_MS);
  const trend = async () =>
    (await desk.rig.store.reading.alarms({ device: device.id }, { limit: 9 })).find(({ code }) => code === CODE)
      ?.active;
  expect(await trend()).toBe(true);
  // Back, and its history is gone.
  await desk.rig.history.dropFindings(await desk.rig.history.findings({}, { limit: 9 }));
  await desk.restart();
  device.link += 1;
  await bear(desk, [device]);
  for (let n = 0; n < 60; n += 1) await desk.hour(() => [{ device, code: "disk.var", figures: { free_pct: 60 } }]);
  expect(await trend()).toBe(false);
}, 30_000);

test("a device may not speak in the name of a trend", async () => {
  using folder = tempFolder();
  await using desk = new Desk(folder.path);
  await desk.rig.start();
  const device = new FakeDevice();
  await bear(desk, [device]);
  for (const { topic, body } of [device.raise(CODE), device.raise("disk.x", { check: "trend" })])
    void desk.rig.hear(topic, body);
  await desk.rig.settle();
  expect(await desk.rig.store.reading.alarms({}, { limit: 9 })).toEqual([]);
  expect(desk.rig.face.counters().vigil_refused_total).toEqual([{ labels: { code: "MESSAGE_TOPIC" }, value: 2 }]);
});
