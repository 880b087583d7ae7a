import { chmodSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mediamtxFacts, nginxFacts, srsFacts, zlmFacts } from "../../../../agent/checks/stream/passive/forwarders.ts";
import { type ForwarderOptions, lookForwarder } from "../../../../agent/checks/stream/passive/look.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { httpServer, type Listening } from "../../../kit/servers.ts";
import { tempFolder } from "../../../kit/temp.ts";

/** As nginx-rtmp 1.1.4 (Debian 12) wrote it, shortened. */
const STAT = `<?xml version="1.0" encoding="utf-8" ?>
<?xml-stylesheet type="text/xsl" href="stat.xsl" ?>
<rtmp><nginx_version>1.22.1</nginx_version><bytes_in>128951</bytes_in>
<server><application><name>vod</name><live><stream><name>cam1</name><bytes_in>1</bytes_in><nclients>1</nclients></stream></live></application>
<application><name>live</name><live>
<stream><name>a&amp;b &#22533;</name><time>3830</time><bytes_in>7</bytes_in><nclients>1</nclients><active/></stream>
<stream><name>cam1</name><time>3830</time><bw_in>0</bw_in><bytes_in>126240</bytes_in><bw_out>0</bw_out><bytes_out>16299</bytes_out><bw_audio>0</bw_audio><bw_video>0</bw_video>
<client><id>2</id><address>127.0.0.1</address><dropped>0</dropped><active/></client>
<client><id>1</id><address>127.0.0.1</address><publishing/><active/></client>
<meta><video><width>320</width><height>180</height></video></meta><nclients>2</nclients><publishing/><active/></stream>
<nclients>3</nclients></live></application></server></rtmp>`;

/** As the documentation of SRS 5 shows it (HTTP API, `/api/v1/streams/`). */
const SRS = {
  ...{ code: 0, server: "vid-0xk989d", service: "382k456r", pid: "2" },
  streams: [
    {
      ...{
        id: "vid-j53xc2u",
        name: "cam1",
        vhost: "vid-y000397",
        app: "live",
        tcUrl: "rtmp://a/live",
        url: "/live/cam1",
      },
      ...{ live_ms: 1681903514993, clients: 3, frames: 12_345, send_bytes: 67_890_123, recv_bytes: 12_345_678 },
      kbps: { recv_30s: 2048, send_30s: 10_240 },
      publish: { active: true, cid: "wa7vl2r4" },
      video: { codec: "H264", profile: "High", level: "3.2", width: 768, height: 320 },
      audio: null,
    },
    {
      name: "cam2",
      app: "live",
      clients: 0,
      frames: 0,
      send_bytes: 0,
      recv_bytes: 0,
      publish: { active: false, cid: "" },
    },
  ],
};

/** As ZLMediaKit of 2024 to 2026 answers getMediaList (server/WebApi.cpp, makeMediaSourceJson). */
const zlm = (more: Record<string, unknown>[] = [{}]) => ({
  code: 0,
  data: more.map((one) => ({
    ...{
      app: "live",
      stream: "cam1",
      vhost: "__defaultVhost__",
      schema: "rtmp",
      aliveSecond: 590,
      createStamp: 1_602_205_811,
    },
    ...{ bytesSpeed: 250_000, totalBytes: 147_500_000, readerCount: 0, totalReaderCount: 2, originType: 1 },
    tracks: [
      { codec_id: 2, codec_id_name: "CodecAAC", codec_type: 1, frames: 27_000, ready: true, sample_rate: 48_000 },
      {
        codec_id: 0,
        codec_id_name: "CodecH264",
        codec_type: 0,
        frames: 14_750,
        key_frames: 295,
        gop_interval_ms: 2000,
        gop_size: 50,
        fps: 25,
        width: 1920,
        height: 1080,
        loss: -1,
        ready: true,
      },
    ],
    ...one,
  })),
});

/** As the API of MediaMTX 1.9 answers `/v3/paths/get/…`, and as 1.16 does, which adds other words for the same. */
const MEDIAMTX_OLD = {
  ...{
    name: "live/cam1",
    confName: "all_others",
    source: { type: "rtspSession", id: "a" },
    ready: true,
    readyTime: "2026-11-22T09:00:00Z",
  },
  ...{ tracks: ["H264"], bytesReceived: 123_456, bytesSent: 654, readers: [{ type: "rtmpConn", id: "b" }] },
};
const MEDIAMTX_NEW = {
  ...MEDIAMTX_OLD,
  available: true,
  online: true,
  inboundBytes: 123_999,
  outboundBytes: 655,
  inboundFramesInError: 0,
};

