/**
 * What the data of records holds: metadata, folder listings, extended attributes, reparse buffers.
 * Decoders give views of what they are given. They throw NTS_ERR_REPL_RECORD on whatever is not right.
 */
import { isNtsError } from '../common/errors.js';
import {
  type ReplBasic,
  ReplBasic as basicCodec,
  ReplEntry as entryCodec,
  ReplMetadata as metadataCodec,
} from './codec.js';
import { padded, recordError } from './record.js';

const METADATA_BYTES = 72;
const ENTRY_BYTES = 48;

export interface Metadata {
  readonly basic: ReplBasic;
  readonly size: number;
  readonly allocation: number;
  readonly links: number;
  /** Self-relative descriptor; empty: not told. */
  readonly security: Buffer;
  /** FILE_FULL_EA_INFORMATION list; empty: none. */
  readonly ea: Buffer;
  /** REPARSE_DATA_BUFFER; empty: none. */
  readonly reparse: Buffer;
}

export interface Entry {
  readonly fileId: Buffer;
  readonly size: number;
  readonly lastWriteTime: bigint;
  readonly changeTime: bigint;
  readonly attributes: number;
  readonly name: string;
}

function strict<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (isNtsError(error, 'NTS_ERR_CODEC')) throw recordError(`${what}: ${error.message}`);
    throw error;
  }
}

function countable(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw recordError(`${what}: ${value} is too large`);
  return Number(value);
}

export function decodeBasic(data: Buffer): ReplBasic {
  return strict('times and attributes', () => basicCodec.decode(data));
}

export function decodeMetadata(data: Buffer): Metadata {
  if (data.length < METADATA_BYTES) throw recordError(`metadata of ${data.length} bytes`);
  const head = strict('metadata', () => metadataCodec.decode(data.subarray(0, METADATA_BYTES)));
  let at = METADATA_BYTES;
  const part = (length: number, what: string): Buffer => {
    const end = at + padded(length);
    if (end > data.length) throw recordError(`metadata: ${what} of ${length} bytes is cut off`);
    const bytes = data.subarray(at, at + length);
    zeros(data, at + length, end, what);
    at = end;
    return bytes;
  };
  const security = part(head.securityLength, 'security descriptor');
  const ea = part(head.eaLength, 'extended attributes');
  const reparse = part(head.reparseLength, 'reparse buffer');
  if (at !== data.length) throw recordError(`metadata: ${data.length - at} bytes too many`);
  decodeEa(ea);
  if (reparse.length > 0) decodeReparse(reparse);
  return {
    basic: head.basic,
    size: countable(head.size, 'size'),
    allocation: countable(head.allocation, 'allocation'),
    links: head.links,
    security,
    ea,
    reparse,
  };
}

export function encodeMetadata(metadata: Metadata): Buffer {
  const parts = [metadata.security, metadata.ea, metadata.reparse];
  const head = metadataCodec.encode({
    basic: metadata.basic,
    size: BigInt(metadata.size),
    allocation: BigInt(metadata.allocation),
    links: metadata.links,
    securityLength: metadata.security.length,
    eaLength: metadata.ea.length,
    reparseLength: metadata.reparse.length,
  });
  return Buffer.concat([
    head,
    ...parts.map((part) => Buffer.concat([part, Buffer.alloc(padded(part.length) - part.length)])),
  ]);
}

function zeros(data: Buffer, from: number, to: number, what: string): void {
  for (let at = from; at < to; at++) {
    if (data[at] !== 0) throw recordError(`${what}: padding is not zero`);
  }
}

export function decodeEntries(data: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < data.length;) {
    if (at + ENTRY_BYTES > data.length) throw recordError('a listing is cut off in an entry');
    const head = strict('entry', () => entryCodec.decode(data.subarray(at, at + ENTRY_BYTES)));
    const name = at + ENTRY_BYTES;
    const end = name + padded(head.nameLength);
    if (end > data.length) throw recordError('a listing is cut off in a name');
    if (head.nameLength === 0 || head.nameLength % 2 !== 0) {
      throw recordError(`a listing has a name of ${head.nameLength} bytes`);
    }
    zeros(data, name + head.nameLength, end, 'listing');
    entries.push({
      fileId: Buffer.from(head.fileId),
      size: countable(head.size, 'size'),
      lastWriteTime: head.lastWriteTime,
      changeTime: head.changeTime,
      attributes: head.attributes,
      name: data.toString('utf16le', name, name + head.nameLength),
    });
    at = end;
  }
  return entries;
}

