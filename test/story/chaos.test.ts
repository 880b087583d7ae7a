import { expect, test } from "vitest";
import { BROKERS } from "../kit/broker.ts";
import { chaos } from "./chaos.ts";
import { restlessIntake } from "./restless-intake.ts";

// A small run of what `npm run test:chaos` does in full. The seed is fixed; what the machine does in between is not.
const SEED = 20_261_122;

for (const { name, skip, start } of BROKERS) {
  test
    .skipIf(skip)
    .concurrent(`with ${name}, kill -9 of every program loses and doubles nothing`, { timeout: 150_000 }, async () => {
      await using broker = await start();
      const report = await chaos(broker, { seed: SEED, subjects: 15, kills: 3, pauseMs: [300, 1_500] });
      expect(report.violations).toEqual([]);
      expect(report).toMatchObject({ changes: 75, kills: 12, tickets: 30 });
    });

  test
    .skipIf(skip)
    .concurrent(
      `with ${name}, repeated and reordered records make one ticket of one fault`,
      { timeout: 150_000 },
      async () => {
        await using broker = await start();
        const report = await restlessIntake(broker, { seed: SEED, faults: 60, repeats: 0.2, kills: 3 });
        expect(report.violations).toEqual([]);
        expect(report).toMatchObject({ changes: 150, tickets: 60 });
      },
    );
}
