/**
 * What is done for one bracket: folders and files are walked through, and of files what differs is sent.
 *
 * Names and metadata come through the stream (SYNC_FOLDER, SYNC_FILE), and so do the blocks that differ
 * (SYNC_RANGE); which those are is found out beside it, by hashes.
 */
import { isNtsError } from '../common/errors.js';
import type { DirtyFile, ReplDriver, SyncTarget } from './client.js';
import {
  REPL_DIRTY_NAMES,
  REPL_DIRTY_REGION,
  REPL_DIRTY_WHOLE,
  type ReplBracketReason,
} from './codec.js';
import { compareFile, pieces } from './compare.js';
import type { SetConfig } from './config.js';
import type { CopyMode } from './copy-mode.js';
import type { Link } from './link.js';
import { type Entry, decodeEntries, decodeMetadata } from './payload.js';
import type { Moved, Pump, SyncRecord } from './pump.js';
import type { Moves } from './sync-moves.js';

const FILE_ATTRIBUTE_DIRECTORY = 0x10;
const FILE_ATTRIBUTE_REPARSE_POINT = 0x400;

/** Files at once: most of a small one's time is its record's way through the ring. */
const PARALLEL = 32;

export interface SyncProgress {
  readonly bracket: number;
  readonly reason: ReplBracketReason;
  readonly sets: readonly string[];
  folders: number;
  files: number;
  /** Compared or sent. */
  bytes: number;
  sentBytes: number;
}

interface FileItem {
  readonly set: SetConfig;
  readonly fileId: Buffer;
  /** null: all of it. */
  readonly ranges: { offset: number; length: number }[] | null;
  /** Without asking what the backups have. */
  readonly outright: boolean;
}

/** What the driver says of a file that was deleted. Anything else is no reason to leave a file out. */
const GONE: ReadonlySet<number> = new Set([
  0xc000000d, // STATUS_INVALID_PARAMETER: of an open by identity
  0xc000000e, // STATUS_NO_SUCH_DEVICE
  0xc000000f, // STATUS_NO_SUCH_FILE
  0xc0000033, // STATUS_OBJECT_NAME_INVALID
  0xc0000034, // STATUS_OBJECT_NAME_NOT_FOUND
  0xc0000039, // STATUS_OBJECT_PATH_INVALID
  0xc000003a, // STATUS_OBJECT_PATH_NOT_FOUND
  0xc0000056, // STATUS_DELETE_PENDING
  0xc00000ba, // STATUS_FILE_IS_A_DIRECTORY
  0xc0000103, // STATUS_NOT_A_DIRECTORY
  0xc0000123, // STATUS_FILE_DELETED
]);

/**
 * What a run found in the way that is gone by now: a file that was deleted. The status is that of this very
 * request. Why the driver refuses is asked for afterwards, and may be the reason of another one that it
 * refused meanwhile.
 */
export function isGone(error: unknown): boolean {
  if (!isNtsError(error)) return false;
  return error.ntstatus !== null && GONE.has(error.ntstatus);
}

/**
 * What a walk looks at: all files; those that a backup does not know; or, where nothing but one folder is
 * new, those alone.
 */
type Walk = 'all' | 'new' | 'entered';

/** The work for one bracket. */
export class SyncRun {
  private readonly working = new Set<Promise<void>>();
  /** Of the sets that are walked through. */
  private readonly walks = new Map<number, Walk>();
  private failure: unknown = null;
  /**
   * False: what may have been lost is sent without a look at what the backups have. What they have is as of
   * the oldest of several brackets: a block that was written since then, and became again what it was by
   * something that was lost, looks equal, but the write is in the stream.
   */
  compares = true;

  constructor(
    private readonly driver: ReplDriver,
    private readonly pump: Pump,
    private readonly links: readonly Link[],
    private readonly copies: CopyMode,
    private readonly moves: Moves,
    private readonly signal: AbortSignal,
    private readonly progress: SyncProgress,
    private readonly changed: () => void,
  ) {}

  /** Everything below a folder: its names, and of files all, or only those that a backup does not know. */
  async tree(set: SetConfig, path: string, what: 'all' | 'new'): Promise<void> {
    this.walks.set(set.id, what);
    await this.folder(set, { path }, what, true);
  }

