import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build, type Metafile } from "esbuild";

/** One program to be bundled. */
export interface Program {
  /** Name of the file under `outDir`, without `.js`. */
  name: string;
  entry: string;
  /** Parts of paths that must not be read at its start: too dear for a device, or loaded only when asked for. */
  notAtStart?: readonly string[];
  /** Parts of paths that must be in none of its files. */
  never?: readonly string[];

  /** Packages that something in its place stands for: `./scripts/absent.cjs` for what the program never uses. */
  instead?: Readonly<Record<string, string>>;
}

export interface Bundle {
  /** Bytes of the files read at start, and of those loaded when asked for. */
  startBytes: number;
  lazyBytes: number;
  /** Folders of the npm packages inside. */
  packages: string[];
}

// CommonJS packages inside an ES module still call require for Node's own modules.
const BANNER = `import { createRequire as vigilRequire } from "node:module"; const require = vigilRequire(import.meta.url);`;

/**
 * Bundles a program into `outDir/<name>.js`; what it imports dynamically goes to `outDir/<name>-lazy/`.
 * Throws when something forbidden is inside, with the chain of imports that brought it.
 */
export async function bundle(program: Program, root: string, outDir: string): Promise<Bundle> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { [program.name]: program.entry },
    outdir: outDir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    chunkNames: `${program.name}-lazy/[name]-[hash]`,
    banner: { js: BANNER },
    define: { "process.env.NODE_ENV": '"production"' },
    minifySyntax: true,
    minifyWhitespace: true, // names stay: a stack trace from the field must be readable
    legalComments: "none", // all licences are in LICENSES.txt
    alias: { ...program.instead },
    metafile: true,
    logLevel: "warning",
  });
  const outputs = new Map(Object.entries(metafile.outputs));
  const start = readAtStart(metafile, program);
  const inside = (files: Iterable<string>) =>
    [...files].flatMap((file) => Object.keys(outputs.get(file)?.inputs ?? {}));
  refuse(metafile, program, inside(start), program.notAtStart ?? [], "at its start");
  refuse(metafile, program, inside(outputs.keys()), program.never ?? [], "anywhere");
  const bytes = (wanted: boolean) =>
    [...outputs].reduce((sum, [file, { bytes: size }]) => sum + (start.has(file) === wanted ? size : 0), 0);
  return { startBytes: bytes(true), lazyBytes: bytes(false), packages: packagesIn(inside(outputs.keys())) };
}

/** The entry's file and all it imports statically. */
function readAtStart({ outputs }: Metafile, { name }: Program): Set<string> {
  const main = Object.keys(outputs).find((file) => basename(file) === `${name}.js`);
  if (main === undefined) throw new Error(`esbuild wrote no ${name}.js`);
  const seen = new Set([main]);
  for (const file of seen) {
    const imports = outputs[file]?.imports ?? [];
    for (const { path, kind, external } of imports) if (kind !== "dynamic-import" && external !== true) seen.add(path);
  }
  return seen;
}

function refuse(
  metafile: Metafile,
  { name, entry }: Program,
  files: readonly string[],
  parts: readonly string[],
  where: string,
): void {
  for (const part of parts) {
    const found = files.find((file) => file.includes(part));
    if (found !== undefined) {
      throw new Error(
        `${name}: ${part} must not be ${where}; imported by ${chain(metafile, entry, found).join(" → ")}`,
      );
    }
  }
}

/** The shortest way of imports from one file to another. */
function chain({ inputs }: Metafile, from: string, to: string): string[] {
  const ways: [string, ...string[]][] = [[from]];
  const seen = new Set([from]);
  for (const way of ways) {
    if (way[0] === to) return way.reverse();
    for (const { path } of inputs[way[0]]?.imports ?? []) {
      if (!seen.has(path)) ways.push([path, ...way]);
      seen.add(path);
    }
  }
  return [from, "…", to];
}

const packagesIn = (files: readonly string[]): string[] => [
  ...new Set(files.flatMap((file) => file.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? [])),
];

/** The licences of everything inside, as their authors wrote them. */
export function licencesOf(packages: readonly string[], root: string): string {
  return [...packages]
    .sort()
    .map((folder) => licenceOf(join(root, folder)))
    .join("\n");
}

function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = existsSync(folder)
    ? readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    : [];
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8").trim());
  return [`== ${name} ${version} (${license})`, ...texts, ""].join("\n");
}
