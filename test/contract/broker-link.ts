import { describe, expect, test } from "vitest";
import type { BrokerLink, LinkOptions, OpenLink, Outgoing } from "../../platform/broker-link.ts";
import { Failure } from "../../protocol/failure.ts";
import { type LinkRecorder, linkOptions, recordLink, type Said } from "../kit/link-recorder.ts";

/** Somewhere links can meet: a broker of its own, and a line to it that can be cut. */
export interface LinkGround extends AsyncDisposable {
  open: OpenLink;
  brokers: LinkOptions["brokers"];
  /** Every connection breaks without a goodbye; a new one can be made at once. */
  cut(): void;
}

/** Publishes; that nobody may be listening yet is no failure here. */
const say = (link: BrokerLink, message: Outgoing): Promise<void> =>
  link.publish(message).catch((failure: unknown) => {
    if (!(failure instanceof Failure && failure.code === "LINK_UNHEARD")) throw failure;
  });

/** What every BrokerLink does, real or in memory. `start` gives a fresh ground for each test. */
export function brokerLinkContract(name: string, skip: boolean, start: () => Promise<LinkGround>): void {
  describe.skipIf(skip)(`broker link over ${name}`, () => {
    const link = async (
      ground: LinkGround,
      clientId: string,
      subscriptions: string[],
      take?: (message: Said) => void | Promise<void>,
    ): Promise<BrokerLink & { said: LinkRecorder }> => {
      const said = recordLink(take);
      const opened = ground.open(linkOptions(clientId, { brokers: ground.brokers, subscriptions }), said.events);
      await said.until(() => said.ups.length > 0);
      return Object.assign(opened, { said });
    };

    test("what one link publishes, another hears, in order", async () => {
      await using ground = await start();
      await using hearer = await link(ground, "hearer", ["a/#"]);
      await using speaker = await link(ground, "speaker", []);
      const payloads = Array.from({ length: 100 }, (_, i) => `{"n":${i}}`);
      await Promise.all(payloads.map((payload) => say(speaker, { topic: "a/b", payload, qos: 1 })));
      await say(speaker, { topic: "a/last", payload: "{}", qos: 0 });
      await hearer.said.until(() => hearer.said.messages.some(({ topic }) => topic === "a/last"));
      const heard = hearer.said.messages.filter(({ topic }) => topic === "a/b");
      expect(heard.map(({ payload }) => payload)).toEqual(payloads);
      expect(hearer.said.messages.map(({ qos }) => qos)).toEqual([...payloads.map(() => 1), 0]);
      expect(speaker.up).toBe(true);
      expect(speaker.said.ups).toEqual([1]);
    });

    test("only what was kept from before the subscription is flagged as retained", async () => {
      await using ground = await start();
      await using speaker = await link(ground, "speaker", []);
      await say(speaker, { topic: "kept/old", payload: "{}", qos: 1, retain: true });
      await using hearer = await link(ground, "hearer", ["kept/+"]);
      await hearer.said.until(() => hearer.said.messages.length === 1);
      await say(speaker, { topic: "kept/new", payload: "{}", qos: 1, retain: true });
      await hearer.said.until(() => hearer.said.messages.length === 2);
      expect(hearer.said.messages.map(({ topic, retained }) => [topic, retained])).toEqual([
        ["kept/old", true],
        ["kept/new", false],
      ]);
    });

    test("a publish without a connection fails at once with LINK_DOWN", async () => {
      await using ground = await start();
      const said = recordLink();
      const early = ground.open(linkOptions("early", { brokers: ground.brokers }), said.events);
      await expect(early.publish({ topic: "a", payload: "{}", qos: 1 })).rejects.toMatchObject({ code: "LINK_DOWN" });
      await said.until(() => said.ups.length > 0);
      await early.close();
      expect(early.up).toBe(false);
      await expect(early.publish({ topic: "a", payload: "{}", qos: 0 })).rejects.toMatchObject({ code: "LINK_DOWN" });
    });

    test("a connection that breaks is told, made again, and its will names the connection that died", async () => {
      await using ground = await start();
      await using subject = await link(ground, "subject", []);
      ground.cut();
      await subject.said.until(() => subject.said.ups.length === 2);
      expect(subject.said.downs.map(({ code }) => code)).toEqual(["LINK_DOWN"]);
      await using witness = await link(ground, "witness", ["will/subject"]);
      ground.cut();
      await subject.said.until(() => subject.said.ups.length === 3);
      await witness.said.until(() => witness.said.messages.length > 0);
      expect(witness.said.messages.map(({ payload }) => payload)).toContain(`{"link":${subject.said.ups[1]}}`);
      expect(subject.said.ups[1]).toBeGreaterThan(subject.said.ups[0] ?? 0);
    });

    test("a closed link leaves no will behind", async () => {
      await using ground = await start();
      await using witness = await link(ground, "witness", ["will/+", "mark"]);
      const subject = await link(ground, "subject", []);
      await subject.close();
      await say(witness, { topic: "mark", payload: "{}", qos: 1 });
      await witness.said.until(() => witness.said.messages.length > 0);
      expect(witness.said.messages.map(({ topic }) => topic)).toEqual(["mark"]);
    });

    test("what was said while a link was away is heard when it is back, and is not flagged as retained", async () => {
      await using ground = await start();
      await using speaker = await link(ground, "speaker", []);
      const away = await link(ground, "sleeper", ["news/+"]);
      await away.close();
      await say(speaker, { topic: "news/1", payload: "{}", qos: 1 });
      await say(speaker, { topic: "news/2", payload: "{}", qos: 1, retain: true });
      await using back = await link(ground, "sleeper", ["news/+"]);
      await back.said.until(() => back.said.messages.filter(({ retained }) => !retained).length === 2);
      const missed = back.said.messages.filter(({ retained }) => !retained);
      expect(missed.map(({ topic }) => topic)).toEqual(["news/1", "news/2"]);
    });

    test("messages are given one at a time, and a handler may publish", async () => {
      await using ground = await start();
      let inHand = 0;
      let most = 0;
      const said: LinkRecorder = recordLink(async ({ topic }) => {
        most = Math.max(most, ++inHand);
        if (topic.startsWith("ask/")) await say(answerer, { topic: "answer", payload: "{}", qos: 1 });
        inHand -= 1;
      });
      const options = linkOptions("answerer", { brokers: ground.brokers, subscriptions: ["ask/#"], receiveMaximum: 2 });
      await using answerer = ground.open(options, said.events);
      await said.until(() => said.ups.length > 0);
      await using asker = await link(ground, "asker", ["answer"]);
      for (let i = 0; i < 30; i += 1) await say(asker, { topic: `ask/${i}`, payload: "{}", qos: i % 2 === 0 ? 1 : 0 });
      await asker.said.until(() => asker.said.messages.length === 30);
      expect(new Set(said.messages.map(({ topic }) => topic)).size).toBe(30); // QoS 0 may overtake QoS 1
      expect(most).toBe(1);
    });

    test("a message in hand when the line breaks is not overtaken by those of the next connection", async () => {
      await using ground = await start();
      const hand = Promise.withResolvers<void>();
      let inHand = 0;
      let most = 0;
      await using slow = await link(ground, "slow", ["work/#"], async () => {
        most = Math.max(most, ++inHand);
        await hand.promise;
        inHand -= 1;
      });
      await using speaker = await link(ground, "speaker", []);
      await say(speaker, { topic: "work/first", payload: "{}", qos: 1 });
      await slow.said.until(() => slow.said.messages.length === 1);
      ground.cut();
      await slow.said.until(() => slow.said.ups.length === 2);
      await speaker.said.until(() => speaker.up && speaker.said.ups.length === 2);
      await say(speaker, { topic: "work/last", payload: "{}", qos: 1 });
      expect(slow.said.messages.map(({ topic }) => topic)).toEqual(["work/first"]);
      hand.resolve();
      await slow.said.until(() => slow.said.messages.some(({ topic }) => topic === "work/last"));
      expect(most).toBe(1);
    });
  });
}
