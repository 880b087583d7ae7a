import { describe, expect, test } from "vitest";
import { startCourier } from "../../../agent/outbox/courier.ts";
import { InventoryPost } from "../../../agent/outbox/inventory-post.ts";
import type { Folder } from "../../../platform/files.ts";
import type { FailureCode } from "../../../protocol/failure.ts";
import { MAX_INVENTORY_BYTES } from "../../../protocol/inventory-limits.ts";
import { topics } from "../../../protocol/topics.ts";
import { alarmDraft } from "../../kit/drafts.ts";
import { FakeLink } from "../../kit/fake-link.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { inventoryDocument } from "../../kit/hand-inventory.ts";
import { keptLog } from "../../kit/logs.ts";
import { MemoryOutbox } from "../../kit/memory-outbox.ts";

const device = "ft-0042";
const TOPIC = topics.inventory(device);
const [ONE, TWO] = ["a1".repeat(32), "b2".repeat(32)];

/** A state folder in memory; it outlives the agent. */
type Files = Map<string, string>;

function folderOf(files: Files): Pick<Folder, "read" | "replace"> {
  return {
    read: async (name, most) => {
      const text = files.get(name);
      return text === undefined ? undefined : Buffer.from(text).subarray(0, most);
    },
    replace: async (name, bytes) => void files.set(name, Buffer.from(bytes).toString()),
  };
}

/** An agent's courier with its post. */
function desk(files: Files, options: { make?: () => Promise<void>; folder?: Partial<Folder> } = {}) {
  const clock = new HandClock();
  const outbox = new MemoryOutbox(clock);
  const link = new FakeLink();
  const log = keptLog();
  const folder = { ...folderOf(files), ...options.folder };
  const post = new InventoryPost({ device, folder, make: options.make ?? (async () => {}) });
  const courier = startCourier({
    ...{ outbox, clock, log, device, agentVersion: "1.0.0", heartbeatS: 60, inventory: post },
    ...{ info: () => ({ hostname: "board" }), connect: link.connect },
  });
  const settle = (): Promise<void> => clock.wind(0);
  return {
    ...{ clock, outbox, link, log, post, courier, settle },
    /** The child has left this document. */
    async leaves(hash: string): Promise<void> {
      files.set("inventory.json", JSON.stringify(inventoryDocument({ hash })));
      await this.finds(hash);
    },
    async finds(hash: string | undefined): Promise<void> {
      await post.found(hash);
      courier.wake();
      await settle();
    },
    async connects(): Promise<void> {
      link.comeUp();
      await settle();
    },
    async asks(): Promise<void> {
      await link.hear(topics.command(device, "inventory"), { because: "lost" });
      await settle();
    },
    /** Hashes of the documents published so far. */
    told: () =>
      link.said.flatMap(({ topic, payload, retain, qos }) =>
        topic === TOPIC && retain === true && qos === 1 ? [JSON.parse(payload).hash] : [],
      ),
    [Symbol.asyncDispose]: () => courier[Symbol.asyncDispose](),
  };
}

describe("the inventory document", () => {
  test("is told once; neither a new connection nor a restart tells it again", async () => {
    const files: Files = new Map();
    {
      await using agent = desk(files);
      await agent.connects();
      await agent.leaves(ONE);
      expect(agent.told()).toEqual([ONE]);
      agent.link.goDown();
      await agent.connects();
      await agent.finds(ONE);
      expect(agent.told()).toEqual([ONE]);
    }
    await using again = desk(files);
    await again.connects();
    await again.finds(ONE);
    expect(again.told()).toEqual([]);
    await again.leaves(TWO);
    expect(again.told()).toEqual([TWO]);
  });

  test("that changed while there was no line is told when it is back", async () => {
    const files: Files = new Map();
    await using agent = desk(files);
    await agent.leaves(ONE);
    await agent.connects();
    agent.link.goDown();
    await agent.leaves(TWO);
    expect(agent.told()).toEqual([ONE]);
    await agent.connects();
    expect(agent.told()).toEqual([ONE, TWO]);
  });

  test("whose transfer was cut is told again over the next connection", async () => {
    const files: Files = new Map();
    await using agent = desk(files);
    await agent.connects();
    agent.link.hold();
    await agent.leaves(ONE);
    agent.link.goDown();
    await agent.settle();
    agent.link.release();
    await agent.connects();
    expect(agent.told()).toEqual([ONE, ONE]);
    expect(files.get("inventory.told")).toBe(ONE);
  });

  test("holds up no alarm while it is under way", async () => {
    const files: Files = new Map();
    await using agent = desk(files);
    await agent.connects();
    agent.link.hold();
    await agent.leaves(ONE);
    await agent.outbox.append([alarmDraft("a")]);
    agent.courier.wake();
    await agent.settle();
    expect(agent.link.said.some(({ topic }) => topic === topics.alarm(device, "a"))).toBe(true);
    agent.link.release();
  });

  test("the broker keeps it also when nobody listens yet", async () => {
    const files: Files = new Map();
    await using agent = desk(files);
    agent.link.answer = ({ topic }) => (topic === TOPIC ? "LINK_UNHEARD" : undefined);
    await agent.connects();
    await agent.leaves(ONE);
    agent.link.goDown();
    await agent.connects();
    expect(agent.told()).toEqual([ONE]);
  });

  test.each<FailureCode>(["LINK_DENIED", "LINK_REFUSED", "MESSAGE_TOO_LARGE"])(
    "that the broker does not take (%s) is tried once a connection, told in the log once",
    async (code) => {
      const files: Files = new Map();
      await using agent = desk(files);
      agent.link.answer = ({ topic }) => (topic === TOPIC ? code : undefined);
      await agent.connects();
      await agent.leaves(ONE);
      await agent.clock.wind(3_600_000);
      await agent.settle();
      expect(agent.told()).toEqual([ONE]);
      agent.link.goDown();
      await agent.connects();
      expect(agent.told()).toEqual([ONE, ONE]);
      await agent.leaves(TWO); // another document is another try
      expect(agent.told()).toEqual([ONE, ONE, TWO]);
      expect(agent.log.lines.filter(({ facts }) => facts["event"] === "courier.refused")).toHaveLength(1);
    },
  );
});

