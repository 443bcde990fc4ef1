/**
 * A primary at work: random operations on a model, and the records that the driver would make of them.
 * `points` is the model after each record at which no bracket is open.
 */
import {
  REPL_FLAG_CLOSE,
  REPL_FLAG_DIRECTORY,
  REPL_FLAG_ENTERED,
  REPL_FLAG_LAST_LINK,
  REPL_FLAG_LEFT,
  REPL_FLAG_OPEN,
  REPL_FLAG_REPLACE,
  REPL_FLAG_STREAM,
  REPL_FLAG_SUPERSEDE,
  REPL_FLAG_SYNC,
  REPL_FLAG_VERIFY,
  ReplBracketInfo,
  ReplBracketReason,
  ReplRecordType as T,
  ReplStart,
} from '../../userland/repl/codec.js';
import {
  ReparseTag,
  encodeEa,
  encodeEntries,
  encodeMetadata,
  encodeReparse,
} from '../../userland/repl/payload.js';
import { buildRecord } from '../../userland/repl/record.js';
import { FILETIME_1970 } from '../../userland/repl/time.js';
import { CopyWorkload, type Fields } from './copy-workload.js';
import { type Found, Inode, Model, entriesOf, hash, isRoot } from './model.js';
import { Random } from './random.js';

export const STREAM_ID = Buffer.from('00112233445566778899aabbccddeeff', 'hex');

const START = FILETIME_1970 + 17_000_000_000_000_000n;
const BLOCK = 4096;

export interface Point {
  readonly sequence: number;
  readonly dump: string[];
}

export interface WorkloadOptions {
  readonly operations: number;
  readonly sets?: number;
  /** Bytes of a write, at most. */
  readonly writeBytes?: number;
  readonly brackets?: boolean;
  /** Most of it in copy mode, with more brackets than usual. */
  readonly copies?: boolean;
}

export class Workload {
  readonly records: Buffer[] = [];
  /** By sequence: the state after it. Records inside of brackets have none. */
  readonly points = new Map<number, string[]>();
  readonly bookmarks = new Map<string, number>();
  readonly times = new Map<number, bigint>();
  /** Differences that VERIFY records must report: sequence -> blocks. */
  readonly differences = new Map<number, number>();
  sequence = 0;
  private readonly model = new Model();
  private readonly random: Random;
  private readonly sets: number;
  private readonly writeBytes: number;
  private epoch = 1;
  private nextId = 1;
  private nextName = 1;
  private open = 0;
  private bracket = 0;
  /** Operations happen, and nobody records them. */
  private silent = false;
  private mayBracket: boolean;
  private readonly bracketChance: number = 0.02;
  /** The set after the others is in copy mode. */
  private readonly copies: CopyWorkload;

