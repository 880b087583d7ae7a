import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { targetOfUrl } from "../../agent/probe-target.ts";
import { drawer } from "../../agent/probe-terminal.ts";
import { exitOf, liveTable, verdictText } from "../../agent/probe-view.ts";
import { systemClock } from "../../platform/clock.ts";
import { displayWidth } from "../../platform/width.ts";
import { startChild } from "../kit/child.ts";
import { freePort } from "../kit/ports.ts";
import { rawServer } from "../kit/servers.ts";
import { awaitProgram } from "../kit/stack.ts";
import { GST_USER, needsGst, startGst } from "../kit/stream/gst.ts";
import { tempFolder } from "../kit/temp.ts";

const probe = (...words: string[]) => awaitProgram("agent/main.ts", ["probe", ...words]);
const NONE = {
  user: undefined,
  passwordFile: undefined,
  transport: undefined,
  class: undefined,
  caFile: undefined,
  picture: true,
};

describe("what may be probed", () => {
  test.each([
    ["rtsp://10.0.0.5/main", { type: "rtsp" }],
    ["rtsps://10.0.0.5/main", { type: "rtsp" }],
    ["rtmp://10.0.0.5/live/main", { type: "rtmp" }],
    ["http://10.0.0.5/live/main.flv?vhost=x", { type: "flv" }],
    ["https://10.0.0.5/live/main.m3u8", { type: "hls" }],
    ["udp://@239.1.2.3:5000", { type: "ts", listen: { address: "239.1.2.3", port: 5_000 } }],
  ])("%s", (url, target) => {
    expect(targetOfUrl(url, NONE)).toMatchObject(target);
  });

  test("with files named from where one stands", () => {
    const login = { user: "admin", passwordFile: "./encoder.password", caFile: "ca.pem" };
    expect(targetOfUrl("rtsps://10.0.0.5/main", { ...NONE, ...login })).toMatchObject({
      passwordFile: join(process.cwd(), "encoder.password"),
      caFile: join(process.cwd(), "ca.pem"),
    });
  });

  test.each(["ftp://10.0.0.5/x", "http://10.0.0.5/index.html", "rtsp://", "udp://@239.1.2.3"])("not %s", (url) => {
    expect(() => targetOfUrl(url, NONE)).toThrow();
  });

  test("a password in the address is refused with the way to give it, and not repeated", async () => {
    const { code, out, err } = await probe("rtsp://admin:s3cret@127.0.0.1/main");
    expect(code).toBe(3);
    expect(out).toBe("");
    expect(err).toMatch(/--user NAME, and --password-file FILE/);
    expect(err).not.toContain("s3cret");
  });

  test("a user without a password file, where nobody can be asked", async () => {
    const { code, err } = await probe("rtsp://127.0.0.1/main", "--user", "admin");
    expect({ code, err }).toMatchObject({ code: 3, err: expect.stringMatching(/--password-file FILE/) });
  });

  test("a password file without its user is told by its flags", async () => {
    const { code, err } = await probe("rtsp://127.0.0.1/main", "--password-file", "/etc/vigil/encoder.password");
    expect({ code, err }).toMatchObject({ code: 3, err: expect.stringMatching(/--password-file needs --user NAME/) });
    expect(err).not.toContain("{");
  });

  test("a user for a stream that takes none", () => {
    for (const url of ["rtmp://10.0.0.5/live/main", "http://10.0.0.5/main.flv", "udp://@239.1.2.3:5000"])
      expect(() => targetOfUrl(url, { ...NONE, user: "admin" })).toThrow(/--user is for RTSP and HLS/);
  });

  test("nothing at all", async () => {
    const { code, err } = await probe();
    expect({ code, err }).toMatchObject({ code: 3, err: expect.stringMatching(/"probe" takes an address or a name/) });
  });

  test("an address without its scheme, which may hold a password", async () => {
    const { code, err } = await probe("admin:s3cret@10.0.0.5/main", "--config", "/nonexistent/agent.json");
    expect({ code, err }).toMatchObject({ code: 3, err: expect.stringMatching(/is no address \(rtsp:\/\/…\)/) });
    expect(err).not.toContain("s3cret");
  });

  test("a name that the config does not have is answered with those it has", async () => {
    using folder = tempFolder("vigil-probe");
    const file = join(folder.path, "agent.json");
    const targets = [{ name: "main", type: "rtsp", url: "rtsp://127.0.0.1:9/main" }];
    const config = { device: "ft-1", brokers: [{ host: "127.0.0.1", port: 1 }], checks: { stream: { targets } } };
    writeFileSync(file, JSON.stringify(config));
    const { code, err } = await probe("sub", "--config", file);
    expect({ code, err }).toMatchObject({ code: 3, err: expect.stringMatching(/no stream "sub".*main/) });
    const refused = await probe("main", "--config", file, "--lang", "zh");
    expect(refused.code).toBe(2);
    expect(refused.out).toMatch(/无法播放: 视频服务端口拒绝连接（编码器）/);
  });

  test("what the site wants to be kept secret is in no verdict, in words or as JSON", async () => {
    using folder = tempFolder("vigil-probe");
    const file = join(folder.path, "agent.json");
    const targets = [{ name: "main", type: "rtsp", url: "rtsp://north-gate.invalid/main" }];
    const broker = { host: "127.0.0.1", port: 1 };
    const config = { device: "ft-1", brokers: [broker], secretWords: ["north-gate"], checks: { stream: { targets } } };
    writeFileSync(file, JSON.stringify(config));
    const [words, json] = await Promise.all([
      probe("main", "--config", file),
      probe("main", "--config", file, "--json"),
    ]);
    for (const { code, out, err } of [words, json]) {
      expect(code).toBe(2);
      expect(out + err).not.toContain("north-gate");
    }
  });
});

