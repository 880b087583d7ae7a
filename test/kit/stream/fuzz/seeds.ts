import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { writeAmf } from "../../../../agent/checks/stream/rtmp/amf.ts";
import { MESSAGE, writeMessage } from "../../../../agent/checks/stream/rtmp/chunks.ts";
import { run } from "../../peers.ts";
import { tempFolder } from "../../temp.ts";
import { clip } from "../clips.ts";
import { avcRecord, type ClipUnit, clipUnits, flvTag, hevcRecord, sized } from "../flv-writer.ts";
import { annexB, SETS } from "../nal-writer.ts";
import { clipFrames, goodbye, psPacks, senderReport, vobOf } from "../ps.ts";
import { captureRtp } from "../rtp-capture.ts";
import { packetH264, packetH265, rtpPacket } from "../rtp-writer.ts";

/** What is mutated: real bytes of real encoders and servers, cut small, in the order a reader would have them. */
export type Seeds = Readonly<Record<string, readonly Buffer[]>>;

const WISH = { width: 320, height: 180, seconds: 2, rate: "cbr512k", gop: 10 } as const;
/** The largest piece of a byte stream. */
const PIECE = 1_500;
const MOST_PIECES = 160;

/** Made anew by each run, in seconds; needs ffmpeg. */
export async function makeSeeds(): Promise<Seeds> {
  const h264 = clip("move", WISH);
  const h265 = clip("move", { ...WISH, codec: "h265" });
  const withSound = clip("move", { ...WISH, audio: "aac" });
  const [avc, hevc] = [clipUnits(h264, "h264"), clipUnits(h265, "h265")];
  const flv = remuxed(withSound, "flv", ["-bsf:a", "aac_adtstoasc"]);
  const packs = psPacks(clipFrames(h264, "h264"));
  const rtpOfPs = overRtp(packs.map((pack) => pieces(pack, 1_400)));
  return {
    ...rtspSeeds(),
    ...rtpSeeds(avc.units, hevc.units),
    ...(await captured()),
    "annexb-h264": pieces(annexB(avc.units.flatMap(({ nals }) => nals))),
    "annexb-h265": pieces(annexB(hevc.units.flatMap(({ nals }) => nals))),
    "avcc-h264": [avcRecord(first(avc.sets, 0), first(avc.sets, 1)), ...pieces(lengths(avc.units))],
    "avcc-h265": [hevcRecord(hevc.sets), ...pieces(lengths(hevc.units))],
    "parameter-sets": [...avc.sets, ...hevc.sets, ...SETS.H264, ...SETS.H265, RECOVERY],
    rtmp: rtmpSeeds(flv, hevc.sets, hevc.units),
    "rtmp-chunks": rtmpSeeds(flv, hevc.sets, hevc.units),
    amf: amfSeeds(),
    flv: pieces(flv),
    ts: [...pieces(readFileSync(withSound), 1_316), ...pieces(readFileSync(h265), 1_316).slice(0, 40)],
    ps: [...pieces(Buffer.concat(packs)), ...pieces(vobOf(h265)).slice(0, 40)],
    gb28181: rtpOfPs.map((packet) => Buffer.concat([Buffer.of(packet.length >> 8, packet.length & 255), packet])),
    "gb28181-packets": rtpOfPs,
    ...texts(),
  };
}

const first = (all: readonly Buffer[], at: number): Buffer => all[at] ?? Buffer.alloc(0);
const lengths = (units: readonly ClipUnit[]): Buffer => sized(units.flatMap(({ nals }) => nals));
/** recovery_frame_cnt 0 in an SEI of H.264. */
const RECOVERY = Buffer.from("060601c480", "hex");

/** A byte stream in pieces, the first ones of it. */
function pieces(stream: Buffer, size = PIECE): Buffer[] {
  const all: Buffer[] = [];
  for (let at = 0; at < stream.length && all.length < MOST_PIECES; at += size) all.push(stream.subarray(at, at + size));
  return all;
}

