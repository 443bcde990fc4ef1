/**
 * A REPL driver in this process over a real folder: what the methods of FolderDriver do there becomes
 * records, in ring, journal or dirty list, as the contract says. Programs do not reach it.
 */
import {
  type BigIntStats,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeSync,
  closeSync,
} from 'node:fs';
import path from 'node:path';
import { ntsError } from '../../../userland/common/errors.js';
import type {
  BracketStatus,
  DirtyFile,
  Progress,
  ReplDriver,
  SyncTarget,
} from '../../../userland/repl/client.js';
import {
  REPL_DIRTY_NAMES,
  REPL_DIRTY_WHOLE,
  REPL_FLAG_CLOSE,
  REPL_FLAG_DIRECTORY,
  REPL_FLAG_LAST_LINK,
  REPL_FLAG_OPEN,
  REPL_FLAG_REPLACE,
  REPL_FLAG_SYNC,
  REPL_RECORD_MAGIC,
  REPL_RING_HEADER_BYTES,
  ReplBracketInfo,
  ReplBracketReason,
  ReplRecordType,
  ReplRefusalReason,
  ReplRoleKind,
  ReplState,
  ReplStatus,
} from '../../../userland/repl/codec.js';
import type { DriverConfig } from '../../../userland/repl/driver-config.js';
import type { LentRing } from '../../../userland/repl/lent-ring.js';
import { encodeEntries, encodeMetadata } from '../../../userland/repl/payload.js';
import { type RecordFields, buildRecord } from '../../../userland/repl/record.js';
import { replRefusal } from '../../../userland/repl/refusal.js';
import { fileTimeOf } from '../../../userland/repl/time.js';

const SET = 1;
const PAD = 16;

interface Stored {
  readonly sequence: number;
  readonly bytes: Buffer;
}

interface Ring extends LentRing {
  head_: number;
  tail: number;
  closed_: boolean;
  open: boolean;
  readonly unread: { readonly sequence: number; readonly bytes: Buffer; readonly end: number }[];
  end(): void;
}

/** STATUS_INVALID_PARAMETER; STATUS_DEVICE_NOT_READY: there is no place for a record. */
const INVALID = 0xc000000d;
const NOT_READY = 0xc00000a3;

function refused(reason: keyof typeof ReplRefusalReason, status = 0): Error {
  const cause = ntsError(
    'NTS_ERR_IO',
    { what: 'the driver', why: 'refused' },
    { ntstatus: status === 0 ? (reason === 'ring' ? NOT_READY : INVALID) : status },
  );
  return replRefusal({ reason: ReplRefusalReason[reason], index: 0, status }, cause);
}

export class FolderDriver implements ReplDriver {
  last = 0;
  acknowledged = 0;
  role: ReplRoleKind = ReplRoleKind.none;
  epoch = 0;
  journal: Stored[] = [];
  journalBytes = 64 << 20;
  lostCount = 0;
  /** So many SYNC_FILE fail for want of memory. */
  shortages = 0;
  /** How many READ_JOURNALs gave something. */
  journalReads = 0;
  rangeBytes = 0;
  private lost = false;
  private configuration: DriverConfig | null = null;
  private generation = 0n;
  private ring: Ring | null = null;
  private open: BracketStatus[] = [];
  private dirty = new Map<string, DirtyFile>();
  private taken: DirtyFile[] = [];
  private listeners = new Set<() => void>();
  private time = fileTimeOf(Date.now());

  constructor(readonly folder: string) {}

  // What programs do.

  create(name: string): void {
    const fd = openSync(this.at(name), 'wx', 0o644);
    closeSync(fd);
    this.record(
      { type: ReplRecordType.create, ...this.about(name), data: this.metadata(name) },
      true,
    );
  }

  makeFolder(name: string): void {
    mkdirSync(this.at(name), 0o755);
    const fields = { type: ReplRecordType.create, flags: REPL_FLAG_DIRECTORY, ...this.about(name) };
    this.record({ ...fields, data: this.metadata(name) }, true);
  }

  write(name: string, offset: number, data: Buffer): void {
    const fd = openSync(this.at(name), 'r+');
    writeSync(fd, data, 0, data.length, offset);
    closeSync(fd);
    const fields = { type: ReplRecordType.write, ...this.about(name), offset, range: data.length };
    this.record({ ...fields, data }, false);
  }

  resize(name: string, size: number): void {
    const fd = openSync(this.at(name), 'r+');
    ftruncateSync(fd, size);
    closeSync(fd);
    this.record({ type: ReplRecordType.setSize, ...this.about(name), offset: size }, true);
  }

