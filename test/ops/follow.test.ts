import { expect, test } from "vitest";
import { deviceJson } from "../../aggregator/http/rows.ts";
import type { Api } from "../../ops/client.ts";
import { type Followed, follow } from "../../ops/follow.ts";
import { Failure } from "../../protocol/failure.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { deviceRow } from "../kit/hand-reading.ts";

const down = () => new Failure("API_UNREACHABLE", "nobody there");
const hello = (missed = false) => `event: hello\nid: e-0\ndata: {"missed":${missed}}\n\n`;
const change = (n: number) => {
  const data = { kind: "device", at: n, device: deviceJson(deviceRow({ id: `d-${n}` })) };
  return `event: device\nid: e-${n}\ndata: ${JSON.stringify(data)}\n\n`;
};

/** A desk whose watch stream answers by a script: text then end, text then silence, or a failure. */
function scripted(...script: (Failure | { text: string; hangs?: boolean })[]) {
  const clock = new HandClock();
  const stop = new AbortController();
  const asked: { lastId: string | undefined; at: number }[] = [];
  const watch: Api["watch"] = async (lastId, signal) => {
    asked.push({ lastId, at: clock.now() });
    const step = script.shift();
    if (step === undefined)
      return new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
    if (step instanceof Failure) throw step;
    return new ReadableStream({
      start(sink) {
        sink.enqueue(Buffer.from(step.text));
        if (step.hangs !== true) sink.close();
        else signal.addEventListener("abort", () => sink.error(signal.reason));
      },
    });
  };
  const seen: string[] = [];
  const say = (followed: Followed) => {
    if (followed.kind === "change") return followed.change.kind === "device" ? followed.change.device.id : "";
    return followed.kind === "lost"
      ? "lost"
      : `connected${followed.again ? " again" : ""}${followed.missed ? ", missed" : ""}`;
  };
  const run = (async () => {
    for await (const followed of follow({ api: { watch } as Api, clock, stop: stop.signal })) seen.push(say(followed));
  })();
  run.catch(() => {}); // looked at by the test
  return { clock, stop, asked, seen, run };
}

test("a lost line is told once and taken up again by itself, from the last change seen", async () => {
  const desk = scripted({ text: hello() + change(7) }, down(), down(), { text: hello() + change(8), hangs: true });
  await desk.clock.wind(8_000);
  expect(desk.seen).toEqual(["connected", "d-7", "lost", "connected again", "d-8"]);
  expect(desk.asked.map(({ lastId, at }) => [lastId, at])).toEqual([
    [undefined, 0],
    ["e-7", 1_000],
    ["e-7", 3_000],
    ["e-7", 8_000],
  ]);
  desk.stop.abort();
  await desk.run;
});

test("changes that may be missing are told", async () => {
  const desk = scripted({ text: hello() }, { text: hello(true), hangs: true });
  await desk.clock.wind(1_000);
  expect(desk.seen).toEqual(["connected", "lost", "connected again, missed"]);
  desk.stop.abort();
  await desk.run;
});

test("a line on which nothing comes for 45 s is dead", async () => {
  const desk = scripted({ text: hello(), hangs: true }, { text: hello(), hangs: true });
  await desk.clock.wind(44_000);
  expect(desk.seen).toEqual(["connected"]);
  await desk.clock.wind(3_000);
  expect(desk.seen).toEqual(["connected", "lost", "connected again"]);
  desk.stop.abort();
  await desk.run;
});

test("a first connection that fails is told at once, and so is a token that is no longer known", async () => {
  await expect(scripted(down()).run).rejects.toMatchObject({ code: "API_UNREACHABLE" });
  const desk = scripted({ text: hello() }, new Failure("API_UNAUTHORIZED", "no"));
  await desk.clock.wind(1_000);
  await expect(desk.run).rejects.toMatchObject({ code: "API_UNAUTHORIZED" });
});

test("what a newer aggregator says and we do not know is passed over", async () => {
  const strange = 'event: guard\nid: e-9\ndata: {"kind":"guard"}\n\nevent: alarm\ndata: {torn\n\n';
  const desk = scripted({ text: hello() + strange + change(10), hangs: true });
  await desk.clock.wind(0);
  expect(desk.seen).toEqual(["connected", "d-10"]);
  desk.stop.abort();
  await desk.run;
});