test("nobody there is dead at once, in both languages", async () => {
  const url = `rtsp://127.0.0.1:${await freePort()}/main`;
  const { code, out } = await probe(url, "--seconds", "30", "--lang", "en");
  expect(code).toBe(2);
  expect(out).toMatch(
    /cannot be played: Stream server refuses the connection \(encoder\)\n.*视频服务端口拒绝连接（编码器）/,
  );
});

test("a server that hangs up again and again is dead, and was asked more than once", async () => {
  let asked = 0;
  await using server = await rawServer((socket) => {
    asked += 1;
    socket.once("data", () => socket.destroy());
  });
  const { code, out } = await probe(`rtsp://127.0.0.1:${server.port}/main`, "--lang", "en");
  expect(out).toMatch(/Stream was ended by the other side/);
  expect(out).not.toMatch(/asked anew/);
  expect(code).toBe(2);
  expect(asked).toBeGreaterThan(1);
});

test("a language variable that is set to nothing is not set", async () => {
  const words = ["--disable-warning=ExperimentalWarning", "agent/main.ts", "probe", "rtmp://127.0.0.1:1/live"];
  const env = { ...process.env, LC_ALL: "", LANG: "en_US.UTF-8" };
  expect(spawnSync(process.execPath, words, { encoding: "utf8", env }).stdout).toMatch(/^time /);
});

test("a reader that has gone changes nothing of the exit code", async () => {
  const words = ["agent/main.ts", "probe", `rtsp://127.0.0.1:${await freePort()}/main`];
  const command = [process.execPath, "--disable-warning=ExperimentalWarning", ...words].join(" ");
  const { status, stderr } = spawnSync("sh", ["-c", `{ ${command}; echo "exit $?" >&2; } | true`], {
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "exit 2\n" });
});

test("a serial console, which says it has no columns, is written on as any other", async () => {
  const words = ["agent/main.ts", "probe", `rtsp://127.0.0.1:${await freePort()}/main`, "--lang", "en"];
  const command = [process.execPath, "--disable-warning=ExperimentalWarning", ...words].join(" ");
  const { stdout } = spawnSync("script", ["-qec", command, "/dev/null"], { encoding: "utf8", input: "" });
  expect(stdout).toMatch(/\ncannot be played: Stream server refuses the connection \(encoder\)\r\n/);
});

test("a terminal that says it is dumb gets no commands", async () => {
  const probing = `agent/main.ts probe rtsp://127.0.0.1:${await freePort()}/main`;
  for (const words of [probing, "agent/main.ts check --check disk"]) {
    const command = `${process.execPath} --disable-warning=ExperimentalWarning ${words}`;
    const env = { ...process.env, TERM: "dumb" };
    const { stdout } = spawnSync("script", ["-qec", command, "/dev/null"], { encoding: "utf8", input: "", env });
    expect(stdout).not.toBe("");
    expect(stdout).not.toContain("\u001b");
  }
});

test("a terminal of a few rows is drawn on with the last of the lines", () => {
  const written: string[] = [];
  const write = (text: string | Uint8Array): boolean => written.push(String(text)) > 0;
  const draw = drawer({ stderr: { columns: 80, rows: 3, write }, canDraw: true });
  draw(["a", "b", "c"]);
  draw(["d", "e", "f"]);
  expect(written[0]).not.toMatch(/a/);
  expect(written[0]).toMatch(/b.*\n.*c/);
  expect(written[1]).toContain("\u001b[2A"); // no further than it has rows
});