  private async folder(
    set: SetConfig,
    target: SyncTarget,
    what: 'all' | 'new',
    deep: boolean,
  ): Promise<void> {
    const listed = await this.list(set, target);
    if (!listed) return;
    this.progress.folders += 1;
    if (deep) this.moves.seen(set.id, listed.fileId);
    const entries = decodeEntries(listed.data);
    const known = await this.known(set, entries);
    for (const [i, entry] of entries.entries()) {
      const isFolder = (entry.attributes & FILE_ATTRIBUTE_DIRECTORY) !== 0;
      const isReparse = (entry.attributes & FILE_ATTRIBUTE_REPARSE_POINT) !== 0;
      const isNew = !known[i];
      if (isFolder && !isReparse) {
        const below = { fileId: entry.fileId };
        await this.metadata(set, entry.fileId);
        if (deep || isNew) await this.folder(set, below, isNew ? 'all' : what, true);
      } else if (what === 'all' || isNew) {
        await this.start({ set, fileId: entry.fileId, ranges: null, outright: false });
      }
    }
    this.changed();
  }

  /** Of each entry: whether every backup knows the file. */
  private async known(
    set: SetConfig,
    entries: readonly Pick<Entry, 'fileId'>[],
  ): Promise<boolean[]> {
    const known = entries.map(() => true);
    for (let at = 0; at < entries.length; at += 1024) {
      const names = entries.slice(at, at + 1024).map(({ fileId }) => {
        return { set: set.id, file: fileId.toString('hex') };
      });
      for (const answer of await Promise.all(this.links.map((link) => link.files(names)))) {
        answer.forEach((one, i) => (known[at + i] &&= one !== null));
      }
    }
    return known;
  }

  private async metadata(set: SetConfig, fileId: Buffer): Promise<SyncRecord | null> {
    return this.sync(() => this.driver.syncFile(set.id, { fileId }));
  }

  private async list(set: SetConfig, target: SyncTarget): Promise<SyncRecord | null> {
    const sequence = await this.ask(() => this.driver.syncFolder(set.id, target));
    if (sequence === null) return null;
    const count = (data: Buffer): number => decodeEntries(data).length;
    return this.pump.listing(sequence, count, this.signal);
  }

  /** The record that a SYNC IOCTL makes; null: what it is about is gone. */
  private async sync(ask: () => Promise<number>): Promise<SyncRecord | null> {
    const sequence = await this.ask(ask);
    return sequence === null ? null : this.pump.record(sequence, this.signal);
  }

