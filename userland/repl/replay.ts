/**
 * Replay: the log's records become the backup's tree.
 *
 * Records are applied in order, up to the last point at which no bracket is open. A batch goes so: what
 * it will change of data is put into the undo log and made durable; then each record changes map and
 * tree. At a checkpoint the tree is made durable, then the rest of the undo log, then the map with the
 * sequence: from there on a crash leads back to this point and forwards again, by the same records.
 *
 * After a crash the map is as of the last checkpoint and the tree is somewhere behind it. The records of
 * the batches that had begun say which names and nodes that can concern (a run of them over the map
 * alone), and rollback.ts puts those back.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';
import { Applier } from './apply.js';
import { Capture } from './capture.js';
import { ReplRecordType } from './codec.js';
import { Files, isCode } from './files.js';
import { Intervals } from './intervals.js';
import type { LogView } from './log-view.js';
import { FileMap, type NameBefore } from './map.js';
import type { Batch } from './record.js';
import { type Before, Rollback } from './rollback.js';
import { damaged } from './segment.js';
import { Tree } from './tree.js';
import { Frame, type UndoFrame, UndoWriter } from './undo.js';
import type { Difference } from './verify.js';

export interface ReplayOptions {
  readonly log: LogView;
  /** The folder that becomes what the primary has: one folder in it for each set. */
  readonly tree: string;
  /** The map, the undo log, what is deleted: in the same file system as `tree`, not below it. */
  readonly state: string;
  readonly streamId: Uint8Array;
  /** The folder of a set; its number if nothing is said. */
  readonly folderOf?: (setId: number) => string;
  /** A checkpoint after so many bytes or records, or so much time with changes. */
  readonly checkpointBytes?: number;
  readonly checkpointRecords?: number;
  readonly checkpointMilliseconds?: number;
  readonly batchBytes?: number;
  /** After records have come, others are waited for so long, so that they are applied together. */
  readonly gatherMilliseconds?: number;
  readonly onDifference?: (difference: Difference) => void;
  readonly files?: Files;
}

interface Open {
  readonly undo: UndoWriter;
  readonly capture: Capture;
  readonly began: number;
  bytes: number;
  records: number;
}

export interface Fault {
  readonly sequence: number;
  readonly error: Error;
}

export class Replay {
  private readonly files: Files;
  private readonly options: Required<Omit<ReplayOptions, 'files'>>;
  private readonly log: LogView;
  readonly map: FileMap;
  readonly tree: Tree;
  readonly intervals: Intervals;
  private applier: Applier;
  private open: Open | null = null;
  private position = 0;
  private broken = false;
  /** The record that contradicts the tree; nothing after it is applied. */
  fault: Fault | null = null;

  private constructor(options: ReplayOptions) {
    this.options = {
      folderOf: (setId) => String(setId),
      checkpointBytes: 64 << 20,
      checkpointRecords: 50_000,
      checkpointMilliseconds: 1000,
      batchBytes: 4 << 20,
      gatherMilliseconds: 0,
      onDifference: () => undefined,
      ...options,
    };
    this.files = options.files ?? new Files();
    this.log = options.log;
    const { tree, state } = options;
    mkdirSync(path.join(state, 'undo'), { recursive: true, mode: 0o700 });
    this.map = FileMap.open(path.join(state, 'map.db'));
    this.tree = new Tree(this.files, { tree, state }, this.map);
    this.intervals = new Intervals(this.files, state, this.checkpointSequence);
    this.applier = this.newApplier(this.checkpointSequence, true);
  }

  static open(options: ReplayOptions): Replay {
    const replay = new Replay(options);
    try {
      replay.begin();
      return replay;
    } catch (error) {
      replay.close();
      throw error;
    }
  }

  private begin(): void {
    const stream = Buffer.from(this.options.streamId).toString('hex');
    const known = this.map.meta('stream');
    if (known === null) {
      this.map.begin();
      this.map.setMeta('stream', stream);
      this.map.commit();
    } else if (known !== stream) {
      throw damaged(this.map.file, 'it belongs to another stream');
    }
    this.recover();
    // A rewind that a crash cut short.
    const { held } = this;
    if (held !== null && held < this.position) this.rewind(held);
  }

  /** Durable in the tree. */
  get checkpointSequence(): number {
    return Number(this.map.meta('applied') ?? 0);
  }

  /** Applied, durable or not. */
  get applied(): number {
    return this.position;
  }

  /** Nothing after it is applied until resume(); null: no such thing. */
  get held(): number | null {
    const held = this.map.meta('held');
    return held === null || held === '' ? null : Number(held);
  }

  private newApplier(sequence: number, withTree: boolean): Applier {
    return new Applier(this.map, withTree ? this.tree : null, this.log.bracketsAt(sequence), {
      folderOf: this.options.folderOf,
      onVerify: this.options.onDifference,
      onReshape: (node) => this.open?.capture.whole.add(node.id),
    });
  }

  /** Where replay can go now. */
  get goal(): number {
    if (this.fault) return Math.min(this.fault.sequence - 1, this.position);
    return this.log.consistent(this.held ?? undefined);
  }

