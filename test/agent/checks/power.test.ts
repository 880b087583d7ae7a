import { createServer, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CheckPorts, Judge, Judged, Verdict } from "../../../agent/checks/check.ts";
import { parseNut } from "../../../agent/checks/power/nut.ts";
import { power } from "../../../agent/checks/power/power.ts";
import { upsConditions } from "../../../agent/checks/power/ups.ts";
import { AgentConfig } from "../../../agent/config.ts";
import { systemClock } from "../../../platform/clock.ts";
import { parseConfig } from "../../../platform/config-file.ts";
import { type Board, openBoard } from "../../kit/board.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { freePort } from "../../kit/ports.ts";
import { asKernel } from "../../kit/proc.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";
import { needsUpsd, startUps } from "../../kit/upsd.ts";

const HOUR = 3_600_000;
const FLAGS = "/sys/devices/platform/soc/soc:firmware/get_throttled";
const PI_ALARM = "/sys/class/hwmon/hwmon1/in0_lcrit_alarm";

let board: Board;
let clock: HandClock;
let folder: TempFolder;
let judge: Judge | undefined;
beforeEach(() => {
  board = openBoard("rpi-cm4-debian");
  clock = new HandClock();
  folder = tempFolder();
  board.write("/proc/uptime", "900000.00 1000000.00\n");
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  board[Symbol.dispose]();
  folder[Symbol.dispose]();
});

function begin(config: Record<string, unknown> = {}, ports: Partial<CheckPorts> = {}): void {
  judge = power.begin(
    power.Config.parse(config),
    checkPorts(folder.path, { machine: asKernel(board.machine), clock, ...ports }),
  );
}
async function round(afterMs = 10_000): Promise<readonly Verdict[]> {
  await clock.wind(afterMs);
  return (await judge?.judge(new AbortController().signal)) ?? [];
}
async function of(subject: string, afterMs?: number): Promise<Judged> {
  const verdict = (await round(afterMs)).find((one) => one.subject === subject);
  if (verdict?.state !== "judged") throw new Error(`not judged: ${JSON.stringify(verdict)}`);
  return verdict;
}

describe("under-voltage of a board", () => {
  test("is told by its firmware's flags, now and for a while after", async () => {
    board.write(FLAGS, "0\n");
    begin();
    expect(await of("board")).toMatchObject({ grade: "ok", readings: { undervoltage_count: 0 } });
    board.write(FLAGS, "50005\n");
    expect(await of("board")).toMatchObject({ grade: "major", reason: "undervoltage", says: "the voltage is too low" });
    board.write(FLAGS, "50000\n");
    expect(await of("board")).toMatchObject({ grade: "warning", holds: "warning" });
    expect(await of("board", HOUR)).toMatchObject({ grade: "ok", readings: { undervoltage_since_boot_count: 1 } });
  });

  test("a dip between two looks is seen by what the firmware remembers", async () => {
    board.write(FLAGS, "0\n");
    begin();
    await round();
    board.write(FLAGS, "10000\n");
    expect(await of("board")).toMatchObject({
      grade: "warning",
      says: expect.stringContaining("was too low within the last 60 min"),
    });
  });

  test("what was remembered from long before we began is no news, right after a start it is", async () => {
    begin();
    expect(await of("board")).toMatchObject({ grade: "ok", readings: { undervoltage_since_boot_count: 1 } });
    judge?.close?.();
    board.write("/proc/uptime", "60.00 60.00\n");
    begin();
    expect(await of("board")).toMatchObject({ grade: "warning" });
  });

  test("the chip that clears the firmware's memory is the same board", async () => {
    board.write(FLAGS, "0\n");
    begin();
    expect((await round()).map(({ subject }) => subject)).toEqual(["board"]);
    board.write(PI_ALARM, "1\n");
    expect(await of("board")).toMatchObject({ grade: "major" });
    judge?.close?.();
    board.write(FLAGS, undefined);
    begin();
    expect(await of("rpi_volt-in0")).toMatchObject({ grade: "major" });
  });

  test("sensor chips tell it by input and volts; bare alarms only where asked for", async () => {
    const chip = "/sys/class/hwmon/hwmon2";
    board.write(`${chip}/name`, "ina3221\n");
    board.write(`${chip}/in1_min_alarm`, "0\n");
    board.write(`${chip}/in1_label`, "VDD 12V\n");
    board.write(`${chip}/in1_input`, "11940\n");
    board.write(`${chip}/in2_alarm`, "1\n");
    begin();
    expect(await of("ina3221-VDD-12V")).toMatchObject({ grade: "ok", readings: { voltage_v: 11.94 } });
    board.write(`${chip}/in1_min_alarm`, "1\n");
    board.write(`${chip}/in1_input`, "9100\n");
    expect(await of("ina3221-VDD-12V")).toMatchObject({ grade: "major", says: "the voltage is too low, 9.10 V" });
    expect((await round()).map(({ subject }) => subject)).not.toContain("ina3221-in2");
    judge?.close?.();
    begin({ allAlarms: true, ignore: ["ina3221-VDD-12V"] });
    expect((await round()).map((one) => one.state === "judged" && `${one.subject} ${one.grade}`)).toEqual([
      "board ok",
      "ina3221-in2 major",
    ]);
  });

  test("a round without news answers the very same", async () => {
    begin();
    const told = await round();
    expect(judge?.judge(new AbortController().signal)).toBe(told);
    board.write(FLAGS, "50005\n");
    expect(await round()).not.toBe(told);
  });
});