  constructor(
    readonly seed: number,
    options: WorkloadOptions,
  ) {
    this.random = new Random(seed);
    this.sets = options.sets ?? 2;
    this.writeBytes = options.writeBytes ?? 9000;
    this.mayBracket = options.brackets ?? true;
    this.copies = new CopyWorkload(this.sets + 1, {
      random: this.random,
      root: this.model.root(this.sets + 1),
      emit: (fields) => this.emit(fields),
      point: () => this.point(),
      now: () => this.now(),
      id: () => this.id(),
      name: () => this.name(),
      metadata: (inode) => this.metadata(inode),
      own: (inode) => this.owned(inode),
    });
    if (options.copies) {
      this.bracketChance = 0.08;
      this.operations.at(-1)![0] = 400;
    }
    this.start(0, false);
    this.point();
    if (this.random.chance(0.3)) this.initial(1);
    for (let i = 0; i < options.operations; i++) this.step();
    this.finish();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.records);
  }

  private now(): bigint {
    return START + BigInt(this.sequence) * 1_234_567n;
  }

  private emit(fields: Fields): number {
    if (this.silent) return 0;
    this.sequence += 1;
    const opens = ((fields.flags ?? 0) & REPL_FLAG_OPEN) !== 0;
    const closes = ((fields.flags ?? 0) & REPL_FLAG_CLOSE) !== 0;
    const own = opens ? this.sequence : this.bracket;
    const time = this.now();
    this.records.push(
      buildRecord({
        ...fields,
        bracket: fields.bracket ?? own,
        sequence: this.sequence,
        epoch: this.epoch,
        time,
      }),
    );
    this.times.set(this.sequence, time);
    if (opens) this.open += 1;
    if (closes) this.open -= 1;
    return this.sequence;
  }

  /** After the model has changed as the record says. */
  private point(): void {
    if (this.silent || this.open > 0) return;
    this.points.set(this.sequence, [...this.model.dump(), ...this.copies.orphans()].sort());
  }

  private start(jump: number, unclean: boolean): number {
    const previous = this.sequence;
    this.sequence += jump;
    return this.emit({
      type: T.start,
      flags: unclean ? REPL_FLAG_OPEN : 0,
      data: ReplStart.encode({
        streamId: STREAM_ID,
        previous: BigInt(previous),
        unclean: unclean ? 1 : 0,
      }),
    });
  }

  // What there is

  private set(): number {
    return 1 + this.random.below(this.sets);
  }

  private some(set: number, wanted: (one: Found) => boolean): Found | null {
    const all = this.model.all(set).filter(wanted);
    return all.length === 0 ? null : this.random.pick(all);
  }

  private folder(set: number): { inode: Inode; path: string } {
    const found = this.random.chance(0.4) ? null : this.some(set, (one) => isFolder(one));
    return found ?? { inode: this.model.root(set), path: '' };
  }

  private name(): string {
    const number = this.nextName++;
    return this.random.chance(0.05)
      ? this.random.pick([`ümlaut ${number}`, `a%b ${number}`, `.hidden${number}`, `日本${number}`])
      : `${this.random.pick(['f', 'doc', 'x'])}${number % 12}`;
  }

  private freePlace(set: number): { parent: Inode; name: string; path: string } | null {
    const { inode, path } = this.folder(set);
    const name = this.name();
    if (inode.entries.has(name) || path.split('\\').length > 6) return null;
    return { parent: inode, name, path: path === '' ? name : `${path}\\${name}` };
  }

  private id(): Buffer {
    const id = Buffer.alloc(16);
    id.writeUInt32LE(this.nextId++, 0);
    id.writeUInt32LE(this.seed >>> 0, 8);
    return id;
  }

  private ea(inode: Inode, all: boolean): Buffer {
    const list: [string, Buffer][] = [];
    const number = (value: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(value >>> 0, 0);
      return bytes;
    };
    if (inode.uid !== null) list.push(['$LXUID', number(inode.uid)]);
    if (inode.gid !== null) list.push(['$LXGID', number(inode.gid)]);
    const usual = inode.shape === 'folder' ? 0o755 : 0o644;
    if (inode.mode !== usual || all) list.push(['$LXMOD', number(inode.mode)]);
    for (const [name, value] of inode.xattrs) list.push([name, Buffer.from(value, 'latin1')]);
    return encodeEa(list.map(([name, value]) => ({ flags: 0, name, value })));
  }

  private metadata(inode: Inode): Buffer {
    return encodeMetadata({
      basic: {
        creationTime: inode.write,
        lastAccessTime: inode.write,
        lastWriteTime: inode.write,
        changeTime: inode.write,
        attributes: inode.shape === 'folder' ? 0x10 : 0x20,
      },
      size: inode.data.length,
      allocation: 0,
      links: 1,
      security: securities.get(inode.security) ?? Buffer.alloc(0),
      ea: this.ea(inode, false),
      reparse: reparseOf(inode),
    });
  }

  // Operations

  private readonly operations: [weight: number, run: (set: number) => void][] = [
    [20, (set) => this.create(set)],
    [40, (set) => this.write(set)],
    [8, (set) => this.resize(set)],
    [14, (set) => this.rename(set)],
    [5, (set) => this.link(set)],
    [10, (set) => this.delete(set)],
    [8, (set) => this.makeFolder(set)],
    [4, (set) => this.special(set)],
    [8, (set) => this.attributes(set)],
    [8, (set) => this.stream(set)],
    [5, (set) => this.overwrite(set)],
    [4, () => this.marker()],
    [3, (set) => this.verify(set)],
    [40, () => this.copyMode()],
  ];

  private step(): void {
    if (this.mayBracket && this.open === 0 && this.random.chance(this.bracketChance)) {
      this.random.pick([
        () => this.resync(ReplBracketReason.lost),
        () => this.resync(ReplBracketReason.crash),
        () => this.resync(ReplBracketReason.resync),
        () => this.enter(this.set()),
        () => this.leave(this.set()),
        () => this.initial(this.set()),
      ])();
      return;
    }
    this.operate();
  }

  private operate(): void {
    const total = this.operations.reduce((sum, [weight]) => sum + weight, 0);
    let at = this.random.below(total);
    const set = this.set();
    for (const [weight, run] of this.operations) {
      at -= weight;
      if (at < 0) {
        run(set);
        return;
      }
    }
  }

  private copyMode(): void {
    if (this.silent) return;
    for (let i = 0; i < 3; i++) this.copies.step();
  }

  /** Nothing is left of copies that were begun; of files that nobody can know to be gone after a start. */
  private finish(): void {
    if (this.random.chance(0.5)) return;
    this.copies.finish();
    this.copies.lost();
    this.start(0, false);
    this.point();
  }

  private create(set: number): void {
    const place = this.freePlace(set);
    if (!place) return;
    const inode = new Inode(this.id(), 'file');
    this.made(set, place, inode, 0);
  }

  private made(
    set: number,
    place: { parent: Inode; name: string; path: string },
    inode: Inode,
    flags: number,
  ): void {
    if (this.random.chance(0.3)) this.owned(inode);
    // The time of the record that follows.
    inode.write = START + BigInt(this.sequence + 1) * 1_234_567n;
    place.parent.entries.set(place.name, inode);
    this.emit({
      type: T.create,
      flags,
      setId: set,
      fileId: inode.id,
      name: place.path,
      data: this.metadata(inode),
    });
    this.point();
  }

  private owned(inode: Inode): void {
    // An ordinary user must still be able to open it.
    inode.mode = this.random.pick(isRoot ? [0o600, 0o640, 0o755, 0o4755, 0o444] : [0o700, 0o755]);
    if (this.random.chance(0.5)) {
      inode.uid = this.random.below(5) * 1000;
      inode.gid = this.random.below(5) * 100;
    }
  }

  private write(set: number): void {
    const found = this.some(set, isFile);
    if (!found) return;
    const { inode, path } = found;
    const append = this.random.chance(0.4);
    const offset = append ? inode.data.length : this.random.below(inode.data.length + 6000);
    const length = this.random.chance(0.3) ? BLOCK : 1 + this.random.below(this.writeBytes);
    const data = this.random.chance(0.1) ? Buffer.alloc(length) : this.random.bytes(length);
    inode.data = put(inode.data, offset, data);
    const sequence = this.emit({
      type: T.write,
      setId: set,
      fileId: inode.id,
      name: path,
      offset,
      range: data.length,
      data,
    });
    this.changed(inode, sequence);
  }

  private changed(inode: Inode, sequence: number): void {
    inode.write = sequence === 0 ? this.now() + 1n : this.times.get(sequence)!;
    this.point();
  }

  private resize(set: number): void {
    const found = this.some(set, isFile);
    if (!found) return;
    const { inode, path } = found;
    const common = { setId: set, fileId: inode.id, name: path };
    const size = inode.data.length;
    const kind = this.random.below(3);
    if (kind === 0) {
      const to = this.random.chance(0.3) ? 0 : this.random.below(size + 8000);
      inode.data = cut(inode.data, to);
      this.changed(inode, this.emit({ type: T.setSize, ...common, offset: to }));
    } else if (kind === 1) {
      const to = Math.ceil(this.random.below(size + 1) / BLOCK) * BLOCK;
      if (to < size) inode.data = cut(inode.data, to);
      const sequence = this.emit({ type: T.setAllocation, ...common, offset: to });
      if (to < size) this.changed(inode, sequence);
      else this.point();
    } else if (size > 0) {
      const offset = this.random.below(size);
      const range = 1 + this.random.below(9000);
      inode.data = Buffer.from(inode.data);
      inode.data.fill(0, offset, Math.min(size, offset + range));
      this.changed(inode, this.emit({ type: T.zero, ...common, offset, range }));
    }
  }

  private rename(set: number): void {
    const found = this.some(set, () => true);
    if (!found) return;
    const { inode, parent, name, path } = found;
    const over = this.random.chance(0.4)
      ? this.some(set, (one) => one.inode !== inode && sameKind(one.inode, inode))
      : null;
    const to = over
      ? { parent: over.parent, name: over.name, path: over.path }
      : this.freePlace(set);
    if (!to || isBelow(inode, to.parent)) return;
    if (over && over.inode.entries.size > 0) return;
    // The victim must not be a folder in which the file itself is.
    parent.entries.delete(name);
    to.parent.entries.set(to.name, inode);
    this.emit({
      type: T.rename,
      flags: (over ? REPL_FLAG_REPLACE : 0) | directory(inode),
      setId: set,
      fileId: inode.id,
      name: path,
      data: Buffer.from(to.path, 'utf16le'),
    });
    this.point();
  }

  private link(set: number): void {
    const found = this.some(set, ({ inode }) => inode.shape !== 'folder');
    const over = this.random.chance(0.2)
      ? this.some(set, (one) => one.inode !== found?.inode && one.inode.shape !== 'folder')
      : null;
    const to = over ?? this.freePlace(set);
    if (!found || !to) return;
    to.parent.entries.set(to.name, found.inode);
    this.emit({
      type: T.link,
      flags: over ? REPL_FLAG_REPLACE : 0,
      setId: set,
      fileId: found.inode.id,
      name: found.path,
      data: Buffer.from(to.path, 'utf16le'),
    });
    this.point();
  }

  private delete(set: number): void {
    const found = this.some(set, ({ inode }) => inode.entries.size === 0);
    if (!found) return;
    const { inode, path } = found;
    found.parent.entries.delete(found.name);
    const last = this.model.names(set, inode).length === 0;
    this.emit({
      type: T.delete,
      flags: (last ? REPL_FLAG_LAST_LINK : 0) | directory(inode),
      setId: set,
      fileId: inode.id,
      name: path,
    });
    this.point();
  }

  private makeFolder(set: number): void {
    const place = this.freePlace(set);
    if (place) this.made(set, place, new Inode(this.id(), 'folder'), REPL_FLAG_DIRECTORY);
  }

  private special(set: number): void {
    const shape = this.random.pick(['symlink', 'fifo'] as const);
    if (this.random.chance(0.5)) {
      const place = this.freePlace(set);
      if (!place) return;
      const inode = new Inode(this.id(), shape);
      if (shape === 'symlink') inode.target = `../elsewhere/${this.random.below(100)}`;
      this.made(set, place, inode, 0);
      return;
    }
    // As WSL does: a file, which then becomes one. And the way back.
    const found = this.some(set, ({ inode }) => inode.shape !== 'folder');
    if (!found) return;
    const { inode } = found;
    const common = { setId: set, fileId: inode.id, name: found.path };
    inode.data = Buffer.alloc(0);
    if (inode.shape === 'file') {
      inode.shape = shape;
      inode.target = `target${this.random.below(100)}`;
      this.emit({ type: T.setReparse, ...common, data: reparseOf(inode) });
    } else {
      inode.shape = 'file';
      this.emit({ type: T.deleteReparse, ...common });
    }
    this.point();
  }

  private attributes(set: number): void {
    const found = this.some(set, ({ inode }) => inode.shape !== 'symlink');
    if (!found) return;
    const { inode, path } = found;
    const common = { setId: set, fileId: inode.id, name: path, flags: directory(inode) };
    switch (this.random.below(5)) {
      case 0: {
        const write = START - BigInt(this.random.below(1_000_000)) * 10_000_000n;
        inode.write = write;
        const data = Buffer.alloc(40);
        data.writeBigUInt64LE(write, 16);
        data.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, 8);
        this.emit({ type: T.setBasic, ...common, data });
        break;
      }
      case 1:
        this.owned(inode);
        this.emit({ type: T.setEa, ...common, data: this.ea(inode, true) });
        break;
      case 2: {
        const security = this.random.pick([...securities.keys()]);
        inode.security = security;
        const data = securities.get(security)!;
        this.emit({ type: T.setSecurity, ...common, offset: 7 | 8, data });
        break;
      }
      case 3: {
        // fifo: user attributes are for files and folders only
        if (inode.shape === 'fifo') return;
        const name = `user.${this.random.pick(['a', 'b', 'c'])}`;
        const gone = inode.xattrs.has(name) && this.random.chance(0.4);
        const value = gone ? Buffer.alloc(0) : Buffer.from(`v${this.random.below(1000)}`);
        if (gone) inode.xattrs.delete(name);
        else inode.xattrs.set(name, value.toString('latin1'));
        const data = encodeEa([{ flags: 0, name, value }]);
        this.emit({ type: T.setEa, ...common, data });
        break;
      }
      default:
        if (inode.shape !== 'file') return;
        this.emit({ type: T.setSparse, ...common, offset: this.random.below(2) });
    }
    this.point();
  }

  private stream(set: number): void {
    if (this.silent) return;
    const found = this.some(set, ({ inode }) => inode.shape === 'file' || inode.shape === 'folder');
    if (!found) return;
    const { inode } = found;
    const names = [...inode.streams.keys()];
    const common = { setId: set, fileId: inode.id };
    const kind = names.length === 0 ? 0 : this.random.below(5);
    const name = kind === 0 ? `:s${this.random.below(4)}` : this.random.pick(names);
    const flags = REPL_FLAG_STREAM;
    if (kind === 0) {
      if (inode.streams.has(name)) return;
      inode.streams.set(name, Buffer.alloc(0));
      const empty = encodeMetadata({ ...noMetadata, size: 0 });
      this.emit({ type: T.create, ...common, flags, name, data: empty });
    } else if (kind <= 2) {
      const old = inode.streams.get(name)!;
      const offset = this.random.below(old.length + 100);
      const data = this.random.bytes(1 + this.random.below(3000));
      inode.streams.set(name, put(old, offset, data));
      this.emit({ type: T.write, ...common, flags, name, offset, range: data.length, data });
    } else if (kind === 3) {
      inode.streams.delete(name);
      this.emit({ type: T.deleteStream, ...common, flags, name });
    } else {
      const to = `:r${this.random.below(4)}`;
      if (inode.streams.has(to)) return;
      inode.streams.set(to, inode.streams.get(name)!);
      inode.streams.delete(name);
      const data = Buffer.from(to, 'utf16le');
      this.emit({ type: T.renameStream, ...common, flags, name, data });
    }
    this.point();
  }

  private overwrite(set: number): void {
    const found = this.some(set, isFile);
    if (!found) return;
    const { inode, path } = found;
    const supersede = this.random.chance(0.4) && !this.silent;
    inode.data = Buffer.alloc(0);
    if (supersede) {
      inode.streams.clear();
      inode.xattrs.clear();
    }
    inode.write = START + BigInt(this.sequence + 1) * 1_234_567n;
    this.emit({
      type: T.overwrite,
      flags: supersede ? REPL_FLAG_SUPERSEDE : 0,
      setId: set,
      fileId: inode.id,
      name: path,
      data: this.metadata(inode),
    });
    this.point();
  }

  private marker(): void {
    const kind = this.random.below(3);
    if (kind === 0) this.emit({ type: T.aborted });
    else if (kind === 1) this.emit({ type: T.flush });
    else if (!this.silent) {
      const label = `bookmark ${this.bookmarks.size + 1}`;
      const sequence = this.emit({ type: T.bookmark, name: label, bracket: 0 });
      if (this.open === 0) this.bookmarks.set(label, sequence);
    }
    this.point();
  }

  private verify(set: number): void {
    const found = this.some(set, ({ inode }) => inode.shape === 'file' && inode.data.length > 0);
    if (!found || this.silent) return;
    const { inode, path } = found;
    const offset = Math.floor(this.random.below(inode.data.length) / BLOCK) * BLOCK;
    const data = Buffer.from(inode.data.subarray(offset, offset + 2 * BLOCK));
    const wrong = this.random.chance(0.3);
    if (wrong) data[data.length - 1]! ^= 1;
    const sequence = this.emit({
      type: T.write,
      flags: REPL_FLAG_VERIFY | REPL_FLAG_SYNC,
      setId: set,
      fileId: inode.id,
      name: path,
      offset,
      range: data.length,
      data,
    });
    // Inside of a bracket the backup need not have the file at all.
    if (this.open === 0 && wrong) {
      this.differences.set(sequence, offset + Math.floor((data.length - 1) / BLOCK) * BLOCK);
    }
    this.point();
  }

  // Brackets

  private opening(reason: ReplBracketReason, set: number): number {
    const data = ReplBracketInfo.encode({ reason });
    return this.emit({ type: T.bracket, flags: REPL_FLAG_OPEN, setId: set, data });
  }

  private closing(bracket: number): void {
    const data = ReplBracketInfo.encode({ reason: 0 });
    this.emit({ type: T.bracket, flags: REPL_FLAG_CLOSE, bracket, data });
    this.bracket = 0;
    this.point();
  }

  /** The set was there before it was replicated. */
  private initial(set: number): void {
    const shadow = new Model();
    const isNew = this.model.root(set).entries.size === 0;
    if (!isNew) {
      this.resync(ReplBracketReason.resync);
      return;
    }
    this.silent = true;
    for (let i = 0; i < 12; i++) this.operations[this.random.below(7)]![1](set);
    this.silent = false;
    const bracket = this.opening(ReplBracketReason.initial, set);
    this.synchronise([set], shadow);
    this.closing(bracket);
  }

  /** Operations that nobody recorded, and what mends it. */
  private resync(reason: ReplBracketReason): void {
    const shadow = this.model.clone();
    let bracket: number;
    if (reason === ReplBracketReason.resync) bracket = this.opening(reason, 0);
    else {
      this.silent = true;
      for (let i = this.random.below(25); i > 0; i--) this.operate();
      this.silent = false;
      bracket =
        reason === ReplBracketReason.lost
          ? this.emit({ type: T.lost, flags: REPL_FLAG_OPEN })
          : this.start(this.random.below(50), true);
      this.copies.lost();
    }
    this.copies.opened();
    this.synchronise([...this.model.roots.keys()], shadow);
    this.copies.closed();
    this.closing(bracket);
  }

  private busy(): void {
    for (let i = this.random.below(3); i > 0; i--) this.operate();
  }

  private synchronise(sets: readonly number[], shadow: Model): void {
    const backup = new Map<string, Inode>();
    for (const set of shadow.roots.keys()) {
      for (const { inode } of shadow.all(set))
        backup.set(`${set}/${inode.id.toString('hex')}`, inode);
    }
    for (const set of sets) {
      if (set === this.sets + 1) {
        this.copies.synchronise(() => this.busy());
        continue;
      }
      const listed = new Set<Inode>();
      for (;;) {
        const root = { inode: this.model.root(set), path: '' };
        const next = [root, ...this.model.all(set)].find(
          ({ inode }) => inode.shape === 'folder' && !listed.has(inode),
        );
        if (!next) break;
        listed.add(next.inode);
        this.syncFolder(set, next.inode, next.path);
        this.busy();
      }
      const done = new Set<Inode>();
      for (;;) {
        const next = this.model.all(set).find(({ inode }) => !done.has(inode));
        if (!next) break;
        done.add(next.inode);
        this.syncFile(set, next, backup.get(`${set}/${next.inode.id.toString('hex')}`) ?? null);
      }
    }
  }

  private syncFolder(set: number, folder: Inode, path: string): void {
    const entries = entriesOf(folder);
    this.emit({
      type: T.folder,
      flags: REPL_FLAG_SYNC | REPL_FLAG_DIRECTORY,
      setId: set,
      fileId: folder.id,
      name: path,
      range: entries.length,
      data: encodeEntries(entries),
    });
  }

  private syncFile(set: number, { inode, path }: Found, old: Inode | null): void {
    const common = { setId: set, fileId: inode.id };
    this.emit({
      type: T.file,
      flags: REPL_FLAG_SYNC | directory(inode),
      ...common,
      name: path,
      data: this.metadata(inode),
    });
    const differing: number[] = [];
    for (let at = 0; at < inode.data.length; at += BLOCK) {
      const block = inode.data.subarray(at, at + BLOCK);
      if (!old?.data.subarray(at, at + BLOCK).equals(block)) differing.push(at);
    }
    for (const [stream, data] of inode.streams) {
      const flags = REPL_FLAG_SYNC | REPL_FLAG_STREAM;
      const head = encodeMetadata({ ...noMetadata, size: data.length });
      this.emit({ type: T.file, flags, ...common, name: stream, data: head });
      if (data.length === 0) continue;
      const range = data.length;
      this.emit({ type: T.write, flags, ...common, name: stream, offset: 0, range, data });
    }
    if (this.random.chance(0.3)) this.busy();
    for (const at of differing) {
      // What is beyond the end by now is left out.
      const data = inode.data.subarray(at, at + BLOCK);
      if (data.length === 0) continue;
      const flags = REPL_FLAG_SYNC;
      this.emit({ type: T.write, flags, ...common, name: path, offset: at, range: BLOCK, data });
    }
  }

  /** A file or folder comes from outside of the set. */
  private enter(set: number): void {
    const to = this.freePlace(set);
    if (!to) return;
    const outside = new Inode(this.id(), this.random.chance(0.5) ? 'folder' : 'file');
    outside.data = outside.shape === 'file' ? this.random.bytes(7000) : outside.data;
    outside.write = START;
    if (outside.shape === 'folder') {
      const inner = new Inode(this.id(), 'file');
      inner.data = this.random.bytes(3000);
      inner.write = START + 5n;
      outside.entries.set('inner', inner);
    }
    to.parent.entries.set(to.name, outside);
    const bracket = this.emit({
      type: T.rename,
      flags: REPL_FLAG_OPEN | REPL_FLAG_ENTERED | directory(outside),
      setId: set,
      fileId: outside.id,
      data: Buffer.from(to.path, 'utf16le'),
    });
    this.bracket = bracket;
    const found = [outside, ...outside.entries.values()];
    const where = (inode: Inode): Found | undefined => this.model.names(set, inode)[0];
    const listing = where(outside);
    if (listing && outside.shape === 'folder') {
      this.syncFolder(set, outside, listing.path);
      this.busy();
    }
    // What the listing told, wherever it has gone since then.
    for (const inode of found) {
      const place = where(inode);
      if (place) this.syncFile(set, place, null);
    }
    this.closing(bracket);
  }

  /** A file or folder is renamed to outside of the set. */
  private leave(set: number): void {
    const found = this.some(set, () => true);
    if (!found) return;
    const { inode } = found;
    found.parent.entries.delete(found.name);
    this.emit({
      type: T.rename,
      flags: REPL_FLAG_LEFT | directory(inode),
      setId: set,
      fileId: inode.id,
      name: found.path,
    });
    this.point();
  }
}