  private async ask(ask: () => Promise<number>): Promise<number | null> {
    await this.pump.room(this.signal);
    try {
      return await ask();
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  async entered(set: SetConfig, fileId: Buffer | null): Promise<void> {
    if (!fileId) return this.tree(set, '', 'new');
    this.walks.set(set.id, 'entered');
    if (set.mode === 'copy') return this.enteredCopied(set, fileId);
    const record = await this.metadata(set, fileId);
    if (!record) return;
    if ((decodeMetadata(record.data).basic.attributes & FILE_ATTRIBUTE_DIRECTORY) !== 0) {
      await this.folder(set, { fileId }, 'all', true);
    } else await this.start({ set, fileId, ranges: null, outright: false });
  }

  /** The record of a file would begin a copy. */
  private async enteredCopied(set: SetConfig, fileId: Buffer): Promise<void> {
    if (!(await this.list(set, { fileId }))) return;
    await this.metadata(set, fileId);
    await this.folder(set, { fileId }, 'all', true);
  }

  async dirty(sets: readonly SetConfig[], list: readonly DirtyFile[]): Promise<void> {
    const byId = new Map(sets.map((set) => [set.id, set]));
    const trees = new Map<SetConfig, 'all' | 'new'>();
    const regions = new Set<SetConfig>();
    for (const item of list) {
      const set = byId.get(item.setId);
      // Of a set that is not in this bracket: its own will come.
      const concerned = set ? [set] : item.setId === 0 ? sets : [];
      const { fileId } = item;
      const isSet = fileId.every((byte) => byte === 0);
      for (const one of concerned) {
        if ((item.flags & REPL_DIRTY_REGION) !== 0) regions.add(one);
        const isWhole = (item.flags & REPL_DIRTY_WHOLE) !== 0;
        if (isSet) {
          if (isWhole) trees.set(one, 'all');
          else if ((item.flags & REPL_DIRTY_NAMES) !== 0 && !trees.has(one)) trees.set(one, 'new');
          continue;
        }
        if ((item.flags & REPL_DIRTY_NAMES) !== 0) await this.folder(one, { fileId }, 'new', false);
        // Without ranges: what is not data has changed.
        if (one.mode === 'copy') this.copies.add(one.id, fileId);
        const ranges = isWhole ? null : [...item.ranges];
        await this.start({ set: one, fileId, ranges, outright: !isWhole });
      }
    }
    for (const set of regions) {
      if (trees.get(set) === 'all') continue;
      this.walks.set(set.id, 'all');
      await this.regions(set, { path: '' });
    }
    for (const [set, what] of trees) {
      if (what === 'all' || !regions.has(set)) await this.tree(set, '', what);
    }
  }

  /** The driver says of each file what may have changed; all folders are looked at for them. */
  private async regions(set: SetConfig, target: SyncTarget): Promise<void> {
    const listed = await this.list(set, target);
    if (!listed) return;
    this.progress.folders += 1;
    this.moves.seen(set.id, listed.fileId);
    const entries = decodeEntries(listed.data);
    const known = await this.known(set, entries);
    for (const [i, entry] of entries.entries()) {
      const { fileId, size } = entry;
      if ((entry.attributes & FILE_ATTRIBUTE_DIRECTORY) !== 0) {
        if ((entry.attributes & FILE_ATTRIBUTE_REPARSE_POINT) === 0) {
          await this.metadata(set, fileId);
          await this.regions(set, { fileId });
        }
        continue;
      }
      // Metadata of all: that it changed is in no region.
      const ranges = known[i] ? await this.driver.queryRegions(fileId, size) : null;
      await this.start({ set, fileId, ranges, outright: false });
    }
    this.changed();
  }

  /** Starts work on a file; waits where there is enough of it. In copy mode files come by themselves. */
  private async start(item: FileItem): Promise<void> {
    if (item.set.mode === 'copy') return;
    while (this.working.size >= PARALLEL) await Promise.race(this.working);
    if (this.failure) throw this.failure as Error;
    this.signal.throwIfAborted();
    const work: Promise<void> = this.file(item)
      .catch((error: unknown) => {
        this.failure ??= error;
      })
      .finally(() => this.working.delete(work));
    this.working.add(work);
  }

  /** What may have been lost is walked through anew. */
  begin(): void {
    this.moves.begin();
  }

  /** All that was begun has ended, and nothing was missed that moved meanwhile. */
  async settle(sets: readonly SetConfig[]): Promise<void> {
    for (;;) {
      await Promise.all(this.working);
      if (this.failure) throw this.failure as Error;
      this.signal.throwIfAborted();
      if (this.walks.size === 0) return;
      const last = Number((await this.driver.status()).lastSequence);
      const moved = await this.moves.take(last, this.signal);
      if (moved.length === 0) return;
      for (const set of sets) {
        const own = moved.filter(({ setId }) => setId === set.id);
        await this.movedIn(set, own);
      }
    }
  }

  private async movedIn(set: SetConfig, moved: readonly Moved[]): Promise<void> {
    const walk = this.walks.get(set.id);
    if (!walk || moved.length === 0) return;
    const known = await this.known(set, moved);
    for (const [i, { fileId, isFolder }] of moved.entries()) {
      if (!isFolder) {
        if (walk === 'all' || !known[i]) {
          await this.start({ set, fileId, ranges: null, outright: false });
        }
      } else if (walk !== 'entered' || !known[i]) {
        await this.metadata(set, fileId);
        await this.folder(set, { fileId }, walk === 'all' || !known[i] ? 'all' : 'new', true);
      }
    }
  }

  private async file({ set, fileId, ranges, outright }: FileItem): Promise<void> {
    const record = await this.metadata(set, fileId);
    if (!record) return;
    this.progress.files += 1;
    const { size, basic } = decodeMetadata(record.data);
    const special = FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT;
    if ((basic.attributes & special) !== 0) return;
    const whole = [{ offset: 0, length: size }];
    const parts = cut(ranges ?? whole, size);
    const target = { fileId };
    if (outright || !this.compares) {
      for (const part of parts) await this.send(set, target, part);
      return;
    }
    const name = { set: set.id, file: fileId.toString('hex') };
    const read = (offset: number, length: number): Promise<Buffer> =>
      this.driver.readRange(set.id, target, offset, length);
    try {
      for await (const part of compareFile(this.links, name, read, parts)) {
        await this.send(set, target, part);
      }
    } catch (error) {
      if (!isGone(error)) throw error;
    }
    this.progress.bytes += parts.reduce((sum, { length }) => sum + length, 0);
    this.changed();
  }

  private async send(
    set: SetConfig,
    target: SyncTarget,
    range: { offset: number; length: number },
  ): Promise<void> {
    for (const { offset, length } of pieces([range], this.pump.pieceBytes)) {
      await this.pump.room(this.signal);
      try {
        await this.driver.syncRange(set.id, target, offset, length);
      } catch (error) {
        if (!isGone(error)) throw error;
      }
      this.progress.sentBytes += length;
    }
    this.changed();
  }
}

/** Whole blocks, up to the end of the file. */
function cut(
  ranges: readonly { offset: number; length: number }[],
  size: number,
): { offset: number; length: number }[] {
  return ranges.flatMap(({ offset, length }) => {
    const end = Math.min(size, offset + length);
    return end > offset ? [{ offset, length: end - offset }] : [];
  });
}
