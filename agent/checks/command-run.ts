import type { ProgramRun } from "../../platform/run.ts";
import { Failure } from "../../protocol/failure.ts";
import type { CheckPorts, Judged, Verdict } from "./check.ts";
import type { CommandConfig, Plugin } from "./command.ts";
import { alerts, type Figure, oneLine, type PluginOutput, parseOutput, readingsOf } from "./command-parse.ts";
import { inTurns, type Turns } from "./turns.ts";

/** Programs of the Monitoring Plugins API, each at its own pace, at most two at once. */
export function openPlugins({ plugins, deadlineMs }: CommandConfig, ports: CheckPorts): Turns {
  const turns = plugins.map((plugin) => ({
    subject: plugin.name,
    everyMs: plugin.everyMs,
    retryMs: plugin.retryMs,
    deadlineMs: plugin.deadlineMs + LATE_MS,
    ask: async (signal: AbortSignal) => [await judgePlugin(plugin, ports, signal)],
  }));
  const { clock, random, redact } = ports;
  return inTurns(turns, { clock, random, redact, atOnce: AT_ONCE, waitMs: deadlineMs * 0.9 });
}

const AT_ONCE = 2;
/** The program's own deadline comes first; this one is for a runner that does not come back. */
const LATE_MS = 5_000;
const MOST_READINGS = 30;
const MOST_SAYS = 300;
/** A shorter word is no secret, and would be taken out of everything. */
const LEAST_SECRET = 4;
const EXITS = ["ok", "warning", "critical", "unknown"] as const;

async function judgePlugin(plugin: Plugin, ports: CheckPorts, signal: AbortSignal): Promise<Verdict> {
  const { secrets, order } = orderOf(plugin, ports);
  const clean = (text: string): string => {
    const open = secrets.reduce((left, secret) => left.replaceAll(secret, "***"), text);
    return oneLine(ports.redact(open), MOST_SAYS);
  };
  let code: number | undefined;
  try {
    const exited = (exit: number): void => {
      code = exit;
    };
    const output = parseOutput(clean1(await ports.run({ ...order, signal, exited }), secrets));
    return verdictOf(plugin, code, output, clean);
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
    return failed(plugin, cause, clean);
  }
}