describe("what a forwarder says", () => {
  test("nginx-rtmp", () => {
    expect(nginxFacts(STAT, "live", "cam1")).toEqual({ fed: true, inBytes: 126_240, outBytes: 16_299, readers: 1 });
    expect(nginxFacts(STAT, "live", `a&b ${String.fromCodePoint(22_533)}`)).toEqual({
      fed: false,
      inBytes: 7,
      readers: 1,
    });
    expect(nginxFacts(STAT, "vod", "cam1")).toEqual({ fed: false, inBytes: 1, readers: 1 });
    expect(nginxFacts(STAT, "live", "cam9")).toEqual({ fed: false });
  });

  test("SRS", () => {
    const text = JSON.stringify(SRS);
    const facts = { fed: true, inBytes: 12_345_678, outBytes: 67_890_123, frames: 12_345, readers: 2 };
    expect(srsFacts(text, "live", "cam1")).toEqual(facts);
    expect(srsFacts(text, "live", "cam2")).toMatchObject({ fed: false, frames: 0 });
    expect(srsFacts(text, "other", "cam1")).toEqual({ fed: false });
    expect(() => srsFacts('{"code":2048}', "live", "cam1")).toThrow(Failure);
  });

  test("ZLMediaKit: the largest of a stream's protocols counts", () => {
    const facts = { fed: true, inBytes: 147_500_000, bytesPerSecond: 250_000, frames: 14_750, readers: 2 };
    expect(zlmFacts(JSON.stringify(zlm([{ schema: "hls", bytesSpeed: 0, totalBytes: 0 }, {}])))).toEqual(facts);
    expect(zlmFacts('{"code":0}')).toEqual({ fed: false });
    for (const refused of ['{"code":-100,"msg":"secret错误"}', `{"code":-300,"msg":"缺少必要参数:\\"secret\\""}`]) {
      expect(() => zlmFacts(refused)).toThrow(expect.objectContaining({ code: "STREAM_AUTH" }));
    }
    expect(() => zlmFacts('{"code":-300,"msg":"x"}')).toThrow(expect.objectContaining({ code: "STREAM_STATUS" }));
  });

  test("MediaMTX, old and new", () => {
    expect(mediamtxFacts(JSON.stringify(MEDIAMTX_OLD))).toEqual({
      fed: true,
      inBytes: 123_456,
      outBytes: 654,
      readers: 1,
    });
    expect(mediamtxFacts(JSON.stringify(MEDIAMTX_NEW))).toEqual({
      fed: true,
      inBytes: 123_999,
      outBytes: 655,
      readers: 1,
    });
    // a path that plays its offline clip on repeat
    expect(mediamtxFacts(JSON.stringify({ ...MEDIAMTX_NEW, online: false }))).toMatchObject({ fed: false });
  });

  test("anything else is a Failure, or facts of the right kind", () => {
    const readers = [
      (t: string) => nginxFacts(t, "a", "b"),
      (t: string) => srsFacts(t, "a", "b"),
      zlmFacts,
      mediamtxFacts,
    ];
    const piece = fc.constantFrom(
      "<rtmp>",
      "</rtmp>",
      "<server>",
      "<application>",
      "<live>",
      "<stream>",
      "<name>b</name>",
      "<!--",
      "<![CDATA[",
      "]]>",
      "&#99;",
      "<a/>",
      "</",
      "<",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join("")),
      fc.json(),
      fc
        .object({
          key: fc.constantFrom(
            "code",
            "data",
            "streams",
            "publish",
            "tracks",
            "readers",
            "frames",
            "ready",
            "app",
            "name",
            "bytesSpeed",
          ),
        })
        .map((one) => JSON.stringify(one)),
    );
    fc.assert(
      fc.property(text, (answer) => {
        for (const reader of readers) {
          try {
            const { fed, inBytes, frames } = reader(answer);
            if (!["boolean", "undefined"].includes(typeof fed)) return false;
            for (const number of [inBytes, frames]) if (number !== undefined && !(number >= 0)) return false;
          } catch (cause) {
            if (!(cause instanceof Failure)) throw cause;
          }
        }
        return true;
      }),
      { numRuns: 500 },
    );
  });

  test("a page of 1 MB that nests without end is refused soon", () => {
    expect(() => nginxFacts("<rtmp>".repeat(170_000), "live", "cam1")).toThrow(Failure);
    expect(() => nginxFacts(`<rtmp><${"a".repeat(65)}/></rtmp>`, "live", "cam1")).toThrow(/64 characters/);
    expect(nginxFacts(`<rtmp>${"<a/>".repeat(200_000)}</rtmp>`, "live", "cam1")).toEqual({ fed: false });
  });
});

