import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CATALOGUE, type Pattern } from "../../../agent/checks/logs/catalogue.ts";
import { CATALOGUE_IDS } from "../../../agent/checks/logs/config.ts";
import { excerptOf } from "../../../agent/checks/logs/excerpt.ts";
import { LINE_BYTES, Matcher } from "../../../agent/checks/logs/matcher.ts";
import { needlesFor } from "../../../agent/checks/logs/needles.ts";

const matched = (line: string, isKernel?: boolean): string[] => {
  const ids: string[] = [];
  new Matcher(CATALOGUE).scan(Buffer.from(`${line}\n`), ({ id }) => ids.push(id), isKernel);
  return ids;
};

describe("the catalogue", () => {
  test.each([
    [
      "fs-error",
      "EXT4-fs error (device mmcblk0p2): ext4_find_entry:1455: inode #2: comm cat: reading directory lblock 0",
    ],
    ["fs-error", "XFS (sda1): Metadata corruption detected at xfs_agi_read_verify+0x5e, xfs_agi block 0x2"],
    ["fs-error", "BTRFS error (device sdb1): bad tree block start, want 30408704 have 0"],
    ["fs-error-fat", "FAT-fs (mmcblk1p1): error, fat_get_cluster: invalid cluster chain"],
    ["fs-error-f2fs", "F2FS-fs (mmcblk0p9): inconsistent node block, nid:3, node_footer[nid:0,ino:0]"],
    ["fs-readonly", "EXT4-fs (mmcblk0p2): Remounting filesystem read-only"],
    ["fs-readonly", "Aborting journal on device mmcblk0p2-8."],
    ["fs-unclean", "FAT-fs (sda1): Volume was not properly unmounted. Some data may be corrupt. Please run fsck."],
    ["io-error", "I/O error, dev sda, sector 7814037100 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0"],
    ["io-error", "blk_update_request: I/O error, dev mmcblk0, sector 2048"],
    ["io-error", "Buffer I/O error on dev nvme0n1p1, logical block 0, lost async page write"],
    ["mmc-error", "mmc0: Timeout waiting for hardware interrupt."],
    ["mmc-error", "mmc1: error -110 whilst initialising SD card"],
    ["mmc-error", "mmcblk0: error -110 transferring data, sector 3391, nr 1, cmd response 0x900, card status 0xc00"],
    ["nand-error", "ubi0 error: ubi_io_read: error -74 (ECC error) while reading 64 bytes from PEB 12:0"],
    ["memory-hardware", "mce: [Hardware Error]: Machine check events logged"],
    ["memory-hardware", "EDAC MC0: 1 CE memory read error on CPU_SrcID#0"],
    ["oom", "Out of memory: Killed process 812 (vt_encoder) total-vm:1203944kB, anon-rss:402312kB"],
    ["oom", "Memory cgroup out of memory: Killed process 99 (node) total-vm:12kB"],
    ["segfault", "vt_gateway[901]: segfault at 10 ip 00007f2c sp 00007ffd error 4 in libc.so.6"],
    ["segfault", "traps: app[7] general protection fault ip:7f sp:7f error:0 in libc.so.6"],
    ["kernel-fault", "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"],
    ["kernel-fault", "Unable to handle kernel NULL pointer dereference at virtual address 00000000"],
    ["lockup", "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [kworker/1:2:2212]"],
    ["lockup", "rcu: INFO: rcu_preempt self-detected stall on CPU"],
    ["hung-task", "INFO: task jbd2/mmcblk0p2-:211 blocked for more than 120 seconds."],
    ["watchdog", "NETDEV WATCHDOG: eth0 (stmmaceth): transmit queue 0 timed out"],
    ["usb-reset", "usb 1-1.2: reset high-speed USB device number 5 using xhci_hcd"],
    ["usb-disconnect", "usb 1-1.2: USB disconnect, device number 5"],
    ["usb-error", "usb 1-1: device descriptor read/64, error -71"],
    ["under-voltage", "hwmon hwmon1: Undervoltage detected!"],
    ["under-voltage", "Under-voltage detected! (0x00050005)"],
    ["thermal", "thermal thermal_zone0: critical temperature reached (105 C), shutting down"],
    ["link-flap", "rk_gmac-dwmac fe010000.ethernet eth0: Link is Down"],
  ])("%s: %s", (id, text) => {
    expect(matched(text, true)).toEqual([id]);
    expect(matched(`Nov 22 07:11:02 ft-0042 kernel: [ 12.3456] ${text}`)).toEqual([id]);
    expect(matched(text, false)).toEqual([]); // anybody can write such a line into a log
    expect(matched(`Nov 22 07:11:02 ft-0042 app[7]: ${text}`)).toEqual([]);
  });

  test.each([
    ["auth-failed", "sshd[4411]: Failed password for root from 10.9.0.1 port 51234 ssh2"],
    [
      "auth-failed",
      "su[99]: pam_unix(su:auth): authentication failure; logname= uid=1000 euid=0 tty=pts/0 ruser=a rhost=  user=root",
    ],
    ["auth-failed", "dropbear[12]: Bad password attempt for 'root' from 10.0.0.9:51234"],
    ["sudo-denied", "sudo: guest : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh"],
    ["unit-failed", "systemd[1]: vt-encoder.service: Failed with result 'exit-code'."],
    ["cert-expired", "mosquitto[512]: OpenSSL Error: certificate verify failed: certificate has expired"],
  ])("%s: %s", (id, text) => {
    expect(matched(text)).toEqual([id]);
  });

  test("an ordinary day says nothing", () => {
    const day = [
      "EXT4-fs (mmcblk0p2): mounted filesystem with ordered data mode. Opts: (null)",
      "usb 1-1: new high-speed USB device number 5 using xhci_hcd",
      "mmc0: new HS400 MMC card at address 0001",
      "mmcblk0: mmc0:0001 BJTD4R 29.1 GiB",
      "I/O error, dev fd0, sector 0 op 0x0:(READ)",
      "I/O error, dev sr0, sector 0 op 0x0:(READ)",
      "eth0: Link is Up - 1Gbps/Full - flow control rx/tx",
      "ata2: SATA link down (SStatus 0 SControl 300)",
      "usb 1-1: reset of something else",
      "systemd[1]: Started Session 4 of user root.",
      "sshd[4411]: Accepted publickey for admin from 10.0.3.7 port 51234 ssh2",
    ];
    for (const line of day) expect([line, ...matched(line, true)]).toEqual([line]);
  });

  test("ids, titles and limits are in order", () => {
    expect(CATALOGUE.map(({ id }) => id)).toEqual(CATALOGUE_IDS);
    expect(new Set(CATALOGUE_IDS).size).toBe(CATALOGUE.length);
    for (const { id, title, count, windowMs, quietMs } of CATALOGUE) {
      expect(id).toMatch(/^[a-z][a-z0-9-]{1,39}$/);
      expect(title.zh).toMatch(/\p{Script=Han}/u);
      expect(quietMs).toBeGreaterThanOrEqual(windowMs / 2);
      expect(count).toBeGreaterThan(0);
    }
  });
});

