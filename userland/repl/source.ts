/**
 * Where the records come from: the lent ring, and the journal while the ring is closed.
 *
 * Each backup has a cursor of its own. A record stays in the ring until the slowest of those that count
 * has it on disk and the driver was told so: Tail moves by then and not before, so that a broken link, or a
 * service that is killed, loses nothing and costs no memory beyond the ring. When the ring has no room the
 * driver goes on in its journal, where records stay until they are acknowledged; each cursor goes there and
 * comes back by itself.
 *
 * The driver may have given numbers to the ring, the journal, and the ring again. A cursor follows the
 * numbers: when the next record of one place is not the next number, it is in the other one.
 */
import { type NtsError, isNtsError, ntsError } from '../common/errors.js';
import type { ReplDriver } from './client.js';
import { REPL_RING_HEADER_BYTES, ReplRecordType, ReplState } from './codec.js';
import type { LentRing } from './lent-ring.js';
import { type Batch, Stop, describeStop, recordError, scanRecords } from './record.js';

/** The longest record of a program's operation: its header, 1 MiB of data, two names. Listings may be longer. */
const LONGEST_RECORD = (1 << 20) + 2 * 65_536 + 4096;

export interface SourceOptions {
  /** Of the ring, header included. */
  readonly ringBytes?: number;
  /** Of one batch from the ring, unless one record is longer. */
  readonly batchBytes?: number;
  /** Of one read of the journal. */
  readonly readBytes?: number;
}

/** Records of a batch that a reader has not seen. */
export interface Chunk {
  readonly batch: Batch;
  /** Rows [from, to). */
  readonly from: number;
  readonly to: number;
  /** Theirs, and of pads between them. */
  readonly bytes: Buffer;
  readonly last: number;
}

/** A place in the stream, of one reader. */
export interface Cursor {
  /** The last record that the reader was given. */
  after: number;
  /** The reader needs nothing up to here any more. */
  acknowledged: number;
  /** Position in the ring of what it has not looked at. */
  position: number;
  /** All below it may go, as far as this reader is concerned. */
  released: number;
  /** Ends of what it was given from the ring, with the last record of each. */
  readonly given: { readonly sequence: number; readonly end: number }[];
  inJournal: boolean;
}

/** A ring that can be opened is open by then. */
const OPEN_MILLISECONDS = 1000;

/** Looks at ring and journal in turn until it is certain that a record is in neither. */
const LOOKS = 4;

export class Source {
  private readonly cursors = new Set<Cursor>();
  private readonly ending = new AbortController();
  private tail = 0;
  /** The driver knows that this is acknowledged: whoever reads the ring next begins behind it. */
  private acknowledged = 0;
  private state: ReplState = ReplState.idle;
  private waiting: Promise<void> | null = null;
  private readonly batchBytes: number;
  private readonly readBytes: number;

  private constructor(
    private readonly driver: ReplDriver,
    private readonly ring: LentRing,
    options: SourceOptions,
  ) {
    this.batchBytes = options.batchBytes ?? 1 << 20;
    this.readBytes = Math.max(options.readBytes ?? 4 << 20, LONGEST_RECORD);
    const over = ntsError('NTS_ERR_CLOSED', { what: 'the REPL driver has given the ring back' });
    void ring.done.then(
      () => this.ending.abort(over),
      (error: unknown) => this.ending.abort(error),
    );
  }

  /** A source whose first record is the one after `after`. */
  static async open(
    driver: ReplDriver,
    after: number,
    options: SourceOptions = {},
  ): Promise<Source> {
    const bytes = (options.ringBytes ?? 32 << 20) + REPL_RING_HEADER_BYTES;
    const ring = driver.lend(bytes, after);
    await ring.ready;
    return new Source(driver, ring, options);
  }

  /** Aborted, with the reason, when the ring is no longer lent. */
  get ended(): AbortSignal {
    return this.ending.signal;
  }

  get ringBytes(): number {
    return this.ring.data.length;
  }

  /** Bytes of the ring that somebody still needs or has not read. */
  get used(): number {
    return this.ring.head() - this.tail;
  }

