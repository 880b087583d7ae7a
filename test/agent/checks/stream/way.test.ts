import { expect, test } from "vitest";
import { lookAtWay } from "../../../../agent/checks/stream/way.ts";
import { systemClock } from "../../../../platform/clock.ts";
import type { RunProgram } from "../../../../platform/run.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { freePort } from "../../../kit/ports.ts";

const never = new AbortController().signal;
/** A ping that ends with this code. */
const ping =
  (code: number): RunProgram =>
  async ({ exited }) => {
    exited?.(code, "");
    return "";
  };
const to = async (run: RunProgram, more: object = {}) =>
  lookAtWay({ place: undefined, source: "127.0.0.1", clock: systemClock, run, ...more }, never);

test("a ping says whether the encoder is there; one that could not ask says nothing", async () => {
  expect(await to(ping(0))).toEqual({ sourceReachable: true });
  expect(await to(ping(1))).toEqual({ sourceReachable: false });
  expect(await to(ping(2))).toEqual({});
  expect(
    await to(async () => {
      throw new Failure("RUN_MISSING", "no ping on this device");
    }),
  ).toEqual({});
  expect(
    await to(async () => {
      throw new Failure("RUN_DEADLINE", "not done in time");
    }),
  ).toEqual({ sourceReachable: false });
});

test("a host that refuses a connection is there, and is not pinged", async () => {
  let pings = 0;
  const run: RunProgram = async () => {
    pings += 1;
    return "";
  };
  const place = { host: "127.0.0.1", port: await freePort() };
  expect(await to(run, { place, source: undefined })).toEqual({ hostReachable: true });
  expect(pings).toBe(0);
});
