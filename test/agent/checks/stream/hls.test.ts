import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { playHls } from "../../../../agent/checks/stream/hls/play.ts";
import { testCa } from "../../../kit/certs.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { type Answer, httpServer, httpsServer, type Listening, rawServer } from "../../../kit/servers.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { annexB, unitOf } from "../../../kit/stream/nal-writer.ts";
import { TsWriter } from "../../../kit/stream/ts-writer.ts";
import { tempFolder } from "../../../kit/temp.ts";

const TARGET = 2;
const FPS = 25;

/** Two seconds of video, one keyframe: segment `number` of a stream. */
function segment(number: number, from = number * TARGET * 90_000): Buffer {
  const writer = new TsWriter();
  const packets = [writer.pat(), writer.pmt([{ pid: 0x100, type: 0x1b }])];
  for (let i = 0; i < TARGET * FPS; i += 1) {
    const nals = unitOf("H264", { key: i === 0, slices: [200 + i], delimiter: true, sei: 0 }, i);
    packets.push(...writer.frame({ pid: 0x100, pts: from + i * 3600, data: annexB(nals), unsized: true }));
  }
  return Buffer.concat(packets);
}

/** A packager of a test: what it lists, and how it answers, may be changed at any time. */
class Packager {
  newest = 5;
  first = 3;
  /** Lines before a segment. */
  before = new Map<number, string>();
  head = "";
  tail = "";
  name = (number: number): string => `${number}.ts`;
  segment = (number: number): Buffer => segment(number);
  /** Answers in its own way; undefined: as usual. */
  odd: ((path: string, response: ServerResponse, request: IncomingMessage) => boolean) | undefined;
  readonly asked: string[] = [];
  authorization: string | undefined;

  readonly answer: Answer = (request, response) => {
    const path = request.url ?? "";
    this.asked.push(path);
    this.authorization = request.headers.authorization;
    if (this.odd?.(path, response, request) === true) return;
    if (path.endsWith(".m3u8")) response.end(this.list());
    else response.end(this.segment(Number.parseInt(path.slice(path.lastIndexOf("/") + 1), 10)));
  };

  list(): string {
    const lines = ["#EXTM3U", `#EXT-X-TARGETDURATION:${TARGET}`, `#EXT-X-MEDIA-SEQUENCE:${this.first}`, this.head];
    for (let i = this.first; i <= this.newest; i += 1)
      lines.push(this.before.get(i) ?? "", `#EXTINF:${TARGET}.000,`, this.name(i));
    return [...lines, this.tail].join("\n");
  }
  advance(by = 1): void {
    this.newest += by;
    this.first += by;
  }
}

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

interface Playing {
  heard: Heard;
  clock: HandClock;
  packager: Packager;
  server: Listening;
  /** Settles with the session; never rejects. */
  ended: Promise<unknown>;
  isOver(): boolean;
  stop(): void;
  /** Winds the clock in steps and lets the requests of each be answered. */
  wind(ms: number): Promise<void>;
}

async function play(prepare: (packager: Packager) => void = () => {}, more: { path?: string } = {}): Promise<Playing> {
  const packager = new Packager();
  prepare(packager);
  const server = await httpServer(packager.answer);
  return begin(packager, server, `http://127.0.0.1:${server.port}${more.path ?? "/live/a.m3u8"}`);
}

