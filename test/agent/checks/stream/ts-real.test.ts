import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { playTsUdp } from "../../../../agent/checks/stream/ts/play.ts";
import { TsReader } from "../../../../agent/checks/stream/ts/reader.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { startChild } from "../../../kit/child.ts";
import { needs, programPath } from "../../../kit/peers.ts";
import { freePort } from "../../../kit/ports.ts";
import { type ClipWish, clip, clipFacts, needsClips } from "../../../kit/stream/clips.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";

const SMALL = { width: 320, height: 180, seconds: 6 } as const;

describe.skipIf(needsClips())("a clip", () => {
  test.each<[string, Partial<ClipWish>]>([
    ["H.264", {}],
    ["H.265", { codec: "h265" }],
    ["H.264 with B-frames and sound", { bframes: 2, audio: "aac" }],
    ["H.265 with B-frames and sound", { codec: "h265", bframes: 3, audio: "aac" }],
    ["of a varying rate", { vfr: true, audio: "aac" }],
  ])("%s has the frames, keyframes, size and stamps that ffprobe finds", (_, wish) => {
    const path = clip("move", { ...SMALL, ...wish });
    const facts = clipFacts(path);
    const bytes = readFileSync(path);
    for (const step of [65_536, 1316, 7]) {
      const heard = new Heard();
      heard.wants = 1;
      const reader = new TsReader(heard);
      for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step), 0);
      reader.flush(0);
      const video = heard.of(0);
      expect(video.frames.length).toBe(facts.frames);
      expect(video.keys).toBe(facts.keyframes);
      expect(video.formats).toMatchObject([
        { codec: facts.codec === "h264" ? "H264" : "H265", width: facts.width, height: facts.height },
      ]);
      expect(video.stamps.map((stamp) => Math.round(stamp / 90))).toEqual(
        facts.stamps.map((s) => Math.round(s * 1000)),
      );
      // ours are without start codes: 3 or 4 bytes for each of a few NAL units
      video.frames.forEach(({ size }, i) => {
        const less = (facts.sizes[i] ?? 0) - size;
        expect(less).toBeGreaterThanOrEqual(3);
        expect(less).toBeLessThan(64);
      });
      expect(video.pictures).toHaveLength(1);
      expect(heard.tracks[1]?.track?.codec).toBe(wish.audio === "aac" ? "AAC" : undefined);
      if (wish.audio === "aac") expect(heard.of(1).frames.length).toBeGreaterThan(10);
      expect(reader.counts).toMatchObject({ continuity: 0, duplicates: 0, damaged: 0, syncs: 0 });
      expect(heard.tracks.flatMap((track) => track.odd)).toEqual([]);
    }
  });
});

describe.skipIf(needsClips())("over UDP", () => {
  const cuts: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const cut of cuts.splice(0)) await cut();
  });

  async function listen(): Promise<{ heard: Heard; port: number; ended: Promise<void>; stop: () => void }> {
    const port = await freePort();
    const heard = new Heard();
    const cut = new AbortController();
    const ended = playTsUdp({ host: "127.0.0.1", port }, sessionOf(heard, systemClock, cut.signal));
    cuts.push(async () => {
      cut.abort();
      await ended.catch(() => {});
    });
    await heard.until(() => heard.steps.includes("playing"));
    return { heard, port, ended, stop: () => cut.abort() };
  }

  test("all of a clip comes as ffmpeg sends it", async () => {
    const path = clip("move", { ...SMALL, seconds: 2, bframes: 2 });
    const { heard, port, ended, stop } = await listen();
    const words = ["-v", "error", "-nostdin", "-re", "-i", path, "-c", "copy", "-f", "mpegts"];
    const sender = startChild(programPath("ffmpeg"), [...words, `udp://127.0.0.1:${port}?pkt_size=1316`]);
    cuts.push(() => sender.kill9());
    const facts = clipFacts(path);
    // the last one waits for its successor
    await heard.until(() => heard.of(0).frames.length >= facts.frames - 1);
    expect(heard.of(0).formats).toMatchObject([{ codec: "H264", width: 320, height: 180 }]);
    expect(heard.of(0).counts).toMatchObject({ lost: 0 });
    expect(heard.steps).toEqual(["connected", "playing"]);
    stop();
    await expect(ended).resolves.toBeUndefined();
  });

  test.skipIf(needs("srt-live-transmit", "srt-tools"))("what srt-live-transmit hands on is read", async () => {
    const path = clip("move", { ...SMALL, codec: "h265", seconds: 2 });
    const { heard, port } = await listen();
    const srt = await freePort();
    const relay = startChild(programPath("srt-live-transmit"), [
      "-q",
      `srt://127.0.0.1:${srt}?mode=listener`,
      `udp://127.0.0.1:${port}`,
    ]);
    cuts.push(() => relay.kill9());
    const words = ["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", path, "-c", "copy", "-f", "mpegts"];
    const sender = startChild(programPath("ffmpeg"), [...words, `srt://127.0.0.1:${srt}?mode=caller`]);
    cuts.push(() => sender.kill9());
    await heard.until(() => heard.of(0).frames.length >= 30);
    expect(heard.of(0).formats).toMatchObject([{ codec: "H265", width: 320, height: 180 }]);
    expect(heard.of(0).keys).toBeGreaterThan(0);
  });

  test("a port that another has, and what is no transport stream, are failures", async () => {
    const { heard, port, ended } = await listen();
    const second = playTsUdp({ host: "127.0.0.1", port }, sessionOf(new Heard(), systemClock));
    await expect(second).rejects.toMatchObject({ code: "DIAL_LOCAL", facts: { errno: "EADDRINUSE" } });
    const socket = createSocket("udp4");
    const refused = expect(ended).rejects.toMatchObject({ code: "STREAM_PROTOCOL" });
    let over = false;
    void ended.catch(() => {
      over = true;
    });
    while (!over) {
      socket.send(Buffer.alloc(1400, 7), port, "127.0.0.1");
      await new Promise((turn) => setImmediate(turn));
    }
    await refused;
    socket.close();
    expect(heard.tracks).toEqual([]);
  });
});
