/**
 * The undo log: one file for each interval between two checkpoints, with what was there before.
 *
 * A file is a list of frames: type (2 bytes), flags (2), length of the payload (4), CRC-32C of these
 * eight bytes and the payload (4), payload. In this order:
 *
 *   header  version, stream ID, the checkpoint's sequence, the first node ID that is new after it
 *   then, for each batch of records, before any of them changes the tree:
 *     size  node, size of its data at the checkpoint; once for each file that was there
 *     data  node, offset, length, bytes (none: all were zero); each block of 4096 bytes once
 *     batch the first and the last sequence: the frames before it are durable, the records may begin
 *   at the next checkpoint:
 *     name  parent, node that had the name at the checkpoint or 0, the name
 *     node  ID, its row in the map at the checkpoint or nothing
 *     end   the next checkpoint's sequence
 *
 * Since each block is kept as it was at the checkpoint, putting them all back gives the checkpoint,
 * whatever part of the changes reached the disk, however often it is done.
 */
import { constants } from 'node:fs';
import type { Files, Name } from './files.js';
import type { Journal, NameBefore } from './map.js';
import { crc32c } from './record.js';
import { damaged } from './segment.js';

export const Frame = { header: 1, size: 2, data: 3, batch: 4, name: 5, node: 6, end: 7 } as const;
export type Frame = (typeof Frame)[keyof typeof Frame];

const FRAME_BYTES = 12;
const VERSION = 1;
const FLAG_ZEROS = 1;
const FLUSH_BYTES = 4 << 20;
/** The file grows by so much at once. */
const EXTENT_BYTES = 256 << 10;
/** Numbers before the bytes of a data frame. */
const DATA_HEAD = 24;
const ZEROS = Buffer.alloc(1 << 20);

export function undoName(checkpoint: number): string {
  return `${checkpoint.toString(16).padStart(16, '0')}.undo`;
}

const widthOf = (part: number | Uint8Array): number => (typeof part === 'number' ? 8 : part.length);

export class UndoWriter {
  /** Frames that wait for the next flush. */
  private readonly arena = Buffer.allocUnsafeSlow(FLUSH_BYTES);
  private filled = 0;
  private at = 0;
  /** Of the file: behind the frames come zeros, until the interval is complete. */
  private fileBytes = 0;

  private constructor(
    private readonly files: Files,
    private readonly fd: number,
  ) {}

  static create(
    files: Files,
    folder: number,
    streamId: Uint8Array,
    checkpoint: number,
    firstNew: number,
  ): UndoWriter {
    const { O_CREAT, O_RDWR, O_TRUNC } = constants;
    const fd = files.open(folder, undoName(checkpoint), O_RDWR | O_CREAT | O_TRUNC, 0o600);
    files.sync(folder);
    const writer = new UndoWriter(files, fd);
    writer.add(Frame.header, 0, VERSION, streamId, checkpoint, firstNew);
    return writer;
  }

  get bytes(): number {
    return this.at + this.filled;
  }

  /** Where the payload of a frame begins, which seal() ends. */
  private begin(payloadBytes: number): number {
    if (this.filled + FRAME_BYTES + payloadBytes > this.arena.length) this.flush();
    return this.filled + FRAME_BYTES;
  }

  private seal(type: Frame, flags: number, payloadBytes: number): void {
    const { arena, filled: at } = this;
    const payload = at + FRAME_BYTES;
    arena.writeUInt16LE(type, at);
    arena.writeUInt16LE(flags, at + 2);
    arena.writeUInt32LE(payloadBytes, at + 4);
    const seed = crc32c(arena.subarray(at, at + 8));
    arena.writeUInt32LE(crc32c(arena.subarray(payload, payload + payloadBytes), seed), at + 8);
    this.filled = payload + payloadBytes;
  }

  /** Numbers take eight bytes. */
  private add(type: Frame, flags: number, ...parts: readonly (number | Uint8Array)[]): void {
    const bytes = parts.reduce<number>((sum, one) => sum + widthOf(one), 0);
    let at = this.begin(bytes);
    for (const one of parts) {
      if (typeof one === 'number') this.number(at, one);
      else this.arena.set(one, at);
      at += widthOf(one);
    }
    this.seal(type, flags, bytes);
  }

  private number(at: number, value: number): void {
    this.arena.writeUInt32LE(value % 2 ** 32, at);
    this.arena.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
  }

  private flush(): void {
    const { filled } = this;
    this.filled = 0;
    const end = this.at + filled;
    if (end > this.fileBytes && this.files.extend(this.fd, this.at, end + EXTENT_BYTES)) {
      this.fileBytes = end + EXTENT_BYTES;
    }
    this.files.write(this.fd, this.arena.subarray(0, filled), this.at);
    this.at += filled;
  }

  size(node: number, size: number): void {
    this.add(Frame.size, 0, node, size);
  }

  /** What was there, `length` bytes, 1 MiB at most, which `read` puts into the buffer it is given. */
  data(node: number, offset: number, length: number, read: (to: Buffer) => void): void {
    const at = this.begin(DATA_HEAD + length);
    const bytes = this.arena.subarray(at + DATA_HEAD, at + DATA_HEAD + length);
    read(bytes);
    if (bytes.equals(ZEROS.subarray(0, length))) {
      this.zeros(node, offset, length);
      return;
    }
    this.number(at, node);
    this.number(at + 8, offset);
    this.number(at + 16, length);
    this.seal(Frame.data, 0, DATA_HEAD + length);
  }

