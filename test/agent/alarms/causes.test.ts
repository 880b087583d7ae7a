import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CAUSES, explain } from "../../../agent/alarms/causes.ts";
import { debounce, type Round } from "../../../agent/alarms/debounce.ts";
import { actives, BLIND } from "../../../agent/alarms/ledger.ts";
import { checkConfigs, everyCheck } from "../../../agent/checks/all.ts";
import { CATALOGUE } from "../../../agent/checks/logs/catalogue.ts";
import { type SelfPorts, selfCheck } from "../../../agent/checks/self/self.ts";
import { rank } from "../../../protocol/severity.ts";
import { Device, judged, S, WALL } from "./kit.ts";

const DISK_RULES = CAUSES.filter(({ cause, explains }) => cause.check === "disk" && explains.check === "service");
const check = (id: string): Round["check"] => ({ id, titles: {}, holdOnMs: 0, holdOffMs: 0 });
const place = { stateMount: "/var" };

/** Plays rounds of several checks as one batch, as one tick of the rounds does. */
function tick(device: Device, ...rounds: [string, string, string | undefined][]): string[] {
  device.wait(S);
  let { ledger } = device;
  const drafts = [...Map.groupBy(rounds, ([id]) => id)].flatMap(([id, subjects]) => {
    const verdicts = subjects.map(([, subject, reason]) =>
      reason === undefined ? judged(subject, "ok") : judged(subject, "major", { reason }),
    );
    const moved = debounce(ledger, { check: check(id), verdicts }, device);
    ledger = moved.ledger;
    return moved.drafts;
  });
  return device.take(explain(drafts, ledger, place));
}
const causeOf = (device: Device, code: string) => device.journal.get(code)?.body.explained_by;

