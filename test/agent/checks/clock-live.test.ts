import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Verdict } from "../../../agent/checks/check.ts";
import { startChrony } from "../../kit/chrony.ts";
import { type FakeClock, fakeClock } from "../../kit/fake-clock.ts";
import { type JudgeProcess, startJudge } from "../../kit/judge-process.ts";
import { needs } from "../../kit/peers.ts";
import { freePort } from "../../kit/ports.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";

/** The check in a process whose wall clock the test sets, against real time servers. */

const noChrony = needs("chronyd", "chrony");
const noFaketime = needs("faketime", "faketime");

let folder: TempFolder;
let judge: JudgeProcess | undefined;
beforeEach(() => {
  folder = tempFolder("vigil-clock");
});
afterEach(async () => {
  await judge?.[Symbol.asyncDispose]();
  judge = undefined;
  folder[Symbol.dispose]();
});
async function watch(config: object, clock?: FakeClock): Promise<JudgeProcess> {
  judge = await startJudge({
    ...{ file: "agent/checks/clock/clock.ts", kind: "clocks", folder: folder.path },
    config: { sync: { expected: false }, serversEveryMs: 1_000, serversDeadlineMs: 500, ...config },
    ...(clock && { env: clock.env }),
  });
  return judge;
}
const reason = (verdict: Verdict | undefined): string =>
  verdict?.state === "judged" && verdict.grade !== "ok" ? `${verdict.reason} ${verdict.grade}` : "";
const isWell = (verdict: Verdict | undefined): boolean => verdict?.state === "judged" && verdict.grade === "ok";
const find = (all: readonly Verdict[], subject: string): Verdict | undefined =>
  all.find((one) => one.subject === subject);

test.skipIf(noChrony || noFaketime)(
  "a clock that is set wrong is found by the servers, however it got there",
  async () => {
    await using server = await startChrony({ local: true, folder: folder.path });
    const clock = fakeClock(folder.path);
    const at = await watch({ servers: [`127.0.0.1:${server.ntpPort}`] }, clock);
    await at.until((of) => isWell(of("offset")) && isWell(of("wall")));
    clock.set(3);
    const off = await at.until((of) => reason(of("offset")) === "offset warning");
    expect(isWell(find(off, "wall"))).toBe(true); // three seconds are no jump
    clock.set(-3_600);
    const back = await at.until((of) => reason(of("offset")) === "offset major" && reason(of("wall")) === "jump minor");
    expect(find(back, "offset")).toMatchObject({ unit: "ms", says: expect.stringContaining("behind 127.0.0.1") });
    expect(find(back, "wall")).toMatchObject({ value: -3_603, unit: "s" });
    clock.set(0);
    await at.until((of) => isWell(of("offset")));
  },
);

