import { parentPort, workerData } from "node:worker_threads";
import { PARTS } from "./parts.ts";
import type { Seeds } from "./seeds.ts";
import { type Broken, fire, inputsOf } from "./session.ts";

/** One part at a time, as it is asked for: with a heap of its own, so that what it keeps can be weighed. */

interface Asked {
  part: string;
  inputs: number;
  seed: number;
}

const seeds: Seeds = Object.fromEntries(
  Object.entries<Uint8Array[]>(workerData).map(([name, all]) => [name, all.map((one) => Buffer.from(one))]),
);

parentPort?.on("message", (asked: Asked) => void answer(asked));

async function answer({ part: name, inputs, seed }: Asked): Promise<void> {
  const part = PARTS.find((one) => one.name === name);
  if (part === undefined) throw new Error(`no part ${name}`);
  const own = seeds[name] ?? [];
  const fired = await fire({ part, seeds: own, inputs, seed });
  const { broken } = fired;
  const shown = ({ session, given }: Broken): string[] => inputsOf({ part, seeds: own, seed }, session, given);
  parentPort?.postMessage(broken === undefined ? fired : { ...fired, broken: { ...broken, inputs: shown(broken) } });
}
