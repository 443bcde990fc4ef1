/** The undo log's intervals: the chain of checkpoints to which the tree can go back. */
import { readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Files } from './files.js';
import { UndoReader, undoName } from './undo.js';

export interface Interval {
  /** The checkpoint at its beginning, to which its undo file leads back. */
  readonly from: number;
  /** The checkpoint at its end. */
  readonly to: number;
  readonly bytes: number;
}

export class Intervals {
  private list: Interval[] = [];
  readonly folder: number;

  constructor(
    private readonly files: Files,
    private readonly state: string,
    checkpoint: number,
  ) {
    this.folder = files.openFolder(path.join(state, 'undo'));
    const froms = readdirSync(path.join(state, 'undo'))
      .filter((name) => /^[0-9a-f]{16}\.undo$/.test(name))
      .map((name) => parseInt(name.slice(0, 16), 16))
      .filter((from) => from < checkpoint)
      .sort((a, b) => b - a);
    // Each must lead to the one after it; what is behind a gap is of no use.
    let to = checkpoint;
    for (const from of froms) {
      if (this.endOf(from) === to) {
        this.list.unshift({ from, to, bytes: statSync(this.path(from)).size });
        to = from;
      } else this.remove(from);
    }
    for (const name of readdirSync(path.join(state, 'trash'))) {
      const from = Number(name);
      if (from < checkpoint && !this.list.some((one) => one.from === from)) this.remove(from);
    }
  }

  path(from: number): string {
    return path.join(this.state, 'undo', undoName(from));
  }

  trash(from: number): string {
    return path.join(this.state, 'trash', String(from));
  }

  has(from: number): boolean {
    return this.files.stat(this.folder, undoName(from)) !== null;
  }

  open(from: number): UndoReader {
    return UndoReader.open(this.files, this.folder, undoName(from), this.path(from));
  }

  private endOf(from: number): number {
    const reader = this.open(from);
    try {
      if (reader.header?.checkpoint !== from) return -1;
      return reader.end();
    } finally {
      reader.close();
    }
  }

  /** The oldest checkpoint that can be reached. */
  get first(): number | null {
    return this.list[0]?.from ?? null;
  }

  get last(): Interval | null {
    return this.list.at(-1) ?? null;
  }

  all(): readonly Interval[] {
    return this.list;
  }

  get bytes(): number {
    return this.list.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  add(interval: Interval): void {
    this.list.push(interval);
  }

  /** The newest one is undone. */
  pop(): void {
    const interval = this.list.pop();
    if (interval) this.remove(interval.from);
  }

  /** The undo file first: without it the trash is of no use to anybody. */
  remove(from: number): void {
    rmSync(this.path(from), { force: true });
    rmSync(this.trash(from), { recursive: true, force: true });
  }

  /** Forgets checkpoints before the last one at or before `sequence`. */
  drop(sequence: number): void {
    while (this.list.length > 0 && this.list[0]!.to <= sequence) {
      this.remove(this.list.shift()!.from);
    }
  }

  close(): void {
    this.files.close(this.folder);
  }
}