  /**
   * Applies the next batch of records, up to `limit` if given. False: there is nothing to do. What it
   * throws leaves a tree that the next call, or the next start, puts in order first.
   */
  step(limit = Infinity): boolean {
    if (this.broken) this.recover();
    const goal = Math.min(this.goal, limit);
    if (this.position >= goal) return false;
    const batch = this.log.read(this.position, this.options.batchBytes);
    if (!batch) return false;
    const rows = this.rowsOf(batch, goal);
    if (rows === 0) {
      // Numbers were left out before what opens a bracket: all up to there is applied.
      this.position = goal;
      return false;
    }
    try {
      this.apply(batch, rows);
    } catch (error) {
      this.broken = true;
      if (!isNtsError(error, 'NTS_ERR_REPL_APPLY', 'NTS_ERR_REPL_RECORD')) throw error;
      this.stopAt(error);
      return true;
    }
    if (this.isCheckpointDue()) this.checkpoint();
    return true;
  }

  /** Records up to the goal; one that renames a stream ends a batch, since capture.ts asks by name. */
  private rowsOf(batch: Batch, goal: number): number {
    let rows = 0;
    while (rows < batch.count && batch.sequence(rows) <= goal) {
      rows += 1;
      if (batch.type(rows - 1) === ReplRecordType.renameStream) break;
    }
    return rows;
  }

  private apply(batch: Batch, rows: number): void {
    const open = (this.open ??= this.openInterval());
    for (let row = 0; row < rows; row++) open.capture.record(batch, row);
    open.undo.batch(batch.sequence(0), batch.sequence(rows - 1));
    for (let row = 0; row < rows; row++) {
      this.failing = batch.sequence(row);
      this.applier.record(batch, row);
    }
    this.applier.finish();
    this.position = batch.sequence(rows - 1);
    open.records += rows;
    open.bytes += batch.end(rows - 1);
  }

  private failing = 0;

  private openInterval(): Open {
    const checkpoint = this.checkpointSequence;
    const firstNew = this.map.nextId;
    this.map.begin();
    this.tree.begin(checkpoint, firstNew);
    const undo = UndoWriter.create(
      this.files,
      this.intervals.folder,
      this.options.streamId,
      checkpoint,
      firstNew,
    );
    const capture = new Capture(this.files, this.map, this.tree, undo, firstNew);
    return { undo, capture, began: Date.now(), bytes: 0, records: 0 };
  }

  private isCheckpointDue(): boolean {
    const { open, options } = this;
    return (
      open !== null &&
      (open.bytes >= options.checkpointBytes ||
        open.undo.bytes >= options.checkpointBytes ||
        open.records >= options.checkpointRecords ||
        Date.now() - open.began >= options.checkpointMilliseconds)
    );
  }

  /** All that is applied is durable when this returns, and a point to come back to. */
  checkpoint(): void {
    const { open } = this;
    if (!open || this.broken) return;
    const from = this.checkpointSequence;
    try {
      this.tree.sync(this.map.journal);
      this.map.flush();
      open.undo.end(this.map.journal, this.position);
      this.map.setMeta('applied', String(this.position));
      this.map.commit();
    } catch (error) {
      this.broken = true;
      throw error;
    }
    this.intervals.add({ from, to: this.position, bytes: open.undo.bytes });
    this.open = null;
    open.undo.close();
  }

  /** A record that cannot be: the tree stays as it was before it. */
  private stopAt(error: Error): void {
    const sequence = this.failing;
    this.recover();
    while (this.position < sequence - 1 && this.step(sequence - 1));
    this.checkpoint();
    this.fault = { sequence, error };
  }

  /** Tries again what was refused. */
  clearFault(): void {
    this.fault = null;
  }

  /** Back to the last checkpoint, whatever happened since then. */
  private recover(): void {
    this.open?.undo.close();
    this.open = null;
    this.map.rollback();
    this.tree.closeAll();
    const rewinding = this.map.meta('rewinding');
    if (rewinding !== null && rewinding !== '') this.undoInterval(Number(rewinding));
    const checkpoint = this.checkpointSequence;
    if (this.intervals.has(checkpoint)) {
      this.tree.begin(checkpoint, this.map.nextId);
      this.putBack(checkpoint);
      this.intervals.remove(checkpoint);
    }
    this.position = checkpoint;
    this.applier = this.newApplier(checkpoint, true);
    this.broken = false;
  }

  private putBack(checkpoint: number): void {
    const undo = this.intervals.open(checkpoint);
    try {
      let last = 0;
      if (undo.header) {
        for (const frame of undo.frames()) if (frame.type === Frame.batch) last = frame.last;
      }
      if (last === 0) return;
      const before = this.concerned(checkpoint, last);
      this.map.begin();
      new Rollback(this.map, this.tree, before, null).run(undo, String(checkpoint));
      this.tree.syncAll();
      this.map.commit();
    } finally {
      undo.close();
    }
  }

