import { describe, expect, test } from "vitest";
import { Failure } from "../../../../protocol/failure.ts";
import { Life } from "../../../kit/stream/life.ts";

const bye = () => new Failure("STREAM_ENDED", "the server closed", { facts: { how: "closed" } });

describe("a stream that ends again and again", () => {
  test("is not said to be well through the long pauses before it is asked anew", async () => {
    const life = new Life();
    await life.run(20);
    for (let i = 0; i < 8; i += 1) {
      life.end(bye());
      const ended = life.clock.now();
      while (life.server.open === 0) {
        await life.run(0.5);
        if (life.clock.now() - ended > 2_500) expect([i, life.watch.conclusion.reason]).toEqual([i, "ended"]);
      }
      await life.run(8);
      const at = life.clock.now();
      await life.run(7);
      expect(life.states(at)).toEqual(["ok"]);
    }
  });
});

test("what a failure meant is not said of the session after it", async () => {
  const life = new Life();
  life.server.refuses = () => new Failure("DIAL_REFUSED", "nothing listens there");
  await life.run(20);
  life.server.refuses = undefined;
  await life.run(20);
  const at = life.clock.now();
  await life.run(20);
  expect(life.states(at)).toEqual(["ok"]);
});

test("a session that failed leaves no one waiting for its end", async () => {
  const life = new Life();
  await life.run(1);
  const { session } = life.server;
  life.end(bye());
  await life.run(0.1);
  expect(session?.signal.aborted).toBe(true);
});

test("a stream that flows for 4 s and stands for 4 s, again and again, is one fault", async () => {
  const life = new Life();
  await life.run(20);
  const at = life.clock.now();
  for (let i = 0; i < 20; i += 1) {
    life.hurt = ({ faults }) => {
      faults.videoStops = i % 2 === 0;
    };
    if (life.traffic !== undefined) life.hurt(life.traffic);
    await life.run(4);
  }
  expect(life.states(at)).toEqual(["ok", "no_media"]);
});

describe("sampled", () => {
  test("a GOP twice as long as the sample is no fault, and no gap in what is known", async () => {
    const life = new Life({ mode: "sampled", traffic: { gop: 250 } });
    await life.run(600);
    expect(life.states()).toEqual(["unknown", "ok"]);
    expect(life.server.begun).toBe(11);
  });

  test("a stream that sends no keyframe at all is found out, though no sample ever proves anything", async () => {
    const life = new Life({ mode: "sampled" });
    life.hurt = ({ faults }) => {
      faults.noKeys = true;
    };
    await life.run(180);
    expect(life.states()).toEqual(["unknown", "keyframe"]);
  });

  test("turns about with watching without a gap, and nothing is said against a stream that is well", async () => {
    const life = new Life();
    for (let i = 0; i < 6; i += 1) {
      life.mode = i % 2 === 0 ? "continuous" : "sampled";
      life.watch.modeChanged();
      await life.run(100);
    }
    expect(life.states()).toEqual(["unknown", "ok"]);
  });
});

test.each([1, 0.5, 0.4])("a page that is sent %f times a second lives", async (fps) => {
  const life = new Life({ traffic: { fps, gop: 10 } });
  await life.run(120);
  expect(life.states()).toEqual(["unknown", "ok"]);
});

test("one that is sent every 5 s lives, too, where that is expected", async () => {
  const life = new Life({ traffic: { fps: 0.2, gop: 3 }, expect: { fps: 0.2 } });
  await life.run(180);
  expect(life.states()).toEqual(["unknown", "ok"]);
});
