/** Which records a log takes: their epochs and numbers. */
import { ntsError } from '../common/errors.js';
import { REPL_FLAG_OPEN } from './codec.js';
import { checkContent } from './content.js';
import { type Batch, nameRecord } from './record.js';
import { isStart } from './segment.js';

export interface LogState {
  /** The last record that is there. */
  readonly last: number;
  /** The highest epoch that was seen. */
  readonly epoch: number;
  /** No record is there. */
  readonly isEmpty: boolean;
}

/**
 * The first row of a batch that is new; batch.count: none is. Throws where a record is malformed, of an
 * epoch that is over, or does not follow.
 */
export function firstNewRow(batch: Batch, state: LogState): number {
  let expected = state.last + 1;
  let { epoch } = state;
  let first = batch.count;
  for (let row = 0; row < batch.count; row++) {
    const sequence = batch.sequence(row);
    checkEpoch(batch, row, epoch, state.last);
    if (sequence < expected && first === batch.count) continue;
    const isFirst = state.isEmpty && first === batch.count;
    if (sequence !== expected) checkGap(batch, row, expected, isFirst);
    checkContent(batch, row);
    if (first === batch.count) first = row;
    expected = sequence + 1;
    epoch = batch.epoch(row);
  }
  return first;
}

function checkEpoch(batch: Batch, row: number, highest: number, last: number): void {
  const epoch = batch.epoch(row);
  const isOld = batch.sequence(row) <= last;
  // Of what is there already an older epoch is a matter of course, unless nothing newer comes.
  if (epoch < highest && (!isOld || batch.epoch(batch.count - 1) < highest)) {
    throw ntsError(
      'NTS_ERR_REPL_EPOCH',
      { what: `${nameRecord(batch, row)} is of epoch ${epoch}, which ended; ${highest} is on` },
      { facts: { epoch, highest } },
    );
  }
  if (epoch > highest && isOld) {
    throw ntsError(
      'NTS_ERR_REPL_EPOCH',
      {
        what: `epoch ${epoch} begins at ${batch.sequence(row)}, and records up to ${last} are here; they must be set aside first`,
      },
      { facts: { epoch, highest, last } },
    );
  }
}

/**
 * Numbers are missing only before a start, and then only if none of them was given out, or all is
 * synchronised anew; and before what says that something was lost. A log that is empty begins with a start
 * or with a bracket, in which everything is synchronised.
 */
function checkGap(batch: Batch, row: number, expected: number, isFirst: boolean): void {
  const got = batch.sequence(row);
  const opens = (batch.flags(row) & REPL_FLAG_OPEN) !== 0;
  if (got > expected && isFirst && (opens || isStart(batch, row))) return;
  if (got > expected && isStart(batch, row)) {
    if (opens || batch.data(row).readBigUInt64LE(16) < BigInt(expected)) return;
  }
  throw ntsError(
    'NTS_ERR_REPL_GAP',
    { what: `record ${got} came where ${expected} belongs` },
    { facts: { expected, got } },
  );
}
