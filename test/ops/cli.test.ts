import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { runOps } from "../../ops/cli.ts";
import { ApiChange, ApiDevice, ApiTicketDetail } from "../../protocol/api.ts";
import { parseTokens } from "../../protocol/token.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { alarmRow, deviceRow, handReading, NOON, ticketEvent, ticketRow } from "../kit/hand-reading.ts";
import { httpDesk, TOKEN } from "../kit/http.ts";
import { freePort } from "../kit/ports.ts";
import { tempFolder } from "../kit/temp.ts";

const MAIN = fileURLToPath(new URL("../../ops/main.ts", import.meta.url));
const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

/** `vigil …` as a real process. */
function start(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env["PATH"], TZ: "Asia/Shanghai", LANG: "zh_CN.UTF-8", VIGIL_TOKEN: TOKEN, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  return child;
}
async function vigil(args: readonly string[], env: Record<string, string> = {}) {
  const child = start(args, env);
  const code = new Promise<number | null>((done) => child.once("close", done));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { out, err, code: await code };
}

/** The same command inside this process, where only words and exit code matter: quicker. */
async function words(args: readonly string[]) {
  const said = { out: "", err: "" };
  const code = await runOps({
    argv: args,
    env: { LANG: "zh_CN.UTF-8" },
    tty: false,
    out: (piece) => {
      said.out += piece;
    },
    err: (piece) => {
      said.err += piece;
    },
    clock: new HandClock(),
    random: (count) => new Uint8Array(count),
    stop: new AbortController().signal,
  });
  return { ...said, code };
}

function desk() {
  return httpDesk({
    reading: handReading({
      devices: [deviceRow({ id: "enc-1", presence: "silent" }), deviceRow()],
      alarms: [alarmRow(), alarmRow({ code: "cpu", subject: "cpu", active: false })],
      tickets: [ticketRow(), ticketRow({ no: "GZ-20261122-0002", state: "已解决" })],
      events: [ticketEvent(), ticketEvent({ id: 2, kind: "restored", data: {}, actor: "王工" })],
    }),
  });
}

test("lists are tables for people and JSON for programs", async () => {
  await using server = await desk();
  const env = { VIGIL_URL: server.url };
  const devices = await vigil(["devices"], env);
  expect(devices).toMatchObject({ code: 0, err: "" });
  expect(devices.out).toMatch(/^设备 {5}状态 {2}告警 {2}最近消息/);
  expect(devices.out).toMatch(/\nft-0042 {2}在线 {5}1 {2}/);
  const json = await vigil(["devices", "--json"], env);
  expect(
    ApiDevice.array()
      .parse(JSON.parse(json.out))
      .map((row) => row.id),
  ).toEqual(["enc-1", "ft-0042"]);
  const alarms = await vigil(["alarms", "--lang", "en", "--device", "ft-0042"], env);
  expect(alarms.out).toContain("L2     ft-0042  disk.var  disk almost full  /var     3.1 %");
  expect(alarms.out).not.toContain("cpu");
  expect((await vigil(["alarms", "--all"], env)).out).toContain("已消除");
  expect((await vigil(["tickets", "--open"], env)).out).not.toContain("0002");
  expect((await vigil(["tickets", "--state", "已解决"], env)).out).not.toContain("0001");
  expect((await vigil(["tickets", "--device", "nobody"], env)).out).toBe("（无）\n");
});

test("a ticket is shown with its timeline in local time; a device with its figures", async () => {
  await using server = await desk();
  const env = { VIGIL_URL: server.url };
  const ticket = await vigil(["ticket", "show", "GZ-20261122-0001"], env);
  expect(ticket.out).toContain("2026-11-22 18:00:23 +08:00 工单新建：二级，disk.var 磁盘空间不足（重要）\n");
  expect(ticket.out).toContain("服务已恢复，进入观察 — 王工\n");
  const json = await vigil(["ticket", "show", "GZ-20261122-0001", "--json"], env);
  expect(ApiTicketDetail.parse(JSON.parse(json.out)).timeline).toHaveLength(2);
  expect((await vigil(["device", "ft-0042"], env)).out).toMatch(/资产信息[\s\S]*活动告警[\s\S]*disk\.var/);
});

