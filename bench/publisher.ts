// Many devices in one process: `node bench/publisher.ts '{"port":…,"kind":"tele","devices":1000,…}'`. Prints a line when
// all are born, begins at the first line on its standard input, prints another when the broker has taken everything.
import { once } from "node:events";
import { connectAsync, type MqttClient } from "mqtt";
import { systemClock } from "../platform/clock.ts";
import type { AlarmChange, DeviceState } from "../protocol/from-device.ts";
import { topics } from "../protocol/topics.ts";

/** What to publish. */
export interface Load {
  port: number;
  /** `tele`: figures of 745 bytes; `alm`: alarms, each raised and then cleared, a new code for each fault; `raise`: raised only. */
  kind: "tele" | "alm" | "raise";
  devices: number;
  count: number;
  /** 1: nothing is lost, however fast it goes. 0: as devices send the figures of the moment. */
  qos: 0 | 1;
  /** 0: as fast as the broker takes them. */
  perSecond: number;
}

const MOST_IN_FLIGHT = 200;
const BOOT = "01KA0000000000000000000000";
const PAYLOAD_BYTES = 745;
const deviceOf = (n: number): string => `bench-${n}`;

const birth: DeviceState = {
  ...{ online: true, boot: BOOT, seq: 0, ts: systemClock.wall(), reason: "birth", agent: "0.1.0", link: 1 },
  ...{ heartbeat_s: 60, active: "" },
};

/** Figures like those of a whole device in one message. */
function telemetry(n: number): string {
  const figures: Record<string, number> = { ts: systemClock.wall() };
  for (let i = 0; JSON.stringify(figures).length < PAYLOAD_BYTES - 30; i += 1)
    figures[`figure_${i}_pct`] = (n + i * 7) % 97.31;
  const room = PAYLOAD_BYTES - JSON.stringify(figures).length - ',"":1'.length;
  return JSON.stringify({ ...figures, ["x".repeat(Math.max(1, room))]: 1 });
}

function alarm(n: number, { devices, kind }: Load): { topic: string; payload: string } {
  const turn = Math.floor(n / devices); // how often this device has spoken
  const fault = kind === "raise" ? turn : turn >> 1;
  const active = kind === "raise" || turn % 2 === 0;
  const [code, ts] = [`disk.m${fault}`, systemClock.wall()];
  const body: AlarmChange = {
    ...{ active, severity: "major", kind: active ? "raised" : "cleared", since: ts, boot: BOOT, seq: turn + 1, ts },
    ...{ check: "disk", subject: `/m${fault}`, reason: "space", title_zh: "磁盘空间不足", title_en: "Disk space low" },
    ...{ value: 3.2, unit: "pct", says: "3.2 % free, 5 % or less is bad" },
  };
  return { topic: topics.alarm(deviceOf(n % devices), code), payload: JSON.stringify(body) };
}

const message = (load: Load, n: number): { topic: string; payload: string } =>
  load.kind === "tele"
    ? { topic: topics.tele(deviceOf(n % load.devices), "bench"), payload: telemetry(n) }
    : alarm(n, load);

/** Publishes `count` messages with a bounded number on their way. */
async function publishAll(
  client: MqttClient,
  { count, perSecond, qos }: Pick<Load, "count" | "perSecond" | "qos">,
  make: (n: number) => { topic: string; payload: string },
): Promise<void> {
  const began = systemClock.now();
  let flying = 0;
  let room: (() => void) | undefined;
  for (let n = 0; n < count; n += 1) {
    const early = perSecond === 0 ? 0 : (n * 1000) / perSecond - (systemClock.now() - began);
    if (early > 5) await systemClock.sleep(early);
    if (flying >= MOST_IN_FLIGHT)
      await new Promise<void>((go) => {
        room = go;
      });
    flying += 1;
    const { topic, payload } = make(n);
    client.publish(topic, payload, { qos }, () => {
      flying -= 1;
      room?.();
      room = undefined;
    });
  }
  while (flying > 0) await systemClock.sleep(1);
}

const load: Load = JSON.parse(process.argv[2] ?? "");
const client = await connectAsync({ host: "127.0.0.1", port: load.port, protocolVersion: 5, writeCache: false });
if ("setNoDelay" in client.stream && typeof client.stream.setNoDelay === "function") client.stream.setNoDelay(true);
await publishAll(client, { count: load.devices, perSecond: 0, qos: 1 }, (n) => ({
  topic: topics.state(deviceOf(n)),
  payload: JSON.stringify(birth),
}));
console.log("born");
await once(process.stdin, "data");
await publishAll(client, load, (n) => message(load, n));
console.log("done");
await client.endAsync();
process.stdin.destroy();
