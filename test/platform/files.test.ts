import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { folderAt } from "../../platform/files.ts";
import { tempFolder } from "../kit/temp.ts";

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test("a folder is made when first written to, 0700, its files 0600", async () => {
  using temp = tempFolder();
  const path = join(temp.path, "deep", "state");
  const folder = folderAt(path);
  expect(await folder.read("journal", 100)).toBeUndefined();
  expect(existsSync(path)).toBe(false);
  await using file = await folder.open("journal");
  expect([mode(path), mode(join(path, "journal")), await file.size()]).toEqual(["700", "600", 0]);
});

test("a file is made larger with real zeros, written in place, and made smaller", async () => {
  using temp = tempFolder();
  const folder = folderAt(temp.path);
  await using file = await folder.open("journal");
  await file.resize(200_000);
  expect(statSync(join(temp.path, "journal")).blocks * 512).toBeGreaterThanOrEqual(200_000); // no hole: room is taken
  await file.write(150_000, Buffer.from("here"));
  await file.sync();
  const bytes = await folder.read("journal", 1_000_000);
  expect(bytes?.length).toBe(200_000);
  expect(bytes?.subarray(150_000, 150_004).toString()).toBe("here");
  expect(bytes?.every((byte, at) => byte === 0 || (at >= 150_000 && at < 150_004))).toBe(true);
  await file.resize(10);
  expect((await folder.read("journal", 1_000_000))?.length).toBe(10);
  expect((await folder.read("journal", 4))?.length).toBe(4);
});

test("opening again keeps what is there", async () => {
  using temp = tempFolder();
  writeFileSync(join(temp.path, "journal"), "kept");
  await using file = await folderAt(temp.path).open("journal");
  expect(await file.size()).toBe(4);
});

test("a file is replaced as a whole", async () => {
  using temp = tempFolder();
  const folder = folderAt(temp.path);
  await folder.replace("token", Buffer.from("a long first text"));
  await folder.replace("token", Buffer.from("short"));
  expect(readFileSync(join(temp.path, "token"), "utf8")).toBe("short");
  expect(mode(join(temp.path, "token"))).toBe("600");
  expect(existsSync(join(temp.path, "token.new"))).toBe(false);
});

test("what is no file, and what may not be made, is the system's error", async () => {
  using temp = tempFolder();
  mkdirSync(join(temp.path, "journal"));
  const folder = folderAt(temp.path);
  await expect(folder.read("journal", 10)).rejects.toMatchObject({ code: "EISDIR" });
  await expect(folder.open("journal")).rejects.toMatchObject({ code: "EISDIR" });
  writeFileSync(join(temp.path, "file"), "");
  await expect(folderAt(join(temp.path, "file", "state")).open("journal")).rejects.toMatchObject({ code: "ENOTDIR" });
});

test("a folder is claimed by one living process; a dead one, or one that got a dead one's number, does not hold it", async () => {
  using temp = tempFolder();
  const folder = folderAt(temp.path);
  const lock = join(temp.path, "lock");
  expect(await folder.claim()).toBeUndefined();
  expect(await folder.claim()).toBeUndefined(); // our own
  const own = readFileSync(lock, "utf8");
  expect(own).toMatch(new RegExp(`^${process.pid} \\d+ [0-9a-f-]{36} *$`));
  const parent = readFileSync(`/proc/${process.ppid}/stat`, "utf8");
  const started = parent.slice(parent.lastIndexOf(")") + 2).split(" ")[19];
  const boot = own.trim().split(" ")[2];
  writeFileSync(lock, `${process.ppid} ${started} ${boot}`);
  expect(await folder.claim()).toBe(process.ppid);
  writeFileSync(lock, `${process.ppid} ${Number(started) - 1} ${boot}`);
  expect(await folder.claim()).toBeUndefined();
  for (const noise of [
    "",
    "rubbish that is longer than what we write ourselves, and then some more of it, eighty and over",
    "99999999 1 x",
  ]) {
    writeFileSync(lock, noise);
    expect(await folder.claim()).toBeUndefined();
  }
  chmodSync(lock, 0o600);
});
