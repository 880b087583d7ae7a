import { readFileSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { openChanges } from "../../../aggregator/changes.ts";
import { DailySheets } from "../../../aggregator/daily/sheets.ts";
import { startHttp } from "../../../aggregator/http/server.ts";
import { openSqliteHistory } from "../../../aggregator/sqlite/history.ts";
import { openLog } from "../../../platform/log.ts";
import { redactor } from "../../../platform/redact.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { handReading } from "../../kit/hand-reading.ts";
import { needs, run } from "../../kit/peers.ts";
import { tempFolder } from "../../kit/temp.ts";

const start = (certFile: string, keyFile: string) =>
  startHttp({
    config: { host: "127.0.0.1", port: 0, tokens: [], tls: { certFile, keyFile } },
    reading: handReading(),
    history: openSqliteHistory({ file: ":memory:" }),
    daily: new DailySheets(handReading().daily, { timeZone: "Asia/Shanghai", at: "07:30", graceMs: 0 }, () => 0),
    counters: () => ({}),
    changes: openChanges(),
    health: () => ({ ok: true, because: [] }),
    log: openLog("silent", "http", redactor([])),
    clock: new HandClock(),
  });

test.skipIf(needs("openssl", "openssl"))("with certificate and key the API speaks TLS alone", async () => {
  using folder = tempFolder();
  const [cert, key] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"];
  run("openssl", [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    key,
    "-out",
    cert,
    ...subject,
  ]);
  await using server = await start(cert, key);
  const answer = await new Promise<string>((done, fail) => {
    get(
      { host: "127.0.0.1", port: server.port, path: "/healthz", ca: readFileSync(cert), agent: false },
      (response) => {
        text(response).then(done, fail);
      },
    ).on("error", fail);
  });
  expect(JSON.parse(answer)).toEqual({ ok: true, because: [] });
  await expect(fetch(`http://127.0.0.1:${server.port}/healthz`)).rejects.toThrow();
});

test("TLS files that are missing or are none are told by name before anything listens", async () => {
  using folder = tempFolder();
  const none = join(folder.path, "none.pem");
  await expect(start(none, none)).rejects.toMatchObject({ code: "CONFIG_UNREADABLE", facts: { path: none } });
  const junk = join(folder.path, "junk.pem");
  writeFileSync(junk, "not a certificate");
  await expect(start(junk, junk)).rejects.toMatchObject({
    code: "CONFIG_UNREADABLE",
    message: expect.stringContaining(junk),
  });
});
