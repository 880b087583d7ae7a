import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Load } from "./publisher.ts";

/** Many devices in a process of their own. */
export class Crowd implements Disposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
  }
  /** Resolves when every device has published its birth. */
  static async born(load: Load): Promise<Crowd> {
    const program = join(import.meta.dirname, "publisher.ts");
    const child = spawn(process.execPath, [program, JSON.stringify(load)], { stdio: ["pipe", "pipe", "inherit"] });
    const [line] = await once(createInterface(child.stdout), "line");
    if (line !== "born") throw new Error(`the publisher says ${line}`);
    return new Crowd(child);
  }
  begin(): void {
    this.#child.stdin.write("go\n");
  }
  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
