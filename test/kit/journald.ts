import { existsSync } from "node:fs";
import { systemClock } from "../../platform/clock.ts";
import { startChild } from "./child.ts";
import { type MountSpace, needsMounts, openMountSpace } from "./mount-space.ts";
import { needs, needsThat, programPath } from "./peers.ts";

const JOURNALD = ["/lib/systemd/systemd-journald", "/usr/lib/systemd/systemd-journald"].find((path) =>
  existsSync(path),
);
const MARK = "vigil-mark";
const SOCKET = "/run/systemd/journal/dev-log";

/** A real journal of systemd, in a mount namespace of its own. */
export interface Journal extends AsyncDisposable {
  readonly space: MountSpace;
  /** Writes one entry per text, as the program `tag`; resolves when they stand in the journal. */
  write(tag: string, ...texts: string[]): Promise<void>;
}

/** Whether tests with a real journal must be skipped. */
export const needsJournald = (): boolean =>
  needsMounts() ||
  needs("journalctl", "systemd") ||
  needs("logger", "bsdutils") ||
  needsThat(JOURNALD !== undefined, "systemd");

/** Starts systemd-journald by hand; nobody outside the namespace sees its sockets or its files. */
export async function openJournald(): Promise<Journal> {
  const space = openMountSpace();
  for (const folder of ["/run", "/var/log"]) space.run("mount", "-t", "tmpfs", "none", folder);
  const words = ["-t", String(space.pid), "-m", "--", JOURNALD ?? ""];
  const journald = startChild(programPath("nsenter"), words);
  const close = async (): Promise<void> => {
    await journald.stop();
    space[Symbol.dispose]();
  };
  let marks = 0;
  const write = async (tag: string, ...texts: string[]): Promise<void> => {
    marks += 1;
    const log = (as: string, text: string) => space.run("logger", "--socket", SOCKET, "--tag", as, "--", text);
    for (const text of texts) log(tag, text);
    log(MARK, `mark ${marks}.`);
    while (!space.run("journalctl", "--quiet", "--identifier", MARK, "--output", "cat").includes(`mark ${marks}.`))
      await systemClock.sleep(20); // it is read from the socket when the daemon comes to it
  };
  try {
    for (let tries = 0; !existsSync(space.at(SOCKET)); tries += 1) {
      if (tries > 500 || journald.process.exitCode !== null) throw new Error(`no journal: ${journald.output()}`);
      await systemClock.sleep(20);
    }
    await write("test", "the journal begins");
    return { space, write, [Symbol.asyncDispose]: close };
  } catch (cause) {
    await close();
    throw cause;
  }
}
