import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/**
 * What snmpd asks for a part of its tree (`pass_persist`, snmpd.conf(5)): lines `OID type value` in a file, read anew for
 * each question, so that a test can change them while snmpd runs.
 */
const [file = ""] = process.argv.slice(2);

type Row = { oid: string; type: string; value: string };

function compare(a: string, b: string): number {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (const [i, part] of left.entries()) {
    const other = right[i];
    if (other === undefined || part !== other) return other === undefined || part > other ? 1 : -1;
  }
  return left.length - right.length;
}

function rows(): Row[] {
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  const parsed = lines.map((line): Row => {
    const [oid = "", type = "", ...value] = line.split(" ");
    return { oid, type, value: value.join(" ") };
  });
  return parsed.toSorted((a, b) => compare(a.oid, b.oid));
}

const questions = createInterface({ input: process.stdin });
let asked: string | undefined;
for await (const line of questions) {
  if (line === "PING") process.stdout.write("PONG\n");
  else if (asked === undefined) asked = line;
  else {
    const oid = line.replace(/^\./, "");
    const found =
      asked === "get" ? rows().find((row) => row.oid === oid) : rows().find((row) => compare(row.oid, oid) > 0);
    asked = undefined;
    process.stdout.write(found === undefined ? "NONE\n" : `.${found.oid}\n${found.type}\n${found.value}\n`);
  }
}
