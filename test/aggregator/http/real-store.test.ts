import { expect, test } from "vitest";
import { openSqliteStore } from "../../../aggregator/sqlite-store.ts";
import { chain, refold } from "../../../aggregator/tickets/timeline.ts";
import { ApiAlarm, ApiDeviceDetail, ApiTicketDetail, page } from "../../../protocol/api.ts";
import { alarmRow, deviceRow, ticketEvent } from "../../kit/hand-reading.ts";
import { httpDesk } from "../../kit/http.ts";

const NO = "GZ-20261122-0001";

/** The embedded store with a device whose two faults became one ticket each, over a real HTTP server. */
async function filledStore() {
  const store = openSqliteStore({ file: ":memory:" });
  await store.transaction(async (tx) => {
    for (const id of ["enc-1", "ft-0042"]) await tx.saveDevice(deviceRow({ id }));
    const { data } = ticketEvent();
    const entry = { ...data, device: "ft-0042", dedup_key: "ft-0042/disk.var", occurred_at: 1 };
    const events = chain(
      NO,
      undefined,
      [
        { kind: "opened", data: entry },
        { kind: "restored", data: {} },
      ],
      1_000,
    );
    const fold = refold(events);
    if (fold === undefined) throw new Error("no ticket");
    await tx.appendEvents(events, fold);
    await tx.saveAlarm(alarmRow({ ticket: NO }));
    await tx.saveAlarm(alarmRow({ device: "enc-1", code: "cpu", active: false }));
    await tx.saveTelemetry(
      "ft-0042",
      "disk.var",
      { figures: '{"ts":1,"free_pct":3.1}', receivedAt: 1_000, isLate: false },
      10,
    );
  });
  return store;
}

test("what the embedded store holds is answered as the document says", async () => {
  await using store = await filledStore();
  await using desk = await httpDesk({ reading: store.reading });
  const read = async (path: string): Promise<unknown> => (await desk.get(path)).json();
  const device = ApiDeviceDetail.parse(await read("/api/v1/devices/ft-0042"));
  expect(device.alarms).toMatchObject([{ code: "disk.var", ticket: NO }]);
  expect(device.telemetry["disk.var"]).toMatchObject({ free_pct: 3.1 });
  const ticket = ApiTicketDetail.parse(await read(`/api/v1/tickets/${NO}`));
  expect(ticket).toMatchObject({ state: "已恢复", level: 2, restored_at: 1_000 });
  expect(ticket.timeline.map((entry) => entry.says_en)).toEqual([
    "ticket opened: level 2, ft-0042 disk.var disk almost full (major)",
    "service restored, under observation",
  ]);
  expect(ticket.timeline[1]?.prev_hash).toBe(ticket.timeline[0]?.hash);
  expect((await read("/api/v1/tickets?open=true")) as object).toMatchObject({ items: [{ no: NO }] });
  expect(await desk.metric('vigil_tickets_open{level="2"}')).toBe(1);
});

test("pages of the embedded store follow each other by the key the API gives", async () => {
  await using store = await filledStore();
  await using desk = await httpDesk({ reading: store.reading });
  const pageOf = async (query: string) =>
    page(ApiAlarm).parse(await (await desk.get(`/api/v1/alarms?limit=1${query}`)).json());
  const first = await pageOf("");
  expect([first.items.map((row) => row.code), first.next]).toEqual([["cpu"], "enc-1/cpu"]);
  const second = await pageOf(`&after=${first.next}`);
  expect([second.items.map((row) => row.code), second.next]).toEqual([["disk.var"], "ft-0042/disk.var"]);
  expect(await pageOf(`&after=${second.next}`)).toEqual({ items: [] });
});
