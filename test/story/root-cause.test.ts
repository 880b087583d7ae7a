import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { slug } from "../../protocol/topics.ts";
import { startEmbedded } from "../kit/broker.ts";
import { needsMounts, openMountSpace, takeAllRoom } from "../kit/mount-space.ts";
import { httpServer, type Listening } from "../kit/servers.ts";
import { openHouse, type Row, ticketInState, until } from "../kit/stack.ts";

/** A service that answers as long as it can write where it keeps its data. */
const recorder = (folder: string): Promise<Listening> =>
  httpServer((_request, response) => {
    try {
      writeFileSync(join(folder, "film.next"), Buffer.alloc(262_144, 1));
      response.end("recording");
    } catch {
      response.writeHead(503).end("cannot record");
    } finally {
      rmSync(join(folder, "film.next"), { force: true });
    }
  });

test.skipIf(needsMounts())(
  "a full disk and the service that fails with it are one ticket, though the service was seen first",
  { timeout: 90_000 },
  async () => {
    using space = openMountSpace();
    const point = space.mountExt4("recordings", { megabytes: 32 });
    await using service = await recorder(space.at(point));
    const disk = { holdOnMs: 12_000, holdOffMs: 1_000 }; // the service is asked in between
    const target = {
      name: "recorder",
      type: "http",
      url: `http://127.0.0.1:${service.port}/`,
      everyMs: 5_000,
      deadlineMs: 2_000,
    };
    const checks = { disk, service: { enabled: true, holdOnMs: 0, holdOffMs: 1_000, targets: [target] } };
    await using house = await openHouse(await startEmbedded(), { agent: { checks }, space });
    const { api } = house;
    const code = `disk.${slug(point)}`;
    await until("both were judged", 20_000, async () => {
      const figures = [await api.telemetry("ft-0042", code), await api.telemetry("ft-0042", "service.recorder")];
      return figures.every((one) => one !== undefined);
    });

    const free = takeAllRoom(space.at(point));
    const seenFirst = await ticketInState(api, "service.recorder", "新建", 20_000);
    const root = await ticketInState(api, code, "新建", 20_000);
    await until("the service's ticket ended in the disk's", 20_000, async () => {
      const ticket = (await api.get(`/api/v1/tickets/${seenFirst["no"]}`))?.body;
      return ticket?.["state"] === "合并";
    });
    const alarms = (await api.all("alarms", "&active=true")) ?? [];
    expect(alarms.find((one) => one["code"] === "service.recorder")).toMatchObject({
      explained_by: code,
      ticket: root["no"],
      reason: "status",
    });
    const timeline = (await api.get(`/api/v1/tickets/${root["no"]}`))?.body["timeline"] as Row[];
    expect(timeline.filter(({ kind }) => kind === "child").map(({ says_zh }) => says_zh)).toEqual([
      expect.stringContaining("由本故障引起的告警并入"),
    ]);

    free();
    await ticketInState(api, code, "已恢复", 30_000);
    const open = (await api.all("tickets", "&open=true")) ?? [];
    expect(open.filter(({ state }) => state !== "已恢复")).toEqual([]);
    expect((await api.all("tickets"))?.length).toBe(2);
  },
);