describe.skipIf(noChrony)("who sets the clock", () => {
  const sync = (ports: { chronyPort?: number; ntpPort?: number }, free: number) => ({
    sync: { everyMs: 1_000, bootGraceMs: 0, chronyPort: free, ntpPort: free, ...ports },
  });

  test("chronyd, which has the time from a server; when it ends, nobody", async () => {
    const free = await freePort();
    await using server = await startChrony({ local: true, folder: folder.path });
    const chrony = await startChrony({ from: server.ntpPort, folder: folder.path });
    const at = await watch(sync({ chronyPort: chrony.cmdPort }, free));
    const well = await at.until((of) => isWell(of("sync")));
    expect(find(well, "sync")).toMatchObject({
      says: expect.stringMatching(/^chronyd heard the time from 127\.0\.0\.1 \(stratum 6\) \d+ s ago$/),
      readings: { synchronised_count: 1, sync_offset_ms: expect.any(Number), frequency_ppm: expect.any(Number) },
    });
    await chrony[Symbol.asyncDispose]();
    const none = await at.until((of) => reason(of("sync")) === "unsynchronised minor");
    expect(find(none, "sync")).toMatchObject({ says: expect.stringContaining("nothing sets this clock") });
  });
  test.skipIf(noFaketime)("chronyd that knows the time and may not set it: off by what it says itself", async () => {
    const clock = fakeClock(folder.path);
    clock.set(7);
    await using server = await startChrony({ local: true, folder: folder.path, env: clock.env });
    await using chrony = await startChrony({ from: server.ntpPort, folder: folder.path });
    const at = await watch(sync({ chronyPort: chrony.cmdPort }, await freePort()));
    const off = await at.until((of) => reason(of("sync")) === "offset minor");
    expect(find(off, "sync")).toMatchObject({
      says: expect.stringMatching(/70\d\d(\.\d)? ms behind the time chronyd/),
    });
  });
  test("chronyd that has nobody to ask but itself is nobody", async () => {
    await using own = await startChrony({ local: true, folder: folder.path });
    await using lost = await startChrony({ folder: folder.path });
    const free = await freePort();
    const at = await watch(sync({ chronyPort: own.cmdPort }, free));
    const alone = await at.until((of) => reason(of("sync")) !== "");
    expect(find(alone, "sync")).toMatchObject({ says: expect.stringContaining("own clock") });
    await at[Symbol.asyncDispose]();
    const other = await watch(sync({ chronyPort: lost.cmdPort }, free));
    const none = await other.until((of) => String(JSON.stringify(of("sync"))).includes("no source it trusts"));
    expect(reason(find(none, "sync"))).toBe("unsynchronised minor");
  });
  test("a daemon that speaks NTP here", async () => {
    await using server = await startChrony({ local: true, folder: folder.path });
    await using daemon = await startChrony({ from: server.ntpPort, folder: folder.path });
    const at = await watch(sync({ ntpPort: daemon.ntpPort }, await freePort()));
    const well = await at.until((of) => isWell(of("sync")));
    expect(find(well, "sync")).toMatchObject({ says: "the NTP daemon has the time from 127.0.0.1 (stratum 6)" });
  });
});

/** A server that answers each question as the test wants it. */
async function oddServer(
  change: (bytes: Buffer) => void,
): Promise<{ port: number; asked: () => number; socket: Socket }> {
  const socket = createSocket("udp4");
  let asked = 0;
  socket.on("message", (query, from) => {
    asked += 1;
    const bytes = Buffer.alloc(48);
    bytes[0] = 0x24;
    bytes[1] = 2;
    query.copy(bytes, 24, 40, 48);
    change(bytes);
    socket.send(bytes, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { port: socket.address().port, asked: () => asked, socket };
}

describe("servers that are no good", () => {
  test("none that answers is a fault of its own, and none of the clock", async () => {
    const at = await watch({ servers: [`127.0.0.1:${await freePort()}`] });
    const none = await at.until((of) => reason(of("offset")) === "server minor");
    expect(find(none, "offset")).toMatchObject({ says: expect.stringContaining("nothing listens there") });
    expect(isWell(find(none, "wall"))).toBe(true);
  });
  test("one that forges, one that is not set, one that sends us away: the last is left in peace", async () => {
    const forger = await oddServer((bytes) => bytes.fill(7, 24, 32));
    const unset = await oddServer((bytes) => bytes.writeUInt8(0xe4, 0));
    const away = await oddServer((bytes) => {
      bytes.writeUInt8(0, 1);
      bytes.write("DENY", 12);
    });
    const at = await watch({ servers: [forger, unset, away].map(({ port }) => `127.0.0.1:${port}`) });
    const none = await at.until((of) => reason(of("offset")) === "server minor");
    expect(find(none, "offset")).toMatchObject({ says: expect.stringMatching(/another question.*not set.*\(DENY\)/) });
    expect(forger.asked()).toBeGreaterThan(1);
    expect(away.asked()).toBe(1);
    for (const { socket } of [forger, unset, away]) socket.close();
  });
  test.skipIf(noChrony)("one that lies is outvoted by two that do not", async () => {
    await using one = await startChrony({ local: true, folder: folder.path });
    await using two = await startChrony({ local: true, folder: folder.path });
    const liar = await oddServer((bytes) => {
      for (const at of [32, 40]) bytes.writeUInt32BE(2_208_988_800 + 1_000_000_000, at);
    });
    const servers = [liar.port, one.ntpPort, two.ntpPort].map((port) => `127.0.0.1:${port}`);
    const at = await watch({ servers });
    const all = await at.until((of) => JSON.stringify(of("offset") ?? "").includes("3 of 3"));
    expect(isWell(find(all, "offset"))).toBe(true);
    liar.socket.close();
  });
});
