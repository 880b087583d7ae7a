import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import { openDatagramPair } from "../../platform/datagram-pair.ts";

async function at(address: string): Promise<Socket & Disposable> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.bind(0, address);
  await once(socket, "listening");
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.close() });
}

test.each(["127.0.0.1", "::1"])(
  "two ports side by side, the first one even, hear the peer at %s and are heard",
  async (local) => {
    using peer = await at(local);
    const heard: string[] = [];
    let more = Promise.withResolvers<void>();
    const pair = await openDatagramPair(local, local, (on, bytes) => {
      heard.push(`${on} ${bytes.toString()}`);
      more.resolve();
    });
    expect(pair.port % 2).toBe(0);
    for (const on of [0, 1] as const) {
      more = Promise.withResolvers();
      peer.send(`to ${on}`, pair.port + on, local);
      await more.promise;
      const got = once(peer, "message");
      pair.send(on, peer.address().port, Buffer.from(`from ${on}`));
      const [bytes, { port }] = await got;
      expect([String(bytes), port]).toEqual([`from ${on}`, pair.port + on]);
    }
    expect(heard).toEqual(["0 to 0", "1 to 1"]);
    pair.close();
    pair.close();
    pair.send(0, peer.address().port, Buffer.from("late"));
  },
);

test("nobody else is heard", async () => {
  using peer = await at("127.0.0.1");
  using stranger = await at("127.0.0.2");
  const heard: string[] = [];
  const all = Promise.withResolvers<void>();
  const pair = await openDatagramPair("127.0.0.1", "127.0.0.1", (_, bytes) => {
    heard.push(bytes.toString());
    all.resolve();
  });
  await new Promise((sent) => stranger.send("evil", pair.port, "127.0.0.1", sent));
  peer.send("good", pair.port, "127.0.0.1");
  await all.promise;
  expect(heard).toEqual(["good"]);
  pair.close();
});

test("an address that is none of ours is a failure of this machine", async () => {
  await expect(openDatagramPair("192.0.2.1", "192.0.2.2", () => {})).rejects.toMatchObject({ code: "DIAL_LOCAL" });
});
