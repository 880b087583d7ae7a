import { expect, test } from "vitest";
import { openChanges } from "../../../aggregator/changes.ts";
import { openWatch } from "../../../aggregator/http/watch.ts";
import { ApiChange } from "../../../protocol/api.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { alarmRow, deviceRow, ticketEvent, ticketRow } from "../../kit/hand-reading.ts";
import { httpDesk, TOKEN } from "../../kit/http.ts";

const LIMITS = { maxClients: 2, kept: 4, maxBehind: 8, beatMs: 15_000 };
const device = (id: string) => ({ kind: "device", at: 1, row: deviceRow({ id }) }) as const;

/** Reads frames of a stream one by one: event, id and data. */
function framesOf(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader();
  const utf8 = new TextDecoder();
  let rest = "";
  return {
    async next(): Promise<{ event: string; id: string; data: unknown } | undefined> {
      while (!rest.includes("\n\n")) {
        const { done, value } = await reader.read();
        if (done) return undefined;
        rest += utf8.decode(value);
      }
      const [frame = ""] = rest.split("\n\n");
      rest = rest.slice(frame.length + 2);
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(frame)?.[1] ?? "";
      return { event: field("event"), id: field("id"), data: JSON.parse(field("data") || "null") };
    },
    cancel: () => reader.cancel(),
  };
}

test("each change is one event that fits its schema: an alarm raised, changed, cleared; a ticket; a device", async () => {
  await using desk = await httpDesk();
  const answer = await desk.get("/api/v1/watch");
  expect(answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  const frames = framesOf(answer.body as ReadableStream<Uint8Array>);
  expect(await frames.next()).toMatchObject({ event: "hello", data: { missed: false } });
  const was = { active: true, severity: "minor" } as const;
  desk.changes.tell({ kind: "alarm", at: 1, row: alarmRow() });
  desk.changes.tell({ kind: "alarm", at: 2, row: alarmRow(), was });
  desk.changes.tell({ kind: "alarm", at: 3, row: alarmRow({ active: false }), was });
  desk.changes.tell({ kind: "ticket", at: 4, row: ticketRow(), event: ticketEvent() });
  desk.changes.tell(device("ft-1"));
  const seen: string[] = [];
  for (let i = 0; i < 5; i += 1) {
    const frame = await frames.next();
    const change = ApiChange.parse(frame?.data);
    expect(frame?.event).toBe(change.kind);
    seen.push(change.kind === "alarm" ? `${change.change} ${change.severity_was ?? ""}`.trim() : change.kind);
  }
  expect(seen).toEqual(["raised", "changed minor", "cleared minor", "ticket", "device"]);
  await frames.cancel();
});

test("a client that comes back with its last id gets what it missed, and is told when that is no longer known", async () => {
  const changes = openChanges();
  using watch = openWatch(changes, new HandClock(), LIMITS);
  const first = framesOf(watch.open());
  const hello = await first.next();
  changes.tell(device("a"));
  const a = await first.next();
  await first.cancel();
  for (const id of ["b", "c", "d", "e"]) changes.tell(device(id));
  const again = framesOf(watch.open(a?.id));
  expect(await again.next()).toMatchObject({ event: "hello", data: { missed: false } });
  const ids = [await again.next(), await again.next(), await again.next(), await again.next()];
  expect(ids.map((frame) => ApiChange.parse(frame?.data))).toMatchObject(
    ["b", "c", "d", "e"].map((id) => ({ device: { id } })),
  );
  await again.cancel();
  for (const old of [hello?.id, "other-3", "x", "", `${a?.id.split("-")[0]}-99`]) {
    const late = framesOf(watch.open(old));
    expect(await late.next(), old).toMatchObject({ data: { missed: true } });
    await late.cancel();
  }
});

test("a client cut off between the greeting and what it missed still gets it the next time", async () => {
  const changes = openChanges();
  using watch = openWatch(changes, new HandClock(), LIMITS);
  const first = framesOf(watch.open());
  const hello = await first.next();
  await first.cancel();
  changes.tell(device("a"));
  const again = framesOf(watch.open(hello?.id));
  const greeting = await again.next();
  await again.cancel();
  const third = framesOf(watch.open(greeting?.id));
  expect(await third.next()).toMatchObject({ event: "hello", data: { missed: false } });
  changes.tell(device("b"));
  expect(await third.next()).toMatchObject({ data: { device: { id: "a" } } });
  await third.cancel();
});

test("a place is given back when its client leaves; beyond the last one a client is refused", async () => {
  await using desk = await httpDesk({ limits: { watch: LIMITS } });
  const leave = new AbortController();
  const open = (signal?: AbortSignal) =>
    fetch(`${desk.url}/api/v1/watch`, { headers: { authorization: `Bearer ${TOKEN}` }, ...(signal && { signal }) });
  await open(leave.signal);
  await open();
  const third = await open();
  expect([third.status, third.headers.get("retry-after"), await third.json()]).toEqual([
    503,
    "10",
    expect.objectContaining({ code: "API_BUSY" }),
  ]);
  leave.abort();
  await expect.poll(() => desk.metric("vigil_watch_clients")).toBe(1);
  expect((await open()).status).toBe(200);
});

test("a client that reads too slowly is cut off, and holds back nobody", async () => {
  const changes = openChanges();
  using watch = openWatch(changes, new HandClock(), LIMITS);
  watch.open();
  const quick = framesOf(watch.open());
  await quick.next();
  for (let i = 0; i < 12; i += 1) {
    changes.tell(device(`d-${i}`));
    expect(await quick.next()).toMatchObject({ data: { device: { id: `d-${i}` } } });
  }
  expect(watch.clients).toBe(1);
});

test("a quiet stream gives a sign of life, and closing the server ends it", async () => {
  const clock = new HandClock();
  const watch = openWatch(openChanges(), clock, LIMITS);
  const reader = watch.open().getReader();
  await reader.read();
  await clock.wind(15_000);
  expect(new TextDecoder().decode((await reader.read()).value)).toBe(": ♥\n\n");
  watch[Symbol.dispose]();
  expect((await reader.read()).done).toBe(true);
});

test("a change is put into words only when somebody watches", () => {
  const changes = openChanges();
  using _watch = openWatch(changes, new HandClock(), LIMITS);
  const row = new Proxy(deviceRow(), {
    get: () => {
      throw new Error("read without need");
    },
  });
  expect(() => changes.tell({ kind: "device", at: 1, row })).not.toThrow();
});
