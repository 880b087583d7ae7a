import { appendFileSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lookSockets, SocketSums } from "../../../../agent/checks/stream/sockets/sockets.ts";
import { socketLines } from "../../../../agent/checks/stream/sockets/ss-text.ts";
import { SrtTotals, srtRecord } from "../../../../agent/checks/stream/srt/records.ts";
import { lookSrtStats } from "../../../../agent/checks/stream/srt/stats.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { type RunProgram, runProgram } from "../../../../platform/run.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { needs } from "../../../kit/peers.ts";
import { rawServer } from "../../../kit/servers.ts";
import { clip, needsClips } from "../../../kit/stream/clips.ts";
import { startSrtRelay } from "../../../kit/stream/srt.ts";
import { tempFolder } from "../../../kit/temp.ts";

const { signal } = new AbortController();
const missing = needs("srt-live-transmit", "srt-tools") || needsClips();

describe.skipIf(missing)("the statistics of a real SRT connection", () => {
  test.each([false, true])(
    "move while it is fed, stand when the encoder hangs, and move again (totals: %s)",
    async (totals) => {
      await using relay = await startSrtRelay({ totals });
      const clock = new HandClock();
      const caller = relay.call(clip("move"));
      const look = lookSrtStats({ file: relay.statsFile }, { clock });
      const records = (): number => countOf(relay.statsFile);
      const more = async (count: number): Promise<void> => {
        const before = records();
        while (records() < before + count) await systemClock.sleep(10);
      };
      await more(2);
      const first = await look(signal);
      await more(3);
      await clock.wind(1_000);
      const second = await look(signal);
      expect(second).toMatchObject({ fed: true, lost: 0 });
      expect(second.rttMs).toBeLessThan(100);
      expect(second.inBytes).toBeGreaterThan(first.inBytes ?? 0);

      caller.process.kill("SIGSTOP");
      // what is under way still arrives; then the file is silent
      for (let size = -1; size !== readFileSync(relay.statsFile).length; await systemClock.sleep(300))
        size = readFileSync(relay.statsFile).length;
      const stood = await look(signal);
      const told = readFileSync(relay.statsFile, "utf8").split("\n").slice(0, -1);
      const counted = told.map((line) => srtRecord(line)?.recv.bytes ?? 0);
      expect(stood.inBytes).toBe(totals ? counted.at(-1) : counted.reduce((sum, bytes) => sum + bytes, 0));
      await clock.wind(3_100);
      await expect(look(signal)).rejects.toMatchObject({ code: "STREAM_ENDED", facts: { how: "stats stand still" } });

      await caller.kill9();
      const before = records();
      // it is refused while the relay still holds the old connection; its own counters begin at 0, ours do not
      for (let next = relay.call(clip("move")); records() < before + 2; await systemClock.sleep(50))
        if (next.process.exitCode !== null) next = relay.call(clip("move"));
      const again = await look(signal);
      expect(again.fed).toBe(true);
      expect(again.inBytes).toBeGreaterThan(stood.inBytes ?? 0);
    },
  );
});

const countOf = (file: string): number => {
  try {
    return readFileSync(file, "utf8").split("\n").length - 1;
  } catch {
    return 0;
  }
};

const record = (timeMs: number, bytes: number, mbitRate: number, sid = 1): string =>
  `${JSON.stringify({
    ...{ sid, timepoint: "2026-11-22T16:37:36.250206+0000", time: timeMs },
    link: { rtt: 12.5, bandwidth: 12 },
    send: { packets: 0, packetsLost: 0, packetsRetransmitted: 0, bytes: 0, mbitRate: 0 },
    recv: { packets: 100, packetsLost: 2, packetsRetransmitted: 1, bytes, mbitRate },
  })}\n`;

