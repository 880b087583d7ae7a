import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redactedWithin, redactFacts, redactor } from "../../platform/redact.ts";
import { CANARIES, canariesIn, SITE_WORDS } from "../kit/canaries.ts";
import { HARMLESS_LINES } from "../kit/harmless-lines.ts";

const redact = redactor(SITE_WORDS);
const RAW = String.raw;

describe("a secret is taken out", () => {
  test.each(CANARIES.map(({ kind, text, secret }) => [kind, text, secret] as const))("%s", (_, text, secret) => {
    expect(canariesIn(Buffer.from(text)).length, "the text holds it").toBeGreaterThan(0);
    const clean = redact(text);
    expect(canariesIn(Buffer.from(clean))).toEqual([]);
    expect(clean).not.toContain(secret);
    expect(clean).toContain("***");
    expect(redact(clean)).toBe(clean);
  });

  test.each([
    ["password=one,two", "password=***"],
    ["user=app,password=a1b2,host=db", "user=app,password=***,host=db"],
    ["a=1&token=a1b2c3&b=2", "a=1&token=***&b=2"],
    ['{"tokens": ["aa11", "bb22"], "n": 3}', '{"tokens": [***], "n": 3}'],
    [RAW`say {\"password\":\"p\\\"q\",\"n\":1}`, RAW`say {\"password\":\"***\",\"n\":1}`],
    ["export API_KEY=abc def=1", "export API_KEY=*** def=1"],
    ["rtsp://admin:x:y@z@10.0.0.1/live", "rtsp://***@10.0.0.1/live"],
    ["two http://a:b@h1/ and http://c:d@h2/", "two http://***@h1/ and http://***@h2/"],
    ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n(cut", "-----BEGIN OPENSSH PRIVATE KEY-----***"],
    ["b3Blbn\nNzaC1=\n-----END EC PRIVATE KEY-----\nnext", "***-----END EC PRIVATE KEY-----\nnext"],
    ["130503 670401 001 and 11010519491231002x", "*** and ***"],
    ["13800138000、13900139000", "***、***"],
    ["０１０－６２３４５６７８", "***"],
    ["mail: a@b.cc, c%40d.com", "mail: ***, ***"],
    ["Key=ABCDEF12", "Key=***"],
    ["验证码：482913，5 分钟内有效", "验证码：***"],
    ["账号admin密码Abc12345，口令【Abc12345】 密码（Abc12345）", "账号admin密码***，口令【***】 密码（***）"],
    ["验证码839201 PIN码：4821 鉴权码:a1b2 access_code=a1b2c3", "验证码*** PIN码：*** 鉴权码:*** access_code=***"],
    ["AUTH PLAIN AGFkbWluAEFiYzEyMzQ1", "AUTH PLAIN ***"],
    ["{u'passwd': u'a1b2c3', 'key': b'a1b2c3'}", "{u'passwd': u'***', 'key': b'***'}"],
    [
      "Command ['app', '--password', 'a1b2c3', '-p', 'x9Y8'] failed",
      "Command ['app', '--password', '***', '-p', '***'] failed",
    ],
    ["app:a1b2c3@tcp(10.0.0.1:3306)/db", "***@tcp(10.0.0.1:3306)/db"],
    ["Contact: <sip:34020000001320000001:a1b2c3@10.0.0.1>", "Contact: <sip:***@10.0.0.1>"],
    ["curl -uapp:a1b2c3 --proxy-user me:x9Y8 http://h/", "curl -uapp:*** --proxy-user me:*** http://h/"],
    [
      "smbclient //h/s -U app%a1b2c3; ipmitool -U root -P a1b2c3",
      "smbclient //h/s -U app%***; ipmitool -U root -P ***",
    ],
    ["SET PASSWORD FOR 'app'@'h' = 'a1b2c3'", "SET PASSWORD FOR 'app'@'h' = '***'"],
    ["htpasswd -b -c /etc/x app a1b2c3", "htpasswd -b -c /etc/x app ***"],
    ["sha1$salt$0123456789abcdef", "sha1***"],
    ["a: 1\npassword: |\n  a1\n\n  b2\nport: 3\n", "a: 1\npassword: |\n  ***\nport: 3\n"],
    ["db:\n  secret: >-  # old\n    a1\n  port: 3", "db:\n  secret: >-  # old\n    ***\n  port: 3"],
    ["password:\n  a1\nport: 3", "password:\n  ***\nport: 3"],
    ["passwords:\n- a1\n- b2\nport: 3", "passwords:\n***\nport: 3"],
    ["passwords:\n  - a1\n  - name: x\n", "passwords:\n  ***\n  - name: x\n"],
    ["password:\n  file: /etc/x\n  value: a1\n", "password:\n  file: /etc/x\n  value: a1\n"],
  ])("%s", (text, clean) => {
    expect(redact(text)).toBe(clean);
    expect(redact(clean)).toBe(clean);
  });

  test("a name of the site in any spelling, a short one only by itself", () => {
    const short = redactor(["li", "王五"]);
    expect(short("li, client Li: 王五%E7%8E%8B%E4%BA%94 &#29579;&#20116; &#x738b;&#x4e94;")).toBe(
      "***, client ***: *** *** ***",
    );
    expect(short(RAW`\u738b\u4e94 \xe7\x8e\x8b\xe4\xba\x94 \347\216\213\344\272\224`)).toBe("*** *** ***");
    const long = redactor(["诸葛孔明先生"]);
    for (const before of ["", "x", "xy", "xyz"]) {
      const coded = Buffer.from(`${before}诸葛孔明先生!`).toString("base64");
      expect(long(`data ${coded}`)).toContain("***");
    }
    expect(redactor(["ＷＡＮＧ"])("wang ＷａＮｇ")).toBe("*** ***");
    // people write short names as wide as long ones, programs write names of two words as one
    const spaced = redactor(["王五", "Grey Heron"]);
    expect(spaced("王 五、王　五、grey_heron.log GreyHeron grey  heron grey-heron")).toBe(
      "***、***、***.log *** *** ***",
    );
  });

  test("whatever a secret is made of, in the usual templates nothing of it is left", () => {
    const templates: ((secret: string) => string)[] = [
      (secret) => `password=${secret}`,
      (secret) => `x "dbPassword": "${secret}", y`,
      (secret) => `run --password ${secret} now`,
      (secret) => `GET /?access_token=${secret} 200`,
      (secret) => `Authorization: Bearer ${secret}`,
      (secret) => `用户密码：${secret}`,
      (secret) => `<password>${secret}</password>`,
      (secret) => `rtsp://admin:${secret}@10.0.0.1:554/a`,
      (secret) => `PASS=${secret} USER=app`,
      (secret) => `curl -u app:${secret} host`,
    ];
    const signs = "abcXYZ0189!#%*+./:=?^_~-@";
    const secret = fc
      .array(fc.constantFrom(...signs), { minLength: 8, maxLength: 40 })
      .map((some) => `Zq9${some.join("")}7kW`)
      .filter((one) => !one.includes("***"));
    fc.assert(
      fc.property(secret, fc.constantFrom(...templates), (hidden, template) => {
        const clean = redact(template(hidden));
        expect(clean).not.toContain(hidden);
        expect(clean).not.toContain("Zq9");
      }),
      { numRuns: 2_000 },
    );
  });

  test("every resident ID and every mobile number, however grouped", () => {
    const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const id = fc
      .tuple(
        fc.constantFrom("110105", "310101", "440308", "650102", "820000"),
        fc.integer({ min: 1920, max: 2025 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 28 }),
        fc.integer({ min: 0, max: 999 }),
      )
      .map(([place, year, month, day, serial]) => {
        const two = (part: number) => String(part).padStart(2, "0");
        const body = `${place}${year}${two(month)}${two(day)}${String(serial).padStart(3, "0")}`;
        const sum = weights.reduce((total, weight, i) => total + weight * Number(body[i]), 0);
        return [place, body.slice(6, 14), body.slice(14) + "10X98765432"[sum % 11]] as const;
      });
    const wide = (text: string) => text.replace(/[\dX]/g, (one) => String.fromCharCode(one.charCodeAt(0) + 0xfee0));
    fc.assert(
      fc.property(id, fc.constantFrom("", " ", "-"), fc.boolean(), (parts, by, full) => {
        const text = parts.join(by);
        expect(redact(`证件 ${full ? wide(text) : text}。`)).toBe("证件 ***。");
      }),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 13_000_000_000, max: 19_999_999_999 }),
        fc.constantFrom("", " ", "-"),
        (phone, by) => {
          const text = String(phone);
          const grouped = [text.slice(0, 3), text.slice(3, 7), text.slice(7)].join(by);
          expect(redact(`打给 ${grouped}，`)).toBe("打给 ***，");
          expect(redact(`+86${by}${grouped}`)).toMatch(/^\+?\*{3}$/);
        },
      ),
    );
  });
});