  /** Nobody saw which files: by the disk itself. */
  writeUnseen(name: string, offset: number, data: Buffer): void {
    const fd = openSync(this.at(name), 'r+');
    writeSync(fd, data, 0, data.length, offset);
    closeSync(fd);
    const flags = REPL_DIRTY_NAMES | REPL_DIRTY_WHOLE;
    this.dirty.set('all', { setId: 0, fileId: Buffer.alloc(16), flags, ranges: [] });
    this.lose();
  }

  /** There was no memory to record it. */
  resizeUnrecorded(name: string, size: number): void {
    const fd = openSync(this.at(name), 'r+');
    ftruncateSync(fd, size);
    closeSync(fd);
    const fileId = Buffer.from(this.about(name).fileId);
    this.dirty.set(`${fileId.toString('hex')} size`, { setId: SET, fileId, flags: 0, ranges: [] });
    this.lose();
  }

  private lose(): void {
    this.lost = true;
    this.lostCount += 1;
    if (this.ring) {
      this.ring.open = false;
      this.ring.closed_ = true;
    }
    this.changed();
  }

  rename(from: string, to: string): void {
    const replaces = exists(this.at(to));
    const fields = { type: ReplRecordType.rename, ...this.about(from) };
    renameSync(this.at(from), this.at(to));
    const flags = (replaces ? REPL_FLAG_REPLACE : 0) | this.kindFlag(to);
    this.record({ ...fields, flags, data: Buffer.from(nt(to), 'utf16le') }, true);
  }

  remove(name: string): void {
    const flags = REPL_FLAG_LAST_LINK | this.kindFlag(name);
    const fields = { type: ReplRecordType.delete, ...this.about(name), flags };
    if ((flags & REPL_FLAG_DIRECTORY) !== 0) rmdirSync(this.at(name));
    else unlinkSync(this.at(name));
    this.record(fields, true);
  }

  private at(name: string): string {
    return path.join(this.folder, name);
  }

  private kindFlag(name: string): number {
    return lstatSync(this.at(name)).isDirectory() ? REPL_FLAG_DIRECTORY : 0;
  }

  private about(name: string): { fileId: Buffer; name: string; setId: number } {
    return { fileId: idOf(lstatSync(this.at(name), { bigint: true })), name: nt(name), setId: SET };
  }

  private metadata(name: string): Buffer {
    const stat = lstatSync(this.at(name), { bigint: true });
    const time = (ns: bigint): bigint => ns / 100n + 116_444_736_000_000_000n;
    return encodeMetadata({
      basic: {
        creationTime: time(stat.birthtimeNs),
        lastAccessTime: time(stat.atimeNs),
        lastWriteTime: time(stat.mtimeNs),
        changeTime: time(stat.ctimeNs),
        attributes: stat.isDirectory() ? 0x10 : 0x20,
      },
      size: stat.isDirectory() ? 0 : Number(stat.size),
      allocation: 0,
      links: 1,
      security: Buffer.alloc(0),
      ea: Buffer.alloc(0),
      reparse: Buffer.alloc(0),
    });
  }

  // The stream.

  /** 0: it was not recorded. */
  private record(fields: Omit<RecordFields, 'sequence'>, isName: boolean): number {
    if (this.role !== ReplRoleKind.primary) throw new Error('the driver captures nothing now');
    if (this.lost) {
      this.mark(fields, isName);
      return 0;
    }
    const sequence = this.last + 1;
    this.time += 1n;
    const own = ((fields.flags ?? 0) & REPL_FLAG_OPEN) !== 0 ? { bracket: sequence } : {};
    const bytes = buildRecord({ ...fields, ...own, sequence, epoch: this.epoch, time: this.time });
    if (!this.place(sequence, bytes)) {
      this.lost = true;
      this.lostCount += 1;
      this.mark(fields, isName);
      this.changed();
      return 0;
    }
    this.last = sequence;
    if (((fields.flags ?? 0) & REPL_FLAG_OPEN) !== 0) {
      const reason =
        fields.type === ReplRecordType.lost
          ? ReplBracketReason.lost
          : (ReplBracketInfo.decode(Buffer.from(fields.data!)).reason as ReplBracketReason);
      this.open.push({ bracket: sequence, setId: fields.setId ?? 0, reason, fileId: null });
    }
    this.changed();
    return sequence;
  }

