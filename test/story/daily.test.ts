import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { startEmbedded } from "../kit/broker.ts";
import { fakeClock } from "../kit/fake-clock.ts";
import { needs } from "../kit/peers.ts";
import { type Api, awaitProgram, type House, openHouse, type Row, TOKEN, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

/** The day's check (日检) through real programs, while the broker is away and everything is killed in between. */

const folder = tempFolder("vigil-daily");
afterAll(() => folder[Symbol.dispose]());
const DAY = 86_400_000;
/** 06:00 of some days ago, on this machine's wall. */
const sixOf = (daysAgo: number): number => {
  const day = new Date(Date.now() - daysAgo * DAY);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate(), 6).getTime();
};
const dateOf = (at: number): string => {
  const day = new Date(at);
  return [day.getFullYear(), day.getMonth() + 1, day.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
};
const MORNING = 2 * 3_600_000; // past the set time
const [first, second, third] = [sixOf(5), sixOf(4), sixOf(3)] as const;

const made = ({ agent }: House): number => agent.words().split('"daily.made"').length - 1;
const recordOf = async (api: Api, at: number): Promise<Row | undefined> => {
  const answer = await api.get(`/api/v1/daily/${dateOf(at)}/ft-0042`);
  return answer?.status === 200 ? answer.body : undefined;
};

test.skipIf(needs("faketime", "faketime"))(
  "two set times pass without a broker: both days arrive, once, over kills of the agent and of the aggregator",
  { timeout: 120_000 },
  async () => {
    const fake = fakeClock(folder.path);
    const clock = { set: (at: number) => fake.set(Math.round((at - Date.now()) / 1000)) };
    clock.set(first);
    await using house = await openHouse(await startEmbedded(), {
      agent: {
        daily: { at: "30 7 * * *", spreadMs: 1_000 },
        rounds: { fastMs: 200, slowMs: 500 },
        checks: { memory: { enabled: true } },
      },
      env: fake.env,
    });
    await house.broker.stop();

    clock.set(first + MORNING);
    await until("the first day is made", 20_000, () => made(house) === 1);
    await house.agent.end("SIGKILL");
    house.agent.start(); // today's is there already
    clock.set(second + MORNING);
    await until("the second day is made", 20_000, () => made(house) === 2);

    await house.broker.restart();
    await house.aggregator.end("SIGKILL");
    house.aggregator.start();
    const days = await until("both days are there", 40_000, async () => {
      const found = await Promise.all([recordOf(house.api, first), recordOf(house.api, second)]);
      return found.every((one) => one !== undefined) && (found as Row[]);
    });
    await until("the device keeps nothing back", 20_000, async () => {
      return (await house.api.telemetry("ft-0042", "self.outbox"))?.["pending_count"] === 0;
    });

    clock.set(first + 2 * MORNING); // and back again, while it looks every three seconds: that day has its check
    const self = () => house.api.telemetry("ft-0042", "self");
    const back = await until("its clock is back", 20_000, async () => {
      const told = await self();
      return told !== undefined && (told["ts"] ?? 0) < second && told;
    });
    await until("it has looked since", 20_000, async () => {
      return ((await self())?.["uptime_s"] ?? 0) >= (back["uptime_s"] ?? 0) + 5;
    });
    expect(made(house)).toBe(2);

    clock.set(third + MORNING);
    await until("the third day arrives by itself", 30_000, async () => recordOf(house.api, third));
    expect(made(house)).toBe(3);
    for (const [i, day] of days.entries()) {
      expect(day).toMatchObject({ date: dateOf([first, second][i] ?? 0), state: "made", late: true, again_count: 0 });
      expect(day["performance"]).toContainEqual(
        expect.objectContaining({
          check: "memory",
          readings: expect.objectContaining({ available_pct: expect.any(Number) }),
        }),
      );
      expect((day["faults"] as { states: Row[] }).states).toContainEqual(
        expect.objectContaining({ check: "disk", state: "disabled" }),
      );
      expect(day["config"]).toMatchObject({ config_hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    }

    const token = join(house.folder, "vigil-token");
    writeFileSync(token, TOKEN, { mode: 0o600 });
    const vigil = (...words: string[]) =>
      awaitProgram("ops/main.ts", [
        "daily",
        "--date",
        dateOf(first),
        "--lang",
        "zh",
        "--url",
        house.api.url,
        "--token-file",
        token,
        ...words,
      ]);
    const sheet = await vigil();
    expect(sheet.err).toBe("");
    expect(sheet.out).toMatch(new RegExp(`^日检表 ${dateOf(first)} 1 台 `));
    expect(sheet.out).toMatch(/\nft-0042 +已检 /);
    expect((await vigil("--device", "ft-0042")).out).toMatch(
      /故障数据[\s\S]*性能数据[\s\S]*memory +ram[\s\S]*配置数据/,
    );
    expect(house.agent.words()).not.toMatch(/courier\.refused|periodic_failed/);
  },
);