describe.skipIf(needsGst())("a real server", () => {
  test.concurrent("is alive, with every number as JSON", { timeout: 40_000 }, async () => {
    await using server = await startGst();
    const short = probe(server.url("h264"), "--seconds", "2", "--lang", "en", "--no-picture");
    const { code, out } = await probe(server.url("h264"), "--seconds", "8", "--json", "--no-picture");
    expect(await short).toMatchObject({ code: 3, out: expect.stringMatching(/give it more --seconds\n$/) });
    const told = JSON.parse(out);
    expect(code).toBe(0);
    expect(told).toMatchObject({ type: "rtsp", state: "ok", exit: 0 });
    const [video, audio] = told.figures.tracks;
    expect(video).toMatchObject({
      codec: "H264",
      format: { width: 640, height: 360 },
      gopMs: 2_000,
      gopFrames: 50,
      lossPct: 0,
    });
    expect(audio).toMatchObject({ codec: "PCMA" });
    await server.until((one) => one.count("teardown") === 2 && one.sessions() === 0);
  });

  test.concurrent("is alive, with a table and the verdict in Chinese and English", { timeout: 40_000 }, async () => {
    await using server = await startGst({ auth: "digest" });
    using folder = tempFolder("vigil-probe");
    const passwordFile = join(folder.path, "password");
    writeFileSync(passwordFile, GST_USER.password, { mode: 0o600 });
    const login = ["--user", GST_USER.user, "--password-file", passwordFile, "--transport", "udp"];
    const { code, out, err } = await probe(
      server.url("h264na"),
      "--seconds",
      "8",
      "--lang",
      "zh",
      "--no-picture",
      ...login,
    );
    expect({ code, err }).toEqual({ code: 0, err: "" }); // nobody looks: no live table
    expect(out).toMatch(/视频 +H264 640×360/);
    expect(out).toMatch(/关键帧间隔 +2\.0 s, 50 帧/);
    expect(out).toMatch(/\n正常\nalive\nvideo lives: H264 640x360/);
    expect(out + err).not.toContain(GST_USER.password);
  });

  test.concurrent("that is stopped is dead; Ctrl-C ends it politely and still says so", {
    timeout: 40_000,
  }, async () => {
    await using server = await startGst();
    const words = [
      "--disable-warning=ExperimentalWarning",
      "agent/main.ts",
      "probe",
      server.url("h264"),
      "--lang",
      "en",
    ];
    const child = startChild(process.execPath, [...words, "--seconds", "60", "--no-picture"]);
    await server.until((one) => one.count("play") === 1);
    await systemClock.sleep(2_000); // the answer to PLAY must have gone out
    await server.fault("stall=1");
    const { promise, resolve } = Promise.withResolvers<number | null>();
    child.process.once("exit", resolve);
    await systemClock.sleep(5_000); // so long media must be missing
    child.process.kill("SIGINT");
    expect({ code: await promise, said: child.output() }).toMatchObject({
      code: 2,
      said: expect.stringMatching(/no media: Stream brings no media \(encoder\)/),
    });
    await server.until((one) => one.count("teardown") === 1 && one.sessions() === 0);
  });
});

describe("the table", () => {
  const seen = {
    figures: undefined,
    picture: { state: "unknown", says: "no ffmpeg on this device", readings: {} },
    conclusion: { state: "unknown", says: "3 frames \u001b[31mcame\u001b[0m" },
    elapsedMs: 1_000,
  } as const;

  test("always has the same lines, each in its column, so that it can be drawn over itself", () => {
    const zh = liveTable(seen, "zh");
    const en = liveTable(seen, "en");
    expect(zh).toHaveLength(en.length);
    for (const line of [...zh, ...en]) expect(displayWidth(line)).toBeGreaterThanOrEqual(13);
  });

  test("exits as a monitoring plugin does: well, a warning, dead, unknown", () => {
    const exits = (
      ["ok", "still", "degraded", "suspect_frozen", "frozen", "black", "no_media", "unknown"] as const
    ).map((state) => exitOf({ state, says: "" }));
    expect(exits).toEqual([0, 1, 1, 1, 2, 2, 2, 3]);
  });

  test("obeys no terminal command that came over the wire, and is no green verdict without proof", () => {
    const text = verdictText(seen, "en", 80);
    expect(text).not.toContain("\u001b");
    expect(text).toMatch(/^unknown\n未知\n3 frames came\n/);
    expect(exitOf(seen.conclusion)).toBe(3);
  });
});