  /** A reader that has all up to `after`, which is not below what was released. */
  cursor(after: number): Cursor {
    const cursor: Cursor = {
      after,
      acknowledged: after,
      position: this.tail,
      released: this.tail,
      given: [],
      inJournal: false,
    };
    this.cursors.add(cursor);
    return cursor;
  }

  has(cursor: Cursor): boolean {
    return this.cursors.has(cursor);
  }

  /** Without a reader nothing moves. */
  remove(cursor: Cursor): void {
    this.cursors.delete(cursor);
    this.moveTail();
  }

  /** The reader needs nothing up to `sequence` any more. */
  release(cursor: Cursor, sequence: number): void {
    cursor.acknowledged = Math.max(cursor.acknowledged, sequence);
    this.drop(cursor);
    this.moveTail();
  }

  /** The driver was told that all have what is up to `sequence`. */
  acknowledge(sequence: number): void {
    this.acknowledged = Math.max(this.acknowledged, sequence);
    for (const cursor of this.cursors) this.drop(cursor);
    this.moveTail();
  }

  private drop(cursor: Cursor): void {
    const { given } = cursor;
    const least = Math.min(cursor.acknowledged, this.acknowledged);
    let count = 0;
    while (count < given.length && given[count]!.sequence <= least) count += 1;
    if (count === 0) return;
    cursor.released = given[count - 1]!.end;
    given.splice(0, count);
  }

  private moveTail(): void {
    let least = Infinity;
    for (const { released } of this.cursors) least = Math.min(least, released);
    if (least === Infinity || least <= this.tail) return;
    this.tail = least;
    this.ring.release(least);
  }

  /** The next records; waits until there are some. Rejects when the source has ended or `signal` aborts. */
  async next(cursor: Cursor, signal: AbortSignal): Promise<Chunk> {
    // Of a jump of the numbers: the lowest behind it in either place.
    const gap = { lowest: Infinity };
    for (let looks = 0; ;) {
      this.ending.signal.throwIfAborted();
      signal.throwIfAborted();
      const found = cursor.inJournal
        ? await this.fromJournal(cursor, looks, gap, signal)
        : this.fromRing(cursor, looks, gap);
      if (found === 'wait') {
        await this.wait(cursor, signal);
        looks = 0;
      } else if (found === 'elsewhere') {
        cursor.inJournal = !cursor.inJournal;
        looks += 1;
      } else return found;
    }
  }

  /** What of a batch comes next; null: nothing of it, 'elsewhere': what is before it. */
  private choose(
    cursor: Cursor,
    batch: Batch,
    looks: number,
    gap: { lowest: number },
  ): [from: number, to: number] | null {
    let from = 0;
    while (from < batch.count && batch.sequence(from) <= cursor.after) from += 1;
    if (from === batch.count) return [from, from];
    const first = batch.sequence(from);
    if (first !== cursor.after + 1) {
      // What was lost is in neither place; a record that says so begins anew.
      gap.lowest = Math.min(gap.lowest, first);
      if (looks < 2 || (first > gap.lowest && looks < LOOKS)) return null;
      if (!beginsAnew(batch, from)) {
        if (looks < LOOKS) return null;
        throw ntsError(
          'NTS_ERR_REPL_GAP',
          { what: `the REPL driver has record ${first}, and none after ${cursor.after}` },
          { facts: { expected: cursor.after + 1, got: first } },
        );
      }
    }
    // Up to a jump of the numbers: what is missing may lie in the other place.
    let to = from + 1;
    while (to < batch.count && batch.sequence(to) === batch.sequence(to - 1) + 1) to += 1;
    return [from, to];
  }

  private fromRing(
    cursor: Cursor,
    looks: number,
    gap: { lowest: number },
  ): Chunk | 'elsewhere' | 'wait' {
    const { ring } = this;
    const { data } = ring;
    for (;;) {
      // Closed before Head: no Head moves after it.
      const closed = ring.closed();
      const head = ring.head();
      if (cursor.position === head) return closed ? 'elsewhere' : 'wait';
      const at = cursor.position % data.length;
      const room = Math.min(head - cursor.position, data.length - at);
      const { batch, bytes } = this.scan(data.subarray(at, at + room));
      const rows = this.choose(cursor, batch, looks, gap);
      if (rows === null) return 'elsewhere';
      const [from, to] = rows;
      const begin = cursor.position;
      cursor.position += to === batch.count ? bytes : batch.end(to - 1);
      if (to > from) cursor.after = batch.sequence(to - 1);
      cursor.given.push({ sequence: cursor.after, end: cursor.position });
      // Pads, or what the reader had before: nobody acknowledges that.
      this.release(cursor, cursor.acknowledged);
      if (to > from) return chunk(batch, from, to);
      if (cursor.position === begin) throw recordError('the ring has bytes that are no record');
    }
  }