describe("what a fault needs stays", () => {
  test.each(HARMLESS_LINES.map((line) => [line]))("%s", (line) => expect(redact(line)).toBe(line));

  test("also when many lines come as one text", () => {
    const text = HARMLESS_LINES.join("\n");
    expect(redact(text)).toBe(text);
  });

  test("numbers that only look like somebody's", () => {
    for (const text of [
      "110105194912310021",
      "11010519491331002X",
      "110105194912320025", // the 32nd
      "110105194912000021",
      "99010519491231002X",
      "23912345678",
      "4111111111111112",
    ])
      expect(redact(`n ${text} m`)).toBe(`n ${text} m`);
  });
});

describe("any text", () => {
  const parts = [...CANARIES.map(({ text }) => text), ...HARMLESS_LINES];
  const mixed = fc
    .array(
      fc.oneof(
        fc.constantFrom(...parts),
        fc.string({ unit: "binary", maxLength: 20 }),
        fc.constantFrom("=", ":", '"', "\\", "@", "://", "-p ", "***"),
      ),
      { maxLength: 12 },
    )
    .map((some) => some.join(""));

  test("is redacted once and for all, and grows by little", () => {
    fc.assert(
      fc.property(mixed, (text) => {
        const clean = redact(text);
        expect(redact(clean)).toBe(clean);
        expect(clean.length).toBeLessThanOrEqual(3 * text.length + 64);
      }),
      { numRuns: 1_500 },
    );
  });

  test("costs steps in proportion to its length, also a hostile one", () => {
    const hostile = [
      "a",
      "1 ",
      "@",
      "a@",
      "key=",
      "key={",
      '"key":"\\',
      "pw ",
      "password ",
      "://",
      "a://b:",
      "-p ",
      "1-",
      "[key=[",
      "密码为",
      "token:'",
      "com2sec a ",
      "0755-",
      "eyj",
      "$a$",
      "%3a%2f%2f",
      "-----begin private key-----",
      "-----end private key-----",
      "{a.b@key/",
      "AAAA1a-",
      "&quot;",
      "password:\n",
      "password:\n ",
      "password:\n- ",
      "secret: |\n  ",
      "-u a%",
      "curl -ua:",
      "htpasswd -b ",
    ];
    for (const unit of hostile) {
      const [short, long] = [2_000, 16_000].map((length) => stepsOf(unit.repeat(Math.ceil(length / unit.length))));
      expect((long ?? 0) / (short ?? 1), unit).toBeLessThan(8 * 1.5);
      expect(long, unit).toBeLessThan(16_000 * 1_000);
    }
  });

  test("of a megabyte only the beginning is kept, and no half secret at its end", () => {
    const text = `${"x ".repeat(32_700)}password=Kanarie${"y".repeat(1_000_000)}`;
    const clean = redact(text);
    expect(clean.length).toBeLessThan(66_000);
    expect(clean).not.toContain("Kanarie");
    expect(clean).toMatch(/left out\)$/);
    for (let shift = 0; shift < 40; shift += 1) {
      const cut = redact(`${"x".repeat(65_000 - shift)} 11010519491231002X ${"z ".repeat(40_000)}`);
      expect(cut).not.toMatch(/1101051949/);
      const grouped = redact(
        `${"x".repeat(65_000 - shift)} 110105 19491231 002X ${"z".repeat(500)} ${"z ".repeat(40_000)}`,
      );
      expect(grouped).not.toMatch(/110105/);
    }
  });

  test("that was cut already loses its last word, and fits where it must fit", () => {
    const says = `${"a ".repeat(190)}id 11010519491231002X`.slice(0, 395).padEnd(400, "9").slice(0, 400);
    expect(redactedWithin(says, 400, redact)).not.toMatch(/110105/);
    expect(redactedWithin(`pass=x ${"b".repeat(393)}`, 400, redact).length).toBeLessThanOrEqual(400);
    expect(redactedWithin("mode 0600 → 0644", 400, redact)).toBe("mode 0600 → 0644");
  });
});

