import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { baseline } from "../../../agent/baseline.ts";
import type { Judge, Judged, Keep, Verdict } from "../../../agent/checks/check.ts";
import type { FileConfig } from "../../../agent/checks/drift/config.ts";
import { drift } from "../../../agent/checks/drift/drift.ts";
import { Look } from "../../../agent/checks/drift/look.ts";
import { DriftStore } from "../../../agent/checks/drift/store.ts";
import { type Folder, folderAt } from "../../../platform/files.ts";
import { machineAt } from "../../../platform/machine.ts";
import { redactor } from "../../../platform/redact.ts";
import { Failure } from "../../../protocol/failure.ts";
import { CANARIES, canariesIn, SITE_WORDS } from "../../kit/canaries.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { run } from "../../kit/peers.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";

const SSHD = "Port 22\nPermitRootLogin no\nBanner none\npassword = Kanarie\n";
let folder: TempFolder;
let clock: HandClock;
let judge: Judge | undefined;
let files: unknown[];
let state: string;
beforeEach(() => {
  folder = tempFolder("vigil-drift");
  clock = new HandClock();
  state = join(folder.path, "state");
  mkdirSync(state);
  write("sshd_config", SSHD, 0o600);
  files = [{ path: at("sshd_config") }];
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  folder[Symbol.dispose]();
});

const at = (name: string): string => join(folder.path, name);
function write(name: string, text: string | Uint8Array, mode = 0o644): void {
  writeFileSync(at(name), text);
  chmodSync(at(name), mode);
}
const keepIn = (own: Folder): Keep => ({
  folder: own,
  slot: () => ({ read: () => undefined, write: () => {}, close: () => {} }),
});
function begin(more: Record<string, unknown> = {}, ports: Parameters<typeof checkPorts>[1] = {}): void {
  judge?.close?.();
  judge = drift.begin(
    drift.Config.parse({ files, ...more }),
    checkPorts(folder.path, { clock, redact: redactor(SITE_WORDS), ...ports }),
  );
}
async function round(): Promise<readonly Verdict[]> {
  clock.setWall(clock.wall() + 60_000);
  if (judge === undefined) begin();
  return (await judge?.judge(new AbortController().signal)) ?? [];
}
async function first(): Promise<Judged> {
  const [verdict] = await round();
  if (verdict?.state !== "judged") throw new Error(`not judged: ${JSON.stringify(verdict)}`);
  return verdict;
}
async function because(): Promise<string> {
  const [verdict] = await round();
  if (verdict?.state !== "unknown") throw new Error(`not unknown: ${JSON.stringify(verdict)}`);
  return verdict.because;
}
/** `vigil-agent baseline …` in this process. */
async function cli(
  words: string[],
  { by, json = false, lang = "en" }: { by?: string; json?: boolean; lang?: string } = {},
) {
  const config = at("agent.json");
  writeFileSync(
    config,
    JSON.stringify({
      ...{ device: "ft-1", brokers: [{ host: "h", port: 1 }], stateDir: state, secretWords: SITE_WORDS },
      checks: { drift: { files } },
    }),
  );
  let out = "";
  const code = await baseline({
    ...{ config, words, by, json, lang, machine: machineAt(), clock, become: () => () => {} },
    say: (text) => {
      out += text;
      return 0;
    },
  });
  return { code, out };
}
const approve = (...paths: string[]) => cli(["approve", ...paths], { by: "王工" });

describe("config", () => {
  test.each([
    ["no full path", { files: [{ path: "etc/x" }] }],
    ["a path twice", { files: [{ path: "/etc/x" }, { path: "/etc/x", name: "b" }] }],
    ["a mode that is none", { files: [{ path: "/etc/x", mode: "640" }] }],
    ["an unknown word", { files: [{ path: "/etc/x", secretKey: ["a"] }] }],
  ])("%s is refused with its path", (_, config) => {
    const read = drift.Config.safeParse(config);
    expect(read.success).toBe(false);
    expect(read.error?.issues[0]?.path[0] ?? "files").toBe("files");
  });

  test("nothing listed: not present", () => {
    files = [];
    begin();
    expect(judge).toBeUndefined();
  });
});

