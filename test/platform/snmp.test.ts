import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { onLine } from "../../platform/dial.ts";
import { follows, openSnmp, type Snmp, type SnmpAccess, type SnmpValue } from "../../platform/snmp.ts";
import { Failure } from "../../protocol/failure.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { freePort } from "../kit/ports.ts";
import { type Asked, integer, type Liar, oid, parts, response, snmpLiar, tlv, variable } from "../kit/snmp-liar.ts";

const UPTIME = "1.3.6.1.2.1.1.3.0";
const TABLE = "1.3.6.1.2.1.2.2.1.2";
const still = new AbortController().signal;
const ticks = (value: number): Buffer => integer(value, 0x43);

/** One visit to a liar; `tryMs` of the library's own, real patience. */
async function ask<T>(
  port: number,
  work: (snmp: Snmp) => Promise<T>,
  tryMs = 30,
  access: SnmpAccess = { version: "2c", community: "canary" },
): Promise<T> {
  const dial = { clock: systemClock, signal: still, deadlineMs: 10_000 };
  return await onLine("liar", dial, async (line) => {
    const snmp = await openSnmp({ host: "127.0.0.1", port }, access, tryMs, line);
    try {
      return await work(snmp);
    } finally {
      snmp.close();
    }
  });
}
async function failure(work: Promise<unknown>): Promise<Failure> {
  const caught: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(caught instanceof Failure)) throw new Error(`no Failure: ${String(caught)}`);
  expect(caught.message).not.toContain("canary");
  return caught;
}
const uptime = (snmp: Snmp): Promise<SnmpValue[]> => snmp.get([UPTIME]);

describe("a device that answers", () => {
  test("brings its values: numbers, wide counters, bytes, and undefined for what it has not", async () => {
    const values = [
      ticks(42),
      tlv(0x46, Buffer.from("00ffffffffffffffff", "hex")),
      tlv(4, Buffer.from("x")),
      tlv(0x81),
    ];
    await using liar = await snmpLiar((asked) => [
      response(
        asked,
        asked.oids.map((name, i) => variable(name, values[i] ?? tlv(5))),
      ),
    ]);
    const oids = [UPTIME, "1.3.6.1.1.2", "1.3.6.1.1.3", "1.3.6.1.1.4"];
    expect(await ask(liar.port, (snmp) => snmp.get(oids))).toEqual([42, 2n ** 64n - 1n, Buffer.from("x"), undefined]);
  });

  test("with a datagram too small for all is asked for the halves", async () => {
    await using liar = await snmpLiar((asked) => {
      if (asked.oids.length <= 2)
        return [
          response(
            asked,
            asked.oids.map((name) => variable(name, ticks(7))),
          ),
        ];
      const tooBig = tlv(0xa2, tlv(2, asked.id), integer(1), integer(0), tlv(0x30));
      return [tlv(0x30, integer(1), tlv(4, asked.community), tooBig)];
    });
    const oids = Array.from({ length: 7 }, (_, i) => `1.3.6.1.9.${i}`);
    expect(await ask(liar.port, (snmp) => snmp.get(oids))).toEqual(oids.map(() => 7));
  });

  test("the second time only is heard the second time", async () => {
    let first = true;
    await using liar: Liar = await snmpLiar((asked) => {
      const lost = first;
      first = false;
      return lost ? [] : [response(asked, [variable(UPTIME, ticks(1))])];
    });
    expect(await ask(liar.port, uptime)).toEqual([1]);
    expect(liar.asked()).toBe(2);
  });
});

/** An answer of SNMPv3, said to be authenticated, to whoever asked by an older version. */
const newer = ({ id }: Pick<Asked, "id">, flags = 1, kind = 0xa2, variables: Buffer[] = []): Buffer => {
  const text = (content = ""): Buffer => tlv(4, Buffer.from(content));
  const security = tlv(0x30, text("engine"), integer(1), integer(1), text("user"), text("twelve bytes"), text());
  const pdu = tlv(kind, tlv(2, id), integer(0), integer(0), tlv(0x30, ...variables));
  const header = tlv(0x30, tlv(2, id), integer(65_507), tlv(4, flags), integer(3));
  return tlv(0x30, integer(3), header, tlv(4, security), tlv(0x30, text(), text(), pdu));
};

