import { describe, expect, test } from "vitest";
import { type AgentParts, runAgent } from "../../agent/app.ts";
import { everyCheck } from "../../agent/checks/all.ts";
import type { Verdict } from "../../agent/checks/check.ts";
import { AgentConfig } from "../../agent/config.ts";
import { Figures } from "../../agent/figures.ts";
import { unpack } from "../../agent/outbox/packed.ts";
import { folderAt } from "../../platform/files.ts";
import type { Machine } from "../../platform/machine.ts";
import { ridingClock } from "../../platform/riding-clock.ts";
import { Failure } from "../../protocol/failure.ts";
import { CODE_PATTERN } from "../../protocol/topics.ts";
import { allOff } from "../kit/all-off.ts";
import { alarmDraft } from "../kit/drafts.ts";
import { FakeLink } from "../kit/fake-link.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { silentLog } from "../kit/logs.ts";
import { MemoryOutbox } from "../kit/memory-outbox.ts";

/** A machine of a few files; one whose content is a Failure cannot be read. */
function machineOf(files: Record<string, string | Failure>): Machine {
  const read = (path: string): string | undefined => {
    const content = files[path];
    if (content instanceof Failure) throw content;
    return content;
  };
  const denied = (): never => {
    throw new Failure("MACHINE_READ", "nothing is mounted here");
  };
  return {
    at: (path) => path,
    read,
    source: (path) => ({ read: () => read(path), first: () => read(path)?.charCodeAt(0), close: () => undefined }),
    list: () => [],
    link: () => undefined,
    stat: () => undefined,
    space: denied,
    remoteSpace: async () => denied(),
    writable: () => "yes",
  };
}

const refused = (path: string): Failure => new Failure("MACHINE_READ", `cannot read ${path}: EIO`);
const OFF = allOff();

/** An agent of parts in memory, at work until `end`. Only the checks named in `checks` run. */
function agentOf({
  checks,
  files = {},
  config = {},
  parts = {},
  clock = new HandClock(),
}: {
  checks: Record<string, unknown>;
  files?: Record<string, string | Failure>;
  config?: Record<string, unknown>;
  parts?: Partial<AgentParts>;
  clock?: HandClock;
}) {
  const outbox = (parts.outbox as MemoryOutbox | undefined) ?? new MemoryOutbox(clock);
  const link = new FakeLink();
  const pings: number[] = [];
  const stop = new AbortController();
  const parsed = AgentConfig.parse({
    device: "ft-0042",
    brokers: [{ host: "broker.example", port: 1883 }],
    ...config,
    checks: { ...OFF, ...checks },
  });
  const done = runAgent(
    {
      config: parsed,
      checks: everyCheck(parsed.checks),
      configHash: "0",
      version: "0.0.0",
      clock,
      log: silentLog,
      machine: machineOf(files),
      random: () => 0.5,
      outbox,
      openLink: (options, events) => link.connect(options, events),
      cron: async () => undefined,
      notify: { ready: () => {}, watchdog: () => pings.push(clock.now()), status: () => {}, stopping: () => {} },
      watchdogMs: 60_000,
      takeInventory: async () => ({}),
      self: ["vigil-agent"],
      tidyHeap: () => {},
      run: async () => "",
      keep: {
        folder: folderAt("/nonexistent/vigil"),
        slot: () => ({ read: () => undefined, write: () => {}, close: () => {} }),
      },
      ...parts,
    },
    stop.signal,
  );
  done.catch(() => undefined);
  const end = async (): Promise<void> => {
    stop.abort();
    await clock.wind(10_000);
    await done;
  };
  const active = () =>
    outbox
      .latest()
      .filter(({ body }) => body.active)
      .map(({ code }) => code);
  return { clock, outbox, link, pings, stop, done, end, active, files };
}

const MEMINFO = "MemTotal: 1000000 kB\nMemFree: 900000 kB\nMemAvailable: 900000 kB\n";
const teleOf = (link: FakeLink, code: string) =>
  link.said.filter(({ topic }) => topic.endsWith(`/tele/${code}`)).map(({ payload }) => JSON.parse(payload));

