import { readFileSync } from "node:fs";
import { join } from "node:path";
import { staleIn, writeTo } from "./docs-folder.ts";
import { pages } from "./docs-pages.ts";

// npm run docs            writes docs/schemas, docs/asyncapi.json, docs/topics.md, docs/errors.md from protocol/
// npm run docs -- --check only says which are stale, and fails when any is
const root = join(import.meta.dirname, "..");
const docs = join(root, "docs");
const made = pages(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version);

if (process.argv.includes("--check")) {
  const stale = staleIn(docs, made);
  if (stale.length > 0) {
    console.error(`stale: ${stale.join(", ")}\nrun: npm run docs`);
    process.exitCode = 1;
  }
} else {
  const written = writeTo(docs, made);
  console.log(written.length === 0 ? "docs are up to date" : `written: ${written.join(", ")}`);
}
