import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { openMqttLink } from "../../platform/mqtt-link.ts";
import { ridingClock } from "../../platform/riding-clock.ts";
import { startEmbedded } from "../kit/broker.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { linkOptions, recordLink } from "../kit/link-recorder.ts";
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

test("pings ride with slow rounds, and without them come by themselves: always within the time the broker waits", async () => {
  const hand = new HandClock();
  const clock = ridingClock(hand, 11_000);
  const pinged: number[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(Uint8Array.of(0x20, 3, 0, 0, 0));
      socket.on("data", () => {
        pinged.push(hand.now() / 1_000);
        socket.write(Uint8Array.of(0xd0, 0));
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const said = recordLink();
  const link = openMqttLink({ clock, random: Math.random, log: keptLog() })(
    linkOptions("ft-0042", { brokers: [{ host: "127.0.0.1", port: address.port }], keepaliveS: 60 }),
    said.events,
  );
  await said.until(() => said.ups.length > 0);
  for (let second = 1; second <= 700; second += 1) {
    await hand.wind(1_000);
    if (second <= 350 && second % 10 === 0) clock.tick();
    await systemClock.sleep(1); // the sockets have their own time
  }
  const gaps = pinged.map((at, i) => at - (pinged[i - 1] ?? 0));
  expect(gaps.length).toBeGreaterThan(7);
  for (const gap of gaps) {
    expect(gap, String(gaps)).toBeGreaterThanOrEqual(58);
    expect(gap, String(gaps)).toBeLessThan(90);
  }
  expect(said.downs).toEqual([]);
  await link.close();
  server.close();
});
