import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../platform/clock.ts";
import { accepting, type Child, startChild } from "../child.ts";
import { programPath } from "../peers.ts";
import { freePort } from "../ports.ts";
import { tempFolder } from "../temp.ts";

/** A GB/T 28181 platform: SIPp (package sip-tester) with scenarios of our own. */

export interface SippOptions {
  /**
   * `ok`: 200. `challenge`: 401 with a Digest challenge, then 200 where the answer is right and 403 where it is not.
   * `busy`: 100 first, 200 after a second. `forbidden`: 403. `mute`: it takes the request and says nothing.
   */
  answers: "ok" | "challenge" | "busy" | "forbidden" | "mute";
  transport?: "udp" | "tcp";
  /** Whom `challenge` lets in. */
  user?: string;
  password?: string;
}

export interface Sipp extends AsyncDisposable {
  readonly port: number;
  readonly child: Child;
  /** Requests that came: the messages as they were on the wire. */
  requests(): string[];
  /** It stands still with its port open (SIGSTOP), and goes on. */
  hang(): void;
  goOn(): void;
}

const answer = (line: string, ...more: string[]): string =>
  `<send><![CDATA[
SIP/2.0 ${line}
[last_Via:]
[last_From:]
[last_To:];tag=platform[call_number]
[last_Call-ID:]
[last_CSeq:]
${[...more, "Content-Length: 0"].join("\n")}

]]></send>`;
const hear = (action = ""): string =>
  `<recv request="MESSAGE|OPTIONS" regexp_match="true" crlf="true">${action}</recv>`;

function challenge(user: string, password: string): string {
  const verify = `<action><verifyauth assign_to="right" username="${user}" password="${password}"/></action>`;
  const digest = `WWW-Authenticate: Digest realm="3402000000", nonce="6fe9ba44a76be22a", algorithm=MD5, opaque="5ccc", qop="auth"`;
  return [
    hear(),
    answer("401 Unauthorized", digest),
    hear(verify),
    '<nop next="in" test="right"/>',
    answer("403 Forbidden"),
    '<nop next="out"/><label id="in"/>',
    answer("200 OK"),
    '<label id="out"/><Reference variables="right"/>',
  ].join("\n");
}

function scenario({ answers, user = "", password = "" }: SippOptions): string {
  const steps = {
    ok: () => hear() + answer("200 OK"),
    forbidden: () => hear() + answer("403 Forbidden"),
    busy: () => `${hear()}${answer("100 Trying")}<pause milliseconds="1000"/>${answer("200 OK")}`,
    mute: () => `${hear()}<pause milliseconds="60000"/>`,
    challenge: () => challenge(user, password),
  };
  return `<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="platform">\n${steps[answers]()}\n</scenario>\n`;
}

export async function startSipp(options: SippOptions): Promise<Sipp> {
  const folder = tempFolder("vigil-sipp");
  const file = join(folder.path, "platform.xml");
  const log = join(folder.path, "messages.log");
  writeFileSync(file, scenario(options));
  const tcp = options.transport === "tcp";
  const port = await freePort();
  const words = ["-sf", file, "-i", "127.0.0.1", "-p", String(port), "-t", tcp ? "t1" : "u1", "-nostdin"];
  const child = startChild(programPath("sipp"), [...words, "-trace_msg", "-message_file", log]);
  if (tcp) await accepting(port, child);
  else await bound(port, child);
  return {
    port,
    child,
    // What came is written before it is answered, the line after it only when the answer is out: that may be missing.
    requests: () => readFileSync(log, "utf8").match(/^(MESSAGE|OPTIONS) [\s\S]*?(?=^-{20,}|(?![\s\S]))/gm) ?? [],
    hang: () => void child.process.kill("SIGSTOP"),
    goOn: () => void child.process.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await child.kill9();
      folder[Symbol.dispose]();
    },
  };
}

/** Resolves when the UDP port of a child is taken. */
export async function bound(port: number, child: Child): Promise<void> {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  while (!readFileSync("/proc/net/udp", "utf8").includes(hex)) {
    if (child.process.exitCode !== null || child.process.signalCode !== null) throw new Error(child.output());
    await systemClock.sleep(20);
  }
}
