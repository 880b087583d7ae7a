// npm run test:chaos [-- --seed N]: 500 alarm changes while agent, broker and aggregator are killed 20 times each, on both brokers.
import { parseArgs } from "node:util";
import { type BrokerKind, startEmbedded, startMosquitto } from "../kit/broker.ts";
import { needs } from "../kit/peers.ts";
import { type ChaosReport, chaos } from "./chaos.ts";
import { restlessIntake } from "./restless-intake.ts";

const { values } = parseArgs({ options: { seed: { type: "string", default: String(Date.now() % 1_000_000_007) } } });
const seed = Number(values.seed);
if (!Number.isSafeInteger(seed)) throw new TypeError(`--seed takes a whole number, not "${values.seed}"`);

const kinds: BrokerKind[] = [
  // as deploy/mosquitto has it: written to disk once a minute
  {
    name: "mosquitto",
    skip: needs("mosquitto", "mosquitto"),
    start: () => startMosquitto({ config: ["autosave_interval 60"] }),
  },
  { name: "embedded", skip: false, start: startEmbedded },
];
type Row = Omit<ChaosReport, "violations"> & { broker: string; story: string; violations: number };
const rows: Row[] = [];

async function run(
  kind: BrokerKind,
  story: string,
  tell: (broker: Awaited<ReturnType<BrokerKind["start"]>>) => Promise<ChaosReport>,
) {
  console.log(`\n${kind.name}: ${story}`);
  await using broker = await kind.start();
  const report = await tell(broker);
  for (const violation of report.violations) console.log(`  WRONG ${violation}`);
  rows.push({ broker: kind.name, story, ...report, violations: report.violations.length });
}

console.log(`seed ${seed}`);
const say = (line: string): void => console.log(`  ${line}`);
for (const kind of kinds.filter(({ skip }) => !skip)) {
  await run(kind, "programs killed", (broker) =>
    chaos(broker, { seed, subjects: 100, kills: 20, pauseMs: [500, 3_000] }, say),
  );
  await run(kind, "20 % repeats, reordered", (broker) =>
    restlessIntake(broker, { seed, faults: 200, repeats: 0.2, kills: 20 }),
  );
}
console.log("");
console.table(rows);
if (rows.some(({ violations }) => violations > 0)) {
  console.log(`violations: run it again with --seed ${seed}`);
  process.exitCode = 1;
}