describe("supplies", () => {
  const supply = (name: string, files: Record<string, string>): void => {
    for (const [file, text] of Object.entries(files))
      board.write(`/sys/class/power_supply/${name}/${file}`, `${text}\n`);
  };
  beforeEach(() => board.write(FLAGS, undefined));

  test("mains lost is major, one of two lost a warning", async () => {
    supply("ac1", { type: "Mains", online: "1" });
    supply("ac2", { type: "Mains", online: "1" });
    begin({ ignore: ["rpi_volt-in0"] });
    expect(await round()).toMatchObject([
      { subject: "ac1", grade: "ok" },
      { subject: "ac2", grade: "ok" },
    ]);
    supply("ac2", { online: "0" });
    expect(await round()).toMatchObject([
      { grade: "ok" },
      { grade: "warning", reason: "feed", says: expect.stringContaining("1 of 2") },
    ]);
    supply("ac1", { online: "0" });
    expect(await round()).toMatchObject([
      { grade: "major", reason: "mains" },
      { grade: "major", reason: "mains" },
    ]);
  });

  test("a battery is judged while it is used, with room between raise and clear; a bad one always", async () => {
    supply("bat", {
      type: "Battery",
      present: "1",
      status: "Charging",
      capacity: "12",
      health: "Good",
      voltage_now: "11890000",
    });
    begin();
    expect(await of("bat")).toMatchObject({ grade: "ok", readings: { charge_pct: 12, voltage_v: 11.89 } });
    const at = async (capacity: number): Promise<string> => {
      supply("bat", { status: "Discharging", capacity: String(capacity) });
      const { grade, holds, reason } = await of("bat");
      return `${grade}/${holds} ${reason}`;
    };
    expect([await at(80), await at(30), await at(35), await at(15), await at(45)]).toEqual([
      "ok/ok battery-low",
      "major/major battery-low",
      "ok/major battery-low",
      "critical/critical battery-low",
      "ok/ok battery-low",
    ]);
    supply("bat", { status: "Full", health: "Dead" });
    expect(await of("bat")).toMatchObject({ grade: "minor", reason: "battery-bad" });
    supply("bat", { present: "0" });
    expect((await round()).map(({ subject }) => subject)).not.toContain("bat");
  });

  test("a plug nobody asked for, and a mouse, are none; what the config expects must be there", async () => {
    supply("usb", { type: "USB", online: "0" });
    supply("mouse", { type: "Battery", scope: "Device", capacity: "1", status: "Discharging" });
    begin({ ignore: ["rpi_volt-in0"] });
    expect(await round()).toEqual([]);
    judge?.close?.();
    begin({ ignore: ["rpi_volt-in0"], expect: ["usb", "poe"] });
    expect(await round()).toMatchObject([
      { subject: "usb", grade: "major" },
      { subject: "poe", grade: "major" },
    ]);
  });

  test("that are plugged in later are found, and those that go are gone", async () => {
    begin({ ignore: ["rpi_volt-in0"] });
    expect(await round()).toEqual([]);
    supply("ac", { type: "Mains", online: "1" });
    expect(await round(601_000)).toMatchObject([{ subject: "ac", grade: "ok" }]);
    supply("ac", { online: "x" });
    expect(await round()).toEqual([]);
  });
});