const pattern = (id: string, literals: readonly string[], regex?: string): Pattern => ({
  ...{
    id,
    literals,
    title: { zh: id, en: id },
    severity: "minor",
    count: 1,
    windowMs: 1_000,
    quietMs: 1_000,
    from: "any",
  },
  ...(regex === undefined ? {} : { regex }),
});

describe("the search", () => {
  test("for a few needles finds every literal", () => {
    const literal = fc.string({ unit: fc.constantFrom(..."abcKX /:é错误".split("")), minLength: 1, maxLength: 24 });
    fc.assert(
      fc.property(fc.array(literal, { maxLength: 30 }), (texts) => {
        const literals = texts.map((text) => Buffer.from(text).toString("latin1"));
        const needles = needlesFor(literals);
        const found = needles.flatMap(({ bytes, literals: owned }) => {
          for (const i of owned) expect(literals[i]).toContain(bytes);
          return owned;
        });
        expect(found.toSorted((a, b) => a - b)).toEqual([...literals.keys()]);
      }),
    );
    const all = CATALOGUE.flatMap(({ literals }) => literals);
    expect(needlesFor(all).length).toBeLessThan(all.length);
  });

  test("finds what looking at each line by each pattern finds, in the order of the lines", () => {
    const patterns = [
      ...CATALOGUE.map((one): Pattern => ({ ...one, from: "any" })),
      pattern("two-ways", ["alpha", "omega"]),
      pattern("chinese", ["解码失败"], "通道\\d+解码失败"),
      pattern("gap", ["ERROR "], "ERROR .*timeout$"),
    ];
    const matcher = new Matcher(patterns);
    const literals = patterns.flatMap((one) => one.literals);
    const word = fc.oneof(
      fc.constantFrom(...literals),
      fc.constantFrom(...literals).chain((text) => fc.nat(text.length).map((cut) => text.slice(cut))),
      fc.constantFrom("ERROR ", "timeout", "通道7", "mmc0: error -1", " ", ": ", "7", "\r", "x".repeat(LINE_BYTES - 3)),
      fc.string({ maxLength: 8 }),
    );
    const line = fc.array(word, { maxLength: 5 }).map((words) => words.join("").replaceAll("\n", " "));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), fc.boolean(), (lines, ends) => {
        const hits: [string, string][] = [];
        matcher.scan(Buffer.from(lines.join("\n") + (ends ? "\n" : "")), ({ id }, text) => hits.push([id, text]));
        const naive = lines.flatMap((whole) => {
          const text = Buffer.from(whole).toString("utf8", 0, LINE_BYTES);
          return patterns
            .filter((one) => one.literals.some((literal) => text.includes(literal)))
            .filter((one) => one.regex === undefined || new RegExp(one.regex, "s").test(text))
            .map(({ id }): [string, string] => [id, text]);
        });
        const inLine = (a: [string, string], b: [string, string]): number =>
          a[1] === b[1] ? a[0].localeCompare(b[0]) : 0;
        expect(hits.toSorted(inLine)).toEqual(naive.toSorted(inLine));
      }),
      { numRuns: 500 },
    );
  });

  test("takes bytes that are no text", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(Buffer.from("tick")))), (pieces) => {
        const bytes = Buffer.concat(pieces);
        const naive = bytes
          .toString("latin1")
          .split("\n")
          .filter((line) => line.includes("tick")).length;
        let hits = 0;
        new Matcher([pattern("tick", ["tick"])]).scan(bytes, () => (hits += 1));
        expect(hits).toBe(naive);
      }),
    );
  });
});

describe("an excerpt", () => {
  test("moves no terminal, hides nothing, and is short, whatever the line", () => {
    const piece = fc.oneof(
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.constantFrom(
        "\u001b[31m",
        "\u001b]0;title\u0007",
        "\u001b]8;;http://x\u001b\\",
        "\u009b2J",
        "\u202e",
        "\u200b",
        "\u0000",
        "\ud800",
        "\u001b(B",
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 80 }), (pieces) => {
        const text = excerptOf(pieces.join(""), (whole) => whole);
        expect(text.length).toBeLessThanOrEqual(200);
        expect(text.isWellFormed()).toBe(true);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there
        expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b]/);
      }),
    );
    expect(excerptOf("\u001b[1;31mdisk\u001b[0m \u001b]0;evil\u0007full", (text) => text)).toBe("disk full");
  });

  test("is redacted before it is cut, and after a secret was put together again", () => {
    const redact = (text: string) => text.replaceAll("s3cret", "***");
    expect(excerptOf(`${"x".repeat(196)}s3cret`, redact)).not.toContain("s3c");
    expect(excerptOf("s3\u001b[0mcret", redact)).toBe("***");
  });
});
