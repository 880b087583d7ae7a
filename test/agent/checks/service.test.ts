import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { checkConfigs } from "../../../agent/checks/all.ts";
import { Latch } from "../../../agent/checks/check.ts";
import type { ServiceConfig } from "../../../agent/checks/service/config.ts";
import { judgeTarget } from "../../../agent/checks/service/judge.ts";
import { services } from "../../../agent/checks/service/service.ts";
import { systemClock } from "../../../platform/clock.ts";
import { parseConfig } from "../../../platform/config-file.ts";
import { Failure } from "../../../protocol/failure.ts";
import { CheckRig } from "../../kit/check-rig.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { oddCa } from "../../kit/odd-certs.ts";
import { needs } from "../../kit/peers.ts";
import { freePort } from "../../kit/ports.ts";
import { type Answer, httpServer, httpsServer, type Listening, rawServer } from "../../kit/servers.ts";
import { tempFolder } from "../../kit/temp.ts";

const web = (server: { port: number }, more: Record<string, unknown> = {}) => ({
  name: "web",
  type: "http",
  url: `http://127.0.0.1:${server.port}/health`,
  ...more,
});
const tcp = (server: { port: number }, more: Record<string, unknown> = {}) => ({
  name: "relay",
  type: "tcp",
  host: "127.0.0.1",
  port: server.port,
  ...more,
});
const ok: Answer = (_, response) => response.end("all is well");

let rig: CheckRig<ServiceConfig> | undefined;
afterEach(() => {
  rig?.[Symbol.dispose]();
  rig = undefined;
});
function watch(
  targets: unknown[],
  more: Record<string, unknown> = {},
  clock = new HandClock(),
): CheckRig<ServiceConfig> {
  rig = new CheckRig(services, { targets, ...more }, {}, clock);
  return rig;
}

describe("a service that answers", () => {
  test("is well, with its figures", async () => {
    await using server = await httpServer(ok);
    const check = watch([web(server)]);
    await check.round();
    expect(check.judged("web")).toMatchObject({
      grade: "ok",
      holds: "ok",
      readings: { status_code: 200, latency_ms: 0, body_bytes: 11 },
    });
    expect(check.judged("web").says).toBe("answers with status 200 after 0 ms");
  });

  test("is asked at its own pace, and between says the very same", async () => {
    await using server = await httpServer(ok);
    const check = watch([web(server, { everyMs: 60_000 }), tcp(server, { everyMs: 30_000 })]);
    await check.round();
    const first = check.verdicts;
    expect(check.now()).toBe(first);
    await check.round(20_000);
    expect(check.now()).toBe(first);
    expect(server.accepted()).toBe(2);
    await check.round(10_000);
    expect(server.accepted()).toBe(3);
    expect(check.verdicts).not.toBe(first);
    await check.round(30_000);
    expect(server.accepted()).toBe(5);
  });

  test("with a wrong status, the wrong words or none is an alarm of that reason", async () => {
    let status = 500;
    let body = "";
    await using server = await httpServer((_, response) => response.writeHead(status).end(body));
    const check = watch([
      web(server, { severity: "critical", bodyMatch: { contains: "all is well" } }),
      web(server, {
        name: "any",
        everyMs: 5_000,
        expectStatus: [404, "500-503"],
        bodyMatch: { contains: "Exception", absent: true },
      }),
    ]);
    await check.round();
    expect(check.judged("web")).toMatchObject({ grade: "critical", reason: "status", value: 500 });
    expect(check.judged("any").grade).toBe("ok");
    status = 503;
    body = "java.lang.NullPointerException";
    await check.round();
    expect(check.judged("any")).toMatchObject({ grade: "major", reason: "body" });
    status = 204;
    await check.round();
    expect(check.judged("web")).toMatchObject({ grade: "critical", reason: "body" });
    expect(check.judged("any")).toMatchObject({
      reason: "status",
      says: expect.stringContaining("expected 404, 500-503"),
    });
    status = 200;
    body = "<b>all is well</b>";
    await check.round();
    expect(check.judged("web").grade).toBe("ok");
  });

  test("must fit an expression where one is given", async () => {
    let body = "";
    await using server = await httpServer((_, response) => response.end(body));
    const bodyMatch = { contains: '"streams":', regex: '"streams": {0,4}[1-9]\\d*' };
    const check = watch([web(server, { everyMs: 5_000, bodyMatch })]);
    body = '{\n"x": 1,\n"streams": 12\n}';
    await check.round();
    expect(check.judged("web")).toMatchObject({ grade: "ok" });
    body = '{\n"x": 1,\n"streams": 0\n}';
    await check.round();
    expect(check.judged("web")).toMatchObject({ grade: "major", reason: "body" });
  });

  test("in GBK is read in GBK", async () => {
    await using server = await httpServer((_, response) => {
      response.writeHead(200, { "content-type": "text/html; charset=GBK" });
      response.end(Buffer.from("d4cbd0d0d5fdb3a3", "hex")); // 运行正常
    });
    const check = watch([web(server, { bodyMatch: { contains: "运行正常" } })]);
    await check.round();
    expect(check.judged("web")).toMatchObject({ grade: "ok", reason: "status" });
  });

  test("too slowly is an alarm that holds until it is clearly faster", async () => {
    const clock = new HandClock();
    let tookMs = 3_100;
    await using server = await httpServer(async (_, response) => {
      await clock.wind(tookMs);
      response.end("late");
    });
    const check = watch([web(server, { latencyMs: { minor: { raise: 3_000, clear: 2_000 } } })], {}, clock);
    await check.round();
    expect(check.judged("web")).toMatchObject({ grade: "minor", reason: "slow", value: 3_100, unit: "ms" });
    tookMs = 2_500;
    await check.round();
    expect(check.judged("web")).toMatchObject({ grade: "ok", holds: "minor" });
    tookMs = 100;
    await check.round();
    expect(check.judged("web")).toMatchObject({ grade: "ok", holds: "ok" });
  });
});

