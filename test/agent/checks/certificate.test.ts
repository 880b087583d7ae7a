import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { checkConfigs } from "../../../agent/checks/all.ts";
import { type CertificateConfig, certificates } from "../../../agent/checks/certificate/certificate.ts";
import { certificatesIn } from "../../../agent/checks/certificate/file.ts";
import { judgeServer } from "../../../agent/checks/certificate/turns.ts";
import { systemClock } from "../../../platform/clock.ts";
import { parseConfig } from "../../../platform/config-file.ts";
import { Failure } from "../../../protocol/failure.ts";
import { BROKERS, startMosquitto } from "../../kit/broker.ts";
import { testCa } from "../../kit/certs.ts";
import { CheckRig } from "../../kit/check-rig.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { type OddCa, oddCa } from "../../kit/odd-certs.ts";
import { needs, run } from "../../kit/peers.ts";
import { freePort } from "../../kit/ports.ts";
import { httpsServer, type Listening, rawServer } from "../../kit/servers.ts";
import { tempFolder } from "../../kit/temp.ts";

const DAY = 86_400_000;
const HOUR = 3_600_000;
const hello = (_: unknown, response: { end(): void }): void => response.end();

let rig: CheckRig<CertificateConfig> | undefined;
afterEach(() => {
  rig?.[Symbol.dispose]();
  rig = undefined;
});
function watch(config: unknown, more: ConstructorParameters<typeof CheckRig>[2] = {}): CheckRig<CertificateConfig> {
  rig = new CheckRig(certificates, config, more, new HandClock(systemClock.wall()));
  return rig;
}

