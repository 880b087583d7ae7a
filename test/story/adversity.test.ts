import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { slug } from "../../protocol/topics.ts";
import { startEmbedded } from "../kit/broker.ts";
import { type FakeClock, fakeClock } from "../kit/fake-clock.ts";
import { type MountSpace, needsMounts, openMountSpace, takeAllRoom } from "../kit/mount-space.ts";
import { needs } from "../kit/peers.ts";
import { type House, openHouse, type Row, ticketInState, ticketOf, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";
import { type WatchedProcesses, watchedProcesses } from "../kit/watched.ts";

/** Bad times for the agent itself: it must say so, live on, and neither forget nor repeat the alarm that was active before. */

const SOON_MS = 15_000;
const noMounts = needsMounts();
const noFaketime = needs("faketime", "faketime");
const folder = tempFolder("vigil-clocks");
afterAll(() => folder[Symbol.dispose]());

interface Story {
  stateDir?: string;
  space?: MountSpace;
  clock?: FakeClock;
}

/** A house whose agent looks at itself often and watches `fleet`. */
async function houseOf(fleet: WatchedProcesses, { stateDir, space, clock }: Story): Promise<House> {
  const self = { holdOnMs: 0, holdOffMs: 500 };
  const disk = { enabled: space !== undefined, holdOnMs: 0, holdOffMs: 500 };
  const time = { enabled: clock !== undefined, holdOnMs: 0, holdOffMs: 500, sync: { expected: false } };
  return openHouse(await startEmbedded(), {
    agent: {
      outbox: { maxBytes: 1_048_576 },
      ...(stateDir !== undefined && { stateDir }),
      checks: { ...fleet.checks, self, disk, clock: time },
    },
    ...(space && { space }),
    ...(clock && { env: clock.env }),
  });
}

const codeOf = (name: string): string => `process.${name}`;

/** The alarm that is active before the bad times, with its ticket. */
interface Earlier {
  alarm: Row;
  no: string;
}

async function anAlarmBefore(house: House, fleet: WatchedProcesses, name: string): Promise<Earlier> {
  const alarm = await killedAndTold(house, fleet, name);
  return { alarm, no: String(alarm["ticket"]) };
}

const stateOf = async ({ api }: House, no: string): Promise<unknown> =>
  (await api.get(`/api/v1/tickets/${no}`))?.body["state"];

/** Kills a process; returns its alarm once it has a ticket: its own, or that of the full disk that explains it. */
async function killedAndTold(house: House, fleet: WatchedProcesses, name: string): Promise<Row> {
  await fleet.kill(name);
  return until(`${codeOf(name)} has a ticket`, SOON_MS, async () => {
    const alarm = (await house.api.all("alarms", "&active=true"))?.find(({ code }) => code === codeOf(name));
    return alarm?.["ticket"] === undefined ? undefined : alarm;
  });
}

/** A fault of today still finds its ticket; the one of before is active as it was, raised once and not twice. */
async function livesOn(house: House, fleet: WatchedProcesses, name: string, { alarm, no }: Earlier): Promise<void> {
  await killedAndTold(house, fleet, name);
  const { code, since } = alarm;
  const [still, ...others] = (await house.api.all("alarms"))?.filter((one) => one["code"] === code) ?? [];
  expect(others).toEqual([]);
  expect(still).toMatchObject({ active: true, since });
  const own = (await house.api.all("tickets"))?.filter((one) => one["code"] === code) ?? [];
  expect(own.map((one) => one["no"])).toEqual(own.length === 0 ? [] : [no]);
  // its own ticket, or that of the disk which explains it by now: asked one after the other, while one may end in the other
  await until("its fault has an open ticket", SOON_MS, async () => {
    const now = (await house.api.all("alarms"))?.find((one) => one["code"] === code);
    if ((await stateOf(house, String(now?.["ticket"]))) !== "新建") return false;
    return now?.["ticket"] === no || (await stateOf(house, no)) === "合并";
  });
  expect(house.agent.running).toBe(true);
}

/** Ends the agent as a power cut would and starts it again; returns when it is heard under a new name. */
async function startAgain(house: House, meanwhile: () => void = () => {}): Promise<void> {
  const boot = await bootOf(house);
  await house.agent.end("SIGKILL");
  meanwhile();
  house.agent.start();
  await until("the agent is there again", SOON_MS, async () => {
    const now = await bootOf(house);
    return now !== undefined && now !== boot;
  });
}

async function bootOf({ api }: House): Promise<unknown> {
  return (await api.get("/api/v1/devices/ft-0042"))?.body["boot"];
}

/** The agent says that it cannot write, and that the disk is why: one ticket, of the disk. */
async function storeIsToldOf({ api }: House, disk: string): Promise<void> {
  const alarm = await until("the state folder's alarm is with its cause", SOON_MS, async () => {
    const alarms = await api.all("alarms", "&active=true");
    return alarms?.find(({ code, ticket }) => code === "self.store" && ticket !== undefined);
  });
  expect(alarm).toMatchObject({ explained_by: disk, severity: "major", title_zh: "监测状态无法写入存储" });
  expect(alarm["ticket"]).toBe((await ticketOf(api, disk))?.["no"]);
}

test
  .skipIf(noMounts)
  .concurrent("the disk under the state folder fills up, and the agent starts again on it", async () => {
    using space = openMountSpace();
    const point = space.mountExt4("state");
    await using fleet = watchedProcesses(3);
    const [before = "", during = "", after = ""] = fleet.names;
    await using house = await houseOf(fleet, { space, stateDir: join(point, "vigil") });
    const earlier = await anAlarmBefore(house, fleet, before);
    const { pid } = house.agent;

    takeAllRoom(space.at(point));
    await until("the full disk is a ticket", SOON_MS, () => ticketOf(house.api, `disk.${slug(point)}`));
    await livesOn(house, fleet, during, earlier);
    expect(house.agent.pid).toBe(pid);

    await startAgain(house);
    await livesOn(house, fleet, after, earlier);
  });

test.skipIf(noMounts).concurrent("the first start ever is on a full disk", { timeout: 90_000 }, async () => {
  using space = openMountSpace();
  const point = space.mountExt4("state");
  takeAllRoom(space.at(point));
  await using fleet = watchedProcesses(2);
  const [before = "", after = ""] = fleet.names;
  await using house = await houseOf(fleet, { space, stateDir: join(point, "vigil") });
  await storeIsToldOf(house, `disk.${slug(point)}`);
  const earlier = await anAlarmBefore(house, fleet, before);
  await livesOn(house, fleet, after, earlier);
});

test
  .skipIf(noMounts)
  .concurrent("the state folder is read-only when the agent starts", { timeout: 90_000 }, async () => {
    using space = openMountSpace();
    const point = space.mountExt4("state");
    await using fleet = watchedProcesses(2);
    const [before = "", after = ""] = fleet.names;
    await using house = await houseOf(fleet, { space, stateDir: join(point, "vigil") });
    const earlier = await anAlarmBefore(house, fleet, before);

    await startAgain(house, () => space.run("mount", "-o", "remount,ro", point));
    await ticketInState(house.api, "self.store", "新建", SOON_MS);
    await livesOn(house, fleet, after, earlier);
  });

test
  .skipIf(noMounts)
  .concurrent("the state folder turns read-only under the running agent", { timeout: 90_000 }, async () => {
    using space = openMountSpace();
    const point = space.mountExt4("state", { options: "rw,errors=remount-ro" });
    await using fleet = watchedProcesses(2);
    const [before = "", after = ""] = fleet.names;
    await using house = await houseOf(fleet, { space, stateDir: join(point, "vigil") });
    const earlier = await anAlarmBefore(house, fleet, before);
    const { pid } = house.agent;

    breakFileSystem(space, point);
    await livesOn(house, fleet, after, earlier);
    await storeIsToldOf(house, `disk.${slug(point)}`);
    expect(house.agent.pid).toBe(pid);
  });

/** Lets the kernel find an error in the file system of a loop device: it is read-only from then on. */
function breakFileSystem(space: MountSpace, point: string): void {
  const source = space.run("findmnt", "-n", "-o", "SOURCE", point).trim();
  const [, loop] = /^\/dev\/(loop\d+)$/.exec(source) ?? [];
  if (loop === undefined) throw new Error(`${point} is not on a loop device but on ${source}`);
  writeFileSync(`/sys/fs/ext4/${loop}/trigger_fs_error`, "a test");
}

const DAY_S = 86_400;
/** Back to the second day of 1970: a board without a battery for its clock. */
const to1970 = (): number => DAY_S - Math.floor(Date.now() / 1000);

test.skipIf(noFaketime).concurrent("the clock jumps by a day, forward and back", { timeout: 90_000 }, async () => {
  const clock = fakeClock(folder.path);
  await using fleet = watchedProcesses(4);
  const [before = "", forward = "", back = "", behind = ""] = fleet.names;
  await using house = await houseOf(fleet, { clock });
  const earlier = await anAlarmBefore(house, fleet, before);
  const { pid } = house.agent;

  clock.set(DAY_S);
  await ticketInState(house.api, "clock.wall", "新建", SOON_MS);
  await livesOn(house, fleet, forward, earlier);
  clock.set(0);
  await livesOn(house, fleet, back, earlier);
  clock.set(-DAY_S);
  await until("the desk sees a clock of yesterday", SOON_MS, async () => {
    const device = (await house.api.get("/api/v1/devices/ft-0042"))?.body;
    return Number(device?.["skew_ms"]) < -0.9 * DAY_S * 1000;
  });
  await livesOn(house, fleet, behind, earlier);
  expect(house.agent.pid).toBe(pid);
  expect((await house.api.all("alarms", "&active=true"))?.map(({ code }) => code)).not.toContain("device.offline");
});

test
  .skipIf(noFaketime)
  .concurrent("the machine starts in 1970, and gets the time later", { timeout: 90_000 }, async () => {
    const clock = fakeClock(folder.path);
    await using fleet = watchedProcesses(2);
    const [before = "", after = ""] = fleet.names;
    await using house = await houseOf(fleet, { clock });
    const earlier = await anAlarmBefore(house, fleet, before);

    await startAgain(house, () => clock.set(to1970()));
    const ticket = await ticketInState(house.api, "clock.wall", "新建", SOON_MS);
    expect(ticket).toMatchObject({ title_zh: "系统时间不正确", level: 2 });
    await livesOn(house, fleet, after, earlier);
    const { pid } = house.agent;

    clock.set(0);
    await ticketInState(house.api, "clock.wall", "已恢复", SOON_MS);
    expect(house.agent.pid).toBe(pid);
  });

test
  .skipIf(noFaketime)
  .concurrent("the state folder is lost, and the clock says 1970", { timeout: 90_000 }, async () => {
    const clock = fakeClock(folder.path);
    await using fleet = watchedProcesses(2);
    const [before = "", after = ""] = fleet.names;
    await using house = await houseOf(fleet, { clock });
    const earlier = await anAlarmBefore(house, fleet, before);
    const boot = String(await bootOf(house));

    await startAgain(house, () => {
      rmSync(join(house.folder, "agent-state"), { recursive: true });
      clock.set(to1970());
    });
    expect(String(await bootOf(house)) > boot).toBe(true);
    await fleet.kill(after);
    await ticketInState(house.api, codeOf(after), "新建", SOON_MS);
    expect((await house.api.all("tickets"))?.filter(({ code }) => code === codeOf(before))).toMatchObject([
      { no: earlier.no },
    ]);
    fleet.start(before);
    const restored = await ticketInState(house.api, codeOf(before), "已恢复", SOON_MS);
    expect(restored["no"]).toBe(earlier.no);
    expect((await house.api.all("tickets"))?.filter(({ code }) => code === codeOf(before))).toHaveLength(1);
  });