describe("the statistics file", () => {
  const watch = () => {
    const folder = tempFolder();
    const file = join(folder.path, "stats");
    const clock = new HandClock();
    const look = lookSrtStats({ file }, { clock });
    return { file, clock, look: () => look(signal), [Symbol.dispose]: () => folder[Symbol.dispose]() };
  };

  test("is added up over half-written lines, rotation, truncation and a new connection", async () => {
    using one = watch();
    writeFileSync(one.file, record(1_000, 1_000, 0.008) + record(2_000, 1_000, 0.008).slice(0, 40));
    expect(await one.look()).toMatchObject({ inBytes: 1_000, lost: 2, rttMs: 12.5 });
    appendFileSync(one.file, record(2_000, 1_000, 0.008).slice(40));
    expect(await one.look()).toMatchObject({ inBytes: 2_000, lost: 4, fed: true });
    renameSync(one.file, `${one.file}.1`);
    await expect(one.look()).rejects.toMatchObject({ code: "FILE_UNUSABLE" });
    writeFileSync(one.file, record(3_000, 500, 0.004));
    expect(await one.look()).toMatchObject({ inBytes: 2_500 });
    truncateSync(one.file, 0);
    await one.look();
    appendFileSync(one.file, record(700, 300, 0.0034, 2));
    expect(await one.look()).toMatchObject({ inBytes: 2_800 });
  });

  test("that is older than we are is neither fed nor dead before it had its time", async () => {
    using one = watch();
    writeFileSync(one.file, record(1_000, 1_000, 0.008) + record(3_000, 2_000, 0.008));
    expect((await one.look()).fed).toBeUndefined();
    await one.clock.wind(5_900);
    one.clock.setWall(0); // the terminal's clock jumps: nothing comes of it
    expect((await one.look()).fed).toBeUndefined();
    await one.clock.wind(200);
    await expect(one.look()).rejects.toMatchObject({ code: "STREAM_ENDED" }); // 3 × 2 s
  });

  test("without a record says that there is none, and after half a minute that it stands", async () => {
    using one = watch();
    writeFileSync(one.file, "");
    expect(await one.look()).toMatchObject({ says: "no SRT statistics yet" });
    await one.clock.wind(30_100);
    await expect(one.look()).rejects.toMatchObject({ code: "STREAM_ENDED" });
  });

  test("full of anything costs one read and is passed over", async () => {
    using one = watch();
    writeFileSync(one.file, `${"x".repeat(500_000)}\n${record(1_000, 7, 0.1)}`);
    expect(await one.look()).toMatchObject({ inBytes: 7 });
    rmSync(one.file);
    writeFileSync(one.file, "{".repeat(200_000));
    expect(await one.look()).toMatchObject({ inBytes: 7 });
  });

  test("counts on or anew: the sum is the same", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ bytes: fc.integer({ min: 20_000, max: 400_000 }), ms: fc.integer({ min: 300, max: 3_000 }) }),
          {
            minLength: 2,
            maxLength: 12,
          },
        ),
        (steps) => {
          const [anew, on] = [new SrtTotals(), new SrtTotals()];
          let [time, sum] = [0, 0];
          for (const { bytes, ms } of steps) {
            time += ms;
            sum += bytes;
            const first = srtRecord(record(time, bytes, (bytes * 8) / ms / 1_000));
            const second = srtRecord(record(time, sum, (sum * 8) / time / 1_000));
            if (first === undefined || second === undefined) throw new Error("no record");
            anew.add(first);
            on.add(second);
          }
          expect(anew.inBytes).toBe(sum);
          expect(on.inBytes).toBe(sum);
        },
      ),
    );
  });

  test("of other versions or of another program", () => {
    expect(srtRecord('[{"sid":5,"time":10,"link":{"rtt":1},"send":{},"recv":{"bytes":3,"mbitRate":1}},')).toMatchObject(
      {
        sid: 5,
        recv: { bytes: 3, lost: 0 },
      },
    );
    expect(srtRecord("]")).toBeUndefined();
    expect(srtRecord('{"time":"1","recv":{}}')).toBeUndefined();
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => srtRecord(line) === undefined || line !== ""));
  });
});

describe.skipIf(needs("ss", "iproute2"))("the sockets of a real server", () => {
  const run: RunProgram = (order) => runProgram(order, systemClock);

  test("are counted both ways, and the sums never run back as players come and go", async () => {
    await using server = await rawServer((socket) => {
      socket.on("data", (bytes) => socket.write(Buffer.alloc(bytes.length * 100)));
    });
    const { port } = server;
    const player = async (ask: number): Promise<Socket> => {
      const socket = connect(port, "127.0.0.1");
      let came = 0;
      socket.write(Buffer.alloc(ask));
      await new Promise<void>((done) =>
        socket.on("data", (bytes: Buffer) => {
          came += bytes.length;
          if (came >= ask * 100) done();
        }),
      );
      return socket;
    };
    const look = lookSockets({ port, host: "127.0.0.1" }, { clock: systemClock, run });
    const none = await look(signal);
    expect(none).toMatchObject({ inBytes: 0, outBytes: 0, readers: 0 });
    const first = await player(1_000);
    // it has come, but its last acknowledgement may be on the way
    const acknowledged = async (bytes: number) => {
      for (;;) {
        const seen = await look(signal);
        if ((seen.outBytes ?? 0) >= bytes) return seen;
      }
    };
    expect(await acknowledged(100_000)).toMatchObject({ inBytes: 1_000, outBytes: 100_000, readers: 1 });
    const second = await player(500);
    expect(await acknowledged(150_000)).toMatchObject({ inBytes: 1_500, outBytes: 150_000, readers: 2 });
    first.destroy();
    while ((await look(signal)).readers !== 1) await systemClock.sleep(5);
    const after = await look(signal);
    expect(after.outBytes).toBe(150_000);
    // the kernel counts a FIN as a byte
    expect([1_500, 1_501]).toContain(after.inBytes);
    second.destroy();
    const other = lookSockets({ port, host: "127.0.0.9" }, { clock: systemClock, run });
    expect(await other(signal)).toMatchObject({ readers: 0 });
  });

  test("cannot be told where ss is not to be had", async () => {
    const absent: RunProgram = (order) => runProgram({ ...order, argv: ["/nowhere/ss"] }, systemClock);
    await expect(lookSockets({ port: 554 }, { clock: systemClock, run: absent })(signal)).rejects.toMatchObject({
      code: "RUN_MISSING",
    });
  });
});

test("a new socket between the same ends begins at 0", () => {
  const sums = new SocketSums();
  const socket = (inBytes: number) => [{ name: "a b", established: true, inBytes, outBytes: 10 }];
  sums.add(socket(100), 0);
  sums.add(socket(150), 1);
  expect(sums.add(socket(30), 2)).toMatchObject({ inBytes: 180 });
});

test("what ss prints is read, whatever is in it, up to 1,024 sockets", () => {
  fc.assert(
    fc.property(
      fc
        .array(fc.constantFrom("ESTAB 0 0 a:1 b:2", "\n", "\t", " ", "bytes_received:", "bytes_acked:-1", "1e99", "9"))
        .map((parts) => parts.join("")),
      (text) => {
        for (const { inBytes } of socketLines(text)) expect(Number.isSafeInteger(inBytes)).toBe(true);
      },
    ),
  );
  const many = Array.from(
    { length: 5_000 },
    (_, i) => `ESTAB 0 0 [::1]:554 [::1]:${i}\n\t cubic bytes_sent:7 bytes_received:1`,
  );
  const sockets = socketLines(many.join("\n"));
  expect(sockets).toHaveLength(1_024);
  expect(sockets[3]).toEqual({ name: "[::1]:554 [::1]:3", established: true, inBytes: 1, outBytes: 7 });
});
