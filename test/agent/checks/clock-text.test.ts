import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readTracking, trackingRequest } from "../../../agent/checks/clock/chrony.ts";
import { Drift } from "../../../agent/checks/clock/drift.ts";
import { placeOf } from "../../../agent/checks/clock/servers.ts";
import { question, readAnswer, SntpRefused, sampleOf, unfit } from "../../../agent/checks/clock/sntp.ts";

const NOW = Date.UTC(2026, 10, 22, 9, 0, 0);
const EPOCH_S = 2_208_988_800;
const COOKIE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

interface Words {
  leap?: number;
  mode?: number;
  version?: number;
  stratum?: number;
  reference?: string;
  rootDelayS?: number;
  receivedMs?: number;
  sentMs?: number;
  cookie?: Uint8Array;
}

/** A server's datagram (RFC 5905 figure 8). */
function answer({ leap = 0, mode = 4, version = 4, stratum = 2, ...more }: Words = {}): Uint8Array {
  const bytes = Buffer.alloc(48);
  bytes[0] = (leap << 6) | (version << 3) | mode;
  bytes[1] = stratum;
  bytes.writeUInt32BE(Math.round((more.rootDelayS ?? 0) * 65_536), 4);
  bytes.write(more.reference ?? "\x0a\x00\x02\x01", 12, "latin1");
  bytes.set(more.cookie ?? COOKIE, 24);
  const time = (ms: number, at: number): void => {
    const seconds = Math.floor(ms / 1_000);
    bytes.writeUInt32BE((((seconds + EPOCH_S) % 2 ** 32) + 2 ** 32) % 2 ** 32, at);
    bytes.writeUInt32BE(Math.floor(((ms / 1_000 - seconds) % 1) * 2 ** 32), at + 4);
  };
  time(more.receivedMs ?? NOW, 32);
  time(more.sentMs ?? NOW, 40);
  return bytes;
}
const read = (words: Words) => readAnswer(answer(words), COOKIE, NOW);

describe("a question to a time server", () => {
  test("is a client's of version 4, with the cookie where our time would be and nothing else of us", () => {
    const bytes = question(COOKIE);
    expect(bytes).toHaveLength(48);
    expect(bytes[0]).toBe(0x23);
    expect([...bytes.subarray(40)]).toEqual([...COOKIE]);
    expect(bytes.subarray(1, 40).every((byte) => byte === 0)).toBe(true);
  });
  test("is answered with times of whatever era is nearest", () => {
    expect(read({ receivedMs: NOW + 1_250, sentMs: NOW + 1_500 })).toMatchObject({
      ...{ leap: 0, stratum: 2, reference: "10.0.2.1" },
      ...{ receivedMs: NOW + 1_250, sentMs: NOW + 1_500 },
    });
    const later = Date.UTC(2040, 0, 1); // after the rollover of February 2036
    const bytes = answer({ receivedMs: later, sentMs: later });
    expect(readAnswer(bytes, COOKIE, later - 3_600_000).sentMs).toBe(later);
    expect(readAnswer(bytes, COOKIE, Date.UTC(1970, 0, 2)).sentMs).toBe(later - 2 ** 32 * 1_000);
  });
  test("is answered by nobody else: another question, another mode or version, too short", () => {
    const bad = [{ cookie: new Uint8Array(8) }, { mode: 3 }, { mode: 5 }, { mode: 6 }, { version: 1 }, { version: 7 }];
    for (const words of bad) expect(() => read(words)).toThrow(SntpRefused);
    expect(() => readAnswer(answer().subarray(0, 47), COOKIE, NOW)).toThrow(SntpRefused);
  });
  test("gets an answer worth something, or the reason why not", () => {
    expect(unfit(read({}))).toBeUndefined();
    expect(unfit(read({ leap: 3 }))).toContain("not set");
    expect(unfit(read({ stratum: 16 }))).toContain("not set");
    expect(unfit(read({ stratum: 0, reference: "RATE" }))).toContain("RATE");
    expect(unfit(read({ rootDelayS: 4 }))).toContain("2000 ms");
    expect(unfit(read({ receivedMs: NOW + 5, sentMs: NOW }))).toContain("before");
  });
  test("finds the offset, right to half the way's time, wherever the time was lost", () => {
    const ms = fc.integer({ min: 0, max: 2_000 });
    fc.assert(
      fc.property(ms, ms, ms, fc.integer({ min: -1e9, max: 1e9 }), (there, back, thinking, offset) => {
        const receivedMs = NOW + there - offset;
        const found = sampleOf(read({ receivedMs, sentMs: receivedMs + thinking }), NOW, there + thinking + back);
        expect(found.delayMs).toBeCloseTo(there + back, 2);
        expect(Math.abs(found.offsetMs - offset)).toBeLessThanOrEqual(found.delayMs / 2 + 0.01);
      }),
    );
  });
  test("any datagram is an answer or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (bytes, ours) => {
        if (ours && bytes.length >= 48) {
          bytes[0] = 0x24;
          bytes.set(COOKIE, 24);
        }
        try {
          const { sentMs, rootDistanceMs, reference } = readAnswer(bytes, COOKIE, NOW);
          expect(Math.abs(sentMs - NOW)).toBeLessThanOrEqual(2 ** 31 * 1_000 + 1_000);
          expect(rootDistanceMs).toSatisfy(Number.isFinite);
          expect(reference).toMatch(/^[ -~]*$/);
        } catch (error) {
          expect(error).toBeInstanceOf(SntpRefused);
        }
      }),
    );
  });
});