describe("a service that does not answer", () => {
  test("is down, and one that comes and goes is one alarm", async () => {
    await using server = await httpServer(ok);
    const check = watch([web(server)], { holdOnMs: 20_000, holdOffMs: 60_000 });
    await check.rounds(2);
    await server.shut();
    await check.round(60_000);
    expect(check.judged("web")).toMatchObject({ grade: "major", reason: "down" });
    expect(check.judged("web").says).toContain("nothing listens there");
    expect(check.told).toEqual([]); // once is no fault yet
    await check.rounds(2);
    expect(check.told).toEqual(["raised service.web major down"]);
    for (let i = 0; i < 5; i += 1) {
      await server.reopen();
      await check.rounds(2);
      await server.shut();
      await check.rounds(2);
    }
    expect(check.told).toEqual(["raised service.web major down"]);
    await server.reopen();
    await check.rounds(20);
    expect(check.told).toEqual(["raised service.web major down", "cleared service.web major down"]);
  });

  test("is not confused with a try that could not be made", async () => {
    await using server = await httpServer(ok);
    const check = watch([web(server, { tokenFile: "/nowhere/token" })]);
    await check.round();
    expect(check.of("web")).toMatchObject({ state: "unknown", because: expect.stringContaining("/nowhere/token") });
    expect(server.accepted()).toBe(0);
  });

  test("keeps nobody else waiting, and two of them no more than one: at most two at once", async () => {
    await using dead = await rawServer(() => {});
    await using well = await httpServer(ok);
    const names = ["dead1", "dead2", "dead3"];
    const check = watch([
      tcp(dead, { name: "dead0", banner: { expect: "hello" } }),
      ...[1, 2, 3, 4].map((i) => web(well, { name: `web${i}` })),
      ...names.map((name) => tcp(dead, { name, banner: { expect: "hello" } })),
    ]);
    const asking = check.ask();
    await Promise.all([dead.whenAccepted(2), well.whenAccepted(4)]);
    expect(dead.accepted()).toBe(2);
    await check.clock.wind(5_000);
    await dead.whenAccepted(4);
    await check.clock.wind(5_000);
    await asking;
    const grades = check.verdicts.map((one) => one.state === "judged" && one.grade);
    expect(grades).toEqual(["major", "ok", "ok", "ok", "ok", "major", "major", "major"]);
    expect(check.judged("dead0").says).toContain("while it owed its banner");
  });

  test("ends with the agent", async () => {
    const hungUp = Promise.withResolvers<void>();
    await using dead = await rawServer((socket) => socket.once("close", () => hungUp.resolve()));
    const check = watch([tcp(dead, { banner: { expect: "x" } })]);
    void check.ask().catch(() => {});
    await dead.whenAccepted(1);
    check.restart();
    await hungUp.promise;
  });
});

