import { describe, expect, test } from "vitest";
import type { Verdict } from "../../../agent/alarms/debounce.ts";
import { retire } from "../../../agent/alarms/ledger.ts";
import { Device, disk, judged, MIN, S, unknown, WALL } from "./kit.ts";

test("a title of its own goes before the check's, with the reason it belongs to", () => {
  const device = new Device();
  const own = { title: { zh: "解码失败", en: "Decoder failed" } };
  device.keep(40 * S, [{ ...judged("/var", "major"), ...own }]);
  expect(device.last).toMatchObject({ title_zh: "解码失败", title_en: "Decoder failed" });
  device.keep(70 * S, [judged("/var", "ok")]);
  expect(device.last).toMatchObject({ active: false, title_en: "Disk space low" });
});

describe("hold times", () => {
  test("a fault is raised once it has lasted for the hold-on, dated at its beginning", () => {
    const device = new Device();
    device.round([judged("/var", "ok")]);
    expect(device.keep(30 * S, [judged("/var", "major")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/var", "major", { value: 3.1, says: "3.1 % free" })])).toEqual([
      "raised disk.var major",
    ]);
    expect(device.last).toMatchObject({
      since: WALL + 10 * S,
      subject: "/var",
      check: "disk",
      reason: "space",
      title_zh: "磁盘空间不足",
      title_en: "Disk space low",
      value: 3.1,
      unit: "%",
      says: "3.1 % free",
    });
    expect(device.keep(10 * MIN, [judged("/var", "major", { value: 2 })])).toEqual([]);
  });
  test("without a hold-on it is raised in the same round, without a hold-off it clears in the same round", () => {
    const device = new Device();
    const now = { ...disk, holdOnMs: 0, holdOffMs: 0 };
    expect(device.round([judged("/", "minor")], now)).toEqual(["raised disk.root minor"]);
    expect(device.wait(S).round([judged("/", "ok")], now)).toEqual(["cleared disk.root minor"]);
    expect(device.ledger.checks.get("disk")?.watches.get("/")?.told).toBeUndefined();
  });
  test("one good round while it is held on starts the hold-on anew", () => {
    const device = new Device();
    device.keep(30 * S, [judged("/", "major")]);
    device.keep(10 * S, [judged("/", "ok")]);
    expect(device.keep(30 * S, [judged("/", "major")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "major")])).toEqual(["raised disk.root major"]);
  });
  test("it clears only after the hold-off without a break, and says how bad it was", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/", "critical")]);
    expect(device.keep(60 * S, [judged("/", "ok")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "critical")])).toEqual([]);
    expect(device.keep(60 * S, [judged("/", "ok")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "ok", { reason: "inodes", value: 70 })])).toEqual([
      "cleared disk.root critical",
    ]);
    expect(device.last).toMatchObject({ active: false, reason: "space" });
    expect(device.last.value).toBeUndefined(); // 70 % of inodes is no figure of `space`
  });
  test("between the thresholds an alarm stays, and a subject that was well stays well", () => {
    const device = new Device();
    const between = [judged("/", "ok", { holds: "major" })];
    expect(device.keep(10 * MIN, between)).toEqual([]);
    device.keep(40 * S, [judged("/", "major")]);
    expect(device.keep(10 * MIN, between)).toEqual([]);
  });
  test("a wall clock set by years in the middle changes no hold time and no date", () => {
    const device = new Device();
    device.wall = 0; // 1970
    device.keep(20 * S, [judged("/", "major")]);
    device.wall = WALL;
    expect(device.keep(20 * S, [judged("/", "major")])).toEqual(["raised disk.root major"]);
    expect(device.last.since).toBe(WALL - 10 * S);
    device.wall = 0;
    expect(device.keep(60 * S, [judged("/", "ok")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "ok")])).toEqual(["cleared disk.root major"]);
  });
});

