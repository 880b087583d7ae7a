/** Writes sequence parameter sets field by field, as the syntax tables of H.264 §7.3.2.1.1 and H.265 §7.3.2.2 have them. */

export class BitWriter {
  #bits: number[] = [];

  u(count: number, value: number): this {
    for (let i = count - 1; i >= 0; i -= 1) this.#bits.push(Math.floor(value / 2 ** i) % 2);
    return this;
  }
  flag(value: boolean): this {
    return this.u(1, value ? 1 : 0);
  }
  ue(...values: number[]): this {
    for (const value of values) {
      const length = Math.floor(Math.log2(value + 1));
      this.u(length, 0).u(length + 1, value + 1);
    }
    return this;
  }
  se(...values: number[]): this {
    return this.ue(...values.map((value) => (value > 0 ? value * 2 - 1 : -value * 2)));
  }
  /** A NAL unit: header, what was written, trailing bits; with emulation prevention. */
  nal(header: readonly number[]): Buffer {
    const bits = [...this.#bits, 1];
    while (bits.length % 8 !== 0) bits.push(0);
    const out = [...header];
    for (let at = 0; at < bits.length; at += 8) {
      const byte = bits.slice(at, at + 8).reduce((sum, bit) => sum * 2 + bit, 0);
      if (byte <= 3 && out.at(-1) === 0 && out.at(-2) === 0 && out.length - 2 >= header.length) out.push(3);
      out.push(byte);
    }
    return Buffer.from(out);
  }
}

export interface SpsWish {
  id: number;
  /** chroma_format_idc. */
  chroma: number;
  profile: number;
  level: number;
  /** H.264: macroblocks, and of a field where fields; H.265: eights. */
  columns: number;
  rows: number;
  crop: readonly [left: number, right: number, top: number, bottom: number] | undefined;
  fields: boolean;
  /** Lists of H.264 as deltas, undefined: not present; of H.265 whether they are predicted. */
  scaling: readonly (readonly number[] | undefined)[];
  scaled: boolean;
  orderType: number;
  offsets: readonly number[];
  /** Sets of H.265: distances back and on, or flags that predict it of the one before. */
  sets: readonly { past: readonly number[]; future: readonly number[]; predicted: readonly number[] | undefined }[];
  longTerm: readonly number[] | undefined;
  pcm: boolean;
  subLayers: number;
  vui: { aspect: number | undefined; signal: number; timing: readonly [units: number, scale: number] | undefined };
}

export function spsH264(wish: SpsWish): Buffer {
  const bits = new BitWriter().u(8, wish.profile).u(8, 0).u(8, wish.level).ue(wish.id);
  if (wish.profile >= 100) {
    bits.ue(wish.chroma);
    if (wish.chroma === 3) bits.u(1, 0);
    bits.ue(2, 1).u(1, 0).flag(wish.scaled);
    for (let i = 0; wish.scaled && i < (wish.chroma === 3 ? 12 : 8); i += 1)
      scalingList(bits, wish.scaling[i], i < 6 ? 16 : 64);
  }
  bits.ue(4, wish.orderType);
  if (wish.orderType === 0) bits.ue(6);
  if (wish.orderType === 1)
    bits
      .u(1, 1)
      .se(-3, 70)
      .ue(wish.offsets.length)
      .se(...wish.offsets);
  bits
    .ue(3)
    .u(1, 0)
    .ue(wish.columns - 1, wish.rows - 1);
  bits.flag(!wish.fields);
  if (wish.fields) bits.u(1, 1);
  bits.u(1, 1).flag(wish.crop !== undefined);
  if (wish.crop !== undefined) bits.ue(...wish.crop);
  vui(bits.u(1, 1), wish.vui);
  return timing(bits, wish.vui.timing, 2).u(6, 0b101101).nal([0x67]);
}

/** Ends as soon as a value would be 0 (§7.3.2.1.1.1), as its reader must see. */
function scalingList(bits: BitWriter, deltas: readonly number[] | undefined, size: number): void {
  bits.flag(deltas !== undefined);
  let last = 8;
  for (let i = 0; deltas !== undefined && i < size; i += 1) {
    const delta = deltas[i % deltas.length] ?? 0;
    bits.se(delta);
    last = (last + delta + 256) % 256;
    if (last === 0) return;
  }
}

export function spsH265(wish: SpsWish): Buffer {
  const bits = new BitWriter().u(4, 1).u(3, wish.subLayers).u(1, 1);
  bits.u(3, 0).u(5, wish.profile).u(32, 0x60000000).u(32, 0x90000000).u(16, 0).u(8, wish.level);
  for (let i = 0; i < wish.subLayers; i += 1) bits.u(2, i % 4);
  for (let i = wish.subLayers; wish.subLayers > 0 && i < 8; i += 1) bits.u(2, 0);
  for (let i = 0; i < wish.subLayers; i += 1) bits.u(i % 4 > 1 ? 88 : 0, 1).u(i % 2 === 1 ? 8 : 0, 90);
  bits.ue(wish.id, wish.chroma);
  if (wish.chroma === 3) bits.u(1, 0);
  bits.ue(wish.columns * 8, wish.rows * 8).flag(wish.crop !== undefined);
  if (wish.crop !== undefined) bits.ue(...wish.crop);
  bits.ue(2, 2, 4).flag(wish.fields);
  for (let i = wish.fields ? 0 : wish.subLayers; i <= wish.subLayers; i += 1) bits.ue(4, 2, 5);
  bits.ue(0, 3, 0, 3, 1, 2).flag(wish.scaled);
  if (wish.scaled) scalingH265(bits, wish.scaling);
  bits.u(2, 1).flag(wish.pcm);
  if (wish.pcm) bits.u(8, 0x77).ue(0, 2).u(1, 1);
  bits.ue(wish.sets.length);
  shortTermSets(bits, wish.sets);
  bits.flag(wish.longTerm !== undefined);
  if (wish.longTerm !== undefined) bits.ue(wish.longTerm.length);
  for (const order of wish.longTerm ?? []) bits.u(8, order).u(1, 1);
  vui(bits.u(2, 2).u(1, 1), wish.vui);
  bits.u(3, 0).flag(wish.crop !== undefined);
  if (wish.crop !== undefined) bits.ue(...wish.crop);
  return timing(bits, wish.vui.timing, 1).u(4, 0).nal([0x42, 1]);
}

function scalingH265(bits: BitWriter, lists: SpsWish["scaling"]): void {
  bits.u(1, 1);
  for (let size = 0; size < 4; size += 1) {
    for (let matrix = 0; matrix < 6; matrix += size === 3 ? 3 : 1) {
      const list = lists[(size * 6 + matrix) % lists.length];
      bits.flag(list !== undefined);
      if (list === undefined) bits.ue(matrix === 0 ? 0 : 1);
      else {
        if (size > 1) bits.se(-7);
        for (let i = 0; i < (size === 0 ? 16 : 64); i += 1) bits.se(list[i % list.length] ?? 0);
      }
    }
  }
}

/** Sets as the decoder derives them (7-61, 7-62), so that flags are written for as many pictures as there are. */
function shortTermSets(bits: BitWriter, sets: SpsWish["sets"]): void {
  let before: number[] = [];
  for (const [i, { past, future, predicted }] of sets.entries()) {
    if (i > 0) bits.flag(predicted !== undefined);
    if (i > 0 && predicted !== undefined) {
      const shift = predicted[0] ?? 1;
      bits.flag(shift < 0).ue(Math.abs(shift) - 1);
      const distances = [...before, 0].filter((_, j) => {
        const how = Math.abs(predicted[(j + 1) % predicted.length] ?? 0) % 3;
        bits.flag(how === 0);
        if (how !== 0) bits.flag(how === 1);
        return how < 2;
      });
      const shifted = distances.map((distance) => distance + shift).toSorted((a, b) => Math.abs(a) - Math.abs(b));
      before = [...shifted.filter((distance) => distance < 0), ...shifted.filter((distance) => distance > 0)];
    } else {
      bits.ue(past.length, future.length);
      for (const step of [...past, ...future]) bits.ue(step).u(1, 1);
      const sum = (steps: readonly number[], sign: number): number[] =>
        steps.map((_, at) => sign * steps.slice(0, at + 1).reduce((all, step) => all + step + 1, 0));
      before = [...sum(past, -1), ...sum(future, 1)];
    }
  }
}

function vui(bits: BitWriter, { aspect, signal }: SpsWish["vui"]): void {
  bits.flag(aspect !== undefined);
  if (aspect !== undefined) bits.u(8, aspect).u(aspect === 255 ? 32 : 0, 0x00010001);
  bits.flag(signal % 2 === 1);
  if (signal % 2 === 1) bits.u(1, 1);
  bits.flag(signal > 1);
  if (signal > 1)
    bits
      .u(4, 11)
      .flag(signal > 2)
      .u(signal > 2 ? 24 : 0, 0x010101);
  bits.flag(signal > 3);
  if (signal > 3) bits.ue(0, 1);
}

/** `ticks`: of the clock, in a frame. */
function timing(bits: BitWriter, told: SpsWish["vui"]["timing"], ticks: number): BitWriter {
  bits.flag(told !== undefined);
  return told === undefined ? bits : bits.u(32, told[0]).u(32, told[1] * ticks);
}
