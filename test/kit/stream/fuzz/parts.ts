import { FlvMedia } from "../../../../agent/checks/stream/flv/media.ts";
import { FlvTags } from "../../../../agent/checks/stream/flv/tags.ts";
import { Framing } from "../../../../agent/checks/stream/gb28181/framing.ts";
import { GbMedia } from "../../../../agent/checks/stream/gb28181/media.ts";
import { messageBytes, sipResponse } from "../../../../agent/checks/stream/gb28181/sip-response.ts";
import { LiveEdge } from "../../../../agent/checks/stream/hls/edge.ts";
import { lightest, readPlaylist } from "../../../../agent/checks/stream/hls/playlist.ts";
import { unpacked } from "../../../../agent/checks/stream/hls/unpack.ts";
import type { MediaSink } from "../../../../agent/checks/stream/media.ts";
import { AnnexB } from "../../../../agent/checks/stream/nal/annex-b.ts";
import { LengthPrefixed, readAvcConfig, readHevcConfig } from "../../../../agent/checks/stream/nal/avcc.ts";
import { recoveryPoint } from "../../../../agent/checks/stream/nal/sei.ts";
import { ParameterSets } from "../../../../agent/checks/stream/nal/sets.ts";
import { readSpsH264, readSpsH265 } from "../../../../agent/checks/stream/nal/sps.ts";
import { VideoUnits } from "../../../../agent/checks/stream/nal/units.ts";
import { mediamtxFacts, nginxFacts, srsFacts, zlmFacts } from "../../../../agent/checks/stream/passive/forwarders.ts";
import { PsReader } from "../../../../agent/checks/stream/ps/reader.ts";
import { rtmpAddress } from "../../../../agent/checks/stream/rtmp/address.ts";
import { readAmf } from "../../../../agent/checks/stream/rtmp/amf.ts";
import { ChunkReader } from "../../../../agent/checks/stream/rtmp/chunks.ts";
import { RtmpClient } from "../../../../agent/checks/stream/rtmp/client.ts";
import { openRtpTrack, type RtpMedia } from "../../../../agent/checks/stream/rtp/track.ts";
import { authorization, strongestOf } from "../../../../agent/checks/stream/rtsp/auth.ts";
import { messageOf } from "../../../../agent/checks/stream/rtsp/message.ts";
import { RtspReader } from "../../../../agent/checks/stream/rtsp/reader.ts";
import { controlUrl, parseSdp } from "../../../../agent/checks/stream/rtsp/sdp.ts";
import { sessionOf as sessionHeaderOf, transportOf } from "../../../../agent/checks/stream/rtsp/transport.ts";
import { SocketSums } from "../../../../agent/checks/stream/sockets/sockets.ts";
import { socketLines } from "../../../../agent/checks/stream/sockets/ss-text.ts";
import { SrtTotals, srtRecord } from "../../../../agent/checks/stream/srt/records.ts";
import { TsReader } from "../../../../agent/checks/stream/ts/reader.ts";
import { sessionOf } from "../heard.ts";
import type { Dice } from "./mutate.ts";

/** Takes one input, or a piece of one, which may be used anew after the call; `at`: monotonic ms. */
export type Take = (bytes: Buffer, at: number) => void;

/** One parser under fire. */
export interface Part {
  /** Which seeds are its own. */
  name: string;
  isText?: boolean;
  /** How inputs reach it: cut anywhere, or each as it is (a datagram, a document). */
  comes: "in pieces" | "whole";
  /** A reader of its own for a session of many inputs. */
  open(sink: MediaSink, dice: Dice): Take;
}

const CREDENTIALS = { user: "admin", password: "s3cret" };

/** All of an RTSP connection: messages and what is read out of their headers, interleaved packets. */
const rtsp: Part = {
  name: "rtsp",
  comes: "in pieces",
  open(sink) {
    const track = openRtpTrack(0, videoOf("H264"), sessionOf(sink));
    let now = 0;
    const reader = new RtspReader({
      message(message) {
        for (const transport of message.headers.get("transport") ?? []) quietly(() => transportOf(transport));
        for (const session of message.headers.get("session") ?? []) sessionHeaderOf(session);
        answerTo(message.headers.get("www-authenticate") ?? []);
        if (message.body !== "") quietly(() => parseSdp(message.body));
      },
      packet(channel, bytes, from, to) {
        if (channel % 2 === 0) track.rtp(bytes, now, from, to);
        else track.rtcp(Buffer.from(bytes.subarray(from, to)), now);
      },
    });
    return (bytes, at) => {
      now = at;
      reader.push(bytes);
    };
  },
};

const rtspText: Part = {
  name: "rtsp-text",
  isText: true,
  comes: "whole",
  open: () => (bytes) => {
    const text = bytes.toString("latin1");
    const { headers } = messageOf(text);
    for (const transport of headers.get("transport") ?? []) quietly(() => transportOf(transport));
    for (const session of headers.get("session") ?? []) sessionHeaderOf(session);
    answerTo(headers.get("www-authenticate") ?? []);
  },
};

