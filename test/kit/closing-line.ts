import type { Reporter, TestModule } from "vitest/node";

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** Counts what ran. A file that could not be loaded, and every error outside a test, is a failure of its own. */
export function tally(modules: readonly TestModule[], strayErrors: number): Tally {
  const count: Tally = { passed: 0, failed: strayErrors, skipped: 0 };
  for (const module of modules) {
    const suites = [module, ...module.children.allSuites()];
    count.failed += suites.filter((suite) => suite.errors().length > 0).length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed" || state === "failed" || state === "skipped") count[state] += 1;
      else count.failed += 1; // it was to run and never came to an end
    }
  }
  return count;
}

/** Ends a run with `N passed, N failed` alone on a line, which any build server can read; a run that passed nothing fails. */
export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const { passed, failed, skipped } = tally(modules, errors.length);
    if (passed === 0) process.exitCode = 1;
    process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`);
  }
}