async function begin(packager: Packager, server: Listening, url: string, more = {}): Promise<Playing> {
  const heard = new Heard();
  heard.wants = 1;
  const clock = new HandClock();
  const cut = new AbortController();
  let over = false;
  const ended = playHls({ url, ...more }, sessionOf(heard, clock, cut.signal)).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  void ended.then(() => {
    over = true;
  });
  open.push(async () => {
    cut.abort();
    await ended;
    await server[Symbol.asyncDispose]();
  });
  const settled = async (): Promise<void> => {
    // what was asked is answered over loopback: a few turns of the loop, and more where a segment is had
    for (let quiet = 0, before = -1; quiet < 40 && !over; quiet = packager.asked.length === before ? quiet + 1 : 0) {
      before = packager.asked.length;
      await new Promise((turn) => setImmediate(turn));
    }
  };
  const playing: Playing = {
    heard,
    clock,
    packager,
    server,
    ended,
    isOver: () => over,
    stop: () => cut.abort(),
    async wind(ms) {
      for (let left = ms; left > 0 && !over; left -= 250) {
        await clock.wind(Math.min(250, left));
        await settled();
      }
    },
  };
  while (!over && !heard.steps.includes("playing")) await new Promise((turn) => setImmediate(turn));
  return playing;
}

describe("a live playlist", () => {
  test("proves life by new segments only, in the pace of their stamps", async () => {
    const { heard, packager, wind, stop, ended } = await play();
    expect(heard.steps).toEqual(["connected", "described", "playing"]);
    expect(heard.of(0).track).toEqual({ kind: "video", codec: "H264", clockHz: 90_000, everyMs: 2000 });
    expect(heard.of(0).formats).toMatchObject([{ width: 640, height: 360 }]);
    expect(heard.of(0).pictures).toHaveLength(1);
    await wind(1000);
    expect(heard.of(0).frames).toEqual([]);
    for (let i = 0; i < 5; i += 1) {
      packager.advance();
      await wind(2000);
    }
    await wind(1500);
    const told = heard.of(0).frames;
    expect(told.length).toBeGreaterThanOrEqual(200);
    expect(heard.of(0).keys).toBe(Math.ceil(told.length / 50));
    told.forEach(({ stamp, at }, i) => {
      expect(stamp).toBe((6 * TARGET * FPS + i) * 3600);
      if (i > 0) expect(at).toBeGreaterThanOrEqual(told[i - 1]?.at ?? 0);
    });
    // 200 frames of 40 ms take 8 s
    const took = (told[199]?.at ?? 0) - (told[0]?.at ?? 0);
    expect(Math.abs(took - 199 * 40)).toBeLessThan(1100);
    expect(heard.of(0).bytes).toBeGreaterThan(told.reduce((sum, { size }) => sum + size, 0));
    expect(packager.asked.filter((path) => path === "/live/5.ts")).toHaveLength(1);
    expect(packager.asked.filter((path) => path === "/live/7.ts")).toHaveLength(1);
    stop();
    expect(await ended).toBeUndefined();
  });

  test("is asked over one connection", async () => {
    const { packager, server, wind } = await play();
    packager.advance();
    await wind(6000);
    expect(packager.asked.length).toBeGreaterThan(4);
    expect(server.accepted()).toBe(1);
  });

  test("that answers 200 for ever, and never advances, is stale", async () => {
    const { heard, packager, wind, ended } = await play((one) => {
      one.before.set(5, "#EXT-X-PROGRAM-DATE-TIME:2026-11-22T08:00:00Z");
    });
    await wind(5500);
    packager.before.set(3, "#a remark that changes nothing");
    await wind(2100);
    expect(await ended).toMatchObject({
      code: "STREAM_ENDED",
      facts: { how: "stale", ageMs: 6000, sequence: 5, programTime: "2026-11-22T08:00:00Z" },
    });
    expect(heard.of(0).frames).toEqual([]);
  });

  test("becomes stale after it lived", async () => {
    const { heard, packager, wind, isOver, ended } = await play();
    packager.advance();
    await wind(3000);
    packager.advance();
    await wind(6000);
    expect(isOver()).toBe(false);
    await wind(6000);
    expect(await ended).toMatchObject({ facts: { how: "stale", sequence: 7 } });
    expect(heard.of(0).frames).toHaveLength(100);
  });

  test("whose numbers begin anew goes on, and no stamp leaps", async () => {
    const { heard, packager, wind, isOver } = await play();
    packager.advance();
    await wind(3000);
    packager.first = 0;
    packager.newest = 0;
    await wind(2000);
    for (let i = 0; i < 3; i += 1) {
      packager.newest += 1;
      await wind(2000);
    }
    expect(isOver()).toBe(false);
    expect(heard.of(0).odd).toContain("sequence began anew");
    const { stamps } = heard.of(0);
    expect(stamps.length).toBeGreaterThan(100);
    for (const [i, stamp] of stamps.entries()) if (i > 0) expect(stamp - (stamps[i - 1] ?? 0)).toBe(3600);
  });

  test("with an announced discontinuity goes on without a leap, and with a leap where none is announced", async () => {
    const leap = async (announced: boolean): Promise<number> => {
      const { heard, packager, wind } = await play();
      packager.segment = (number) => segment(number, number < 7 ? undefined : 900_000_000);
      if (announced) packager.before.set(7, "#EXT-X-DISCONTINUITY");
      for (let i = 0; i < 3; i += 1) {
        packager.advance();
        await wind(2000);
      }
      await wind(2000);
      const { stamps } = heard.of(0);
      expect(stamps.length).toBeGreaterThan(60);
      return Math.max(...stamps.slice(1).map((stamp, i) => stamp - (stamps[i] ?? 0)));
    };
    expect(await leap(true)).toBe(3600);
    expect(await leap(false)).toBeGreaterThan(800_000_000);
  });

  test("that has ended says so", async () => {
    const { ended } = await play((one) => {
      one.tail = "#EXT-X-ENDLIST";
    });
    expect(await ended).toMatchObject({ code: "STREAM_ENDED", facts: { how: "endlist", sequence: 5 } });
  });

  test("is found by way of a master playlist", async () => {
    const { packager, heard, wind } = await play(
      (one) => {
        one.odd = (path, response) => {
          if (path !== "/master.m3u8") return false;
          response.end(
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\nbig.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\nsub/small.m3u8",
          );
          return true;
        };
      },
      { path: "/master.m3u8" },
    );
    packager.advance();
    await wind(3000);
    expect(heard.of(0).frames.length).toBeGreaterThan(0);
    expect(packager.asked.slice(0, 3)).toEqual(["/master.m3u8", "/sub/small.m3u8", "/sub/5.ts"]);
  });

  test("may be packed, and its segments parts of one file", async () => {
    const all = Buffer.concat([3, 4, 5, 6, 7].map((number) => segment(number)));
    const size = segment(3).length;
    let honest = true;
    const { packager, heard, wind, isOver } = await play((one) => {
      one.name = () => "all.ts";
      for (let i = 3; i < 8; i += 1) one.before.set(i, `#EXT-X-BYTERANGE:${size}@${(i - 3) * size}`);
      one.odd = (path, response, request) => {
        const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "");
        if (path.endsWith(".m3u8")) response.setHeader("content-encoding", "gzip").end(gzipSync(one.list()));
        else if (honest) response.writeHead(206).end(all.subarray(Number(range?.[1]), Number(range?.[2]) + 1));
        else response.end(all.subarray(0, Number(range?.[2]) + 1));
        return true;
      };
    });
    packager.advance();
    await wind(3000);
    honest = false;
    packager.advance();
    await wind(4000);
    expect(isOver()).toBe(false);
    expect(heard.of(0).stamps).toEqual(Array.from({ length: 100 }, (_, i) => (6 * TARGET * FPS + i) * 3600));
  });

  test("counts what is missing in a segment", async () => {
    const { packager, heard, wind } = await play();
    packager.segment = (number) => {
      const whole = segment(number);
      return Buffer.concat([whole.subarray(0, 188 * 20), whole.subarray(188 * 23)]);
    };
    packager.advance();
    await wind(3000);
    packager.advance();
    await wind(3000);
    expect(heard.of(0).odd).toContain("continuity");
    expect(heard.of(0).counts?.lost).toBeGreaterThanOrEqual(3);
    expect(heard.of(0).counts).not.toHaveProperty("jitterMs"); // nobody knows it, and 0 would look perfect
  });
});