function remuxed(path: string, format: string, more: readonly string[]): Buffer {
  using folder = tempFolder("vigil-fuzz");
  const file = `${folder.path}/clip`;
  run("ffmpeg", ["-v", "error", "-nostdin", "-y", "-i", path, "-c", "copy", ...more, "-f", format, file]);
  return readFileSync(file);
}

function overRtp(units: readonly (readonly Buffer[])[], payloadType = 96): Buffer[] {
  let sequence = 65_500;
  return units
    .flatMap((payloads, frame) =>
      payloads.map((payload, i) =>
        rtpPacket(
          {
            sequence: sequence++,
            stamp: 4_294_900_000 + frame * 3_600,
            marker: i === payloads.length - 1,
            payloadType,
          },
          payload,
        ),
      ),
    )
    .slice(0, MOST_PIECES);
}

function rtpSeeds(avc: readonly ClipUnit[], hevc: readonly ClipUnit[]): Record<string, Buffer[]> {
  const reports = [senderReport(0x11223344, 1_790_000_000_000, 90_000), goodbye(0x11223344)];
  const of = (units: readonly ClipUnit[], pack: (nals: readonly Buffer[]) => Buffer[]): Buffer[] => {
    const packets = overRtp(units.map(({ nals }) => pack(nals)));
    return [...packets.slice(0, 30), first(reports, 0), ...packets.slice(30), first(reports, 1)];
  };
  const pcma = overRtp(Array.from({ length: 40 }, (_, i) => [Buffer.alloc(160, i)]));
  return {
    "rtp-h264": of(avc, (nals) => packetH264(nals, 1_200, true)),
    "rtp-h265": of(hevc, (nals) => packetH265(nals, 1_200, true, false)),
    "rtp-h265-don": of(hevc, (nals) => packetH265(nals, 1_200, true, true)),
    "rtp-audio": [...pcma, ...reports],
  };
}

/** What ffmpeg sends itself. */
async function captured(): Promise<Record<string, Buffer[]>> {
  const jpeg = clip("move", { ...WISH, codec: "mjpeg", seconds: 1 });
  const take = async (args: readonly string[], kind: "video" | "audio"): Promise<Buffer[]> => {
    const { packets } = await captureRtp(args, kind);
    return packets.slice(0, MOST_PIECES).map(({ bytes }) => typed(bytes));
  };
  const sound = ["-f", "lavfi", "-i", "sine=duration=2:sample_rate=48000", "-c:a", "aac", "-b:a", "48k"];
  return {
    "rtp-jpeg": await take(["-i", jpeg, "-c", "copy"], "video"),
    "rtp-aac": await take(sound, "audio"),
    "rtp-latm": await take([...sound, "-rtpflags", "+latm"], "audio"),
  };
}

/** Whatever number it has is 96 from here on; RTCP stays as it is. */
function typed(packet: Buffer): Buffer {
  const second = packet[1] ?? 0;
  if (second < 192 || second > 223) packet[1] = (second & 0x80) | 96;
  return packet;
}

const SDP = `v=0\r\no=- 1188340656180883 1 IN IP4 10.0.0.5\r\ns=Session streamed with GStreamer\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r
m=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\nb=AS:2000\r\na=rtpmap:96 H264/90000\r\na=framerate:25\r
a=fmtp:96 packetization-mode=1;profile-level-id=42c01e;sprop-parameter-sets=Z0LAHtoCgL/lwEQAAAMABAAAAwDIPFi6gA==,aM4PyA==\r
a=control:stream=0\r\na=x-dimensions:640,360\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r
a=fmtp:97 streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190\r\na=control:rtsp://10.0.0.5/cam/trackID=2\r\n`;
const SDPS = [
  SDP,
  `v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 0 RTP/AVP 26\r\na=control:trackID=0\r\nm=audio 0 RTP/AVP 8 0\r\na=control:trackID=1\r\n`,
  `v=0\ns=HEVC\nm=video 0 RTP/AVP 98\na=rtpmap:98 H265/90000\na=fmtp:98 sprop-max-don-diff=2;sprop-vps=QAEMAf//\nm=audio 0 RTP/AVP 99\na=rtpmap:99 MP4A-LATM/90000\na=fmtp:99 cpresent=0;config=400024203fc0\nm=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\n`,
  `v=0\r\ns=ts\r\nm=video 0 RTP/AVP 33\r\na=control:/track1?token=a/b\r\n`,
];

