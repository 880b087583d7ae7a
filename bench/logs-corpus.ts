import { closeSync, openSync, writeSync } from "node:fs";
import type { Pattern } from "../agent/checks/logs/catalogue.ts";

/** A log as a device writes it, one line in 200 a fault, and what is looked for in it: the corpus of the design. */

const ORDINARY: readonly ((n: number) => string)[] = [
  (n) => `systemd[1]: Started Session ${n} of user root.`,
  () => "vt_encoder[812]: INFO frame=128812 fps=25.00 drop=0 bitrate=4012kbps rtt=12ms",
  (n) => `kernel: [${n}.123456] usb 1-1: new high-speed USB device number 5 using xhci_hcd`,
  (n) => `vt_gateway[901]: INFO rtp ssrc=0x${n.toString(16)} jitter=1.2ms lost=0 reorder=0`,
  (n) => `sshd[4411]: Accepted publickey for admin from 10.0.${n}.7 port 51234 ssh2`,
  (n) => `chronyd[330]: System clock wrong by 0.${String(n).padStart(6, "0")} seconds`,
  (n) => `NetworkManager[411]: <info> [${n}.4123] dhcp4 (eth0): state changed new lease`,
  (n) => `vt_ui[700]: DEBUG paint ${n} ms layer=osd`,
  (n) => `mosquitto[512]: New client connected from 127.0.0.1:${n} as agent (p2, c1, k60)`,
  (n) => `cron[77]: (root) CMD (run-parts /etc/cron.hourly) #${n}`,
];
const FAULTS: readonly ((n: number) => string)[] = [
  (n) => `kernel: [${n}.1] Out of memory: Killed process 812 (vt_encoder)`,
  (n) => `kernel: EXT4-fs error (device mmcblk0p2): ext4_find_entry:${n}`,
  (n) => `kernel: mmc0: Timeout waiting for hardware interrupt ${n}`,
  (n) => `kernel: Under-voltage detected! (0x${String(n).padStart(8, "0")})`,
  (n) => `vt_encoder[812]: ERROR decoder timeout pipeline=${n}`,
  (n) => `vt_encoder[812]: FATAL v4l2 dqbuf failed errno=${n}`,
  (n) => `systemd[1]: vt_encoder.service: Main process exited, code=exited, status=${n}/FAILURE`,
  (n) => `kernel: vt_gateway[901]: segfault at ${n.toString(16)} ip 00007f`,
  (n) => `vt_gateway[901]: WARN stream ${n} stalled for 5.2s`,
  (n) => `sshd[4411]: Failed password for root from 10.9.${n}.1`,
];

/** Writes at least `bytes` of it to `path`; the same every time. */
export function writeCorpus(path: string, bytes: number): void {
  const random = generator(7);
  const pick = <T>(of: readonly T[]): T | undefined => of[Math.floor(random() * of.length)];
  const fd = openSync(path, "w");
  let written = 0;
  for (let line = 1; written < bytes; ) {
    let text = "";
    for (let i = 0; i < 1_000; i += 1, line += 1) {
      const [minute, second] = [Math.floor(line / 60) % 60, line % 60].map((part) => String(part).padStart(2, "0"));
      const say = pick(random() < 0.005 ? FAULTS : ORDINARY);
      text += `Nov 22 07:${minute}:${second} vt-0001 ${say?.(1 + Math.floor(random() * 199))}\n`;
    }
    written += writeSync(fd, text);
  }
  closeSync(fd);
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const SOUGHT: readonly (readonly [regex: string, ...literals: string[]])[] = [
  ["Out of memory: Killed process \\d+", "Killed process"],
  ["EXT4-fs error \\(device \\w+\\)", "EXT4-fs error"],
  ["mmc\\d+: Timeout waiting for hardware interrupt", "Timeout waiting for"],
  ["Under-voltage detected", "Under-voltage detected"],
  ["ERROR .*timeout", "ERROR "],
  ["FATAL .*errno=\\d+", "FATAL "],
  ["\\.service: Main process exited, code=\\w+, status=\\d+", "Main process exited"],
  ["segfault at [0-9a-f]+", "segfault at"],
  ["stream \\d+ stalled for \\d+", "stalled for"],
  ["Failed password for \\w+", "Failed password"],
  ["I/O error, dev \\w+", "I/O error, dev"],
  ["Kernel panic", "Kernel panic"],
  ["watchdog: BUG: soft lockup", "soft lockup"],
  ["blocked for more than \\d+ seconds", "blocked for more"],
  ["thermal throttling|temperature above threshold", "thermal throttling", "temperature above threshold"],
  ["No space left on device", "No space left"],
  ["Read-only file system", "Read-only file"],
  ["link is not ready|NIC Link is Down", "link is not ready", "NIC Link is Down"],
  ["certificate has expired", "certificate has expired"],
  ["Connection refused .*1883", "Connection refused"],
];

/** The 20 patterns of the design. */
export const DESIGN_PATTERNS = SOUGHT.map(
  ([regex, ...literals], i): Pattern => ({
    ...{ id: `p${i}`, title: { zh: "", en: "" }, severity: "minor", count: 1, windowMs: 1_000, quietMs: 1_000 },
    ...{ from: "any", literals, regex },
  }),
);
