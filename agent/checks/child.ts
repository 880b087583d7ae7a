import * as z from "zod/mini";
import { Failure } from "../../protocol/failure.ts";
import type { CheckPorts } from "./check.ts";

const ANSWER_BYTES = 16_384;
const MOST_WORDS = 300;

/**
 * Asks a short-lived child of this very program: its command and words go in, one line of JSON comes out. What may hang,
 * reads a lot or needs large libraries is ended with the child. Rejects with the RUN_ failures of `run` (RUN_FAILED with the
 * child's own words), or MESSAGE_INVALID when its answer does not fit `schema`.
 */
export async function askChild<T>(
  { self, run }: CheckPorts,
  words: readonly string[],
  { schema, deadlineMs, signal }: { schema: z.ZodMiniType<T>; deadlineMs: number; signal: AbortSignal },
): Promise<T> {
  if (self === undefined) throw new Failure("RUN_MISSING", "not without a config file: a child of the agent would ask");
  const order = { argv: [...self, "--", ...words] as const, deadlineMs, outputCapBytes: ANSWER_BYTES, signal };
  const printed = await run(order).catch((cause: unknown) => {
    throw inItsWords(cause);
  });
  const answer = z.safeParse(schema, parseJson(printed));
  if (answer.success) return answer.data;
  throw new Failure("MESSAGE_INVALID", "the child's answer is none", { facts: { bytes: printed.length } });
}

function inItsWords(cause: unknown): unknown {
  if (!(cause instanceof Failure) || cause.code !== "RUN_FAILED") return cause;
  const said = String(cause.facts["stderr"] ?? "")
    .split("\n")
    .find((line) => line.startsWith("vigil-agent: "));
  return said === undefined
    ? cause
    : new Failure("RUN_FAILED", said.slice("vigil-agent: ".length, MOST_WORDS), { cause });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