describe("severity and reason", () => {
  test("each level has its own hold-on: worse comes as a change, and the alarm keeps its date", () => {
    const device = new Device();
    device.keep(20 * S, [judged("/", "minor")]);
    expect(device.keep(20 * S, [judged("/", "critical")])).toEqual(["raised disk.root minor"]);
    expect(device.keep(20 * S, [judged("/", "critical")])).toEqual(["changed disk.root critical"]);
    expect(device.last.since).toBe(WALL + 10 * S);
  });
  test("a milder level is told after the hold-off, and then the clear says the milder one", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/", "critical")]);
    expect(device.keep(60 * S, [judged("/", "minor")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "minor", { reason: "inodes" })])).toEqual(["changed disk.root minor"]);
    expect(device.last.reason).toBe("inodes");
    expect(device.keep(70 * S, [judged("/", "ok")])).toEqual(["cleared disk.root minor"]);
  });
  test("another reason at the same severity is told once it has lasted for the hold-on; a new figure never is", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/", "major")]);
    expect(device.keep(30 * S, [judged("/", "major", { reason: "inodes" })])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "major")])).toEqual([]);
    expect(device.keep(40 * S, [judged("/", "major", { reason: "inodes", value: 2 })])).toEqual([
      "changed disk.root major",
    ]);
    expect(device.last).toMatchObject({ reason: "inodes", title_en: "Inodes low", value: 2, since: WALL + 10 * S });
    expect(device.keep(10 * MIN, [judged("/", "major", { reason: "inodes", value: 1 })])).toEqual([]);
  });
  test("a milder condition does not lend its reason to an alarm that only the hysteresis holds", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/", "major")]);
    expect(device.keep(10 * MIN, [judged("/", "minor", { holds: "major", reason: "inodes" })])).toEqual([]);
  });
});

describe("nobody can tell", () => {
  test("unknown keeps the alarm as it is and starts its hold-off anew", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/", "major")]);
    device.keep(60 * S, [judged("/", "ok")]);
    device.keep(10 * S, [unknown("/")]);
    expect(device.keep(60 * S, [judged("/", "ok")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "ok")])).toEqual(["cleared disk.root major"]);
  });
  test("the time nobody could tell does not count towards the hold-on", () => {
    const device = new Device();
    device.keep(20 * S, [judged("/", "major")]);
    device.keep(20 * S, [unknown("/")]);
    expect(device.keep(10 * S, [judged("/", "major")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "major")])).toEqual(["raised disk.root major"]);
    expect(device.last.since).toBe(WALL + 10 * S);
  });
  test("three times in a row are an alarm of their own, which the first verdict clears", () => {
    const device = new Device();
    const both = [unknown("/var"), judged("/", "ok")];
    expect(device.keep(20 * S, both)).toEqual([]);
    expect(device.keep(10 * S, both)).toEqual(["raised check.disk-var minor"]);
    expect(device.last).toMatchObject({
      check: "disk",
      subject: "/var",
      reason: "unknown",
      title_zh: "自检项无法执行",
      title_en: "check cannot run",
      says: "cannot read /proc/mounts: EIO",
      since: WALL + 10 * S,
    });
    expect(device.keep(10 * MIN, both)).toEqual([]);
    expect(device.keep(10 * S, [judged("/var", "major"), judged("/", "ok")])).toEqual(["cleared check.disk-var minor"]);
  });
  test("what is told again without being asked again counts once", () => {
    const device = new Device();
    const asked = (nth: number): Verdict[] => [{ ...unknown("/"), asked: nth } as Verdict, judged("/var", "ok")];
    expect(device.keep(10 * MIN, asked(0))).toEqual([]);
    expect(device.keep(10 * MIN, asked(1))).toEqual([]);
    expect(device.keep(10 * MIN, asked(2))).toEqual(["raised check.disk-root minor"]);
    expect(device.keep(10 * MIN, [judged("/", "ok")])).toEqual(["cleared check.disk-root minor"]);
    expect(device.keep(10 * MIN, asked(2))).toEqual([]);
  });
  test("a verdict between two unknowns starts the count anew", () => {
    const device = new Device();
    device.keep(20 * S, [unknown("/")]);
    device.keep(10 * S, [judged("/", "ok")]);
    expect(device.keep(20 * S, [unknown("/")])).toEqual([]);
    expect(device.keep(10 * S, [unknown("/")])).toEqual(["raised check.disk-root minor"]);
  });
  test("a check that failed as a whole says nothing about its subjects", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/", "major")]);
    const said: string[] = [];
    for (let i = 0; i < 30; i += 1) said.push(...device.wait(10 * S).fail("did not answer in 5000 ms"));
    expect(said).toEqual(["raised check.disk minor"]);
    expect(device.last).toMatchObject({ subject: "disk", says: "did not answer in 5000 ms" });
    expect(device.keep(60 * S, [judged("/", "ok")])).toEqual(["cleared check.disk minor"]);
    expect(device.keep(10 * S, [judged("/", "ok")])).toEqual(["cleared disk.root major"]);
  });
  test("a whole check that fails starts the hold-off of its subjects anew, and their hold-on waits", () => {
    const device = new Device();
    const said = device.keep(40 * S, [judged("/", "major"), judged("/var", "ok")]);
    device.keep(20 * S, [judged("/", "ok"), judged("/var", "minor")]);
    device.wait(10 * S).fail("EIO");
    said.push(...device.keep(10 * S, [judged("/", "ok"), judged("/var", "minor")]));
    expect(said).toEqual(["raised disk.root major"]);
    expect(device.keep(10 * S, [judged("/", "ok"), judged("/var", "minor")])).toEqual(["raised disk.var minor"]);
    expect(device.keep(40 * S, [judged("/", "ok"), judged("/var", "minor")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "ok"), judged("/var", "minor")])).toEqual(["cleared disk.root major"]);
  });
  test("a subject that could not be told and then vanished is no alarm any more", () => {
    const device = new Device();
    device.keep(30 * S, [unknown("/mnt")]);
    expect(device.keep(10 * S, [])).toEqual(["cleared check.disk-mnt minor"]);
    expect(device.ledger.checks.get("disk")?.watches.size).toBe(0);
  });
});

