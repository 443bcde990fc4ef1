/**
 * Records of the stream, in the bytes in which they travel and are stored (kernel/include/ntswift/repl.h).
 *
 * A Batch is a buffer of records and a table of what their headers say, made by one native call which
 * also checks frames and checksums. Names and data are views of the buffer, never copies. Sequences,
 * epochs, offsets and sizes are numbers here: what is beyond 2^53 - 1 is refused as malformed.
 */
import { type NativeRecords, loadNative } from '../../native/addon/ts/index.js';
import { type NtsError, ntsError } from '../common/errors.js';
import { REPL_RECORD_MAGIC, ReplRecord, ReplRecordType } from './codec.js';

export const RECORD_BYTES = 104;

/** Columns of the table; native/addon/src/records.cpp fills it. */
const Column = {
  at: 0,
  length: 1,
  type: 2,
  flags: 3,
  sequence: 4,
  set: 5,
  nameLength: 6,
  dataLength: 7,
  offset: 8,
  range: 9,
  bracket: 10,
  epoch: 11,
} as const;

/** Why a scan stopped. */
export const Stop = {
  end: 0,
  table: 1,
  truncated: 2,
  magic: 3,
  length: 4,
  headerChecksum: 5,
  dataChecksum: 6,
  padding: 7,
  number: 8,
} as const;
export type Stop = (typeof Stop)[keyof typeof Stop];

const stopWords: Readonly<Record<Stop, string>> = {
  [Stop.end]: 'ends well',
  [Stop.table]: 'is one too many',
  [Stop.truncated]: 'is cut off',
  [Stop.magic]: 'does not begin with the magic number',
  [Stop.length]: 'has lengths that do not fit each other or their limits',
  [Stop.headerChecksum]: 'has a header whose checksum is wrong',
  [Stop.dataChecksum]: 'has data whose checksum is wrong',
  [Stop.padding]: 'has padding or a reserved field that is not zero',
  [Stop.number]: 'has a number beyond 2^53 - 1',
};

let native: NativeRecords | null = null;

function records(): NativeRecords {
  return (native ??= loadNative().records);
}

/** CRC-32C; `seed` is that of the bytes before these. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return records().crc32c(bytes, seed);
}

/** Scans fill it, one after another: a table with room for the most that may come is large. */
let table = new Float64Array(0);

/** The smallest record is a header; so many fit into these bytes at most. */
function tableFor(bytes: number, stride: number): Float64Array {
  const cells = Math.max(1, Math.floor(bytes / RECORD_BYTES)) * stride;
  if (table.length < cells) table = new Float64Array(cells);
  return table;
}

export class Batch {
  constructor(
    readonly bytes: Buffer,
    readonly count: number,
    private readonly table: Float64Array,
    private readonly stride: number,
  ) {}

  private get(row: number, column: number): number {
    return this.table[row * this.stride + column]!;
  }

  at(row: number): number {
    return this.get(row, Column.at);
  }
  end(row: number): number {
    return this.get(row, Column.at) + this.get(row, Column.length);
  }
  type(row: number): number {
    return this.get(row, Column.type);
  }
  flags(row: number): number {
    return this.get(row, Column.flags);
  }
  sequence(row: number): number {
    return this.get(row, Column.sequence);
  }
  set(row: number): number {
    return this.get(row, Column.set);
  }
  nameLength(row: number): number {
    return this.get(row, Column.nameLength);
  }
  dataLength(row: number): number {
    return this.get(row, Column.dataLength);
  }
  offset(row: number): number {
    return this.get(row, Column.offset);
  }
  range(row: number): number {
    return this.get(row, Column.range);
  }
  bracket(row: number): number {
    return this.get(row, Column.bracket);
  }
  epoch(row: number): number {
    return this.get(row, Column.epoch);
  }
  time(row: number): bigint {
    return this.bytes.readBigUInt64LE(this.at(row) + 32);
  }
  /** 16 bytes, a view. */
  fileId(row: number): Buffer {
    const at = this.at(row) + 40;
    return this.bytes.subarray(at, at + 16);
  }
  /** The same as a string, for maps. */
  fileKey(row: number): string {
    const at = this.at(row) + 40;
    return this.bytes.toString('latin1', at, at + 16);
  }
  name(row: number): string {
    const at = this.at(row) + RECORD_BYTES;
    return this.bytes.toString('utf16le', at, at + this.nameLength(row));
  }
  private dataAt(row: number): number {
    return this.at(row) + RECORD_BYTES + padded(this.nameLength(row));
  }
  /** A view. */
  data(row: number): Buffer {
    const at = this.dataAt(row);
    return this.bytes.subarray(at, at + this.dataLength(row));
  }
  /** The last sequence; 0: no record. */
  get last(): number {
    return this.count === 0 ? 0 : this.sequence(this.count - 1);
  }
}

