/**
 * Brackets and bookmarks of a stream: where the state after a record is one that the primary had.
 *
 * Points between the opening and the closing of a bracket are none, except that the first
 * synchronisation of a set (ReplBracketInitial) has no state before it that could be kept: it blocks
 * nobody, but the set is incomplete until it closes.
 *
 * A driver that crashes forgets its brackets. Its next start opens one of all sets, which takes over
 * those that are about changes. Those that are about everything in a set, or about what has come into
 * it, stay open until the primary opens another one of the set.
 */
import {
  REPL_FLAG_CLOSE,
  REPL_FLAG_OPEN,
  ReplBracketInfo,
  ReplBracketReason,
  ReplRecordType,
} from './codec.js';
import type { Batch } from './record.js';

/** What the bracket of a start after a crash finds again: it is in the dirty-region log, or among the names. */
export const foundAgain: readonly ReplBracketReason[] = [
  ReplBracketReason.lost,
  ReplBracketReason.crash,
  ReplBracketReason.order,
];

/** All of a set is compared. */
export const ofEverything: readonly ReplBracketReason[] = [
  ReplBracketReason.initial,
  ReplBracketReason.resync,
];

export interface Bracket {
  readonly sequence: number;
  /** 0: all sets */
  readonly setId: number;
  readonly reason: ReplBracketReason;
}

/** What a log keeps of the records that matter here; stored in its index files as it is. */
export type StreamEvent =
  | {
      readonly kind: 'open';
      readonly sequence: number;
      readonly set: number;
      readonly reason: ReplBracketReason;
    }
  | { readonly kind: 'close'; readonly sequence: number; readonly bracket: number }
  | {
      readonly kind: 'bookmark';
      readonly sequence: number;
      readonly label: string;
      readonly time: string;
    };

export function eventOf(batch: Batch, row: number): StreamEvent | null {
  const flags = batch.flags(row);
  const sequence = batch.sequence(row);
  if ((flags & REPL_FLAG_OPEN) !== 0) {
    return { kind: 'open', sequence, set: batch.set(row), reason: reasonOf(batch, row) };
  }
  if ((flags & REPL_FLAG_CLOSE) !== 0) {
    return { kind: 'close', sequence, bracket: batch.bracket(row) };
  }
  if (batch.type(row) === ReplRecordType.bookmark) {
    return { kind: 'bookmark', sequence, label: batch.name(row), time: String(batch.time(row)) };
  }
  return null;
}

function reasonOf(batch: Batch, row: number): ReplBracketReason {
  switch (batch.type(row)) {
    case ReplRecordType.bracket:
      return ReplBracketInfo.decode(batch.data(row)).reason as ReplBracketReason;
    case ReplRecordType.start:
      return ReplBracketReason.crash;
    case ReplRecordType.lost:
      return ReplBracketReason.lost;
    default:
      return ReplBracketReason.entered;
  }
}

/** The brackets that are open while one goes along the stream. */
export class OpenBrackets {
  private readonly open = new Map<number, Bracket>();
  /** That a driver has forgotten. */
  private readonly forgotten = new Set<number>();
  private blocking = 0;

  note(event: StreamEvent): void {
    if (event.kind === 'open') {
      const { sequence, set, reason } = event;
      if (reason === ReplBracketReason.crash) this.crashed();
      if (ofEverything.includes(reason)) this.takeOver(set);
      this.open.set(sequence, { sequence, setId: set, reason });
      if (reason !== ReplBracketReason.initial) this.blocking += 1;
    } else if (event.kind === 'close') {
      this.remove(event.bracket);
    }
  }

  private remove(sequence: number): void {
    const bracket = this.open.get(sequence);
    if (!bracket) return;
    this.open.delete(sequence);
    this.forgotten.delete(sequence);
    if (bracket.reason !== ReplBracketReason.initial) this.blocking -= 1;
  }

  private crashed(): void {
    for (const { sequence, reason } of this.list()) {
      if (foundAgain.includes(reason)) this.remove(sequence);
      else this.forgotten.add(sequence);
    }
  }

  private takeOver(setId: number): void {
    for (const sequence of [...this.forgotten]) {
      if (this.open.get(sequence)?.setId === setId) this.remove(sequence);
    }
  }

  get isBlocked(): boolean {
    return this.blocking > 0;
  }

  get isEmpty(): boolean {
    return this.open.size === 0;
  }

  /** Is the state of this set anything but one that it had on the primary? */
  covers(setId: number): boolean {
    for (const bracket of this.open.values()) {
      if (bracket.setId === 0 || bracket.setId === setId) return true;
    }
    return false;
  }

  list(): Bracket[] {
    return [...this.open.values()];
  }
}

/** From the opening record on, up to, not including, the record that ends it. */
interface Span {
  readonly from: number;
  to: number;
}

/** All events of a log, in order. */
export class Timeline {
  private events: StreamEvent[] = [];
  private readonly now = new OpenBrackets();
  private spans: Span[] = [];

  add(event: StreamEvent): void {
    this.events.push(event);
    const before = this.now.isBlocked;
    this.now.note(event);
    const after = this.now.isBlocked;
    if (!before && after) this.spans.push({ from: event.sequence, to: Infinity });
    else if (before && !after) this.spans.at(-1)!.to = event.sequence;
  }

  /** The last point up to `sequence` at which no bracket blocks. */
  consistent(sequence: number): number {
    let low = 0;
    let high = this.spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.spans[middle]!.from <= sequence) low = middle + 1;
      else high = middle;
    }
    const span = this.spans[low - 1];
    return span && sequence < span.to ? span.from - 1 : sequence;
  }

  openAt(sequence: number): OpenBrackets {
    const open = new OpenBrackets();
    for (const event of this.events) {
      if (event.sequence > sequence) break;
      open.note(event);
    }
    return open;
  }

  bookmarks(): { label: string; sequence: number; time: bigint }[] {
    return this.events.flatMap((event) =>
      event.kind === 'bookmark'
        ? [{ label: event.label, sequence: event.sequence, time: BigInt(event.time) }]
        : [],
    );
  }

  /** Forgets what came after. */
  truncate(after: number): Timeline {
    const shorter = new Timeline();
    for (const event of this.events) if (event.sequence <= after) shorter.add(event);
    return shorter;
  }

  /** Forgets bookmarks that nobody can go back to, and brackets that were closed by then. */
  drop(before: number): Timeline {
    const open = new Set(
      this.openAt(before)
        .list()
        .map(({ sequence }) => sequence),
    );
    const shorter = new Timeline();
    for (const event of this.events) {
      if (event.sequence > before || open.has(event.sequence)) shorter.add(event);
    }
    return shorter;
  }
}
