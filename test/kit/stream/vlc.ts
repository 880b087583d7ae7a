import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../platform/clock.ts";
import { accepting, startChild } from "../child.ts";
import { findProgram, needs, programPath } from "../peers.ts";
import { freePort } from "../ports.ts";

export interface VlcServer extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** `rtsp://127.0.0.1:port/cam`. */
  readonly url: string;
}

/** Whether tests with VLC must be skipped. */
export const needsVlc = (): boolean => needs("vlc", "vlc-bin vlc-plugin-base") || needs("setpriv", "util-linux");

/** Whether it has something to describe by now. */
const described = (port: number, url: string): Promise<boolean> =>
  new Promise((tell) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`DESCRIBE ${url} RTSP/1.0\r\nCSeq: 1\r\n\r\n`));
    socket.once("data", (bytes: Buffer) => {
      tell(bytes.toString("latin1").startsWith("RTSP/1.0 200"));
      socket.destroy();
    });
    socket.on("error", () => {});
    socket.once("close", () => tell(false));
  });

/** VLC's own RTSP server, which loops a clip. It refuses RTP over TCP (461), and to be root. */
export async function startVlc(file: string): Promise<VlcServer> {
  const port = await freePort();
  const home = mkdtempSync(join(tmpdir(), "vigil-vlc-"));
  const url = `rtsp://127.0.0.1:${port}/cam`;
  const vlc = [programPath("vlc"), "-I", "dummy", "-q", "--no-dbus", "--loop", file];
  const out = ["--sout", `#gather:rtp{sdp=${url}}`, "--sout-keep", "--sout-all"];
  const isRoot = process.getuid?.() === 0;
  const nobody = isRoot ? ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] : [];
  // the kernel forgets whom a process is tied to when its user changes: it is tied after that
  const child = startChild(findProgram("setpriv") ?? "", [...nobody, "--pdeathsig", "KILL", "--", ...vlc, ...out], {
    ...process.env,
    HOME: home,
  });
  await accepting(port, child);
  // it listens before it has opened the clip, and says 500 till then
  while (!(await described(port, url))) await systemClock.sleep(50);
  return {
    port,
    pid: child.pid,
    url,
    async [Symbol.asyncDispose]() {
      await child.kill9();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