  private mark(fields: Omit<RecordFields, 'sequence'>, isName: boolean): void {
    const key = isName ? 'names' : Buffer.from(fields.fileId!).toString('hex');
    const ranges = isName ? [] : [{ offset: fields.offset!, length: fields.range! }];
    const present = this.dirty.get(key);
    this.dirty.set(key, {
      setId: SET,
      fileId: isName ? Buffer.alloc(16) : Buffer.from(fields.fileId!),
      flags: isName ? REPL_DIRTY_NAMES : 0,
      ranges: [...(present?.ranges ?? []), ...ranges],
    });
    if (isName && fields.type === ReplRecordType.setSize) this.markWhole(fields.fileId!);
  }

  private markWhole(fileId: Uint8Array): void {
    const key = `${Buffer.from(fileId).toString('hex')} whole`;
    this.dirty.set(key, { setId: SET, fileId: Buffer.from(fileId), flags: 1, ranges: [] });
  }

  private place(sequence: number, bytes: Buffer): boolean {
    const { ring } = this;
    if (ring?.open) {
      const size = ring.data.length;
      const at = ring.head_ % size;
      const pad = at + bytes.length > size ? size - at : 0;
      if (ring.head_ + pad + bytes.length - ring.tail <= size) {
        if (pad > 0) {
          ring.data.fill(0, at);
          ring.data.writeUInt32LE(REPL_RECORD_MAGIC, at);
          ring.data.writeUInt32LE(pad, at + 4);
          if (pad < PAD) throw new Error('a record is no multiple of 8');
        }
        ring.data.set(bytes, (ring.head_ + pad) % size);
        ring.head_ += pad + bytes.length;
        ring.unread.push({ sequence, bytes, end: ring.head_ });
        return true;
      }
      ring.open = false;
      ring.closed_ = true;
    }
    const used = this.journal.reduce((sum, one) => sum + one.bytes.length, 0);
    if (used + bytes.length > this.journalBytes) return false;
    this.journal.push({ sequence, bytes });
    return true;
  }

  private changed(): void {
    for (const listener of [...this.listeners]) listener();
  }

