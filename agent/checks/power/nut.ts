import type { Clock } from "../../../platform/clock.ts";
import { event, failureOf, onLine, open, type Place, placeName } from "../../../platform/dial.ts";
import { Failure } from "../../../protocol/failure.ts";

/** What upsd answered: the variables of a UPS (RFC 9271 §5.1), or why it has none (§4.3, `ERR`). */
export type NutAnswer = { variables: ReadonlyMap<string, string> } | { error: string };

const MOST_BYTES = 65_536;
const MOST_VARIABLES = 500;

/**
 * Asks an upsd for all variables of one UPS, `LIST VAR`, and hangs up. Rejects with Failure DIAL_*; what it says is bounded.
 */
export function askNut(
  to: Place,
  ups: string,
  dial: { clock: Clock; signal: AbortSignal; deadlineMs: number },
): Promise<NutAnswer> {
  const place = placeName(to);
  return onLine(place, dial, async (line) => {
    const { socket } = await open(to, line);
    line.phase = "was asked for its UPS";
    socket.write(`LIST VAR ${ups}\nLOGOUT\n`);
    let said = Buffer.alloc(0);
    for (;;) {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) {
        await event(socket, "readable").catch((cause: unknown) => {
          throw failureOf(place, cause);
        });
        continue;
      }
      said = Buffer.concat([said, chunk]);
      const answer = parseNut(said.toString("utf8"), ups);
      if (answer !== undefined) return answer;
      if (said.length > MOST_BYTES)
        throw new Failure("DIAL_PROTOCOL", `${place}: the answer has no end`, { facts: { place } });
    }
  });
}

/** Reads what upsd has said so far; undefined while its answer has not ended. */
export function parseNut(said: string, ups: string): NutAnswer | undefined {
  const lines = said.split("\n").map((line) => line.trimEnd());
  lines.pop(); // not ended yet
  const error = lines.find((line) => line.startsWith("ERR "));
  if (error !== undefined) return { error: error.slice("ERR ".length).split(" ")[0] ?? "" };
  if (!lines.includes(`END LIST VAR ${ups}`)) return undefined;
  const begin = `VAR ${ups} `;
  const variables = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([A-Za-z0-9_.-]{1,80}) "((?:[^"\\]|\\.)*)"$/.exec(line.slice(begin.length)) ?? [];
    if (!line.startsWith(begin) || name === undefined || value === undefined) continue;
    if (variables.size < MOST_VARIABLES) variables.set(name, value.replaceAll(/\\(.)/g, "$1"));
  }
  return { variables };
}
