import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { authHold } from "../../../../agent/checks/stream/auth-hold.ts";
import { machineAt } from "../../../../platform/machine.ts";
import { slotAt } from "../../../../platform/slot.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { tempFolder } from "../../../kit/temp.ts";

const MINUTE = 60_000;

/** The agent's memory of refusals, begun as often as wanted on a machine that has been up for so long. */
function rig(root: string, clock: HandClock) {
  mkdirSync(join(root, "proc"), { recursive: true });
  return (upSeconds: number) => {
    writeFileSync(join(root, "proc/uptime"), `${upSeconds}.00 0.00\n`);
    return authHold(slotAt(join(root, "run"), "stream-auth"), machineAt(root), clock);
  };
}

test("whom a server has let in again is held back no more, over a restart of the agent either", () => {
  using folder = tempFolder("vigil-hold");
  const start = rig(folder.path, new HandClock());
  const hold = start(1_000);
  hold.refused("main", "a");
  hold.refused("sub", "a");
  expect(hold.leftMs("main", "a")).toBe(30 * MINUTE);
  hold.accepted("main");
  expect(hold.leftMs("main", "a")).toBe(0);
  const again = start(1_060);
  expect([again.leftMs("main", "a"), again.leftMs("sub", "a")]).toEqual([0, 29 * MINUTE]);
});

test("a refusal of another boot is half an hour old at most, however long that boot had lasted", async () => {
  using folder = tempFolder("vigil-hold");
  const clock = new HandClock();
  const start = rig(folder.path, clock);
  start(864_000).refused("main", "a");
  const hold = start(60);
  expect(hold.leftMs("main", "a")).toBe(30 * MINUTE);
  await clock.wind(31 * MINUTE);
  expect(hold.leftMs("main", "a")).toBe(0);
});