function answerTo(challenges: readonly string[]): void {
  const challenge = strongestOf(challenges);
  if (challenge !== undefined)
    authorization(challenge, CREDENTIALS, { method: "DESCRIBE", uri: "rtsp://h/a", count: 1, cnonce: "0a4f113b" });
}

const sdp: Part = {
  name: "sdp",
  isText: true,
  comes: "whole",
  open: (sink) => (bytes, at) => {
    const found = parseSdp(bytes.toString("utf8"));
    for (const [id, media] of found.media.entries()) {
      quietly(() => controlUrl("rtsp://10.0.0.1/live?token=x", media.control));
      // what it says decides how packets are read
      const track = openRtpTrack(id, media, sessionOf(sink));
      track.rtp(Buffer.from(bytes.subarray(0, 200)), at);
      track.flush(at);
    }
  },
};

const videoOf = (
  codec: string,
  fmtp: Readonly<Record<string, string>> = {},
  kind: RtpMedia["kind"] = "video",
): RtpMedia => ({
  ...{ kind, codec, clockHz: 90_000, payloadType: 96, fmtp },
});

/** RTP and RTCP of one track, told apart as where they share a port (RFC 5761). */
const rtp = (name: string, media: RtpMedia): Part => ({
  name,
  comes: "whole",
  open(sink, dice) {
    const track = openRtpTrack(0, media, sessionOf(sink));
    return (bytes, at) => {
      const second = bytes[1] ?? 0;
      if (second >= 192 && second <= 223) track.rtcp(bytes, at);
      else track.rtp(bytes, at);
      if (dice.once(64)) track.report(at);
      if (dice.once(512)) track.flush(at);
    };
  },
});

const annexB = (codec: "H264" | "H265"): Part => ({
  name: codec === "H264" ? "annexb-h264" : "annexb-h265",
  comes: "in pieces",
  open(sink, dice) {
    sink.track(0, { kind: "video", codec, clockHz: 90_000 });
    const units = new VideoUnits(0, codec, sink);
    const reader = new AnnexB(units, codec);
    let stamp = 0;
    return (bytes, at) => {
      stamp += dice.once(50) ? dice.below(1e9) - 5e8 : 3_600;
      if (dice.once(3)) reader.stampNext(stamp, at);
      if (dice.once(100)) reader.gap();
      reader.data(bytes, 0, bytes.length);
      if (dice.once(40)) units.end(at);
    };
  },
});

const avcc = (codec: "H264" | "H265"): Part => ({
  name: codec === "H264" ? "avcc-h264" : "avcc-h265",
  comes: "in pieces",
  open(sink, dice) {
    sink.track(0, { kind: "video", codec, clockHz: 1_000 });
    const units = new VideoUnits(0, codec, sink);
    const reader = new LengthPrefixed(units, codec, [1, 2, 4][dice.below(3)]);
    let stamp = 0;
    return (bytes, at) => {
      const config = codec === "H264" ? readAvcConfig(bytes) : readHevcConfig(bytes);
      if (config !== undefined) {
        reader.lengthOf(config.lengthBytes);
        for (const set of config.sets) units.remember(set);
      }
      stamp += 40;
      units.at(stamp, at);
      reader.data(bytes, 0, bytes.length);
      if (dice.once(4)) reader.end();
    };
  },
});

const sets: Part = {
  name: "parameter-sets",
  comes: "whole",
  open() {
    const known = [new ParameterSets("H264"), new ParameterSets("H265")];
    return (bytes) => {
      readSpsH264(bytes);
      readSpsH265(bytes);
      recoveryPoint(bytes, 1);
      recoveryPoint(bytes, 2);
      for (const one of known) {
        one.learn(bytes);
        one.news(true);
        one.inOrder();
      }
    };
  },
};

const rtmp: Part = {
  name: "rtmp",
  comes: "in pieces",
  open(sink) {
    const client = new RtmpClient(rtmpAddress("rtmp://127.0.0.1/live/cam1?token=x"), {
      send() {},
      reached() {},
      sink,
    });
    client.begin();
    client.data(HELLO, 0);
    return (bytes, at) => client.data(bytes, at);
  },
};
/** S0, S1, S2. */
const HELLO = Buffer.alloc(1 + 2 * 1536, 3);

const chunks: Part = {
  name: "rtmp-chunks",
  comes: "in pieces",
  open() {
    const reader = new ChunkReader({ begin() {}, piece() {}, end() {} });
    return (bytes) => reader.push(bytes, 0, bytes.length);
  },
};

const amf: Part = { name: "amf", comes: "whole", open: () => (bytes) => void readAmf(bytes) };

const flv: Part = {
  name: "flv",
  comes: "in pieces",
  open(sink) {
    const media = new FlvMedia(sink);
    const tags = new FlvTags(media);
    return (bytes, at) => {
      tags.push(bytes, 0, bytes.length, at);
      media.flush(at);
    };
  },
};

