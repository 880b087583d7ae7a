import { beforeAll, describe, expect, test } from "vitest";
import { needsClips } from "../../../kit/stream/clips.ts";
import { PARTS, type Part } from "../../../kit/stream/fuzz/parts.ts";
import { makeSeeds, type Seeds } from "../../../kit/stream/fuzz/seeds.ts";
import { fire, inputsOf } from "../../../kit/stream/fuzz/session.ts";

/** Ten million of them: `npm run bench -- stream-fuzz`. */
const INPUTS = 2_000;
const SEED = 20_261_122;
const MB = 1_000_000;

describe.skipIf(needsClips())("mutated inputs", () => {
  let seeds: Seeds = {};
  beforeAll(async () => {
    seeds = await makeSeeds();
  }, 60_000);

  test.each(PARTS.map((part) => ({ part, name: part.name })))(
    "are borne by $name",
    { timeout: 30_000 },
    async ({ part, name }) => {
      const own = seeds[name] ?? [];
      expect(own.length).toBeGreaterThan(0);
      const fired = await fire({ part, seeds: own, inputs: INPUTS, seed: SEED });
      expect(fired.broken).toBeUndefined();
      expect(fired.inputs).toBe(INPUTS);
      expect(fired.heldBytes).toBeLessThan(8 * MB);
      expect(fired.grownBytes).toBeLessThan(8 * MB);
    },
  );
});

describe("the gun itself", () => {
  const lengths = Array.from({ length: 20 }, (_, i) => Buffer.from([0, 4, i, 1, 2, 3]));
  /** Believes a length that the bytes do not have. */
  const credulous: Part = {
    name: "credulous",
    comes: "whole",
    open: () => (bytes) => void (bytes.length > 6 ? bytes.readUInt8(2 + bytes.readUInt16BE(0)) : 0),
  };
  /** Keeps what was only lent. */
  const hoarder: Part = {
    name: "hoarder",
    comes: "whole",
    open() {
      const kept: Buffer[] = [];
      return (bytes) => void kept.push(Buffer.alloc(20_000), bytes);
    },
  };

  test("finds what reads beyond the end, and the same session is had again", async () => {
    const order = { part: credulous, seeds: lengths, seed: SEED };
    const { broken } = await fire({ ...order, inputs: 20_000 });
    expect(broken?.why).toContain("RangeError");
    if (broken === undefined) return;
    const again = inputsOf(order, broken.session, broken.given);
    expect(again).toHaveLength(broken.given);
    const last = Buffer.from(again.at(-1) ?? "", "hex");
    expect(() => last.readUInt8(2 + last.readUInt16BE(0))).toThrow(RangeError);
  });

  test("weighs what a reader holds", async () => {
    const { heldBytes } = await fire({ part: hoarder, seeds: lengths, inputs: 8_000, seed: SEED });
    expect(heldBytes).toBeGreaterThan(8 * MB);
  });
});