describe("a look", () => {
  const { signal } = new AbortController();
  const looking = (options: ForwarderOptions, clock = systemClock) =>
    lookForwarder(options, { clock, deadlineMs: 3000 });
  const base = ({ port }: Listening): string => `http://127.0.0.1:${port}`;
  const ask = { app: "live", stream: "cam1" };

  async function serving(body: unknown, status = 200): Promise<{ server: Listening; asked: IncomingMessage[] }> {
    const asked: IncomingMessage[] = [];
    const server = await httpServer((request, response) => {
      asked.push(request);
      response
        .writeHead(status)
        .end(
          typeof body === "function" ? JSON.stringify(body()) : typeof body === "string" ? body : JSON.stringify(body),
        );
    });
    return { server, asked };
  }

  test("asks each at its own address", async () => {
    const one = await serving(SRS);
    const two = await serving(zlm());
    const three = await serving(MEDIAMTX_NEW);
    await using _one = one.server;
    await using _two = two.server;
    await using _three = three.server;
    expect(await looking({ type: "srs", url: `${base(one.server)}/`, ...ask })(signal)).toMatchObject({
      ...{ fed: true, frames: 12_345, at: expect.any(Number) },
      says: `SRS at 127.0.0.1:${one.server.port}: live/cam1 is published, 12345678 bytes in, 12345 frames, 2 readers`,
    });
    await looking({ type: "zlm", url: base(two.server), app: "live", stream: "a b" })(signal);
    await looking({ type: "mediamtx", url: base(three.server), path: "live/cam 1" })(signal);
    expect([one, two, three].map(({ asked }) => asked[0]?.url)).toEqual([
      "/api/v1/streams/?start=0&count=1000",
      "/index/api/getMediaList?app=live&stream=a%20b",
      "/v3/paths/get/live/cam%201",
    ]);
  });

  test("a stream that MediaMTX does not have is a fact, a web server in its place a failure", async () => {
    const none = await serving({ error: "path not found" }, 404);
    const page = await serving("<html>404</html>", 404);
    await using _none = none.server;
    await using _page = page.server;
    expect(await looking({ type: "mediamtx", url: base(none.server), path: "cam1" })(signal)).toMatchObject({
      fed: false,
    });
    await expect(looking({ type: "mediamtx", url: base(page.server), path: "cam1" })(signal)).rejects.toMatchObject({
      code: "STREAM_STATUS",
    });
  });

  test("secrets are read for each look, go as headers, and are in no Failure", async () => {
    using folder = tempFolder();
    const file = `${folder.path}/secret`;
    writeFileSync(file, "first\n", { mode: 0o600 });
    const { server, asked } = await serving({ code: -100, msg: "secret" });
    await using _server = server;
    const look = looking({ type: "zlm", url: base(server), ...ask, secretFile: file });
    const failure = await look(signal).catch((cause: unknown) => cause);
    expect(failure).toMatchObject({ code: "STREAM_AUTH" });
    expect(JSON.stringify([String(failure), failure])).not.toContain("first");
    writeFileSync(file, "second\n");
    await look(signal).catch(() => {});
    expect(asked.map(({ headers, url }) => [headers["secret"], url?.includes("secret")])).toEqual([
      ["first", false],
      ["second", false],
    ]);
    const login = { user: "vigil", passwordFile: file };
    await looking({ type: "mediamtx", url: base(server), path: "cam1", ...login })(signal);
    expect(asked.at(-1)?.headers.authorization).toBe(`Basic ${Buffer.from("vigil:second").toString("base64")}`);
    writeFileSync(file, "open");
    chmodSync(file, 0o644);
    await expect(look(signal)).rejects.toMatchObject({ code: "FILE_UNUSABLE" });
  });

  test("of a ZLMediaKit that counts no total the rate is summed up from look to look", async () => {
    let bytesSpeed = 1000;
    const { server } = await serving(() => zlm([{ bytesSpeed, totalBytes: undefined }]));
    await using _server = server;
    const clock = new HandClock();
    const look = looking({ type: "zlm", url: base(server), ...ask }, clock);
    const totals: (number | undefined)[] = [(await look(signal)).inBytes];
    for (const speed of [1000, 500, 0]) {
      bytesSpeed = speed;
      await clock.wind(2000);
      totals.push((await look(signal)).inBytes);
    }
    expect(totals).toEqual([0, 2000, 3000, 3000]);
  });

  test.each([
    [401, "", "STREAM_AUTH"],
    [403, "", "STREAM_AUTH"],
    [500, "", "STREAM_STATUS"],
    [302, "", "STREAM_STATUS"],
    [200, "<html>", "STREAM_PROTOCOL"],
    [200, "[]", "STREAM_PROTOCOL"],
    [200, `"${"x".repeat(1_100_000)}"`, "STREAM_PROTOCOL"],
    [200, `{"code":0,"streams":[]}${" ".repeat(1_100_000)}`, "STREAM_PROTOCOL"],
  ])("status %i is a Failure", async (status, body, code) => {
    const { server } = await serving(body, status);
    await using _server = server;
    await expect(looking({ type: "srs", url: base(server), ...ask })(signal)).rejects.toMatchObject({ code });
  });

  test("nobody there is a failure to connect", async () => {
    const { server } = await serving("");
    await server.shut();
    await expect(looking({ type: "srs", url: base(server), ...ask })(signal)).rejects.toMatchObject({
      code: "DIAL_REFUSED",
    });
  });
});