describe("before anybody has signed off", () => {
  test("a file is well as it was first seen, and says that nobody answers for it", async () => {
    expect(await first()).toMatchObject({
      ...{ subject: at("sshd_config"), grade: "ok", readings: { differs_count: 0, files_count: 1 } },
      says: expect.stringMatching(/^sshd_config: as first seen \d{4}-\d\d-\d\d \d\d:\d\d, not signed off$/),
    });
  });

  test("a change since then is told all the same, also after a restart", async () => {
    await round();
    begin();
    write("sshd_config", SSHD.replace("no", "yes"), 0o600);
    expect(await first()).toMatchObject({
      ...{ grade: "minor", reason: "changed" },
      says: expect.stringMatching(/^sshd_config: line 2 PermitRootLogin no → yes; as first seen .* not signed off$/),
    });
  });

  test("a missing sign-off is a warning where the config says so", async () => {
    begin({ unsigned: "warning" });
    expect(await first()).toMatchObject({ grade: "warning", reason: "unsigned" });
    await approve();
    expect(await first()).toMatchObject({ grade: "ok" });
  });

  test("a round by hand leaves nothing behind, and sees what the agent saw", async () => {
    const ports = checkPorts(folder.path, { clock });
    const byHand = () => {
      const { keep: _none, ...rest } = ports;
      judge?.close?.();
      judge = drift.begin(drift.Config.parse({ files }), rest);
    };
    byHand();
    await round();
    expect(existsSync(join(state, "checks"))).toBe(false);
    begin();
    await round();
    write("sshd_config", "Port 23\n", 0o600);
    byHand();
    expect(await first()).toMatchObject({ grade: "minor" });
  });
});

