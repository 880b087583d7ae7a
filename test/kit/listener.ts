import { systemClock } from "../../platform/clock.ts";
import { startChild } from "./child.ts";
import { programPath, run } from "./peers.ts";

export interface Heard {
  topic: string;
  payload: string;
  retained: boolean;
  qos: number;
}

/** An off-the-shelf subscriber (mosquitto_sub, package mosquitto-clients): needs("mosquitto_sub", "mosquitto-clients"). */
export interface Listener extends AsyncDisposable {
  /** Everything heard so far, in order. */
  heard(): Heard[];
  /** Resolves with the first message, heard or yet to come, that fits. The test's own time limit ends the wait. */
  waitFor(fits: (message: Heard) => boolean): Promise<Heard>;
}

export type MqttVersion = "mqttv311" | "mqttv5";
const READY = "vigil-test/ready";

function parse(line: string): Heard[] {
  try {
    // %j writes {"tst":…,"topic":…,"qos":…,"retain":…,"payloadlen":…,"payload":…}
    const { topic, payload = "", retain, qos } = JSON.parse(line);
    return [
      { topic, payload: typeof payload === "string" ? payload : JSON.stringify(payload), retained: retain === 1, qos },
    ];
  } catch {
    return []; // a line still being written
  }
}

/** Subscribes with mosquitto_sub and returns when the broker has confirmed it. */
export async function listener(
  port: number,
  topics: readonly string[],
  version: MqttVersion = "mqttv5",
  more: readonly string[] = [],
): Promise<Listener> {
  const filters = [...topics, READY].flatMap((topic) => ["-t", topic]);
  const args = ["-h", "127.0.0.1", "-p", String(port), "-V", version, "-q", "1", "-F", "%j", ...filters, ...more];
  const child = startChild(programPath("mosquitto_sub"), args);
  const all = (): Heard[] => child.output().split("\n").flatMap(parse);
  const heard = (): Heard[] => all().filter(({ topic }) => topic !== READY);
  const waitIn = async (list: () => Heard[], fits: (message: Heard) => boolean): Promise<Heard> => {
    for (;;) {
      const found = list().find(fits);
      if (found !== undefined) return found;
      if (child.process.exitCode !== null) throw new Error(`mosquitto_sub ended: ${child.output()}`);
      await systemClock.sleep(10);
    }
  };
  // Its subscription is there once it hears what we say on a topic of our own.
  const ready = waitIn(all, ({ topic }) => topic === READY);
  const say = ["-h", "127.0.0.1", "-p", String(port), "-t", READY, "-m", "1", "-q", "1", ...more];
  let over = false;
  ready
    .catch(() => {})
    .finally(() => {
      over = true;
    });
  while (!over) {
    run("mosquitto_pub", say);
    await systemClock.sleep(20);
  }
  await ready;
  return {
    heard,
    waitFor: (fits) => waitIn(heard, fits),
    [Symbol.asyncDispose]: () => child.stop(),
  };
}
