import { afterEach, beforeEach, expect, test } from "vitest";
import type { Judged } from "../../../agent/checks/check.ts";
import { GatewayWatch } from "../../../agent/checks/network/gateway.ts";
import { NetworkMemory } from "../../../agent/checks/network/memory.ts";
import { network } from "../../../agent/checks/network/network.ts";
import { Failure } from "../../../protocol/failure.ts";
import { type Board, openBoard } from "../../kit/board.ts";
import { HandClock } from "../../kit/hand-clock.ts";

/** The watch of a gateway that answers, or does not, as the test wants it. */

const S = 1_000;
const EVERY_MS = 30 * S;
const SUSPECT_MS = 8 * S;

let board: Board;
let clock: HandClock;
let watch: GatewayWatch | undefined;
let memory: NetworkMemory;
let answers: boolean;
let asked: number;
beforeEach(async () => {
  board = openBoard("x86-vm");
  clock = new HandClock();
  memory = await NetworkMemory.open(undefined, clock);
  answers = true;
  asked = 0;
});
afterEach(() => {
  watch?.close();
  watch = undefined;
  board[Symbol.dispose]();
});

/** Asked by ping alone, which here is a function. */
function begin(address: string): GatewayWatch {
  watch?.close();
  const gateway = { methods: ["ping"], everyMs: EVERY_MS, suspectEveryMs: SUSPECT_MS };
  const run = async (): Promise<string> => {
    asked += 1;
    if (answers) return "rtt min/avg/max/mdev = 0.1/0.2/0.3/0.1 ms";
    throw new Failure("RUN_FAILED", "ping ended with 1");
  };
  const config = { ...network.Config.parse({ gateway }).gateway, pingEveryMs: 0 };
  watch = new GatewayWatch(address, { config, machine: board.machine, clock, memory, run });
  return watch;
}
const neighbour = (flags: "0x0" | "0x2"): void =>
  board.write("/proc/net/arp", `IP address HW type Flags HW address Mask Device\n10.0.2.1 0x1 ${flags} 00:00 * eth0\n`);
/** Rounds of one second, as while something is wrong. */
async function rounds(seconds: number, linkUp = false): Promise<Judged> {
  for (let at = 0; at < seconds; at += 1) {
    await clock.wind(S);
    watch?.look(clock.now(), linkUp);
  }
  const verdict = watch?.look(clock.now(), linkUp);
  if (verdict?.state !== "judged") throw new Error(JSON.stringify(verdict));
  return verdict;
}

test("an alarm of before a restart stays until there is a sign of life", async () => {
  begin("10.0.2.1");
  await rounds(60);
  begin("10.0.2.1");
  answers = false;
  expect(await rounds(7)).toMatchObject({ grade: "ok", holds: "major" });
  answers = true;
  expect(await rounds(60)).toMatchObject({ grade: "ok", holds: "ok" });
});

test("a long fault does not look like loss once it is over", async () => {
  begin("10.0.2.1");
  neighbour("0x0");
  await rounds(900);
  answers = false;
  expect(await rounds(900)).toMatchObject({ grade: "major", reason: "gateway" });
  answers = true;
  expect(await rounds(60)).toMatchObject({ grade: "ok", readings: { loss_pct: 0 } });
});

test("one that stops answering but is at its place is not asked in haste for ever", async () => {
  begin("10.0.2.1");
  neighbour("0x2");
  await rounds(60);
  answers = false;
  await rounds(300, true);
  asked = 0;
  await rounds(300, true);
  expect(asked).toBe(10);
  neighbour("0x0");
  await rounds(60, true);
  asked = 0;
  expect(await rounds(300, true)).toMatchObject({ grade: "major", reason: "gateway" });
  expect(asked).toBeGreaterThan(30);
});

test("where there is no neighbour table the link to the broker speaks for it, as long as it may not have noticed", async () => {
  begin("fe80::1%eth0");
  await rounds(60, true);
  answers = false;
  const { misses } = network.Config.parse({}).gateway;
  expect(await rounds(misses * 10, true)).toMatchObject({ grade: "ok" });
  expect(await rounds(600, true)).toMatchObject({ grade: "major" });
});