  zeros(node: number, offset: number, length: number): void {
    this.add(Frame.data, FLAG_ZEROS, node, offset, length);
  }

  /** Durable when it returns: these records may change the tree. */
  batch(first: number, last: number): void {
    this.add(Frame.batch, 0, first, last);
    this.flush();
    this.files.datasync(this.fd);
  }

  /** The interval is complete; durable when it returns. */
  end(journal: Journal, checkpoint: number): void {
    for (const { parent, name, node } of journal.names.values()) {
      this.add(Frame.name, 0, parent, node, Buffer.from(name, 'utf8'));
    }
    for (const [id, row] of journal.nodes) {
      this.add(Frame.node, 0, id, ...(row ? [row] : []));
    }
    this.add(Frame.end, 0, checkpoint);
    this.flush();
    this.files.truncate(this.fd, this.at);
    this.files.datasync(this.fd);
  }

  close(): void {
    this.files.close(this.fd);
  }
}

export interface UndoHeader {
  readonly streamId: Buffer;
  readonly checkpoint: number;
  readonly firstNew: number;
}

export type UndoFrame =
  | { readonly type: typeof Frame.size; readonly node: number; readonly size: number }
  | {
      readonly type: typeof Frame.data;
      readonly node: number;
      readonly offset: number;
      readonly length: number;
      /** null: zeros */
      readonly bytes: Buffer | null;
    }
  | { readonly type: typeof Frame.batch; readonly first: number; readonly last: number }
  | { readonly type: typeof Frame.name; readonly before: NameBefore }
  | { readonly type: typeof Frame.node; readonly id: number; readonly row: Buffer | null }
  | { readonly type: typeof Frame.end; readonly checkpoint: number };

const READ_BYTES = 4 << 20;

export class UndoReader {
  readonly header: UndoHeader | null;
  private at = 0;
  private buffer = Buffer.alloc(0);
  private base = 0;

  constructor(
    private readonly files: Files,
    private readonly fd: number,
    private readonly path: string,
  ) {
    const first = this.frame();
    this.header = first?.type === Frame.header ? readHeader(first.payload) : null;
  }

  static open(files: Files, folder: number, name: Name, path: string): UndoReader {
    return new UndoReader(files, files.open(folder, name, constants.O_RDONLY), path);
  }

  private bytes(at: number, length: number): Buffer | null {
    if (at < this.base || at + length > this.base + this.buffer.length) {
      const wanted = Buffer.allocUnsafe(Math.max(length, READ_BYTES));
      const there = this.files.read(this.fd, wanted, 0, wanted.length, at);
      this.base = at;
      this.buffer = wanted.subarray(0, there);
      if (there < length) return null;
    }
    return this.buffer.subarray(at - this.base, at - this.base + length);
  }

  /** null: the end, or what was being written when the machine ended. */
  private frame(): { type: number; flags: number; payload: Buffer } | null {
    const head = this.bytes(this.at, FRAME_BYTES);
    if (!head) return null;
    const length = head.readUInt32LE(4);
    if (length > 2 * READ_BYTES) return null;
    const crc = head.readUInt32LE(8);
    const type = head.readUInt16LE(0);
    const flags = head.readUInt16LE(2);
    const sum = crc32c(head.subarray(0, 8));
    const payload = this.bytes(this.at + FRAME_BYTES, length);
    if (!payload || crc32c(payload, sum) !== crc) return null;
    this.at += FRAME_BYTES + length;
    return { type, flags, payload };
  }

  /** From the header on. */
  *frames(): Generator<UndoFrame> {
    this.at = 0;
    this.frame();
    for (let frame = this.frame(); frame; frame = this.frame()) yield this.parse(frame);
  }

  /** The checkpoint that the interval ends with; -1: it is not complete. Only the last frame is read. */
  end(): number {
    const bytes = FRAME_BYTES + 8;
    const { size } = this.files.stat(this.fd, null)!;
    this.at = Math.max(0, size - bytes);
    const frame = this.frame();
    return frame?.type === Frame.end ? Number(frame.payload.readBigUInt64LE(0)) : -1;
  }

  private parse({ type, flags, payload }: NonNullable<ReturnType<UndoReader['frame']>>): UndoFrame {
    const number = (i: number): number => Number(payload.readBigUInt64LE(8 * i));
    switch (type) {
      case Frame.size:
        return { type, node: number(0), size: number(1) };
      case Frame.data:
        return {
          type,
          node: number(0),
          offset: number(1),
          length: number(2),
          bytes: (flags & FLAG_ZEROS) !== 0 ? null : payload.subarray(24),
        };
      case Frame.batch:
        return { type, first: number(0), last: number(1) };
      case Frame.name:
        return {
          type,
          before: { parent: number(0), node: number(1), name: payload.toString('utf8', 16) },
        };
      case Frame.node:
        return {
          type,
          id: number(0),
          row: payload.length > 8 ? Buffer.from(payload.subarray(8)) : null,
        };
      case Frame.end:
        return { type, checkpoint: number(0) };
      default:
        throw damaged(this.path, `a frame of type ${type}`);
    }
  }

  close(): void {
    this.files.close(this.fd);
  }
}

function readHeader(payload: Buffer): UndoHeader | null {
  if (payload.length !== 40 || payload.readUInt32LE(0) !== VERSION) return null;
  return {
    streamId: Buffer.from(payload.subarray(8, 24)),
    checkpoint: Number(payload.readBigUInt64LE(24)),
    firstNew: Number(payload.readBigUInt64LE(32)),
  };
}