describe("a plain TCP service", () => {
  test("must say what is expected, by itself or when it is greeted", async () => {
    await using ssh = await rawServer((socket) => socket.write("SSH-2.0-dropbear\r\n"));
    await using rtsp = await rawServer((socket) =>
      socket.once("data", (asked) =>
        socket.end(`RTSP/1.0 200 OK\r\nCSeq: ${/CSeq: (\d+)/.exec(String(asked))?.[1]}\r\n\r\n`),
      ),
    );
    await using wrong = await rawServer((socket) => socket.end("554 no"));
    const send = "OPTIONS rtsp://127.0.0.1/ RTSP/1.0\r\nCSeq: 7\r\n\r\n";
    const check = watch([
      tcp(ssh, { name: "ssh", banner: { expect: "SSH-2.0" } }),
      tcp(rtsp, { name: "rtsp", banner: { send, expect: "CSeq: 7" } }),
      tcp(wrong, { name: "wrong", banner: { expect: "220 " } }),
    ]);
    await check.round();
    expect(check.judged("ssh")).toMatchObject({ grade: "ok", readings: { latency_ms: 0 } });
    expect(check.judged("rtsp").grade).toBe("ok");
    expect(check.judged("wrong")).toMatchObject({ grade: "major", reason: "body" });
  });

  test("that talks without end is cut at 4 KiB", async () => {
    await using chatty = await rawServer((socket) => {
      const more = (): void => {
        while (!socket.destroyed && socket.write("blah ".repeat(1_000)));
      };
      socket.on("drain", more);
      more();
    });
    const check = watch([tcp(chatty, { banner: { expect: "hello" } })]);
    await check.round();
    expect(check.judged("relay")).toMatchObject({ grade: "major", reason: "body" });
  });
});

describe.skipIf(needs("openssl", "openssl"))("a certificate", () => {
  test("that ends soon is a warning, one that has ended an alarm, and while our clock is not set neither", async () => {
    using folder = tempFolder();
    const clock = new HandClock(systemClock.wall());
    const ca = oddCa(folder.path, clock.wall());
    await using soon = await httpsServer(ca.make("soon", { toDays: 20.5 }), ok);
    await using past = await httpsServer(ca.make("past", { fromDays: -30, toDays: -2.5 }), ok);
    const https = (name: string, { port }: Listening) => ({
      ...{ name, type: "http", url: `https://127.0.0.1:${port}/`, caFile: ca.root },
    });
    const check = watch([https("soon", soon), https("past", past)], {}, clock);
    await check.round();
    expect(check.judged("soon")).toMatchObject({ grade: "warning", reason: "certificate", value: 20, unit: "days" });
    expect(check.judged("past")).toMatchObject({ grade: "major", reason: "certificate" });
    expect(check.judged("past").says).toContain("CERT_HAS_EXPIRED, it ended 2 days ago");
    clock.setWall(0);
    await check.round();
    expect(check.judged("soon").grade).toBe("ok");
    expect(check.of("past")).toMatchObject({ state: "unknown", because: expect.stringContaining("clock is not set") });
  });
});

