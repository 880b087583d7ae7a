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
      await life.run(15);
      expect(life.watch.conclusion.state).toBe("ok");
    }
  });
});
