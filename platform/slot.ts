import { closeSync, constants, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** A small file that is written in place and at once: whoever is killed after a write finds it again. */
export interface Slot {
  /** What was written last, undefined when nothing was or when it cannot be read. */
  read(): string | undefined;
  /** Throws the system's error. At most 64 KiB. */
  write(text: string): void;
  close(): void;
}

const PAGE = 4_096;

/**
 * The slot `name` in the folder `path`, which is made (0700) when first written to. The text is framed by its length, and
 * written by one call: a kill leaves the text before or the new one.
 */
export function slotAt(path: string, name: string): Slot {
  let fd: number | undefined;
  return {
    read() {
      try {
        const text = readFileSync(join(path, name), "utf8");
        const [length = ""] = text.split("\n", 1);
        const body = Buffer.from(text).subarray(length.length + 1, length.length + 1 + Number(length));
        return /^\d+$/.test(length) && body.length === Number(length) ? body.toString("utf8") : undefined;
      } catch {
        return undefined; // not there yet, or not ours to read
      }
    },
    write(text) {
      if (fd === undefined) {
        mkdirSync(path, { recursive: true, mode: 0o700 });
        fd = openSync(join(path, name), constants.O_WRONLY | constants.O_CREAT, 0o600);
      }
      const body = Buffer.from(text);
      const frame = Buffer.concat([Buffer.from(`${body.length}\n`), body]);
      const whole = Buffer.alloc(Math.ceil(frame.length / PAGE) * PAGE, 0x20);
      frame.copy(whole);
      // where room is short, the first call takes what there is without a word, and only the next one says so
      for (let at = 0; at < whole.length; ) at += writeSync(fd, whole, at, whole.length - at, at);
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
