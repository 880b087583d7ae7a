import { NalBits } from "./bits.ts";

const RECOVERY_POINT = 6;

/**
 * recovery_frame_cnt (H.264 §D.1.8) or recovery_poc_cnt (H.265 §D.2.8, not below 0) of the recovery point in a SEI NAL unit
 * whose header has `header` bytes, of which only the beginning may be here; -1 where there is none.
 */
export function recoveryPoint(nal: Uint8Array, header: number): number {
  let at = header;
  while (at + 2 < nal.length) {
    let type = 0;
    let size = 0;
    for (; nal[at] === 0xff; at += 1) type += 255;
    type += nal[at++] ?? 0;
    for (; nal[at] === 0xff; at += 1) size += 255;
    size += nal[at++] ?? 0;
    if (type === RECOVERY_POINT && at < nal.length) {
      const bits = new NalBits(nal, at);
      const count = header === 2 ? Math.max(0, bits.se()) : bits.ue();
      return bits.over ? -1 : count;
    }
    at += size;
  }
  return -1;
}