describe("a server that refuses, or is none", () => {
  const refusals: [string, (response: ServerResponse) => void, object][] = [
    ["404", (one) => one.writeHead(404).end("no"), { code: "STREAM_STATUS", facts: { status: 404, step: "playlist" } }],
    ["401", (one) => one.writeHead(401).end(), { code: "STREAM_AUTH", facts: { status: 401 } }],
    ["403", (one) => one.writeHead(403).end(), { code: "STREAM_AUTH", facts: { status: 403 } }],
    ["503", (one) => one.writeHead(503).end(), { code: "STREAM_STATUS", facts: { status: 503 } }],
    ["a web page", (one) => one.end("<html>"), { code: "STREAM_PROTOCOL" }],
    [
      "a redirect elsewhere",
      (one) => one.writeHead(302, { location: "http://127.0.0.2:1/a.m3u8" }).end(),
      { code: "DIAL_REDIRECT", facts: { to: "127.0.0.2:1" } },
    ],
    [
      "a redirect in a circle",
      (one) => one.writeHead(302, { location: "/live/a.m3u8" }).end(),
      { code: "DIAL_REDIRECT" },
    ],
    ["a line of 4 MB", (one) => one.end(`#EXTM3U\n#${"x".repeat(4 << 20)}`), { code: "STREAM_PROTOCOL" }],
    [
      "a packed bomb",
      (one) => one.setHeader("content-encoding", "gzip").end(gzipSync(Buffer.alloc(8 << 20))),
      { code: "STREAM_PROTOCOL" },
    ],
    [
      "an unknown packing",
      (one) => one.setHeader("content-encoding", "br").end("#EXTM3U"),
      { code: "STREAM_PROTOCOL" },
    ],
    [
      "half an answer",
      (one) => one.writeHead(200, { "content-length": "100" }).write("#EXTM3U", () => one.destroy()),
      { code: "STREAM_ENDED" },
    ],
  ];
  test.each(refusals)("with %s", async (_, answer, expected) => {
    const { ended } = await play((one) => {
      one.odd = (_path, response) => {
        answer(response);
        return true;
      };
    });
    expect(await ended).toMatchObject(expected);
  });

  test("that never ends its answer is given up, and nothing of it is kept", async () => {
    const endless = (response: ServerResponse): void => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x0a)));
        response.once("drain", more);
      };
      response.write("#EXTM3U\n");
      more();
    };
    const { ended } = await play((one) => {
      one.odd = (_path, response) => {
        endless(response);
        return true;
      };
    });
    expect(await ended).toMatchObject({ code: "STREAM_PROTOCOL", facts: { step: "playlist" } });
  });

  test.each([
    ["playlist", (path: string) => path.endsWith(".m3u8")],
    ["segment", (path: string) => path.endsWith(".ts")],
  ])("that does not answer for its %s", async (step, silent) => {
    const heard = new Heard();
    const clock = new HandClock();
    const packager = new Packager();
    await using server = await httpServer((request, response) => {
      if (!silent(request.url ?? "")) packager.answer(request, response);
      else packager.asked.push("silent");
    });
    const ended = playHls({ url: `http://127.0.0.1:${server.port}/a.m3u8` }, sessionOf(heard, clock)).catch(
      (cause) => cause,
    );
    while (!packager.asked.includes("silent")) await new Promise((turn) => setImmediate(turn));
    await clock.wind(5000);
    expect(await ended).toMatchObject({ code: "STREAM_TIMEOUT", facts: { step } });
  });

  test("with no HTTP at all", async () => {
    await using server = await rawServer((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n"));
    const url = `http://127.0.0.1:${server.port}/a.m3u8`;
    await expect(playHls({ url }, sessionOf(new Heard()))).rejects.toMatchObject({ code: "STREAM_PROTOCOL" });
    await server.shut();
    await expect(playHls({ url }, sessionOf(new Heard()))).rejects.toMatchObject({ code: "DIAL_REFUSED" });
  });

  test("with a segment that still stands in the list but is not there", async () => {
    const { packager, wind, ended } = await play();
    packager.odd = (path, response) => {
      if (!path.endsWith("6.ts")) return false;
      response.writeHead(404).end();
      return true;
    };
    packager.advance();
    await wind(3000);
    expect(await ended).toMatchObject({ code: "STREAM_STATUS", facts: { status: 404, step: "segment" } });
  });

  test("with a segment that has left the list meanwhile goes on", async () => {
    const { packager, heard, wind, isOver } = await play();
    packager.odd = (path, response) => {
      if (!path.endsWith("6.ts")) return false;
      packager.advance(4);
      response.writeHead(404).end();
      return true;
    };
    packager.advance();
    await wind(6000);
    expect(isOver()).toBe(false);
    expect(heard.of(0).frames.length).toBeGreaterThan(0);
    expect(heard.of(0).odd).toContain("segments left out");
  });

  test.each<[string, (one: Packager) => void, string]>([
    ["encrypted", (one) => (one.head = '#EXT-X-KEY:METHOD=AES-128,URI="key"'), "encrypted segments (AES-128)"],
    ["fragmented MP4", (one) => (one.head = '#EXT-X-MAP:URI="init.mp4"'), "segments of fragmented MP4"],
    [
      "on another host",
      (one) => (one.name = (n) => `http://127.0.0.2:9/${n}.ts`),
      "segments on another host, http://127.0.0.2:9",
    ],
  ])(
    "whose media are %s is unsupported once it has advanced, and stale where it does not",
    async (_, prepare, what) => {
      const live = await play(prepare);
      live.packager.advance();
      await live.wind(3000);
      expect(await live.ended).toMatchObject({ code: "STREAM_UNSUPPORTED", facts: { what } });
      expect(live.packager.asked.every((path) => path.endsWith(".m3u8"))).toBe(true);
      const dead = await play(prepare);
      await dead.wind(9000);
      expect(await dead.ended).toMatchObject({ code: "STREAM_ENDED", facts: { how: "stale" } });
    },
  );

  test("whose segments have nothing that we know", async () => {
    const writer = new TsWriter();
    const other = Buffer.concat([writer.pat(), writer.pmt([{ pid: 0x100, type: 0x15 }]), writer.pat()]);
    const { ended } = await play((one) => {
      one.segment = () => other;
    });
    expect(await ended).toMatchObject({ code: "STREAM_UNSUPPORTED" });
  });

  test("whose segments are something else", async () => {
    const { ended } = await play((one) => {
      one.segment = () => Buffer.alloc(200_000, "<p>not here</p>");
    });
    expect(await ended).toMatchObject({ code: "STREAM_PROTOCOL" });
  });
});

test("over TLS, with a user, and nobody is told the password", async () => {
  using folder = tempFolder();
  const ca = testCa(folder.path);
  const packager = new Packager();
  const server = await httpsServer(ca.server, packager.answer);
  const url = `https://127.0.0.1:${server.port}/live/a.m3u8`;
  const untrusted = await playHls({ url }, sessionOf(new Heard())).catch((cause: unknown) => cause);
  expect(untrusted).toMatchObject({ code: "DIAL_UNTRUSTED" });
  expect(packager.asked).toEqual([]);
  const credentials = async () => ({ user: "admin", password: "s3cret" });
  const { heard } = await begin(packager, server, url, { caFile: ca.ca, credentials });
  expect(heard.steps).toContain("playing");
  expect(packager.authorization).toBe(`Basic ${Buffer.from("admin:s3cret").toString("base64")}`);
});