test("watch prints one line per change and ends cleanly on Ctrl-C", async () => {
  await using server = await desk();
  const child = start(["watch", "--url", server.url]);
  const closed = new Promise<number | null>((done) => child.once("close", done));
  const notes = createInterface(child.stderr)[Symbol.asyncIterator]();
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  expect((await notes.next()).value).toContain(`正在守望 ${server.url}`);
  server.changes.tell({ kind: "alarm", at: NOON, row: alarmRow() });
  server.changes.tell({ kind: "ticket", at: NOON, row: ticketRow(), event: ticketEvent() });
  expect((await lines.next()).value).toBe("18:03:22 ● 二级 ft-0042 disk.var 磁盘空间不足 /var 3.1 %");
  expect((await lines.next()).value).toMatch(/^18:03:22 ▶ 二级 .* → 工单 GZ-20261122-0001 新建$/);
  child.kill("SIGINT");
  expect(await closed).toBe(0);
});

test("watch --json is a change per line and survives a restart of the aggregator with a note", async () => {
  const port = await freePort();
  const first = await httpDesk({ port });
  const child = start(["watch", "--json", "--lang", "en", "--url", first.url]);
  const notes = createInterface(child.stderr)[Symbol.asyncIterator]();
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  await notes.next();
  first.changes.tell({ kind: "alarm", at: NOON, row: alarmRow() });
  expect(ApiChange.parse(JSON.parse((await lines.next()).value as string))).toMatchObject({ change: "raised" });
  await first.server.close();
  expect((await notes.next()).value).toContain("connection lost");
  await using second = await httpDesk({ port });
  expect((await notes.next()).value).toContain("connected again");
  second.changes.tell({ kind: "device", at: NOON, row: deviceRow() });
  expect(JSON.parse((await lines.next()).value as string)).toMatchObject({ kind: "device", device: { id: "ft-0042" } });
});

test("watch ends cleanly when nobody reads its output any more", async () => {
  await using server = await desk();
  const child = start(["watch", "--url", server.url]);
  const closed = new Promise<number | null>((done) => child.once("close", done));
  await createInterface(child.stderr)[Symbol.asyncIterator]().next();
  child.stdout.destroy();
  const feed = async () => {
    server.changes.tell({ kind: "alarm", at: NOON, row: alarmRow() });
    return child.exitCode;
  };
  await expect.poll(feed, { timeout: 10_000 }).toBe(0);
  expect(await closed).toBe(0);
});

test.each([
  [["tickets", "--state", "x"], "Allowed choices are 新建"],
  [["device", "No Such"], "1–40 of a–z 0–9 -"],
  [["ticket", "show", "17"], "GZ-20261122-0001"],
  [["devices", "--url", "ftp://x"], "http://host:port"],
  [["devices", "--urll", "x"], "unknown option '--urll'"],
  [["bogus"], "unknown command 'bogus'"],
  [["token", "new", "Bad Name"], "1–40 of a–z"],
])("%j is a usage error in one line: exit 2", async (args, says) => {
  const { out, err, code } = await words(args);
  expect([out, code]).toEqual(["", 2]);
  expect(err).toMatch(/^vigil: ARGUMENT_INVALID: .*用 --help 查看本命令的用法。\n$/);
  expect(err).toContain(says);
});

test("each way the aggregator can fail us has its exit code and its remedy", async () => {
  await using server = await desk();
  const env = { VIGIL_URL: server.url, LANG: "en_GB.UTF-8" };
  const wrong = await vigil(["devices"], { ...env, VIGIL_TOKEN: "wrong" });
  expect(wrong).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringMatching(/^vigil: API_UNAUTHORIZED: .*\. Send .*\n$/),
  });
  const missing = await vigil(["ticket", "show", "GZ-20261122-0009"], env);
  expect(missing).toMatchObject({ code: 1, err: expect.stringContaining("no ticket GZ-20261122-0009") });
  const nobody = await vigil(["devices", "--url", `http://127.0.0.1:${await freePort()}`, "--lang", "en"]);
  expect(nobody.code).toBe(3);
  expect(nobody.err).toMatch(
    /^vigil: API_UNREACHABLE: http:\S+ does not answer as a Vigil aggregator: ECONNREFUSED\. .*check the URL.*\n$/,
  );
});