describe("subjects", () => {
  test("one that is gone clears after the hold-off, with that as the reason", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/mnt/usb", "major"), judged("/", "ok")]);
    expect(device.keep(60 * S, [judged("/", "ok")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "ok")])).toEqual(["cleared disk.mnt-usb major"]);
    expect(device.last).toMatchObject({ reason: "gone", title_en: "Mount gone", severity: "major" });
  });
  test("two whose names look the same in a code do not share one, whichever comes first", () => {
    const bad = [judged("/var/log", "major"), judged("/var-log", "minor")];
    const codes = [bad, bad.toReversed()].map((verdicts) => {
      const device = new Device();
      device.keep(40 * S, verdicts);
      return new Map(device.told.map(({ code, body }) => [body.subject, code]));
    });
    expect(new Set(codes[0]?.values()).size).toBe(2);
    expect(codes[0]?.get("/var/log")).toBe(codes[1]?.get("/var/log"));
    expect(codes[0]?.get("/var-log")).toBe(codes[1]?.get("/var-log"));
  });
  test("a newcomer does not take the code of an active alarm", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/a/b", "major")]);
    expect(device.keep(40 * S, [judged("/a-b", "major")])).toHaveLength(1);
    expect(new Set(device.told.map(({ code }) => code)).size).toBe(2);
  });
  test("a very long one, an empty one and a NaN still make records the aggregator accepts", () => {
    const device = new Device();
    const long = `/${"很".repeat(300)}`;
    device.keep(40 * S, [judged(long, "major", { value: Number.NaN }), judged("", "minor", { says: "x".repeat(999) })]);
    expect(device.told).toHaveLength(2); // the kit parses each with the wire's own schema
    device.restart();
    expect(device.keep(10 * MIN, [judged(long, "major"), judged("", "minor")])).toEqual([]);
  });
  test("of two verdicts on one subject the worse counts", () => {
    const device = new Device();
    expect(device.keep(40 * S, [judged("/", "major"), judged("/", "ok")])).toEqual(["raised disk.root major"]);
  });
});

