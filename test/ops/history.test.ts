import { expect, test } from "vitest";
import { HOUR_MS } from "../../aggregator/history-store.ts";
import { openSqliteHistory } from "../../aggregator/sqlite/history.ts";
import { runOps } from "../../ops/cli.ts";
import { sparkline } from "../../ops/show-history.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { fill, finding } from "../kit/hand-history.ts";
import { httpDesk, TOKEN } from "../kit/http.ts";

const NINE = Date.UTC(2026, 10, 22, 9, 0, 0);

async function desk() {
  const history = openSqliteHistory({ file: ":memory:" });
  const samples = Array.from({ length: 240 }, (_, n) => ({
    ...{ device: "ft-0042", code: "disk.var", ts: NINE - (n + 1) * HOUR_MS },
    figures: { free_pct: 20 + n / 24, free_bytes: 1e9 },
  }));
  await fill(history, samples);
  await history.saveFindings([finding()]);
  const server = await httpDesk({ history });
  return {
    async vigil(args: readonly string[], lang = "zh_CN.UTF-8") {
      const said = { out: "", err: "" };
      const code = await runOps({
        ...{ argv: args, env: { LANG: lang, VIGIL_URL: server.url, VIGIL_TOKEN: TOKEN }, tty: false },
        out: (piece) => {
          said.out += piece;
        },
        err: (piece) => {
          said.err += piece;
        },
        ...{ clock: new HandClock(NINE), random: (count) => new Uint8Array(count), stop: new AbortController().signal },
      });
      return { ...said, code };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

test("a line of bars for each figure; for one figure each day's values too", async () => {
  await using server = await desk();
  const all = await server.vigil(["history", "ft-0042", "disk.var"]);
  expect(all).toMatchObject({ code: 0, err: "" });
  expect(all.out).toMatch(/^指标 +曲线 +最小 +平均 +最大 +末值 +样本\n/);
  expect(all.out).toMatch(/free_pct +█.*▁ +20 +25 +30 +20 +240\n/);
  expect(all.out).toMatch(/free_bytes +▅+ +1000000000 /);
  const one = await server.vigil(["history", "ft-0042", "disk.var", "free_pct", "--days", "3"], "en_GB.UTF-8");
  expect(one.out).toMatch(/^figure +line +min +mean +max +last +samples\n/);
  expect(one.out).toMatch(/\nday +min /);
  expect(one.out.match(/^2026-11-\d\d /gm)?.length).toBe(4);
  expect((await server.vigil(["history", "ft-0042", "no.code"])).out).toBe("（无）\n");
});

test("as JSON and as CSV; samples where asked", async () => {
  await using server = await desk();
  const json = await server.vigil(["history", "ft-0042", "disk.var", "free_pct", "--raw", "--days", "1", "--json"]);
  expect(JSON.parse(json.out)).toHaveLength(24);
  const csv = await server.vigil(["history", "ft-0042", "disk.var", "--csv"], "en_GB.UTF-8");
  expect(csv.out.split("\r\n")[0]).toMatch(/time,figure,mean,min,max,last,n$/);
  const both = await server.vigil(["trends", "--csv", "--json"]);
  expect(both).toMatchObject({ code: 2 });
  expect((await server.vigil(["history", "ft-0042", "disk.var", "--days", "0"])).code).toBe(2);
  expect((await server.vigil(["history", "ft-0042", "disk.var", "free-pct"])).code).toBe(2);
});

test("trends say when a limit is reached and between which days", async () => {
  await using server = await desk();
  const zh = await server.vigil(["trends"]);
  expect(zh.out).toMatch(/^设备 +代码 +指标 +当前 +每天 +限值 +预计到达 +区间 +置信度 +工单\n/);
  expect(zh.out).toMatch(
    /ft-0042 +disk\.var +free_pct +21\.4 +-1 +10 +2026-12-03 +2026-12-02 … 或更晚 +0\.990 +trend\.disk-var-free-pct\n/,
  );
  expect((await server.vigil(["trends", "--device", "enc-1"], "en_GB.UTF-8")).out).toBe("(none)\n");
});

test("bars stand for the range from least to most, whatever it is", () => {
  expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7])).toBe("▁▂▃▄▅▆▇█");
  expect(sparkline([5, Number.NaN, 5])).toBe("▅ ▅");
  expect(sparkline([1e308, -1e308])).toBe("█▁");
  expect(sparkline([])).toBe("");
});
