import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Paths of generated documents that are missing, differ from what they should be, or have no source any more. */
export function staleIn(folder: string, pages: ReadonlyMap<string, string>): string[] {
  const changed = [...pages].filter(([path, text]) => read(join(folder, path)) !== text).map(([path]) => path);
  return [...changed, ...orphans(folder, pages)];
}

/** Writes what is stale, removes what has no source. Returns the paths touched. */
export function writeTo(folder: string, pages: ReadonlyMap<string, string>): string[] {
  const stale = staleIn(folder, pages);
  for (const path of stale) {
    const text = pages.get(path);
    const place = join(folder, path);
    if (text === undefined) {
      rmSync(place);
      continue;
    }
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, text);
  }
  return stale;
}

function orphans(folder: string, pages: ReadonlyMap<string, string>): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.startsWith("schemas/") && !pages.has(name));
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
