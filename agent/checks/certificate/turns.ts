import { placeName } from "../../../platform/dial.ts";
import { dialTls, type TlsFacts, type TlsOptions } from "../../../platform/dial-tls.ts";
import { readSmallFile } from "../../../platform/small-file.ts";
import { Failure } from "../../../protocol/failure.ts";
import {
  type Bands,
  type BrokerFacts,
  type CheckPorts,
  type Condition,
  type Judge,
  Latch,
  type Verdict,
  worstOf,
} from "../check.ts";
import { inTurns, type Turn } from "../turns.ts";
import { isPlausible } from "../wall.ts";
import type { CertificateConfig, CertificateFile, TlsServer } from "./certificate.ts";
import { certificatesIn, judgeChain, judgeKey, judgeTimes, timeLeft } from "./file.ts";

const MOST_BYTES = 1 << 20;
const AT_ONCE = 2;
/** A server that was not well, or was never seen, is looked at again so soon. */
const AGAIN_MS = 3_600_000;
const GRACE_MS = 2_000;
const WAIT_SHARE = 0.8;

/** All files and servers, each at its own pace. */
export function openCertificates(config: CertificateConfig, ports: CheckPorts): Judge {
  const { clock, random, redact } = ports;
  const turns = [...files(config, ports), ...servers(config, ports)].map(({ subject, everyMs, look }): Turn => {
    const latch = new Latch();
    return {
      subject,
      everyMs,
      deadlineMs: config.tryMs + GRACE_MS,
      async ask(signal): Promise<readonly Verdict[]> {
        if (!isPlausible(clock.wall()))
          return [
            { state: "unknown", subject, because: "this machine's clock is not set, so that no time can be judged" },
          ];
        return [worstOf(subject, await look(signal), latch)];
      },
    };
  });
  return inTurns(turns, { clock, random, redact, atOnce: AT_ONCE, waitMs: config.deadlineMs * WAIT_SHARE });
}

/** One thing to look at. Rejects where nothing can be told. */
interface Look {
  subject: string;
  everyMs: number;
  look(signal: AbortSignal): Promise<Condition[]>;
}

interface Wanted extends CertificateFile {
  bands: Bands;
}

function files(config: CertificateConfig, ports: CheckPorts): Look[] {
  const wanted = new Map<string, Wanted>();
  for (const one of config.files) {
    const file = typeof one === "string" ? { path: one } : one;
    wanted.set(file.name ?? file.path, { ...file, bands: config.daysLeft });
  }
  const isWanted = (path: string): boolean => [...wanted.values()].some((file) => file.path === path);
  for (const { tls } of config.own ? ports.brokers : []) {
    if (tls === undefined) continue;
    const { caFile, certFile, keyFile } = tls;
    if (!isWanted(caFile)) wanted.set(caFile, { path: caFile, bands: config.daysLeft });
    if (certFile !== undefined && !isWanted(certFile))
      wanted.set(certFile, { path: certFile, keyFile, bands: config.ownDaysLeft });
  }
  return [...wanted.values()].map((file) => ({
    subject: file.name ?? file.path,
    everyMs: config.fileEveryMs,
    look: () => lookAtFile(file, ports),
  }));
}

async function lookAtFile(
  { path, keyFile, caFile, bands }: Wanted,
  { machine, clock }: CheckPorts,
): Promise<Condition[]> {
  const read = (file: string): Promise<Buffer> => readSmallFile(machine.at(file), { mostBytes: MOST_BYTES });
  const within = <T>(file: string, work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      if (!(cause instanceof Failure)) throw cause;
      const { reason = "" } = cause.facts;
      throw new Failure("FILE_UNUSABLE", `cannot use ${file}: ${reason}`, { facts: { path: file, reason }, cause });
    }
  };
  const bytes = await read(path);
  const certificates = within(path, () => certificatesIn(bytes));
  const conditions = judgeTimes(certificates, clock.wall(), bands);
  const [first] = certificates;
  if (keyFile !== undefined && first !== undefined) {
    const key = await read(keyFile);
    conditions.push(within(keyFile, () => judgeKey(first, key)));
  }
  if (caFile !== undefined) {
    const authorities = await read(caFile);
    conditions.push(
      judgeChain(
        certificates,
        within(caFile, () => certificatesIn(authorities)),
      ),
    );
  }
  return conditions;
}