describe("against a signed-off baseline", () => {
  test("content and mode that change are an alarm that names line, old and new; the restored file clears it", async () => {
    await round();
    await approve();
    expect((await first()).says).toMatch(/^sshd_config: as signed off /);
    write("sshd_config", SSHD.replace("no", "yes"), 0o644);
    const changed = await first();
    expect(changed).toMatchObject({
      ...{ grade: "minor", holds: "minor", reason: "changed" },
      says: "sshd_config: line 2 PermitRootLogin no → yes, mode 0600 → 0644",
    });
    write("sshd_config", SSHD, 0o600);
    expect(await first()).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("the same answer as long as nothing changes", async () => {
    await approve();
    await round();
    const before = await round();
    expect(await round()).toBe(before);
    write("sshd_config", SSHD, 0o600); // as it was, by somebody
    expect((await round())[0]).toBe(before[0]);
  });

  test("content is read where a stat has changed and once a day, else only looked at", async () => {
    let reads = 0;
    const rotten = { bytes: Buffer.from(SSHD) };
    const look = new Look(drift.Config.parse({ files }).files[0] as FileConfig, {
      ...{ machine: machineAt(), clock, key: Buffer.alloc(32), redact: redactor([]) },
      read: async () => {
        reads += 1;
        return { got: "whole", bytes: rotten.bytes };
      },
    });
    const day = 86_400_000;
    const seen = await look.now(day);
    for (let i = 0; i < 5; i += 1) {
      await clock.wind(3_600_000);
      expect(await look.now(day)).toBe(seen);
    }
    expect(reads).toBe(1);
    utimesSync(at("sshd_config"), 1, 1); // touched
    expect(await look.now(day)).toBe(seen);
    expect(reads).toBe(2);
    rotten.bytes = Buffer.from(SSHD.replace("22", "23")); // flash forgets, and no stat tells
    expect(await look.now(day)).toBe(seen);
    await clock.wind(day);
    expect(await look.now(day)).not.toBe(seen);
    expect(reads).toBe(3);
  });

  test("approving while the agent runs is noticed at its next look", async () => {
    await round();
    write("sshd_config", `${SSHD}X11 no\n`, 0o600);
    expect(await first()).toMatchObject({ grade: "minor" });
    expect(await approve()).toMatchObject({ code: 0, out: expect.stringMatching(/^signed off 1\/1 {2}王工/) });
    expect(await first()).toMatchObject({ grade: "ok", says: expect.stringContaining("as signed off") });
  });

  test.skipIf(process.getuid?.() !== 0)("owner, loss, appearance, another kind: each is told by its name", async () => {
    mkdirSync(at("conf.d"));
    write("conf.d/a.conf", "a=1\n");
    write("gone.conf", "x");
    files = [
      { path: at("sshd_config"), severity: "major" },
      { path: at("gone.conf") },
      { path: at("later.conf"), name: "later" },
      { path: at("conf.d") },
      { path: at("link") },
    ];
    symlinkSync("sshd_config", at("link"));
    await approve();
    expect((await round()).every((one) => one.state === "judged" && one.grade === "ok")).toBe(true);
    chownSync(at("sshd_config"), 0, 1);
    expect((await first()).says).toContain("owner root:root → root:daemon");
    chownSync(at("sshd_config"), 1, 1);
    unlinkSync(at("gone.conf"));
    write("later.conf", "new");
    write("conf.d/b.conf", "b=2\n");
    write("conf.d/a.conf", "a=3\n");
    unlinkSync(at("link"));
    symlinkSync("later.conf", at("link"));
    const told = (await round()).map((one) => (one.state === "judged" ? [one.grade, one.reason, one.says] : one));
    expect(told).toEqual([
      ["major", "rights", "sshd_config: owner root:root → daemon:daemon"],
      ["minor", "missing", "gone.conf: is gone"],
      ["minor", "appeared", "later.conf: is new: a file of 3 bytes, mode 0644, root:root"],
      ["minor", "changed", "conf.d: a.conf line 1 a 1 → 3, b.conf is new: a file of 4 bytes, mode 0644, root:root"],
      ["minor", "changed", expect.stringMatching(/^link: line 1 "Port 22" → "new".*link sshd_config → later.conf/)],
    ]);
  });

  test.skipIf(process.getuid?.() !== 0)("what the config demands holds whatever was signed off", async () => {
    files = [{ path: at("sshd_config"), owner: "daemon:daemon", mode: "0640" }];
    await approve();
    expect(await first()).toMatchObject({
      ...{ grade: "minor", reason: "rights" },
      says: "sshd_config: mode 0600, must be 0640, owner root:root, must be daemon:daemon",
    });
    chownSync(at("sshd_config"), 1, 1);
    chmodSync(at("sshd_config"), 0o640);
    await approve();
    expect(await first()).toMatchObject({ grade: "ok" });
  });

  test("a long change is told short, and a new lot of lines as so many more", async () => {
    await approve();
    write("sshd_config", `${SSHD}${Array.from({ length: 200 }, (_, i) => `Setting${i} value-${i}\n`).join("")}`, 0o600);
    const { says = "" } = await first();
    expect(says.length).toBeLessThanOrEqual(300);
    expect(says).toMatch(/^sshd_config: line 5 added "Setting0 value-0".* and 19\d more$/);
  });
});

describe("secrets", () => {
  test("a changed one is told as changed, and stands nowhere", async () => {
    files = [{ path: at("sshd_config"), secretKeys: ["MagicNumber"] }];
    write("sshd_config", "password=KanarieOld1\nMagicNumber KanarieOld2\nx=1\n");
    await round();
    await approve();
    write("sshd_config", "password=KanarieNew1\nMagicNumber KanarieNew2\nx=1\n");
    expect((await first()).says).toBe(
      "sshd_config: line 1 password changed (not shown), line 2 MagicNumber changed (not shown)",
    );
    const shown = await cli(["diff"]);
    expect(shown.out).toContain("-    1  password=***");
    expect(shown.out + everything(state)).not.toContain("Kanarie");
  });

  test("no canary in a drifting file gets into what is told, shown or stored", async () => {
    const text = (extra: string): string => `${CANARIES.map((canary) => canary.text + extra).join("\n")}\n`;
    write("sshd_config", text(""));
    await round();
    await approve();
    write("sshd_config", text(" x"));
    await clock.wind(600_000);
    const told = JSON.stringify(await round());
    const shown =
      (await cli(["diff"])).out + (await cli(["show"])).out + (await cli(["history", at("sshd_config")])).out;
    expect(canariesIn(Buffer.from(told))).toEqual([]);
    expect(canariesIn(Buffer.from(shown))).toEqual([]);
    expect(canariesIn(Buffer.from(everything(state)))).toEqual([]);
    expect(canariesIn(readFileSync(at("sshd_config"))).length).toBe(CANARIES.length);
  });

  test("no plain digest is kept by which a secret could be found out by trying", async () => {
    const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");
    write("open.conf", "x=1\n");
    files = [{ path: at("sshd_config") }, { path: at("open.conf") }];
    await approve();
    expect(everything(state)).toContain(digestOf("x=1\n")); // to compare by hand
    expect(everything(state)).not.toContain(digestOf(SSHD)); // its password has few letters
  });

  test("of a file that is secret as a whole only that it changed", async () => {
    files = [{ path: at("sshd_config"), secret: true }];
    await approve();
    write("sshd_config", SSHD.replace("no", "yes"), 0o600);
    expect((await first()).says).toBe("sshd_config: content changed, size 58 bytes → 59 bytes");
    expect(everything(state)).not.toContain("PermitRoot");
  });

  test("a key named secret only after the sign-off is hidden in what was kept before", async () => {
    write("sshd_config", "Number 12345\nx=1\n");
    await approve();
    files = [{ path: at("sshd_config"), secretKeys: ["number"] }];
    write("sshd_config", "Number 54321\nx=2\n");
    expect((await first()).says).toBe("sshd_config: line 1 Number changed (not shown), line 2 x 1 → 2");
  });

  /** Every byte of our files, those that are packed unpacked. */
  function everything(path: string): string {
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => {
        const bytes = readFileSync(join(one.parentPath, one.name));
        return one.name.endsWith(".gz") ? gunzipSync(bytes).toString("utf8") : bytes.toString("utf8");
      })
      .join("\n");
  }
});

describe("hostile files", () => {
  test("one of 2 GB is not read: it differs by its size", async () => {
    await approve();
    truncateSync(at("sshd_config"), 2_000_000_000);
    expect(await first()).toMatchObject({
      reason: "changed",
      says: "sshd_config: size 58 bytes → 2.0 GB",
    });
  });

  test("a pipe in its place is not waited for, a device and a folder are not read", async () => {
    await approve();
    const replace = (make: (path: string) => void): Promise<Judged> => {
      rmSync(at("sshd_config"), { recursive: true });
      make(at("sshd_config"));
      return first();
    };
    expect(await replace((path) => run("mkfifo", [path]))).toMatchObject({
      ...{ reason: "replaced", grade: "minor" },
      says: expect.stringMatching(/^sshd_config: is now a fifo/),
    });
    expect((await replace((path) => symlinkSync("/dev/zero", path))).says).toMatch(/is now a device, is now a link to/);
    expect((await replace((path) => mkdirSync(path))).says).toMatch(/is now a folder/);
    expect((await replace((path) => symlinkSync("nowhere", path))).says).toMatch(/leads nowhere/);
    expect((await replace(() => write("sshd_config", SSHD, 0o600))).grade).toBe("ok");
  });

  test("a binary one, one that is no UTF-8 and one of a single endless line are told without their bytes", async () => {
    for (const bytes of [
      Buffer.from([1, 0, 2, 255]),
      Buffer.from([0xc3, 0x28, 10, 0xff]),
      Buffer.alloc(200_000, 0x61),
    ]) {
      await approve();
      write("sshd_config", bytes, 0o600);
      const { says = "", reason } = await first();
      expect(reason).toBe("changed");
      expect(says.length).toBeLessThanOrEqual(300);
      expect(says).not.toMatch(/\p{Cc}/u);
    }
  });

  test("one that is replaced again and again while it is read is unknown or judged, never a crash", async () => {
    await approve();
    begin();
    let going = true;
    const churn = (async () => {
      for (let i = 0; going; i += 1) {
        write(`new-${i % 2}`, `${SSHD}${i}\n`.repeat(500), 0o600);
        renameSync(at(`new-${i % 2}`), at("sshd_config"));
        await new Promise((next) => setImmediate(next));
      }
    })();
    try {
      for (let i = 0; i < 20; i += 1) {
        const [verdict] = await round();
        expect(verdict?.state === "unknown" ? verdict.because : verdict?.reason).toMatch(
          /changed|written to all the time/,
        );
      }
    } finally {
      going = false;
      await churn;
    }
  });

  test("a folder with too many files says so", async () => {
    mkdirSync(at("many"));
    for (let i = 0; i < 201; i += 1) writeFileSync(at(`many/${i}`), "");
    files = [{ path: at("many") }];
    expect(await because()).toMatch(/holds more than 200 files/);
  });

  test("two names that look alike without what must not be told are two files", async () => {
    mkdirSync(at("conf.d"));
    const names = SITE_WORDS.slice(0, 2).map((word) => `conf.d/${word}.conf`);
    for (const name of names) write(name, "x=1\n");
    files = [{ path: at("conf.d") }];
    await approve();
    expect(await first()).toMatchObject({ grade: "ok", readings: { files_count: 2 } });
    for (const name of names) {
      write(name, "x=2\n");
      expect(await first()).toMatchObject({ reason: "changed", readings: { differs_count: 1 } });
      write(name, "x=1\n");
    }
  });

  test("in a folder no name goes unseen, not even those that every object has", async () => {
    mkdirSync(at("cron.d"));
    write("cron.d/a", "a");
    files = [{ path: at("cron.d") }];
    await approve();
    expect(await first()).toMatchObject({ grade: "ok", readings: { files_count: 1 } });
    for (const name of ["__proto__", "constructor"]) {
      write(`cron.d/${name}`, "* * * * * root evil\n");
      expect(await first()).toMatchObject({ grade: "minor", reason: "appeared", says: expect.stringContaining(name) });
      await approve();
      begin(); // over a restart
      expect(await first()).toMatchObject({ grade: "ok" });
      write(`cron.d/${name}`, "* * * * * root worse\n");
      expect(await first()).toMatchObject({ reason: "changed", says: expect.stringMatching(/evil.*worse/) });
      unlinkSync(at(`cron.d/${name}`));
      expect(await first()).toMatchObject({ reason: "missing" });
      await approve();
    }
  });

  test("an unreadable one is unknown by its reason, and cannot be signed off; its rights are compared all the same", async () => {
    symlinkSync("loop", at("loop"));
    files = [{ path: at("loop") }];
    expect(await because()).toBe("cannot be read: its links lead in a circle");
    const refused = await approve();
    expect(refused).toMatchObject({ code: 1, out: expect.stringContaining("cannot be signed off") });
  });
});

describe("what is kept", () => {
  test("the last ten states of a file, each with its hash, and no more often than every ten minutes", async () => {
    for (let i = 0; i < 14; i += 1) {
      write("sshd_config", `Port ${i}\n`);
      await round();
      write("sshd_config", `Port ${i}\nshort-lived\n`);
      await round();
      await clock.wind(600_000);
    }
    const store = new DriftStore(folderAt(join(state, "checks")));
    const kept = await store.history(at("sshd_config"));
    expect(kept.length).toBe(10);
    expect(new Set(kept.map(({ seen }) => (seen.kind === "file" ? seen.sha256 : ""))).size).toBe(10);
    const shown = await cli(["history", at("sshd_config")]);
    expect(shown.out.trimEnd().split("\n").length).toBe(10);
    expect(shown.out).toMatch(/Port \d+ → \d+/);
  });

  test("room on flash is bounded whatever comes and goes", async () => {
    const own = folderAt(join(state, "checks"));
    const store = new DriftStore(own);
    const seen = { kind: "absent" } as const;
    for (let i = 0; i < 120; i += 1) {
      const lines = Array.from({ length: 400 }, (_, n) => `${Math.sin(i * 1_000 + n)} ${Math.cos(n * i)}`);
      await store.remember(`/etc/x/${i}`, { at: i, seen, lines });
    }
    const sizes = readdirSync(own.path).map((name) => statSync(join(own.path, name)).size);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(65_536);
    expect(sizes.length).toBeLessThanOrEqual(32);
    expect((await store.history("/etc/x/119")).length).toBe(1);
  });

  test("a power cut after any write leaves a check that works, and a sign-off that is whole or not there", async () => {
    const real = folderAt(join(state, "checks"));
    for (let most = 0; most < 8; most += 1) {
      let writes = 0;
      const cut: Folder = {
        ...real,
        replace: async (name, bytes) => {
          if (writes === most) {
            writeFileSync(join(real.path, `${name}.new`), bytes.subarray(0, 7)); // torn, and never put in place
            throw new Error("power cut");
          }
          writes += 1;
          await real.replace(name, bytes);
        },
      };
      mkdirSync(real.path, { recursive: true, mode: 0o700 });
      write("sshd_config", SSHD, 0o600);
      begin({}, { keep: keepIn(cut) });
      await round();
      const store = new DriftStore(cut);
      const entry = { at: 1, by: "x", seen: { kind: "absent" } as const, lines: {} };
      const signed = await store.save("signed", { [at("sshd_config")]: entry }).then(
        () => true,
        () => false,
      );
      begin(); // power again
      const verdict = await first();
      expect(verdict.grade, `after ${most} writes`).toBe(signed ? "minor" : "ok");
      rmSync(real.path, { recursive: true });
    }
  });

  test("a damaged baseline, and one whose key is lost, are unknown until somebody signs off again", async () => {
    await approve();
    await first();
    writeFileSync(join(state, "checks/drift-baseline.json"), '{"v":1,"key":"');
    expect(await because()).toMatch(/drift-baseline.json is damaged: sign off again/);
    await approve();
    expect((await first()).grade).toBe("ok");
    writeFileSync(join(state, "checks/drift-key"), Buffer.alloc(32, 1));
    begin();
    expect(await because()).toMatch(/made with another key/);
    await approve();
    expect((await first()).grade).toBe("ok");
  });

  test("only our user can read it", async () => {
    await round();
    await approve();
    for (const name of readdirSync(join(state, "checks")))
      expect(statSync(join(state, "checks", name)).mode & 0o777, name).toBe(0o600);
    expect(statSync(join(state, "checks")).mode & 0o777).toBe(0o700);
  });

  test("a state folder that cannot be written is no fault of the configs", async () => {
    const full: Folder = {
      ...folderAt(join(state, "checks")),
      replace: () => Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" })),
    };
    begin({}, { keep: keepIn(full) });
    expect((await first()).grade).toBe("ok");
    write("sshd_config", "Port 1\n", 0o600);
    expect((await first()).grade).toBe("minor");
  });
});

describe("the command", () => {
  test("shows state, signer and difference, in both languages and as JSON, and tells by its exit code", async () => {
    expect(await cli(["show"])).toMatchObject({ code: 1, out: expect.stringContaining("not signed") });
    await approve();
    const shown = await cli([], { lang: "zh" });
    expect(shown).toMatchObject({ code: 0, out: expect.stringMatching(/一致 +王工/) });
    write("sshd_config", SSHD.replace("no", "yes"), 0o600);
    const { code, out } = await cli(["show"], { json: true });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      files: [{ path: at("sshd_config"), state: "differs", by: "王工", says: expect.stringContaining("no → yes") }],
    });
    expect((await cli(["diff", at("sshd_config")])).out).toMatch(
      /- {4}2 {2}PermitRootLogin no\n\+ {4}2 {2}PermitRootLogin yes/,
    );
  });

  test("signs off single files, and leaves the others as they were", async () => {
    write("other", "a\n");
    files = [{ path: at("sshd_config") }, { path: at("other"), name: "other" }];
    await approve();
    write("sshd_config", "Port 1\n");
    write("other", "b\n");
    await approve("other");
    const { out } = await cli(["show"], { json: true });
    expect(JSON.parse(out).files.map((one: { state: string }) => one.state)).toEqual(["differs", "same"]);
  });

  test.each([
    ["nobody signs", ["approve"], {}, /--by NAME/],
    ["a name with control signs", ["approve"], { by: "a\u001bb" }, /--by NAME/],
    ["a file the config does not list", ["diff", "/etc/none"], {}, /does not list \/etc\/none/],
    ["no such word", ["dance"], {}, /approve, show, diff, history/],
    ["history of nothing", ["history"], {}, /one PATH/],
  ])("%s is refused", async (_, words, more, message) => {
    const failed = await cli(words, more).catch((cause: unknown) => cause);
    expect(failed).toBeInstanceOf(Failure);
    expect(failed).toMatchObject({ code: "ARGUMENT_INVALID", message: expect.stringMatching(message) });
  });
});
