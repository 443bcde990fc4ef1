/** The memory that the driver writes records into (REPL_RING_HEADER), for as long as it is lent. */
import { type Lent, loadAcquire, storeRelease } from '../../native/addon/ts/index.js';
import { isNtsError } from '../common/errors.js';
import { REPL_RING_HEADER_BYTES, REPL_RING_MAGIC } from './codec.js';

/** Offsets in the header. */
const RING_HEAD = 64;
const RING_CLOSED = 72;
const RING_TAIL = 128;

export interface LentRing {
  /** The driver has it; rejects where it refuses. */
  readonly ready: Promise<void>;
  /** Resolves when the driver has given it back; rejects where it refuses, or it was cancelled. */
  readonly done: Promise<void>;
  /** Where the records lie. */
  readonly data: Buffer;
  /** Acquire: what is below it is whole. */
  head(): number;
  closed(): boolean;
  /** Moves Tail, release. */
  release(position: number): void;
  cancel(): void;
}

/** The driver writes the header before anything else. */
const READY_MILLISECONDS = 1;

export class DeviceRing implements LentRing {
  readonly data: Buffer;
  readonly ready: Promise<void>;
  readonly done: Promise<void>;

  constructor(
    private readonly lent: Lent,
    explain: (error: unknown) => Promise<unknown>,
  ) {
    const { memory } = lent;
    const room = memory.length - REPL_RING_HEADER_BYTES;
    // A power of two: as much as fits.
    const bytes = 2 ** Math.floor(Math.log2(room));
    this.data = memory.subarray(REPL_RING_HEADER_BYTES, REPL_RING_HEADER_BYTES + bytes);
    this.done = lent.done.then(
      () => undefined,
      async (error: unknown) => {
        throw isNtsError(error, 'NTS_ERR_CANCELLED') ? error : await explain(error);
      },
    );
    this.done.catch(() => undefined);
    this.ready = Promise.race([this.done, this.written()]);
  }

  private async written(): Promise<void> {
    const { memory } = this.lent;
    const over = new AbortController();
    const stop = (): void => over.abort();
    this.done.then(stop, stop);
    while (!over.signal.aborted && memory.readUInt32LE(0) !== REPL_RING_MAGIC) {
      await new Promise((resolve) => setTimeout(resolve, READY_MILLISECONDS));
    }
  }

  head(): number {
    return Number(loadAcquire(this.lent.memory, RING_HEAD));
  }

  closed(): boolean {
    return (loadAcquire(this.lent.memory, RING_CLOSED) & 0xffff_ffffn) !== 0n;
  }

  release(position: number): void {
    storeRelease(this.lent.memory, RING_TAIL, BigInt(position));
  }

  cancel(): void {
    this.lent.cancel();
  }
}
