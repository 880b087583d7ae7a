import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { openChanges } from "../../aggregator/changes.ts";
import { DailySheets } from "../../aggregator/daily/sheets.ts";
import type { HistoryReading } from "../../aggregator/history-store.ts";
import type { Figures } from "../../aggregator/http/metrics.ts";
import { type HttpLimits, type HttpServer, startHttp } from "../../aggregator/http/server.ts";
import type { ClassBook } from "../../aggregator/registry.ts";
import { openSqliteHistory } from "../../aggregator/sqlite/history.ts";
import type { Reading } from "../../aggregator/store.ts";
import { openLog } from "../../platform/log.ts";
import { redactor } from "../../platform/redact.ts";
import { hashOf } from "../../protocol/token.ts";
import { HandClock } from "./hand-clock.ts";
import { handReading } from "./hand-reading.ts";

export const TOKEN = "vgl_a-token-for-tests";

/** A real HTTP server on a free loopback port over rows the test sets, and doors to what drives it. */
export async function httpDesk(
  own: {
    reading?: Reading;
    history?: HistoryReading;
    limits?: Partial<HttpLimits>;
    counters?: Figures;
    port?: number;
    classes?: ClassBook;
  } = {},
) {
  const clock = new HandClock();
  const changes = openChanges();
  const reading = own.reading ?? handReading();
  const rules = { timeZone: "Asia/Shanghai", at: "07:30", graceMs: 7_200_000 };
  const health: { ok: boolean; because: string[] } = { ok: true, because: [] };
  const server: HttpServer = await startHttp({
    config: { host: "127.0.0.1", port: own.port ?? 0, tokens: [{ name: "test", sha256: hashOf(TOKEN) }] },
    reading,
    history: own.history ?? openSqliteHistory({ file: ":memory:" }),
    daily: new DailySheets(reading.daily, rules, () => clock.wall()),
    counters: () => own.counters ?? {},
    changes,
    health: () => health,
    log: openLog("silent", "http", redactor([])),
    clock,
    ...(own.classes === undefined ? {} : { classes: own.classes }),
    ...(own.limits === undefined ? {} : { limits: own.limits }),
  });
  const url = `http://127.0.0.1:${server.port}`;
  return {
    url,
    port: server.port,
    server,
    clock,
    changes,
    health,
    get: (path: string, headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` }, method = "GET") =>
      fetch(`${url}${path}`, { method, headers }),
    /** One sample of /metrics, 0 when it is not there. */
    async metric(name: string): Promise<number> {
      const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
      const line = (await answer.text()).split("\n").find((sample) => sample.startsWith(`${name} `));
      return Number(line?.split(" ")[1] ?? 0);
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** Sends bytes as they are over TCP and returns everything that comes back until the server ends it. */
export async function rawRequest(port: number, bytes: string | Uint8Array, end = false): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // the server may cut a flood off
  socket.write(bytes);
  if (end) socket.end();
  return text(socket).catch(() => "");
}
