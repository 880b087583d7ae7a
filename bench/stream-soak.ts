import { systemClock } from "../platform/clock.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, median, round, tell } from "./bench.ts";
import { type Memory, memoryOf } from "./cgroup.ts";
import { startTlsBroker } from "./shipped.ts";
import { serveFullHd } from "./stream-servers.ts";
import { agent } from "./streams.ts";

const WARM_MS = 60_000;
const SAMPLE_MS = 10_000;
const STREAMS = 4;

export const streamSoak = bench({
  asks: "Does an agent that watches streams grow, and does it keep to one session each?",
  minutes: 62,
  options: { minutes: 60 },
  async run({ minutes }) {
    using folder = tempFolder("stream-soak");
    await using broker = await startTlsBroker(folder.path);
    await using server = await serveFullHd();
    const { gst, url } = server;
    using watching = agent("agent-soak", { broker, url, folder: folder.path }, STREAMS, "continuous");
    await systemClock.sleep(WARM_MS);
    if (gst.sessions() < STREAMS) throw new Error(`${gst.sessions()} sessions stand of ${STREAMS}`);
    const memories: Memory[] = [];
    let most = 0;
    const began = systemClock.now();
    while (systemClock.now() - began < minutes * 60_000) {
      await systemClock.sleep(SAMPLE_MS);
      const memory = memoryOf(watching.pid ?? 0);
      memories.push(memory);
      most = Math.max(most, gst.sessions());
      if (gst.sessions() < STREAMS) throw new Error(`${gst.sessions()} sessions stand of ${STREAMS}`);
      if (memories.length % 30 === 0) tell(`${memories.length / 6} min: ${JSON.stringify(memory)}`);
    }
    const quarter = Math.floor(memories.length / 4);
    const of = (key: keyof Memory, part: number): number =>
      median(memories.slice(part * quarter, (part + 1) * quarter).map((memory) => memory[key]));
    return {
      figures: [
        {
          figure: `agent with ${STREAMS} streams for ${minutes} min: most that was ever resident`,
          measured: round(memories.at(-1)?.peakMb ?? Number.NaN),
          unit: "MB",
          atMost: 90,
        },
        {
          figure: "… own memory (anon), last quarter less second quarter",
          measured: round(of("anonMb", 3) - of("anonMb", 1)),
          unit: "MB",
          atMost: 1,
        },
        { figure: "… sessions that stood at once, most", measured: most, unit: "sessions", atMost: STREAMS },
        { figure: "… times it asked to play", measured: gst.count("play"), unit: "times", atMost: STREAMS },
      ],
      anonMb: memories.map(({ anonMb }) => round(anonMb)),
    };
  },
});
