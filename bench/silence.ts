import { join } from "node:path";
import { connectAsync } from "mqtt";
import { systemClock } from "../platform/clock.ts";
import type { DeviceState } from "../protocol/from-device.ts";
import { topics } from "../protocol/topics.ts";
import { startMosquitto } from "../test/kit/broker.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { Aggregator } from "./aggregator.ts";
import { bench, median, round, tell } from "./bench.ts";

const PERIOD_S = 10;
const BOOT = "01KA0000000000000000000000";
const deviceOf = (n: number): string => `bench-${n}`;

export const silence = bench({
  asks: "How soon is a silent device found among 1,000 that talk every 10 s?",
  minutes: 1,
  options: { devices: 1_000, silent: 50 },
  async run({ devices, silent }) {
    using folder = tempFolder("silence");
    await using broker = await startMosquitto({ config: ["persistence false"] });
    using aggregator = await Aggregator.start(join(folder.path, "aggregator"), broker.port);
    const stop = new AbortController();
    using _ends = { [Symbol.dispose]: () => stop.abort() };
    const found = watchSilence(aggregator, stop.signal);
    const lastWord = await talk(broker.port, devices, silent, stop.signal);
    tell(`${silent} of ${devices} fall silent within the next ${2 * PERIOD_S} s`);
    await systemClock.sleep((4 * PERIOD_S + 5) * 1000);
    const late = [...lastWord].map(([device, at]) => ((found.get(device) ?? Number.POSITIVE_INFINITY) - at) / 1000);
    const wronglyFound = [...found.keys()].filter((device) => !lastWord.has(device));
    return {
      figures: [
        {
          figure: `silent device (heartbeat ${PERIOD_S} s) to its alarm, most`,
          measured: round(Math.max(...late)),
          unit: "s",
          atMost: 2 * PERIOD_S + 1,
        },
        { figure: "… median", measured: round(median(late)), unit: "s" },
        {
          figure: "… devices that talked and were called silent",
          measured: wronglyFound.length,
          unit: "devices",
          atMost: 0,
        },
      ],
      seconds: late.map((s) => round(s)),
    };
  },
});

/** When each device's own alarm `device.offline` came over the API's watch stream; the stream tells after the commit. */
function watchSilence(aggregator: Aggregator, signal: AbortSignal): Map<string, number> {
  const found = new Map<string, number>();
  void (async () => {
    const { body } = await aggregator.get("/api/v1/watch");
    if (body === null) throw new Error("no watch stream");
    let rest = "";
    for await (const chunk of body.pipeThrough(new TextDecoderStream(), { signal })) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.filter((one) => one.startsWith("data: "))) {
        const { alarm } = JSON.parse(line.slice("data: ".length));
        if (alarm?.code === "device.offline" && alarm.active) found.set(alarm.device, systemClock.now());
      }
    }
  })().catch((cause: unknown) => {
    if (!signal.aborted) throw cause;
  });
  return found;
}

/** Devices in turn, evenly over the period. Returns those that fall silent, with the time of their last word, as it comes to pass. */
async function talk(port: number, devices: number, silent: number, signal: AbortSignal): Promise<Map<string, number>> {
  const client = await connectAsync({ host: "127.0.0.1", port, protocolVersion: 5 });
  signal.addEventListener("abort", () => client.end(true));
  for (let n = 0; n < devices; n += 1) {
    const state: DeviceState = {
      ...{ online: true, boot: BOOT, seq: 0, ts: systemClock.wall(), reason: "birth", agent: "0.1.0", link: 1 },
      ...{ heartbeat_s: PERIOD_S, active: "" },
    };
    client.publish(topics.state(deviceOf(n)), JSON.stringify(state), { qos: 1 });
  }
  const lastWord = new Map<string, number>();
  void (async () => {
    const began = systemClock.now();
    for (let turn = 0; ; turn += 1) {
      await systemClock.sleep(began + (turn * PERIOD_S * 1000) / devices - systemClock.now(), signal);
      const n = turn % devices;
      const device = deviceOf(n);
      if (lastWord.has(device)) continue;
      client.publish(topics.tele(device, "self"), JSON.stringify({ ts: systemClock.wall(), uptime_s: turn }), {
        qos: 0,
      });
      const period = Math.floor(turn / devices);
      if (n % Math.floor(devices / silent) === 0 && period >= 1 + ((n * 7) % 2))
        lastWord.set(device, systemClock.now());
    }
  })().catch((cause: unknown) => {
    if (!signal.aborted) throw cause;
  });
  await systemClock.sleep(PERIOD_S * 1000, signal);
  return lastWord;
}
