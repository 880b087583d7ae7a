import { type Context, Hono } from "hono";
import type * as z from "zod";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/log.ts";
import { Failure } from "../../protocol/failure.ts";
import type { HistoryReading } from "../history-store.ts";
import type { ClassBook } from "../registry.ts";
import type { Reading } from "../store.ts";
import { csvPieces } from "./csv.ts";
import { dailyAnswers, type Sheets } from "./daily.ts";
import type { Guard } from "./guard.ts";
import { historyAnswers } from "./history.ts";
import { inventoryAnswers, type Listing, pagesOf } from "./inventory.ts";
import { type Figures, labelled, METRICS_TYPE, processFigures, renderMetrics, storeFigures } from "./metrics.ts";
import { openApiDocument } from "./openapi.ts";
import { asFailure, type RefusalCount, refusalOf, SAFE_HEADERS } from "./refusal.ts";
import { ROUTES, type RouteName, type RouteSpec } from "./routes.ts";
import { alarmJson, deviceJson, ticketEventJson, ticketJson } from "./rows.ts";
import { MAX_LIMIT, readParams } from "./schemas.ts";
import type { Watch } from "./watch.ts";

/** What the aggregator thinks of itself: `because` names each thing that is wrong, in words. */
export interface Health {
  ok: boolean;
  because: readonly string[];
}

export interface ApiParts {
  reading: Reading;
  history: HistoryReading;
  /** Counters of the intake by metric name (`METRICS`). */
  counters(): Figures;
  health(): Health;
  /** Of which class a device is; of none when not given. */
  classes?: ClassBook;
  daily: Sheets;
  watch: Watch;
  guard: Guard;
  refusals: RefusalCount;
  log: Logger;
  clock: Clock;
}

/** What node-server hands along with each request. */
export interface Env {
  Bindings: { incoming: { socket: { remoteAddress?: string | undefined } } };
}
type Asked<K extends RouteName> = {
  params: z.infer<(typeof ROUTES)[K]["params"]>;
  query: z.infer<(typeof ROUTES)[K]["query"]>;
  request: Request;
};
type Answers = { [K in RouteName]: (asked: Asked<K>) => Promise<Response> | Response };

/** The API as a fetch function, apart from sockets. */
export function makeApi(parts: ApiParts): Hono<Env> {
  const { refusals, log } = parts;
  const requests = new Map<string, { route: string; status: string; count: number }>();
  const answers = makeAnswers(parts, () =>
    [...requests.values()].map(({ count, ...labels }) => ({ labels, value: count })),
  );
  const count = (route: string, response: Response): Response => {
    const status = String(response.status);
    const entry = requests.get(`${route} ${status}`) ?? { route, status, count: 0 };
    entry.count += 1;
    requests.set(`${route} ${status}`, entry);
    return response;
  };
  const refuse = (thrown: unknown, c: Context<Env>): Response => {
    const failure = asFailure(thrown);
    refusals.add(failure.code);
    if (failure.code === "API_FAULT")
      log.error({ event: "http.fault", path: c.req.path, err: thrown }, "request failed");
    const wait = failure.facts["retryAfterS"];
    const { body, ...init } = refusalOf(failure, wait === undefined ? {} : { "retry-after": String(wait) });
    return new Response(body, init);
  };

  const api = new Hono<Env>();
  api.use(async (c, next) => {
    refuseBody(c.req.raw);
    await next();
  });
  for (const [name, spec] of Object.entries<RouteSpec>(ROUTES)) {
    const answer = answers[name as RouteName] as (asked: Asked<never>) => Promise<Response>;
    api.get(spec.path.replace(/\{(\w+)\}/g, ":$1"), async (c) => {
      try {
        if (!spec.open) parts.guard.admit(c.req.header("authorization"), addressOf(c));
        const params = readParams(spec.params, Object.entries(c.req.param()));
        const query = readParams(spec.query, new URL(c.req.url).searchParams);
        return count(name, await answer({ params, query, request: c.req.raw } as Asked<never>));
      } catch (thrown) {
        return count(name, refuse(thrown, c));
      }
    });
  }
  api.notFound((c) =>
    count("none", refuse(new Failure("API_NOT_FOUND", "no such address; see /api/v1/openapi.json"), c)),
  );
  api.onError((thrown, c) => count("none", refuse(thrown, c)));
  return api;
}

/** Throws API_METHOD on all but GET and HEAD, API_TOO_LARGE on a request with a body. */
function refuseBody(request: Request): void {
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new Failure("API_METHOD", `${request.method.slice(0, 20)} is not taken here`);
  }
  const { headers } = request;
  if ((headers.get("content-length") ?? "0") !== "0" || headers.has("transfer-encoding")) {
    throw new Failure("API_TOO_LARGE", "a body is not taken here");
  }
}

/** The peer's own address: X-Forwarded-For is anyone's claim. */
const addressOf = (c: Context<Env>): string => c.env?.incoming?.socket?.remoteAddress ?? "unknown";

const JSON_TYPE = "application/json; charset=utf-8";
const respond = (body: string | ReadableStream | null, type: string, status = 200): Response =>
  new Response(body, { status, headers: { ...SAFE_HEADERS, "content-type": type } });
const respondJson = (value: unknown, status?: number): Response => respond(JSON.stringify(value), JSON_TYPE, status);

