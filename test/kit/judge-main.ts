// One check at work in a process of its own, which a test may put where it likes (a network namespace, under a faked
// clock): `node judge-main.ts KIND-FILE EXPORT CONFIG-JSON FOLDER`. Each line on its standard input is the link's facts as
// JSON (or `-` for none); each is answered by one line of verdicts.
import { join } from "node:path";
import { createInterface } from "node:readline";
import { beginOrLater, type CheckKind } from "../../agent/checks/check.ts";
import type { LinkFacts } from "../../platform/broker-link.ts";
import { checkPorts } from "./check-ports.ts";

const [file = "", name = "", config = "{}", folder = "/nowhere", brokers = "[]"] = process.argv.slice(2);
const { [name]: kind } = (await import(join(import.meta.dirname, "..", "..", file))) as Record<string, CheckKind>;
if (kind === undefined) throw new Error(`${file} has no ${name}`);
let facts: LinkFacts = { up: false };
const ports = checkPorts(folder, { brokers: JSON.parse(brokers) });
const judge = beginOrLater(kind, kind.Config.parse(JSON.parse(config)), {
  ...ports,
  ...(process.env["VIGIL_BY_HAND"] === undefined ? { link: () => facts } : {}),
});
process.stdout.write("ready\n");
for await (const line of createInterface(process.stdin)) {
  if (line.startsWith("{")) facts = JSON.parse(line) as LinkFacts;
  try {
    const verdicts = (await judge?.judge(AbortSignal.timeout(20_000))) ?? [];
    process.stdout.write(`${JSON.stringify(verdicts)}\n`);
  } catch (cause) {
    process.stdout.write(`${JSON.stringify({ failed: String(cause) })}\n`);
  }
}
judge?.close?.();