const HEADS = [
  "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\nServer: GStreamer RTSP server\r\n",
  'RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: Digest realm="IP Camera(F1234)", nonce="b5aa53cd10ee", algorithm=SHA-256, qop="auth,auth-int", opaque="5ccc", stale=FALSE\r\nWWW-Authenticate: Digest realm="a\\"b", nonce="c", algorithm=MD5-sess, qop=auth\r\nWWW-Authenticate: Basic realm="x"\r\n',
  'RTSP/1.0 200 OK\r\nCSeq: 4\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=4EA0FE1B;mode="PLAY",RTP/AVP;unicast\r\nSession: I7NYVtRv66BBMgrg;timeout=60\r\n',
  "RTSP/1.0 200 OK\r\nCSeq: 5\r\nTransport: RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;source=1.2.3.4\r\nSession: 12345678 ; timeout = 30\r\n",
  "RTSP/1.0 200 OK\r\nCSeq: 6\r\nRange: npt=now-\r\nRTP-Info: url=rtsp://10.0.0.5/cam/stream=0;seq=32768;rtptime=12345\r\nSession: I7NYVtRv66BBMgrg\r\n",
  "GET_PARAMETER rtsp://10.0.0.5/cam RTSP/1.0\r\nCSeq: 7\r\nSession: I7NYVtRv66BBMgrg\r\n",
];

function rtspSeeds(): Record<string, Buffer[]> {
  const described = (sdp: string): string =>
    `RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Type: application/sdp\r\nContent-Base: rtsp://10.0.0.5/cam/\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`;
  const packets = overRtp(Array.from({ length: 12 }, (_, i) => [Buffer.alloc(300, 0x41), Buffer.alloc(40 + i, 0x65)]));
  const interleaved = packets.map((packet, i) =>
    Buffer.concat([Buffer.of(0x24, i % 5 === 4 ? 1 : 0, packet.length >> 8, packet.length & 255), packet]),
  );
  const messages = [
    ...HEADS.map((head) => Buffer.from(`${head}\r\n`)),
    ...SDPS.map((sdp) => Buffer.from(described(sdp))),
  ];
  return {
    rtsp: [...messages, ...interleaved, first(messages, 0), Buffer.concat(interleaved)],
    "rtsp-text": HEADS.map((head) => Buffer.from(head)),
    sdp: SDPS.map((one) => Buffer.from(one)),
  };
}

const info = (code: string, level = "status"): Map<string, string> =>
  new Map(Object.entries({ level, code, description: "Playing and resetting cam1." }));
const RESULTS = [
  [
    "_result",
    1,
    new Map<string, string | number>([
      ["fmsVer", "FMS/3,0,1,123"],
      ["capabilities", 31],
    ]),
    info("NetConnection.Connect.Success"),
  ],
  ["_result", 2, null, 1],
  ["onStatus", 0, null, info("NetStream.Play.Reset")],
  ["onStatus", 0, null, info("NetStream.Play.Start")],
  ["|RtmpSampleAccess", true, true],
  [
    "onMetaData",
    new Map<string, number | string>([
      ["width", 640],
      ["height", 360],
      ["videocodecid", 7],
      ["encoder", "Lavf59"],
    ]),
  ],
  ["_error", 4, null, info("NetStream.Play.StreamNotFound", "error")],
  ["onStatus", 0, null, [1, [2, [3, undefined]], new Map([["a", new Map([["b", false]])]])]],
] as const;