test("something else that answers at the address is told as such, not waited for", async () => {
  const server = createServer((request, response) => {
    const after = new URL(request.url ?? "", "http://here").searchParams.get("after");
    if (request.url?.startsWith("/api/v1/watch"))
      return response.setHeader("content-type", "text/html").end("<p>hello");
    return response.end(JSON.stringify({ items: [], next: after === "a" ? "b" : "a" })); // pages in a circle
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const command of ["devices", "watch"]) {
    const { code, err } = await words([command, "--url", url]);
    expect(code, command).toBe(3);
    expect(err, command).toContain("API_UNREACHABLE");
  }
  server.close();
  server.closeAllConnections();
});

test("a token comes from the file named before the environment; a file others may read is remarked on", async () => {
  await using server = await desk();
  using folder = tempFolder();
  const file = join(folder.path, "token");
  writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
  const env = { VIGIL_URL: server.url, VIGIL_TOKEN: "" };
  expect(await vigil(["devices", "--token-file", file], { ...env, VIGIL_TOKEN: "wrong" })).toMatchObject({
    code: 0,
    err: "",
  });
  expect(await vigil(["devices"], { ...env, VIGIL_TOKEN_FILE: file })).toMatchObject({ code: 0, err: "" });
  const loose = join(folder.path, "loose");
  writeFileSync(loose, TOKEN, { mode: 0o644 });
  expect(await vigil(["devices", "--token-file", loose], env)).toMatchObject({
    code: 0,
    err: expect.stringContaining("chmod 600"),
  });
  const none = await vigil(["devices", "--token-file", join(folder.path, "none")], env);
  expect(none).toMatchObject({ code: 1, err: expect.stringContaining("CONFIG_UNREADABLE") });
});

test("token new prints a token once and the line the aggregator needs, which holds only its hash", async () => {
  const { out, err, code } = await vigil(["token", "new", "desk"]);
  const [token = "", line = ""] = out.split("\n");
  expect([code, token]).toEqual([0, expect.stringMatching(/^vgl_[\w-]{43}$/)]);
  expect(parseTokens(line)).toMatchObject([{ name: "desk" }]);
  expect(line).not.toContain(token);
  expect(err).toContain("0600");
  await using server = await desk();
  expect((await vigil(["devices", "--url", server.url], { VIGIL_TOKEN: token })).code).toBe(1);
});

test("help is there for every command, in both languages", async () => {
  for (const args of [
    [],
    ["devices"],
    ["device"],
    ["alarms"],
    ["tickets"],
    ["ticket", "show"],
    ["watch"],
    ["token", "new"],
  ]) {
    const { out, code } = await words([...args, "--help"]);
    expect(code).toBe(0);
    expect(out).toMatch(/\p{Script=Han}/u);
    expect(out).toMatch(/Usage: vigil/);
  }
  expect(await words([])).toMatchObject({ code: 2, out: "" });
  expect((await vigil(["bogus"])).code).toBe(2);
});

test("nothing a device says reaches the terminal as a command", async () => {
  const evil = "\u001b]0;owned\u0007\u001b[2J\u009b31m\u202eok";
  const row = alarmRow({ subject: evil, titleZh: evil, unit: evil });
  const reading = handReading({ alarms: [row], devices: [deviceRow({ agent: evil })] });
  await using server = await httpDesk({ reading });
  const env = { VIGIL_URL: server.url };
  for (const args of [["alarms"], ["alarms", "--json"], ["devices"], ["device", "ft-0042"]]) {
    const { out, code } = await vigil(args, env);
    expect(code).toBe(0);
    expect(out.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202e]/u);
    expect(out).toContain("ok");
  }
});
