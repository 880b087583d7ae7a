import { Failure } from "../../../../protocol/failure.ts";

/** A value of AMF0 (Adobe, AMF 0 specification, 2007). Of dates the number stays, of typed objects the properties. */
export type AmfValue = number | boolean | string | null | undefined | AmfObject | readonly AmfValue[];
export type AmfObject = ReadonlyMap<string, AmfValue>;

const NUMBER = 0;
const BOOLEAN = 1;
const STRING = 2;
const OBJECT = 3;
const NULL = 5;
const UNDEFINED = 6;
const REFERENCE = 7;
const ECMA_ARRAY = 8;
const OBJECT_END = 9;
const STRICT_ARRAY = 10;
const DATE = 11;
const LONG_STRING = 12;
const UNSUPPORTED = 13;
const XML = 15;
const TYPED_OBJECT = 16;

const MOST_DEPTH = 8;
const MOST_VALUES = 1000;

const broken = (what: string): Failure =>
  new Failure("STREAM_PROTOCOL", `what came is no RTMP: ${what} in a command`, { facts: { what } });

/**
 * The values of an AMF0 message, one after the other. At most 1000 values, 8 levels deep. Where AMF3 begins (marker 17) the
 * rest is left: no command says there what we must know. Throws Failure STREAM_PROTOCOL for what is cut short or unknown.
 */
export function readAmf(bytes: Uint8Array): AmfValue[] {
  return new AmfReader(bytes).all();
}

class AmfReader {
  readonly #bytes: Buffer;
  #at = 0;
  #count = 0;
  #amf3 = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  all(): AmfValue[] {
    const values: AmfValue[] = [];
    while (this.#at < this.#bytes.length && !this.#amf3) {
      const value = this.#value(0);
      if (!this.#amf3) values.push(value);
    }
    return values;
  }

  #value(depth: number): AmfValue {
    if (depth > MOST_DEPTH) throw broken("nesting");
    this.#count += 1;
    if (this.#count > MOST_VALUES) throw broken("too many values");
    const marker = this.#take(1)[0];
    switch (marker) {
      case NUMBER:
        return this.#take(8).readDoubleBE(0);
      case BOOLEAN:
        return this.#take(1)[0] !== 0;
      case STRING:
        return this.#text(this.#take(2).readUInt16BE(0));
      case LONG_STRING:
      case XML:
        return this.#text(this.#take(4).readUInt32BE(0));
      case OBJECT:
        return this.#properties(depth);
      case TYPED_OBJECT:
        this.#text(this.#take(2).readUInt16BE(0));
        return this.#properties(depth);
      case ECMA_ARRAY:
        this.#take(4); // a hint of how many; the end marker decides
        return this.#properties(depth);
      case STRICT_ARRAY:
        return this.#array(this.#take(4).readUInt32BE(0), depth);
      case DATE:
        return this.#date();
      case NULL:
        return null;
      case REFERENCE:
        this.#take(2);
        return undefined;
      case UNDEFINED:
      case UNSUPPORTED:
        return undefined;
      case 17:
        this.#amf3 = true;
        return undefined;
      default:
        throw broken(`a value of type ${marker}`);
    }
  }

  #properties(depth: number): AmfObject {
    const all = new Map<string, AmfValue>();
    while (!this.#amf3) {
      const name = this.#text(this.#take(2).readUInt16BE(0));
      if (name === "" && this.#bytes[this.#at] === OBJECT_END) {
        this.#at += 1;
        break;
      }
      all.set(name, this.#value(depth + 1));
    }
    return all;
  }

  #array(length: number, depth: number): AmfValue[] {
    if (length > MOST_VALUES) throw broken("too many values");
    const all: AmfValue[] = [];
    for (let i = 0; i < length && !this.#amf3; i += 1) all.push(this.#value(depth + 1));
    return all;
  }

  #date(): number {
    const ms = this.#take(8).readDoubleBE(0);
    this.#take(2); // a time zone that must be 0
    return ms;
  }

  #text(length: number): string {
    return this.#take(length).toString("utf8");
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw broken("a value cut short");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

/** The same values as bytes. Strings up to 64 KiB; what is longer is written as a long string. */
export function writeAmf(values: readonly AmfValue[]): Buffer {
  return Buffer.concat(values.flatMap(written));
}

function written(value: AmfValue): Buffer[] {
  if (value === null) return [Buffer.of(NULL)];
  if (value === undefined) return [Buffer.of(UNDEFINED)];
  if (typeof value === "number") {
    const bytes = Buffer.of(NUMBER, 0, 0, 0, 0, 0, 0, 0, 0);
    bytes.writeDoubleBE(value, 1);
    return [bytes];
  }
  if (typeof value === "boolean") return [Buffer.of(BOOLEAN, value ? 1 : 0)];
  if (typeof value === "string") return writtenText(value);
  if (!isArray(value)) return writtenObject(value);
  const head = Buffer.of(STRICT_ARRAY, 0, 0, 0, 0);
  head.writeUInt32BE(value.length, 1);
  return [head, ...value.flatMap(written)];
}

const isArray = (value: AmfObject | readonly AmfValue[]): value is readonly AmfValue[] => Array.isArray(value);

function writtenText(text: string): Buffer[] {
  const bytes = Buffer.from(text, "utf8");
  const head = bytes.length > 0xffff ? Buffer.of(LONG_STRING, 0, 0, 0, 0) : Buffer.of(STRING, 0, 0);
  if (bytes.length > 0xffff) head.writeUInt32BE(bytes.length, 1);
  else head.writeUInt16BE(bytes.length, 1);
  return [head, bytes];
}

function writtenObject(object: AmfObject): Buffer[] {
  const parts: Buffer[] = [Buffer.of(OBJECT)];
  for (const [name, value] of object) {
    const bytes = Buffer.from(name, "utf8");
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length, 0);
    parts.push(length, bytes, ...written(value));
  }
  parts.push(Buffer.of(0, 0, OBJECT_END));
  return parts;
}