test("facts of a log line are redacted however deep, and what is named like a secret is left out", () => {
  const cause = new Error("pulled rtsp://admin:Kanarie@h/", { cause: new Error("password=Kanarie") });
  const facts = redactFacts(
    {
      event: "x.y",
      count: 3,
      password: "Kanarie",
      passwordFile: "/etc/vigil/password",
      list: ["token=Kanarie", { apiKey: "Kanarie", path: "/dev/sda" }],
      err: Object.assign(cause, { facts: { stderr: "Bearer Kanarie77" } }),
      byUrl: { "rtsp://app:Kanarie@h/": 3 },
      deep: { a: { b: { c: { d: { e: { f: "Kanarie" } } } } } }, // nobody looks so deep
    },
    redact,
  );
  expect(JSON.stringify(facts)).not.toContain("Kanarie");
  expect(facts).toMatchObject({
    event: "x.y",
    count: 3,
    password: "***",
    passwordFile: "/etc/vigil/password",
    list: ["token=***", { apiKey: "***", path: "/dev/sda" }],
    err: { type: "Error", message: "pulled rtsp://***@h/", cause: { message: "password=***" } },
  });
});

/** Signs looked at: what every search consumes, and every single look. A regular expression alone never looks twice here. */
function stepsOf(text: string): number {
  let steps = 0;
  const { exec } = RegExp.prototype;
  const { charAt, indexOf } = String.prototype;
  RegExp.prototype.exec = function (this: RegExp, subject: string) {
    const from = this.global || this.sticky ? this.lastIndex : 0;
    const found = exec.call(this, subject);
    steps += 1 + (found === null ? subject.length : found.index + found[0].length) - from;
    return found;
  };
  String.prototype.charAt = function (this: string, at: number) {
    steps += 1;
    return charAt.call(this, at);
  };
  String.prototype.indexOf = function (this: string, what: string, from = 0) {
    const at = indexOf.call(this, what, from);
    steps += (at === -1 ? this.length : at) - from;
    return at;
  };
  try {
    redact(text);
  } finally {
    Object.assign(RegExp.prototype, { exec });
    Object.assign(String.prototype, { charAt, indexOf });
  }
  return steps;
}
