/**
 * Copy mode on the primary (NT-SwiFT 1998, section 2.3: the variant that copies whole files): a file that
 * has changed is copied as a whole once it was left alone for IDLE_MILLISECONDS.
 *
 * The driver says of each file that it changes (ReplRecordTouched), once for each copy, before and after the
 * change. A copy goes through the stream (SYNC_FILE, SYNC_RANGEs, SYNC_FILE with REPL_FLAG_COPIED); the backup
 * takes it for nothing if its file was told to change in between, or its size or time differ at the end; then it
 * is copied again. What changed while no service ran, or was lost, is found by sizes and times, after each
 * synchronisation and whenever a backup connects.
 *
 * Nothing is kept: whoever begins anew compares.
 */
import { EventEmitter } from 'node:events';
import { messageOf, ntsError } from '../common/errors.js';
import type { Log } from '../node/log.js';
import type { ReplDriver, SyncTarget } from './client.js';
import { compareFile, pieces } from './compare.js';
import type { SetConfig } from './config.js';
import type { Link } from './link.js';
import { type Entry, type Metadata, decodeEntries, decodeMetadata } from './payload.js';
import type { Known } from './protocol.js';
import type { Pump } from './pump.js';
import { isGone } from './sync-run.js';
import { fileTimeOf } from './time.js';
import { whileStreaming } from './while-streaming.js';

/** A file is idle when it was not written for so long. */
export const IDLE_MILLISECONDS = 1000;

/** Files at once. */
const PARALLEL = 8;

/** Before another attempt after a failure. */
const PAUSE_MILLISECONDS = 1000;

/** Names in one question. */
const NAMES = 256;

const FILE_ATTRIBUTE_DIRECTORY = 0x10;
const FILE_ATTRIBUTE_REPARSE_POINT = 0x400;

interface Item {
  readonly set: number;
  readonly fileId: Buffer;
  /** performance.now() */
  readonly due: number;
}

export class CopyMode {
  private readonly stopping = new AbortController();
  private readonly waitingFor = new Map<string, Item>();
  private readonly working = new Map<string, Promise<void>>();
  private readonly running: Promise<void>;
  private comparing: Promise<void> | null = null;
  /** Sets that are to be compared; true: their contents, too. */
  private readonly toCompare = new Map<number, boolean>();
  private readonly events = new EventEmitter<{ wake: [] }>();
  /** That need not be idle, this time. */
  private hurried = new Set<string>();

  constructor(
    private readonly driver: ReplDriver,
    private readonly pump: Pump,
    private readonly sets: () => readonly SetConfig[],
    private readonly log: Log,
  ) {
    pump.on('touched', (set, fileId) => this.add(set, fileId, IDLE_MILLISECONDS));
    pump.on('connected', () => this.compare(false));
    this.running = this.run();
  }

  /** Files that are to be copied, or are just being; null: that is being found out. */
  get waiting(): number | null {
    if (this.comparing) return null;
    return new Set([...this.waitingFor.keys(), ...this.working.keys()]).size;
  }

  /** The file is to be copied, in so many milliseconds. */
  add(set: number, fileId: Buffer, milliseconds = 0): void {
    const key = `${set}/${fileId.toString('hex')}`;
    this.waitingFor.set(key, { set, fileId, due: performance.now() + milliseconds });
    this.wake();
  }

  private wake(): void {
    this.events.emit('wake');
  }

  /** Looks for files that differ: by size and time, and if asked for by contents. */
  compare(contents: boolean, sets: readonly SetConfig[] = this.sets()): void {
    for (const { id, mode } of sets) {
      if (mode === 'copy') this.toCompare.set(id, contents || (this.toCompare.get(id) ?? false));
    }
    if (this.toCompare.size === 0 || this.stopping.signal.aborted) return;
    this.comparing ??= this.compareAll().finally(() => {
      this.comparing = null;
      this.wake();
    });
  }

