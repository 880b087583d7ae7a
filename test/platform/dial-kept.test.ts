import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:tls";
import { expect, test } from "vitest";
import { dialKept } from "../../platform/dial-kept.ts";
import { testCa } from "../kit/certs.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { needs } from "../kit/peers.ts";
import { freePort } from "../kit/ports.ts";
import { rawServer } from "../kit/servers.ts";
import { tempFolder } from "../kit/temp.ts";

const at = (port: number) => ({ host: "127.0.0.1", port });
const never = new AbortController().signal;

test("a connection outlives its call, the deadline of that and its signal, and is the caller's to end", async () => {
  await using server = await rawServer((socket) => socket.pipe(socket));
  const [clock, hangUp] = [new HandClock(), new AbortController()];
  const { socket, address } = await dialKept(at(server.port), undefined, {
    clock,
    signal: hangUp.signal,
    deadlineMs: 1_000,
  });
  expect(address).toBe("127.0.0.1");
  await clock.wind(10_000);
  hangUp.abort();
  socket.write("still there");
  expect(String((await once(socket, "data"))[0])).toBe("still there");
  socket.destroy();
});

test("a call that fails leaves no connection open", async () => {
  const gone = Promise.withResolvers<void>();
  await using mute = await rawServer((socket) => {
    socket.resume().once("close", () => gone.resolve());
  });
  const clock = new HandClock();
  const dialling = dialKept(at(mute.port), {}, { clock, signal: never, deadlineMs: 1_000 }).catch(
    (cause: unknown) => cause,
  );
  await mute.whenAccepted(1);
  await clock.wind(1_000);
  expect(await dialling).toMatchObject({ code: "DIAL_TIMEOUT", facts: { phase: "was shaking hands (TLS)" } });
  await gone.promise;
});

test("a call that is ended by its signal rejects with the reason of that", async () => {
  await using mute = await rawServer(() => {});
  const hangUp = new AbortController();
  const dial = { clock: new HandClock(), signal: hangUp.signal, deadlineMs: 1_000 };
  const dialling = dialKept(at(mute.port), {}, dial).catch((cause: unknown) => cause);
  await mute.whenAccepted(1);
  hangUp.abort("enough");
  expect(await dialling).toBe("enough");
});

test("where nothing listens it fails as every dial does", async () => {
  const dial = { clock: new HandClock(), signal: never, deadlineMs: 1_000 };
  await expect(dialKept(at(await freePort()), undefined, dial)).rejects.toMatchObject({ code: "DIAL_REFUSED" });
});

test.skipIf(needs("openssl", "openssl"))(
  "over TLS only to whom the authority vouches for, and not a byte to anybody else",
  async () => {
    using folder = tempFolder();
    const { ca, server: pair } = testCa(folder.path);
    const heard: string[] = [];
    const server = createServer({ cert: readFileSync(pair.cert), key: readFileSync(pair.key) }, (socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes) => heard.push(String(bytes)));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const to = at(address !== null && typeof address === "object" ? address.port : 0);
    const dial = { clock: new HandClock(), signal: never, deadlineMs: 1_000 };
    const { socket } = await dialKept(to, { ca: readFileSync(ca) }, dial);
    await expect(dialKept(to, {}, dial)).rejects.toMatchObject({
      code: "DIAL_UNTRUSTED",
      facts: { subject: "localhost" },
    });
    socket.end("hello");
    await once(socket.resume(), "close");
    expect(heard).toEqual(["hello"]);
    server.close();
  },
);