describe("a device that lies", () => {
  const noise = Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n");
  const cases: [string, string, (asked: Asked) => Buffer[]][] = [
    ["silence", "DIAL_TIMEOUT", () => []],
    ["noise", "SNMP_INVALID", () => [noise]],
    ["an empty datagram", "SNMP_INVALID", () => [Buffer.alloc(0)]],
    ["another number", "DIAL_TIMEOUT", (asked) => [response(asked, [variable(UPTIME, ticks(1))], Buffer.from([9, 9]))]],
    ["another object", "SNMP_INVALID", (asked) => [response(asked, [variable("1.3.6.1.2.1.1.3.1", ticks(1))])]],
    ["another community", "SNMP_INVALID", (asked) => [response({ ...asked, community: Buffer.from("x") }, [])]],
    ["another version", "SNMP_INVALID", (asked) => [newer(asked)]],
    ["no object", "SNMP_INVALID", (asked) => [response(asked, [])]],
    [
      "a length beyond its end",
      "SNMP_INVALID",
      (asked) => [response(asked, [variable(UPTIME, ticks(1))]).subarray(0, -4)],
    ],
    [
      "the question itself",
      "SNMP_INVALID",
      (asked) => [
        tlv(0x30, integer(1), tlv(4, asked.community), tlv(0xa0, tlv(2, asked.id), integer(0), integer(0), tlv(0x30))),
      ],
    ],
  ];
  test.each(cases)("with %s is told as %s", async (_, code, answer) => {
    await using liar = await snmpLiar(answer);
    expect((await failure(ask(liar.port, uptime))).code).toBe(code);
  });

  test("and right after noise tells the truth is heard", async () => {
    await using liar = await snmpLiar((asked) => [noise, response(asked, [variable(UPTIME, ticks(5))])]);
    expect(await ask(liar.port, uptime, 2_000)).toEqual([5]);
  });

  test("by a plain answer to an authenticated question is not believed", async () => {
    const idOf = (raw: Buffer): Buffer => parts(parts(parts(raw)[0]?.body ?? raw)[1]?.body ?? raw)[0]?.body ?? raw;
    let reported = false;
    await using liar = await snmpLiar((_, raw) => {
      const report = !reported;
      reported = true;
      return [newer({ id: idOf(raw) }, 0, report ? 0xa8 : 0xa2, report ? [] : [variable(UPTIME, ticks(1))])];
    });
    const auth = { protocol: "sha", password: "canary-auth-pass" } as const;
    const trusting = ask(liar.port, uptime, 30, { version: "3", user: "user" });
    expect(await trusting).toEqual([1]); // asked without authentication, it is as good as any
    reported = false;
    expect((await failure(ask(liar.port, uptime, 30, { version: "3", user: "user", auth }))).code).toBe("SNMP_INVALID");
  });

  test("about the end of its table is stopped: in a circle, backwards, and without end", async () => {
    const row = (name: string) => variable(name, tlv(4, Buffer.from("x")));
    await using circle = await snmpLiar((asked) => [response(asked, [row(`${TABLE}.1`), row(`${TABLE}.2`)])]);
    expect((await failure(ask(circle.port, (snmp) => snmp.column(TABLE, 500)))).code).toBe("SNMP_INVALID");
    await using backwards = await snmpLiar((asked) => [response(asked, [row(`${TABLE}.5`), row(`${TABLE}.4`)])]);
    expect((await failure(ask(backwards.port, (snmp) => snmp.column(TABLE, 500)))).code).toBe("SNMP_INVALID");
    let next = 0;
    const more = (): Buffer => {
      next += 1;
      return row(`${TABLE}.${next}`);
    };
    await using endless = await snmpLiar((asked) => [response(asked, Array.from({ length: 20 }, more))]);
    expect((await ask(endless.port, (snmp) => snmp.column(TABLE, 500))).size).toBe(500);
    await using none = await snmpLiar((asked) => [response(asked, [])]);
    expect((await ask(none.port, (snmp) => snmp.column(TABLE, 500))).size).toBe(0);
  });

  test("with any bytes at all ends nobody: an answer, or a Failure", async () => {
    const good = (asked: Asked): Buffer => response(asked, [variable(UPTIME, ticks(1))]);
    const mutation = fc.record({
      at: fc.nat(60),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }),
      cut: fc.nat(20),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 20 }), async (mutations) => {
        await using liar = await snmpLiar((asked) =>
          mutations.map(({ at, bytes, cut }) => {
            const answer = good(asked);
            Buffer.from(bytes).copy(answer, Math.min(at, answer.length - 1));
            return answer.subarray(0, answer.length - (cut > 10 ? 0 : cut));
          }),
        );
        const told = await ask(liar.port, uptime, 5).catch((cause: unknown) => cause);
        expect(Array.isArray(told) || told instanceof Failure).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe("a device that is not there", () => {
  test("is refused at once where its port is closed", async () => {
    expect((await failure(ask(await freePort(), uptime, 5_000))).code).toBe("DIAL_REFUSED");
  });
  test("ends at the deadline, whatever the library still waits for", async () => {
    await using silent = await snmpLiar(() => []);
    const clock = new HandClock();
    const dial = { clock, signal: still, deadlineMs: 4_000 };
    const place = { host: "127.0.0.1", port: silent.port };
    const failing = failure(
      onLine("silent", dial, async (line) => {
        const snmp = await openSnmp(place, { version: "1", community: "canary" }, 60_000, line);
        line.signal.addEventListener("abort", () => snmp.close());
        return await snmp.get([UPTIME]);
      }),
    );
    while (silent.asked() === 0) await systemClock.sleep(1);
    await clock.wind(4_000);
    expect((await failing).code).toBe("DIAL_TIMEOUT");
  });
});

test("object identifiers come in the order of their numbers", () => {
  const id = fc.array(fc.nat(4_294_967_295), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(id, id, (a, b) => {
      const [left, right] = [a.join("."), b.join(".")];
      expect(follows(left, right) && follows(right, left)).toBe(false);
      expect(follows(left, right) || follows(right, left) || left === right).toBe(true);
      expect(follows(left, `${left}.0`)).toBe(true);
    }),
  );
  expect(oid("1.3.6.1.4.1.2011").toString("hex")).toBe("06072b060104018f5b"); // as RFC 1155 writes Huawei's
});
