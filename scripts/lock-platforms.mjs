// Names in package-lock.json every platform's binary package that a tool declares with an exact version.
//
// `npm ci` refuses a lock that leaves one of them out, and a registry mirror that carries only the platforms of its own
// machines makes npm leave out the others. An entry needs no more than version and platform: npm skips it elsewhere.
// Run it after `npm install` changed the lock: `node scripts/lock-platforms.mjs`.
import { readFileSync, writeFileSync } from "node:fs";

const OS = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const CPU = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64"];

/** @param {string} name */
function platformOf(name) {
  const words = name.split("/").at(-1)?.split("-") ?? [];
  const os = OS.find((word) => words.includes(word));
  const cpu = CPU.find((word) => words.includes(word));
  const abi = words.at(-1) ?? "";
  const libc =
    os !== "linux" ? undefined : abi.startsWith("musl") ? "musl" : abi.startsWith("gnu") ? "glibc" : undefined;
  return os === undefined || cpu === undefined ? undefined : { os, cpu, libc };
}

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
let added = 0;
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const platform = platformOf(name);
    if (platform === undefined || lock.packages[`node_modules/${name}`] !== undefined) continue;
    if (!/^\d+\.\d+\.\d+[\w.-]*$/.test(version)) continue; // a range could be any version: leave it to npm
    lock.packages[`node_modules/${name}`] = {
      version,
      cpu: [platform.cpu],
      ...(parent.dev ? { dev: true } : {}),
      ...(platform.libc === undefined ? {} : { libc: [platform.libc] }),
      optional: true,
      os: [platform.os],
    };
    added += 1;
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")), // the order npm writes
);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added} platform packages named`);
