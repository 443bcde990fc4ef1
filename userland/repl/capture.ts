/**
 * Keeps what records are about to change of files' data: before a batch begins, each block that it will
 * touch and that nothing has touched since the checkpoint goes to the undo log.
 */
import { isOfCopy } from './apply-copy.js';
import { REPL_FLAG_STREAM, REPL_FLAG_VERIFY, ReplRecordType } from './codec.js';
import type { Files } from './files.js';
import type { FileMap } from './map.js';
import { keepable } from './names.js';
import { type Node, ORPHANS, copyName } from './node.js';
import type { Batch } from './record.js';
import type { Tree } from './tree.js';
import type { UndoWriter } from './undo.js';

const BLOCK = 4096;
const CHUNK_BLOCKS = 32_768;
const READ_BYTES = 1 << 20;

/** Which blocks of a file are kept. */
class Blocks {
  private readonly chunks = new Map<number, Uint8Array>();

  has(block: number): boolean {
    const chunk = this.chunks.get(Math.floor(block / CHUNK_BLOCKS));
    if (!chunk) return false;
    const bit = block % CHUNK_BLOCKS;
    return (chunk[bit >> 3]! & (1 << (bit & 7))) !== 0;
  }

  add(block: number): void {
    const at = Math.floor(block / CHUNK_BLOCKS);
    let chunk = this.chunks.get(at);
    if (!chunk) this.chunks.set(at, (chunk = new Uint8Array(CHUNK_BLOCKS / 8)));
    const bit = block % CHUNK_BLOCKS;
    chunk[bit >> 3]! |= 1 << (bit & 7);
  }
}

interface Kept {
  /** At the checkpoint. */
  readonly size: number;
  readonly blocks: Blocks;
  /** All blocks from here on are kept. */
  from: number;
}

export class Capture {
  private readonly kept = new Map<number, Kept>();
  /** Nodes whose inode was exchanged since the checkpoint: the old one is kept as a whole. */
  readonly whole = new Set<number>();

  constructor(
    private readonly files: Files,
    private readonly map: FileMap,
    private readonly tree: Tree,
    private readonly undo: UndoWriter,
    private readonly firstNew: number,
  ) {}

  /** What a record will change; the map and the tree are still as before the batch. */
  record(batch: Batch, row: number): void {
    switch (batch.type(row)) {
      case ReplRecordType.write:
        if ((batch.flags(row) & REPL_FLAG_VERIFY) !== 0) return;
        if (isOfCopy(batch, row)) {
          this.copy(batch, row);
          return;
        }
        this.range(batch, row, batch.offset(row), batch.offset(row) + batch.dataLength(row));
        return;
      case ReplRecordType.zero:
        this.range(batch, row, batch.offset(row), batch.offset(row) + batch.range(row));
        return;
      case ReplRecordType.setSize:
      case ReplRecordType.setAllocation:
        this.range(batch, row, batch.offset(row), Infinity);
        return;
      case ReplRecordType.create:
      case ReplRecordType.overwrite:
        this.range(batch, row, 0, Infinity);
        return;
      case ReplRecordType.file:
        if (isOfCopy(batch, row)) return;
        // REPL_METADATA.Size
        this.range(batch, row, Number(batch.data(row).readBigUInt64LE(40)), Infinity);
        return;
      default:
    }
  }

  /** What goes into a file's copy. One that this batch begins is new. */
  private copy(batch: Batch, row: number): void {
    const name = copyName(batch.set(row), batch.fileKey(row));
    const copy = this.map.get(this.map.child(ORPHANS, name));
    if (!copy) return;
    const from = batch.offset(row);
    this.node(copy, from, from + batch.dataLength(row));
  }

  private range(batch: Batch, row: number, from: number, to: number): void {
    const file = this.map.byKey(batch.set(row), batch.fileKey(row));
    if (!file) return;
    if ((batch.flags(row) & REPL_FLAG_STREAM) === 0) {
      this.node(file, from, to);
      return;
    }
    const stream = this.map.get(this.map.child(file.id, keepable(batch.name(row))));
    if (stream) this.node(stream, from, to);
  }

  node(node: Node, from: number, to: number): void {
    if (node.id >= this.firstNew || node.isFolder || this.whole.has(node.id)) return;
    let kept = this.kept.get(node.id);
    if (!kept) {
      const fd = this.tree.file(node);
      if (fd === null) return;
      kept = { size: this.files.stat(fd, null)!.size, blocks: new Blocks(), from: Infinity };
      this.kept.set(node.id, kept);
      this.undo.size(node.id, kept.size);
    }
    const end = Math.ceil(Math.min(to, kept.size, kept.from) / BLOCK);
    const begin = Math.floor(from / BLOCK);
    for (let block = begin; block < end;) {
      if (kept.blocks.has(block)) {
        block += 1;
        continue;
      }
      let past = block + 1;
      while (past < end && !kept.blocks.has(past)) past += 1;
      this.keep(node, block * BLOCK, Math.min(past * BLOCK, kept.size));
      if (to !== Infinity) for (let i = block; i < past; i++) kept.blocks.add(i);
      block = past;
    }
    // Not a bit for each block of what was long and is cut off.
    if (to === Infinity) kept.from = Math.min(kept.from, begin * BLOCK);
  }

  private keep(node: Node, from: number, to: number): void {
    const fd = this.tree.file(node);
    if (fd === null) return;
    for (let at = from; at < to;) {
      // Worth asking only where a hole may be long.
      if (to - at > READ_BYTES) {
        const data = this.files.data(fd, at);
        const start = data ? Math.min(data.from, to) : to;
        if (start > at) {
          this.undo.zeros(node.id, at, start - at);
          at = start;
          continue;
        }
      }
      const length = Math.min(READ_BYTES, to - at);
      const from = at;
      this.undo.data(node.id, at, length, (bytes) => {
        const there = this.files.read(fd, bytes, 0, length, from);
        if (there < length) bytes.fill(0, there);
      });
      at += length;
    }
  }
}