  /** Whole records, at most a batch of them, or one that is longer. */
  private scan(bytes: Buffer): { batch: Batch; bytes: number } {
    for (const size of [this.batchBytes, LONGEST_RECORD, bytes.length]) {
      const part = bytes.subarray(0, size);
      const { batch, bytes: good, stop } = scanRecords(part);
      const cut = stop === Stop.truncated && part.length < bytes.length;
      if (cut && good === 0) continue;
      if (stop !== Stop.end && !cut) {
        throw recordError(`the ring: ${describeStop(stop, batch, good)}`);
      }
      return { batch, bytes: good };
    }
    throw recordError('the ring: a record is longer than any can be');
  }

  private async fromJournal(
    cursor: Cursor,
    looks: number,
    gap: { lowest: number },
    signal: AbortSignal,
  ): Promise<Chunk | 'elsewhere'> {
    const both = AbortSignal.any([signal, this.ending.signal]);
    const bytes = await this.driver.readJournal(cursor.after, this.readBytes, both);
    if (bytes.length === 0) return 'elsewhere';
    const { batch, stop, bytes: good } = scanRecords(bytes);
    if (stop !== Stop.end) throw recordError(`the journal: ${describeStop(stop, batch, good)}`);
    const rows = this.choose(cursor, batch, looks, gap);
    if (rows === null || rows[0] === rows[1]) return 'elsewhere';
    cursor.after = batch.sequence(rows[1] - 1);
    return chunk(batch, rows[0], rows[1]);
  }

  /**
   * Opens the ring although there is more before it that nobody has read: where all is full, what comes next
   * has a place then. Readers find the rest in the journal.
   */
  async openRing(): Promise<void> {
    const { lastSequence } = await this.driver.status();
    const signal = AbortSignal.any([this.ending.signal, AbortSignal.timeout(OPEN_MILLISECONDS)]);
    try {
      await this.driver.readJournal(Number(lastSequence), this.readBytes, signal);
    } catch (error) {
      // Half of the ring waits for a reader: it cannot be opened.
      if (this.ending.signal.aborted || !isNtsError(error, 'NTS_ERR_CANCELLED')) throw error;
    }
  }

  /** One request for all readers that are at the end. */
  private async wait(cursor: Cursor, signal: AbortSignal): Promise<void> {
    this.waiting ??= this.waitForMore(cursor.position).finally(() => (this.waiting = null));
    await unlessAborted(this.waiting, signal);
  }

  private async waitForMore(head: number): Promise<void> {
    const { signal } = this.ending;
    try {
      this.state = (await this.driver.wait(head, this.state, signal)).state;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  /** Gives the ring back. What nobody has released stays with the driver. */
  async close(): Promise<void> {
    this.ending.abort(ntsError('NTS_ERR_CLOSED', { what: 'the stream' }));
    this.ring.cancel();
    await this.ring.done.catch((error: unknown) => {
      if (!isNtsError(error)) throw error;
    });
  }
}

/** Numbers may jump before what says that something is missing. */
function beginsAnew(batch: Batch, row: number): boolean {
  const type = batch.type(row);
  return type === ReplRecordType.start || type === ReplRecordType.lost;
}

function chunk(batch: Batch, from: number, to: number): Chunk {
  const bytes = batch.bytes.subarray(batch.at(from), batch.end(to - 1));
  return { batch, from, to, bytes, last: batch.sequence(to - 1) };
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const aborted = (): void => resolve();
    signal.addEventListener('abort', aborted, { once: true });
    work
      .then(resolve, (error: unknown) => reject(error as NtsError))
      .finally(() => signal.removeEventListener('abort', aborted));
  });
}