test("a document that the child has just replaced is told once, also before the child has ended", async () => {
  const files: Files = new Map();
  await using agent = desk(files);
  await agent.leaves(ONE);
  files.set("inventory.json", JSON.stringify(inventoryDocument({ hash: TWO })));
  await agent.connects();
  expect(agent.told()).toEqual([TWO]);
  await agent.finds(TWO);
  expect(agent.told()).toEqual([TWO]);
});

describe("asked for", () => {
  test("it is told again, but at most once a minute", async () => {
    const files: Files = new Map();
    await using agent = desk(files);
    await agent.connects();
    await agent.leaves(ONE);
    for (let i = 0; i < 10; i += 1) await agent.asks();
    expect(agent.told()).toEqual([ONE]); // it had just been told
    await agent.clock.wind(60_000);
    for (let i = 0; i < 10; i += 1) await agent.asks();
    expect(agent.told()).toEqual([ONE, ONE]);
  });

  test("before the child of this start has been, the one of last time is told", async () => {
    const files: Files = new Map();
    files.set("inventory.json", JSON.stringify(inventoryDocument({ hash: ONE })));
    await using agent = desk(files);
    await agent.connects();
    await agent.asks();
    expect(agent.told()).toEqual([ONE]);
  });

  test("when the state folder was lost, the child makes it anew", async () => {
    const files: Files = new Map();
    let made = 0;
    await using agent = desk(files, {
      make: async () => {
        made += 1;
        files.set("inventory.json", JSON.stringify(inventoryDocument({ hash: TWO })));
      },
    });
    await agent.connects();
    await agent.leaves(ONE);
    files.delete("inventory.json");
    await agent.clock.wind(60_000);
    await agent.asks();
    await agent.asks();
    expect(agent.told()).toEqual([ONE, TWO]);
    expect(made).toBe(1);
  });

  test("and there can be none, the question is not answered and does no harm", async () => {
    const files: Files = new Map();
    await using agent = desk(files, { make: async () => Promise.reject(new Error("no child")) });
    await agent.connects();
    await agent.asks();
    await agent.clock.wind(120_000);
    await agent.asks();
    expect(agent.told()).toEqual([]);
    expect(agent.courier.stats().up).toBe(true);
  });

  test.each(["", "[]", '{"hash":"x"}', "x".repeat(MAX_INVENTORY_BYTES + 10)])(
    "a file that is no document (%#) is not told",
    async (text) => {
      const files: Files = new Map();
      files.set("inventory.json", text);
      await using agent = desk(files);
      await agent.connects();
      await agent.asks();
      await agent.finds(ONE);
      expect(agent.told()).toEqual([]);
    },
  );

  test("by what is no question, nothing is told", async () => {
    const files: Files = new Map();
    files.set("inventory.json", JSON.stringify(inventoryDocument({ hash: ONE })));
    await using agent = desk(files);
    await agent.connects();
    await agent.link.hear(topics.command(device, "inventory"), { because: 7 });
    await agent.settle();
    expect(agent.told()).toEqual([]);
    expect(agent.courier.stats().refused).toBe(1);
  });
});

test("on a full disk it is told all the same, and once per start of the agent", async () => {
  const files: Files = new Map();
  const full = Object.assign(new Error("full"), { code: "ENOSPC" });
  await using agent = desk(files, { folder: { replace: async () => Promise.reject(full) } });
  await agent.connects();
  await agent.leaves(ONE);
  agent.link.goDown();
  await agent.connects();
  await agent.finds(ONE);
  expect(agent.told()).toEqual([ONE]);
});
