import { expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { openMqttLink } from "../../platform/mqtt-link.ts";
import { startEmbedded } from "../kit/broker.ts";
import { recordLink } from "../kit/link-recorder.ts";
import { keptLog } from "../kit/logs.ts";

test("the round trip is measured each keepalive, also while the broker answers to messages all the time", async () => {
  await using broker = await startEmbedded();
  const said = recordLink();
  await using link = openMqttLink({ clock: systemClock, random: Math.random, log: keptLog() })(
    {
      ...{ brokers: [{ host: "127.0.0.1", port: broker.port }], clientId: "ft-0042", subscriptions: ["a"] },
      ...{ keepaliveS: 1, sessionExpiryS: 60, receiveMaximum: 20 },
      will: () => ({ topic: "w", payload: "{}", qos: 0, delayS: 0 }),
    },
    said.events,
  );
  await said.until(() => said.ups.length > 0);
  expect(link.rttMs).toBeUndefined();
  while (link.rttMs === undefined) {
    await link.publish({ topic: "a", payload: "{}", qos: 1 });
    await systemClock.sleep(100);
  }
  expect(link.rttMs).toBeGreaterThan(0);
  const first = link.rttMs;
  while (link.rttMs === first) await systemClock.sleep(20);
  expect(said.downs).toEqual([]);
});
