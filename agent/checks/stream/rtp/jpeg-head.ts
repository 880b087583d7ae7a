/** The head of a JPEG file, which RFC 2435 leaves out of the packets: what a decoder needs before the scan data. */
export interface JpegHead {
  /** 0: 4:2:2, 1: 4:2:0. */
  type: number;
  width: number;
  height: number;
  /** Quantisation tables of 64 bytes in zigzag order: one for all, or luminance and chrominance. */
  tables: Uint8Array;
  /** MCUs between restart markers, 0: without. */
  restart: number;
}

/** ITU-T T.81 Annex K.1: quantisation of luminance and chrominance at quality 50, row by row. */
const LUMINANCE = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
  87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
  72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE = [
  17,
  18,
  24,
  47,
  99,
  99,
  99,
  99,
  18,
  21,
  26,
  66,
  99,
  99,
  99,
  99,
  24,
  26,
  56,
  99,
  99,
  99,
  99,
  99,
  47,
  66,
  99,
  99,
  99,
  99,
  99,
  99,
  ...Array<number>(32).fill(99),
];

/** Annex K.3: how many codes there are of each length from 1 to 16, then their values. */
const DC_LUMINANCE = "00010501010101010100000000000000" + "000102030405060708090a0b";
const DC_CHROMINANCE = "00030101010101010101010000000000" + "000102030405060708090a0b";
const AC_LUMINANCE =
  "0002010303020403050504040000017d" +
  "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a" +
  "434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aa" +
  "b2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa";
const AC_CHROMINANCE =
  "00020102040403040705040400010277" +
  "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a" +
  "434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aa" +
  "b2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa";

/** The tables of Q 1 to 99 (RFC 2435 §4.2, Appendix A), luminance and chrominance in zigzag order; undefined for another Q. */
export function tablesOfQuality(quality: number): Uint8Array | undefined {
  if (quality < 1 || quality > 99) return undefined;
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - quality * 2;
  const order = zigzag();
  const scaled = (table: readonly number[]): number[] =>
    order.map((place) => Math.min(255, Math.max(1, Math.floor(((table[place] ?? 0) * scale + 50) / 100))));
  return Uint8Array.from([...scaled(LUMINANCE), ...scaled(CHROMINANCE)]);
}

/** Where each coefficient of the zigzag stands row by row: diagonals, by turns up and down. */
function zigzag(): number[] {
  const places = Array.from({ length: 64 }, (_, place) => ({ place, x: place % 8, y: place >> 3 }));
  const along = ({ x, y }: { x: number; y: number }): number => ((x + y) % 2 === 0 ? x : y);
  return places.toSorted((a, b) => a.x + a.y - b.x - b.y || along(a) - along(b)).map(({ place }) => place);
}

/** The head of a baseline JPEG (T.81 Annex B), up to where its scan data begins. */
export function buildJpegHead({ type, width, height, tables, restart }: JpegHead): Buffer {
  const two = tables.length >= 128;
  const quantisation = [0, ...(two ? [1] : [])].map((id) =>
    segment(0xdb, [id, ...tables.subarray(id * 64, id * 64 + 64)]),
  );
  const colour = two ? 1 : 0;
  const frame = [8, height >> 8, height & 0xff, width >> 8, width & 0xff, 3];
  const components = [1, type === 0 ? 0x21 : 0x22, 0, 2, 0x11, colour, 3, 0x11, colour];
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    ...quantisation,
    ...(restart > 0 ? [segment(0xdd, [restart >> 8, restart & 0xff])] : []),
    segment(0xc0, [...frame, ...components]),
    huffman(0x00, DC_LUMINANCE),
    huffman(0x10, AC_LUMINANCE),
    huffman(0x01, DC_CHROMINANCE),
    huffman(0x11, AC_CHROMINANCE),
    segment(0xda, [3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]),
  ]);
}

const huffman = (id: number, table: string): Buffer => segment(0xc4, [id, ...Buffer.from(table, "hex")]);

const segment = (marker: number, content: readonly number[]): Buffer => {
  const length = content.length + 2;
  return Buffer.from([0xff, marker, length >> 8, length & 0xff, ...content]);
};