const ts: Part = {
  name: "ts",
  comes: "in pieces",
  open(sink, dice) {
    const reader = new TsReader(sink, { tellsLoss: true });
    return (bytes, at) => {
      reader.push(bytes, at);
      if (dice.once(200)) reader.flush(at);
      if (dice.once(500)) reader.restart(dice.once(2) ? 2_000 : undefined);
    };
  },
};

const ps: Part = {
  name: "ps",
  comes: "in pieces",
  open(sink, dice) {
    const reader = new PsReader(sink);
    return (bytes, at) => {
      if (dice.once(50)) reader.lost();
      reader.push(bytes, at);
    };
  },
};

const gb: Part = {
  name: "gb28181",
  comes: "in pieces",
  open(sink, dice) {
    let now = 0;
    const media = new GbMedia(sessionOf(sink), undefined);
    const framing = new Framing((bytes, from, to) => {
      media.packet(bytes, from, to, now);
      if (dice.once(100)) media.report(now);
    });
    return (bytes, at) => {
      now = at;
      framing.push(bytes);
    };
  },
};

const gbPackets: Part = {
  name: "gb28181-packets",
  comes: "whole",
  open(sink) {
    const media = new GbMedia(sessionOf(sink), undefined);
    return (bytes, at) => void media.packet(bytes, 0, bytes.length, at);
  },
};

const hls: Part = {
  name: "hls",
  isText: true,
  comes: "whole",
  open() {
    let edge: LiveEdge | undefined;
    return (bytes, at) => {
      const isPacked = bytes[0] === 0x1f;
      const body = isPacked ? unpacked(Buffer.from(bytes), "gzip", 1_000_000) : bytes;
      const playlist = readPlaylist(body.toString("utf8"));
      if (playlist.kind === "master") lightest(playlist);
      else if (edge === undefined) edge = new LiveEdge(playlist, at);
      else edge.take(playlist, at);
    };
  },
};

const sip: Part = {
  name: "sip",
  isText: true,
  comes: "whole",
  open: () => (bytes) => {
    const whole = messageBytes(bytes);
    sipResponse(whole > 0 ? bytes.subarray(0, whole) : bytes);
  },
};

const forwarders: Part = {
  name: "forwarders",
  isText: true,
  comes: "whole",
  open: () => (bytes) => {
    const text = bytes.toString("utf8");
    if (text.startsWith("<")) nginxFacts(text, "live", "cam1");
    else {
      quietly(() => srsFacts(text, "live", "cam1"));
      quietly(() => mediamtxFacts(text));
      zlmFacts(text);
    }
  },
};

const counters: Part = {
  name: "srt-and-sockets",
  isText: true,
  comes: "whole",
  open() {
    const totals = new SrtTotals();
    const sums = new SocketSums();
    return (bytes, at) => {
      const text = bytes.toString("utf8");
      for (const line of text.split("\n", 20)) {
        const record = srtRecord(line);
        if (record !== undefined) totals.add(record);
      }
      sums.add(socketLines(text), at);
      if (!(totals.inBytes >= 0 && totals.lost >= 0)) throw new Error(`counters ran away: ${totals.inBytes}`);
    };
  },
};

/** What one of several readers in a row refuses must not keep the next from being tried. */
function quietly(work: () => unknown): void {
  try {
    work();
  } catch (cause) {
    if (!isTold(cause)) throw cause;
  }
}

/** A Failure of the kinds that `Play` and `LookPassive` name. */
export const isTold = (cause: unknown): boolean =>
  cause instanceof Error &&
  "code" in cause &&
  /^STREAM_(PROTOCOL|ENDED|STATUS|AUTH|UNSUPPORTED|TIMEOUT)$/.test(String(cause.code));

const AAC = { mode: "AAC-hbr", sizelength: "13", indexlength: "3", indexdeltalength: "3" };

export const PARTS: readonly Part[] = [
  ...[rtsp, rtspText, sdp],
  rtp("rtp-h264", videoOf("H264", { "packetization-mode": "1", "sprop-parameter-sets": "Z0LAHtoCgL/lwEQ=,aM4PyA==" })),
  rtp("rtp-h265", videoOf("H265")),
  rtp("rtp-h265-don", videoOf("H265", { "sprop-max-don-diff": "2" })),
  rtp("rtp-jpeg", videoOf("JPEG")),
  rtp("rtp-aac", videoOf("MPEG4-GENERIC", AAC, "audio")),
  rtp("rtp-latm", videoOf("MP4A-LATM", {}, "audio")),
  rtp("rtp-audio", videoOf("PCMA", {}, "audio")),
  ...[annexB("H264"), annexB("H265"), avcc("H264"), avcc("H265"), sets],
  ...[rtmp, chunks, amf, flv, ts, ps, gb, gbPackets, hls, sip, forwarders, counters],
];
