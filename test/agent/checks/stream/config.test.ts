import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { StreamConfig } from "../../../../agent/checks/stream/config.ts";
import { streams } from "../../../../agent/checks/stream/stream.ts";
import { parseConfig } from "../../../../platform/config-file.ts";
import { checkPorts } from "../../../kit/check-ports.ts";

const parse = (...targets: unknown[]): StreamConfig =>
  parseConfig(JSON.stringify({ targets }), StreamConfig, "agent.json");

const RTSP = { name: "main", type: "rtsp", url: "rtsp://10.20.0.5:554/stream1" };
const HLS = { name: "page", type: "hls", url: "https://forwarder.example/live/main.m3u8" };
const SIP = { host: "10.20.0.9", deviceId: "34020000001320000001", platformId: "34020000002000000001" };

describe("a mistake is told by its path", () => {
  const box = { x: 0.7, y: 0, width: 0.4, height: 0.1 };
  test.each([
    [
      "a password in the address",
      { ...RTSP, url: "rtsp://admin:s3cret@10.20.0.5/1" },
      /targets\.0\.url.*passwordFile/s,
    ],
    ["a user in the address", { ...RTSP, url: "rtsp://admin@10.20.0.5/1" }, /targets\.0\.url/],
    ["another scheme", { ...RTSP, url: "http://10.20.0.5/1" }, /targets\.0\.url.*rtsp:\/\/ or rtsps:\/\//s],
    ["no host", { ...RTSP, url: "rtsp:///stream1" }, /targets\.0\.url/],
    ["a port that is none", { ...RTSP, url: "rtsp://10.20.0.5:99999/1" }, /targets\.0\.url/],
    ["a line break in the address", { ...RTSP, url: "rtsp://10.20.0.5/1\r\nX: y" }, /targets\.0\.url/],
    ["a user without a password file", { ...RTSP, user: "admin" }, /targets\.0.*go together/s],
    [
      "a password file that is no path",
      { ...RTSP, user: "a", passwordFile: "secret" },
      /\.passwordFile: "secret" — allowed: an absolute path/,
    ],
    ["a typo", { ...RTSP, trasnport: "tcp" }, /trasnport/],
    [
      "what only another type has",
      { name: "f", type: "flv", url: "http://10.20.0.5/1.flv", user: "admin" },
      /user: unknown name — allowed: name, (?!.*transport)/,
    ],
    ["a type that is none", { ...RTSP, type: "onvif" }, /targets\.0/],
    ["a class that is none", { ...RTSP, class: "door" }, /targets\.0\.class.*camera/s],
    ["an OSD box outside the picture", { ...RTSP, picture: { osd: box } }, /picture\.osd.*within/s],
    ["a clear threshold on the wrong side", { ...RTSP, thresholds: { lossPct: 0.3 } }, /lossClearPct.*above lossPct/s],
    ["a multicast port out of range", { name: "ts", type: "ts", listen: { port: 70_000 } }, /listen\.port/],
    [
      "a GB/T 28181 id with too few digits",
      { name: "c", type: "gb28181", sip: { ...SIP, deviceId: "34" } },
      /sip\.deviceId.*20 digits/,
    ],
    [
      "a name where a sender is told by its address",
      { name: "c", type: "gb28181", media: { listen: { port: 30_000 }, from: "encoder.local" } },
      /media\.from: "encoder\.local" — allowed: an IP address/,
    ],
    ["a GB/T 28181 channel with nothing in it", { name: "c", type: "gb28181" }, /needs media, sip or both/],
    [
      "a user of a forwarder's API in its address",
      { ...HLS, passive: { type: "srs", url: "http://u:p@127.0.0.1:1985", app: "live", stream: "main" } },
      /passive\.url/,
    ],
  ])("%s", (_, target, says) => {
    expect(() => parse(target)).toThrow(says);
  });

  test("a name twice, and the name of a channel's platform", () => {
    expect(() => parse(RTSP, RTSP)).toThrow(/name of its own/);
    const gb = { name: "channel", type: "gb28181", sip: SIP };
    expect(() => parse(gb, { ...RTSP, name: "channel-sip" })).toThrow(/that of its platform/);
  });

  test("thirty-three streams", () => {
    const all = Array.from({ length: 33 }, (_, i) => ({ ...RTSP, name: `s${i}` }));
    expect(() => parse(...all)).toThrow(/targets/);
    expect(parse(...all.slice(1)).targets).toHaveLength(32);
  });

  test("the password that stood in an address is not in the message as it is logged", () => {
    const { redact } = checkPorts("/nowhere");
    try {
      parse({ ...RTSP, url: "rtsp://admin:s3cret@10.20.0.5/1" });
      expect.unreachable();
    } catch (cause) {
      expect(redact(String(cause))).not.toContain("s3cret");
    }
  });
});

test("what is left out is the default of the design", () => {
  const { budget, targets } = parse(RTSP);
  expect(budget).toEqual({ continuousUpTo: 4, cpuPct: 5 });
  expect(targets[0]).toMatchObject({
    class: "camera",
    at: "encoder",
    severity: "major",
    transport: "auto",
    mode: "auto",
    sample: { everyMs: 60_000, forMs: 5_000 },
    picture: { enabled: true, everyMs: 60_000, thumbnails: "none" },
    thresholds: { silentMs: 3_000, keyframeMs: 6_000, lossPct: 1 },
  });
});

test("without a stream the check is not present, and its titles name every reason and each alarm's hop", () => {
  expect(streams.begin(streams.Config.parse({}), checkPorts("/nowhere"))).toBeUndefined();
  for (const { zh, en } of Object.values(streams.titles)) {
    expect(zh).toMatch(/\p{Script=Han}/u);
    expect(en).toMatch(/^[\x20-\x7e]+$/);
  }
});

test("the example we ship is right", () => {
  const file = join(import.meta.dirname, "..", "..", "..", "..", "deploy", "examples", "checks.json");
  const { stream } = JSON.parse(readFileSync(file, "utf8")).checks;
  const types = StreamConfig.parse(stream).targets.map(({ type }) => type);
  expect(new Set(types)).toEqual(new Set(["rtsp", "rtmp", "hls", "gb28181"]));
});
