import type { Title } from "../check.ts";
import type { Hop, Reason } from "./conclusion.ts";

/** Reasons of the signalling with a GB/T 28181 platform; a subject of its own, apart from the media. */
export const SIP_TITLES = {
  "sip-late": { zh: "GB/T 28181 心跳超时", en: "GB/T 28181 keepalive is late" },
  "sip-down": { zh: "GB/T 28181 平台离线", en: "GB/T 28181 platform does not answer keepalives" },
  "sip-refused": { zh: "GB/T 28181 心跳被平台拒绝", en: "GB/T 28181 platform refuses keepalives" },
} as const satisfies Readonly<Record<string, Title>>;
export type SipReason = keyof typeof SIP_TITLES;

/** What is wrong with a stream, in the words of the field. */
export const TITLES = {
  auth: { zh: "视频流认证失败", en: "Stream refuses user or password" },
  refused: { zh: "视频服务端口拒绝连接", en: "Stream server refuses the connection" },
  unreachable: { zh: "视频服务主机无法到达", en: "Stream server out of reach" },
  hung: { zh: "视频服务无响应", en: "Stream server hangs" },
  missing: { zh: "视频流不存在或未推流", en: "Stream is missing or not published" },
  protocol: { zh: "视频流协议异常", en: "Stream breaks its protocol" },
  ended: { zh: "视频流被对端中断", en: "Stream was ended by the other side" },
  no_media: { zh: "视频流无媒体数据", en: "Stream brings no media" },
  no_video: { zh: "视频流无视频数据", en: "Stream brings no video" },
  codec: { zh: "视频编码格式不符", en: "Wrong video codec" },
  resolution: { zh: "视频分辨率不符", en: "Wrong picture size" },
  timestamp: { zh: "视频时间戳异常", en: "Video timestamps are wrong" },
  loss: { zh: "视频丢包", en: "Video packets are lost" },
  keyframe: { zh: "视频缺少关键帧", en: "Video has no keyframes" },
  black: { zh: "视频黑屏", en: "Black picture" },
  frozen: { zh: "视频画面冻结", en: "Frozen picture" },
  suspect: { zh: "视频画面疑似冻结", en: "Picture may be frozen" },
  bitrate: { zh: "视频码率过低", en: "Video bit rate too low" },
  fps: { zh: "视频帧率过低", en: "Video frame rate too low" },
  no_audio: { zh: "视频流无音频", en: "Stream brings no audio" },
  clock: { zh: "视频源时钟偏差", en: "Clock of the stream's source is wrong" },
} as const satisfies Readonly<Record<Reason, Title>>;

const HOP_NAMES: Readonly<Record<Hop, Title>> = {
  capture: { zh: "采集", en: "capture" },
  encoder: { zh: "编码器", en: "encoder" },
  forwarder: { zh: "转发", en: "forwarder" },
  network: { zh: "网络", en: "network" },
  platform: { zh: "平台", en: "platform" },
};

/** The alarm's title with the hop in it: 视频流无媒体数据（编码器）. */
export function titleAt(reason: Reason | SipReason, hop: Hop | undefined): Title {
  const title: Title = { ...TITLES, ...SIP_TITLES }[reason];
  if (hop === undefined) return title;
  return { zh: `${title.zh}（${HOP_NAMES[hop].zh}）`, en: `${title.en} (${HOP_NAMES[hop].en})` };
}
