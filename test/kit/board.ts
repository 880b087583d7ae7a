import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Machine, machineAt, type Space } from "../../platform/machine.ts";
import { tempFolder } from "./temp.ts";

/** Layouts of real boards, captured file by file. */
export const BOARDS = ["rpi-cm4-debian", "rk3568-buildroot", "rk3588-overlay", "x86-vm", "kernel-3.10"] as const;
export type BoardName = (typeof BOARDS)[number];

/** A captured board whose files a test may rewrite, and whose file systems answer what the test says. */
export interface Board extends Disposable {
  readonly machine: Machine;
  /** Replaces a file in place, so that one held open sees it too; undefined takes it away. */
  write(path: string, text: string | undefined): void;
  /** Room by mount point; others have plenty. */
  readonly spaces: Map<string, Space | Error>;
  /** What mounts that may hang answer, when not from `spaces`. */
  remote: ((path: string) => Promise<Space>) | undefined;
}

export const PLENTY: Space = {
  totalBytes: 10e9,
  freeBytes: 6e9,
  unusedBytes: 6.5e9,
  totalInodes: 600_000,
  freeInodes: 500_000,
};

const TREES = fileURLToPath(new URL("../agent/checks/trees/", import.meta.url));

export function openBoard(name: BoardName): Board {
  const folder = tempFolder("vigil-board");
  cpSync(join(TREES, name), folder.path, { recursive: true, verbatimSymlinks: true });
  const machine = machineAt(folder.path);
  const spaces = new Map<string, Space | Error>();
  const space = (path: string): Space => {
    const found = spaces.get(path) ?? PLENTY;
    if (found instanceof Error) throw found;
    return found;
  };
  const board: Board = {
    machine: { ...machine, space, remoteSpace: async (path) => (board.remote ?? (async (at) => space(at)))(path) },
    spaces,
    remote: undefined,
    write(path, text) {
      const place = join(folder.path, path);
      if (text === undefined) return rmSync(place, { force: true });
      mkdirSync(dirname(place), { recursive: true });
      writeFileSync(place, text);
    },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
  return board;
}