const amfSeeds = (): Buffer[] => [
  ...RESULTS.map((values) => writeAmf([...values])),
  // an ECMA array, a date, a long string, AMF3
  Buffer.from("0800000002000577696474680040840000000000000006686569676874004076800000000000000009", "hex"),
  Buffer.from("0b4278d4b4f1c8000000000c0000000361626311010203", "hex"),
];

function rtmpSeeds(flv: Buffer, hevcSets: readonly Buffer[], hevc: readonly ClipUnit[]): Buffer[] {
  const message = (type: number, body: Uint8Array, lane: number, stamp = 0, chunk = 128): Buffer =>
    writeMessage({ lane, type, stream: 1, stamp }, body, chunk);
  const uint32 = (value: number): Buffer =>
    Buffer.of(value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255);
  const begin = [
    message(MESSAGE.windowSize, uint32(5_000_000), 2),
    message(MESSAGE.peerBandwidth, Buffer.concat([uint32(5_000_000), Buffer.of(2)]), 2),
    ...RESULTS.slice(0, 6).map((values) => message(MESSAGE.command, writeAmf([...values]), 3)),
    message(MESSAGE.userControl, Buffer.concat([Buffer.of(0, 6), uint32(77)]), 2),
    message(MESSAGE.chunkSize, uint32(4_096), 2),
  ];
  const media = flvTags(flv).map(({ type, stamp, body }) => message(type, body, type === 9 ? 6 : 4, stamp, 4_096));
  const enhanced = [
    Buffer.concat([Buffer.from("\x90hvc1", "latin1"), hevcRecord(hevcSets)]),
    ...hevc
      .slice(0, 6)
      .map(({ nals, key }) => Buffer.concat([Buffer.of(key ? 0x93 : 0xa3), Buffer.from("hvc1"), sized(nals)])),
  ].map((body, i) => message(MESSAGE.video, body, 6, 16_777_200 + 40 * i, 4_096));
  const tags = flvTags(flv)
    .slice(2, 6)
    .map(({ type, stamp, body }) => flvTag(type, stamp, body));
  const aggregate = message(MESSAGE.aggregate, Buffer.concat(tags), 6, 4_000, 4_096);
  return [...begin, ...media.slice(0, 60), aggregate, ...enhanced];
}

function flvTags(flv: Buffer): { type: number; stamp: number; body: Buffer }[] {
  const tags: { type: number; stamp: number; body: Buffer }[] = [];
  for (let at = 13; at + 11 < flv.length; ) {
    const length = flv.readUIntBE(at + 1, 3);
    tags.push({ type: flv[at] ?? 0, stamp: flv.readUIntBE(at + 4, 3), body: flv.subarray(at + 11, at + 11 + length) });
    at += 11 + length + 4;
  }
  return tags;
}

const PLAYLISTS = [
  "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-MEDIA-SEQUENCE:41\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.000,\ncam1-41.ts\n#EXTINF:2.000,\ncam1-42.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:2.040,\ncam1-43.ts\n",
  "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-MEDIA-SEQUENCE:43\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.000,\ncam1-43.ts\n#EXTINF:2.000,\ncam1-44.ts\n#EXTINF:2.040,\ncam1-45.ts\n",
  '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360,CODECS="avc1.42c01e,mp4a.40.2"\nlow/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"\naudio.m3u8\n',
  '#EXTM3U\r\n#EXT-X-TARGETDURATION:6\r\n#EXT-X-MAP:URI="init.mp4",BYTERANGE="720@0"\r\n#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x00000000000000000000000000000001\r\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T09:00:00.000+08:00\r\n#EXTINF:6,title\r\n#EXT-X-BYTERANGE:1000@500\r\none.m4s\r\n#EXT-X-GAP\r\n#EXTINF:6,\r\ntwo.m4s\r\n#EXT-X-ENDLIST\r\n',
];