test("signs of life go out with slow rounds, and wake nobody by themselves", async () => {
  const clock = new HandClock();
  const files = { "/proc/self/status": "VmRSS: 1 kB\n" };
  const agent = agentOf({ clock, checks: { self: {} }, files, parts: { clock: ridingClock(clock, 30_000) } });
  agent.link.comeUp();
  const at: number[] = [];
  for (let said = 0; clock.now() < 190_000; await clock.wind(1_000)) {
    const now = teleOf(agent.link, "self").length;
    if (now > said) at.push(clock.now() / 1_000);
    said = now;
  }
  expect(at).toEqual([1, 65, 125, 185]); // at once, then with slow rounds, which are at 5, 15, 25 …
  await agent.end();
});

describe("a check that cannot run", () => {
  test("cannot even begin: it is unknown, the agent runs on, and begins it once the machine answers", async () => {
    const path = "/proc/sys/vm/min_free_kbytes";
    const files: Record<string, string | Failure> = { "/proc/meminfo": MEMINFO, [path]: refused(path) };
    const agent = agentOf({ checks: { memory: {} }, files });
    await agent.clock.wind(35_000);
    expect(agent.active()).toEqual(["check.memory"]);
    files[path] = "4096\n";
    await agent.clock.wind(20_000);
    expect(agent.active()).toEqual([]);
    await agent.end();
  });

  test("its last figures are not told as if they were new", async () => {
    const files: Record<string, string | Failure> = { "/proc/meminfo": MEMINFO };
    const agent = agentOf({ checks: { memory: {} }, files, config: { telemetryMs: 10_000 } });
    agent.link.comeUp();
    await agent.clock.wind(25_000);
    expect(teleOf(agent.link, "memory.ram").length).toBeGreaterThan(0);
    files["/proc/meminfo"] = refused("/proc/meminfo");
    await agent.clock.wind(20_000);
    agent.link.said.splice(0);
    await agent.clock.wind(60_000);
    expect(teleOf(agent.link, "memory.ram")).toEqual([]);
    await agent.end();
  });
});

describe("figures", () => {
  test("two subjects whose names look alike in a topic keep topics of their own, in whatever order they come", () => {
    const told = (...subjects: string[]): Map<string, unknown> => {
      const figures = new Figures();
      const verdicts = subjects.map((subject): Verdict => {
        return {
          state: "judged",
          subject,
          grade: "ok",
          holds: "ok",
          reason: "r",
          readings: { n_count: subject.length },
        };
      });
      figures.note("process", verdicts, 1);
      const samples = figures.samples(() => true);
      for (const { code } of samples) expect(code).toMatch(CODE_PATTERN);
      return new Map(samples.map(({ code, body }) => [code, body["n_count"]]));
    };
    const long = `/${"x".repeat(5_000)}`;
    const subjects = [
      "a/b",
      "a.bb",
      "A-b--",
      "c",
      "进程🚀",
      "\u0000\u001b[2J",
      long,
      `${long}.`,
      `${long.slice(0, -1)}y`,
      "",
    ];
    const there = told(...subjects);
    expect([...there.values()].sort()).toEqual(subjects.map(({ length }) => length).sort());
    expect(there.has("process.c")).toBe(true);
    expect(told(...subjects.toReversed())).toEqual(there);
  });

  test("are dated by the moment they were taken", async () => {
    const files = { "/proc/meminfo": MEMINFO };
    const agent = agentOf({
      checks: { memory: {} },
      files,
      config: { rounds: { slowMs: 600_000 }, telemetryMs: 10_000 },
    });
    agent.link.comeUp();
    await agent.clock.wind(1_100_000);
    const dates = teleOf(agent.link, "memory.ram").map(({ ts }) => ts);
    expect(dates.length).toBeGreaterThan(10);
    expect(new Set(dates).size).toBe(3); // once after the start, then in its slots
    await agent.end();
  });
});

