import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, copyFileSync } from "node:fs";
import { join } from "node:path";

/** Processes to be watched, and killed: copies of sleep(1), each with a name of its own. */
export class Services implements Disposable {
  readonly names: readonly string[];
  readonly #folder: string;
  readonly #running = new Map<string, ChildProcess>();

  constructor(folder: string, count: number) {
    this.#folder = folder;
    this.names = Array.from({ length: count }, (_, n) => `vgsvc${n + 1}`);
    for (const name of this.names) {
      copyFileSync("/bin/sleep", this.path(name));
      chmodSync(this.path(name), 0o755);
      this.start(name);
    }
  }
  path(name: string): string {
    return join(this.#folder, name);
  }
  start(name: string): void {
    this.#running.set(name, spawn(this.path(name), ["100000"], { stdio: "ignore" }));
  }
  kill(name: string): void {
    this.#running.get(name)?.kill("SIGKILL");
  }
  /** `checks.process.watch` of an agent's config. */
  get watch(): { name: string; exe: string }[] {
    return this.names.map((name) => ({ name, exe: this.path(name) }));
  }
  [Symbol.dispose](): void {
    for (const child of this.#running.values()) child.kill("SIGKILL");
  }
}
