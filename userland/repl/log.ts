/**
 * bcplog: the stream's records on disk, as they came.
 *
 * append() takes whole records. What comes while the disk is busy goes down together, under one
 * fdatasync; the promise resolves when all that it was given is durable, and only then may it be
 * acknowledged. Records that are there already are ignored, a gap is refused, and so is an epoch lower
 * than the highest that was seen. Where the disk is full or fails nothing is acknowledged: what was
 * accepted waits in memory and is written when it can be.
 */
import { constants, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { messageOf, ntsError } from '../common/errors.js';
import { firstNewRow } from './admit.js';
import { type OpenBrackets, Timeline, eventOf } from './brackets.js';
import { Files, isCode } from './files.js';
import { LogReader, type Moment } from './log-reader.js';
import { type Batch, parseRecords } from './record.js';
import { Segment, damaged } from './segment.js';

const { O_CREAT, O_TRUNC, O_WRONLY } = constants;

export interface LogOptions {
  /** 16 bytes: the stream that this is the log of. */
  readonly streamId: Uint8Array;
  /** A segment that is longer is complete. */
  readonly segmentBytes?: number;
  /** Between attempts while the disk is full. */
  readonly retryMilliseconds?: number;
  readonly files?: Files;
  /** Takes back what append() was given, when the log needs it no more. */
  readonly release?: (bytes: Buffer) => void;
}

interface Waiting {
  readonly batch: Batch;
  readonly firstRow: number;
  readonly bytes: Buffer;
  readonly done: { resolve: (durable: number) => void; reject: (error: unknown) => void }[];
}

/** At most so much is written by one fdatasync: what a crash can tear. */
const GROUP_BYTES = 8 << 20;
/** So much of what was written last stays in memory for who follows closely. */
const RECENT_BYTES = 8 << 20;

export class Log {
  private readonly segments: Segment[] = [];
  private readonly reader = new LogReader(this.segments);
  private timeline = new Timeline();
  private recent: Batch[] = [];
  private recentBytes = 0;
  private queue: Waiting[] = [];
  private working: Promise<void> | null = null;
  private wake: (() => void) | null = null;
  private readonly listeners = new Set<() => void>();
  private closed = false;
  private accepted = 0;
  private written = 0;
  private highestEpoch = 0;
  /** Why nothing is written just now; null: it is. */
  stalled: Error | null = null;
  /** What opening cut off, and why. */
  cut: { readonly bytes: number; readonly why: string } | null = null;

  private constructor(
    private readonly files: Files,
    private readonly folderPath: string,
    private readonly folder: number,
    private readonly options: Required<Omit<LogOptions, 'files'>>,
  ) {}

  static open(folderPath: string, options: LogOptions): Log {
    const files = options.files ?? new Files();
    mkdirSync(path.join(folderPath, 'aside'), { recursive: true, mode: 0o700 });
    const log = new Log(files, folderPath, files.openFolder(folderPath), {
      segmentBytes: 64 << 20,
      retryMilliseconds: 1000,
      release: () => undefined,
      ...options,
    });
    try {
      log.load();
    } catch (error) {
      log.release();
      throw error;
    }
    return log;
  }

  private load(): void {
    const names = readdirSync(this.folderPath)
      .filter((name) => /^[0-9a-f]{16}\.seg$/.test(name))
      .sort();
    names.forEach((name, i) => {
      const segment = Segment.open(
        this.files,
        this.folder,
        this.folderPath,
        name,
        i + 1 === names.length,
        (bytes, why) => (this.cut = { bytes, why }),
      );
      this.segments.push(segment);
      const { header, index } = segment;
      if (Buffer.compare(header.streamId, this.options.streamId) !== 0) {
        throw damaged(segment.path, 'it belongs to another stream');
      }
      if (i > 0 && header.previous !== this.written) {
        throw damaged(segment.path, `it follows ${header.previous}; ${this.written} is there`);
      }
      if (i === 0 && index.count === 0) this.written = header.previous;
      else if (index.count > 0) this.written = index.last;
      this.highestEpoch = Math.max(this.highestEpoch, header.epoch, index.lastEpoch);
      for (const event of index.events) this.timeline.add(event);
    });
    this.accepted = this.written;
    this.highestEpoch = Math.max(this.highestEpoch, this.loadFence());
  }

  /** The last record that was taken; it may not be durable yet. */
  get last(): number {
    return this.accepted;
  }

  /** All up to here is on disk. */
  get durable(): number {
    return this.written;
  }

  /** The first record that is still there. */
  get first(): number {
    return this.segments[0]?.first ?? this.written + 1;
  }

  get epoch(): number {
    return this.highestEpoch;
  }

  get bytes(): number {
    return this.segments.reduce((sum, { index }) => sum + index.bytes, 0);
  }

  /**
   * Resolves to the last durable sequence, when all of these records are. Throws at once, and takes none
   * of them, where one is malformed, leaves a gap, or is of an epoch that is over. The bytes are the log's
   * until it releases them.
   */
  append(bytes: Buffer): Promise<number> {
    if (this.closed) throw ntsError('NTS_ERR_CLOSED', { what: this.folderPath });
    const batch = parseRecords(bytes);
    const firstRow = firstNewRow(batch, {
      last: this.accepted,
      epoch: this.highestEpoch,
      isEmpty: this.accepted === 0,
    });
    if (firstRow < batch.count) {
      this.accepted = batch.last;
      this.highestEpoch = batch.epoch(batch.count - 1);
      const own = firstRow === 0 ? bytes : bytes.subarray(batch.at(firstRow));
      this.queue.push({ batch, firstRow, bytes: own, done: [] });
    } else {
      this.options.release(bytes);
      if (batch.last <= this.written) return Promise.resolve(this.written);
    }
    const last = this.queue.at(-1)!;
    const done = new Promise<number>((resolve, reject) => last.done.push({ resolve, reject }));
    this.working ??= this.work();
    return done;
  }

  private async work(): Promise<void> {
    while (this.queue.length > 0) {
      const group: Waiting[] = [];
      let bytes = 0;
      for (const one of this.queue) {
        if (group.length > 0 && bytes + one.bytes.length > GROUP_BYTES) break;
        group.push(one);
        bytes += one.bytes.length;
      }
      try {
        await this.writeGroup(group);
      } catch (error) {
        if (!(await this.standstill(error as Error))) break;
        continue;
      }
      this.stalled = null;
      this.queue.splice(0, group.length);
      for (const { done } of group) for (const one of done) one.resolve(this.written);
      for (const listener of this.listeners) listener();
    }
    this.working = null;
  }

  /** Nothing of the group counts if this throws. */
  private async writeGroup(group: readonly Waiting[]): Promise<void> {
    const segment = this.segmentFor(group[0]!);
    const { index } = segment;
    try {
      const buffers = group.map(({ bytes }) => bytes);
      await segment.append(buffers);
    } catch (error) {
      this.abandon(segment, error as Error);
      throw error;
    }
    for (const { batch, firstRow, bytes } of group) {
      const base = index.bytes - batch.at(firstRow);
      segment.note(batch, firstRow, batch.count, base);
      for (let row = firstRow; row < batch.count; row++) {
        const event = eventOf(batch, row);
        if (event) this.timeline.add(event);
      }
      // Pads behind the last record take room, too.
      index.bytes = base + batch.at(firstRow) + bytes.length;
    }
    this.written = index.last;
    for (const { batch, firstRow } of group) {
      if (firstRow === 0) this.keepRecent(batch);
      else this.options.release(batch.bytes);
    }
  }

  private keepRecent(batch: Batch): void {
    this.recent.push(batch);
    this.recentBytes += batch.bytes.length;
    while (this.recentBytes > RECENT_BYTES) {
      const { bytes } = this.recent.shift()!;
      this.recentBytes -= bytes.length;
      this.options.release(bytes);
    }
  }

  private segmentFor({ batch, firstRow }: Waiting): Segment {
    const next = batch.sequence(firstRow);
    let segment = this.segments.at(-1);
    if (segment?.index.count === 0 && segment.first !== next) {
      // Made before a crash or a failure, for a record that did not come.
      this.segments.pop();
      segment.close();
      rmSync(segment.path);
      segment = this.segments.at(-1);
    }
    const full = segment && segment.index.bytes >= this.options.segmentBytes;
    if (segment && !segment.complete && !full) return segment;
    if (segment && !segment.complete) segment.seal();
    const created = Segment.create(this.files, this.folder, this.folderPath, {
      streamId: Buffer.from(this.options.streamId),
      epoch: batch.epoch(firstRow),
      first: next,
      previous: this.written,
    });
    this.segments.push(created);
    return created;
  }

  /** Back to what is durable. After a failed fdatasync nobody knows what the disk has: a new segment. */
  private abandon(segment: Segment, error: Error): void {
    try {
      segment.abandon();
      if (isCode(error, 'ENOSPC', 'EDQUOT')) return;
      if (segment.index.count > 0) segment.seal();
    } catch {
      // The next attempt begins by the same; opening cuts it off.
    }
  }

  /** True: try again. */
  private async standstill(error: Error): Promise<boolean> {
    this.stalled = error;
    for (const listener of this.listeners) listener();
    if (!this.closed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.options.retryMilliseconds);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = null;
    }
    if (!this.closed) return true;
    const failure = ntsError(
      'NTS_ERR_FILE_WRITE',
      { file: this.folderPath, why: messageOf(error) },
      { cause: error },
    );
    for (const { done } of this.queue.splice(0)) for (const one of done) one.reject(failure);
    return false;
  }

  /** There may be space now. */
  retry(): void {
    this.wake?.();
  }

  /** Calls back whenever more has become durable, or the log came to a standstill. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Durable records after `sequence`, about `most` bytes; null: there are no more. Good until the log is written again. */
  read(sequence: number, most?: number): Batch | null {
    if (sequence >= this.written) return null;
    const recent = this.recent.find((batch) => batch.sequence(0) === sequence + 1);
    return recent ?? this.reader.read(sequence, most);
  }

  /** The same in pieces, one behind the other: of what was written last there are many small ones. */
  readPieces(sequence: number, most = RECENT_BYTES): Buffer[] {
    const { recent } = this;
    const from = recent.findIndex((batch) => batch.sequence(0) === sequence + 1);
    if (sequence >= this.written || from < 0) {
      const batch = this.read(sequence, most);
      return batch && batch.count > 0 ? [recordsOf(batch)] : [];
    }
    const pieces: Buffer[] = [];
    let bytes = 0;
    for (let to = from, after = sequence; to < recent.length; to++) {
      const batch = recent[to]!;
      if (batch.sequence(0) !== after + 1 || (to > from && bytes + batch.bytes.length > most))
        break;
      pieces.push(recordsOf(batch));
      bytes += batch.bytes.length;
      after = batch.last;
    }
    return pieces;
  }

  /** The last record of that time or before it; null: the log begins later. */
  at(time: bigint): Moment | null {
    return this.reader.at(time);
  }

  /** The last durable point up to `sequence` at which no bracket blocks. */
  consistent(sequence = this.written): number {
    return this.timeline.consistent(Math.min(sequence, this.written));
  }

  bracketsAt(sequence: number): OpenBrackets {
    return this.timeline.openAt(sequence);
  }

  bookmarks(): { label: string; sequence: number; time: bigint }[] {
    return this.timeline.bookmarks().filter(({ sequence }) => sequence >= this.first);
  }

  /** The segments, the oldest first. */
  list(): { first: number; last: number; bytes: number; lastTime: bigint }[] {
    return this.segments.map(({ first, index }) => ({
      first,
      last: index.last,
      bytes: index.bytes,
      lastTime: BigInt(index.lastTime),
    }));
  }

  /** Removes whole segments of which nothing after `sequence` is needed. */
  drop(sequence: number): void {
    while (this.segments.length > 1 && this.segments[0]!.index.last <= sequence) {
      const segment = this.segments.shift()!;
      segment.close();
      rmSync(segment.path);
      rmSync(`${segment.path}.idx`, { force: true });
    }
    this.reader.reset();
    this.timeline = this.timeline.drop(this.first - 1);
  }

  /** No epoch below it is taken any more; on disk when this returns. */
  fence(epoch: number): void {
    if (epoch < this.highestEpoch) {
      throw ntsError(
        'NTS_ERR_REPL_EPOCH',
        { what: `epoch ${epoch} is below ${this.highestEpoch}` },
        { facts: { epoch, highest: this.highestEpoch } },
      );
    }
    const fd = this.files.open(this.folder, 'fence.tmp', O_WRONLY | O_CREAT | O_TRUNC, 0o600);
    try {
      this.files.write(fd, Buffer.from(`${epoch}\n`), 0);
      this.files.datasync(fd);
    } finally {
      this.files.close(fd);
    }
    this.files.rename(this.folder, 'fence.tmp', this.folder, 'fence');
    this.files.sync(this.folder);
    this.highestEpoch = epoch;
  }

  private loadFence(): number {
    try {
      return Number(readFileSync(path.join(this.folderPath, 'fence'), 'utf8'));
    } catch (error) {
      if (isCode(error, 'ENOENT')) return 0;
      throw error;
    }
  }

  /**
   * Sets aside what is after `sequence`, so that another epoch can go on from there: the records are kept
   * in a file under aside/, whose path is returned; null: there were none. `acknowledged`: what the
   * backups that count have; to set aside any of that is refused.
   */
  setAside(sequence: number, acknowledged: number): string | null {
    if (this.queue.length > 0) throw ntsError('NTS_ERR_INTERNAL', { what: 'the log is busy' });
    if (sequence < acknowledged) {
      throw ntsError('NTS_ERR_REPL_WINDOW', {
        what: `records up to ${acknowledged} were acknowledged; they cannot be set aside from ${sequence + 1} on`,
      });
    }
    if (sequence >= this.written) return null;
    if (sequence + 1 < this.first) {
      throw ntsError('NTS_ERR_REPL_WINDOW', {
        what: `the log begins with ${this.first}, behind ${sequence}`,
      });
    }
    const name = `${sequence + 1}-${this.written}.epoch${this.highestEpoch}.records`;
    const aside = this.files.openFolder(path.join(this.folderPath, 'aside'));
    try {
      this.copyAfter(sequence, aside, name);
      this.files.sync(aside);
    } finally {
      this.files.close(aside);
    }
    this.cutAfter(sequence);
    return path.join(this.folderPath, 'aside', name);
  }

  private copyAfter(sequence: number, folder: number, name: string): void {
    const fd = this.files.open(folder, name, O_WRONLY | O_CREAT | O_TRUNC, 0o600);
    try {
      let at = 0;
      let after = sequence;
      for (let batch = this.read(after); batch; batch = this.read(after)) {
        const bytes = batch.bytes.subarray(batch.at(0), batch.end(batch.count - 1));
        this.files.write(fd, bytes, at);
        at += bytes.length;
        after = batch.last;
      }
      this.files.sync(fd);
    } finally {
      this.files.close(fd);
    }
  }

  /** From the end, so that a crash leaves a log that is shorter, and whole. */
  private cutAfter(sequence: number): void {
    let last = this.segments.at(-1);
    while (last && last.first > sequence) {
      this.segments.pop();
      last.close();
      rmSync(`${last.path}.idx`, { force: true });
      rmSync(last.path);
      this.files.sync(this.folder);
      last = this.segments.at(-1);
    }
    if (last && last.index.last > sequence) {
      const name = path.basename(last.path);
      last.cutAfter(sequence);
      last.close();
      this.segments.pop();
      this.segments.push(
        Segment.open(this.files, this.folder, this.folderPath, name, true, (bytes, why) => {
          throw damaged(name, `${bytes} bytes: ${why}`);
        }),
      );
    }
    this.reader.reset();
    for (const { bytes } of this.recent) this.options.release(bytes);
    this.recent = [];
    this.recentBytes = 0;
    this.timeline = this.timeline.truncate(sequence);
    this.written = this.accepted = this.segments.at(-1)?.index.last ?? sequence;
  }

  /** Files of records that were set aside. */
  listAside(): string[] {
    const folder = path.join(this.folderPath, 'aside');
    return readdirSync(folder).map((name) => path.join(folder, name));
  }

  async close(): Promise<void> {
    this.closed = true;
    this.wake?.();
    await this.working;
    this.release();
  }

  private release(): void {
    for (const segment of this.segments) segment.close();
    this.files.close(this.folder);
  }
}

function recordsOf(batch: Batch): Buffer {
  return batch.bytes.subarray(batch.at(0), batch.end(batch.count - 1));
}