describe("the watchdog", () => {
  test("is told of slow rounds too: three times within its patience", async () => {
    const agent = agentOf({
      checks: { memory: {} },
      files: { "/proc/meminfo": MEMINFO },
      config: { rounds: { slowMs: 600_000 } },
    });
    await agent.clock.wind(1_800_000);
    const gaps = agent.pings.slice(1).map((at, i) => at - (agent.pings[i] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(30_000);
    await agent.end();
  });

  test("is told where no check runs in rounds at all", async () => {
    const agent = agentOf({ checks: {} });
    await agent.clock.wind(300_000);
    expect(agent.pings.length).toBeGreaterThan(10);
    await agent.end();
  });

  test.each([1_000, 600_000])("hears nothing more once rounds of %i ms stand still", async (slowMs) => {
    const files: Record<string, string | Failure> = { "/proc/meminfo": MEMINFO };
    const agent = agentOf({ checks: { memory: {} }, files, config: { rounds: { slowMs } } });
    await agent.clock.wind(4 * slowMs);
    expect(agent.pings.at(-1)).toBeGreaterThan(4 * slowMs - 30_000);
    agent.outbox.append = () => new Promise(() => {}); // a journal that never comes back
    files["/proc/meminfo"] = refused("/proc/meminfo");
    await agent.clock.wind(6 * slowMs + 60_000); // three unknowns are an alarm, and two rounds' patience
    agent.pings.splice(0);
    await agent.clock.wind(3_600_000);
    expect(agent.pings).toEqual([]);
  });
});

describe("the end", () => {
  test("does not wait for an inventory that takes its time", async () => {
    let told: AbortSignal | undefined;
    const agent = agentOf({
      checks: { memory: {} },
      files: { "/proc/meminfo": MEMINFO },
      parts: {
        takeInventory: (signal) => {
          told = signal;
          return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        },
      },
    });
    await agent.clock.wind(30_000);
    expect(told?.aborted).toBe(false);
    await agent.end();
    expect(told?.aborted).toBe(true);
  });

  test("comes at once, with the cause, when the rounds break: nothing goes on half alive", async () => {
    const agent = agentOf({ checks: { memory: {} }, files: { "/proc/meminfo": refused("/proc/meminfo") } });
    agent.outbox.append = async () => {
      throw new Error("a bug");
    };
    await agent.clock.wind(60_000);
    await expect(agent.done).rejects.toThrow("a bug");
    const before = agent.outbox.telemetry().length;
    await agent.clock.wind(3_600_000);
    expect(agent.outbox.telemetry()).toHaveLength(before);
  });
});

test("the self check measures the outbox by the room its records really have", async () => {
  const agent = agentOf({ checks: { self: {} }, files: { "/proc/self/status": "VmRSS: 1 kB\n" } });
  const stats = agent.outbox.stats();
  agent.outbox.stats = () => ({ ...stats, roomBytes: 1_000, pendingBytes: 950 });
  await agent.clock.wind(60_000);
  expect(agent.active()).toEqual(["self.outbox"]);
  await agent.end();
});

describe("a start after another", () => {
  /** An outbox in which an earlier start left `code` active. */
  async function leftActive(check: string, subject: string): Promise<MemoryOutbox> {
    const outbox = new MemoryOutbox(new HandClock());
    const { body } = alarmDraft(`${check}.${subject}`);
    await outbox.append([
      { kind: "alarm", code: `${check}.${subject}`, body: { ...body, check, subject, reason: "available" } },
    ]);
    outbox.free({ boot: outbox.boot, seq: outbox.seq });
    return outbox;
  }
  const said = (outbox: MemoryOutbox) =>
    outbox
      .pending()
      .flatMap(({ kind, code, body }) => (kind === "alarm" ? [`${code} ${body.kind} ${body.reason}`] : []));

  test("what is still wrong is not raised again, what is well is cleared", async () => {
    for (const [available, expected] of [
      [10_000, []],
      [900_000, ["memory.ram cleared available"]],
    ] as const) {
      const outbox = await leftActive("memory", "ram");
      const files = { "/proc/meminfo": `MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: ${available} kB\n` };
      const agent = agentOf({
        checks: { memory: { available: { minor: { raise: 12, clear: 15 } } } },
        files,
        parts: { outbox },
      });
      await agent.clock.wind(200_000);
      expect(said(outbox).filter((one) => !one.includes("changed"))).toEqual(expected);
      await agent.end();
    }
  });

  test("an alarm of a check that is not configured any more is retired before the first round", async () => {
    const outbox = await leftActive("process", "app");
    const agent = agentOf({ checks: {}, parts: { outbox } });
    await agent.clock.wind(0);
    expect(said(outbox)).toEqual(["process.app cleared retired"]);
    expect(agent.active()).toEqual([]);
    await agent.end();
  });
});

describe("what the parts owe each other", () => {
  test("a full disk under the state folder explains that nothing can be stored", async () => {
    const mount = "22 1 8:1 / /var rw - ext4 /dev/sda1 rw\n";
    const machine: Machine = {
      ...machineOf({ "/proc/self/mountinfo": mount, "/proc/self/status": "VmRSS: 1 kB\n" }),
      space: () => ({ totalBytes: 1e9, freeBytes: 0, unusedBytes: 0, totalInodes: 100, freeInodes: 90 }),
    };
    const agent = agentOf({
      checks: { disk: { probeEveryMs: 0 }, self: {} },
      config: { stateDir: "/var/lib/vigil" },
      parts: { machine },
    });
    const stats = agent.outbox.stats();
    agent.outbox.stats = () => ({ ...stats, durable: false, because: "ENOSPC" });
    await agent.clock.wind(120_000);
    const causes = agent.outbox.latest().map(({ code, body }) => [code, body.explained_by]);
    expect(Object.fromEntries(causes)).toEqual({ "disk.var": undefined, "self.store": "disk.var" });
    await agent.end();
  });

  test("an alarm is published at once; with a broker but no ack for a quarter of an hour that is an alarm too", async () => {
    const files: Record<string, string | Failure> = { "/proc/meminfo": MEMINFO, "/proc/self/status": "VmRSS: 1 kB\n" };
    const agent = agentOf({ checks: { memory: {}, self: {} }, files });
    agent.link.comeUp();
    await agent.clock.wind(60_000);
    files["/proc/meminfo"] = MEMINFO.replaceAll("900000", "10000");
    await agent.clock.wind(41_000);
    expect(agent.link.said.some(({ topic }) => topic.endsWith("/alm/memory.ram"))).toBe(true);
    expect(agent.active()).toEqual(["memory.ram"]);
    await agent.clock.wind(960_000);
    expect(agent.active()).toEqual(["memory.ram", "self.outbox"]);
    await agent.end();
  });

  test("an inventory that changed is told, one that did not is not; all files are closed at the end", async () => {
    let open = 0;
    const hostname = "wangwu-pc"; // a name the site lists
    const machine = machineOf({ "/proc/meminfo": MEMINFO, "/proc/sys/kernel/hostname": hostname });
    const source: Machine["source"] = (path) => {
      open += 1;
      const close = (): void => {
        open -= 1;
      };
      return { ...machine.source(path), close };
    };
    const agent = agentOf({
      checks: { memory: {} },
      config: { inventoryMs: 60_000, secretWords: ["wangwu"] },
      parts: { machine: { ...machine, source }, takeInventory: async () => ({ hostname, model: "board 7" }) },
    });
    agent.link.comeUp();
    await agent.clock.wind(600_000);
    const told = agent.link.said
      .filter(({ topic }) => topic.endsWith("/info"))
      .map(({ payload }) => JSON.parse(payload).model);
    expect(told).toEqual([undefined, "board 7"]);
    expect(agent.link.said.filter(({ payload }) => String(payload).includes("wangwu"))).toEqual([]);
    expect(open).toBeGreaterThan(0);
    await agent.end();
    expect(open).toBe(0);
  });
});

describe("between two slow rounds", () => {
  const low = MEMINFO.replace("MemAvailable: 900000", "MemAvailable: 20000");

  test("an alarm comes when its hold-on ends, and goes when its hold-off ends, not a slow round later", async () => {
    const files: Record<string, string | Failure> = { "/proc/meminfo": low };
    const agent = agentOf({ checks: { memory: { holdOnMs: 3_000, holdOffMs: 3_000 } }, files });
    await agent.clock.wind(4_000); // first asked after 1.5 s, though its own slots come every 10 s, at 5 s first
    expect(agent.active()).toEqual([]);
    await agent.clock.wind(1_000);
    expect(agent.active()).toEqual(["memory.ram"]);
    files["/proc/meminfo"] = MEMINFO;
    await agent.clock.wind(12_000); // found well at 15 s
    expect(agent.active()).toEqual(["memory.ram"]);
    await agent.clock.wind(2_600);
    expect(agent.active()).toEqual([]);
    await agent.end();
  });
});

describe("the day's check", () => {
  const day = (outbox: MemoryOutbox) =>
    outbox.pending().flatMap((kept) => (kept.kind === "daily" ? [unpack(kept.body)] : []));
  /** Rounds slow enough to live through days. */
  const rounds = { fastMs: 60_000, slowMs: 600_000 };

  test("is told once a day, lists every check there is, and asks anew who has long said nothing new", async () => {
    await import("../../agent/daily-sheet.ts"); // loaded when first needed: a clock wound by hand would not wait for it
    const files = { "/proc/meminfo": MEMINFO };
    const agent = agentOf({
      checks: { memory: { every: { everyMs: 86_400_000 } }, power: { enabled: true } },
      files,
      config: { rounds, daily: { spreadMs: 0 } },
    });
    agent.link.comeUp();
    await agent.clock.wind(50 * 3_600_000);
    const days = day(agent.outbox);
    const dates = new Set(days.map(({ date }) => date));
    expect([days.length, dates.size]).toEqual([3, 3]);
    expect(agent.link.said.filter(({ topic }) => topic.endsWith("/daily")).length).toBeGreaterThanOrEqual(3);
    for (const { checks } of days) {
      expect(new Set(checks.map(({ check }) => check)).size).toBe(19);
      const memory = checks.find(({ check }) => check === "memory");
      expect(memory).toMatchObject({ subject: "ram", state: "ok", readings: { available_pct: 90 } });
      expect(memory).not.toHaveProperty("age_s"); // asked anew, though its own time comes once a day
      expect(checks.find(({ check }) => check === "power")?.state).toBe("absent");
      expect(checks.find(({ check }) => check === "disk")?.state).toBe("disabled");
    }
    await agent.end();
  });

  test("is not made where it is switched off", async () => {
    const agent = agentOf({
      checks: { memory: {} },
      files: { "/proc/meminfo": MEMINFO },
      config: { rounds, daily: { enabled: false } },
    });
    await agent.clock.wind(26 * 3_600_000);
    expect(day(agent.outbox)).toEqual([]);
    await agent.end();
  });

  test("a mistake in its time is told by its path", () => {
    const config = { device: "ft-0042", brokers: [{ host: "b", port: 1 }], daily: { at: "99 7 * * *" } };
    const issues = JSON.stringify(AgentConfig.safeParse(config).error?.issues);
    expect(issues).toContain('"daily","at"');
    expect(issues).toContain("minute");
  });
});

test("the heap is collected as a whole once in 360 slow rounds, an hour at the usual pace", async () => {
  let tidied = 0;
  const agent = agentOf({ checks: { self: {} }, parts: { tidyHeap: () => (tidied += 1) } });
  await agent.clock.wind(3_500_000);
  expect(tidied).toBe(0);
  await agent.clock.wind(200_000);
  expect(tidied).toBe(1);
  await agent.clock.wind(7_200_000);
  expect(tidied).toBe(3);
  await agent.end();
});
