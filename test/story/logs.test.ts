import { appendFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { startEmbedded } from "../kit/broker.ts";
import { startChild } from "../kit/child.ts";
import { needsFuse, openMountSpace } from "../kit/mount-space.ts";
import { openHouse, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

/** A log at 2,000 lines a second, and an agent that is killed again and again: what the desk is told of it in the end. */

const WRITER = join(import.meta.dirname, "../kit/log-writer.ts");
const CODE = "logs.tick";

test.each(["rename", "copy", "cut"] as const)(
  "rotated by %s: the desk is told of every line once, or that some were lost, and of one alarm",
  { timeout: 120_000 },
  async (turn) => {
    using folder = tempFolder("vigil-story-logs");
    mkdirSync(join(folder.path, "log"));
    const path = join(folder.path, "log", "app.log");
    writeFileSync(path, "begin\n"); // of a file in which nothing was ever seen, nobody can tell that it was cut
    const tick = {
      ...{ id: "tick", titleZh: "滴答", titleEn: "Tick", severity: "major", literal: "tick ", regex: "tick \\d+$" },
      ...{ count: 100, windowMs: 60_000, quietMs: 600_000 },
    };
    const end = { id: "end", titleZh: "结束", titleEn: "End", literal: "the end" };
    // a log that is cut so often is read every second: config by hand, since by itself a quiet one is read every ten
    const logs = { enabled: true, every: "fast", system: false, files: [{ path }], patterns: [tick, end] };
    await using house = await openHouse(await startEmbedded(), {
      agent: { telemetryMs: 1_000, checks: { logs, process: { enabled: false } } },
    });
    const { api, agent } = house;
    const figures = (code: string): Promise<Record<string, number> | undefined> => api.telemetry("ft-0042", code);
    const source = async () => {
      const codes = (await api.get("/api/v1/devices/ft-0042"))?.body["telemetry"] as Record<string, object> | undefined;
      const own = Object.keys(codes ?? {}).find((code) => /^logs\.(?!tick$|end$)/.test(code));
      return own === undefined ? undefined : figures(own);
    };
    await until("the log is followed", 20_000, source);

    const count = join(folder.path, "count");
    const words = ["--path", path, "--seconds", "5", "--every", "700", "--turn", turn, "--count", count];
    const writer = startChild(process.execPath, ["--disable-warning=ExperimentalWarning", WRITER, ...words]);
    try {
      let kills = 0;
      for (; !existsSync(count); kills += 1) {
        await systemClock.sleep(900 + 133 * (kills % 5));
        await agent.end("SIGKILL");
        agent.start();
      }
      expect(kills).toBeGreaterThan(0);
      const written = Number(readFileSync(count, "utf8"));
      expect(written).toBeGreaterThan(9_000);
      appendFileSync(path, "the end\n");
      const { ts: then = 0 } = await until("its last line is told", 30_000, () => figures("logs.end"));
      // each code has a message of its own, and figures that were kept while no broker was there come after newer ones
      const [ticks, lost] = await until("and all before it", 30_000, async () => {
        const both = [await figures(CODE), await source()] as const;
        return both.every((one) => (one?.["ts"] ?? 0) >= then) && both;
      });
      const total = ticks?.["total_count"] ?? 0;
      if (turn === "cut") {
        expect(total).toBeLessThanOrEqual(written);
        expect(total).toBeGreaterThan(0);
        if (total < written) expect(lost?.["lost_count"]).toBeGreaterThan(0);
      } else if (turn === "copy") {
        if (total < written) expect(lost?.["lost_bytes"]).toBeGreaterThan(0);
        expect(Math.abs(total - written)).toBeLessThan(written / 20);
      } else {
        expect(total).toBe(written);
        expect(lost).toMatchObject({ lost_bytes: 0 });
      }
      const tickets = ((await api.all("tickets")) ?? []).filter(({ code }) => code === CODE);
      expect(tickets).toHaveLength(1);
      const raised = agent
        .words()
        .split("\n")
        .filter((line) => line.includes(`"code":"${CODE}"`));
      // the record is on flash before the line is said: a kill in between leaves the ticket, and no line
      expect(["", "alarm.raised"]).toContain(raised.map((line) => JSON.parse(line)["event"]).join(" "));
    } finally {
      await writer.kill9();
    }
  },
);

test.skipIf(needsFuse())(
  "a log behind a mount that hangs is unknown, and holds up neither the other logs nor the agent",
  { timeout: 60_000 },
  async () => {
    using space = openMountSpace();
    const { point, release } = space.mountHung("dead");
    const [own, link] = [join(space.folder, "app.log"), join(space.folder, "link.log")];
    writeFileSync(own, "");
    symlinkSync("dead/there.log", link);
    const tick = { id: "tick", titleZh: "滴答", titleEn: "Tick", literal: "tick" };
    const files = [join(point, "app.log"), link, own].map((path) => ({ path }));
    const logs = { enabled: true, system: false, files, patterns: [tick] };
    await using house = await openHouse(await startEmbedded(), {
      agent: { checks: { logs, process: { enabled: false } } },
      space,
    });
    await until("its own log is followed", 15_000, async () => {
      appendFileSync(own, "tick\n");
      return house.api.telemetry("ft-0042", CODE);
    });
    const unknown = await until("both others are told to be unknown", 15_000, async () => {
      const alarms = (await house.api.all("alarms")) ?? [];
      const found = alarms.filter((alarm) => JSON.stringify(alarm).includes("may hang"));
      return found.length === 2 && found;
    });
    expect(JSON.stringify(unknown)).toContain("fuse");
    release();
  },
);
