import { systemClock } from "../platform/clock.ts";
import { freePort } from "../test/kit/ports.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, round, tell } from "./bench.ts";
import { startTlsBroker } from "./shipped.ts";
import { serveFullHd } from "./stream-servers.ts";
import { agent } from "./streams.ts";

const WARM_MS = 120_000;
const EVERY_MS = 60_000;
const STREAMS = 4;

export const streamHeap = bench({
  asks: "Does what lives in an agent that watches streams grow?",
  minutes: 14,
  options: { minutes: 12 },
  async run({ minutes }) {
    using folder = tempFolder("stream-heap");
    await using broker = await startTlsBroker(folder.path);
    await using server = await serveFullHd();
    const port = await freePort();
    const order = { broker, url: server.url, folder: folder.path };
    using _watching = agent("agent-heap", order, STREAMS, "continuous", false, [`--inspect=127.0.0.1:${port}`]);
    await systemClock.sleep(WARM_MS);
    const liveMb: number[] = [];
    for (let minute = 0; minute <= minutes; minute += 1) {
      if (minute > 0) await systemClock.sleep(EVERY_MS);
      liveMb.push(await liveHeapMb(port));
      tell(`${minute} min: ${liveMb.at(-1)} MB live`);
    }
    const third = Math.max(1, Math.floor(liveMb.length / 3));
    const most = (values: readonly number[]): number => Math.max(...values);
    return {
      figures: [
        {
          figure: `agent with ${STREAMS} streams: live heap after a full collection, most`,
          measured: most(liveMb),
          unit: "MB",
        },
        {
          figure: `… last third of ${minutes} min less first third`,
          measured: round(most(liveMb.slice(-third)) - most(liveMb.slice(0, third))),
          unit: "MB",
          atMost: 0.2,
        },
      ],
      liveMb,
    };
  },
});

/** Collects all garbage of the process that listens there for its inspector; what is left, MB. */
async function liveHeapMb(port: number): Promise<number> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as { webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? "");
  const answers = new Map<number, (result: { usedSize: number }) => void>();
  socket.onmessage = ({ data }) => {
    const { id, result } = JSON.parse(String(data));
    answers.get(id)?.(result);
  };
  await new Promise((opened, failed) => {
    socket.onopen = opened;
    socket.onerror = failed;
  });
  let last = 0;
  const ask = (method: string): Promise<{ usedSize: number }> => {
    last += 1;
    const id = last;
    socket.send(JSON.stringify({ id, method }));
    return new Promise((answered) => answers.set(id, answered));
  };
  await ask("HeapProfiler.collectGarbage");
  await ask("HeapProfiler.collectGarbage");
  const { usedSize } = await ask("Runtime.getHeapUsage");
  socket.close();
  return round(usedSize / 1e6, 3);
}