describe("one root cause", () => {
  test("what is raised in the same batch as its cause, or after it, is told with it", () => {
    const device = new Device();
    expect(tick(device, ["cpu", "cpu", "throttled"], ["temperature", "soc", "hot"])).toEqual([
      "raised cpu.cpu major",
      "raised temperature.soc major",
    ]);
    expect(causeOf(device, "cpu.cpu")).toBe("temperature.soc");
    expect(causeOf(device, "temperature.soc")).toBeUndefined();
    tick(device, ["memory", "ram", "oom"]);
    tick(device, ["process", "nginx", "missing"]);
    expect(causeOf(device, "process.nginx")).toBe("memory.ram");
  });
  test("a stream out of reach is explained by the way to it, and one of a dead forwarder by the process of its name", () => {
    const device = new Device();
    tick(device, ["network", "uplink", "gateway"], ["stream", "page", "unreachable"], ["stream", "main", "no_media"]);
    expect(causeOf(device, "stream.page")).toBe("network.uplink");
    expect(causeOf(device, "stream.main")).toBeUndefined();
    tick(device, ["process", "relay", "missing"], ["stream", "relay", "refused"], ["stream", "other", "refused"]);
    expect(causeOf(device, "stream.relay")).toBe("process.relay");
    expect(causeOf(device, "stream.other")).toBeUndefined();
  });
  test("a cause that comes later is told as a change, and so is its end while the child is still active", () => {
    const device = new Device();
    tick(device, ["process", "nginx", "missing"]);
    expect(tick(device, ["memory", "ram", "available"])).toEqual([
      "raised memory.ram major",
      "changed process.nginx major",
    ]);
    expect(causeOf(device, "process.nginx")).toBe("memory.ram");
    expect(tick(device, ["memory", "ram", undefined])).toEqual([
      "cleared memory.ram major",
      "changed process.nginx major",
    ]);
    expect(causeOf(device, "process.nginx")).toBeUndefined();
    expect(device.journal.get("process.nginx")?.body).toMatchObject({ active: true, since: WALL + S });
  });
  test("cause and child that end together are two clears and nothing else", () => {
    const device = new Device();
    tick(device, ["memory", "ram", "oom"], ["process", "nginx", "missing"]);
    expect(tick(device, ["memory", "ram", undefined], ["process", "nginx", undefined])).toEqual([
      "cleared memory.ram major",
      "cleared process.nginx major",
    ]);
  });
  test("another reason of the same checks is explained by nothing", () => {
    const device = new Device();
    tick(device, ["temperature", "soc", "rise"], ["cpu", "cpu", "throttled"], ["memory", "ram", "oom"]);
    tick(device, ["process", "nginx", "descriptors"]);
    expect([...device.journal.values()].map(({ body }) => body.explained_by)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
  test("a full disk explains an unwritable state folder only where the folder lies on it", () => {
    const device = new Device();
    tick(device, ["disk", "/data", "space"], ["self", "store", "store"]);
    expect(causeOf(device, "self.store")).toBeUndefined();
    tick(device, ["disk", "/var", "readonly"]);
    expect(causeOf(device, "self.store")).toBe("disk.var");
  });
  test("a full disk explains what fails with it, one that only fills up does not", () => {
    const device = new Device();
    const failing: [string, string, string][] = [
      ["service", "relay", "down"],
      ["database", "pg", "down"],
      ["data", "inbox", "stale"],
      ["process", "dispatch", "missing"],
    ];
    tick(device, ["disk", "/data", "space"], ...failing);
    expect([...device.journal.values()].map(({ body }) => body.explained_by)).toEqual([
      undefined,
      ...failing.map(() => "disk.data"),
    ]);
    expect(DISK_RULES.every(({ atLeast }) => atLeast === "major")).toBe(true);
    const other = new Device();
    other.wait(S);
    const minor = debounce(
      other.ledger,
      { check: check("disk"), verdicts: [judged("/data", "minor", { reason: "space" })] },
      other,
    );
    other.take(explain(minor.drafts, minor.ledger, place));
    tick(other, ["service", "relay", "down"]);
    expect(causeOf(other, "service.relay")).toBeUndefined();
  });
  test("a dead line explains a service nobody reaches, never one that refuses", () => {
    const device = new Device();
    tick(device, ["network", "gateway", "gateway"], ["network", "broker", "broker"]);
    tick(device, ["service", "far", "unreachable"], ["service", "near", "down"]);
    expect(causeOf(device, "network.broker")).toBe("network.gateway");
    expect(causeOf(device, "service.far")).toBe("network.gateway");
    expect(causeOf(device, "service.near")).toBeUndefined();
  });
  test("a chain leads to its beginning: the disk, not the process that died of it", () => {
    const device = new Device();
    tick(device, ["process", "relay", "missing"], ["service", "relay", "down"], ["logs", "unit", "unit-failed"]);
    expect(causeOf(device, "service.relay")).toBe("process.relay");
    tick(device, ["disk", "/", "readonly"], ["process", "relay", "missing"], ["service", "relay", "down"]);
    expect(["process.relay", "service.relay", "logs.unit"].map((code) => causeOf(device, code))).toEqual(
      Array(3).fill("disk.root"),
    );
  });
  test("a second cause is no news while the first is active; when that ends the second takes over", () => {
    const device = new Device();
    tick(device, ["temperature", "soc", "hot"], ["cpu", "cpu", "throttled"]);
    const second: [string, string, string] = ["temperature", "board", "hot"];
    expect(tick(device, second, ["temperature", "soc", "hot"])).toEqual(["raised temperature.board major"]);
    expect(tick(device, second, ["temperature", "soc", undefined])).toEqual([
      "cleared temperature.soc major",
      "changed cpu.cpu major",
    ]);
    expect(causeOf(device, "cpu.cpu")).toBe("temperature.board");
  });
  test("a dead process explains the service of the same name only, a silent switch its own ports only", () => {
    const device = new Device();
    tick(device, ["process", "relay", "missing"], ["service", "relay", "down"], ["service", "web", "down"]);
    expect(causeOf(device, "service.relay")).toBe("process.relay");
    expect(causeOf(device, "service.web")).toBeUndefined();
    tick(device, ["switch", "sw1", "unreachable"], ["switch", "sw1/GE1", "unknown"], ["switch", "sw10/GE1", "unknown"]);
    expect(causeOf(device, "switch.sw1-ge1")).toBe("switch.sw1");
    expect(causeOf(device, "switch.sw10-ge1")).toBeUndefined();
  });
  test("a restart keeps the cause, and repeats nothing", () => {
    const device = new Device();
    tick(device, ["memory", "ram", "oom"], ["process", "nginx", "missing"]);
    device.restart();
    expect(tick(device, ["memory", "ram", "oom"], ["process", "nginx", "missing"])).toEqual([]);
    expect(tick(device, ["memory", "ram", undefined])).toHaveLength(2);
  });
});

test("the table has no circle: nothing explains itself, at first hand or by others", () => {
  const names = ({ check: id, reasons }: (typeof CAUSES)[number]["cause"]) =>
    reasons.map((reason) => `${id}.${reason}`);
  const next = (name: string) =>
    CAUSES.filter(({ cause }) => names(cause).includes(name)).flatMap(({ explains }) => names(explains));
  for (const start of CAUSES.flatMap(({ cause }) => names(cause))) {
    let reached = next(start);
    for (let depth = 0; depth <= CAUSES.length; depth += 1) {
      expect(reached).not.toContain(start);
      reached = reached.flatMap(next);
    }
  }
});

test("every reason in the table is one its check can give", () => {
  const kinds = [...everyCheck(checkConfigs.parse({})).map(({ kind }) => kind), selfCheck({} as SelfPorts)];
  const ofLogs = CATALOGUE.map(({ id }) => id);
  for (const { check: id, reasons } of CAUSES.flatMap(({ cause, explains }) => [cause, explains]))
    expect([
      ...[BLIND.reason, ...Object.keys(kinds.find((kind) => kind.id === id)?.titles ?? {})],
      ...(id === "logs" ? ofLogs : []),
    ]).toEqual(expect.arrayContaining([...reasons]));
});

test("whatever comes and goes: a cause named is active and itself unexplained, and the journal agrees with the ledger", () => {
  const subjects: [string, string, string[]][] = [
    ["temperature", "soc", ["hot", "critical", "rise"]],
    ["temperature", "board", ["hot"]],
    ["cpu", "cpu", ["throttled", "load"]],
    ["memory", "ram", ["oom", "pressure"]],
    ["process", "nginx", ["missing", "memory"]],
    ["disk", "/var", ["space", "forecast"]],
    ["self", "store", ["store"]],
  ];
  const event = fc.tuple(fc.constantFrom(...subjects), fc.nat({ max: 3 }), fc.boolean());
  fc.assert(
    fc.property(fc.array(fc.array(event, { maxLength: 5 }), { maxLength: 40 }), (ticks) => {
      const device = new Device();
      for (const events of ticks) {
        tick(
          device,
          ...events.map(([[id, subject, reasons], pick, bad]): [string, string, string | undefined] => [
            id,
            subject,
            bad ? reasons[pick % reasons.length] : undefined,
          ]),
        );
        const active = new Map(actives(device.ledger).map(({ code, body }) => [code, body]));
        for (const { code, body } of device.journal.values()) {
          expect(active.has(code)).toBe(body.active);
          if (!body.active) continue;
          expect(active.get(code)?.explained_by).toBe(body.explained_by);
          if (body.explained_by === undefined) continue;
          expect(active.get(body.explained_by)).toBeDefined();
          expect(active.get(body.explained_by)?.explained_by).toBeUndefined();
          expect(rank(body.severity)).toBeGreaterThan(0);
        }
      }
    }),
    { numRuns: 200 },
  );
});
