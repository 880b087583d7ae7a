/** Access units as an encoder makes them, of no picture at all but with real parameter sets: for tests of what finds them. */

export interface UnitWish {
  key: boolean;
  /** Bytes of each slice, header included. */
  slices: readonly number[];
  delimiter: boolean;
  /** Bytes of an SEI of the kind that means nothing to us; 0: none. */
  sei: number;
}

export type Codec = "H264" | "H265";

/** 640 × 360 at 25 frames a second, of x264 and of x265. */
export const SETS: Readonly<Record<Codec, readonly Buffer[]>> = {
  H264: ["6742c01eda0280bfe5c044000003000400000300c83c58ba80", "68ce0fc8"].map((hex) => Buffer.from(hex, "hex")),
  H265: [
    "40010c01ffff01600000030090000003000003003f959409",
    "42010101600000030090000003000003003fa005020171f2e595952930bc05a02000000300200000030321",
    "4401c073c189",
  ].map((hex) => Buffer.from(hex, "hex")),
};

/** The NAL units of one access unit; `salt` makes its bytes its own. */
export function unitOf(codec: Codec, wish: UnitWish, salt: number): Buffer[] {
  const nals: Buffer[] = [];
  const two = codec === "H265";
  if (wish.delimiter) nals.push(Buffer.from(two ? [0x46, 0x01, 0x50] : [0x09, 0xf0]));
  if (wish.key) nals.push(...SETS[codec]);
  // user_data_unregistered
  if (wish.sei > 0)
    nals.push(
      Buffer.concat([
        Buffer.from(two ? [0x4e, 1] : [6]),
        Buffer.from([5, wish.sei]),
        filler(wish.sei, salt),
        Buffer.from([0x80]),
      ]),
    );
  wish.slices.forEach((size, i) => {
    const header = two ? [wish.key ? 20 << 1 : 1 << 1, 1] : [wish.key ? 0x65 : 0x41];
    const body = filler(Math.max(1, size - header.length), salt + i);
    body[0] = i === 0 ? 0x88 : 0x48;
    nals.push(Buffer.concat([Buffer.from(header), body]));
  });
  return nals;
}

export const sizeOf = (nals: readonly Buffer[]): number => nals.reduce((sum, nal) => sum + nal.length, 0);

/** A byte stream with start codes of three and four bytes by turns, and zeros after some NAL units. */
export const annexB = (nals: readonly Buffer[]): Buffer =>
  Buffer.concat(
    nals.flatMap((nal, i) => [
      Buffer.from(i % 2 === 0 ? [0, 0, 0, 1] : [0, 0, 1]),
      nal,
      Buffer.alloc(i % 3 === 1 ? 2 : 0),
    ]),
  );

/** The NAL units of a byte stream: what lies between start codes, zeros before them taken away. */
export function splitAnnexB(stream: Buffer): Buffer[] {
  const code = Buffer.from([0, 0, 1]);
  const nals: Buffer[] = [];
  for (let at = stream.indexOf(code); at >= 0; ) {
    const next = stream.indexOf(code, at + 3);
    let end = next < 0 ? stream.length : next;
    while (stream[end - 1] === 0) end -= 1;
    nals.push(stream.subarray(at + 3, end));
    at = next;
  }
  return nals;
}

/** Each with its length before it. */
export const lengthPrefixed = (nals: readonly Buffer[], lengthBytes: number): Buffer =>
  Buffer.concat(
    nals.flatMap((nal) => {
      const length = Buffer.alloc(lengthBytes);
      length.writeUIntBE(nal.length, 0, lengthBytes);
      return [length, nal];
    }),
  );

/** No two zeros in a row, and none at the end: what an encoder's emulation prevention sees to. */
function filler(size: number, salt: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i += 1) bytes[i] = i % 7 === 3 && i < size - 1 ? 0 : 1 + ((i * 31 + salt * 17) % 255);
  return bytes;
}
