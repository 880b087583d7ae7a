import { isIP } from "node:net";
import { addressesOf, type Names } from "../../../platform/names.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { CheckPorts, Verdict } from "../check.ts";
import { inTurns, type Turn, type Turns } from "../turns.ts";
import type { NetworkConfig } from "./network.ts";

/** The name server has said that there is no such name or no address of it; anything else is its silence. */
const UNKNOWN_NAMES = new Set(["ENOTFOUND", "ENODATA"]);
/** So many failures in a row are a fault. */
const FAILURES = 2;
const RETRY_MS = 10_000;
const WAIT_MS = 2_000;

/** Names that are resolved now and then; undefined where there is none to resolve. */
export function openNames(config: NetworkConfig["dns"], ports: CheckPorts): Turns | undefined {
  const ofBrokers = ports.brokers.map(({ host }) => host).filter((host) => isIP(host) === 0 && host !== "localhost");
  const names = config.names.length > 0 ? config.names : ofBrokers;
  if (names.length === 0) return undefined;
  const how: Names = {
    hostsFile: ports.machine.at("/etc/hosts"),
    ...(config.servers.length === 0 ? {} : { servers: config.servers }),
  };
  // by hand nobody waits for a second look
  const enough = ports.link === undefined ? 1 : FAILURES;
  const turns = [...new Set(names)].map((name) => turnOf(name, ofBrokers.includes(name), config, how, enough, ports));
  const { clock, random, redact } = ports;
  return inTurns(turns, { clock, random, redact, atOnce: 2, waitMs: WAIT_MS });
}

function turnOf(
  name: string,
  isBroker: boolean,
  { everyMs, deadlineMs }: NetworkConfig["dns"],
  how: Names,
  enough: number,
  { clock }: CheckPorts,
): Turn {
  const subject = `dns ${name}`;
  let failures = 0;
  let answered = false;
  return {
    subject,
    everyMs,
    retryMs: Math.min(RETRY_MS, everyMs),
    deadlineMs,
    async ask(signal): Promise<readonly Verdict[]> {
      const began = clock.now();
      try {
        const addresses = await addressesOf(name, signal, how);
        failures = 0;
        answered = true;
        const ms = Math.round((clock.now() - began) * 10) / 10;
        const says = `${name} is ${addresses.slice(0, 4).join(" ")}, found in ${ms} ms`;
        const readings = { lookup_ms: ms, address_count: addresses.length };
        return [{ state: "judged", subject, grade: "ok", holds: "ok", reason: "dns", says, readings }];
      } catch (cause) {
        if (!(cause instanceof Failure) || signal.aborted) throw cause;
        failures += 1;
        const silent = !UNKNOWN_NAMES.has(String(cause.facts.errno));
        const grade = failures >= enough ? "minor" : "ok";
        // without its name the broker is lost, whatever the server says
        const reason = silent || isBroker ? "dns" : "name";
        const holds = answered && failures < enough ? "ok" : "minor";
        return [
          { state: "judged", subject, grade, holds, reason, says: cause.message, readings: { address_count: 0 } },
        ];
      }
    },
  };
}
