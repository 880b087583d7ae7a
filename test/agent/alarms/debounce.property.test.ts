import fc from "fast-check";
import { expect, test } from "vitest";
import { GRADES, type Grade, rank, worse } from "../../../protocol/severity.ts";
import { Device, disk, judged, MIN, S, unknown } from "./kit.ts";

type Seen = { at: number } & (
  | { state: "judged"; grade: Grade; holds: Grade }
  | { state: "unknown" | "failed" | "gone" | "restart" }
);
type Act = { afterMs: number; seen: Seen };

const grade = fc.constantFrom(...GRADES);
/** A grade and what still holds it: well and in fault about equally often, and sometimes between the thresholds. */
const grades = fc.oneof(
  fc.constant({ grade: "ok" as Grade, holds: "ok" as Grade }),
  fc.tuple(grade, grade).map(([raise, held]) => ({ grade: raise, holds: worse(raise, held) })),
);
const act = fc
  .record({
    afterMs: fc.integer({ min: 1, max: 40 }).map((s) => s * S),
    state: fc.oneof(
      { weight: 12, arbitrary: fc.constant("judged" as const) },
      { weight: 2, arbitrary: fc.constantFrom("unknown" as const, "failed" as const, "gone" as const) },
    ),
    grades,
    times: fc.integer({ min: 1, max: 6 }),
  })
  .map(({ afterMs, state, grades: judgedAs, times }): Act[] => {
    const seen: Seen = state === "judged" ? { at: 0, state, ...judgedAs } : { at: 0, state };
    return Array.from({ length: times }, () => ({ afterMs, seen }));
  });
const acts = fc.array(act, { maxLength: 40 }).map((groups) => groups.flat());
const restart: Act = { afterMs: 0, seen: { at: 0, state: "restart" } };
/** The same with restarts of the agent anywhere between. */
const actsWithRestarts = fc
  .tuple(acts, fc.array(fc.nat(), { maxLength: 5 }))
  .map(([plain, places]) => places.reduce((all, place) => all.toSpliced(place % (all.length + 1), 0, restart), plain));

/** Plays the acts on one subject; `each` looks at every round with the history so far (in time that never starts anew). */
function play(all: readonly Act[], each?: (device: Device, history: readonly Seen[], told: number) => void): Device {
  const device = new Device();
  const history: Seen[] = [];
  let at = 0;
  for (const { afterMs, seen } of all) {
    device.wait(afterMs);
    at += afterMs;
    history.push({ ...seen, at });
    const before = device.told.length;
    if (seen.state === "judged") device.round([judged("/", seen.grade, { holds: seen.holds })]);
    else if (seen.state === "unknown") device.round([unknown("/")]);
    else if (seen.state === "gone") device.round([]);
    else if (seen.state === "failed") device.fail("EIO");
    else device.restart();
    each?.(device, history, before);
  }
  return device;
}

const ofDisk = (device: Device, from = 0) =>
  device.told.slice(from).flatMap(({ code, body }) => (code === "disk.root" ? [body] : []));

/** For how long without a break the subject was judged to be at `level` or worse; time nobody could tell does not count. */
function badFor(history: readonly Seen[], level: number): number {
  let sum = 0;
  for (let i = history.length - 1; i >= 0; i -= 1) {
    const seen = history[i];
    if (seen === undefined || seen.state === "gone" || seen.state === "restart") break;
    if (seen.state === "judged" && rank(seen.grade) < level) break;
    const next = history[i + 1];
    if (seen.state === "judged" && next !== undefined) sum += next.at - seen.at;
  }
  return sum;
}

/** For how long without a break it was known not to hold; -1 when it is not so now. */
function wellFor(history: readonly Seen[]): number {
  const broken = history.findLastIndex(
    (seen) => !(seen.state === "gone" || (seen.state === "judged" && seen.holds === "ok")),
  );
  const first = history[broken + 1];
  const last = history.at(-1);
  return first === undefined || last === undefined ? -1 : last.at - first.at;
}

