import { join } from "node:path";
import { startMosquitto } from "../test/kit/broker.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { Aggregator, type Moment } from "./aggregator.ts";
import { bench, round } from "./bench.ts";
import { Crowd } from "./crowd.ts";
import type { Load } from "./publisher.ts";

export const intake = bench({
  asks: "How many messages a second does one core of the aggregator turn into committed rows?",
  minutes: 1,
  options: { telemetry: 200_000, alarms: 40_000, devices: 1_000 },
  async run({ telemetry, alarms, devices }) {
    const tele = await flood({ kind: "tele", devices, count: telemetry });
    const alm = await flood({ kind: "alm", devices, count: alarms });
    return {
      figures: [
        {
          figure: "aggregator: telemetry of 745 B to committed rows, per core",
          measured: tele.perCoreSecond,
          unit: "messages/s",
          atLeast: 20_000,
        },
        { figure: "… resident memory at that rate, most", measured: tele.peakMb, unit: "MB", atMost: 200 },
        {
          figure: "aggregator: alarm changes with their tickets, per core",
          measured: alm.perCoreSecond,
          unit: "changes/s",
        },
        { figure: "… resident memory at that rate, most", measured: alm.peakMb, unit: "MB" },
      ],
      telemetry: tele,
      alarms: alm,
      note: "per core = 1 / processor seconds a message; where busyShare is below 1 publisher or broker were the bottleneck",
    };
  },
});

/** Everything at once: the broker holds what the aggregator cannot take yet. */
async function flood(load: Pick<Load, "kind" | "devices" | "count">) {
  using folder = tempFolder("intake");
  await using broker = await startMosquitto({ config: ["persistence false"] });
  using aggregator = await Aggregator.start(join(folder.path, "aggregator"), broker.port);
  using crowd = await Crowd.born({ ...load, port: broker.port, perSecond: 0, qos: 1 });
  await aggregator.until(load.devices, ["state"]);
  crowd.begin();
  const moments = await aggregator.until(load.count, [load.kind === "tele" ? "tele" : "alarm"]);
  return { ...rates(moments, load.count), peakMb: round(aggregator.memory().peakMb) };
}

/** Between the moment a tenth was committed and the last one at which something was left to do. */
function rates(moments: readonly Moment[], count: number) {
  const first = moments.find(({ committed }) => committed >= count / 10);
  const last = moments.findLast(({ committed }) => committed < count);
  if (first === undefined || last === undefined || first === last)
    throw new Error("over too soon: take a larger count");
  const messages = last.committed - first.committed;
  const cpuS = last.cpuS - first.cpuS;
  const wallS = (last.at - first.at) / 1000;
  return {
    messages,
    cpuUsPerMessage: round((1e6 * cpuS) / messages, 1),
    perCoreSecond: Math.round(messages / cpuS),
    perWallSecond: Math.round(messages / wallS),
    busyShare: round(cpuS / wallS),
  };
}