function makeAnswers(parts: ApiParts, requestCounts: () => Figures[string]): Answers {
  const { reading, watch } = parts;
  const startedAt = parts.clock.wall() - process.uptime() * 1000;
  const openapi = JSON.stringify(openApiDocument());
  const inventories = inventoryAnswers(reading, parts.classes ?? { classOf: () => undefined, devicesOf: () => [] });
  const daily = dailyAnswers(parts.daily);
  const history = historyAnswers(parts.history, () => parts.clock.wall());
  return {
    openapi: () => respond(openapi, JSON_TYPE),
    async devices({ query }) {
      const rows = await reading.devices(pageOf(query));
      return respondPage(rows.map(deviceJson), query.limit, (row) => row.id);
    },
    async device({ params: { id } }) {
      const [row, telemetry, alarms] = await Promise.all([
        reading.device(id),
        reading.telemetry(id),
        reading.alarms({ device: id, active: true }, { limit: MAX_LIMIT }),
      ]);
      if (row === undefined) throw new Failure("API_NOT_FOUND", `no device ${id}`, { facts: { id } });
      return respondJson({ ...deviceJson(row), telemetry, alarms: alarms.map(alarmJson) });
    },
    deviceHistory: ({ params: { id }, ...asked }) =>
      respondListing(history.points(id, asked.query), asked, `${id}-${asked.query.code}`),
    trends: (asked) => respondListing(history.trends(asked.query), asked, "trends"),
    deviceInventory: async ({ params: { id } }) => respondJson(await inventories.detail(id)),
    inventoryHistory: ({ params: { id }, ...asked }) => respondListing(inventories.changes(id), asked, "history"),
    inventory: async (asked) => respondListing(await inventories.devices(asked.query), asked, "inventory"),
    inventoryCounts: async (asked) => respondListing(await inventories.counts(asked.query), asked, "counts"),
    packages: async (asked) => respondListing(await inventories.packages(asked.query), asked, "packages"),
    daily: async (asked) => respondListing(daily.sheet(asked.query), asked, "daily"),
    async dailyRecord({ params: { date, device }, query, request }) {
      if (!wantsCsv(query.format, request)) return respondJson(await daily.day(date, device));
      const asked = { query: { ...query, format: "csv" as const, limit: MAX_LIMIT }, request };
      return respondListing(await daily.lines(date, device), asked, `daily-${device}-${date}`);
    },
    async alarms({ query: { after, limit, ...filter } }) {
      const rows = await reading.alarms(given(filter), pageOf({ after, limit }));
      return respondPage(rows.map(alarmJson), limit, (row) => `${row.device}/${row.code}`);
    },
    async tickets({ query: { after, limit, ...filter } }) {
      const rows = await reading.tickets(given(filter), pageOf({ after, limit }));
      return respondPage(rows.map(ticketJson), limit, (row) => row.no);
    },
    async ticket({ params: { no } }) {
      const [row, timeline] = await Promise.all([reading.ticket(no), reading.timeline(no)]);
      if (row === undefined) throw new Failure("API_NOT_FOUND", `no ticket ${no}`, { facts: { no } });
      return respondJson({ ...ticketJson(row), timeline: timeline.map(ticketEventJson) });
    },
    watch({ request }) {
      // A HEAD must not take a place that nothing would ever give back.
      const body = request.method === "HEAD" ? null : watch.open(request.headers.get("last-event-id") ?? undefined);
      return respond(body, "text/event-stream; charset=utf-8");
    },
    health() {
      const { ok, because } = parts.health();
      return respondJson({ ok, because }, ok ? 200 : 503);
    },
    async metrics() {
      const text = await renderMetrics({
        ...parts.counters(),
        ...storeFigures(await reading.counts()),
        vigil_daily_checks: labelled("state", await parts.daily.counts()),
        ...processFigures(startedAt),
        vigil_http_requests_total: requestCounts(),
        vigil_http_refused_total: labelled("code", parts.refusals.all),
        vigil_watch_clients: watch.clients,
      });
      return respond(text, METRICS_TYPE);
    },
  };
}

const pageOf = ({ after, limit }: { after?: string | undefined; limit: number }) => ({ limit, ...given({ after }) });

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
const given = <T extends object>(filter: T): Given<T> =>
  Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as Given<T>;

/** A full page may be the last one: then the page after it is empty. */
function respondPage<T>(items: readonly T[], limit: number, keyOf: (row: T) => string): Response {
  const last = items.at(-1);
  return respondJson({ items, ...(last !== undefined && items.length >= limit ? { next: keyOf(last) } : {}) });
}

interface ListQuery {
  format?: "json" | "csv" | undefined;
  lang: "zh" | "en";
  after?: string | undefined;
  limit: number;
}

const wantsCsv = (format: "json" | "csv" | undefined, { headers }: Request): boolean =>
  format === "csv" || (format === undefined && /\btext\/csv\b/i.test(headers.get("accept") ?? ""));

/** A page as JSON or, where that is asked for, everything from `after` on as a CSV file. */
async function respondListing<T>(
  list: Listing<T>,
  { query: { format, lang, after, limit }, request }: { query: ListQuery; request: Request },
  name: string,
): Promise<Response> {
  if (!wantsCsv(format, request)) return respondPage(await list.page(after, limit), limit, list.keyOf);
  const body =
    request.method === "HEAD" ? null : ReadableStream.from(csvPieces(list.columns, lang, pagesOf(list, after)));
  const answer = respond(body, "text/csv; charset=utf-8");
  answer.headers.set("content-disposition", `attachment; filename="vigil-${name}.csv"`);
  return answer;
}
