/**
 * Memory for what comes from a connection: one circle, in which pieces are given back about in the order in
 * which they were taken. It is shared memory, which V8 does not count: of buffers of its own for each frame
 * it takes a number of bytes, however few are in use, as the reason to mark its whole heap.
 */
interface Piece {
  readonly at: number;
  readonly end: number;
  isFree: boolean;
}

export class Buffers {
  private readonly memory: Buffer;
  /** The oldest first. */
  private readonly pieces: Piece[] = [];

  constructor(bytes: number) {
    this.memory = Buffer.from(new SharedArrayBuffer(bytes));
  }

  /** Where there is no room in the circle it is a buffer as any other. */
  take(length: number): Buffer {
    const at = length > 0 ? this.room(length) : -1;
    if (at < 0) return Buffer.allocUnsafe(length);
    const end = at + length;
    this.pieces.push({ at, end, isFree: false });
    return this.memory.subarray(at, end);
  }

  private room(length: number): number {
    const [oldest] = this.pieces;
    const size = this.memory.length;
    if (!oldest) return length <= size ? 0 : -1;
    const { end } = this.pieces.at(-1)!;
    if (end <= oldest.at) return length <= oldest.at - end ? end : -1;
    if (length <= size - end) return end;
    return length <= oldest.at ? 0 : -1;
  }

  /** What take() gave, and nobody uses any more. */
  give(bytes: Buffer): void {
    if (bytes.buffer !== this.memory.buffer) return;
    const piece = this.pieces.find(({ at }) => at === bytes.byteOffset);
    if (piece) piece.isFree = true;
    while (this.pieces[0]?.isFree) this.pieces.shift();
  }
}