const noMetadata = {
  basic: {
    creationTime: 0n,
    lastAccessTime: 0n,
    lastWriteTime: 0n,
    changeTime: 0n,
    attributes: 0,
  },
  size: 0,
  allocation: 0,
  links: 1,
  security: Buffer.alloc(0),
  ea: Buffer.alloc(0),
  reparse: Buffer.alloc(0),
};

/** Descriptors of an owner, by the hash that dumps show. */
const securities = new Map<string, Buffer>(
  [500, 1001].map((rid) => {
    const sd = Buffer.alloc(20 + 12);
    sd.writeUInt8(1, 0);
    sd.writeUInt16LE(0x8000, 2);
    sd.writeUInt32LE(20, 4);
    sd.writeUInt8(1, 20);
    sd.writeUInt8(1, 21);
    sd.writeUInt8(5, 27);
    sd.writeUInt32LE(rid, 28);
    return [hash(sd), sd];
  }),
);

function reparseOf(inode: Inode): Buffer {
  if (inode.shape === 'fifo') return encodeReparse(ReparseTag.lxFifo, Buffer.alloc(0));
  if (inode.shape !== 'symlink') return Buffer.alloc(0);
  const version = Buffer.alloc(4);
  version.writeUInt32LE(2, 0);
  return encodeReparse(ReparseTag.lxSymlink, Buffer.concat([version, Buffer.from(inode.target)]));
}

function directory(inode: Inode): number {
  return inode.shape === 'folder' ? REPL_FLAG_DIRECTORY : 0;
}

function isFile({ inode }: Found): boolean {
  return inode.shape === 'file';
}

function isFolder({ inode }: Found): boolean {
  return inode.shape === 'folder';
}

function sameKind(a: Inode, b: Inode): boolean {
  return (a.shape === 'folder') === (b.shape === 'folder');
}

/** Is `folder` the same as `outer` or inside of it? */
function isBelow(outer: Inode, folder: Inode): boolean {
  if (outer === folder) return true;
  return [...outer.entries.values()].some((inner) => isBelow(inner, folder));
}

function put(old: Buffer, offset: number, data: Buffer): Buffer {
  const whole = Buffer.alloc(Math.max(old.length, offset + data.length));
  old.copy(whole);
  data.copy(whole, offset);
  return whole;
}

function cut(old: Buffer, size: number): Buffer {
  const whole = Buffer.alloc(size);
  old.copy(whole);
  return whole;
}
