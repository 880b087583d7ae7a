import { expect, test } from "vitest";
import { askUdp } from "../../../agent/checks/network/probe.ts";
import { systemClock } from "../../../platform/clock.ts";

test("an address that the kernel lets nobody send to is a failed attempt, and nothing worse", async () => {
  // to broadcast without having said so is EACCES, as a cut uplink is ENETUNREACH: connect() itself fails
  const attempt = askUdp("255.255.255.255", 9, systemClock);
  while (attempt.result() === undefined) await systemClock.sleep(2);
  expect(attempt.result()).toEqual({ because: "EACCES" });
  attempt.close();
});
