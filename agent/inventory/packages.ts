import { createHash } from "node:crypto";
import { PACKAGE_PATTERN, VERSION_PATTERN } from "../../protocol/inventory-limits.ts";
import type { Look } from "./look.ts";

/** Where package managers keep what is installed: dpkg, then opkg as OpenWrt and Yocto have it. */
const LISTS = ["/var/lib/dpkg/status", "/var/lib/opkg/status", "/usr/lib/opkg/status"];

interface Entry {
  name?: string;
  version?: string;
  status?: string;
  architecture?: string;
}
const FIELDS: readonly (readonly [string, keyof Entry])[] = [
  ["Package: ", "name"],
  ["Version: ", "version"],
  ["Status: ", "status"],
  ["Architecture: ", "architecture"],
];

/**
 * Installed packages of a dpkg or opkg status file, by name. One of a foreign architecture is `name:architecture`, as
 * dpkg shows it. What no package can be named or numbered is left out. Total over all texts.
 */
export function parsePackages(status: string): Map<string, string> {
  const installed = [...entriesOf(status)].filter((entry) => entry.status?.split(" ")[2] === "installed");
  const native = installed.find(({ name }) => name === "dpkg")?.architecture;
  const packages = new Map<string, string>();
  for (const { name = "", version = "", architecture = "all" } of installed) {
    const foreign = native !== undefined && architecture !== "all" && architecture !== native;
    const full = foreign ? `${name}:${architecture}` : name;
    if (PACKAGE_PATTERN.test(full) && VERSION_PATTERN.test(version)) packages.set(full, version);
  }
  return packages;
}

/** Paragraphs, one at a time: a status file is megabytes, and a device has little memory. */
function* entriesOf(status: string): Generator<Entry> {
  let entry: Entry = {};
  for (let at = 0; at <= status.length; ) {
    const newline = status.indexOf("\n", at);
    const end = newline < 0 ? status.length : newline;
    if (end === at || (end === at + 1 && status[at] === "\r")) {
      yield entry;
      entry = {};
    }
    for (const [field, key] of FIELDS) {
      if (status.startsWith(field, at)) entry[key] ??= status.slice(at + field.length, end).trim();
    }
    at = end + 1;
  }
  yield entry;
}

/** SHA-256 over the sorted `name=version` lines; undefined when there are none. */
export function packagesHash(packages: ReadonlyMap<string, string>): string | undefined {
  if (packages.size === 0) return undefined;
  const lines = [...packages].map(([name, version]) => `${name}=${version}`);
  return createHash("sha256").update(lines.toSorted().join("\n")).digest("hex");
}

/** What is installed here; empty when nothing that we know keeps a list. */
export function readPackages(look: Look): Map<string, string> {
  for (const path of LISTS) {
    const packages = parsePackages(look.large(path) ?? "");
    if (packages.size > 0) return packages;
  }
  return new Map();
}
