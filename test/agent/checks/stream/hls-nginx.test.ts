import { afterEach, describe, expect, test } from "vitest";
import { playHls } from "../../../../agent/checks/stream/hls/play.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { clip, clipFacts, needsClips } from "../../../kit/stream/clips.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { type Nginx, needsNginx, startNginx } from "../../../kit/stream/nginx.ts";
import { publish } from "../../../kit/stream/publish.ts";

const SMALL = { width: 320, height: 180, seconds: 6, gop: 25, bframes: 0, audio: "aac" } as const;
const open: (() => PromiseLike<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

/** The first playlist stands as soon as the first fragment is closed. */
async function listed(nginx: Nginx): Promise<string> {
  const url = nginx.hls("cam");
  for (;;) {
    const answer = await fetch(url);
    const text = await answer.text();
    if (answer.ok && text.includes("#EXTINF")) return url;
    await systemClock.sleep(50);
  }
}

describe.skipIf([needsNginx(), needsClips()].includes(true))("HLS of nginx", () => {
  test("lives while it is published, and is stale at 200 once the publisher is killed", async () => {
    const path = clip("move", SMALL);
    const nginx = await startNginx({ hlsFragmentSeconds: 1 });
    open.push(() => nginx[Symbol.asyncDispose]());
    const publisher = publish(path, nginx.rtmp("cam"));
    open.push(() => publisher[Symbol.asyncDispose]());
    const url = await listed(nginx);
    const heard = new Heard();
    const cut = new AbortController();
    const ended = playHls({ url }, sessionOf(heard, systemClock, cut.signal));
    open.push(async () => cut.abort());
    let over = false;
    void ended.catch(() => {
      over = true;
    });
    const video = (): number => heard.tracks.findIndex((one) => one?.track?.kind === "video");
    await heard.until(() => video() >= 0 && heard.of(video()).frames.length >= 60);
    const { formats, keys, frames } = heard.of(video());
    const facts = clipFacts(path);
    expect(formats).toMatchObject([{ codec: "H264", width: facts.width, height: facts.height }]);
    expect(keys).toBeGreaterThanOrEqual(2);
    expect(keys).toBeLessThanOrEqual(Math.ceil(frames.length / 25) + 1);
    const span = ((frames.at(-1)?.stamp ?? 0) - (frames[0]?.stamp ?? 0)) / 90;
    expect(Math.abs(span - (frames.length - 1) * 40)).toBeLessThan(100);
    expect(over).toBe(false);
    await publisher.kill9();
    await expect(ended).rejects.toMatchObject({ code: "STREAM_ENDED", facts: { how: "stale" } });
    expect((await fetch(url)).status).toBe(200);
    const again = new Heard();
    await expect(playHls({ url }, sessionOf(again, systemClock))).rejects.toMatchObject({ facts: { how: "stale" } });
    expect(again.tracks.flatMap((one) => one?.frames ?? [])).toEqual([]);
  });

  test("of a name that nobody publishes is 404", async () => {
    const nginx = await startNginx();
    open.push(() => nginx[Symbol.asyncDispose]());
    const nobody = playHls({ url: nginx.hls("nobody") }, sessionOf(new Heard(), systemClock));
    await expect(nobody).rejects.toMatchObject({ code: "STREAM_STATUS", facts: { status: 404 } });
  });
});
