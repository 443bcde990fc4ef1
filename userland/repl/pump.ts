/**
 * The pump: the driver's stream goes to every backup, and what all of them have on disk is acknowledged to
 * the driver.
 *
 * The ring is lent once a backup has said what it has. Records after the driver's Acknowledged are in ring
 * or journal; a backup that has less than that lacks what nobody has any more: the ring is lent anew from
 * there on, and the driver begins with ReplRecordLost, whose bracket the synchronisation closes.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNtsError, messageOf } from '../common/errors.js';
import type { Log } from '../node/log.js';
import type { Bracket } from './brackets.js';
import { type ReplDriver } from './client.js';
import {
  REPL_FLAG_DIRECTORY,
  REPL_FLAG_OPEN,
  REPL_FLAG_STREAM,
  REPL_FLAG_SYNC,
  REPL_MAX_DATA,
  ReplRecordType,
} from './codec.js';
import type { Greeting, Link, Places } from './link.js';
import type { BlockDifference } from './protocol.js';
import type { Batch } from './record.js';
import { hasNoPlace, isRefusal } from './refusal.js';
import { type Chunk, type Cursor, Source, type SourceOptions } from './source.js';

/** A record that a SYNC IOCTL made, as the synchronisation wants to see it. */
export interface SyncRecord {
  readonly sequence: number;
  readonly type: number;
  readonly setId: number;
  readonly fileId: Buffer;
  readonly path: string;
  readonly data: Buffer;
  /** Of a listing: the index of the first entry, and how many entries there are in all of its records. */
  readonly offset: number;
  readonly range: number;
  /** Of a listing in several records: the first of them. */
  readonly bracket: number;
}

/** While somebody observes: a file or folder was made, or has got another name. */
export interface Moved {
  readonly setId: number;
  readonly fileId: Buffer;
  readonly isFolder: boolean;
  readonly isNew: boolean;
}

interface Events {
  moved: [moved: Moved];
  /** Copy mode: a file changes. */
  touched: [setId: number, fileId: Buffer];
  /** All records up to some number have been observed. */
  seen: [];
  /** A bracket opens in the stream. */
  bracket: [];
  /** A link has begun to stream. */
  connected: [link: Link];
  difference: [link: Link, difference: BlockDifference];
  change: [];
  /** A further record of a listing has come. */
  part: [first: number];
  /** The driver has ended the loan. */
  broken: [error: unknown];
}

export interface PumpOptions extends SourceOptions {
  /**
   * Opens brackets for a backup that has nothing, or finds those that are open and above `after`; gives the
   * first's number, null: there is no set.
   */
  readonly begin?: (after: number) => Promise<number | null>;
  /** Opens brackets again that a backup has open, and that a driver that crashed has forgotten; each by `place`. */
  readonly reopen?: (
    open: readonly Bracket[],
    place: (open: () => Promise<number>) => Promise<number>,
  ) => Promise<void>;
  /** Flushes wait for acknowledgements, which then go at once, and else now and then. Default: they do. */
  readonly isDurable?: () => boolean;
}

/** Where nobody waits: the driver only needs to know what it may forget. */
const ACKNOWLEDGE_MILLISECONDS = 20;

export class Pump extends EventEmitter<Events> implements Places {
  private readonly links = new Map<Link, Cursor | null>();
  private source: Source | null = null;
  private lending: Promise<Source> | null = null;
  /** What the driver was told. */
  private acknowledged = 0;
  private acknowledging = false;
  /** Ends the pause between two acknowledgements. */
  private hurry = new AbortController();
  private readonly stopping = new AbortController();
  private readonly running = new Map<Link, Promise<void>>();
  private readonly aborts = new Map<Link, AbortController>();
  private readonly records = new Map<number, SyncRecord>();
  private readonly awaited = new Map<number, (record: SyncRecord) => void>();
  /** Further records of listings, by the first. */
  private readonly parts = new Map<number, SyncRecord[]>();
  private observed = 0;
  private reopening: Promise<void> = Promise.resolve();
  private observers = 0;

  constructor(
    private readonly driver: ReplDriver,
    private readonly log: Log,
    private readonly options: PumpOptions = {},
  ) {
    super();
    this.setMaxListeners(0);
  }

  async start(): Promise<void> {
    this.acknowledged = Number((await this.driver.status()).acknowledged);
  }

  get all(): Link[] {
    return [...this.links.keys()];
  }

  get streaming(): Link[] {
    return this.all.filter((link) => link.isStreaming);
  }

  get ringUsed(): number {
    return this.source?.used ?? 0;
  }

  /** Half of the ring waits for the backups. */
  private get isCrowded(): boolean {
    const { source } = this;
    return source !== null && source.used * 2 > source.ringBytes;
  }

  /** Bytes of a file in one record of a synchronisation: several of them leave room in the ring. */
  get pieceBytes(): number {
    const ring = this.source?.ringBytes ?? 0;
    return Math.min(REPL_MAX_DATA, Math.max(4096, Math.floor(ring / 32)));
  }

