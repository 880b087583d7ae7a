import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { startMosquitto } from "../test/kit/broker.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { Aggregator } from "./aggregator.ts";
import { bench, round, tell } from "./bench.ts";
import { Crowd } from "./crowd.ts";

export const fleet = bench({
  asks: "What share of a core do 10,000 devices at 10 s cost?",
  minutes: 2,
  options: { devices: 10_000, warm: 30, seconds: 60 },
  async run({ devices, warm, seconds }) {
    using folder = tempFolder("fleet");
    await using broker = await startMosquitto({ config: ["persistence false"] });
    using aggregator = await Aggregator.start(join(folder.path, "aggregator"), broker.port, {
      intake: { batchMs: 200 },
    });
    const perSecond = devices / 10;
    const count = Math.ceil(perSecond * (warm + seconds + 5));
    using crowd = await Crowd.born({ port: broker.port, kind: "tele", devices, count, perSecond, qos: 0 });
    await aggregator.until(devices, ["state"]);
    crowd.begin();
    tell(`warm-up ${warm} s, then ${seconds} s`);
    await systemClock.sleep(warm * 1000);
    const first = await aggregator.moment(["tele"]);
    await systemClock.sleep(seconds * 1000);
    const last = await aggregator.moment(["tele"]);
    const wallS = (last.at - first.at) / 1000;
    const cpuS = last.cpuS - first.cpuS;
    const messagesPerS = round((last.committed - first.committed) / wallS, 1);
    if (messagesPerS < 0.98 * perSecond)
      throw new Error(`only ${messagesPerS} of ${perSecond} messages/s came through`);
    return {
      figures: [
        {
          figure: `aggregator: ${devices} devices at 10 s, share of a core`,
          measured: round((100 * cpuS) / wallS),
          unit: "%",
          atMost: 6,
        },
        { figure: "… resident memory", measured: round(aggregator.memory().rssMb), unit: "MB", atMost: 200 },
      ],
      messagesPerS,
      cpuUsPerMessage: round((1e6 * cpuS) / (last.committed - first.committed), 1),
    };
  },
});
