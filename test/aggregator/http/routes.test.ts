import { expect, test } from "vitest";
import { openApiDocument } from "../../../aggregator/http/openapi.ts";
import { ROUTES, type RouteSpec } from "../../../aggregator/http/routes.ts";
import { SCHEMAS } from "../../../aggregator/http/schemas.ts";
import { ApiDeviceDetail, ApiTicketDetail } from "../../../protocol/api.ts";
import { inventoryDocument } from "../../kit/hand-inventory.ts";
import { alarmRow, dailyRecord, deviceRow, handReading, ticketEvent, ticketRow } from "../../kit/hand-reading.ts";
import { httpDesk } from "../../kit/http.ts";

const INFO = { ts: 1, boot: "01JD0000000000000000000000", agent: "1.0.0", model: "FT-9000", memory_bytes: 1024 };
function fullReading() {
  const reading = handReading({
    devices: [deviceRow({ id: "enc-1", presence: "silent" }), deviceRow({ info: INFO, acked: { boot: "b", seq: 41 } })],
    alarms: [alarmRow(), alarmRow({ code: "cpu", active: false }), alarmRow({ device: "enc-1", severity: "critical" })],
    tickets: [ticketRow(), ticketRow({ no: "GZ-20261122-0002", state: "已解决", device: "enc-1" })],
    events: [ticketEvent(), ticketEvent({ id: 2, kind: "restored", data: {} })],
    dailies: [dailyRecord()],
    inventories: [{ device: "ft-0042", receivedAt: 1, document: inventoryDocument() }],
    inventoryChanges: [
      ...[{ id: 1, device: "ft-0042", at: 1, kind: "first" as const, part: "inventory", item: "inventory" }],
    ],
  });
  reading.figures = { "ft-0042": { "disk.var": { free_pct: 3.1 } } };
  return reading;
}

test("every address answers what its schema in the OpenAPI document says, without a null", async () => {
  await using desk = await httpDesk({ reading: fullReading() });
  const paths = {
    device: "/api/v1/devices/ft-0042",
    deviceHistory: "/api/v1/devices/ft-0042/history?code=disk.var",
    dailyRecord: "/api/v1/daily/2026-11-22/ft-0042",
    deviceInventory: "/api/v1/devices/ft-0042/inventory",
    inventoryHistory: "/api/v1/devices/ft-0042/inventory/history",
    packages: "/api/v1/packages?name=libssl3",
    ticket: "/api/v1/tickets/GZ-20261122-0001",
  };
  for (const [name, route] of Object.entries(ROUTES)) {
    if (route.answer.type !== "application/json") continue;
    const answer = await desk.get(Object.hasOwn(paths, name) ? paths[name as keyof typeof paths] : route.path);
    expect(answer.status, name).toBe(200);
    const text = await answer.text();
    expect(text, name).not.toContain("null");
    expect(SCHEMAS[route.answer.schema].safeParse(JSON.parse(text)).error, name).toBeUndefined();
  }
});

