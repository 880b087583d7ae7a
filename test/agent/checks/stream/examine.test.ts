import { describe, expect, test } from "vitest";
import { TargetConfig } from "../../../../agent/checks/stream/config.ts";
import { examinerFor } from "../../../../agent/checks/stream/examine.ts";
import { Learner } from "../../../../agent/checks/stream/learn.ts";
import { isPlayed } from "../../../../agent/checks/stream/open.ts";
import type { PassiveFacts } from "../../../../agent/checks/stream/passive.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { Traffic } from "../../../kit/stream/traffic.ts";

function rig(more: object = {}, clock = new HandClock()) {
  const target = TargetConfig.parse({ name: "main", type: "rtsp", url: "rtsp://10.0.0.5/main", ...more });
  if (!isPlayed(target)) throw new Error("not played");
  const examiner = examinerFor(target, new Learner(), clock);
  const begin = (): Traffic => {
    const sink = examiner.begin();
    sink.step("connected", 5);
    sink.step("playing", 5);
    return new Traffic(sink, { startedAt: clock.now() + 20 });
  };
  const play = async (traffic: Traffic, seconds: number) => {
    for (let i = 0; i < seconds * 2; i += 1) {
      await clock.wind(500);
      traffic.playTo(clock.now());
      examiner.conclude();
    }
    return examiner.conclude();
  };
  return { clock, examiner, begin, play };
}
const refused = new Failure("DIAL_REFUSED", "10.0.0.5:554: nothing listens there");

test("how bad a dead stream is, is the config's", () => {
  expect(rig({ severity: "critical" }).examiner.failed(refused).severity).toBe("critical");
  expect(rig({ severity: "minor" }).examiner.failed(refused).severity).toBe("minor");
});

test("a fault says when the stream was well last, and no more when it never was", async () => {
  const { clock, examiner, begin, play } = rig();
  expect(examiner.failed(refused).says).not.toContain("last well");
  await play(begin(), 20);
  examiner.end();
  await clock.wind(30_000);
  expect(examiner.failed(refused).says).toMatch(/last well 30 s ago$/);
  await clock.wind(30_000);
  expect(examiner.failed(refused).says).toMatch(/last well 60 s ago$/);
});

test("what a failure said stays said till the next session plays", async () => {
  const { examiner } = rig();
  const unread = new Failure("STREAM_UNSUPPORTED", "nothing in it that we can read");
  expect(examiner.failed(unread)).toMatchObject({ state: "unknown", says: "nothing in it that we can read" });
  const sink = examiner.begin();
  expect(examiner.conclude().says).toBe("nothing in it that we can read");
  sink.step("playing", 5);
  expect(examiner.conclude().says).toMatch(/^it plays for/);
});

describe("two looks at counters", () => {
  const facts = (at: number, inBytes: number): PassiveFacts => ({
    at,
    inBytes,
    fed: true,
    says: `${inBytes} bytes in`,
  });

  test("closer together than 2 s tell nothing; the first of them stays to compare with", () => {
    const { examiner } = rig({ type: "rtmp", url: "rtmp://10.0.0.5/live/main" });
    examiner.looked(facts(0, 0));
    examiner.looked(facts(1_000, 0));
    expect(examiner.conclude().state).toBe("unknown");
    examiner.looked(facts(3_500, 0));
    expect(examiner.conclude()).toMatchObject({ reason: "no_media", value: 3_500 });
  });

  test("are begun anew after one that failed", () => {
    const { examiner } = rig({ type: "rtmp", url: "rtmp://10.0.0.5/live/main" });
    examiner.looked(facts(0, 0));
    examiner.looked(undefined);
    examiner.looked(facts(4_000, 0));
    expect(examiner.conclude().state).toBe("unknown");
  });
});
