/** Program tables of an MPEG transport stream (ISO/IEC 13818-1 §2.4.4): what is in it, and on which PIDs. */

/** One elementary stream as the program map names it. */
export interface PmtStream {
  pid: number;
  /** ISO/IEC 13818-1 Table 2-34. */
  type: number;
  /** format_identifier of its registration descriptor, "" without. */
  registration: string;
}

export interface Pmt {
  pcrPid: number;
  streams: readonly PmtStream[];
}

/** PAT and PMT sections have at most so many bytes (§2.4.4.5, §2.4.4.9). */
const MOST_SECTION_BYTES = 1024;
const MOST_STREAMS = 64;
const REGISTRATION = 0x05;
/** Descriptors that DVB uses for the codecs of stream type 6 (EN 300 468 §6). */
const DVB_CODECS: ReadonlyMap<number, string> = new Map([
  [0x6a, "AC-3"],
  [0x7a, "EAC3"],
]);

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

/** CRC-32/MPEG-2 (Annex A) over `bytes`: 0 over a whole section with its CRC_32. */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ byte] ?? 0);
  return crc >>> 0;
}

/** Puts the sections of one PID together, out of the payloads of its packets. */
export class Sections {
  readonly #bytes = Buffer.allocUnsafeSlow(MOST_SECTION_BYTES);
  /** -1 while none has begun. */
  #length = -1;
  #known = Buffer.alloc(0);

  /**
   * The next payload: `bytes` from `from` up to `to`; `starts` is its payload_unit_start_indicator. Returns a whole section
   * (valid till the next call) that differs from the last that was `accept`ed, "broken" where its CRC is wrong, or undefined.
   */
  take(bytes: Buffer, from: number, to: number, starts: boolean): Buffer | "broken" | undefined {
    if (!starts) return this.#length < 0 ? undefined : this.#add(bytes, from, to);
    const pointer = from + 1 + (bytes[from] ?? 0);
    if (from >= to || pointer > to) {
      this.#length = -1;
      return "broken";
    }
    const ended = this.#length > 0 ? this.#add(bytes, from + 1, pointer) : undefined;
    if (ended !== undefined && ended !== "broken") return ended; // the one that begins here comes again in a moment
    this.#length = 0;
    return this.#add(bytes, pointer, to);
  }

  /** What `take` returned was good: the same again is no news. */
  accept(section: Buffer): void {
    this.#known = Buffer.from(section);
  }

  /** Packets are missing. */
  gap(): void {
    this.#length = -1;
  }

  #add(bytes: Buffer, from: number, to: number): Buffer | "broken" | undefined {
    const count = Math.min(to - from, MOST_SECTION_BYTES - this.#length);
    bytes.copy(this.#bytes, this.#length, from, from + count);
    this.#length += count;
    if (this.#length < 3) return undefined;
    const whole = 3 + ((((this.#bytes[1] ?? 0) & 0x0f) << 8) | (this.#bytes[2] ?? 0));
    if (whole > MOST_SECTION_BYTES) {
      this.#length = -1;
      return "broken";
    }
    if (this.#length < whole) return undefined;
    this.#length = -1;
    const section = this.#bytes.subarray(0, whole);
    if (section.equals(this.#known)) return undefined;
    return whole < 12 || crc32(section) !== 0 ? "broken" : section;
  }
}

/** Whether it is a table of this kind that is valid now (current_next_indicator). */
const isTable = (section: Buffer, id: number): boolean => section[0] === id && ((section[5] ?? 0) & 1) === 1;

/** PID of the program map of the first program, and how many there are; undefined where it is no PAT or names none. */
export function readPat(section: Buffer): { pmtPid: number; program: number; programs: number } | undefined {
  if (!isTable(section, 0)) return undefined;
  let first: { pmtPid: number; program: number } | undefined;
  let programs = 0;
  for (let at = 8; at + 4 <= section.length - 4; at += 4) {
    const program = section.readUInt16BE(at);
    if (program === 0) continue; // the network's PID
    programs += 1;
    first ??= { pmtPid: section.readUInt16BE(at + 2) & 0x1fff, program };
  }
  return first === undefined ? undefined : { ...first, programs };
}

/** The map of this program; undefined where the section is another's, or its lengths do not fit. */
export function readPmt(section: Buffer, program: number): Pmt | undefined {
  if (!isTable(section, 2) || section.length < 16 || section.readUInt16BE(3) !== program) return undefined;
  const end = section.length - 4;
  const pcrPid = section.readUInt16BE(8) & 0x1fff;
  let at = 12 + (section.readUInt16BE(10) & 0x0fff);
  const streams: PmtStream[] = [];
  while (at + 5 <= end && streams.length < MOST_STREAMS) {
    const type = section[at] ?? 0;
    const pid = section.readUInt16BE(at + 1) & 0x1fff;
    const infoEnd = at + 5 + (section.readUInt16BE(at + 3) & 0x0fff);
    if (infoEnd > end) return undefined;
    streams.push({ pid, type, registration: registrationIn(section, at + 5, infoEnd) });
    at = infoEnd;
  }
  return { pcrPid, streams };
}

function registrationIn(section: Buffer, from: number, to: number): string {
  for (let at = from; at + 2 <= to; ) {
    const tag = section[at] ?? 0;
    const length = section[at + 1] ?? 0;
    if (tag === REGISTRATION && length >= 4 && at + 6 <= to) return section.toString("latin1", at + 2, at + 6);
    const dvb = DVB_CODECS.get(tag);
    if (dvb !== undefined) return dvb;
    at += 2 + length;
  }
  return "";
}
