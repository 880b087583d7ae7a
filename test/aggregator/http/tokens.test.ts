import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { networkOf, openGuard } from "../../../aggregator/http/guard.ts";
import { readTokens } from "../../../aggregator/http/tokens.ts";
import { findToken, hashOf, parseTokens, tokenLine, tokenOf } from "../../../protocol/token.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { httpDesk, TOKEN } from "../../kit/http.ts";
import { tempFolder } from "../../kit/temp.ts";

const OPEN = ["/healthz", "/api/v1/openapi.json"];
const CLOSED = ["devices", "devices/x", "alarms", "tickets", "tickets/GZ-20261122-0001", "watch"];

test("all but health and the document need a known token, and the refusal says how", async () => {
  await using desk = await httpDesk();
  for (const path of OPEN) expect((await desk.get(path, {})).status).toBe(200);
  for (const path of [...CLOSED.map((name) => `/api/v1/${name}`), "/metrics"]) {
    const answer = await desk.get(path, {});
    expect([answer.status, answer.headers.get("www-authenticate")], path).toEqual([401, 'Bearer realm="vigil"']);
    expect(await answer.json()).toMatchObject({ code: "API_UNAUTHORIZED", help: expect.stringContaining("Bearer") });
  }
  expect((await desk.get("/api/v1/devices", { authorization: `bearer ${TOKEN}` })).status).toBe(200);
});

test("an address that sends many wrong tokens is told to wait; the right one still passes", async () => {
  await using desk = await httpDesk();
  const statuses: number[] = [];
  for (let i = 0; i < 12; i += 1) {
    statuses.push((await desk.get("/api/v1/devices", { authorization: `Bearer guess-${i}` })).status);
  }
  expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
  const limited = await desk.get("/api/v1/devices", { authorization: "Bearer again" });
  expect([limited.headers.get("retry-after"), (await limited.json()) as unknown]).toEqual([
    "6",
    expect.objectContaining({ code: "API_LIMITED" }),
  ]);
  expect((await desk.get("/api/v1/devices")).status).toBe(200);
  await desk.clock.wind(6_000);
  expect((await desk.get("/api/v1/devices", { authorization: "Bearer later" })).status).toBe(401);
  expect(await desk.metric('vigil_http_refused_total{code="API_UNAUTHORIZED"}')).toBe(11);
  expect(await desk.metric('vigil_http_refused_total{code="API_LIMITED"}')).toBe(3);
});

test("addresses are limited each on its own, an IPv6 host by its network, and few are remembered", () => {
  const guard = openGuard([], new HandClock());
  const code = (address: string) => {
    try {
      guard.admit("Bearer x", address);
    } catch (thrown) {
      return (thrown as { code: string }).code;
    }
    return "admitted";
  };
  for (let i = 0; i < 10; i += 1) expect(code(`2001:db8::${i}`)).toBe("API_UNAUTHORIZED");
  expect(code("2001:db8:0:0:ffff::1")).toBe("API_LIMITED");
  expect(code("2001:db8:0:1::1")).toBe("API_UNAUTHORIZED");
  for (let i = 0; i < 1_024; i += 1) code(`10.0.${i >> 8}.${i & 255}`);
  expect(code("2001:db8::1")).toBe("API_UNAUTHORIZED"); // forgotten for newer ones
  expect(networkOf("::ffff:127.0.0.1")).toBe("127.0.0.1");
  expect(networkOf("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
});

test("no header that is not exactly a known token is admitted", () => {
  const guard = openGuard([{ name: "desk", sha256: hashOf(TOKEN) }], new HandClock());
  expect(guard.admit(`Bearer ${TOKEN}`, "a")).toBe("desk");
  const near = fc.constantFrom(
    `Basic ${TOKEN}`,
    TOKEN,
    `Bearer ${TOKEN}x`,
    `Bearer${TOKEN}`,
    `Bearer ${TOKEN} ${TOKEN}`,
    "",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        near,
        fc.string(),
        fc.string().map((text) => `Bearer ${text}`),
      ),
      (header) => {
        fc.pre(header.trim() !== `Bearer ${TOKEN}`);
        expect(() => guard.admit(header, "b")).toThrow();
      },
    ),
  );
});

test("a token made, written as a line and read back is known by its hash alone", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,39}$/),
      (random, name) => {
        const token = tokenOf(random);
        const line = tokenLine(name, token);
        expect(line).not.toContain(token);
        const entries = parseTokens(`# desk\n\n  ${line}  \r\n`);
        expect(findToken(entries, token)?.name).toBe(name);
        expect(findToken(entries, `${token}x`)).toBeUndefined();
      },
    ),
  );
});

test("a line that is not an entry is refused by its number and never shown", () => {
  expect(() => parseTokens(`desk ${hashOf("a")}\nvgl_my-secret\n`)).toThrow(
    expect.objectContaining({
      code: "CONFIG_INVALID",
      facts: { line: 2 },
      message: expect.not.stringContaining("secret"),
    }),
  );
  expect(() => tokenLine("No Name", "x")).toThrow(expect.objectContaining({ code: "ARGUMENT_INVALID" }));
});

test("a tokens file must be there, and be its owner's alone", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "tokens");
  await expect(readTokens(path)).rejects.toMatchObject({ code: "CONFIG_UNREADABLE", facts: { path } });
  writeFileSync(path, `${tokenLine("desk", TOKEN)}\n`, { mode: 0o600 });
  expect(await readTokens(path)).toEqual([{ name: "desk", sha256: hashOf(TOKEN) }]);
  chmodSync(path, 0o640);
  await expect(readTokens(path)).rejects.toMatchObject({ code: "TOKENS_UNSAFE", facts: { mode: "0640" } });
});