test("nothing is raised before its hold-on, nothing cleared before its hold-off, and neither is missed", () => {
  fc.assert(
    fc.property(actsWithRestarts, (all) => {
      let wasActive = false;
      play(all, (device, history, told) => {
        const [body, ...more] = ofDisk(device, told);
        expect(more).toEqual([]);
        const last = device.journal.get("disk.root")?.body;
        const active = last?.active ?? false;
        if (body?.kind === "raised") expect(badFor(history, rank(body.severity))).toBeGreaterThanOrEqual(disk.holdOnMs);
        if (body?.kind === "cleared") expect(wellFor(history)).toBeGreaterThanOrEqual(disk.holdOffMs);
        const judgedNow = history.at(-1)?.state === "judged";
        if (!active && judgedNow) expect(badFor(history, 1)).toBeLessThan(disk.holdOnMs);
        if (active && last?.flapping !== true) expect(wellFor(history)).toBeLessThan(disk.holdOffMs);
        if (body === undefined) expect(active).toBe(wasActive);
        wasActive = active;
      });
    }),
    { numRuns: 400 },
  );
});

test("raises and clears of a code take turns, a change comes only between them, and each tells something new", () => {
  fc.assert(
    fc.property(actsWithRestarts, (all) => {
      const bodies = ofDisk(play(all));
      bodies.forEach((body, i) => {
        const before = bodies[i - 1];
        expect(body.kind === "raised").toBe(before === undefined || !before.active);
        expect(body.active).toBe(body.kind !== "cleared");
        if (body.kind === "changed")
          expect([body.severity, body.reason, body.flapping]).not.toEqual([
            before?.severity,
            before?.reason,
            before?.flapping,
          ]);
        if (before?.active) expect(body.since).toBe(before.since);
      });
    }),
    { numRuns: 400 },
  );
});

test("a bounce shorter than the hold times is no event, wherever it falls", () => {
  const bounce = fc.record({ grade, forS: fc.integer({ min: 1, max: 29 }), quietS: fc.integer({ min: 1, max: 59 }) });
  fc.assert(
    fc.property(fc.boolean(), fc.array(bounce, { maxLength: 20 }), (inAlarm, bounces) => {
      const device = new Device();
      if (inAlarm) device.keep(40 * S, [judged("/", "major")]);
      const told = device.told.length;
      for (const { grade: other, forS, quietS } of bounces) {
        const base = inAlarm ? "major" : "ok";
        // in alarm: shortly milder; well: shortly in any fault
        const short = inAlarm && rank(other) > rank("major") ? "ok" : other;
        device.keep(forS * S, [judged("/", short)], { stepMs: S });
        device.keep(quietS * S, [judged("/", base)], { stepMs: S });
      }
      expect(device.told.slice(told)).toEqual([]);
    }),
  );
});

test("whatever happened, long steady news always wins: restarts forget no alarm and keep none for ever", () => {
  fc.assert(
    fc.property(actsWithRestarts, grade, (all, end) => {
      const device = play([...all, restart]);
      device.keep(90 * MIN, [judged("/", end)]);
      const active = [...device.journal.values()].filter(({ body }) => body.active);
      expect(active.map(({ code, body }) => [code, body.severity, body.flapping])).toEqual(
        end === "ok" ? [] : [["disk.root", end, undefined]],
      );
      device.restart();
      expect(device.keep(10 * MIN, [judged("/", end)])).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

test("as long as nobody can tell, no alarm of a subject clears or rises", () => {
  fc.assert(
    fc.property(actsWithRestarts, fc.array(fc.boolean(), { maxLength: 100 }), (all, dark) => {
      const device = play(all);
      const told = device.told.length;
      for (const whole of dark) {
        device.wait(30 * S);
        if (whole) device.fail("EIO");
        else device.round([unknown("/")]);
      }
      expect(ofDisk(device, told)).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

test("when the wall clock shows does not matter to what is told", () => {
  fc.assert(
    fc.property(acts, fc.array(fc.integer({ min: 0, max: 4e12 })), (all, walls) => {
      const straight = play(all);
      let turn = 0;
      const jumping = play(all, (device) => {
        device.wall = walls[turn++ % Math.max(1, walls.length)] ?? device.wall;
      });
      const plain = (device: Device) => device.told.map(({ code, body: { since: _since, ...rest } }) => [code, rest]);
      expect(plain(jumping)).toEqual(plain(straight));
    }),
    { numRuns: 100 },
  );
});
