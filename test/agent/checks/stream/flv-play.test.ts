import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { playFlv } from "../../../../agent/checks/stream/flv/play.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { testCa } from "../../../kit/certs.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { freePort } from "../../../kit/ports.ts";
import { type Answer, httpServer, httpsServer, rawServer } from "../../../kit/servers.ts";
import { FLV_HEADER, flvTag } from "../../../kit/stream/flv-writer.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { tempFolder } from "../../../kit/temp.ts";

const frame = flvTag(9, 40, Buffer.from("\x91av01frame", "latin1"));
const sends = (response: ServerResponse): void => {
  response.write(FLV_HEADER);
  response.write(frame);
};

const endOf = (url: string, heard = new Heard()): Promise<unknown> =>
  playFlv({ url }, sessionOf(heard, systemClock)).then(
    () => "stopped",
    (cause: unknown) => cause,
  );

describe("HTTP-FLV", () => {
  test.each<[string, Answer]>([
    ["chunked", (_, response) => sends(response)],
    ["of a length", (_, response) => sends(response.writeHead(200, { "content-length": 1_000_000_000 }))],
  ])("%s is played until it is stopped", async (_, answer) => {
    let asked: string | undefined;
    const left = Promise.withResolvers<void>();
    await using server = await httpServer((request, response) => {
      asked = request.url;
      request.socket.once("close", () => left.resolve());
      answer(request, response);
    });
    const heard = new Heard();
    const stop = new AbortController();
    const url = `http://127.0.0.1:${server.port}/live/cam1.flv?token=t0k3n`;
    const playing = playFlv({ url }, sessionOf(heard, systemClock, stop.signal));
    await heard.until(() => heard.of(0).frames.length > 0);
    expect(asked).toBe("/live/cam1.flv?token=t0k3n");
    expect(heard.steps).toEqual(["connected", "greeted", "playing"]);
    stop.abort();
    await playing;
    await left.promise;
  });

  test("is read in batches, and left in a pause between two", async () => {
    const [left, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<ServerResponse>()];
    await using server = await httpServer((request, response) => {
      request.socket.once("close", () => left.resolve());
      sends(response);
      answered.resolve(response);
    });
    const [heard, stop, clock] = [new Heard(), new AbortController(), new HandClock()];
    const session = { ...sessionOf(heard, clock, stop.signal), gatherMs: 125 };
    const playing = playFlv({ url: `http://127.0.0.1:${server.port}/live/cam1.flv` }, session);
    while (heard.of(0).frames.length === 0) await clock.wind(5);
    const response = await answered.promise;
    for (let i = 0; i < 5; i += 1) await new Promise<void>((said) => response.write(frame, () => said()));
    expect(heard.of(0).frames).toHaveLength(1);
    while (heard.of(0).frames.length < 6) await clock.wind(25);
    await new Promise<void>((said) => response.write(frame, () => said()));
    stop.abort();
    await playing; // though the clock stands
    await left.promise;
  });

  test("over TLS is played where the certificate is trusted, and not asked for where it is not", async () => {
    using folder = tempFolder();
    const { ca, server: pair } = testCa(folder.path);
    let asked = 0;
    await using server = await httpsServer(pair, (_, response) => {
      asked += 1;
      sends(response);
    });
    const url = `https://127.0.0.1:${server.port}/live/cam1.flv`;
    expect(await endOf(url)).toMatchObject({ code: "DIAL_UNTRUSTED" });
    expect(asked).toBe(0);
    const heard = new Heard();
    const stop = new AbortController();
    const playing = playFlv({ url, caFile: ca }, sessionOf(heard, systemClock, stop.signal));
    await heard.until(() => heard.of(0).frames.length > 0);
    stop.abort();
    await playing;
  });

  test.each<[string, Answer, string, Record<string, unknown>]>([
    ["401", (_, response) => response.writeHead(401).end(), "STREAM_AUTH", { status: 401 }],
    ["404", (_, response) => response.writeHead(404).end(), "STREAM_STATUS", { status: 404 }],
    ["a page", (_, response) => response.end("<html>"), "STREAM_PROTOCOL", {}],
    ["an end", (_, response) => response.end(FLV_HEADER), "STREAM_ENDED", { how: "closed" }],
    [
      "a cut",
      (_, response) => response.write(FLV_HEADER, () => response.socket?.resetAndDestroy()),
      "STREAM_ENDED",
      {},
    ],
  ])("%s ends it", async (_, answer, code, facts) => {
    await using server = await httpServer(answer);
    const url = `http://127.0.0.1:${server.port}/cam1.flv?token=s3cret`;
    const failure = await endOf(url);
    expect(failure).toMatchObject({ code, facts: expect.objectContaining(facts) });
    expect(JSON.stringify([String(failure), failure])).not.toContain("s3cret");
  });

  test("no redirect is followed", async () => {
    await using other = await httpServer((_, response) => sends(response));
    await using server = await httpServer((_, response) =>
      response.writeHead(302, { location: `http://127.0.0.1:${other.port}/` }).end(),
    );
    expect(await endOf(`http://127.0.0.1:${server.port}/cam1.flv`)).toMatchObject({
      code: "STREAM_STATUS",
      facts: { status: 302 },
    });
    expect(other.accepted()).toBe(0);
  });

  test.each([
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "STREAM_PROTOCOL"],
    ["headers without end", `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(20_000)}`, "STREAM_PROTOCOL"],
    ["one line without end", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}`, "STREAM_PROTOCOL"],
    ["a chunk of a negative size", `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n`, "STREAM_PROTOCOL"],
    ["an end before the answer", "", "STREAM_ENDED"],
  ])("%s ends it", async (_, says, code) => {
    await using server = await rawServer((socket) => {
      socket.once("data", () => (says === "" ? socket.end() : socket.write(says)));
    });
    expect(await endOf(`http://127.0.0.1:${server.port}/cam1.flv`)).toMatchObject({ code });
  });

  test("silence is a timeout that names what was asked", async () => {
    await using server = await rawServer((socket) => void socket.resume());
    const clock = new HandClock();
    const heard = new Heard();
    const url = `http://127.0.0.1:${server.port}/cam1.flv`;
    const failure = playFlv({ url }, sessionOf(heard, clock)).catch((cause: unknown) => cause);
    await heard.until(() => heard.steps.includes("connected"));
    await clock.wind(5000);
    expect(await failure).toMatchObject({ code: "STREAM_TIMEOUT", facts: expect.objectContaining({ step: "GET" }) });
  });

  test("silence after the answer has begun is no failure: it is the meter's to see", async () => {
    await using server = await rawServer((socket) => void socket.write("HTTP/1.1 200 OK\r\n\r\n"));
    const clock = new HandClock();
    const heard = new Heard();
    const stop = new AbortController();
    const playing = playFlv(
      { url: `http://127.0.0.1:${server.port}/cam1.flv` },
      sessionOf(heard, clock, stop.signal),
    ).then(
      () => "stopped",
      (cause: unknown) => cause,
    );
    await heard.until(() => heard.steps.includes("playing"));
    await clock.wind(60_000);
    stop.abort();
    expect(await playing).toBe("stopped");
  });

  test("nothing is heard of what comes behind a tag that is none", async () => {
    const chunk = (bytes: Buffer): Buffer =>
      Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
    const head = Buffer.from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const wrong = Buffer.from("0300000100000000000000", "hex");
    const all = Buffer.concat([head, chunk(FLV_HEADER), chunk(wrong), chunk(frame), chunk(frame)]);
    await using server = await rawServer((socket) => void socket.write(all));
    const heard = new Heard();
    expect(await endOf(`http://127.0.0.1:${server.port}/cam1.flv`, heard)).toMatchObject({ code: "STREAM_PROTOCOL" });
    expect(heard.tracks).toEqual([]);
  });

  test("nobody there is a failure to connect", async () => {
    expect(await endOf(`http://127.0.0.1:${await freePort()}/cam1.flv`)).toMatchObject({ code: "DIAL_REFUSED" });
  });
});