  private async until(done: () => boolean, signal?: AbortSignal): Promise<void> {
    while (!done()) {
      if (signal?.aborted) throw ntsError('NTS_ERR_CANCELLED', { what: 'the request' });
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.listeners.delete(wake);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        this.listeners.add(wake);
        signal?.addEventListener('abort', wake, { once: true });
      });
    }
  }

  private get state(): ReplState {
    if (this.role !== ReplRoleKind.primary) return ReplState.idle;
    if (this.lost) return ReplState.dirty;
    return this.ring?.open ? ReplState.ring : ReplState.journal;
  }

  // The contract.

  config(): Promise<DriverConfig> {
    const none = {
      generation: 0n,
      streamId: new Uint8Array(16),
      stagingBytes: 0,
      journalBytes: 0n,
      blockMs: 0,
      durableWaitMs: 0,
      sets: [],
      rules: [],
    };
    return Promise.resolve(this.configuration ?? none);
  }

  setConfig(config: DriverConfig): Promise<void> {
    if (config.generation !== this.generation) return Promise.reject(refused('generation'));
    this.generation += 1n;
    this.configuration = { ...config, generation: this.generation };
    return Promise.resolve();
  }

  setRole(role: ReplRoleKind, epoch: number, sequence = 0): Promise<void> {
    if (epoch < this.epoch) return Promise.reject(refused('epoch'));
    if (sequence > this.last) this.last = this.acknowledged = sequence;
    this.role = role;
    this.epoch = epoch;
    this.changed();
    return Promise.resolve();
  }

  status(): Promise<ReplStatus> {
    const zero = ReplStatus.decode(Buffer.alloc(ReplStatus.size));
    return Promise.resolve({
      ...zero,
      role: this.role,
      state: this.state,
      epoch: BigInt(this.epoch),
      lastSequence: BigInt(this.last),
      completedSequence: BigInt(this.last),
      acknowledged: BigInt(this.acknowledged),
      openBrackets: this.open.length,
      dirtyFiles: this.dirty.size + this.taken.length,
    });
  }

  lend(bytes: number, after: number): LentRing {
    if (this.ring || after > this.last) {
      const done = Promise.reject(refused('ring'));
      done.catch(() => undefined);
      const data = Buffer.alloc(0);
      const nothing = { head: () => 0, closed: () => true, release: () => undefined };
      return { ready: done, done, data, ...nothing, cancel: () => undefined };
    }
    const first = this.journal[0]?.sequence ?? this.last + 1;
    if (after + 1 < first) {
      this.journal = [];
      this.lost = true;
      this.dirty.set('names', {
        setId: SET,
        fileId: Buffer.alloc(16),
        flags: REPL_DIRTY_NAMES,
        ranges: [],
      });
      this.markAll('');
    }
    let finish: (error?: Error) => void = () => undefined;
    const done = new Promise<void>((resolve, reject) => {
      finish = (error) => (error ? reject(error) : resolve());
    });
    done.catch(() => undefined);
    const ring: Ring = {
      data: Buffer.alloc(2 ** Math.floor(Math.log2(bytes - REPL_RING_HEADER_BYTES))),
      ready: Promise.resolve(),
      done,
      head_: 0,
      tail: 0,
      closed_: true,
      open: false,
      unread: [],
      head: () => ring.head_,
      closed: () => ring.closed_,
      release: (position) => {
        if (position < ring.tail || position > ring.head_) throw new Error(`tail ${position}`);
        ring.tail = position;
        while (ring.unread.length > 0 && ring.unread[0]!.end <= position) ring.unread.shift();
        this.changed();
      },
      cancel: () => this.revoke(),
      end: () => finish(),
    };
    this.ring = ring;
    return ring;
  }

  private markAll(below: string): void {
    for (const entry of readdirSync(this.at(below), { withFileTypes: true })) {
      const name = path.join(below, entry.name);
      if (entry.isDirectory()) this.markAll(name);
      else this.markWhole(idOf(lstatSync(this.at(name), { bigint: true })));
    }
  }

  /** The reader is gone: what it has not released comes again. */
  revoke(): void {
    const { ring } = this;
    if (!ring) return;
    this.ring = null;
    this.journal = [...this.journal, ...ring.unread].sort((a, b) => a.sequence - b.sequence);
    for (const item of this.taken.splice(0)) this.dirty.set(`${this.dirty.size} again`, item);
    ring.end();
    this.changed();
  }

  async wait(head: number, state: ReplState, signal?: AbortSignal): Promise<Progress> {
    await this.until(
      () =>
        this.state !== state ||
        (this.ring !== null && (this.ring.head_ > head || this.ring.closed_)),
      signal,
    );
    return { head: this.ring?.head_ ?? 0, completed: this.last, state: this.state };
  }

  async readJournal(after: number, bytes: number, signal?: AbortSignal): Promise<Buffer> {
    let found: Buffer | null = null;
    await this.until(() => (found = this.journalAfter(after, bytes)) !== null, signal);
    return found!;
  }

  private journalAfter(after: number, bytes: number): Buffer | null {
    const list = this.journal.filter((one) => one.sequence > after);
    let length = 0;
    const fits = list.filter((one) => (length += one.bytes.length) <= bytes);
    if (fits.length > 0) {
      this.journalReads += 1;
      return Buffer.concat(fits.map((one) => one.bytes));
    }
    const { ring } = this;
    if (!ring) return null;
    if (ring.open) return Buffer.alloc(0);
    if ((ring.head_ - ring.tail) * 2 > ring.data.length) return null;
    ring.open = true;
    ring.closed_ = false;
    if (this.lost) {
      this.lost = false;
      const flags = REPL_FLAG_OPEN;
      this.record({ type: ReplRecordType.lost, flags }, true);
    }
    return Buffer.alloc(0);
  }

  acknowledge(sequence: number): Promise<void> {
    if (sequence > this.last) return Promise.reject(refused('sequence'));
    this.acknowledged = Math.max(this.acknowledged, sequence);
    this.journal = this.journal.filter((one) => one.sequence > sequence);
    this.changed();
    return Promise.resolve();
  }

  bookmark(label: string): Promise<number> {
    return this.made({ type: ReplRecordType.bookmark, name: label });
  }

  private made(fields: Omit<RecordFields, 'sequence'>): Promise<number> {
    const sequence = this.lost ? 0 : this.record(fields, true);
    return sequence === 0 ? Promise.reject(refused('ring')) : Promise.resolve(sequence);
  }

  openBracket(setId: number, reason: ReplBracketReason): Promise<number> {
    const data = ReplBracketInfo.encode({ reason });
    return this.made({ type: ReplRecordType.bracket, flags: REPL_FLAG_OPEN, setId, data });
  }

  async closeBracket(bracket: number): Promise<number> {
    const found = this.open.find((one) => one.bracket === bracket);
    const lossy = found?.reason === ReplBracketReason.lost;
    if (!found || (lossy && this.dirty.size > 0)) throw refused('bracket');
    const data = ReplBracketInfo.encode({ reason: found.reason });
    const { setId } = found;
    const type = ReplRecordType.bracket;
    const sequence = await this.made({ type, flags: REPL_FLAG_CLOSE, setId, bracket, data });
    this.open = this.open.filter((one) => one !== found);
    if (!this.open.some((one) => one.reason === ReplBracketReason.lost)) this.taken = [];
    return sequence;
  }

  brackets(): Promise<BracketStatus[]> {
    return Promise.resolve([...this.open]);
  }

  private find(target: SyncTarget, below = ''): string | null {
    if ('path' in target) {
      const name = target.path.replaceAll('\\', '/');
      return exists(this.at(name)) ? name : null;
    }
    for (const entry of readdirSync(this.at(below), { withFileTypes: true })) {
      const name = path.join(below, entry.name);
      if (idOf(lstatSync(this.at(name), { bigint: true })).equals(Buffer.from(target.fileId))) {
        return name;
      }
      const deeper = entry.isDirectory() ? this.find(target, name) : null;
      if (deeper !== null) return deeper;
    }
    return null;
  }

  syncFolder(_: number, target: SyncTarget): Promise<number> {
    const name = this.find(target);
    if (name === null) return Promise.reject(refused('file'));
    const entries = readdirSync(this.at(name)).map((child) => {
      const stat = lstatSync(this.at(path.join(name, child)), { bigint: true });
      return {
        fileId: idOf(stat),
        size: stat.isDirectory() ? 0 : Number(stat.size),
        lastWriteTime: 0n,
        changeTime: 0n,
        attributes: stat.isDirectory() ? 0x10 : 0x20,
        name: child,
      };
    });
    const flags = REPL_FLAG_SYNC | REPL_FLAG_DIRECTORY;
    const type = ReplRecordType.folder;
    const range = entries.length;
    return this.made({ type, flags, ...this.about(name), range, data: encodeEntries(entries) });
  }

  syncFile(_: number, target: SyncTarget): Promise<number> {
    if (this.shortages > 0) {
      this.shortages -= 1;
      return Promise.reject(refused('file', 0xc000009a));
    }
    const name = this.find(target);
    if (name === null) return Promise.reject(refused('file'));
    const flags = REPL_FLAG_SYNC | this.kindFlag(name);
    const type = ReplRecordType.file;
    return this.made({ type, flags, ...this.about(name), data: this.metadata(name) });
  }

  fileCopied(): Promise<number> {
    return Promise.reject(refused('mode'));
  }

  syncRange(
    _: number,
    target: SyncTarget,
    offset: number,
    length: number,
    flags = 0,
  ): Promise<number> {
    const name = this.find(target);
    if (name === null) return Promise.reject(refused('file'));
    const data = this.bytesAt(name, offset, length);
    this.rangeBytes += data.length;
    return this.made({
      type: ReplRecordType.write,
      flags: REPL_FLAG_SYNC | flags,
      ...this.about(name),
      offset,
      range: data.length,
      data,
    });
  }

  readRange(_: number, target: SyncTarget, offset: number, length: number): Promise<Buffer> {
    const name = this.find(target);
    return name === null
      ? Promise.reject(refused('file'))
      : Promise.resolve(this.bytesAt(name, offset, length));
  }

  private bytesAt(name: string, offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const fd = openSync(this.at(name), 'r');
    const got = readSync(fd, bytes, 0, length, offset);
    closeSync(fd);
    return bytes.subarray(0, got);
  }

  takeDirty(): Promise<DirtyFile | null> {
    const [first] = this.dirty;
    if (!first) return Promise.resolve(null);
    this.dirty.delete(first[0]);
    this.taken.push(first[1]);
    return Promise.resolve(first[1]);
  }

  /** It never crashes. */
  queryRegions(): Promise<{ offset: number; length: number }[]> {
    return Promise.resolve([]);
  }

  trust(): Promise<void> {
    return Promise.resolve();
  }

  /** The handle: what it lent is over. */
  close(): Promise<void> {
    this.revoke();
    return Promise.resolve();
  }
}

function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function nt(name: string): string {
  return name.replaceAll('/', '\\');
}

function idOf({ ino }: BigIntStats): Buffer {
  const id = Buffer.alloc(16);
  id.writeBigUInt64LE(ino);
  return id;
}
