import { beforeAll, describe, expect, test } from "vitest";
import { clip, needsClips } from "../kit/stream/clips.ts";
import { needsEncoder, needsGst } from "../kit/stream/gst.ts";
import { type FaultCase, runCase } from "../kit/stream/matrix.ts";
import { RTSP_CASES } from "../kit/stream/matrix-rtsp.ts";
import { SERVER_CASES } from "../kit/stream/matrix-servers.ts";

/**
 * A few faults of the matrix (npm run test:streams) before the whole check: each server once. How fast is the matrix's to
 * say, on a machine at rest; and so are pictures, whose decoder stands behind everything else that runs.
 */

const SMOKE = [
  "encoder hung, port open",
  "VLC hung (461 for TCP, so RTP over UDP)",
  "RTMP publisher killed",
  "RTMP publisher killed, m3u8 stale with 200",
  "HTTP-FLV out of the GOP cache",
];

const all: readonly FaultCase[] = [...RTSP_CASES, ...SERVER_CASES];
const cases = SMOKE.flatMap((name) => all.find((one) => one.name === name) ?? []);

beforeAll(() => {
  if (needsClips() || needsGst() || needsEncoder()) return;
  clip("move");
  for (const { prepare } of cases) prepare?.();
}, 120_000);

test("every case of the smoke set is one of the matrix", () => {
  expect(cases.map(({ name }) => name)).toEqual(SMOKE);
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
});

describe("a fault on a real server is told, as one cause at its hop, and clears", () => {
  for (const one of cases)
    test.skipIf(one.skip()).concurrent(one.name, { timeout: 90_000 }, async () => {
      const course: string[] = [];
      const { wrong } = await runCase({ ...one, wellMs: 2_000 }, (line) => course.push(line));
      expect(
        wrong.filter((words) => !words.endsWith("too late")),
        course.join("\n"),
      ).toEqual([]);
    });
});
