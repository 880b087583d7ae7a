// Runs before every command of package.json, on whatever Node the machine has (20 or later), so: plain JavaScript, no
// package. It installs what package-lock.json names when that is not what stands in node_modules, and makes sure that
// Node 24 is there: the programs run TypeScript and SQLite natively.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @param {string} file */
function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(`${root}${file}`, "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** Why node_modules is not what the lock asks for, or undefined when it is. npm keeps its own account of what it laid down. */
function whyStale() {
  const wanted = packagesOf("package-lock.json");
  const laid = packagesOf("node_modules/.package-lock.json");
  if (wanted === undefined) return fail("package-lock.json is missing or damaged: restore it from the repository.");
  if (laid === undefined) return "node_modules is missing";
  for (const [at, { version, optional }] of Object.entries(wanted)) {
    const found = at === "" ? { version } : laid[at];
    if (found === undefined ? !optional : found.version !== version) return `${at} is not at ${version}`;
  }
  return undefined;
}

/** Version of the Node that npm scripts will use, or undefined when there is none that runs here. */
function nodeInside() {
  const { status, stdout } = spawnSync(`${root}node_modules/.bin/node`, ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

function install(why) {
  console.log(`vigil: installing packages (${why}) …`);
  // Warnings are left out: npm runs on the machine's own Node, which some tools call too old; they run on Node 24.
  const { status } = spawnSync("npm", ["ci", "--loglevel=error", "--no-progress"], { cwd: root, stdio: "inherit" });
  if (status === 0) return;
  fail(
    "npm ci failed (its own words are above). Without a network, or behind a proxy, set npm's `registry` or `proxy` and try again; " +
      "a full disk or a node_modules that belongs to another user has to be put right first.",
  );
}

function fail(text) {
  console.error(`vigil: ${text}`);
  process.exit(1);
}

if (Number(process.versions.node.split(".")[0]) < 20)
  fail(`Node 20 or later is needed to begin with; this is ${process.version}.`);
const stale = whyStale() ?? (nodeInside() === undefined ? "its Node does not run on this machine" : undefined);
if (stale !== undefined) install(stale);
const inside = nodeInside();
if (!inside?.startsWith("v24.")) {
  fail(
    `Node 24 did not come with the packages (found ${inside ?? "none that runs"}) for ${process.platform}-${process.arch}. ` +
      "The package `node` brings it on linux (x64, arm64), macOS and Windows when install scripts are allowed (npm config `ignore-scripts`).",
  );
}