describe("flapping", () => {
  const swing = (device: Device) => [
    ...device.keep(40 * S, [judged("/", "major")]),
    ...device.keep(70 * S, [judged("/", "ok")]),
  ];
  test("at the fourth change in 30 minutes it is held on instead of cleared, and cleared after 10 quiet minutes", () => {
    const device = new Device();
    expect(swing(device)).toEqual(["raised disk.root major", "cleared disk.root major"]);
    expect(swing(device)).toEqual(["raised disk.root major", "changed disk.root major"]);
    expect(device.last).toMatchObject({ active: true, flapping: true });
    expect([...swing(device), ...swing(device), ...swing(device)]).toEqual([]);
    expect(device.keep(9 * MIN - 20 * S, [judged("/", "ok")])).toEqual([]);
    expect(device.keep(20 * S, [judged("/", "ok")])).toEqual(["cleared disk.root major"]);
    expect(device.last.flapping).toBeUndefined();
    expect(swing(device)).toEqual(["raised disk.root major", "cleared disk.root major"]);
  });
  test("it ends when the fault stayed for 60 minutes, and the alarm is told as an ordinary one", () => {
    const device = new Device();
    [swing(device), swing(device)].flat();
    expect(device.last.flapping).toBe(true);
    expect(device.keep(60 * MIN, [judged("/", "major")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "major")])).toEqual(["changed disk.root major"]);
    expect(device.last).toMatchObject({ active: true });
    expect(device.last.flapping).toBeUndefined();
    expect(device.keep(70 * S, [judged("/", "ok")])).toEqual(["cleared disk.root major"]);
  });
  test("time nobody could tell is no steady hour", () => {
    const device = new Device();
    [swing(device), swing(device)].flat();
    device.keep(40 * MIN, [judged("/", "major")]);
    device.keep(10 * S, [unknown("/")]);
    expect(device.keep(60 * MIN - 10 * S, [judged("/", "major")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "major")])).toEqual(["changed disk.root major"]);
  });
  test("changes spread over more than 30 minutes are not flapping", () => {
    const device = new Device();
    for (let i = 0; i < 6; i += 1) {
      expect(swing(device)).toEqual(["raised disk.root major", "cleared disk.root major"]);
      device.keep(29 * MIN, [judged("/", "ok")]);
    }
  });
  test("a restart in the middle does not end it", () => {
    const device = new Device();
    [swing(device), swing(device)].flat();
    device.restart();
    expect(device.keep(10 * MIN, [judged("/", "ok")])).toEqual([]);
    expect(device.keep(10 * S, [judged("/", "ok")])).toEqual(["cleared disk.root major"]);
  });
  test("only the changes of the last 30 minutes count", () => {
    const device = new Device();
    swing(device);
    device.keep(27 * MIN, [judged("/", "ok")]);
    expect(device.keep(40 * S, [judged("/", "major")])).toEqual(["raised disk.root major"]);
    device.keep(10 * MIN, [judged("/", "major")]); // the first raise and clear are over 30 minutes ago now
    expect(swing(device)).toEqual(["cleared disk.root major"]);
    expect(device.last.active).toBe(false);
    expect(device.keep(40 * S, [judged("/", "major")])).toEqual(["raised disk.root major"]);
    expect(device.last.flapping).toBeUndefined();
    device.keep(70 * S, [judged("/", "ok")]);
    expect(device.last).toMatchObject({ kind: "changed", active: true, flapping: true });
  });
  test("a fourth change that is a raise is told as one change, flapping", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/", "major")]);
    device.keep(29 * MIN, [judged("/", "major")]);
    expect(swing(device)).toEqual(["cleared disk.root major"]); // the first raise is forgotten
    expect(swing(device)).toEqual(["raised disk.root major", "cleared disk.root major"]);
    expect(device.keep(40 * S, [judged("/", "major")])).toEqual(["raised disk.root major"]);
    expect(device.last).toMatchObject({ kind: "raised", flapping: true });
  });
});

describe("restart and retirement", () => {
  test("an active alarm is neither told again nor forgotten, and one that got worse meanwhile changes", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/", "minor"), judged("/var", "major")]);
    device.restart();
    expect(device.keep(20 * S, [judged("/", "critical"), judged("/var", "ok")])).toEqual([]);
    expect(device.keep(60 * S, [judged("/", "critical"), judged("/var", "ok")])).toEqual([
      "changed disk.root critical",
      "cleared disk.var major",
    ]);
  });
  test("a check that could not run before the restart and can now clears its alarm", () => {
    const device = new Device();
    for (let i = 0; i < 3; i += 1) device.wait(10 * S).fail("EIO");
    device.keep(30 * S, [unknown("/var")], { check: { ...disk, id: "cpu" } });
    device.restart();
    for (let i = 0; i < 5; i += 1) expect(device.wait(S).fail("EIO")).toEqual([]);
    expect(device.wait(S).round([judged("/", "ok")])).toEqual(["cleared check.disk minor"]);
    expect(device.wait(S).round([judged("/var", "ok")], { ...disk, id: "cpu" })).toEqual([
      "cleared check.cpu-var minor",
    ]);
  });
  test("what a check raised that is not configured any more is cleared once, as retired", () => {
    const device = new Device();
    device.keep(40 * S, [judged("/", "minor")]);
    for (let i = 0; i < 3; i += 1) device.wait(10 * S).fail("EIO");
    device.restart();
    expect(device.take(retire(device.ledger, new Set(["cpu"])))).toEqual([
      "cleared disk.root minor",
      "cleared check.disk minor",
    ]);
    expect(device.last).toMatchObject({ reason: "retired", active: false });
    expect(device.take(retire(device.ledger, new Set(["cpu"])))).toEqual([]);
    device.restart();
    expect(device.take(retire(device.ledger, new Set(["disk"])))).toEqual([]);
  });
});

test("a round in which nothing moves gives the same ledger back: nothing is copied in the long quiet", () => {
  const device = new Device();
  const { ledger } = device;
  device.keep(MIN, [judged("/", "ok"), judged("/var", "ok")]);
  expect(device.ledger).toBe(ledger);
  device.keep(MIN, [judged("/", "major"), unknown("/var")]);
  const active = device.ledger;
  device.keep(MIN, [judged("/", "major", { value: 1 }), unknown("/var", "another reason")]);
  expect(device.ledger).toBe(active);
});