const SIPS = [
  "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;rport=5060;branch=z9hG4bK1234;received=10.0.0.9\r\nFrom: <sip:34020000001320000001@3402000000>;tag=1\r\nTo: <sip:34020000002000000001@3402000000>;tag=2\r\nCall-ID: abc@10.0.0.9\r\nCSeq: 20 MESSAGE\r\nDate: 2026-11-22T09:00:00.000\r\nContent-Length: 0\r\n\r\n",
  'SIP/2.0 401 Unauthorized\r\nv: SIP/2.0/TCP 10.0.0.9:5060;branch=z9hG4bK77\r\ni: abc\r\nCSeq: 21 MESSAGE\r\nWWW-Authenticate: Digest realm="3402000000",\r\n nonce="6fe9ba44a76be22a", algorithm=MD5, qop="auth"\r\nl: 4\r\n\r\nbody',
  "OPTIONS sip:34020000001320000001@10.0.0.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
];

const FORWARDERS = [
  '<?xml version="1.0" encoding="utf-8" ?>\n<rtmp><nginx_version>1.22.1</nginx_version><server><application><name>live</name><live>\n<stream><name>cam1</name><time>3830</time><bw_in>0</bw_in><bytes_in>126240</bytes_in><bytes_out>16299</bytes_out><bw_video>0</bw_video>\n<client><id>1</id><address>127.0.0.1</address><publishing/><active/></client><meta><video><width>320</width></video></meta><nclients>2</nclients><publishing/><active/></stream>\n<stream><name>a&amp;b &#22533;</name><nclients>1</nclients></stream></live></application></server></rtmp>\n',
  '{"code":0,"streams":[{"name":"cam1","app":"live","clients":3,"frames":12345,"send_bytes":67890123,"recv_bytes":12345678,"publish":{"active":true,"cid":"w"},"video":{"codec":"H264","width":768}},\n{"name":"cam2","app":"live","publish":{"active":false}}]}',
  '{"code":0,"data":[{"app":"live","stream":"cam1","schema":"rtmp","aliveSecond":12,"bytesSpeed":1024,"totalBytes":99,"totalReaderCount":2,"originType":1,\n"tracks":[{"codec_type":0,"frames":1119,"key_frames":21,"fps":25.0,"gop_size":50,"loss":-1},{"codec_type":1,"frames":3}]}]}',
  '{"name":"cam1","ready":true,"online":true,"bytesReceived":1234,"inboundBytes":1234,"inboundFramesInError":0,"tracks":["H264"],"readers":[{"type":"rtspSession","id":"1"}],"source":{"type":"rtmpConn","id":"2"}}',
];

const COUNTERS = [
  '{"sid":862613521,"timepoint":"2026-11-22T09:00:00.000000+0000","time":1020,"window":{"flow":8192,"congestion":8192,"flight":0},"link":{"rtt":0.2,"bandwidth":60.0,"maxBandwidth":1000.0},"send":{"packets":0,"packetsLost":0,"bytes":0,"mbitRate":0},"recv":{"packets":100,"packetsLost":1,"packetsDropped":0,"packetsRetransmitted":2,"bytes":131600,"mbitRate":2.1}}\n',
  "ESTAB 0 0 127.0.0.1:1935 127.0.0.1:41234\n\t cubic wscale:7,7 rto:204 rtt:0.05/0.02 ato:40 mss:32768 bytes_sent:3501 bytes_acked:3501 bytes_received:1843231 segs_out:100 lastsnd:68 lastrcv:4\nESTAB 0 12 [::1]:1935 [::1]:41236\n\t cubic bytes_sent:99\n",
];

function texts(): Record<string, Buffer[]> {
  const all = (words: readonly string[]): Buffer[] => words.map((text) => Buffer.from(text));
  return {
    hls: [...all(PLAYLISTS), gzipSync(first(all(PLAYLISTS), 0)), gzipSync(Buffer.alloc(1_200_000, 35))],
    sip: all(SIPS),
    forwarders: all(FORWARDERS),
    "srt-and-sockets": all(COUNTERS),
  };
}
