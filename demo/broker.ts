// The embedded MQTT broker as a program: for `npm start` and the tests. Not for a site: it has no accounts and no disk.
import { parseArgs } from "node:util";
import { openLog } from "../platform/log.ts";
import { redactor } from "../platform/redact.ts";
import { Failure } from "../protocol/failure.ts";
import { type EmbeddedOptions, startEmbeddedBroker } from "./embedded-broker.ts";

const HELP = `node demo/broker.ts --port N [--host 127.0.0.1] [--cert FILE --key FILE [--ca FILE]]

  --port N       listens here; 0 takes any free port
  --host H       and on this address             (127.0.0.1)
  --cert, --key  server certificate and key, PEM: MQTT over TLS
  --ca           clients must show a certificate of this authority
`;

function readOptions(args: string[]): Omit<EmbeddedOptions, "log"> | "help" {
  const text = { type: "string" } as const;
  const options = {
    port: text,
    host: text,
    cert: text,
    key: text,
    ca: text,
    help: { type: "boolean", short: "h" },
  } as const;
  const { values } = parseArgs({ args, options });
  if (values.help) return "help";
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Failure("ARGUMENT_INVALID", `--port takes a number from 0 to 65535, not "${values.port ?? ""}"`);
  }
  const { host = "127.0.0.1", cert, key, ca } = values;
  if ((cert === undefined) !== (key === undefined))
    throw new Failure("ARGUMENT_INVALID", "--cert and --key go together");
  if (cert === undefined || key === undefined) return { port, host };
  return { port, host, tls: { certFile: cert, keyFile: key, ...(ca === undefined ? {} : { caFile: ca }) } };
}

async function main(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (options === "help") {
    process.stdout.write(HELP);
    return;
  }
  const log = openLog("info", "broker", redactor([]));
  const broker = await startEmbeddedBroker({ ...options, log });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void broker.close());
  log.info({ event: "broker.listening", host: options.host, port: broker.port, tls: "tls" in options }, "listening");
}

main(process.argv.slice(2)).catch((cause: unknown) => {
  process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exitCode = cause instanceof Failure && cause.code === "ARGUMENT_INVALID" ? 64 : 1;
});
