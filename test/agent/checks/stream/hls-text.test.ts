import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LiveEdge } from "../../../../agent/checks/stream/hls/edge.ts";
import { lightest, type MediaPlaylist, readPlaylist } from "../../../../agent/checks/stream/hls/playlist.ts";
import { Failure } from "../../../../protocol/failure.ts";

const media = (text: string): MediaPlaylist => {
  const playlist = readPlaylist(`#EXTM3U\n${text}`);
  if (playlist.kind !== "media") throw new Error("a master playlist");
  return playlist;
};

describe("a playlist", () => {
  test("says which segments there are", () => {
    const playlist = media(
      [
        "#EXT-X-VERSION:4\r",
        "#EXT-X-TARGETDURATION:6\r",
        "#EXT-X-MEDIA-SEQUENCE:41\r",
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-22T09:00:00.000+08:00\r",
        "#EXTINF:5.96,a title, with commas\r",
        "one.ts?token=x\r",
        "#EXT-X-DISCONTINUITY",
        "#EXTINF:6",
        "#EXT-X-BYTERANGE:1000@500",
        "two.ts",
        "",
        "# a remark",
        "#EXTINF:6,",
        "#EXT-X-BYTERANGE:700",
        "two.ts",
        '#EXT-X-KEY:METHOD=AES-128,URI="https://elsewhere/key?a=1,b=2",IV=0x01',
        "#EXT-X-GAP",
        "#EXTINF:0.5,",
        "three.ts",
        '#EXT-X-MAP:URI="init.mp4",BYTERANGE="720@0"',
        "#EXT-X-KEY:METHOD=NONE",
        "#EXTINF:2,",
        "four.m4s",
        "#EXT-X-ENDLIST",
      ].join("\n"),
    );
    const none = { discontinuity: false, gap: false };
    expect(playlist).toEqual({
      kind: "media",
      targetMs: 6000,
      newest: 45,
      ended: true,
      segments: [
        {
          ...none,
          uri: "one.ts?token=x",
          sequence: 41,
          durationMs: 5960,
          programTime: "2026-11-22T09:00:00.000+08:00",
        },
        {
          ...none,
          uri: "two.ts",
          sequence: 42,
          durationMs: 6000,
          discontinuity: true,
          range: { from: 500, bytes: 1000 },
        },
        { ...none, uri: "two.ts", sequence: 43, durationMs: 6000, range: { from: 1500, bytes: 700 } },
        { ...none, uri: "three.ts", sequence: 44, durationMs: 500, gap: true, encrypted: "AES-128" },
        {
          ...none,
          uri: "four.m4s",
          sequence: 45,
          durationMs: 2000,
          map: { uri: "init.mp4", range: { from: 0, bytes: 720 } },
        },
      ],
    });
  });

  test("of variants: the lightest with a picture is taken, or else the lightest", () => {
    const master = readPlaylist(
      [
        "#EXTM3U",
        '#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"',
        "sound.m3u8",
        '#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1920x1080,CODECS="avc1.640028,mp4a.40.2"',
        "large.m3u8",
        "#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=500000",
        "small.m3u8",
      ].join("\n"),
    );
    if (master.kind !== "master") throw new Error("no master playlist");
    expect(lightest(master).uri).toBe("small.m3u8");
    expect(lightest({ kind: "master", variants: master.variants.slice(0, 1) }).uri).toBe("sound.m3u8");
  });

  test.each([
    ["nothing", ""],
    ["a web page", "<!doctype html><h1>It works</h1>"],
    ["no target duration", "#EXTM3U\n#EXTINF:2,\na.ts"],
    ["a segment without EXTINF", "#EXTM3U\n#EXT-X-TARGETDURATION:2\na.ts"],
    ["a sequence that is no number", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1e99"],
    ["a segment of a day", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:86400,\na.ts"],
    ["a segment of less than nothing", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:-1,\na.ts"],
    ["a range of nothing", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n#EXT-X-BYTERANGE:x\na.ts"],
    ["a line without end", `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT${"x".repeat(20_000)}`],
  ])("that has %s is none", (_, text) => {
    expect(() => readPlaylist(text)).toThrow(expect.objectContaining({ code: "STREAM_PROTOCOL" }));
  });

  test("of any text is read or refused, and never long", () => {
    const line = fc.oneof(
      fc.constantFrom(
        "#EXTINF:2,",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-ENDLIST",
        "a.ts",
        "#EXT-X-KEY:",
      ),
      fc.string({ maxLength: 60 }),
      fc.string({ maxLength: 30 }).map((text) => `#EXT-X-BYTERANGE:${text}`),
      fc.string({ maxLength: 30 }).map((text) => `#EXT-X-STREAM-INF:${text}`),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 400 }), (lines) => {
        try {
          const playlist = readPlaylist(["#EXTM3U", ...lines].join("\n"));
          if (playlist.kind === "media") expect(playlist.segments.length).toBeLessThanOrEqual(64);
        } catch (cause) {
          expect(cause).toBeInstanceOf(Failure);
        }
      }),
    );
  });
});

const list = (first: number, count: number, more = ""): MediaPlaylist =>
  media(
    [
      "#EXT-X-TARGETDURATION:2",
      `#EXT-X-MEDIA-SEQUENCE:${first}`,
      ...Array.from({ length: count }, (_, i) => `#EXTINF:2,\n${first + i}.ts${more}`),
    ].join("\n"),
  );

describe("the live edge", () => {
  const took = (edge: LiveEdge, playlist: MediaPlaylist, now: number) => {
    const { fresh, skippedMs, restarted } = edge.take(playlist, now);
    return { fresh: fresh.map(({ sequence }) => sequence), skippedMs, restarted };
  };

  test("tells what is new since the first playlist, once", () => {
    const edge = new LiveEdge(list(10, 3), 0);
    expect(took(edge, list(10, 3), 1000)).toEqual({ fresh: [], skippedMs: 0, restarted: false });
    expect(took(edge, list(11, 3), 2000)).toEqual({ fresh: [13], skippedMs: 0, restarted: false });
    expect(took(edge, list(11, 3), 3000).fresh).toEqual([]);
    expect(edge.advancedAt).toBe(2000);
    expect(took(edge, list(13, 3), 4000).fresh).toEqual([14, 15]);
  });

  test("leaves out what lay waiting for longer, and says how much", () => {
    const edge = new LiveEdge(list(10, 3), 0);
    expect(took(edge, list(13, 5), 9000)).toEqual({ fresh: [15, 16, 17], skippedMs: 4000, restarted: false });
    expect(took(edge, list(20, 2), 20_000)).toEqual({ fresh: [20, 21], skippedMs: 4000, restarted: false });
  });

  test("takes an older playlist, out of a cache, for no life", () => {
    const edge = new LiveEdge(list(10, 3), 0);
    for (let now = 1000; now < 20_000; now += 1000) {
      expect(took(edge, list(now % 2000 === 0 ? 10 : 8, 3), now).fresh).toEqual([]);
      expect(took(edge, list(2, 3), now).fresh).toEqual([]);
    }
    expect(edge.advancedAt).toBeLessThanOrEqual(1000);
  });

  test("follows an encoder that begins anew once its playlist has advanced", () => {
    const edge = new LiveEdge(list(100, 3), 0);
    expect(took(edge, list(0, 1), 5000).fresh).toEqual([]);
    expect(edge.advancedAt).toBe(5000);
    expect(took(edge, list(0, 2), 7000)).toEqual({ fresh: [1], skippedMs: 0, restarted: true });
    expect(took(edge, list(0, 3), 9000)).toEqual({ fresh: [2], skippedMs: 0, restarted: false });
  });
});
