import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { TargetConfig } from "../../../../agent/checks/stream/config.ts";
import { NOTHING_LEARNT } from "../../../../agent/checks/stream/learn.ts";
import { LearnStore, learntAs } from "../../../../agent/checks/stream/learn-store.ts";
import { folderAt } from "../../../../platform/files.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { tempFolder } from "../../../kit/temp.ts";

const target = (more: object) =>
  TargetConfig.parse({ name: "main", type: "rtsp", url: "rtsp://10.0.0.5/main", ...more });

describe("what is usual is of one stream", () => {
  test("which another one under its name, or another name for it, is not; how it is judged changes nothing", () => {
    const one = learntAs(target({}));
    const others = [
      target({ url: "rtsp://10.0.0.5/sub" }),
      target({ url: "rtsp://10.0.0.6/main" }),
      target({ name: "sub" }),
      target({ type: "flv", url: "http://10.0.0.5/main.flv" }),
      TargetConfig.parse({ name: "main", type: "ts", listen: { port: 5_000 } }),
      TargetConfig.parse({ name: "main", type: "ts", listen: { port: 5_001 } }),
      TargetConfig.parse({ name: "main", type: "gb28181", media: { listen: { port: 5_000 } } }),
      TargetConfig.parse({ name: "main", type: "gb28181", media: { listen: { port: 5_000 }, ssrc: 7 } }),
      TargetConfig.parse({ name: "main", type: "srt", statsFile: "/run/a.json" }),
      TargetConfig.parse({ name: "main", type: "srt", statsFile: "/run/b.json" }),
    ].map(learntAs);
    expect(new Set([one, ...others]).size).toBe(others.length + 1);
    expect(learntAs(target({ class: "presentation", transport: "udp", severity: "minor", mode: "sampled" }))).toBe(one);
  });

  test("whose address, which may carry a token, is not written down", () => {
    expect(learntAs(target({ url: "rtsp://10.0.0.5/main?token=s3cret" }))).not.toMatch(/s3cret|10\.0/);
  });
});

test.each([
  ["torn", '{"main@'],
  ["not ours", "[1,2,3]"],
  ["of numbers", '{"main":7}'],
  ["far too long", `{"main":"${"x".repeat(400_000)}"}`],
  ["full of zeros", "\0".repeat(4_096)],
])("a file that is %s is as none", async (_, text) => {
  using folder = tempFolder("vigil-learnt");
  writeFileSync(join(folder.path, "streams.json"), text);
  const store = await LearnStore.open(folderAt(folder.path), new HandClock());
  expect(store.learner("main").learnt).toEqual(NOTHING_LEARNT);
  expect(store.osd("main", () => undefined)).toBeUndefined();
});
