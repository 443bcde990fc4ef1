/**
 * Fixed-size little-endian structures, as the drivers' contracts have them.
 *
 * A structure is a table of fields by offset; the generated codecs are nothing else. Decoding is strict:
 * a wrong length, a Reserved byte that is not zero and a value outside its enum are errors
 * (NTS_ERR_CODEC), since they mean that the two sides do not speak the same contract.
 */
import { ntsError } from './errors.js';

export interface Field<T> {
  readonly offset: number;
  readonly size: number;
  read(bytes: Buffer, at: number, where: string): T;
  write(bytes: Buffer, at: number, value: T, where: string): void;
}

// The type parameter of a table of fields: any field will do.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Fields = Readonly<Record<string, Field<any>>>;

/** What a structure with these fields is in TypeScript. */
export type Value<F extends Fields> = {
  -readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

export interface Struct<T> {
  readonly name: string;
  readonly size: number;
  encode(value: T): Buffer;
  /** The bytes must be exactly those of one structure. */
  decode(bytes: Uint8Array): T;
  encodeArray(values: readonly T[]): Buffer;
  /** The bytes must be those of whole structures. */
  decodeArray(bytes: Uint8Array): T[];
  readAt(bytes: Buffer, at: number, where: string): T;
  writeAt(bytes: Buffer, at: number, value: T, where: string): void;
}

/** The value type of a structure. */
export type Decoded<S> = S extends Struct<infer T> ? T : never;

function bad(what: string): never {
  throw ntsError('NTS_ERR_CODEC', { what });
}

function integer(offset: number, size: 1 | 2 | 4, bigEndian = false): Field<number> {
  const limit = 2 ** (8 * size);
  return {
    offset,
    size,
    read: (bytes, at) =>
      bigEndian ? bytes.readUIntBE(at + offset, size) : bytes.readUIntLE(at + offset, size),
    write(bytes, at, value, where) {
      if (!Number.isInteger(value) || value < 0 || value >= limit) {
        bad(`${where}: ${value} does not fit in ${8 * size} bits`);
      }
      if (bigEndian) bytes.writeUIntBE(value, at + offset, size);
      else bytes.writeUIntLE(value, at + offset, size);
    },
  };
}

export const u8 = (offset: number): Field<number> => integer(offset, 1);
export const u16 = (offset: number): Field<number> => integer(offset, 2);
export const u32 = (offset: number): Field<number> => integer(offset, 4);
/** In network byte order. */
export const port = (offset: number): Field<number> => integer(offset, 2, true);

export function u64(offset: number): Field<bigint> {
  return {
    offset,
    size: 8,
    read: (bytes, at) => bytes.readBigUInt64LE(at + offset),
    write(bytes, at, value, where) {
      if (value < 0n || value >= 1n << 64n) bad(`${where}: ${value} does not fit in 64 bits`);
      bytes.writeBigUInt64LE(value, at + offset);
    },
  };
}

export function bytes(offset: number, size: number): Field<Uint8Array> {
  return {
    offset,
    size,
    read: (from, at) => Uint8Array.from(from.subarray(at + offset, at + offset + size)),
    write(to, at, value, where) {
      if (value.length !== size) bad(`${where}: ${value.length} bytes, not ${size}`);
      to.set(value, at + offset);
    },
  };
}

/** A constant of an enum. */
export function enumeration<T extends number>(
  offset: number,
  constants: Readonly<Record<string, T>>,
): Field<T> {
  const values = new Set<number>(Object.values(constants));
  const number = u32(offset);
  const check = (value: number, where: string): void => {
    if (!values.has(value))
      bad(`${where}: ${value} is none of ${Object.keys(constants).join(', ')}`);
  };
  return {
    offset,
    size: 4,
    read(from, at, where) {
      const value = number.read(from, at, where);
      check(value, where);
      return value as T;
    },
    write(to, at, value, where) {
      check(value, where);
      number.write(to, at, value, where);
    },
  };
}

/** A constant of an enum that has no zero; zero says that there is nothing here. */
export function optionalEnumeration<T extends number>(
  offset: number,
  constants: Readonly<Record<string, T>>,
): Field<T | 0> {
  return enumeration<T | 0>(offset, { none: 0, ...constants });
}

export function nested<T>(offset: number, type: Struct<T>): Field<T> {
  return {
    offset,
    size: type.size,
    read: (from, at, where) => type.readAt(from, at + offset, where),
    write: (to, at, value, where) => type.writeAt(to, at + offset, value, where),
  };
}

export function array<T>(
  offset: number,
  count: number,
  element: (offset: number) => Field<T>,
): Field<T[]> {
  const { size } = element(0);
  const elements = Array.from({ length: count }, (_, i) => element(offset + i * size));
  return {
    offset,
    size: count * size,
    read: (from, at, where) => elements.map((e, i) => e.read(from, at, `${where}[${i}]`)),
    write(to, at, value, where) {
      if (value.length !== count) bad(`${where}: ${value.length} elements, not ${count}`);
      value.forEach((v, i) => elements[i]!.write(to, at, v, `${where}[${i}]`));
    },
  };
}

/** A range of bytes that must be zero. */
export interface Reserved {
  readonly offset: number;
  readonly size: number;
}

export function struct<F extends Fields>(
  name: string,
  size: number,
  fields: F,
  reserved: readonly Reserved[] = [],
): Struct<Value<F>> {
  type T = Value<F>;
  const entries = Object.entries(fields);

  const readAt = (from: Buffer, at: number, where: string): T => {
    for (const range of reserved) {
      for (let i = 0; i < range.size; i++) {
        if (from[at + range.offset + i] !== 0) {
          bad(`${where}: byte ${range.offset + i} is reserved and not zero`);
        }
      }
    }
    return Object.fromEntries(
      entries.map(([key, field]) => [key, field.read(from, at, `${where}.${key}`) as unknown]),
    ) as T;
  };
  const writeAt = (to: Buffer, at: number, value: T, where: string): void => {
    to.fill(0, at, at + size);
    for (const [key, field] of entries) field.write(to, at, value[key], `${where}.${key}`);
  };
  const asBuffer = (from: Uint8Array): Buffer =>
    Buffer.from(from.buffer, from.byteOffset, from.byteLength);

  return {
    name,
    size,
    readAt,
    writeAt,
    encode(value) {
      const to = Buffer.alloc(size);
      writeAt(to, 0, value, name);
      return to;
    },
    decode(from) {
      if (from.length !== size) bad(`${name}: ${from.length} bytes, not ${size}`);
      return readAt(asBuffer(from), 0, name);
    },
    encodeArray(values) {
      const to = Buffer.alloc(size * values.length);
      values.forEach((value, i) => writeAt(to, i * size, value, `${name}[${i}]`));
      return to;
    },
    decodeArray(from) {
      if (from.length % size !== 0) {
        bad(`${name}[]: ${from.length} bytes are no whole number of ${size}`);
      }
      const buffer = asBuffer(from);
      return Array.from({ length: from.length / size }, (_, i) =>
        readAt(buffer, i * size, `${name}[${i}]`),
      );
    },
  };
}

/** The name of an enum's constant in words: fiveTuple is "five-tuple". An unknown value is its number. */
export function constantName(constants: Readonly<Record<string, number>>, value: number): string {
  const name = Object.keys(constants).find((key) => constants[key] === value);
  return name?.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`) ?? String(value);
}
