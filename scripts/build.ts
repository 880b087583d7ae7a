import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle, licencesOf } from "./bundle.ts";
import { PROGRAMS } from "./programs.ts";

// npm run build: dist/agent.js, dist/aggregator.js, dist/vigil.js, which need nothing but Node 24
// (docs/decisions/0002-agent-bundle.md), and dist/LICENSES.txt.
const root = join(import.meta.dirname, "..");
const dist = join(root, "dist.new"); // takes the place of dist/ only when whole: a build that is cut off leaves the old one
const kb = (bytes: number) => `${Math.ceil(bytes / 1000)} kB`;

rmSync(dist, { recursive: true, force: true });
const packages = new Set<string>();
for (const program of PROGRAMS) {
  const made = await bundle(program, root, dist);
  for (const folder of made.packages) packages.add(folder);
  console.log(`dist/${program.name}.js  ${kb(made.startBytes)} at start, ${kb(made.lazyBytes)} when asked for`);
}
writeFileSync(join(dist, "LICENSES.txt"), licencesOf([...packages], root));
const { name, version, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
// Without it Node reads every file twice to find out that it is a module.
writeFileSync(join(dist, "package.json"), `${JSON.stringify({ name, version, license, type: "module" })}\n`);
rmSync(join(root, "dist"), { recursive: true, force: true });
renameSync(dist, join(root, "dist"));
