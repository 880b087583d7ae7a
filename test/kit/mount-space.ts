import { spawn, spawnSync } from "node:child_process";
import { closeSync, fdatasyncSync, mkdirSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Machine, machineAt } from "../../platform/machine.ts";
import { needs, needsThat, programPath, run } from "./peers.ts";
import { type TempFolder, tempFolder } from "./temp.ts";

/** Real file systems of a test, in a mount namespace of their own: nobody else on the machine sees them, none is left behind. */
export interface MountSpace extends Disposable {
  /** A process that lives in it, for `nsenter -t`. */
  readonly pid: number;
  /** The machine as a process in this namespace sees it. */
  readonly machine: Machine;
  /** A folder of this test; the mounts lie below it. */
  readonly folder: string;
  /** Makes an ext4 image and mounts it at `folder/name`. Returns the mount point. */
  mountExt4(name: string, more?: { megabytes?: number; inodes?: number; options?: string }): string;
  /** Mounts a FUSE file system that nobody serves: whoever asks it waits until `release`, which cuts it off. */
  mountHung(name: string): { point: string; release(): void };
  /** Runs a command inside; throws with its words when it fails. */
  run(program: string, ...args: string[]): string;
  /** The path by which this process reaches a path of the namespace. */
  at(path: string): string;
}

/** Whether tests with real mounts must be skipped: they need root, unshare(1), mkfs.ext4(8), loop devices. */
export function needsMounts(): boolean {
  if (needs("unshare", "util-linux") || needs("mkfs.ext4", "e2fsprogs")) return true;
  try {
    using space = openMountSpace();
    space.mountExt4("trial");
    return false;
  } catch {
    return needsThat(false, "nothing, but run as root with loop devices");
  }
}

/** Whether this kernel lets us make a hung mount. */
export const needsFuse = (): boolean =>
  needsMounts() || needsThat(canOpenFuse(), "nothing, but run where /dev/fuse is");

function canOpenFuse(): boolean {
  try {
    closeSync(openSync("/dev/fuse", "r+"));
    return true;
  } catch {
    return false;
  }
}

/** A new namespace, alive until disposed. */
export function openMountSpace(): MountSpace {
  const folder = tempFolder("vigil-mounts");
  const keeper = spawn(programPath("unshare"), ["--mount", "--propagation", "private", "cat"], {
    stdio: ["pipe", "ignore", "ignore"], // it ends with us, however we end
  });
  const pid = keeper.pid ?? 0;
  const enter = (program: string, args: readonly string[], fds: number[] = []): string => {
    const words = ["-t", String(pid), "-m", "--", program, ...args];
    const done = spawnSync(programPath("nsenter"), words, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe", ...fds],
    });
    if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${done.stderr}`);
    return done.stdout;
  };
  try {
    awaitNamespace(pid);
    return spaceOf(folder, pid, enter, () => keeper.kill("SIGKILL"));
  } catch (cause) {
    keeper.kill("SIGKILL");
    folder[Symbol.dispose]();
    throw cause;
  }
}

/** unshare(1) needs a moment; until then its namespace is ours, and a mount in it would be everybody's. */
function awaitNamespace(pid: number): void {
  const own = run("readlink", ["/proc/self/ns/mnt"]);
  for (let tries = 0; tries < 500; tries += 1) {
    const there = spawnSync(programPath("readlink"), [`/proc/${pid}/ns/mnt`], { encoding: "utf8" }).stdout;
    if (there !== "" && there !== own && readFileSync(`/proc/${pid}/comm`, "utf8") === "cat\n") return;
  }
  throw new Error("no mount namespace of our own");
}

function spaceOf(
  folder: TempFolder,
  pid: number,
  enter: (program: string, args: readonly string[], fds?: number[]) => string,
  end: () => void,
): MountSpace {
  const inside = machineAt(`/proc/${pid}/root`);
  const releases: (() => void)[] = [];
  const make = (name: string): string => {
    const point = join(folder.path, name);
    mkdirSync(point);
    return point;
  };
  return {
    pid,
    folder: folder.path,
    machine: {
      ...inside,
      source: (path) =>
        path === "/proc/self/mountinfo" ? machineAt().source(`/proc/${pid}/mountinfo`) : inside.source(path),
    },
    at: (path) => `/proc/${pid}/root${path}`,
    run: (program, ...args) => enter(program, args),
    mountExt4(name, { megabytes = 16, inodes = 256, options = "rw" } = {}) {
      const image = join(folder.path, `${name}.img`);
      run("truncate", ["-s", `${megabytes}M`, image]);
      run("mkfs.ext4", ["-q", "-m", "0", "-N", String(inodes), image]);
      const point = make(name);
      enter("mount", ["-o", `loop,${options}`, image, point]);
      return point;
    },
    mountHung(name) {
      const point = make(name);
      const fd = openSync("/dev/fuse", "r+");
      let isOpen = true;
      const release = (): void => {
        if (isOpen) closeSync(fd); // the kernel answers ENOTCONN from now on
        isOpen = false;
      };
      releases.push(release);
      enter("mount", ["-i", "-t", "fuse", "-o", "fd=3,rootmode=40000,user_id=0,group_id=0", "nobody", point], [fd]);
      return { point, release };
    },
    [Symbol.dispose]() {
      for (const release of releases) release();
      end();
      rmSync(folder.path, { recursive: true, force: true });
    },
  };
}

/** Takes all room of a file system in next to no time; returns what gives it back. `folder` is a path of this process. */
export function takeAllRoom(folder: string): () => void {
  const [most, rest] = [join(folder, "film"), join(folder, "film.rest")];
  const { bavail, bsize } = statfsSync(folder);
  run("fallocate", ["-l", String(bavail * bsize - 131_072), most]); // its own bookkeeping needs some room
  fillUp(rest);
  return () => {
    rmSync(rest);
    rmSync(most);
  };
}

/** Writes to a new file until the disk takes no more byte. */
export function fillUp(path: string): void {
  const file = openSync(path, "w");
  try {
    for (const size of [65_536, 1024, 1]) writeWhileRoom(file, Buffer.alloc(size));
  } finally {
    closeSync(file);
  }
}

function writeWhileRoom(file: number, bytes: Buffer): void {
  try {
    for (;;) {
      writeSync(file, bytes);
      fdatasyncSync(file); // room is promised before it is taken
    }
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ENOSPC")) throw cause;
  }
}
