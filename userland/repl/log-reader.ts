/** Reading of what is durable in a log. */
import { ntsError } from '../common/errors.js';
import { type Batch, parseRecords } from './record.js';
import { type Segment, damaged } from './segment.js';

const READ_BYTES = 8 << 20;

export interface Moment {
  readonly sequence: number;
  readonly time: bigint;
}

export class LogReader {
  private cursor: { segment: Segment; sequence: number; at: number } | null = null;

  constructor(private readonly segments: readonly Segment[]) {}

  /** The segments have changed. */
  reset(): void {
    this.cursor = null;
  }

  /** Records after `sequence`, about `most` bytes of them; null: there are none. */
  read(sequence: number, most = READ_BYTES): Batch | null {
    const first = this.segments[0]?.first ?? 0;
    if (sequence + 1 < first && sequence !== 0) {
      throw ntsError('NTS_ERR_REPL_WINDOW', {
        what: `record ${sequence + 1} is no longer in the log, which begins with ${first}`,
      });
    }
    const segment = this.holder(sequence);
    if (!segment) return null;
    const { cursor } = this;
    const isNext = cursor?.segment === segment && cursor.sequence === sequence;
    let at = isNext ? cursor.at : segment.seek(sequence);
    for (;;) {
      const { batch, bytes, stop } = segment.scanAt(at, segment.index.bytes, most);
      if (stop !== 0) throw damaged(segment.path, `it cannot be read behind byte ${at + bytes}`);
      if (bytes === 0) return null;
      at += bytes;
      if (batch.last <= sequence) continue;
      this.cursor = { segment, sequence: batch.last, at };
      if (batch.sequence(0) > sequence) return batch;
      let row = 0;
      while (batch.sequence(row) <= sequence) row += 1;
      return parseRecords(batch.bytes.subarray(batch.at(row), bytes));
    }
  }

  /** The segment with the record after `sequence`, which may be behind a gap of numbers. */
  private holder(sequence: number): Segment | null {
    let low = 0;
    let high = this.segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.segments[middle]!.index.last <= sequence) low = middle + 1;
      else high = middle;
    }
    const segment = this.segments[low];
    return segment && segment.index.count > 0 ? segment : null;
  }

  /** The last record of that time or before it; null: the log begins later. */
  at(time: bigint): Moment | null {
    const segment = this.segments.findLast(
      ({ index }) => index.count > 0 && BigInt(index.firstTime) <= time,
    );
    if (!segment) return null;
    if (BigInt(segment.index.lastTime) <= time) {
      return { sequence: segment.index.last, time: BigInt(segment.index.lastTime) };
    }
    let found: Moment | null = null;
    for (let after = segment.first - 1; ;) {
      const batch = this.read(after);
      if (!batch) return found;
      for (let row = 0; row < batch.count; row++) {
        if (batch.time(row) > time) return found;
        found = { sequence: batch.sequence(row), time: batch.time(row) };
      }
      after = batch.last;
    }
  }
}
