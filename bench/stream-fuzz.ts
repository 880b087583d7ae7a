import { writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { systemClock } from "../platform/clock.ts";
import { PARTS } from "../test/kit/stream/fuzz/parts.ts";
import { makeSeeds } from "../test/kit/stream/fuzz/seeds.ts";
import type { Fired } from "../test/kit/stream/fuzz/session.ts";
import { bench, round, tell } from "./bench.ts";

const MB = 1e6;
const SCRIPT = new URL("../test/kit/stream/fuzz/worker.ts", import.meta.url);

export const streamFuzz = bench({
  asks: "Is there an input that a reader of the stream check does not bear?",
  minutes: 4,
  /** `seed` 0: another one each time; it is told. */
  options: { inputs: 10_000_000, seed: 0 },
  async run({ inputs, seed }) {
    const began = seed === 0 ? (systemClock.wall() % 1_000_000) + 1 : seed;
    const seeds = await makeSeeds();
    const each = Math.ceil(inputs / PARTS.length);
    const firedAt = systemClock.now();
    const left = PARTS.map(({ name }) => name);
    const gunner = async (): Promise<Fired[]> => {
      const rows: Fired[] = [];
      for (let part = left.shift(); part !== undefined; part = left.shift()) {
        const fired = await fireIn(seeds, { part, inputs: each, seed: began });
        tell(rowOf(fired));
        rows.push(fired);
      }
      return rows;
    };
    const rows = (await Promise.all(Array.from({ length: availableParallelism() }, gunner))).flat();
    const seconds = (systemClock.now() - firedAt) / 1000;
    const broken = rows.flatMap((row) => (row.broken === undefined ? [] : [{ ...row.broken, file: saved(row) }]));
    const total = rows.reduce((sum, row) => sum + row.inputs, 0);
    const most = (of: (row: Fired) => number): number => Math.max(...rows.map(of));
    return {
      figures: [
        { figure: "mutated inputs", measured: total, unit: "inputs", atLeast: 10_000_000 },
        { figure: "… that were not borne", measured: broken.length, unit: "inputs", atMost: 0 },
        {
          figure: "… dearest input (16 kB in single bytes)",
          measured: round(most(({ slowestMs }) => slowestMs)),
          unit: "ms",
          atMost: 50,
        },
        {
          figure: "… most that a reader held after 3,000 inputs",
          measured: round(most(({ heldBytes }) => heldBytes) / MB),
          unit: "MB",
          atMost: 8,
        },
        {
          figure: "… most that stayed after all readers of a part were gone",
          measured: round(most(({ grownBytes }) => grownBytes) / MB),
          unit: "MB",
          atMost: 4,
        },
        { figure: "… pace on all cores", measured: round(total / seconds, 0), unit: "inputs/s" },
      ],
      seed: began,
      parts: rows.map(({ broken: _, ...row }) => ({
        ...row,
        ms: round(row.ms, 0),
        slowestMs: round(row.slowestMs, 3),
      })),
      broken: broken.map(({ inputs: _, ...one }) => one),
    };
  },
});

/** Each part in a thread of its own: what an earlier one left in the heap is not its. */
async function fireIn(seeds: object, asked: object): Promise<Fired> {
  const worker = new Worker(SCRIPT, { workerData: seeds });
  try {
    return await new Promise<Fired>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.postMessage(asked);
    });
  } finally {
    await worker.terminate();
  }
}

/** Where everything stands that is needed to see it again. */
function saved({ broken, part }: Fired): string {
  const file = join(tmpdir(), `vigil-fuzz-${part}-${broken?.seed}-${broken?.session}.json`);
  writeFileSync(file, JSON.stringify(broken));
  tell(`NOT BORNE by ${part}: ${broken?.why}\nall inputs of the session are in ${file}`);
  return file;
}

const rowOf = ({ part, inputs, ms, refused, frames, slowestMs, heldBytes, grownBytes }: Fired): string =>
  `${part.padEnd(16)} ${inputs} inputs, ${round((inputs / ms) * 1000, 0)}/s, ${refused} refused, ${frames} frames, ` +
  `dearest ${round(slowestMs)} ms, held ${round(heldBytes / MB)} MB, stayed ${round(grownBytes / MB)} MB`;