describe("chronyd", () => {
  test("is asked in as many bytes as it answers in", () => {
    const bytes = trackingRequest(0x01020304);
    expect(bytes).toHaveLength(104);
    expect([...bytes.subarray(0, 12)]).toEqual([6, 1, 0, 0, 0, 33, 0, 0, 1, 2, 3, 4]);
  });
  test("any datagram is a finite answer or none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 90, maxLength: 120 }), fc.boolean(), (bytes, ours) => {
        if (ours) {
          bytes.set([6, 2, 0, 0, 0, 33, 0, 5, 0, 0]);
          bytes.set([0, 0, 0, 7], 16);
        }
        const tracking = readTracking(bytes, 7);
        if (tracking === undefined) return;
        for (const figure of [tracking.offsetMs, tracking.frequencyPpm, tracking.heardMs])
          expect(figure).toSatisfy(Number.isFinite);
      }),
    );
  });
});

describe("drift", () => {
  const HOUR = 3_600_000;
  test("is the slope over hours, once it is known well enough", () => {
    const drift = new Drift();
    for (let at = 0; at <= 2 * HOUR; at += HOUR / 4) {
      if (at < HOUR) expect(drift.ppm()).toBeUndefined();
      drift.add({ at, offsetMs: 40 + at * 150e-6 + (at % HOUR === 0 ? 2 : -2), errorMs: 5 });
    }
    expect(drift.ppm()).toBeGreaterThan(145);
    expect(drift.ppm()).toBeLessThan(155);
  });
  test("is not told from looks that are too coarse", () => {
    const drift = new Drift();
    for (let at = 0; at <= 2 * HOUR; at += HOUR) drift.add({ at, offsetMs: at * 1e-3, errorMs: 400 });
    expect(drift.ppm()).toBeUndefined();
  });
});

test("a server is named by name or address, with or without a port", () => {
  expect(
    ["ntp.example", "ntp.example:1123", "10.0.0.1", "10.0.0.1:99", "2001:db8::1", "[2001:db8::1]:99"].map(placeOf),
  ).toEqual([
    { host: "ntp.example", port: 123 },
    { host: "ntp.example", port: 1_123 },
    { host: "10.0.0.1", port: 123 },
    { host: "10.0.0.1", port: 99 },
    { host: "2001:db8::1", port: 123 },
    { host: "2001:db8::1", port: 99 },
  ]);
});
