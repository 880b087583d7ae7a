import { readFileSync } from "node:fs";
import { openMountSpace } from "../test/kit/mount-space.ts";
import { run } from "../test/kit/peers.ts";

/** Like an SD card under Linux's default; a server's disk may have megabytes. */
const READ_AHEAD_SECTORS = 256;

/** A small ext4 on a block device of its own, in a mount namespace of its own: no other program on this machine touches it. */
export interface Disk extends Disposable {
  /** Its mount point, for programs started inside. */
  point: string;
  /** The same folder as this process reaches it. */
  here: string;
  /** What is to stand before a command to start it inside. */
  enter: readonly string[];
  sync(): void;
  /** Forgets all that was read from it, as a boot would. */
  chill(): void;
  /** Bytes that reached the device while `work` ran, and until all of it was down: the file system's journal too. */
  during(work: () => Promise<void>): Promise<number>;
}

export function openDisk(megabytes: number): Disk {
  using undo = new DisposableStack();
  const space = undo.use(openMountSpace());
  const image = `${space.folder}/disk.img`;
  const point = `${space.folder}/disk`;
  run("truncate", ["-s", `${megabytes}M`, image]);
  run("mkfs.ext4", ["-q", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image]);
  // Direct: what is read from it is cached once, by whoever reads it.
  const device = run("losetup", ["--find", "--show", "--direct-io=on", image]).trim();
  undo.defer(() => run("losetup", ["--detach", device]));
  run("blockdev", ["--setra", String(READ_AHEAD_SECTORS), device]);
  run("mkdir", [point]);
  const mount = (): void => void space.run("mount", device, point);
  mount();
  undo.defer(() => space.run("umount", "--lazy", point));
  const all = undo.move();
  const here = space.at(point);
  const sync = (): void => void run("sync", ["--file-system", here]);
  const stat = `/sys/block/${device.split("/").at(-1)}/stat`;
  const written = (): number => 512 * Number(readFileSync(stat, "utf8").trim().split(/\s+/)[6]);
  return {
    point,
    here,
    enter: ["nsenter", `--mount=/proc/${space.pid}/ns/mnt`, "--"],
    sync,
    chill() {
      space.run("umount", point);
      mount();
    },
    async during(work) {
      sync();
      const before = written();
      await work();
      sync();
      return written() - before;
    },
    [Symbol.dispose]: () => all.dispose(),
  };
}
