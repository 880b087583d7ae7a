import { expect, test } from "vitest";
import { readingsOf, verdictOf } from "../../../../agent/checks/stream/verdict.ts";
import { Scene } from "../../../kit/stream/scene.ts";

test("an alarm is held by the worse of what is and of what may yet be", () => {
  const fault = { state: "degraded", reason: "loss", hop: "network", severity: "minor", says: "2 %" } as const;
  expect(verdictOf("main", fault, {}, 1)).toMatchObject({ grade: "minor", holds: "minor" });
  expect(verdictOf("main", { ...fault, holds: "ok" }, {}, 1)).toMatchObject({ grade: "minor", holds: "minor" });
  expect(verdictOf("main", { ...fault, holds: "critical" }, {}, 1)).toMatchObject({
    grade: "minor",
    holds: "critical",
  });
});

test("a picture that stands still is said to, though all is well", () => {
  const says = "video lives: H264";
  expect(verdictOf("main", { state: "still", says }, {}, 1)).toMatchObject({
    grade: "ok",
    reason: "ok",
    says: `the picture stands still: ${says}`,
  });
});

test("readings are finite numbers by names that end in their units, and what was not measured is left out", () => {
  const figures = new Scene({ audio: true }).run(20).figures();
  const readings = readingsOf(figures);
  expect(readings).toMatchObject({ gop_ms: 2_000, width_px: 1_920, height_px: 1_080, loss_pct: 0, clock_pct: 100 });
  for (const name of Object.keys(readings)) expect(name).toMatch(/_(ms|hz|pct|px|kbps|count)$|^kbps$/);
  const [video] = figures.tracks;
  if (video === undefined) throw new Error("no track");
  const odd = { ...figures, tracks: [{ ...video, kbps: Number.NaN, fps: Number.POSITIVE_INFINITY }] };
  expect(readingsOf(odd)).not.toHaveProperty("kbps");
  expect(readingsOf(odd)).not.toHaveProperty("frames_hz");
  expect(readingsOf({ ...figures, tracks: [] })).toEqual({});
});
