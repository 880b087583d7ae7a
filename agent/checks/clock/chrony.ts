/** chronyd's answer to `tracking`, asked as chronyc does it (candm.h, protocol version 6). Pure. */

/** How chronyd stands. */
export interface Tracking {
  /** 3: not synchronised. */
  leap: number;
  stratum: number;
  /** It serves its own clock (`local` in its config) and has the time from nowhere. */
  local: boolean;
  /** Where it has the time from: an address, or the letters of a reference clock. */
  reference: string;
  /** How far the system clock is from true time by its reckoning, ms; positive: fast. */
  offsetMs: number;
  /** By how much it corrects the rate of the clock, ppm. */
  frequencyPpm: number;
  /** When it last heard of the time, epoch ms. */
  heardMs: number;
}

const VERSION = 6;
const REQUEST = 1;
const REPLY = 2;
const TRACKING = 33;
const RPY_TRACKING = 5;
/** A request is as long as its reply, so that nobody can be flooded through chronyd. */
const REPLY_BYTES = 28 + 76;
const DATA = 28;
/** 127.127.1.1 */
const LOCAL = 0x7f_7f_01_01;
const FAMILY = { none: 0, v4: 1, v6: 2 } as const;

export function trackingRequest(sequence: number): Uint8Array {
  const bytes = new Uint8Array(REPLY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, REQUEST);
  view.setUint16(4, TRACKING);
  view.setUint32(8, sequence);
  return bytes;
}

/** Reads the reply to request `sequence`; undefined for anything else. */
export function readTracking(bytes: Uint8Array, sequence: number): Tracking | undefined {
  if (bytes.length < REPLY_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isReply = view.getUint8(0) === VERSION && view.getUint8(1) === REPLY && view.getUint16(4) === TRACKING;
  if (!isReply || view.getUint16(6) !== RPY_TRACKING || view.getUint16(8) !== 0) return undefined;
  if (view.getUint32(16) !== sequence) return undefined;
  const seconds = view.getUint32(DATA + 28) * 2 ** 32 + view.getUint32(DATA + 32);
  return {
    local: view.getUint32(DATA) === LOCAL,
    reference: referenceOf(bytes.subarray(DATA, DATA + 24), view.getUint16(DATA + 20)),
    stratum: view.getUint16(DATA + 24),
    leap: view.getUint16(DATA + 26),
    heardMs: seconds * 1_000 + view.getUint32(DATA + 36) / 1e6,
    offsetMs: floatAt(view, DATA + 40) * -1_000, // chronyd tells what it is going to add
    frequencyPpm: floatAt(view, DATA + 52),
  };
}

/** Seven bits of exponent, twenty-five of coefficient, both signed (candm.h Float). */
function floatAt(view: DataView, at: number): number {
  const bits = view.getUint32(at);
  const exponent = (bits >> 25) - 25; // arithmetic shift: signed
  const coefficient = (bits << 7) >> 7;
  return coefficient * 2 ** exponent;
}

function referenceOf(bytes: Uint8Array, family: number): string {
  const address = bytes.subarray(4, 20);
  if (family === FAMILY.v4) return address.subarray(0, 4).join(".");
  if (family === FAMILY.v6) {
    const view = new DataView(address.buffer, address.byteOffset, 16);
    return Array.from({ length: 8 }, (_, i) => view.getUint16(2 * i).toString(16)).join(":");
  }
  return String.fromCharCode(...bytes.subarray(0, 4)).replace(/[^ -~]/g, "");
}