  /** Tries once to copy each file that waits now, idle or not. */
  async flush(signal: AbortSignal): Promise<void> {
    await this.comparing;
    if (this.waiting !== 0 && !this.links()) {
      const what = 'files in copy mode wait for a backup that is not connected';
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    this.hurried = new Set(this.waitingFor.keys());
    this.wake();
    try {
      while (this.hurried.size > 0 || this.working.size > 0) {
        signal.throwIfAborted();
        await this.pause(PAUSE_MILLISECONDS);
      }
    } finally {
      this.hurried.clear();
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const now = performance.now();
      let next = Infinity;
      const links = this.links();
      for (const [key, item] of links ? this.waitingFor : []) {
        if (this.working.size >= PARALLEL) break;
        if (this.working.has(key)) continue;
        if (item.due <= now || this.hurried.has(key)) this.start(key, item, links!);
        else next = Math.min(next, item.due);
      }
      await this.pause(Math.min(next - now, 60_000));
    }
  }

  /** null: one is away; it would get nothing of what is copied now, and the journal all of it. */
  private links(): readonly Link[] | null {
    const { streaming, all } = this.pump;
    return streaming.length > 0 && streaming.length === all.length ? streaming : null;
  }

  private async pause(milliseconds: number): Promise<void> {
    if (this.stopping.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.events.off('wake', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.events.on('wake', done);
    });
  }

  private start(key: string, item: Item, links: readonly Link[]): void {
    this.waitingFor.delete(key);
    const work = this.attempt(key, item, links).finally(() => {
      this.working.delete(key);
      this.hurried.delete(key);
      this.wake();
    });
    this.working.set(key, work);
  }

  private async attempt(key: string, item: Item, links: readonly Link[]): Promise<void> {
    const { set, fileId } = item;
    const over = whileStreaming(links, this.stopping.signal);
    const observing = this.pump.observing();
    try {
      if (!(await this.copy(key, item, over.signal))) this.add(set, fileId, IDLE_MILLISECONDS);
    } catch (error) {
      if (this.stopping.signal.aborted || isGone(error)) return;
      this.log.debug({ err: error, set }, 'a file was not copied');
      this.add(set, fileId, PAUSE_MILLISECONDS);
    } finally {
      observing();
      over.end();
    }
  }

  /** False: somebody writes to it. */
  private async copy(key: string, item: Item, signal: AbortSignal): Promise<boolean> {
    const { set, fileId } = item;
    await this.pump.room(signal);
    const begun = await this.driver.syncFile(set, { fileId });
    const { size, basic } = await this.metadata(begun, signal);
    const idle = fileTimeOf(Date.now() - IDLE_MILLISECONDS);
    if (!this.hurried.has(key) && basic.lastWriteTime > idle) return false;
    if ((basic.attributes & FILE_ATTRIBUTE_REPARSE_POINT) === 0) {
      for (const piece of pieces(whole(size), this.pump.pieceBytes)) {
        await this.pump.room(signal);
        // It has changed, and waits already to be copied again.
        if (this.waitingFor.has(key)) return true;
        await this.driver.syncRange(set, { fileId }, piece.offset, piece.length);
      }
    }
    const ended = await this.driver.fileCopied(set, { fileId }, begun);
    const now = await this.metadata(ended, signal);
    return now.size === size && now.basic.lastWriteTime === basic.lastWriteTime;
  }

  private async metadata(sequence: number, signal: AbortSignal): Promise<Metadata> {
    return decodeMetadata((await this.pump.record(sequence, signal)).data);
  }

  private async compareAll(): Promise<void> {
    const links = this.links();
    // Whoever connects asks again.
    if (!links) return;
    const over = whileStreaming(links, this.stopping.signal);
    const observing = this.pump.observing();
    try {
      for (let entry = first(this.toCompare); entry; entry = first(this.toCompare)) {
        const [id, contents] = entry;
        this.toCompare.delete(id);
        const set = this.sets().find((one) => one.id === id);
        const last = Number((await this.driver.status()).lastSequence);
        for (const link of links) await link.reached('applied', last, over.signal);
        if (set) await this.compareFolder(set, { path: '' }, links, contents, over.signal);
      }
    } catch (error) {
      if (!over.signal.aborted) {
        this.log.warn({ why: messageOf(error) }, 'files were not compared');
      }
    } finally {
      observing();
      over.end();
    }
  }

  private async compareFolder(
    set: SetConfig,
    target: SyncTarget,
    links: readonly Link[],
    contents: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    await this.pump.room(signal);
    const count = (data: Buffer): number => decodeEntries(data).length;
    const sequence = await this.driver.syncFolder(set.id, target);
    const entries = decodeEntries((await this.pump.listing(sequence, count, signal)).data);
    const isFolder = ({ attributes }: Entry): boolean =>
      (attributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)) ===
      FILE_ATTRIBUTE_DIRECTORY;
    const files = entries.filter((entry) => !isFolder(entry));
    for (let at = 0; at < files.length; at += NAMES) {
      signal.throwIfAborted();
      const some = files.slice(at, at + NAMES);
      const names = some.map(({ fileId }) => ({ set: set.id, file: fileId.toString('hex') }));
      const answers = await Promise.all(links.map((link) => link.files(names)));
      for (const [i, entry] of some.entries()) {
        const there = answers.map((answer) => answer[i] ?? null);
        const differs =
          there.some((one) => !sameFile(entry, one)) ||
          (contents && (await this.contentsDiffer(set.id, entry, links)));
        if (differs) this.add(set.id, entry.fileId);
      }
    }
    for (const { fileId } of entries.filter(isFolder)) {
      try {
        await this.compareFolder(set, { fileId }, links, contents, signal);
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    }
  }

  private async contentsDiffer(
    set: number,
    { fileId, size, attributes }: Entry,
    links: readonly Link[],
  ): Promise<boolean> {
    if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) !== 0) return false;
    const read = (offset: number, length: number): Promise<Buffer> =>
      this.driver.readRange(set, { fileId }, offset, length);
    const name = { set, file: fileId.toString('hex') };
    try {
      const ranges = compareFile(links, name, read, whole(size));
      return (await ranges[Symbol.asyncIterator]().next()).done !== true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.stopping.abort(ntsError('NTS_ERR_CANCELLED', { what: 'copying' }));
    this.wake();
    await this.running;
    await Promise.all([this.comparing, ...this.working.values()]);
  }
}

function whole(size: number): { offset: number; length: number }[] {
  return size === 0 ? [] : [{ offset: 0, length: size }];
}

function first<K, V>(map: ReadonlyMap<K, V>): [K, V] | undefined {
  for (const entry of map) return entry;
  return undefined;
}

/** By what a file system tells without a look at the contents. */
function sameFile(here: Entry, there: Known): boolean {
  // A change time of 0: it has another file's content until its own comes.
  if (there?.write !== String(here.lastWriteTime) || there.change === '0') return false;
  return (here.attributes & FILE_ATTRIBUTE_REPARSE_POINT) !== 0 || there.size === here.size;
}
