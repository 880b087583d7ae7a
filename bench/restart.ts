import { statSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { startMosquitto } from "../test/kit/broker.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { Aggregator } from "./aggregator.ts";
import { bench, round, tell } from "./bench.ts";
import { Crowd } from "./crowd.ts";

const DEVICES = 1_000;
/** What it does after its start (putting its retained topics right) is over by then, or told by the second look. */
const LATER_S = 30;

export const restart = bench({
  asks: "How long does the aggregator take to be back after kill -9 with 100,000 alarms, all active, each with its ticket?",
  minutes: 2,
  options: { alarms: 100_000 },
  async run({ alarms }) {
    using folder = tempFolder("restart");
    const own = join(folder.path, "aggregator");
    await using broker = await startMosquitto({ config: ["persistence false"] });
    tell(`raising ${alarms} alarms`);
    await fill(own, broker.port, alarms);
    const storeMb = round(statSync(join(own, "vigil.db")).size / 1e6, 0);
    using aggregator = await Aggregator.start(own, broker.port);
    const first = aggregator.memory();
    const { cpuS } = await aggregator.moment([]);
    await systemClock.sleep(LATER_S * 1000);
    const later = aggregator.memory();
    return {
      figures: [
        {
          figure: `aggregator: restart after kill -9 with ${alarms} active alarms, until /healthz says well`,
          measured: round(aggregator.readyMs / 1000),
          unit: "s",
        },
        { figure: "… resident memory then", measured: round(first.rssMb), unit: "MB", atMost: 200 },
        { figure: `… most in the ${LATER_S} s after`, measured: round(later.peakMb), unit: "MB", atMost: 200 },
      ],
      storeMb,
      cpuSecondsUntilReady: round(cpuS),
      cpuSecondsLater: round((await aggregator.moment([])).cpuS - cpuS),
    };
  },
});

async function fill(folder: string, port: number, count: number): Promise<void> {
  using aggregator = await Aggregator.start(folder, port);
  using crowd = await Crowd.born({ port, kind: "raise", devices: DEVICES, count, perSecond: 0, qos: 1 });
  await aggregator.until(DEVICES, ["state"]);
  crowd.begin();
  await aggregator.until(count, ["alarm"]);
}