test("a machine that tells nothing of its power has no such check", () => {
  board[Symbol.dispose]();
  board = openBoard("x86-vm");
  begin();
  expect(judge).toBeUndefined();
});

test.each([
  ["OL CHRG", "ok"],
  ["OB DISCHRG", "critical"],
])("charge and time left count while a UPS is on its battery: %s is %s", (status, worst) => {
  const [ups] = power.Config.parse({ ups: [{ ups: "u" }] }).ups;
  if (ups === undefined) throw new Error("no UPS");
  const said = new Map([
    ["ups.status", status],
    ["battery.charge", "5"],
    ["battery.runtime", "60"],
  ]);
  const grades = upsConditions(ups, said, (text) => text).map(({ grade }) => grade);
  expect(grades.includes("critical") ? "critical" : (grades.find((grade) => grade !== "ok") ?? "ok")).toBe(worst);
});

describe.skipIf(needsUpsd())("a UPS by a real upsd", () => {
  test("on mains, on battery, low, to be replaced, lost, and unreachable", async () => {
    const say = {
      "ups.status": "OL CHRG",
      "battery.charge": "97",
      "battery.runtime": "3600",
      "ups.load": "20",
      "input.voltage": "229.5",
    };
    const ups = await startUps(folder.path, say);
    try {
      begin({ ups: [{ name: "cabinet", ups: "dummy", port: ups.port, everyMs: 1_000 }] }, { clock: systemClock });
      const until = async (fits: object): Promise<void> => {
        for (;;) {
          const verdict = (await judge?.judge(new AbortController().signal))?.find(
            ({ subject }) => subject === "cabinet",
          );
          if (
            verdict !== undefined &&
            Object.entries(fits).every(([key, value]) => Reflect.get(verdict, key) === value)
          ) {
            expect(verdict).toMatchObject(fits);
            return;
          }
          await systemClock.sleep(50);
        }
      };
      await until({ state: "judged", grade: "ok", says: "on mains: 97 % charged, 60 min left, load 20 %" });
      ups.say({ ...say, "ups.status": "OB DISCHRG", "battery.charge": "80", "input.voltage": "0" });
      await until({ grade: "major", reason: "ups-battery" });
      ups.say({ ...say, "ups.status": "OB LB", "battery.charge": "9", "battery.runtime": "60" });
      await until({ grade: "critical", reason: "ups-low" });
      ups.say({ ...say, "ups.status": "OL RB" });
      await until({ grade: "minor", reason: "ups-replace" });
      await ups.driver.kill9();
      await until({ grade: "minor", reason: "ups-unreachable" });
      await ups.upsd.kill9();
      const place = `127.0.0.1:${ups.port}`;
      await until({ grade: "minor", says: `${place}: nothing listens there, ECONNREFUSED (DIAL_REFUSED)` });
    } finally {
      await ups[Symbol.asyncDispose]();
    }
  });

  test("that upsd does not know is unknown", async () => {
    const ups = await startUps(folder.path, { "ups.status": "OL" });
    try {
      begin({ ups: [{ ups: "other", port: ups.port }] });
      expect(await round()).toMatchObject([
        { subject: "board" },
        { subject: "other@127.0.0.1", state: "unknown", because: expect.stringContaining("UNKNOWN-UPS") },
      ]);
    } finally {
      await ups[Symbol.asyncDispose]();
    }
  });
});

