/**
 * What programs move while a synchronisation walks through the folders.
 *
 * A walk finds what was there all the time. A file or folder that goes from a folder that the walk has not
 * seen yet into one that it has seen already is found in neither. Its rename is in the stream, though: it is
 * noted here, and looked at when the walk has ended.
 */
import { type Moved, type Pump } from './pump.js';

/** More: files that were made meanwhile are sent again if they move, which does no harm. */
const MOST_CREATED = 100_000;

export class Moves {
  private readonly queue = new Map<string, Moved>();
  /** Folders that were looked at, and files that were made, or looked at because they moved. */
  private readonly done = new Set<string>();

  constructor(private readonly pump: Pump) {
    pump.on('moved', this.note);
  }

  private readonly note = (moved: Moved): void => {
    const key = keyOf(moved.setId, moved.fileId);
    if (!moved.isNew) this.queue.set(key, moved);
    else if (!moved.isFolder && this.done.size < MOST_CREATED) this.done.add(key);
  };

  /** A walk begins anew: what was seen before counts no more. */
  begin(): void {
    this.done.clear();
  }

  /** All that is in the folder is being looked at. */
  seen(setId: number, fileId: Buffer): void {
    this.done.add(keyOf(setId, fileId));
  }

  /** What was moved by now and not looked at. */
  async take(last: number, signal: AbortSignal): Promise<Moved[]> {
    await this.pump.seen(last, signal);
    const moved = [...this.queue].filter(([key]) => !this.done.has(key));
    this.queue.clear();
    // A folder counts once it is listed: it may be gone again before.
    for (const [key, { isFolder }] of moved) if (!isFolder) this.done.add(key);
    return moved.map(([, one]) => one);
  }

  end(): void {
    this.pump.off('moved', this.note);
  }
}

function keyOf(setId: number, fileId: Buffer): string {
  return `${setId}/${fileId.toString('latin1')}`;
}