export interface Scan {
  readonly batch: Batch;
  /** So many bytes are whole records and pads. */
  readonly bytes: number;
  readonly stop: Stop;
}

/** The records at the beginning of `bytes`, up to what is none. */
export function scanRecords(bytes: Buffer): Scan {
  const { stride } = records();
  const filled = tableFor(bytes.length, stride);
  const [rows, good, stop] = records().scan(bytes, filled);
  const batch = new Batch(bytes, rows, filled.slice(0, rows * stride), stride);
  return { batch, bytes: good, stop: stop as Stop };
}

/** All of `bytes` must be whole records. */
export function parseRecords(bytes: Buffer): Batch {
  const { batch, bytes: good, stop } = scanRecords(bytes);
  if (stop !== Stop.end) throw recordError(describeStop(stop, batch, good), { at: good });
  return batch;
}

export function describeStop(stop: Stop, batch: Batch, at: number): string {
  const after = batch.count > 0 ? `the record after ${batch.last}` : 'the first record';
  return `${after}, at byte ${at}, ${stopWords[stop]}`;
}

export function recordError(what: string, facts: Record<string, unknown> = {}): NtsError {
  return ntsError('NTS_ERR_REPL_RECORD', { what }, { facts });
}

export function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** What a record says; what is left out is zero or empty. */
export interface RecordFields {
  readonly type: ReplRecordType;
  readonly sequence: number;
  readonly epoch?: number;
  readonly time?: bigint;
  readonly flags?: number;
  readonly fileId?: Uint8Array;
  readonly setId?: number;
  readonly name?: string;
  readonly offset?: number;
  readonly range?: number;
  readonly bracket?: number;
  readonly data?: Uint8Array;
}

const NO_FILE = new Uint8Array(16);

export function buildRecord(fields: RecordFields): Buffer {
  const name = Buffer.from(fields.name ?? '', 'utf16le');
  const data = fields.data ?? new Uint8Array(0);
  const length = RECORD_BYTES + padded(name.length) + padded(data.length);
  const bytes = Buffer.alloc(length);
  bytes.set(name, RECORD_BYTES);
  bytes.set(data, RECORD_BYTES + padded(name.length));
  ReplRecord.writeAt(
    bytes,
    0,
    {
      magic: REPL_RECORD_MAGIC,
      length,
      type: fields.type,
      flags: fields.flags ?? 0,
      state: 0,
      sequence: BigInt(fields.sequence),
      epoch: BigInt(fields.epoch ?? 1),
      time: fields.time ?? 0n,
      fileId: fields.fileId ?? NO_FILE,
      setId: fields.setId ?? 0,
      nameLength: name.length,
      offset: BigInt(fields.offset ?? 0),
      range: BigInt(fields.range ?? 0),
      bracket: BigInt(fields.bracket ?? 0),
      dataLength: data.length,
      dataChecksum: crc32c(data),
      headerChecksum: 0,
    },
    'REPL_RECORD',
  );
  const checksum = crc32c(
    bytes.subarray(RECORD_BYTES, RECORD_BYTES + name.length),
    crc32c(bytes.subarray(0, RECORD_BYTES)),
  );
  bytes.writeUInt32LE(checksum, 96);
  return bytes;
}

const typeNames = new Map<number, string>(
  Object.entries(ReplRecordType).map(([name, value]) => [value, name]),
);

export function typeName(type: number): string {
  return typeNames.get(type) ?? `type ${type}`;
}

/** "record 17 (write)": for messages. */
export function nameRecord(batch: Batch, row: number): string {
  return `record ${batch.sequence(row)} (${typeName(batch.type(row))})`;
}
