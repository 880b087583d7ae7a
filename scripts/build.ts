import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle, licencesOf, type Program } from "./bundle.ts";

// npm run build: dist/agent.js, dist/aggregator.js, dist/vigil.js, each one file that needs nothing but Node 24
// (docs/decisions/0002-agent-bundle.md), and dist/LICENSES.txt.
const root = join(import.meta.dirname, "..");

/** Full zod costs a device 9 MB, systeminformation 4 MB, node-cron 3 MB (docs/decisions/0003-two-zods.md). */
const programs: readonly Program[] = [
  {
    name: "agent",
    entry: "agent/main.ts",
    notAtStart: ["node_modules/systeminformation/", "node_modules/node-cron/"],
    never: ["node_modules/zod/v4/classic/", "node_modules/zod/v3/", "node_modules/aedes/"],
  },
  { name: "aggregator", entry: "aggregator/main.ts", never: ["node_modules/systeminformation/"] },
  { name: "vigil", entry: "ops/main.ts", never: ["node_modules/mqtt/"] },
];

rmSync(join(root, "dist"), { recursive: true, force: true });
const packages = new Set<string>();
for (const program of programs) {
  if (!existsSync(join(root, program.entry))) throw new Error(`${program.entry} is missing`);
  const made = await bundle(program, root, join(root, "dist"));
  for (const folder of made.packages) packages.add(folder);
  const kb = (bytes: number) => `${Math.ceil(bytes / 1000)} kB`;
  console.log(`dist/${program.name}.js  ${kb(made.startBytes)} at start, ${kb(made.lazyBytes)} when asked for`);
}
writeFileSync(join(root, "dist/LICENSES.txt"), licencesOf([...packages], root));
