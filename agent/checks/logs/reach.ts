import { dirname } from "node:path";
import type { Machine, Source } from "../../../platform/machine.ts";
import { type Mount, mayHang, parseMountInfo } from "../mounts.ts";

/** May this log be asked at all? A look at a file of a dead server, or of a program that hangs, would never return. */

const MOST_LINKS = 40;

export class Reach {
  readonly #machine: Machine;
  readonly #source: Source;
  #text: string | undefined;
  #mounts: Mount[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#source = machine.source("/proc/self/mountinfo");
  }

  /** Reads which mounts there are now. */
  look(): void {
    const text = this.#source.read();
    if (text === this.#text) return;
    this.#text = text;
    this.#mounts = parseMountInfo(text ?? "");
  }

  /** Why `path` must not be asked, undefined when it may. Follows the links in it one by one, and asks nothing that may hang. */
  whyNot(path: string): string | undefined {
    if (!this.#mounts.some((mount) => isDoubtful(mount))) return undefined;
    let rest = path.split("/");
    let at = "";
    for (let links = 0; rest.length > 0; ) {
      const [name = "", ...others] = rest;
      rest = others;
      if (name === "" || name === ".") continue;
      if (name === "..") {
        at = at === "" ? "" : dirname(at).replace(/^\/$/, "");
        continue;
      }
      const next = `${at}/${name}`;
      const mount = this.#mounts.findLast(({ point }) => point === next);
      if (mount !== undefined && isDoubtful(mount)) return `it lies on ${mount.type}, which may hang`;
      const target = this.#link(next);
      if (target === undefined) at = next;
      else {
        links += 1;
        if (links > MOST_LINKS) return undefined; // a loop, which whoever opens it is told
        rest = [...target.split("/"), ...rest];
        if (target.startsWith("/")) at = "";
      }
    }
    return undefined;
  }

  close(): void {
    this.#source.close();
  }

  #link(path: string): string | undefined {
    try {
      return this.#machine.link(path);
    } catch {
      return undefined; // not for this user: nor will the file be
    }
  }
}

/** Without its root folder the device is dead anyhow. What is mounted when it is asked for may be any of these. */
const isDoubtful = (mount: Mount): boolean =>
  mount.point !== "/" && (mount.type === "autofs" || mayHang([mount], mount.point));
