/**
 * A segment of the log: a header of 4096 bytes, then records as they came.
 *
 *   0  "NTSBCLOG"     8  version, 1    12  bytes of the header
 *  16  stream ID     32  epoch, of the first record         40  its sequence
 *  48  the last sequence before it in the log               56  CRC-32C of the 56 bytes before
 * 512 and 1024: two marks, written in turn: bytes of records known to be durable, the last sequence in
 * them, a count of marks, 1 if the segment is complete, CRC-32C of the 28 bytes before.
 *
 * A mark is written with the records after it and becomes durable with them. What is wrong before the
 * last mark is damage; what is wrong behind it was being written when the machine ended, is cut off, and
 * was never acknowledged, or its sender knows better and will find a gap.
 *
 * Beside a complete segment lies an index (JSON), which can be made again from it.
 */
import { constants, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isNtsError, ntsError } from '../common/errors.js';
import { ReplRecordType } from './codec.js';
import { type StreamEvent, eventOf } from './brackets.js';
import { type Files, type Mark, isCode } from './files.js';
import { type Batch, Stop, crc32c, describeStop, scanRecords } from './record.js';

export const HEADER_BYTES = 4096;
const MAGIC = 'NTSBCLOG';
const VERSION = 1;
const HEADER_CRC_AT = 56;
const MARKS = [512, 1024] as const;
const MARK_CRC_AT = 28;

/** A place to begin to read from, each so many bytes. */
const STOP_BYTES = 1 << 20;
const SCAN_BYTES = 8 << 20;
/** The file grows by so much at once. */
const EXTENT_BYTES = 256 << 10;
const ZEROS = Buffer.alloc(EXTENT_BYTES);

export interface SegmentIndex {
  readonly first: number;
  last: number;
  count: number;
  /** Of records. */
  bytes: number;
  /** FILETIME, decimal. */
  firstTime: string;
  lastTime: string;
  lastEpoch: number;
  events: StreamEvent[];
  /** [sequence, offset behind the header] of records here and there. */
  stops: [number, number][];
}

export interface SegmentHeader {
  readonly streamId: Buffer;
  readonly epoch: number;
  readonly first: number;
  readonly previous: number;
}

interface MarkFields {
  readonly bytes: number;
  readonly last: number;
  readonly count: number;
  readonly complete: boolean;
}

export function segmentName(first: number): string {
  return `${first.toString(16).padStart(16, '0')}.seg`;
}

function encodeHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(HEADER_BYTES, 12);
  header.streamId.copy(bytes, 16);
  bytes.writeBigUInt64LE(BigInt(header.epoch), 32);
  bytes.writeBigUInt64LE(BigInt(header.first), 40);
  bytes.writeBigUInt64LE(BigInt(header.previous), 48);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT);
  return bytes;
}

function decodeHeader(bytes: Buffer): SegmentHeader | string {
  if (bytes.length < HEADER_BYTES) return 'its header is cut off';
  if (bytes.toString('latin1', 0, 8) !== MAGIC) return 'it is no segment of a log';
  if (bytes.readUInt32LE(HEADER_CRC_AT) !== crc32c(bytes.subarray(0, HEADER_CRC_AT))) {
    return "its header's checksum is wrong";
  }
  if (bytes.readUInt32LE(8) !== VERSION) return `version ${bytes.readUInt32LE(8)} is unknown`;
  return {
    streamId: Buffer.from(bytes.subarray(16, 32)),
    epoch: Number(bytes.readBigUInt64LE(32)),
    first: Number(bytes.readBigUInt64LE(40)),
    previous: Number(bytes.readBigUInt64LE(48)),
  };
}

function encodeMark(mark: MarkFields): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeBigUInt64LE(BigInt(mark.bytes), 0);
  bytes.writeBigUInt64LE(BigInt(mark.last), 8);
  bytes.writeBigUInt64LE(BigInt(mark.count), 16);
  bytes.writeUInt32LE(mark.complete ? 1 : 0, 24);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, MARK_CRC_AT)), MARK_CRC_AT);
  return bytes;
}

function decodeMarks(header: Buffer): MarkFields {
  let best: MarkFields = { bytes: 0, last: 0, count: 0, complete: false };
  for (const at of MARKS) {
    const bytes = header.subarray(at, at + 32);
    if (bytes.readUInt32LE(MARK_CRC_AT) !== crc32c(bytes.subarray(0, MARK_CRC_AT))) continue;
    const mark = {
      bytes: Number(bytes.readBigUInt64LE(0)),
      last: Number(bytes.readBigUInt64LE(8)),
      count: Number(bytes.readBigUInt64LE(16)),
      complete: bytes.readUInt32LE(24) === 1,
    };
    if (mark.count > best.count) best = mark;
  }
  return best;
}

export class Segment {
  private marks = 0;
  /** Bytes of the file: behind the records come zeros. */
  private size = HEADER_BYTES;

  private constructor(
    private readonly files: Files,
    readonly path: string,
    readonly fd: number,
    readonly header: SegmentHeader,
    readonly index: SegmentIndex,
    public complete: boolean,
  ) {}