describe("secrets", () => {
  test("reach the service, and nothing that is told", async () => {
    using folder = tempFolder();
    const file = (name: string, text: string, mode = 0o600): string => {
      const path = join(folder.path, name);
      writeFileSync(path, text, { mode });
      return path;
    };
    const heard: (string | undefined)[] = [];
    await using server = await httpServer((request, response) => {
      heard.push(request.headers.authorization ?? String(request.headers["x-api-key"]));
      response.writeHead(heard.length === 3 ? 401 : 200).end();
    });
    const tokenFile = file("token", "s3cret-canary\n");
    const check = watch([
      web(server, { name: "bearer", tokenFile }),
      web(server, { name: "key", tokenFile, tokenHeader: "X-Api-Key" }),
      web(server, { name: "basic", user: "monitor", passwordFile: file("password", "s3cret-canary") }),
      web(server, { name: "open", tokenFile: file("open", "s3cret-canary", 0o644) }),
      web(server, { name: "many", tokenFile: file("many", "s3cret-canary\r\nX: y") }),
    ]);
    await check.round();
    expect(heard.toSorted()).toEqual(["Basic bW9uaXRvcjpzM2NyZXQtY2FuYXJ5", "Bearer s3cret-canary", "s3cret-canary"]);
    expect(check.of("open")).toMatchObject({ state: "unknown", because: expect.stringContaining("0600") });
    expect(check.of("many")).toMatchObject({
      state: "unknown",
      because: expect.stringContaining("more than one line"),
    });
    expect(check.words.join()).not.toContain("canary");
    expect(check.words.join()).not.toContain("bW9uaXRvcj");
  });
});

describe("its config", () => {
  test("without targets is no check", () => {
    expect(watch([]).present).toBe(false);
  });
  const wrong: [string, Record<string, unknown>, RegExp][] = [
    ["a password in the address", { url: "http://me:pw@host/" }, /targets.*url/],
    ["another scheme", { url: "file:///etc/passwd" }, /targets.*url/],
    ["a secret among the headers", { headers: { Authorization: "Bearer x" } }, /targets.*headers/],
    ["a header that breaks the line", { headers: { a: "b\r\nc: d" } }, /targets.*headers/],
    ["a range that runs backwards", { expectStatus: ["299-200"] }, /targets.*expectStatus/],
    ["a typo", { expectedStatus: [200] }, /targets.*expectedStatus/],
    ["a quadratic expression", { bodyMatch: { contains: "ab", regex: ".*a.*ab" } }, /targets.*regex.*quadratic/s],
    ["an expression without its words", { bodyMatch: { contains: "ab", regex: "a|b" } }, /targets.*regex.*without/s],
  ];
  test.each(wrong)("is refused for %s, by its path", (_, more, path) => {
    const target = web({ port: 80 }, more);
    const parse = () => parseConfig(JSON.stringify({ service: { targets: [target] } }), checkConfigs, "agent.json");
    expect(parse).toThrow(path);
  });
  const told = (host: string, code: "DIAL_TIMEOUT" | "DIAL_UNREACHABLE" | "DIAL_NAME" | "DIAL_REFUSED", phase = "") => {
    const target = services.Config.parse({ targets: [tcp({ port: 9 }, { host })] }).targets[0];
    if (target === undefined) throw new Error("no target");
    const failure = new Failure(code, "x", { facts: { phase } });
    const verdict = judgeTarget(target, { got: "failure", failure }, Date.UTC(2026, 10, 22), new Latch());
    return verdict.state === "judged" ? verdict.reason : verdict.because;
  };
  test("tells a host nobody reaches from a service that is down: the way there may be at fault", () => {
    expect(told("192.0.2.77", "DIAL_TIMEOUT", "was being connected to")).toBe("unreachable");
    expect(told("192.0.2.77", "DIAL_UNREACHABLE")).toBe("unreachable");
    expect(told("relay.county.example", "DIAL_NAME")).toBe("unreachable");
    expect(told("192.0.2.77", "DIAL_TIMEOUT", "owed its banner")).toBe("down");
    expect(told("192.0.2.77", "DIAL_REFUSED")).toBe("down");
    expect(told("127.0.0.1", "DIAL_TIMEOUT", "was being connected to")).toBe("down");
  });
  test("knows a free port from a service", async () => {
    const check = watch([tcp({ port: await freePort() })]);
    await check.round();
    expect(check.judged("relay").reason).toBe("down");
  });
});
