import type * as z from "zod";
import {
  ApiAlarm,
  ApiDevice,
  ApiDeviceDetail,
  ApiError,
  ApiTicket,
  ApiTicketDetail,
  page as pageSchema,
} from "../protocol/api.ts";
import { ApiDailyRecord, ApiDailyRow } from "../protocol/api-daily.ts";
import { ApiHistoryPoint, ApiTrend } from "../protocol/api-history.ts";
import { ApiInventory, ApiInventoryChange, ApiInventoryCount, ApiInventoryDetail } from "../protocol/api-inventory.ts";
import { FAILURES, Failure, type FailureCode } from "../protocol/failure.ts";

export interface Api {
  devices(): Promise<ApiDevice[]>;
  device(id: string): Promise<ApiDeviceDetail>;
  alarms(query: { device?: string | undefined; active?: boolean | undefined }): Promise<ApiAlarm[]>;
  tickets(query: TicketQuery): Promise<ApiTicket[]>;
  ticket(no: string): Promise<ApiTicketDetail>;
  dailySheet(query: DailyQuery): Promise<ApiDailyRow[]>;
  dailyRecord(date: string, device: string): Promise<ApiDailyRecord>;
  inventories(query: InventoryQuery): Promise<ApiInventory[]>;
  inventory(id: string): Promise<ApiInventoryDetail>;
  inventoryCounts(query: Pick<InventoryQuery, "site" | "class">): Promise<ApiInventoryCount[]>;
  inventoryHistory(id: string): Promise<ApiInventoryChange[]>;
  history(id: string, query: HistoryQuery): Promise<ApiHistoryPoint[]>;
  trends(query: { device?: string | undefined }): Promise<ApiTrend[]>;
  /** A list as one CSV file. */
  csv(path: string, query: Query): Promise<string>;
  /** The watch stream's bytes, from after `lastId` where one is given. Ends when `signal` aborts. */
  watch(lastId: string | undefined, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}
export interface TicketQuery {
  device?: string | undefined;
  state?: string | undefined;
  open?: boolean | undefined;
}
export interface DailyQuery {
  date?: string | undefined;
  device?: string | undefined;
  site?: string | undefined;
}
export interface HistoryQuery {
  code: string;
  figure?: string | undefined;
  from: number;
  to?: number | undefined;
  step: "raw" | "hour";
}
export interface InventoryQuery {
  device?: string | undefined;
  site?: string | undefined;
  class?: string | undefined;
  package?: string | undefined;
  below?: string | undefined;
  above?: string | undefined;
}
type Query = Readonly<Record<string, string | number | boolean | undefined>>;

const ANSWER_MS = 15_000;
const FILE_MS = 120_000;

/**
 * The aggregator's HTTP API. Throws API_UNREACHABLE when nothing (or something else) answers, and the failure the
 * aggregator named otherwise. Redirects are not followed: the token is for this address alone.
 */
export function openApi(parts: { url: string; token?: string | undefined; signal: AbortSignal }): Api {
  const { url, token } = parts;
  const ask = async (path: string, query: Query, signal: AbortSignal, headers: Record<string, string> = {}) => {
    const address = new URL(path.slice(1), url.endsWith("/") ? url : `${url}/`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) address.searchParams.set(name, String(value));
    }
    const own = token === undefined ? headers : { ...headers, authorization: `Bearer ${token}` };
    const answer = await fetch(address, { headers: own, redirect: "error", signal }).catch((cause: unknown) => {
      throw unreachable(url, cause);
    });
    return answer.ok ? answer : Promise.reject(await failureOf(answer, url));
  };
  const read = async <T extends z.ZodType>(schema: T, path: string, query: Query = {}): Promise<z.infer<T>> => {
    const answer = await ask(path, query, AbortSignal.any([parts.signal, AbortSignal.timeout(ANSWER_MS)]));
    const body: unknown = await answer.json().catch((cause: unknown) => {
      throw unreachable(url, cause);
    });
    const parsed = schema.safeParse(body);
    if (!parsed.success) throw unreachable(url, parsed.error);
    return parsed.data;
  };
  const readAll = async <T extends z.ZodType>(row: T, path: string, query: Query = {}): Promise<z.infer<T>[]> => {
    const rows: z.infer<T>[] = [];
    const page = pageSchema(row);
    for (let after: string | undefined; ; ) {
      const { items, next } = await read(page, path, { ...query, after, limit: 500 });
      rows.push(...items);
      if (next === undefined) return rows;
      if (items.length === 0) throw unreachable(url, undefined); // its pages would never end
      after = next;
    }
  };
  return {
    devices: () => readAll(ApiDevice, "/api/v1/devices"),
    device: (id) => read(ApiDeviceDetail, `/api/v1/devices/${encodeURIComponent(id)}`),
    alarms: (query) => readAll(ApiAlarm, "/api/v1/alarms", query),
    tickets: (query) => readAll(ApiTicket, "/api/v1/tickets", { ...query }),
    ticket: (no) => read(ApiTicketDetail, `/api/v1/tickets/${encodeURIComponent(no)}`),
    dailySheet: (query) => readAll(ApiDailyRow, "/api/v1/daily", { ...query }),
    dailyRecord: (date, device) =>
      read(ApiDailyRecord, `/api/v1/daily/${encodeURIComponent(date)}/${encodeURIComponent(device)}`),
    inventories: (query) => readAll(ApiInventory, "/api/v1/inventory", { ...query }),
    inventory: (id) => read(ApiInventoryDetail, `/api/v1/devices/${encodeURIComponent(id)}/inventory`),
    inventoryCounts: (query) => readAll(ApiInventoryCount, "/api/v1/inventory/counts", { ...query }),
    inventoryHistory: (id) =>
      readAll(ApiInventoryChange, `/api/v1/devices/${encodeURIComponent(id)}/inventory/history`),
    history: (id, query) => readAll(ApiHistoryPoint, `/api/v1/devices/${encodeURIComponent(id)}/history`, { ...query }),
    trends: (query) => readAll(ApiTrend, "/api/v1/trends", query),
    async csv(path, query) {
      const signal = AbortSignal.any([parts.signal, AbortSignal.timeout(FILE_MS)]);
      const answer = await ask(path, { ...query, format: "csv" }, signal);
      if (answer.headers.get("content-type")?.startsWith("text/csv") !== true) throw unreachable(url, undefined);
      const bytes = await answer.arrayBuffer().catch((cause: unknown) => {
        throw unreachable(url, cause);
      });
      return Buffer.from(bytes).toString("utf8"); // text() would take the mark away that tells Excel it is UTF-8
    },
    async watch(lastId, signal) {
      const headers = { accept: "text/event-stream", ...(lastId === undefined ? {} : { "last-event-id": lastId }) };
      const { body, headers: said } = await ask("/api/v1/watch", {}, signal, headers);
      if (body === null || said.get("content-type")?.startsWith("text/event-stream") !== true)
        throw unreachable(url, undefined);
      return body;
    },
  };
}

const unreachable = (url: string, cause: unknown): Failure =>
  new Failure("API_UNREACHABLE", `${url} does not answer as a Vigil aggregator${reasonOf(cause)}`, {
    facts: { url },
    cause,
  });

/** `: ECONNREFUSED` where the system named a reason. */
function reasonOf(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  if (inner instanceof Error && "code" in inner && typeof inner.code === "string") return `: ${inner.code}`;
  return inner instanceof Error && inner.name === "TimeoutError" ? ": timeout" : "";
}

const isFailureCode = (code: string): code is FailureCode => Object.hasOwn(FAILURES, code);

async function failureOf(answer: Response, url: string): Promise<Failure> {
  const said = ApiError.safeParse(await answer.json().catch(() => undefined));
  if (!said.success) return unreachable(url, new Error(`HTTP ${answer.status}`));
  const { code, message } = said.data;
  return new Failure(isFailureCode(code) ? code : "API_FAULT", message);
}
