import { defineConfig } from "vitest/config";
import { ClosingLine } from "./test/kit/closing-line.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A process per file: tests start brokers, send signals and open databases. Two at a time, whatever the machine.
    pool: "forks",
    maxWorkers: 2,
    // Only to end what hangs: some tests go through every case there is, and take 20 s of a whole core.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000, interval: 20 } }, // by itself a second: less than a busy machine may need to start a program
    reporters: ["default", new ClosingLine()],
  },
});