interface Server extends TlsServer {
  certFile?: string | undefined;
  keyFile?: string | undefined;
}

function servers(config: CertificateConfig, ports: CheckPorts): Look[] {
  const wanted = new Map<string, Server>();
  for (const server of config.servers) wanted.set(server.name ?? placeName(server), server);
  for (const broker of config.brokers ? ports.brokers : []) {
    const subject = placeName(broker);
    if (broker.tls !== undefined && !wanted.has(subject)) wanted.set(subject, brokerAsServer(broker, broker.tls));
  }
  return [...wanted].map(([subject, server]) => watchServer(subject, server, config, ports));
}

/** We show the broker our own certificate, as it may well want one before it lets the handshake end. */
const brokerAsServer = ({ host, port }: BrokerFacts, tls: NonNullable<BrokerFacts["tls"]>): Server => ({
  host,
  port,
  ...tls,
});

/** A server is called seldom, and its time is counted down from what it has shown. */
function watchServer(subject: string, server: Server, config: CertificateConfig, ports: CheckPorts): Look {
  const { clock } = ports;
  let seen: { facts: TlsFacts; atMs: number } | undefined;
  const isDue = (): boolean =>
    seen === undefined || !seen.facts.trust.ok || clock.now() - seen.atMs >= config.serverEveryMs;
  return {
    subject,
    everyMs: Math.min(AGAIN_MS, config.serverEveryMs),
    async look(signal) {
      if (isDue()) {
        try {
          const options = await optionsOf(server, (path) => ports.machine.at(path));
          const facts = await dialTls(server, options, { clock, signal, deadlineMs: config.tryMs });
          seen = { facts, atMs: clock.now() };
        } catch (cause) {
          // what it has shown before still counts down; whether it answers at all is another check's question
          if (seen === undefined || !(cause instanceof Failure) || !cause.code.startsWith("DIAL_")) throw cause;
        }
      }
      if (seen === undefined) throw new Error(`${subject} was not seen`);
      return judgeServer(seen.facts, clock.wall(), config.daysLeft);
    },
  };
}

async function optionsOf(
  { servername, caFile, certFile, keyFile }: Server,
  at: (path: string) => string,
): Promise<TlsOptions> {
  const read = async (file: string | undefined): Promise<Buffer | undefined> =>
    file === undefined ? undefined : await readSmallFile(at(file), { mostBytes: MOST_BYTES });
  const options = { servername, ca: await read(caFile), cert: await read(certFile), key: await read(keyFile) };
  if (options.ca !== undefined) certificatesIn(options.ca); // a file without any would make every server a stranger
  return options;
}

const REASONS: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: "name",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "incomplete",
  UNABLE_TO_GET_ISSUER_CERT: "incomplete",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "incomplete",
};
/** Judged by themselves, where it is the time of what was shown, and not of an authority. */
const OF_TIME = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** What a server has shown, judged at `wall` (epoch ms). */
export function judgeServer(
  { trust, certificate, chainNotAfterMs }: TlsFacts,
  wall: number,
  bands: Bands,
): Condition[] {
  const chainEnds = chainNotAfterMs < certificate.notAfterMs;
  const soonest = chainEnds
    ? { ...certificate, notAfterMs: chainNotAfterMs, notAfter: "with a certificate of the chain above it" }
    : certificate;
  const conditions = timeLeft(soonest, wall, bands);
  const isOver = soonest.notAfterMs <= wall || soonest.notBeforeMs > wall;
  if (trust.ok || (isOver && OF_TIME.has(trust.why))) return conditions;
  const reason = REASONS[trust.why] ?? "untrusted";
  const says = `"${certificate.subject}", signed by "${certificate.issuer}", does not pass: ${trust.why}`;
  return [{ grade: "major", holds: "major", reason, says, readings: {} }, ...conditions];
}