  /** The names and nodes that the records after the checkpoint may have changed, as they were then. */
  private concerned(checkpoint: number, last: number): Before {
    this.map.begin();
    const applier = this.newApplier(checkpoint, false);
    try {
      for (let after = checkpoint; after < last;) {
        const batch = this.log.read(after, this.options.batchBytes);
        if (!batch) throw damaged(this.map.file, `the log lacks records ${after + 1} to ${last}`);
        for (let row = 0; row < batch.count && batch.sequence(row) <= last; row++) {
          applier.record(batch, row);
        }
        after = batch.last;
      }
    } catch (error) {
      // Where it stops here it stopped then.
      if (!isNtsError(error, 'NTS_ERR_REPL_APPLY', 'NTS_ERR_REPL_RECORD')) throw error;
    }
    const { names, nodes } = this.map.journal;
    this.map.rollback();
    return { names: [...names.values()], nodes };
  }

  /** Undoes the newest complete interval, which began at checkpoint `from`. */
  private undoInterval(from: number): void {
    if (this.map.meta('rewinding') !== String(from)) {
      this.map.begin();
      this.map.setMeta('rewinding', String(from));
      this.map.commit();
    }
    const undo = this.intervals.open(from);
    try {
      const before = readBefore(undo.frames());
      const { firstNew } = undo.header!;
      this.map.begin();
      this.map.restore(before.names, before.nodes);
      this.map.setNext(firstNew);
      this.tree.begin(from, firstNew);
      new Rollback(this.map, this.tree, before, null).run(undo, String(from));
      this.tree.syncAll();
      this.map.setMeta('applied', String(from));
      this.map.setMeta('rewinding', '');
      this.map.commit();
    } catch (error) {
      this.broken = true;
      throw error;
    } finally {
      undo.close();
    }
    this.intervals.pop();
    this.position = from;
  }

  /**
   * The tree becomes what it was at the last consistent point up to `sequence`, and stays so until
   * resume(). Returns that point.
   */
  rewind(sequence: number): number {
    if (this.broken) this.recover();
    this.checkpoint();
    const goal = this.log.consistent(sequence);
    const first = this.intervals.first ?? this.checkpointSequence;
    if (goal < first) {
      throw ntsError('NTS_ERR_REPL_WINDOW', {
        what: `${sequence} is before ${first}, the earliest that the tree can go back to`,
      });
    }
    this.map.begin();
    this.map.setMeta('held', String(goal));
    this.map.commit();
    this.fault = null;
    while (this.position > goal) {
      const { last } = this.intervals;
      if (!last) throw ntsError('NTS_ERR_INTERNAL', { what: `no interval leads to ${goal}` });
      this.undoInterval(last.from);
    }
    this.applier = this.newApplier(this.position, true);
    while (this.position < goal && this.step(goal));
    this.checkpoint();
    return this.position;
  }

  /** Goes on after a rewind. */
  resume(): void {
    if (this.broken) this.recover();
    this.checkpoint();
    this.map.begin();
    this.map.setMeta('held', '');
    this.map.commit();
  }

  /** Forgets how to go back before the checkpoint at or before `sequence`. */
  forget(sequence: number): void {
    this.intervals.drop(Math.min(sequence, this.checkpointSequence));
  }

  /** Applies what comes, until `signal` is aborted. Where the disk is full it waits. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      let wait = 0;
      try {
        for (let started = Date.now(); !signal.aborted && Date.now() - started < 20;) {
          if (this.step()) continue;
          wait = this.open ? this.options.checkpointMilliseconds : Infinity;
          break;
        }
        if (wait > 0 && this.isCheckpointDue()) this.checkpoint();
      } catch (error) {
        if (!isFull(error)) throw error;
        this.full = messageOf(error);
        wait = 1000;
      }
      if (signal.aborted) break;
      await this.more(wait, signal);
    }
    this.checkpoint();
  }

  /** Why nothing is applied just now. */
  full: string | null = null;

  private more(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (milliseconds === 0) return new Promise((resolve) => setImmediate(resolve));
    return new Promise((resolve) => {
      const done = (): void => {
        stop();
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.full = null;
        resolve();
      };
      const { gatherMilliseconds: gather } = this.options;
      const stop = this.log.onChange(() => {
        stop();
        clearTimeout(timer);
        if (gather === 0) done();
        else timer = setTimeout(done, gather);
      });
      let timer = setTimeout(done, Math.min(milliseconds, 60_000));
      signal.addEventListener('abort', done);
    });
  }

  close(): void {
    this.open?.undo.close();
    this.open = null;
    this.tree.close();
    this.intervals.close();
    this.map.rollback();
    this.map.close();
  }
}

/** It may go on when there is room again. */
export function isFull(error: unknown): boolean {
  return isCode(error, 'ENOSPC', 'EDQUOT', 'SQLITE_FULL');
}

/** Names and nodes of a complete interval. */
export function readBefore(frames: Iterable<UndoFrame>): Before {
  const names: NameBefore[] = [];
  const nodes = new Map<number, Buffer | null>();
  for (const frame of frames) {
    if (frame.type === Frame.name) names.push(frame.before);
    else if (frame.type === Frame.node) nodes.set(frame.id, frame.row);
  }
  return { names, nodes };
}
