/**
 * bcplog: the stream's records on disk, as they came.
 *
 * append() takes whole records. What comes while the disk is busy goes down together, under one
 * fdatasync; the promise resolves when all that it was given is durable, and only then may it be
 * acknowledged. Records that are there already are ignored, a gap is refused, and so is an epoch lower
 * than the highest that was seen. Where the disk is full or fails nothing is acknowledged: what was
 * accepted waits in memory and is written when it can be.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { messageOf, ntsError } from '../common/errors.js';
import { OpenBrackets, Timeline, eventOf } from './brackets.js';
import { REPL_FLAG_OPEN } from './codec.js';
import { checkContent } from './content.js';
import { Files, isCode } from './files.js';
import { type Batch, nameRecord, parseRecords } from './record.js';
import { HEADER_BYTES, Segment, damaged, isStart } from './segment.js';

export interface LogOptions {
  /** 16 bytes: the stream that this is the log of. */
  readonly streamId: Uint8Array;
  /** A segment that is longer is complete. */
  readonly segmentBytes?: number;
  /** Between attempts while the disk is full. */
  readonly retryMilliseconds?: number;
  readonly files?: Files;
}

interface Waiting {
  readonly batch: Batch;
  readonly firstRow: number;
  readonly bytes: Buffer;
  resolve(durable: number): void;
  reject(error: unknown): void;
}

/** At most so much is written by one fdatasync: what a crash can tear. */
const GROUP_BYTES = 8 << 20;

export interface Moment {
  readonly sequence: number;
  readonly time: bigint;
}

export class Log {
  private readonly segments: Segment[] = [];
  private timeline = new Timeline();
  private queue: Waiting[] = [];
  private working: Promise<void> | null = null;
  private wake: (() => void) | null = null;
  private listeners = new Set<() => void>();
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
      if (i === 0 || index.count > 0) this.written = index.last;
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
   * of them, where one is malformed, leaves a gap, or is of an epoch that is over.
   */
  append(bytes: Buffer): Promise<number> {
    if (this.closed) throw ntsError('NTS_ERR_CLOSED', { what: this.folderPath });
    const batch = parseRecords(bytes);
    let expected = this.accepted + 1;
    let epoch = this.highestEpoch;
    let firstRow = batch.count;
    for (let row = 0; row < batch.count; row++) {
      const sequence = batch.sequence(row);
      this.checkEpoch(batch, row, epoch);
      if (sequence < expected) continue;
      if (sequence !== expected) this.checkGap(batch, row, expected);
      checkContent(batch, row);
      if (firstRow === batch.count) firstRow = row;
      expected = sequence + 1;
      epoch = batch.epoch(row);
    }
    if (firstRow === batch.count) return this.whenDurable(batch.last);
    this.accepted = expected - 1;
    this.highestEpoch = epoch;
    const done = new Promise<number>((resolve, reject) => {
      const own = firstRow === 0 ? bytes : bytes.subarray(batch.at(firstRow));
      this.queue.push({ batch, firstRow, bytes: own, resolve, reject });
    });
    this.working ??= this.work();
    return done;
  }

  private checkEpoch(batch: Batch, row: number, highest: number): void {
    const epoch = batch.epoch(row);
    const old = batch.sequence(row) <= this.accepted;
    // Of what is there already an older epoch is a matter of course, unless nothing else comes.
    if (epoch < highest && (!old || batch.epoch(batch.count - 1) < highest)) {
      throw ntsError(
        'NTS_ERR_REPL_EPOCH',
        { what: `${nameRecord(batch, row)} is of epoch ${epoch}, which ended; ${highest} is on` },
        { facts: { epoch, highest } },
      );
    }
    if (epoch > highest && old) {
      throw ntsError(
        'NTS_ERR_REPL_EPOCH',
        {
          what: `epoch ${epoch} begins at ${batch.sequence(row)}, and records up to ${this.accepted} are here; they must be set aside first`,
        },
        { facts: { epoch, highest, last: this.accepted } },
      );
    }
  }

