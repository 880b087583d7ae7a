import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { accepting, type Child, startChild } from "./child.ts";
import { needsThat } from "./peers.ts";
import { freePort } from "./ports.ts";

const UPSD = "/lib/nut/upsd"; // what lies in PATH is Debian's wrapper, which asks /etc
const DRIVER = "/lib/nut/dummy-ups";

/** Whether tests with a real upsd and its simulated UPS must be skipped. */
export const needsUpsd = (): boolean => needsThat(existsSync(UPSD) && existsSync(DRIVER), "nut-server");

/** A real upsd on the loopback, with a UPS that says what the test writes. */
export interface Ups extends AsyncDisposable {
  readonly port: number;
  /** Replaces what the UPS says: `ups.status: OL` a line. The driver sees it within a second or two. */
  say(lines: Readonly<Record<string, string>>): void;
  readonly driver: Child;
  readonly upsd: Child;
}

export async function startUps(parent: string, lines: Readonly<Record<string, string>>): Promise<Ups> {
  const folder = join(parent, "nut");
  mkdirSync(folder);
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const say = (all: Readonly<Record<string, string>>): void =>
    write(
      "ups.dev",
      Object.entries(all)
        .map(([name, value]) => `${name}: ${value}\n`)
        .join(""),
    );
  const port = await freePort();
  say(lines);
  write("ups.conf", "[dummy]\n  driver = dummy-ups\n  port = ups.dev\n  mode = dummy\n  pollinterval = 1\n");
  write("upsd.conf", `LISTEN 127.0.0.1 ${port}\nMAXAGE 3\n`);
  write("upsd.users", "");
  write("nut.conf", "MODE=netserver\n");
  const env = { PATH: "/usr/bin:/bin", NUT_CONFPATH: folder, NUT_STATEPATH: folder, NUT_ALTPIDPATH: folder };
  const as = process.getuid?.() === 0 ? ["-u", "root"] : [];
  const driver = startChild(DRIVER, ["-a", "dummy", "-F", ...as], env);
  const upsd = startChild(UPSD, ["-F", ...as], env);
  await accepting(port, upsd);
  return {
    ...{ port, say, driver, upsd },
    async [Symbol.asyncDispose]() {
      await Promise.all([driver.kill9(), upsd.kill9()]);
    },
  };
}