export function encodeEntries(entries: readonly Entry[]): Buffer {
  return Buffer.concat(
    entries.flatMap((entry) => {
      const name = Buffer.from(entry.name, 'utf16le');
      const head = entryCodec.encode({
        fileId: entry.fileId,
        size: BigInt(entry.size),
        lastWriteTime: entry.lastWriteTime,
        changeTime: entry.changeTime,
        attributes: entry.attributes,
        nameLength: name.length,
      });
      return [head, name, Buffer.alloc(padded(name.length) - name.length)];
    }),
  );
}

export interface Ea {
  readonly flags: number;
  /** Bytes of the name, as latin1: EA names are bytes. */
  readonly name: string;
  /** Empty in a record: the attribute is gone. */
  readonly value: Buffer;
}

/** FILE_FULL_EA_INFORMATION: NextEntryOffset, Flags, EaNameLength, EaValueLength, name, 0, value. */
export function decodeEa(data: Buffer): Ea[] {
  const list: Ea[] = [];
  for (let at = 0; data.length > 0;) {
    if (at + 8 > data.length) throw recordError('an extended attribute is cut off');
    const next = data.readUInt32LE(at);
    const nameLength = data[at + 5]!;
    const valueLength = data.readUInt16LE(at + 6);
    const name = at + 8;
    const value = name + nameLength + 1;
    const end = value + valueLength;
    if (end > data.length || (next !== 0 && (next % 4 !== 0 || at + next < end))) {
      throw recordError('an extended attribute is cut off');
    }
    if (nameLength === 0 || data[name + nameLength] !== 0) {
      throw recordError("an extended attribute's name is wrong");
    }
    list.push({
      flags: data[at + 4]!,
      name: data.toString('latin1', name, name + nameLength),
      value: data.subarray(value, end),
    });
    if (next === 0) {
      zeros(data, end, data.length, 'extended attributes');
      break;
    }
    at += next;
  }
  return list;
}

export function encodeEa(list: readonly Ea[]): Buffer {
  return Buffer.concat(
    list.map((ea, i) => {
      const bytes = 8 + ea.name.length + 1 + ea.value.length;
      const whole = i + 1 < list.length ? (bytes + 3) & ~3 : bytes;
      const to = Buffer.alloc(whole);
      to.writeUInt32LE(i + 1 < list.length ? whole : 0, 0);
      to[4] = ea.flags;
      to[5] = ea.name.length;
      to.writeUInt16LE(ea.value.length, 6);
      to.write(ea.name, 8, 'latin1');
      to.set(ea.value, 8 + ea.name.length + 1);
      return to;
    }),
  );
}

/** The list after some were set; those of an empty value are gone. */
export function mergeEa(old: Buffer, changes: readonly Ea[]): Buffer {
  const merged = new Map(decodeEa(old).map((ea) => [ea.name, ea]));
  for (const ea of changes) {
    if (ea.value.length === 0) merged.delete(ea.name);
    else merged.set(ea.name, ea);
  }
  return encodeEa([...merged.values()]);
}

/** IO_REPARSE_TAG_*, [MS-FSCC] 2.1.2.1. */
export const ReparseTag = {
  afUnix: 0x80000023,
  lxSymlink: 0xa000001d,
  lxFifo: 0x80000024,
  lxChr: 0x80000025,
  lxBlk: 0x80000026,
} as const;

export interface Reparse {
  readonly tag: number;
  readonly data: Buffer;
}

export function decodeReparse(bytes: Buffer): Reparse {
  // A tag that is not Microsoft's has a GUID before its data, which is left in it here.
  const guid = bytes.length >= 4 && bytes.readUInt32LE(0) >>> 31 === 0 ? 16 : 0;
  if (bytes.length < 8 || bytes.length !== 8 + guid + bytes.readUInt16LE(4)) {
    throw recordError(`a reparse buffer of ${bytes.length} bytes`);
  }
  return { tag: bytes.readUInt32LE(0), data: bytes.subarray(8) };
}

export function encodeReparse(tag: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(8 + data.length);
  bytes.writeUInt32LE(tag, 0);
  bytes.writeUInt16LE(data.length, 4);
  bytes.set(data, 8);
  return bytes;
}

/** The target of IO_REPARSE_TAG_LX_SYMLINK: a version, 2, and UTF-8; null: no such thing. */
export function lxSymlinkTarget(reparse: Reparse): Buffer | null {
  if (reparse.tag !== ReparseTag.lxSymlink || reparse.data.length < 5) return null;
  if (reparse.data.readUInt32LE(0) !== 2) return null;
  return reparse.data.subarray(4);
}
