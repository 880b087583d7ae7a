import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CAUSES, explain } from "../../../agent/alarms/causes.ts";
import { debounce, type Round } from "../../../agent/alarms/debounce.ts";
import { actives, BLIND } from "../../../agent/alarms/ledger.ts";
import { clocks } from "../../../agent/checks/clock.ts";
import { cpu } from "../../../agent/checks/cpu.ts";
import { disk } from "../../../agent/checks/disk.ts";
import { memory } from "../../../agent/checks/memory.ts";
import { network } from "../../../agent/checks/network.ts";
import { processes } from "../../../agent/checks/process.ts";
import { type SelfPorts, selfCheck } from "../../../agent/checks/self.ts";
import { services } from "../../../agent/checks/service.ts";
import { switches } from "../../../agent/checks/switch.ts";
import { temperature } from "../../../agent/checks/temperature.ts";
import { rank } from "../../../protocol/severity.ts";
import { Device, judged, S, WALL } from "./kit.ts";

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
  const kinds = [
    ...[clocks, cpu, disk, memory, network, processes, services, switches, temperature],
    selfCheck({} as SelfPorts),
  ];
  for (const { check: id, reasons } of CAUSES.flatMap(({ cause, explains }) => [cause, explains]))
    expect([BLIND.reason, ...Object.keys(kinds.find((kind) => kind.id === id)?.titles ?? {})]).toEqual(
      expect.arrayContaining([...reasons]),
    );
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