  get first(): number {
    return this.header.first;
  }

  /** Made whole under another name, so that a segment either has a header or is not there. */
  static create(files: Files, folder: number, folderPath: string, header: SegmentHeader): Segment {
    const name = segmentName(header.first);
    const { O_CREAT, O_EXCL, O_RDWR } = constants;
    const beside = 'new.tmp';
    try {
      files.unlink(folder, beside);
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error;
    }
    const fd = files.open(folder, beside, O_RDWR | O_CREAT | O_EXCL, 0o600);
    try {
      files.write(fd, encodeHeader(header), 0);
      files.datasync(fd);
      files.rename(folder, beside, folder, name);
      files.sync(folder);
    } catch (error) {
      files.close(fd);
      throw error;
    }
    return new Segment(files, `${folderPath}/${name}`, fd, header, emptyIndex(header.first), false);
  }

  /**
   * As it was left. `isLast`: only there may a torn end be cut off; `cut` is told how much.
   */
  static open(
    files: Files,
    folder: number,
    folderPath: string,
    name: string,
    isLast: boolean,
    cut: (bytes: number, why: string) => void,
  ): Segment {
    const path = `${folderPath}/${name}`;
    const fd = files.open(folder, name, constants.O_RDWR);
    try {
      const head = Buffer.alloc(HEADER_BYTES);
      const there = files.read(fd, head, 0, HEADER_BYTES, 0);
      const header = decodeHeader(head.subarray(0, there));
      if (typeof header === 'string') throw damaged(path, header);
      if (name !== segmentName(header.first)) throw damaged(path, 'it has the name of another one');
      const mark = decodeMarks(head);
      const known = mark.complete ? loadIndex(path, header.first, mark) : null;
      const segment = new Segment(
        files,
        path,
        fd,
        header,
        known ?? emptyIndex(header.first),
        mark.complete,
      );
      segment.marks = mark.count;
      segment.size = files.stat(fd, null)!.size;
      if (!known) {
        segment.recover(mark, isLast && !mark.complete, cut);
        if (mark.complete) segment.storeIndex();
      }
      if (!isLast && !mark.complete)
        throw damaged(path, 'it is not complete, and not the last one');
      return segment;
    } catch (error) {
      files.close(fd);
      throw error;
    }
  }

  private recover(
    mark: MarkFields,
    mayCut: boolean,
    cut: (bytes: number, why: string) => void,
  ): void {
    let at = 0;
    for (;;) {
      const { batch, bytes, stop } = this.scanAt(at, this.size - HEADER_BYTES);
      const wrong = this.follow(batch, at);
      at = wrong ? wrong.at : at + bytes;
      if (stop === Stop.end && !wrong) {
        if (bytes === 0) break;
        continue;
      }
      const unknown = this.unknownBytes(at);
      if (unknown === 0) break;
      const why = wrong?.why ?? describeStop(stop, batch, at);
      if (at < mark.bytes || !mayCut) throw damaged(this.path, why);
      cut(unknown, why);
      this.endAt(at);
      this.files.datasync(this.fd);
      break;
    }
    // Pads behind the last record take room, too.
    this.index.bytes = at;
    if (this.index.bytes < mark.bytes || this.index.last < mark.last) {
      throw damaged(this.path, `it ends at ${this.index.last}, ${mark.last} was durable`);
    }
  }

  /** Bytes behind `at`, but the zeros at the file's end; 0: there is nothing but room. */
  private unknownBytes(at: number): number {
    const bytes = Buffer.allocUnsafe(EXTENT_BYTES);
    let last = 0;
    for (let from = HEADER_BYTES + at; from < this.size; from += bytes.length) {
      const there = this.files.read(this.fd, bytes, 0, bytes.length, from);
      const piece = bytes.subarray(0, there);
      if (piece.equals(ZEROS.subarray(0, there))) continue;
      last = from - HEADER_BYTES - at + piece.findLastIndex((byte) => byte !== 0) + 1;
    }
    return last;
  }

  /** The file ends behind so many bytes of records. */
  private endAt(bytes: number): void {
    this.files.truncate(this.fd, HEADER_BYTES + bytes);
    this.size = HEADER_BYTES + bytes;
  }

  /** Adds what the records say to the index; stops where their numbers do not follow each other. */
  private follow(batch: Batch, base: number): { at: number; why: string } | null {
    for (let row = 0; row < batch.count; row++) {
      const sequence = batch.sequence(row);
      const expected = this.index.count === 0 ? this.first : this.index.last + 1;
      const jump = sequence > expected && isStart(batch, row) && this.index.count > 0;
      if (sequence !== expected && !jump) {
        return {
          at: base + batch.at(row),
          why: `record ${sequence} stands where ${expected} belongs`,
        };
      }
      this.note(batch, row, row + 1, base);
    }
    return null;
  }

