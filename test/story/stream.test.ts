import { describe, expect, test } from "vitest";
import { BROKERS } from "../kit/broker.ts";
import { openHouse, ticketInState, ticketOf, until } from "../kit/stack.ts";
import { clip, needsClips } from "../kit/stream/clips.ts";
import { needsEncoder, needsGst, rtpEncoder, startGst } from "../kit/stream/gst.ts";

const CODE = "stream.encoder-main";
/** Detection (5 s) and the hold-on of the check, with the way to the ticket. */
const MOST_MS = 20_000;

// what a broker is to the spine, the other stories show
const broker = BROKERS.find(({ skip }) => !skip);

describe.skipIf(broker === undefined)("on the spine", () => {
  test
    .skipIf(needsGst() || needsEncoder() || needsClips())
    .concurrent(
      "a hung encoder is one alarm and one ticket at its hop, over a killed agent too, and is restored when it goes on",
      { timeout: 150_000 },
      async () => {
        await using server = await startGst();
        await using encoder = rtpEncoder(clip("move"), server.forwardPort);
        const target = { name: "encoder-main", type: "rtsp", url: server.url("fwd"), at: "forwarder" };
        const stream = { holdOnMs: 2_000, holdOffMs: 2_000, targets: [{ ...target, picture: { enabled: false } }] };
        await using house = await openHouse(await startOne(), { agent: { checks: { stream } } });
        const { api, agent } = house;
        await until(
          "the stream is alive",
          30_000,
          async () => Number((await api.telemetry("ft-0042", CODE))?.["kbps"]) > 0,
        );
        expect(await ticketOf(api, CODE)).toBeUndefined();

        process.kill(encoder.pid, "SIGSTOP");
        const ticket = await ticketInState(api, CODE, "新建", MOST_MS);
        expect(ticket).toMatchObject({ type: "故障", title_zh: "视频流无媒体数据（编码器）" });
        const { body } = (await api.get(`/api/v1/tickets/${ticket["no"]}`)) ?? {};
        expect(JSON.stringify(body)).toMatch(/no video frame for \d+\.\d s after \d+ frames .*last well \d+ s ago/);

        await agent.end("SIGKILL");
        agent.start();
        await until("the agent looks at the stream again", 40_000, () => server.count("describe") >= 2);
        // long enough for a second fault or a false recovery to be told
        await until("and has told of it", 40_000, () => agent.words().split("agent.started").length >= 3);
        await expectStill(api, String(ticket["no"]), 8_000);

        process.kill(encoder.pid, "SIGCONT");
        const restored = await ticketInState(api, CODE, "已恢复", 90_000);
        expect(restored["no"]).toBe(ticket["no"]);
        const tickets = (await api.all("tickets"))?.filter(({ code }) => String(code).startsWith("stream."));
        expect(tickets?.map(({ no }) => no)).toEqual([ticket["no"]]);
        const kinds = agent.words().match(/alarm\.(raised|cleared)","code":"stream/g) ?? [];
        expect(kinds.map((one) => one.slice(6, 12))).toEqual(["raised", "cleare"]);
      },
    );
});

function startOne() {
  if (broker === undefined) throw new Error("no broker");
  return broker.start();
}

/** The ticket is neither restored nor followed by another for so long. */
async function expectStill(api: Parameters<typeof ticketOf>[0], no: string, forMs: number): Promise<void> {
  const end = performance.now() + forMs;
  await until("the time has passed", forMs + 5_000, async () => {
    const ticket = await ticketOf(api, CODE);
    expect(ticket).toMatchObject({ no, state: "新建" });
    return performance.now() > end;
  });
}