  /** Waits until the ring has room: what is synchronised does not push what programs write out of it. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.isCrowded) {
      signal.throwIfAborted();
      await this.moved(signal);
    }
    signal.throwIfAborted();
  }

  /** Resolves when something was acknowledged. */
  private async moved(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.off('change', done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.on('change', done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  add(link: Link): void {
    this.links.set(link, null);
    const abort = new AbortController();
    this.aborts.set(link, abort);
    link.on('durable', () => this.acknowledge());
    link.on('chunk', (chunk) => this.observe(chunk));
    let was = false;
    link.on('change', () => {
      const begins = link.isStreaming && !was;
      was = link.isStreaming;
      if (begins) this.emit('connected', link);
      this.emit('change');
    });
    link.on('difference', (difference) => this.emit('difference', link, difference));
    // It holds its place from the beginning, so that nothing goes that it may still need.
    if (this.source) this.links.set(link, this.source.cursor(this.acknowledged));
    const signal = AbortSignal.any([this.stopping.signal, abort.signal]);
    this.running.set(link, link.run(this, signal));
  }

  async remove(link: Link): Promise<void> {
    this.aborts.get(link)?.abort();
    await this.running.get(link);
    this.running.delete(link);
    this.aborts.delete(link);
    const cursor = this.links.get(link);
    this.links.delete(link);
    if (cursor) this.source?.remove(cursor);
    link.removeAllListeners();
    this.acknowledge();
  }

  /** A link is connected and wants its place in the stream. */
  async attach(link: Link, greeting: Greeting): Promise<{ source: Source; cursor: Cursor }> {
    const { durable, fresh } = greeting;
    let source = await this.lend(fresh ? Infinity : durable);
    if (!fresh && durable < this.acknowledged && this.links.size > 0) {
      // It lacks what the driver has not kept: from here on the driver says what was lost.
      this.log.warn({ peer: link.node, durable, acknowledged: this.acknowledged }, 'lacks records');
      source = await this.lendAnew(durable);
    }
    // Before anything is sent: what opens again is behind what the driver's start has opened.
    this.reopening = this.reopening
      .catch(() => undefined)
      .then(() => this.options.reopen?.(greeting.open, (open) => withPlace(source, open)));
    await this.reopening;
    const old = this.links.get(link);
    // Who has nothing of the stream begins with a bracket, in which he is told the rest.
    const after = fresh ? await withPlace(source, () => this.beginFresh()) : durable;
    const cursor = source.cursor(after);
    if (old && source.has(old)) {
      cursor.position = cursor.released = old.released;
      source.remove(old);
    }
    this.links.set(link, cursor);
    return { source, cursor };
  }

  /** Opens the brackets of a first synchronisation; the number before them. */
  private async beginFresh(): Promise<number> {
    const first = await this.options.begin?.(this.acknowledged);
    return first === undefined || first === null ? this.acknowledged : first - 1;
  }

  private async lend(durable: number): Promise<Source> {
    if (this.source && !this.source.ended.aborted) return this.source;
    this.lending ??= this.open(Math.min(durable, this.acknowledged)).finally(() => {
      this.lending = null;
    });
    return this.lending;
  }

  private async open(after: number): Promise<Source> {
    const source = await Source.open(this.driver, after, this.options);
    this.source = source;
    source.acknowledge(this.acknowledged);
    // Places of those that are not connected.
    for (const link of this.links.keys()) {
      this.links.set(link, source.cursor(Math.min(link.durable ?? after, after)));
    }
    source.ended.addEventListener(
      'abort',
      () => {
        if (this.source !== source) return;
        this.source = null;
        if (this.stopping.signal.aborted) return;
        this.log.warn({ why: messageOf(source.ended.reason) }, 'the ring is no longer lent');
        for (const link of this.links.keys()) link.restart();
        this.emit('broken', source.ended.reason);
      },
      { once: true },
    );
    return source;
  }

  private async lendAnew(after: number): Promise<Source> {
    const old = this.source;
    this.source = null;
    await old?.close();
    for (const link of this.links.keys()) if (link.isStreaming) link.restart();
    this.acknowledged = Math.min(this.acknowledged, after);
    return this.lend(after);
  }

  /** Of all backups, those that are not connected included. */
  private get reached(): number {
    let least = Infinity;
    for (const link of this.links.keys()) least = Math.min(least, link.durable ?? 0);
    return least;
  }

  private acknowledge(): void {
    if (this.isCrowded) this.hurry.abort();
    if (this.acknowledging) return;
    this.acknowledging = true;
    void this.acknowledgeAll().finally(() => {
      this.acknowledging = false;
    });
  }

  private async acknowledgeAll(): Promise<void> {
    for (let to = this.reached; to > this.acknowledged && to !== Infinity; to = this.reached) {
      try {
        await this.driver.acknowledge(to);
      } catch (error) {
        if (this.stopping.signal.aborted || isNtsError(error, 'NTS_ERR_CLOSED')) return;
        // A number that this driver has not given out: of a stream before a restart.
        if (!isRefusal(error, 'sequence')) {
          this.log.error({ err: error, sequence: to }, 'cannot acknowledge');
        }
        return;
      }
      this.acknowledged = to;
      this.source?.acknowledge(to);
      this.emit('change');
      if (this.options.isDurable?.() === false) {
        this.hurry = new AbortController();
        const signal = AbortSignal.any([this.stopping.signal, this.hurry.signal]);
        await sleep(ACKNOWLEDGE_MILLISECONDS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** While somebody waits for records of SYNC IOCTLs, they are kept. */
  observing(): () => void {
    this.observers += 1;
    return () => {
      this.observers -= 1;
      if (this.observers > 0) return;
      this.records.clear();
      this.parts.clear();
    };
  }

  private observe({ batch, from, to, last }: Chunk): void {
    if (last <= this.observed) return;
    for (let row = from; row < to; row++) {
      const sequence = batch.sequence(row);
      if (sequence <= this.observed) continue;
      const flags = batch.flags(row);
      if ((flags & REPL_FLAG_OPEN) !== 0) this.emit('bracket');
      const type = batch.type(row);
      if (type === ReplRecordType.touched) {
        this.emit('touched', batch.set(row), Buffer.from(batch.fileId(row)));
      }
      if (this.observers === 0) continue;
      if ((flags & REPL_FLAG_SYNC) === 0) {
        if (NAMING.has(type) && (flags & REPL_FLAG_STREAM) === 0)
          this.emit('moved', movedBy(batch, row));
        continue;
      }
      if (type !== ReplRecordType.folder && type !== ReplRecordType.file) continue;
      const record: SyncRecord = {
        sequence,
        type,
        setId: batch.set(row),
        // Copies: the ring is written again.
        fileId: Buffer.from(batch.fileId(row)),
        path: batch.name(row),
        data: Buffer.from(batch.data(row)),
        offset: batch.offset(row),
        range: batch.range(row),
        bracket: batch.bracket(row),
      };
      const isPart = type === ReplRecordType.folder && record.offset > 0;
      if (isPart) {
        this.parts.set(record.bracket, [...(this.parts.get(record.bracket) ?? []), record]);
        this.emit('part', record.bracket);
        continue;
      }
      const wake = this.awaited.get(sequence);
      if (wake) wake(record);
      else this.records.set(sequence, record);
    }
    this.observed = last;
    if (this.observers > 0) this.emit('seen');
  }

  /** Resolves when all up to `sequence` has been observed. */
  async seen(sequence: number, signal: AbortSignal): Promise<void> {
    while (this.observed < sequence) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.off('seen', done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.on('seen', done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
  }

  /** The record that a SYNC IOCTL has made, once it has come through the stream. */
  async record(sequence: number, signal: AbortSignal): Promise<SyncRecord> {
    const there = this.records.get(sequence);
    if (there) {
      this.records.delete(sequence);
      return there;
    }
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        this.awaited.delete(sequence);
        reject(signal.reason as Error);
      };
      this.awaited.set(sequence, (record) => {
        this.awaited.delete(sequence);
        signal.removeEventListener('abort', aborted);
        resolve(record);
      });
      signal.addEventListener('abort', aborted, { once: true });
      if (signal.aborted) aborted();
    });
  }

  /** The data of a listing, which may be in several records; `count` tells how many entries some data has. */
  async listing(
    sequence: number,
    count: (data: Buffer) => number,
    signal: AbortSignal,
  ): Promise<SyncRecord> {
    const first = await this.record(sequence, signal);
    const all = (): SyncRecord[] => [first, ...(this.parts.get(sequence) ?? [])];
    const enough = (): boolean =>
      all().reduce((sum, { data }) => sum + count(data), 0) >= first.range;
    while (!enough()) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.off('part', done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.on('part', done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
    const data = Buffer.concat(all().map((one) => one.data));
    this.parts.delete(sequence);
    return { ...first, data };
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.all(this.running.values());
    await this.source?.close();
    this.source = null;
  }
}

/** Programs may fill the ring again at once. */
const PLACE_TRIES = 3;

/** Where ring and journal are full there is no place for a bracket; and nobody reads before it is open. */
async function withPlace<T>(source: Source, open: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await open();
    } catch (error) {
      if (tries === PLACE_TRIES || !hasNoPlace(error)) throw error;
    }
    await source.openRing();
  }
}

const NAMING: ReadonlySet<number> = new Set([
  ReplRecordType.create,
  ReplRecordType.rename,
  ReplRecordType.link,
]);

function movedBy(batch: Batch, row: number): Moved {
  const flags = batch.flags(row);
  return {
    setId: batch.set(row),
    // A copy: the ring is written again.
    fileId: Buffer.from(batch.fileId(row)),
    isFolder: (flags & REPL_FLAG_DIRECTORY) !== 0,
    isNew: batch.type(row) === ReplRecordType.create,
  };
}