describe("whoever says he is upsd", () => {
  const sockets: Socket[] = [];
  async function liar(talk: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.resume();
      talk(socket);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    server.unref();
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  const ask = async (port: number, deadlineMs = 20_000): Promise<Verdict | undefined> => {
    begin({ ups: [{ name: "u", ups: "u", port, deadlineMs }] }, { clock: systemClock });
    const verdicts = (await judge?.judge(new AbortController().signal)) ?? [];
    return verdicts.find(({ subject }) => subject === "u");
  };
  const lost = { state: "judged", grade: "minor", reason: "ups-unreachable" };

  test("and listens no more, is silent, hangs up, or talks without end, is unreachable in time", async () => {
    expect(await ask(await freePort())).toMatchObject({ ...lost, says: expect.stringContaining("nothing listens") });
    expect(await ask(await liar(() => {}), 300)).toMatchObject({
      ...lost,
      says: expect.stringContaining("given up after 300 ms"),
    });
    expect(await ask(await liar((socket) => socket.end("BEGIN")))).toMatchObject(lost);
    const flood = (socket: Socket): void => {
      if (!socket.destroyed) socket.write(`VAR u x "${"y".repeat(5_000)}"\n`, () => flood(socket));
    };
    expect(await ask(await liar(flood))).toMatchObject({ ...lost, says: expect.stringContaining("no end") });
  });

  test("answers in pieces, and of others' UPSs", async () => {
    const port = await liar((socket) => {
      socket.write('BEGIN LIST VAR u\nVAR other ups.status "OB"\nVAR u ups.sta');
      socket.write('tus "OL"\nVAR u ups.alarm "a \\"b\\" \\\\"\nEND LIST ');
      socket.write("VAR u\nOK Goodbye\n");
    });
    expect(await ask(port)).toMatchObject({ state: "judged", grade: "ok" });
  });
});

describe("the answer of upsd", () => {
  test("ends, and holds names and values", () => {
    const whole = 'BEGIN LIST VAR u\nVAR u a.b "x \\"y\\" \\\\z"\nVAR u bad x\nVAR v c "1"\nEND LIST VAR u\n';
    expect(parseNut(whole, "u")).toEqual({ variables: new Map([["a.b", 'x "y" \\z']]) });
    for (let length = 0; length < whole.length; length += 1)
      expect(parseNut(whole.slice(0, length), "u")).toBeUndefined();
    expect(parseNut("ERR DATA-STALE\n", "u")).toEqual({ error: "DATA-STALE" });
  });

  test("whatever it is, is read without error, and what was written is read back", () => {
    const value = fc.string({ unit: "binary", maxLength: 40 }).filter((text) => !/[\n\r]/.test(text));
    const name = fc.stringMatching(/^[a-z][a-z0-9.]{0,20}$/);
    fc.assert(
      fc.property(fc.dictionary(name, value, { noNullPrototype: true }), (all) => {
        const lines = Object.entries(all).map(([key, text]) => `VAR u ${key} "${text.replaceAll(/["\\]/g, "\\$&")}"\n`);
        const read = parseNut(`BEGIN LIST VAR u\n${lines.join("")}END LIST VAR u\n`, "u");
        expect(read !== undefined && "variables" in read && Object.fromEntries(read.variables)).toEqual(all);
      }),
      { numRuns: 50 },
    );
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseNut(text, "u")));
  });
});

describe("config", () => {
  const agent = (own: unknown) => () =>
    parseConfig(
      JSON.stringify({ device: "x", brokers: [{ host: "h", port: 1 }], checks: { power: own } }),
      AgentConfig,
      "agent.json",
    );
  test.each([
    [{ ups: [{ ups: "a b" }] }, "checks.power.ups.0.ups"],
    [{ ups: [{ ups: "a\nLOGOUT" }] }, "checks.power.ups.0.ups"],
    [{ ups: [{ name: "a" }] }, "checks.power.ups.0.ups"],
    [{ chargePct: { major: { raise: 40, clear: 30 } } }, "clear must not be below raise"],
    [{ lately: 1 }, "latelyMs"],
  ])("%j is refused", (own, words) => {
    expect(agent(own)).toThrow(words);
  });
});
