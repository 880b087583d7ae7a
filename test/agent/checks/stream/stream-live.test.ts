import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Judge, Judged, Verdict } from "../../../../agent/checks/check.ts";
import { streams } from "../../../../agent/checks/stream/stream.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { checkPorts } from "../../../kit/check-ports.ts";
import { clip } from "../../../kit/stream/clips.ts";
import { GST_USER, needsEncoder, needsGst, rtpEncoder, startGst } from "../../../kit/stream/gst.ts";
import { tempFolder } from "../../../kit/temp.ts";

const never = new AbortController().signal;

/** The check at work on this machine, asked ten times a second until a subject's verdict fits. */
class Live implements Disposable {
  readonly #folder = tempFolder("vigil-stream");
  readonly #judge: Judge;
  last: readonly Verdict[] = [];

  constructor(target: Record<string, unknown>) {
    const config = streams.Config.parse({ targets: [{ name: "main", picture: { enabled: false }, ...target }] });
    const judge = streams.begin(config, checkPorts(this.#folder.path));
    if (judge === undefined) throw new Error("not present");
    this.#judge = judge;
  }
  async until(what: string, fits: (verdict: Judged) => boolean, withinMs: number): Promise<Judged> {
    for (const end = performance.now() + withinMs; performance.now() < end; await systemClock.sleep(100)) {
      this.last = await this.#judge.judge(never);
      const [one] = this.last;
      if (one?.state === "judged" && fits(one)) return one;
    }
    throw new Error(`not within ${withinMs} ms: ${what}; last ${JSON.stringify(this.last)}`);
  }
  [Symbol.dispose](): void {
    this.#judge.close?.();
    this.#folder[Symbol.dispose]();
  }
}

const well = ({ grade }: Judged): boolean => grade === "ok";
const reasonIs =
  (reason: string) =>
  (verdict: Judged): boolean =>
    verdict.reason === reason && verdict.grade !== "ok";

describe.skipIf(needsGst() || needsEncoder())("a real server", () => {
  test.concurrent("an encoder that hangs with every port open is no media, at the encoder, and well again when it goes on", {
    timeout: 60_000,
  }, async () => {
    await using server = await startGst();
    await using encoder = rtpEncoder(clip("move"), server.forwardPort);
    using live = new Live({ type: "rtsp", url: server.url("fwd"), at: "forwarder" });
    const first = await live.until("it is well", well, 20_000);
    expect(first.readings).toMatchObject({ gapless_pct: 100, loss_pct: 0 });

    process.kill(encoder.pid, "SIGSTOP");
    const dead = await live.until("no media", reasonIs("no_media"), 20_000);
    expect(dead.title).toEqual({ zh: "视频流无媒体数据（编码器）", en: "Stream brings no media (encoder)" });
    expect(dead.says).toMatch(/no video frame for \d+\.\d s after \d+ frames/);
    process.kill(encoder.pid, "SIGCONT");
    await live.until("it is well again", well, 20_000);
    expect(server.count("describe")).toBe(1);
    expect(server.sessions()).toBe(1);
  });
  test.concurrent("that ends the check hears TEARDOWN, and has no session left", { timeout: 30_000 }, async () => {
    await using server = await startGst();
    const live = new Live({ type: "rtsp", url: server.url("h264") });
    await live.until("it is well", well, 15_000);
    live[Symbol.dispose]();
    await server.until((one) => one.count("teardown") === 1 && one.sessions() === 0);
  });

  test.concurrent("that is killed is refused within seconds, at the encoder", { timeout: 30_000 }, async () => {
    await using server = await startGst();
    using live = new Live({ type: "rtsp", url: server.url("h264") });
    await live.until("it is well", well, 15_000);
    await server.kill9();
    const gone = await live.until("it is refused", reasonIs("refused"), 15_000);
    expect(gone).toMatchObject({ grade: "major", title: { en: "Stream server refuses the connection (encoder)" } });
  });

  test.concurrent("that refuses our password is asked with it once, and no verdict has it", {
    timeout: 30_000,
  }, async () => {
    using folder = tempFolder("vigil-password");
    const passwordFile = join(folder.path, "password");
    writeFileSync(passwordFile, "wr0ng-one\n", { mode: 0o600 });
    await using server = await startGst({ auth: "digest" });
    using live = new Live({ type: "rtsp", url: server.url("h264"), user: GST_USER.user, passwordFile });
    const refused = await live.until("it is refused", reasonIs("auth"), 10_000);
    await systemClock.sleep(3_000); // time for a try that must not be made
    expect(server.count("describe", true)).toBeLessThanOrEqual(1);
    expect(JSON.stringify(live.last)).not.toContain("wr0ng-one");
    expect(refused.title?.zh).toBe("视频流认证失败（编码器）");

    writeFileSync(passwordFile, `${GST_USER.password}\n`, { mode: 0o600 });
    await live.until("it is let in once the file is right", well, 25_000);
  });
});