test("the document names every route, its parameters and its refusals, and each reference leads somewhere", async () => {
  await using desk = await httpDesk();
  const answer = await desk.get("/api/v1/openapi.json", {});
  expect(answer.status).toBe(200);
  const document = await answer.text();
  expect(JSON.parse(document)).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
  for (const { path, query } of Object.values(ROUTES)) {
    expect(document).toContain(`"${path}"`);
    for (const name of Object.keys(query.shape)) expect(document).toContain(`"name":"${name}"`);
  }
  const { components } = JSON.parse(document) as { components: { schemas: object } };
  const refs = [...document.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
  expect(refs.length).toBeGreaterThan(10);
  expect(refs.filter((name) => !Object.hasOwn(components.schemas, name ?? ""))).toEqual([]);
});

test("the document names the type that each address answers with", async () => {
  await using desk = await httpDesk({ reading: fullReading() });
  const document = openApiDocument() as { paths: Record<string, { get: { responses: { 200: { content: object } } } }> };
  for (const { path, csv } of Object.values<RouteSpec>(ROUTES)) {
    const at = path
      .replace(/\{(id|device)\}/, "ft-0042")
      .replace("{no}", "GZ-20261122-0001")
      .replace("{date}", "2026-11-22");
    const types: (string | undefined)[] = [];
    for (const query of csv === true
      ? ["", "?name=libssl3&format=csv", "?code=disk.var&format=csv", "?format=csv"]
      : [""]) {
      const answer = await desk.get(at + query);
      await answer.body?.cancel();
      if (query === "" || answer.ok) types.push(answer.headers.get("content-type")?.split(";")[0]);
    }
    expect(Object.keys(document.paths[path]?.get.responses[200].content ?? {}), path).toEqual(types);
  }
});

test("a device comes with inventory, latest figures and its active alarms only", async () => {
  await using desk = await httpDesk({ reading: fullReading() });
  const device = ApiDeviceDetail.parse(await (await desk.get("/api/v1/devices/ft-0042")).json());
  expect(device).toMatchObject({ id: "ft-0042", model: "FT-9000", info_ts: 1, acked_boot: "b", acked_seq: 41 });
  expect(device.telemetry).toEqual({ "disk.var": { free_pct: 3.1 } });
  expect(device.alarms.map((alarm) => alarm.code)).toEqual(["disk.var"]);
});

test("a ticket comes with its timeline in sentences", async () => {
  await using desk = await httpDesk({ reading: fullReading() });
  const ticket = ApiTicketDetail.parse(await (await desk.get("/api/v1/tickets/GZ-20261122-0001")).json());
  expect(ticket.timeline.map((entry) => entry.says_zh)).toEqual([
    "工单新建：二级，disk.var 磁盘空间不足（重要）",
    "服务已恢复，进入观察",
  ]);
});

test("filters narrow a list", async () => {
  await using desk = await httpDesk({ reading: fullReading() });
  const keys = async (path: string) => {
    const { items } = (await (await desk.get(path)).json()) as { items: Record<string, string>[] };
    return items.map((row) => row["no"] ?? `${row["device"]}/${row["code"]}`);
  };
  expect(await keys("/api/v1/alarms")).toEqual(["enc-1/disk.var", "ft-0042/cpu", "ft-0042/disk.var"]);
  expect(await keys("/api/v1/alarms?active=true&device=ft-0042")).toEqual(["ft-0042/disk.var"]);
  expect(await keys("/api/v1/alarms?active=false")).toEqual(["ft-0042/cpu"]);
  expect(await keys("/api/v1/tickets?open=true")).toEqual(["GZ-20261122-0001"]);
  expect(await keys(`/api/v1/tickets?state=${encodeURIComponent("已解决")}`)).toEqual(["GZ-20261122-0002"]);
  expect(await keys("/api/v1/tickets?device=nobody")).toEqual([]);
});

test("pages follow each other to the end, each row once", async () => {
  const devices = Array.from({ length: 23 }, (_, i) => deviceRow({ id: `ft-${String(i).padStart(3, "0")}` }));
  await using desk = await httpDesk({ reading: handReading({ devices }) });
  const seen: string[] = [];
  let pages = 0;
  for (let next: string | undefined = ""; next !== undefined; pages += 1) {
    const answer = await desk.get(`/api/v1/devices?limit=10${next === "" ? "" : `&after=${next}`}`);
    const page = (await answer.json()) as { items: { id: string }[]; next?: string };
    seen.push(...page.items.map((row) => row.id));
    next = page.next;
  }
  expect(seen).toEqual(devices.map((row) => row.id));
  expect(pages).toBe(3);
});

test("what is not there is 404, what is not well is 503 with its reasons, a fault inside shows nothing of itself", async () => {
  const reading = fullReading();
  await using desk = await httpDesk({ reading });
  const refusal = async (path: string) => {
    const answer = await desk.get(path);
    return [answer.status, ((await answer.json()) as { code: string }).code];
  };
  expect(await refusal("/api/v1/devices/nobody")).toEqual([404, "API_NOT_FOUND"]);
  expect(await refusal("/api/v1/tickets/GZ-20261122-9999")).toEqual([404, "API_NOT_FOUND"]);
  expect(await refusal("/wp-admin")).toEqual([404, "API_NOT_FOUND"]);
  desk.health.ok = false;
  desk.health.because.push("the broker does not answer");
  const health = await desk.get("/healthz", {});
  expect([health.status, await health.json()]).toEqual([503, { ok: false, because: ["the broker does not answer"] }]);
  reading.broken = new Error("secret path /var/lib/x");
  const broken = await desk.get("/api/v1/devices");
  expect(broken.status).toBe(500);
  expect(await broken.text()).not.toContain("secret");
});

test("HEAD answers without a body, anything that writes is refused, every answer has its safety headers", async () => {
  await using desk = await httpDesk({ reading: fullReading() });
  const head = await desk.get("/api/v1/devices", undefined, "HEAD");
  expect([head.status, await head.text()]).toEqual([200, ""]);
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
    const answer = await desk.get("/api/v1/devices", undefined, method);
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  }
  for (const path of ["/healthz", "/nope", "/api/v1/watch"]) {
    const { headers } = await desk.get(path, undefined, "HEAD");
    expect(headers.get("x-content-type-options"), path).toBe("nosniff");
    expect(headers.get("content-security-policy"), path).toContain("default-src 'none'");
    expect(headers.get("cache-control"), path).toBe("no-store");
  }
  expect(await desk.metric("vigil_watch_clients")).toBe(0);
});

test("a port that is taken is a clear failure naming it", async () => {
  await using first = await httpDesk();
  await expect(httpDesk({ port: first.port })).rejects.toMatchObject({
    code: "PORT_TAKEN",
    facts: { port: first.port, host: "127.0.0.1" },
  });
});