describe.skipIf(needs("openssl", "openssl"))("certificates", () => {
  const folder = tempFolder("certificates");
  let ca: OddCa;
  beforeAll(() => {
    ca = oddCa(folder.path, systemClock.wall());
  });
  afterAll(() => folder[Symbol.dispose]());
  const file = (name: string, content: string | Buffer): string => {
    const path = join(folder.path, name);
    writeFileSync(path, content);
    return path;
  };

  describe("a file", () => {
    test("is judged by the days left, once a day of them is gone, without a bounce at the border", async () => {
      const { cert: path } = ca.make("counted", { toDays: 31.5 });
      const check = watch({ files: [path] });
      await check.round();
      expect(check.judged(path)).toMatchObject({ grade: "ok", readings: { left_days: 31 } });
      await check.round(2 * DAY);
      expect(check.judged(path)).toMatchObject({ grade: "warning", reason: "expiring", value: 29, unit: "days" });
      expect(check.judged(path).says).toMatch(/^"counted" ends in 29 days, .* GMT$/);
      check.clock.setWall(check.clock.wall() - 2 * DAY); // the clock is set back: 31 days again
      await check.round(HOUR * 1.1);
      expect(check.judged(path)).toMatchObject({ grade: "ok", holds: "warning" });
      for (const days of [17, 12, 3]) await check.round(days * DAY);
      expect(check.told.map((line) => line.replace(/certificate\.\S+/, "it"))).toEqual([
        "raised it warning expiring",
        "changed it minor expiring",
        "changed it major expiring",
        "changed it major expired",
      ]);
    });

    test("that was renewed is well again", async () => {
      const path = file("renewed.pem", readFileSync(ca.make("old", { fromDays: -400, toDays: -2.5 }).cert));
      const check = watch({ files: [{ path, name: "web" }] });
      await check.round();
      expect(check.judged("web")).toMatchObject({ grade: "major", reason: "expired", value: -3 });
      writeFileSync(path, readFileSync(ca.make("new").cert));
      await check.round(2 * HOUR);
      expect(check.told).toEqual(["raised certificate.web major expired", "cleared certificate.web major expired"]);
    });

    test("may be a bundle, whose first to end decides, with text and keys in between, or DER", async () => {
      const soon = ca.make("soon", { toDays: 10.5 });
      const late = ca.make("late");
      const bundle = file(
        "mixed.pem",
        [
          "some text",
          readFileSync(late.cert),
          readFileSync(late.key),
          "-----BEGIN nonsense",
          readFileSync(soon.cert),
        ].join("\n"),
      );
      const der = file("der.cer", new X509Certificate(readFileSync(soon.cert)).raw);
      const check = watch({ files: [bundle, der] });
      await check.round();
      expect(check.judged(bundle)).toMatchObject({ grade: "minor", value: 10 });
      expect(check.judged(bundle).says).toMatch(/^"soon" ends in 10 days, .* GMT, the first of 2 to end$/);
      expect(check.judged(der)).toMatchObject({ grade: "minor", value: 10 });
    });

    test("not valid yet, with another's key or without its issuer is an alarm of that reason", async () => {
      const future = ca.make("future", { fromDays: 2, toDays: 300 });
      const mine = ca.make("mine");
      const deep = ca.make("deep", { byIntermediate: true });
      const whole = ca.bundle("whole.pem", [deep.cert, ca.intermediate]);
      const check = watch({
        files: [
          { path: mine.cert, keyFile: mine.key, name: "own" },
          { path: future.cert, name: "future" },
          { path: deep.cert, caFile: ca.root, name: "deep" },
          { path: whole, caFile: ca.root, name: "whole" },
        ],
      });
      await check.round();
      expect(check.judged("own").grade).toBe("ok");
      expect(check.judged("future")).toMatchObject({ grade: "major", reason: "early" });
      expect(check.judged("deep")).toMatchObject({ grade: "major", reason: "incomplete" });
      expect(check.judged("deep").says).toContain('"odd-intermediate", which signed "deep"');
      expect(check.judged("whole").grade).toBe("ok");
      check[Symbol.dispose]();
      const mixed = watch({ files: [{ path: mine.cert, keyFile: deep.key, name: "mixed" }] });
      await mixed.round();
      expect(mixed.judged("mixed")).toMatchObject({ grade: "major", reason: "mismatch" });
    });

    test("that cannot be read is unknown with why, and harms no other", async () => {
      const good = ca.make("good").cert;
      const broken = file("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
      const noise = file("noise.pem", Buffer.alloc(5_000, 0x30));
      const pipe = join(folder.path, "pipe");
      run("mkfifo", [pipe]);
      mkdirSync(join(folder.path, "folder"));
      const files = [
        broken,
        noise,
        pipe,
        join(folder.path, "folder"),
        "/nowhere/x.pem",
        file("huge.pem", Buffer.alloc(1 << 21)),
      ];
      const check = watch({ files: [...files, good] });
      await check.round();
      expect(check.verdicts.map((one) => (one.state === "unknown" ? one.because : one.grade))).toEqual([
        expect.stringContaining("certificate 1 of 1 in it cannot be read"),
        expect.stringContaining("cannot be read"),
        expect.stringContaining("no plain file"),
        expect.stringMatching(/no plain file|EISDIR/),
        expect.stringContaining("ENOENT"),
        expect.stringContaining("bytes"),
        "ok",
      ]);
    });

    test("is not judged by a clock that was never set", async () => {
      const path = ca.make("plain").cert;
      const check = watch({ files: [path] });
      check.clock.setWall(0);
      await check.round();
      expect(check.of(path)).toMatchObject({ state: "unknown", because: expect.stringContaining("clock is not set") });
    });

    test("of any bytes is certificates, or a Failure and nothing else", () => {
      const good = readFileSync(ca.make("mutated").cert, "latin1");
      const text = fc.oneof(
        fc.string({ unit: "binary" }),
        fc
          .tuple(fc.nat(good.length), fc.string({ maxLength: 5 }))
          .map(([at, bytes]) => good.slice(0, at) + bytes + good.slice(at + 5)),
        fc.constantFrom("-----BEGIN CERTIFICATE-----", `${good}-----BEGIN CERTIFICATE-----`, good.repeat(3)),
      );
      const read = (bytes: Buffer): unknown => {
        try {
          return certificatesIn(bytes).length;
        } catch (cause) {
          return cause instanceof Failure ? cause.code : cause;
        }
      };
      fc.assert(
        fc.property(text, (bytes) => {
          expect(read(Buffer.from(bytes, "latin1"))).toSatisfy((told) => told === "FILE_UNUSABLE" || Number(told) > 0);
        }),
      );
      expect(read(Buffer.from(good.repeat(3)))).toBe(3);
    });
  });

  describe("our own link", () => {
    test("its client certificate matters most, its key must fit, and the broker shows its own", async () => {
      const link = testCa(folder.path, "link");
      const client = ca.make("ft-0042", { toDays: 2.5 });
      const tls = { caFile: link.ca, certFile: client.cert, keyFile: client.key };
      await using broker = await httpsServer(link.server, hello);
      const check = watch({}, { brokers: [{ host: "127.0.0.1", port: broker.port, tls }] });
      await check.round();
      expect(check.judged(client.cert)).toMatchObject({ grade: "critical", reason: "expiring", value: 2 });
      expect(check.judged(link.ca)).toMatchObject({ grade: "major", value: 1 });
      expect(check.judged(`127.0.0.1:${broker.port}`)).toMatchObject({ grade: "major", reason: "expiring", value: 1 });
    });
    test("without TLS is nothing to watch, and neither is one switched off", () => {
      expect(watch({}, { brokers: [{ host: "127.0.0.1", port: 1883 }] }).present).toBe(false);
      const brokers = [{ host: "127.0.0.1", port: 8883, tls: { caFile: "/x" } }];
      expect(watch({ own: false, brokers: false }, { brokers }).present).toBe(false);
      expect(watch({}, { brokers }).present).toBe(true);
    });
    test.skipIf(BROKERS[0]?.skip ?? true)("a broker that wants our certificate gets it", async () => {
      const link = testCa(folder.path, "mutual");
      const client = link.client("ft-0043");
      await using broker = await startMosquitto({ tls: { ...link.server, ca: link.ca } });
      const tls = { caFile: link.ca, certFile: client.cert, keyFile: client.key };
      const check = watch({ own: false }, { brokers: [{ host: "localhost", port: broker.port, tls }] });
      await check.round();
      expect(check.judged(`localhost:${broker.port}`)).toMatchObject({ reason: "expiring", value: 1 });
    });
  });

  describe("a server", () => {
    const on = ({ port }: Listening, name: string) => ({ host: "127.0.0.1", port, name, caFile: ca.root });
    test("is judged by trust, name and time of what it shows", async () => {
      const deep = ca.make("deep-server", { byIntermediate: true });
      await using good = await httpsServer(ca.make("good-server"), hello);
      await using past = await httpsServer(ca.make("past-server", { fromDays: -9, toDays: -1.5 }), hello);
      await using other = await httpsServer(ca.make("other-server", { altNames: "DNS:other" }), hello);
      await using self = await httpsServer(ca.selfSigned("self-server"), hello);
      await using half = await httpsServer(deep, hello);
      await using chain = await httpsServer(deep, hello, ca.bundle("chain.pem", [deep.cert, ca.intermediate]));
      const check = watch({
        servers: [
          ...[
            on(good, "good"),
            on(past, "past"),
            on(other, "other"),
            on(self, "self"),
            on(half, "half"),
            on(chain, "chain"),
          ],
          { ...on(other, "renamed"), servername: "other" },
        ],
      });
      await check.round();
      const told = Object.fromEntries(
        check.verdicts.map((one) => [one.subject, one.state === "judged" ? `${one.grade} ${one.reason}` : one.because]),
      );
      expect(told).toEqual({
        good: "ok expiring",
        past: "major expired",
        other: "major name",
        self: "major untrusted",
        half: "major incomplete",
        chain: "ok expiring",
        renamed: "ok expiring",
      });
    });

    test("is called once a day while it is well, counts down in between, and when it is away", async () => {
      await using server = await httpsServer(ca.make("daily", { toDays: 31.5 }), hello);
      const check = watch({ servers: [on(server, "daily")] });
      await check.round();
      for (let hour = 0; hour < 20; hour += 1) await check.round(1.1 * HOUR);
      expect(server.accepted()).toBe(1);
      await server.shut();
      await check.round(40 * HOUR);
      expect(check.judged("daily")).toMatchObject({ grade: "warning", reason: "expiring", value: 28 });
    });

    test("that was never seen is unknown until it is, and looked for every hour", async () => {
      await using silent = await rawServer(() => {});
      const check = watch({
        servers: [on(silent, "silent"), { host: "127.0.0.1", port: await freePort(), name: "away" }],
      });
      const asking = check.ask();
      await silent.whenAccepted(1);
      await check.clock.wind(8_000);
      await asking;
      expect(check.of("silent")).toMatchObject({ state: "unknown", because: expect.stringContaining("shaking hands") });
      expect(check.of("away")).toMatchObject({ state: "unknown", because: expect.stringContaining("nothing listens") });
      expect(silent.accepted()).toBe(1);
      await check.clock.wind(1.1 * HOUR);
      void check.ask();
      await silent.whenAccepted(2);
    });
  });
});

test("a server whose own certificate is in its time, and an authority above it is not, is not trusted", () => {
  const wall = systemClock.wall();
  const certificate = {
    ...{ subject: "web", issuer: "old-root", altNames: [], notAfter: "later", fingerprint: "", isAuthority: false },
    ...{ notBeforeMs: wall - 86_400_000, notAfterMs: wall + 90 * 86_400_000 },
  };
  const facts = {
    ...{ certificate, chainNotAfterMs: certificate.notAfterMs, protocol: "TLSv1.3" },
    ...{ ms: 1, handshakeMs: 1, address: "127.0.0.1", trust: { ok: false, why: "CERT_HAS_EXPIRED" } as const },
  };
  const [first] = judgeServer(facts, wall, {});
  expect(first).toMatchObject({ grade: "major", reason: "untrusted", says: expect.stringContaining("old-root") });
});

describe("its config", () => {
  test("is refused by the path of what is wrong", () => {
    const parse = (certificate: unknown) => () =>
      parseConfig(JSON.stringify({ certificate }), checkConfigs, "agent.json");
    expect(parse({ files: ["relative.pem"] })).toThrow(/certificate\.files/);
    expect(parse({ servers: [{ host: "x", port: 0 }] })).toThrow(/certificate\.servers.*port/);
    expect(parse({ daysLeft: { warning: { raise: 30, clear: 20 } } })).toThrow(/certificate\.daysLeft\.warning/);
  });
});
