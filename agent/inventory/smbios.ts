import type { InventoryDocument } from "../../protocol/inventory.ts";
import { tidy } from "../inventory.ts";
import { known } from "./look.ts";

type MemoryModule = InventoryDocument["memory_modules"][number];

const KIBI = 1_024;
const MEBI = 1_048_576;

/**
 * One "Memory Device" structure (DMTF DSP0134 §7.18, type 17) as the kernel gives it in /sys/firmware/dmi/entries/17-…/raw;
 * undefined for an empty slot and for bytes that are no such structure.
 */
export function parseMemoryModule(raw: Uint8Array): MemoryModule | undefined {
  const length = raw[1] ?? 0;
  if (raw[0] !== 17 || length < 0x15 || raw.length < length) return undefined;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const bytes = sizeOf(view, length);
  if (bytes === 0) return undefined;
  const strings = stringsAfter(raw.subarray(length));
  const word = (offset: number): string | undefined =>
    offset < length ? tidy(strings[(raw[offset] ?? 0) - 1]) : undefined;
  return known({
    slot: word(0x10) ?? word(0x11) ?? "DIMM",
    bytes,
    vendor: word(0x17),
    part: word(0x1a),
    serial: word(0x18),
  });
}

/** 0: nobody sits here; undefined: unknown. 0x7fff says that the size is the double word at 0x1c, in MiB. */
function sizeOf(view: DataView, length: number): number | undefined {
  const size = view.getUint16(0x0c, true);
  if (size === 0xffff) return undefined;
  if (size === 0x7fff) return length >= 0x20 ? (view.getUint32(0x1c, true) & 0x7fffffff) * MEBI : undefined;
  return (size & 0x8000) === 0 ? size * MEBI : (size & 0x7fff) * KIBI;
}

/** The texts behind a structure, each ended by a NUL. */
const stringsAfter = (raw: Uint8Array): string[] => Buffer.from(raw).toString("latin1").split("\0");
