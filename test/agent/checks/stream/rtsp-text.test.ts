import { createHash } from "node:crypto";
import { array, assert, constantFrom, integer, oneof, property, string, tuple, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
import { authorization, type Challenge, strongestOf } from "../../../../agent/checks/stream/rtsp/auth.ts";
import { messageOf, requestText } from "../../../../agent/checks/stream/rtsp/message.ts";
import { controlUrl, parseSdp, rtspUrl } from "../../../../agent/checks/stream/rtsp/sdp.ts";
import { sessionOf, transportOf } from "../../../../agent/checks/stream/rtsp/transport.ts";
import { Failure } from "../../../../protocol/failure.ts";

const protocolFailure = expect.objectContaining({ code: "STREAM_PROTOCOL" });

/** Whatever comes in: an answer, or the one failure. */
function isTame(work: () => unknown): void {
  try {
    work();
  } catch (cause) {
    expect(cause).toEqual(protocolFailure);
  }
}

describe("the head of a message", () => {
  test("is a reply or a request, its names in lower case, repeated and folded lines together", () => {
    expect(
      messageOf("RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: Basic\r\nwww-authenticate: Digest\r\n a=1"),
    ).toEqual({
      kind: "reply",
      status: 401,
      phrase: "Unauthorized",
      headers: new Map([
        ["cseq", ["2"]],
        ["www-authenticate", ["Basic", "Digest a=1"]],
      ]),
      body: "",
    });
    expect(messageOf("ANNOUNCE rtsp://h/x RTSP/1.0\nCSeq: 7")).toMatchObject({ kind: "request", method: "ANNOUNCE" });
    expect(messageOf("RTSP/1.0 200")).toMatchObject({ status: 200, phrase: "" });
  });

  test("of another protocol says so, on one line", () => {
    expect(() => messageOf("HTTP/1.1 400 Bad Request")).toThrow(/answers in HTTP: it begins with "HTTP\/1.1 400/);
    expect(() => messageOf("SIP/2.0 200 OK")).toThrow(protocolFailure);
    expect(() => messageOf("R\u0000\u001b[31m")).toThrow(/"R \[31m"/);
  });

  test("that we send cannot be broken open by what stands in it", () => {
    const text = requestText("PLAY", "rtsp://h/x\r\nEvil: 1", { Session: "12\r\nTEARDOWN rtsp://h/x RTSP/1.0\r\n" });
    expect(text.split("\r\n")).toEqual([
      "PLAY rtsp://h/xEvil: 1 RTSP/1.0",
      "Session: 12TEARDOWN rtsp://h/x RTSP/1.0",
      "",
      "",
    ]);
  });
});

const SDP = [
  "v=0",
  "o=- 1 1 IN IP4 0.0.0.0",
  "s=Media",
  "a=control:*",
  "m=video 0 RTP/AVP 96",
  "a=rtpmap:96 H264/90000",
  "a=fmtp:96 packetization-mode=1; profile-level-id=4D001F;sprop-parameter-sets=Z00AH5Y1QKALdNwEBAQI,aO48gA==",
  "a=framerate:25.000000",
  "a=control:trackID=1",
  "m=audio 0 RTP/AVP 8",
  "a=control:trackID=2",
  "m=application 0 RTP/AVP 107",
  "a=rtpmap:107 vnd.onvif.metadata/90000",
];

describe("a session description", () => {
  test("tells what plays: codec, clock, parameters and control of each, in their order", () => {
    expect(parseSdp(SDP.join("\r\n"))).toEqual({
      control: "*",
      media: [
        {
          kind: "video",
          codec: "H264",
          clockHz: 90_000,
          payloadType: 96,
          fmtp: {
            framerate: "25.000000",
            "packetization-mode": "1",
            "profile-level-id": "4D001F",
            "sprop-parameter-sets": "Z00AH5Y1QKALdNwEBAQI,aO48gA==",
          },
          control: "trackID=1",
        },
        { kind: "audio", codec: "PCMA", clockHz: 8_000, payloadType: 8, fmtp: {}, control: "trackID=2" },
      ],
      others: "application 0 RTP/AVP 107",
    });
  });

  test.each([
    ["m=video 0 RTP/AVP 26", "JPEG", 90_000],
    ["m=video 0 RTP/AVP 33", "MP2T", 90_000],
    ["m=audio 0 RTP/AVP 0", "PCMU", 8_000],
    ["m=audio 0 RTP/AVP 9", "G722", 8_000],
    ["m=video 0 RTP/AVP 97\na=rtpmap:97 jpeg/90000", "JPEG", 90_000],
    ["m=video 0 RTP/AVP 97\na=rtpmap:97 hevc/90000", "HEVC", 90_000],
    ["m=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/16000/2", "MPEG4-GENERIC", 16_000],
    ["m=audio 0 RTP/AVPF 8\na=rtpmap:8 PCMA/16000", "PCMA", 16_000],
    ["m=video 0 RTP/AVP 98 96\na=rtpmap:96 H264/90000", "H264", 90_000],
    ["m=video 0 RTP/AVP/TCP 96\na=rtpmap:96 H264/90000", "H264", 90_000],
  ])("%s is %s", (lines, codec, clockHz) => {
    expect(parseSdp(`v=0\n${lines}`).media).toEqual([expect.objectContaining({ codec, clockHz })]);
  });

  test.each([
    "m=video 0 RTP/SAVP 96\na=rtpmap:96 H264/90000",
    "m=video 0 udp 33",
    "m=video 0 RTP/AVP 96",
    "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/0",
    "m=video 0 RTP/AVP 300\na=rtpmap:300 H264/90000",
    "m=video",
  ])("%s cannot be played, and stands among the others", (lines) => {
    const { media, others } = parseSdp(`v=0\n${lines}`);
    expect(media).toEqual([]);
    expect(others).toMatch(/^video/);
  });

  test("looks at 128 formats of a track and no more: each costs a search", () => {
    const sdp = (nothings: number) => `v=0\nm=video 0 RTP/AVP ${"1 ".repeat(nothings)}96\na=rtpmap:96 H264/90000`;
    expect(parseSdp(sdp(127)).media).toHaveLength(1);
    expect(parseSdp(sdp(128)).media).toHaveLength(0);
  });

  test("takes eight tracks and no more", () => {
    const lines = Array.from({ length: 50 }, () => "m=audio 0 RTP/AVP 0");
    expect(parseSdp(["v=0", ...lines].join("\n")).media).toHaveLength(8);
  });

  test("that is none is a failure, and none is ever anything else", () => {
    expect(() => parseSdp("<html>")).toThrow(protocolFailure);
    expect(() => parseSdp("")).toThrow(protocolFailure);
    assert(
      property(
        array(oneof(constantFrom(...SDP, "m=video 0 RTP/AVP 96 97", "a=fmtp:96 __proto__=1;=;"), string())),
        (lines) => isTame(() => parseSdp(["v=0", ...lines].join("\n"))),
      ),
    );
  });

  test("a parameter of whatever name is a parameter and nothing else", () => {
    const { media } = parseSdp("v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 __proto__=x;a=1");
    expect(Object.entries(media[0]?.fmtp ?? {})).toEqual([
      ["__proto__", "x"],
      ["a", "1"],
    ]);
  });
});

describe("what a control attribute means", () => {
  test.each([
    ["rtsp://h/cam", undefined, "rtsp://h/cam"],
    ["rtsp://h/cam/", "*", "rtsp://h/cam/"],
    ["rtsp://h/cam/", "trackID=1", "rtsp://h/cam/trackID=1"],
    ["rtsp://h/cam", "trackID=1", "rtsp://h/cam/trackID=1"],
    ["rtsp://h:8554/cam?channel=1&subtype=0", "trackID=1", "rtsp://h:8554/cam?channel=1&subtype=0/trackID=1"],
    ["rtsp://h:8554/cam/x", "/other", "rtsp://h:8554/other"],
    ["rtsp://h/cam", "rtsp://192.168.1.64:554/track1", "rtsp://192.168.1.64:554/track1"],
    ["rtsp://h/cam", "RTSP://user:pass@h/track1", "RTSP://h/track1"],
  ])("%s and %s: %s", (base, control, url) => {
    expect(controlUrl(base, control)).toBe(url);
  });

  test.each(["rtsp://h/a b", "rtsp://h/\u0001", `rtsp://h/${"x".repeat(3_000)}`, "rtsp://", "http://h/"])(
    "%s is no address",
    (url) => {
      expect(() => rtspUrl(url)).toThrow(protocolFailure);
    },
  );

  test("a failure tells neither the query of what we asked for nor a login", () => {
    for (const base of ["rtsp://h/cam?token=canary", "rtsp://admin:canary@h/cam"])
      expect(() => controlUrl(base, "track 1")).toThrow(/an address that is none: "rtsp:\/\/h\/cam/);
    for (const base of ["rtsp://h/cam?token=canary", "rtsp://admin:canary@h/cam", "rtsp://h/cam?canary@x"])
      expect(() => controlUrl(base, "track 1")).not.toThrow(/canary/);
  });

  test("never holds what would end a line", () => {
    assert(
      property(string(), (control) =>
        isTame(() => expect(controlUrl("rtsp://h/cam", control)).toMatch(/^rtsps?:\/\/[!-~]+$/i)),
      ),
    );
  });
});

describe("headers of a session", () => {
  test.each([
    ["RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=1A", { tcp: true, multicast: false, interleaved: [0, 1] }],
    ["RTP/AVP/TCP;interleaved=4", { tcp: true, multicast: false, interleaved: [4, 5] }],
    ["RTP/AVP/TCP;interleaved=300-301", { tcp: true, multicast: false }],
    [
      "RTP/AVP/UDP;unicast;client_port=5000-5001;server_port=6970-6971;source=1.2.3.4",
      { tcp: false, multicast: false, serverPort: [6970, 6971] },
    ],
    ["RTP/AVP;multicast;destination=224.1.1.1;port=5000-5001", { tcp: false, multicast: true }],
    ["RTP/AVP;server_port=65535", { tcp: false, multicast: false }],
    ["RTP/AVP;unicast,RTP/AVP/TCP", { tcp: false, multicast: false }],
  ])("Transport: %s", (header, transport) => {
    expect(transportOf(header)).toEqual(transport);
  });

  test("a transport that is not RTP's is a failure", () => {
    expect(() => transportOf("RAW/RAW/UDP;unicast")).toThrow(protocolFailure);
    assert(property(string(), (header) => isTame(() => transportOf(header))));
  });

  test.each([
    ["12345678;timeout=10", { id: "12345678", timeoutMs: 10_000 }],
    ["a$-_.+b", { id: "a$-_.+b", timeoutMs: 60_000 }],
    ["x ; Timeout = 30", { id: "x", timeoutMs: 30_000 }],
    ["x;timeout=0", { id: "x", timeoutMs: 60_000 }],
    ["x;timeout=999999", { id: "x", timeoutMs: 3_600_000 }],
    ["", undefined],
    [";timeout=3", undefined],
    ["a b", undefined],
  ])("Session: %s", (header, session) => {
    expect(sessionOf(header)).toEqual(session);
  });
});

const ASKED = { method: "DESCRIBE", uri: "rtsp://h/cam", count: 1, cnonce: "0a4f113b" };
const MUFASA = { user: "Mufasa", password: "Circle of Life" };
const RFC7616 =
  'realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"';

function challenge(...headers: string[]): Challenge {
  const found = strongestOf(headers);
  if (found === undefined) throw new Error("no challenge");
  return found;
}

describe("a challenge", () => {
  test.each([
    ["MD5", "8ca523f5e9506fed4657c9700eebdbec"],
    ["SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"],
  ])("of RFC 7616 §3.9.1 (%s) is answered as it says there", (algorithm, response) => {
    const answer = authorization(challenge(`Digest ${RFC7616}, algorithm=${algorithm}, opaque="FQhe"`), MUFASA, {
      method: "GET",
      uri: "/dir/index.html",
      count: 1,
      cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    });
    expect(answer).toContain(`response="${response}"`);
    expect(answer).toMatch(/^Digest username="Mufasa", .*, qop=auth, nc=00000001, cnonce=/);
    expect(answer).toContain('opaque="FQhe"');
  });

  test("without qop is answered as RFC 2069 says", () => {
    const md5 = (text: string): string => createHash("md5").update(text).digest("hex");
    const answer = authorization(challenge('Digest realm="r", nonce="n"'), MUFASA, ASKED);
    const response = md5(`${md5("Mufasa:r:Circle of Life")}:n:${md5("DESCRIBE:rtsp://h/cam")}`);
    expect(answer).toBe(`Digest username="Mufasa", realm="r", nonce="n", uri="rtsp://h/cam", response="${response}"`);
  });

  test("with -sess mixes nonce and cnonce into the secret", () => {
    const sha = (text: string): string => createHash("sha256").update(text).digest("hex");
    const answer = authorization(
      challenge('Digest realm="r",nonce="n",algorithm=SHA-256-sess,qop=auth'),
      MUFASA,
      ASKED,
    );
    const secret = sha(`${sha("Mufasa:r:Circle of Life")}:n:0a4f113b`);
    expect(answer).toContain(`response="${sha(`${secret}:n:00000001:0a4f113b:auth:${sha("DESCRIBE:rtsp://h/cam")}`)}"`);
  });

  test("is the strongest of those offered, in one header or several", () => {
    const sha = { scheme: "digest", hash: "sha256", stale: false };
    expect(strongestOf(['Basic realm="x"', `Digest ${RFC7616}`, `Digest ${RFC7616}, algorithm=SHA-256`])).toMatchObject(
      sha,
    );
    expect(strongestOf([`Basic realm="a, b", Digest realm="r", nonce="n", algorithm=SHA-256`])).toMatchObject(sha);
    expect(strongestOf(['Basic realm="x"', 'Digest realm="r", nonce="n", stale=TRUE'])).toMatchObject({
      hash: "md5",
      stale: true,
    });
    expect(strongestOf(["Basic"])).toEqual({ scheme: "basic" });
  });

  test("that nobody can answer is none", () => {
    for (const header of [
      "",
      "Negotiate",
      'Digest realm="r"',
      'Digest realm="r", nonce="n", qop=auth-int',
      'Digest realm="r", nonce="n", algorithm=SHA-512-256',
    ])
      expect(strongestOf([header])).toBeUndefined();
  });

  test("names what it quotes", () => {
    const answer = authorization(challenge('Digest realm="a\\"b", nonce="n"'), { user: 'u"\\', password: "p" }, ASKED);
    expect(answer).toMatch(/^Digest username="u\\"\\\\", realm="a\\"b", nonce="n"/);
    expect(authorization({ scheme: "basic" }, { user: "值班", password: "p" }, ASKED)).toBe("Basic 5YC854+tOnA=");
  });

  test("of any shape is read in no time, and never breaks", () => {
    const words = constantFrom(
      "Digest",
      "Basic",
      " ",
      ",",
      "=",
      '"',
      "\\",
      "realm",
      "nonce",
      "stale",
      "qop",
      "a".repeat(500),
      " ".repeat(3_000),
    );
    assert(
      property(
        array(oneof(words, string({ unit: "binary-ascii" })), { maxLength: 40 }),
        (parts) => void strongestOf([parts.join("")]),
      ),
    );
    assert(
      property(tuple(string({ unit: "binary-ascii" }), integer(), uint8Array()), ([realm, count, bytes]) => {
        const asked = { ...ASKED, count: Math.abs(count), uri: Buffer.from(bytes).toString("latin1") };
        expect(
          authorization({ ...challenge('Digest realm="r", nonce="n"'), realm } as Challenge, MUFASA, asked),
        ).toMatch(/^Digest /);
      }),
    );
  });
});

test("a phrase that repeats what we asked for tells nothing of its query", () => {
  const reply = messageOf("RTSP/1.0 404 no /cam?token=canary here");
  expect(reply).toMatchObject({ phrase: "no /cam?… here" });
});

test("a failure tells the phrase of the server cut and on one line", () => {
  const reply = messageOf(`RTSP/1.0 500 ${"x".repeat(500)}`);
  expect(reply.kind === "reply" && reply.phrase).toBe("x".repeat(80));
  expect(new Failure("STREAM_STATUS", "x").code).toBe("STREAM_STATUS");
});