  /** A gap is before a start record only, and only if nothing in it was given out, or it is resynchronised. */
  private checkGap(batch: Batch, row: number, expected: number): void {
    const got = batch.sequence(row);
    if (
      isStart(batch, row) &&
      (this.segments.length === 0 || this.startFits(batch, row, expected))
    ) {
      return;
    }
    if (this.segments.length === 0 && this.queue.length === 0 && expected === 1) return;
    throw ntsError(
      'NTS_ERR_REPL_GAP',
      { what: `record ${got} came where ${expected} belongs` },
      { facts: { expected, got } },
    );
  }

  private startFits(batch: Batch, row: number, expected: number): boolean {
    const previous = Number(batch.data(row).readBigUInt64LE(16));
    return previous < expected || (batch.flags(row) & REPL_FLAG_OPEN) !== 0;
  }

  private whenDurable(sequence: number): Promise<number> {
    if (sequence <= this.written) return Promise.resolve(this.written);
    return new Promise((resolve, reject) => {
      const last = this.queue.at(-1);
      const done = { resolve, reject };
      if (!last) {
        this.working = (this.working ?? Promise.resolve()).then(
          () => resolve(this.written),
          reject,
        );
        return;
      }
      const { resolve: first, reject: fail } = last;
      last.resolve = (durable) => (first(durable), done.resolve(durable));
      last.reject = (error) => (fail(error), done.reject(error));
    });
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
      for (const one of group) one.resolve(this.written);
      for (const listener of this.listeners) listener();
    }
    this.working = null;
  }

  /** Nothing of the group counts if this throws. */
  private async writeGroup(group: readonly Waiting[]): Promise<void> {
    let segment = this.segments.at(-1);
    const next = group[0]!.batch.sequence(group[0]!.firstRow);
    if (segment?.index.count === 0 && segment.first !== next) {
      // Made before a crash or a failure, for a record that did not come.
      this.segments.pop();
      segment.close();
      rmSync(segment.path);
      segment = this.segments.at(-1);
    }
    if (!segment || segment.complete || segment.index.bytes >= this.options.segmentBytes) {
      if (segment && !segment.complete) segment.seal();
      const { batch, firstRow } = group[0]!;
      segment = Segment.create(this.files, this.folder, this.folderPath, {
        streamId: Buffer.from(this.options.streamId),
        epoch: batch.epoch(firstRow),
        first: batch.sequence(firstRow),
        previous: this.written,
      });
      this.segments.push(segment);
    }
    const { index } = segment;
    try {
      const buffers = group.map(({ bytes }) => bytes);
      await this.files.writeLater(segment.fd, buffers, HEADER_BYTES + index.bytes);
      segment.mark(index.bytes, index.last, false);
      await this.files.datasyncLater(segment.fd);
    } catch (error) {
      this.abandon(segment, error as Error);
      throw error;
    }
    for (const { batch, firstRow, bytes } of group) {
      const base = index.bytes - batch.at(firstRow);
      for (let row = firstRow; row < batch.count; row++) {
        segment.note(batch, row, base + batch.at(row));
        const event = eventOf(batch, row);
        if (event) this.timeline.add(event);
      }
      // Pads behind the last record take room, too.
      index.bytes = base + batch.at(firstRow) + bytes.length;
    }
    this.written = index.last;
  }

  /** Back to what is durable. After a failed fdatasync nobody knows what the disk has: a new segment. */
  private abandon(segment: Segment, error: Error): void {
    try {
      this.files.truncate(segment.fd, HEADER_BYTES + segment.index.bytes);
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
    for (const one of this.queue.splice(0)) one.reject(failure);
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

  /** Durable records after `sequence`, about `most` bytes; none: there are no more. */
  read(sequence: number, most = GROUP_BYTES): Batch | null {
    if (sequence >= this.written) return null;
    if (sequence + 1 < this.first) {
      throw ntsError('NTS_ERR_REPL_WINDOW', {
        what: `record ${sequence + 1} is no longer in the log, which begins with ${this.first}`,
      });
    }
    const segment = this.segments.findLast(
      ({ first, index }, i) => index.count > 0 && (first <= sequence + 1 || i === 0),
    )!;
    // The record after it may be the first of the next segment, behind a gap of numbers.
    const here =
      segment.index.last > sequence
        ? segment
        : this.segments.find(({ first, index }) => first > sequence && index.count > 0);
    if (!here) return null;
    let at =
      this.cursor?.segment === here && this.cursor.sequence === sequence
        ? this.cursor.at
        : here.seek(sequence);
    for (;;) {
      const { batch, bytes, stop } = here.scanAt(at, here.index.bytes, most);
      if (stop !== 0) throw damaged(here.path, `it cannot be read behind byte ${at + bytes}`);
      if (bytes === 0) return null;
      at += bytes;
      if (batch.last <= sequence) continue;
      this.cursor = { segment: here, sequence: batch.last, at };
      if (batch.sequence(0) > sequence) return batch;
      let row = 0;
      while (batch.sequence(row) <= sequence) row += 1;
      return parseRecords(batch.bytes.subarray(batch.at(row), bytes));
    }
  }

  private cursor: { segment: Segment; sequence: number; at: number } | null = null;

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
    this.writeSmall('fence', `${epoch}\n`);
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

  private writeSmall(name: string, text: string): void {
    const fd = this.files.open(this.folder, `${name}.tmp`, 0o1 | 0o100 | 0o1000, 0o600);
    try {
      this.files.write(fd, Buffer.from(text), 0);
      this.files.datasync(fd);
    } finally {
      this.files.close(fd);
    }
    this.files.rename(this.folder, `${name}.tmp`, this.folder, name);
    this.files.sync(this.folder);
  }

  /**
   * Sets aside what is after `sequence`, so that another epoch can go on from there: the records are kept
   * in a file under aside/, whose path is returned; null: there were none. Refused where the backups
   * that count have acknowledged more than `sequence` (`acknowledged`): that is lost for nobody.
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
    const name = `aside/${sequence + 1}-${this.written}.epoch${this.highestEpoch}.records`;
    const { O_CREAT, O_TRUNC, O_WRONLY } = { O_CREAT: 0o100, O_TRUNC: 0o1000, O_WRONLY: 0o1 };
    const fd = this.files.open(this.folder, name, O_WRONLY | O_CREAT | O_TRUNC, 0o600);
    try {
      let at = 0;
      for (let after = sequence; ;) {
        const batch = this.read(after);
        if (!batch) break;
        const bytes = batch.bytes.subarray(batch.at(0), batch.end(batch.count - 1));
        this.files.write(fd, bytes, at);
        at += bytes.length;
        after = batch.last;
      }
      this.files.sync(fd);
    } finally {
      this.files.close(fd);
    }
    const aside = this.files.openFolder(path.join(this.folderPath, 'aside'));
    this.files.sync(aside);
    this.files.close(aside);
    this.cutAfter(sequence);
    return path.join(this.folderPath, name);
  }

  private cutAfter(sequence: number): void {
    // From the end, so that a crash leaves a log that is shorter, and whole.
    while (this.segments.length > 0 && this.segments.at(-1)!.first > sequence) {
      const segment = this.segments.pop()!;
      segment.close();
      rmSync(`${segment.path}.idx`, { force: true });
      rmSync(segment.path);
      this.files.sync(this.folder);
    }
    const segment = this.segments.at(-1);
    this.cursor = null;
    if (segment && segment.index.last > sequence) {
      let at = 0;
      const { index } = segment;
      for (let from = segment.seek(sequence); from < index.bytes;) {
        const { batch, bytes } = segment.scanAt(from, index.bytes);
        for (let row = 0; row < batch.count && batch.sequence(row) <= sequence; row++) {
          at = from + batch.end(row);
        }
        if (batch.last > sequence || bytes === 0) break;
        from += bytes;
      }
      rmSync(`${segment.path}.idx`, { force: true });
      segment.mark(at, sequence, false);
      this.files.datasync(segment.fd);
      this.files.truncate(segment.fd, HEADER_BYTES + at);
      this.files.datasync(segment.fd);
      const name = path.basename(segment.path);
      segment.close();
      this.segments.pop();
      this.segments.push(
        Segment.open(this.files, this.folder, this.folderPath, name, true, (bytes, why) => {
          throw damaged(segment.path, `${bytes} bytes: ${why}`);
        }),
      );
    }
    this.timeline = this.timeline.truncate(sequence);
    this.written = this.accepted = this.segments.at(-1)?.index.last ?? sequence;
  }

  /** Files of records that were set aside. */
  listAside(): string[] {
    return readdirSync(path.join(this.folderPath, 'aside')).map((name) =>
      path.join(this.folderPath, 'aside', name),
    );
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
