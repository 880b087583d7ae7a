import type { NalBits } from "./bits.ts";

/** The parts of an H.265 SPS that lie between the picture's size and its frame rate, and must be read to get there. */

/** scaling_list_data, §7.3.4. */
export function skipScalingLists(bits: NalBits): void {
  for (let size = 0; size < 4; size += 1) {
    for (let matrix = 0; matrix < 6 && !bits.over; matrix += size === 3 ? 3 : 1) {
      if (!bits.flag()) {
        bits.ue();
        continue;
      }
      if (size > 1) bits.se();
      for (let i = Math.min(64, 1 << (4 + (size << 1))); i > 0; i -= 1) bits.se();
    }
  }
}

/** num_short_term_ref_pic_sets and the sets, §7.3.7: one may be told by its difference to the one before. */
export function skipShortTermSets(bits: NalBits): void {
  const count = bits.ue();
  if (count > 64) bits.over = true;
  let before: number[] = [];
  for (let i = 0; i < count && !bits.over; i += 1) {
    before = i > 0 && bits.flag() ? predictedSet(bits, before) : writtenSet(bits);
  }
}

/** Distances in picture order, the past ones first, each side from near to far (§7.4.8): of a set written out. */
function writtenSet(bits: NalBits): number[] {
  const past = bits.ue();
  const future = bits.ue();
  if (past > 16 || future > 16) bits.over = true;
  const set: number[] = [];
  for (const [count, sign] of [[past, -1] as const, [future, 1] as const]) {
    let distance = 0;
    for (let i = 0; i < count && !bits.over; i += 1) {
      distance += sign * (bits.ue() + 1);
      bits.skip(1);
      set.push(distance);
    }
  }
  return set;
}

/** Of a set told by its difference (formulas 7-61 and 7-62). */
function predictedSet(bits: NalBits, before: readonly number[]): number[] {
  const negative = bits.flag();
  const shift = (bits.ue() + 1) * (negative ? -1 : 1);
  const set: number[] = [];
  for (const distance of [...before, 0]) {
    const used = bits.flag();
    const kept = used || bits.flag();
    if (kept && distance + shift !== 0) set.push(distance + shift);
  }
  const past = set.filter((distance) => distance < 0).toSorted((a, b) => b - a);
  return [...past, ...set.filter((distance) => distance > 0).toSorted((a, b) => a - b)].slice(0, 16);
}

/** long_term_ref_pics: each picture by its order, in `orderBits` bits. */
export function skipLongTerm(bits: NalBits, orderBits: number): void {
  if (!bits.flag()) return;
  const count = bits.ue();
  if (count > 32 || orderBits > 16) bits.over = true;
  for (let i = 0; i < count && !bits.over; i += 1) bits.skip(orderBits + 1);
}