  /** The index of more records, rows [from, to), whose batch begins at `base` behind the header. */
  note(batch: Batch, from: number, to: number, base: number): void {
    const { index } = this;
    if (from === to) return;
    if (index.count === 0) index.firstTime = String(batch.time(from));
    for (let row = from; row < to; row++) {
      const event = eventOf(batch, row);
      if (event) index.events.push(event);
      const at = base + batch.at(row);
      const stop = index.stops.at(-1);
      if (!stop || at - stop[1] >= STOP_BYTES) index.stops.push([batch.sequence(row), at]);
    }
    index.count += to - from;
    index.last = batch.sequence(to - 1);
    index.lastTime = String(batch.time(to - 1));
    index.lastEpoch = batch.epoch(to - 1);
    index.bytes = base + batch.end(to - 1);
  }

  /** The records from `at` on, as many as fit into a read. Stops in the middle only if damaged. */
  scanAt(at: number, end: number, most = SCAN_BYTES): ReturnType<typeof scanRecords> {
    for (let bytes = Math.min(most, end - at); ; bytes = Math.min(bytes * 4, end - at)) {
      const buffer = Buffer.allocUnsafe(Math.max(0, bytes));
      const there = this.files.read(this.fd, buffer, 0, buffer.length, HEADER_BYTES + at);
      const scan = scanRecords(buffer.subarray(0, there));
      const partial = scan.stop === Stop.truncated && at + bytes < end && there === bytes;
      // A record longer than the read is read again; a cut one at the read's end comes next time.
      if (partial && scan.bytes === 0) continue;
      return partial ? { ...scan, stop: Stop.end } : scan;
    }
  }

  /** The offset of the last known place at or before the record after `sequence`. */
  seek(sequence: number): number {
    let at = 0;
    for (const [first, offset] of this.index.stops) {
      if (first > sequence + 1) break;
      at = offset;
    }
    return at;
  }

  /** More records, on disk when it resolves; the index does not know them yet. */
  async append(pieces: readonly Uint8Array[]): Promise<void> {
    const { bytes, last } = this.index;
    const from = HEADER_BYTES + bytes;
    const to = pieces.reduce((end, { length }) => end + length, from);
    if (to > this.size && this.files.extend(this.fd, from, to + EXTENT_BYTES)) {
      this.size = to + EXTENT_BYTES;
    }
    // What is durable so far goes along.
    await this.files.append(this.fd, pieces, from, this.nextMark(bytes, last));
    this.size = Math.max(this.size, to);
    this.marks += 1;
  }

  /** Back to what the index knows, after an append that failed. */
  abandon(): void {
    this.endAt(this.index.bytes);
  }

  private nextMark(bytes: number, last: number, complete = false): Mark {
    const count = this.marks + 1;
    return { bytes: encodeMark({ bytes, last, count, complete }), at: MARKS[count % 2]! };
  }

  private mark(bytes: number, last: number, complete: boolean): void {
    const mark = this.nextMark(bytes, last, complete);
    this.files.write(this.fd, mark.bytes, mark.at);
    this.files.datasync(this.fd);
    this.marks += 1;
  }

  /** No more records come. */
  seal(): void {
    this.endAt(this.index.bytes);
    this.mark(this.index.bytes, this.index.last, true);
    this.complete = true;
    this.storeIndex();
  }

  /** Removes the records after `sequence`; others may follow again. Open it anew afterwards. */
  cutAfter(sequence: number): void {
    let end = this.seek(sequence);
    for (let at = end; at < this.index.bytes;) {
      const { batch, bytes } = this.scanAt(at, this.index.bytes);
      for (let row = 0; row < batch.count && batch.sequence(row) <= sequence; row++) {
        end = at + batch.end(row);
      }
      if (batch.last > sequence || bytes === 0) break;
      at += bytes;
    }
    rmSync(`${this.path}.idx`, { force: true });
    this.mark(end, Math.min(sequence, this.index.last), false);
    this.endAt(end);
    this.files.datasync(this.fd);
  }

  private storeIndex(): void {
    try {
      writeFileSync(`${this.path}.idx`, JSON.stringify(this.index), { mode: 0o600 });
    } catch (error) {
      // It saves time and nothing else.
      if (!isCode(error, 'ENOSPC', 'EDQUOT', 'EIO')) throw error;
    }
  }

  close(): void {
    this.files.close(this.fd);
  }
}

/** Numbers may jump before it. */
export function isStart(batch: Batch, row: number): boolean {
  const type = batch.type(row);
  return type === ReplRecordType.start || type === ReplRecordType.lost;
}

function emptyIndex(first: number): SegmentIndex {
  return {
    first,
    last: first - 1,
    count: 0,
    bytes: 0,
    firstTime: '0',
    lastTime: '0',
    lastEpoch: 0,
    events: [],
    stops: [],
  };
}

/** null: there is none that fits, make it again. */
function loadIndex(path: string, first: number, mark: MarkFields): SegmentIndex | null {
  try {
    const index = JSON.parse(readFileSync(`${path}.idx`, 'utf8')) as SegmentIndex;
    return index.first === first && index.last === mark.last && index.bytes === mark.bytes
      ? index
      : null;
  } catch (error) {
    if (isNtsError(error)) throw error;
    return null;
  }
}

export function damaged(file: string, why: string): Error {
  return ntsError('NTS_ERR_REPL_LOG', { file, why });
}
