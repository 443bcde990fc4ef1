/**
 * The part of a workload that is a set in copy mode: folders by records, files by copies alone.
 *
 * There are two trees: the primary's, and what a reader of the backup is to see of it. Each name of the second
 * is one of the first, since of a file that was not copied nothing is known, nor are its names.
 */
import {
  REPL_FLAG_CLOSE,
  REPL_FLAG_COPIED,
  REPL_FLAG_COPY,
  REPL_FLAG_DIRECTORY,
  REPL_FLAG_LAST_LINK,
  REPL_FLAG_LEFT,
  REPL_FLAG_OPEN,
  REPL_FLAG_REPLACE,
  REPL_FLAG_SYNC,
  ReplRecordType as T,
} from '../../userland/repl/codec.js';
import { encodeEntries } from '../../userland/repl/payload.js';
import type { RecordFields } from '../../userland/repl/record.js';
import { type Found, Inode, Model, describeOrphan, entriesOf } from './model.js';
import type { Random } from './random.js';

const MOST_BYTES = 12_000;
const BLOCK = 4096;

export type Fields = Omit<RecordFields, 'sequence' | 'epoch' | 'time'>;

/** What the workload lends. */
export interface Stage {
  readonly random: Random;
  /** Of the backup. */
  readonly root: Inode;
  readonly emit: (fields: Fields) => number;
  /** The model is what it must be after the last record. */
  readonly point: () => void;
  readonly now: () => bigint;
  readonly id: () => Buffer;
  readonly name: () => string;
  readonly metadata: (inode: Inode) => Buffer;
  readonly own: (inode: Inode) => void;
}

/** A name on the primary, free or not. */
type Place = Pick<Found, 'parent' | 'name' | 'path'>;

/** What the primary's service is about: pieces that it has not read yet. */
interface Attempt {
  readonly begin: number;
  readonly todo: { offset: number; length: number }[];
}

/** What the backup has of it. */
interface Copy {
  readonly begin: number;
  readonly size: number;
  readonly write: bigint;
  readonly inode: Inode;
}

export class CopyWorkload {
  private readonly primary = new Model();
  /** What stands for a folder or a known file of the primary on the backup. */
  private readonly shown = new Map<Inode, Inode>();
  private readonly copies = new Map<Inode, Copy>();
  private readonly attempts = new Map<Inode, Attempt>();
  private readonly random: Random;
  /** A bracket is open: who has lost its last name is known until it closes. */
  private isOpen = false;

  constructor(
    private readonly set: number,
    private readonly stage: Stage,
  ) {
    this.random = stage.random;
    this.shown.set(this.root, stage.root);
  }

  private get root(): Inode {
    return this.primary.root(this.set);
  }

  /** Lines of a dump: copies that are being made. */
  orphans(): string[] {
    return [...this.copies].map(([file, { inode }]) =>
      describeOrphan(`c${this.set}-${file.id.toString('hex')}`, inode),
    );
  }

  private readonly operations: readonly [weight: number, run: () => void][] = [
    [12, () => this.touch()],
    [14, () => this.begin()],
    [40, () => this.advance()],
    [4, () => this.wrongEnd()],
    [14, () => this.rename()],
    [7, () => this.link()],
    [8, () => this.delete()],
    [2, () => this.leave()],
    [6, () => this.makeFolder()],
    [4, () => this.list(this.random.pick(this.folders()))],
  ];

  step(): void {
    let at = this.random.below(this.operations.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, run] of this.operations) {
      at -= weight;
      if (at < 0) {
        run();
        return;
      }
    }
  }

  // What there is

  private all(): Found[] {
    return this.primary.all(this.set);
  }

  private files(wanted: (file: Inode) => boolean = () => true): Found[] {
    return this.all().filter(({ inode }) => inode.shape !== 'folder' && wanted(inode));
  }

  private some(found: readonly Found[]): Found | null {
    return found.length === 0 ? null : this.random.pick(found);
  }

  private folders(): { inode: Inode; path: string }[] {
    const below = this.all().filter(({ inode }) => inode.shape === 'folder');
    return [{ inode: this.root, path: '' }, ...below];
  }

  private free(): Place | null {
    const { inode, path } = this.random.pick(this.folders());
    const name = this.stage.name();
    if (inode.entries.has(name) || path.split('\\').length > 4) return null;
    return { parent: inode, name, path: path === '' ? name : `${path}\\${name}` };
  }

  private isThere(file: Inode): boolean {
    return this.primary.names(this.set, file).length > 0;
  }

  private emit(type: T, inode: Inode, path: string, fields: Fields | object = {}): number {
    const { flags = 0, ...others } = fields as Partial<Fields>;
    const folder = inode.shape === 'folder' ? REPL_FLAG_DIRECTORY : 0;
    return this.stage.emit({
      type,
      setId: this.set,
      fileId: inode.id,
      name: path,
      ...others,
      flags: flags | folder | REPL_FLAG_COPY,
    });
  }

  // What the backup has

  private entries(folder: Inode): Map<string, Inode> {
    return this.shown.get(folder)!.entries;
  }

  private namesOf(shown: Inode): Place[] {
    return this.all().filter(({ parent, name }) => this.entries(parent).get(name) === shown);
  }

  private forget(file: Inode): void {
    this.shown.delete(file);
    this.copies.delete(file);
  }

  /** Who has no name is not known any more. */
  private forgetNameless(): void {
    if (this.isOpen) return;
    const there = new Set([...this.shown.values()].flatMap((one) => [...one.entries.values()]));
    for (const [inode, twin] of this.shown) {
      if (inode !== this.root && !there.has(twin)) this.forget(inode);
    }
  }

  /** A file got the name from somebody, or anew. */
  private named(file: Inode, { parent, name }: Place): void {
    const entries = this.entries(parent);
    const twin = this.shown.get(file);
    const old = entries.get(name);
    if (twin) {
      entries.set(name, twin);
      return;
    }
    if (!old) return;
    const names = [...this.shown.values()].flatMap((one) =>
      [...one.entries.values()].filter((inner) => inner === old),
    );
    if (names.length > 1) {
      entries.delete(name);
      return;
    }
    for (const [other, its] of this.shown) if (its === old) this.forget(other);
    this.shown.set(file, old);
  }

  // Operations

  /** A file that changes, or comes to be. */
  private touch(): void {
    const found = this.random.chance(0.4) ? null : this.some(this.files());
    const place = found ?? this.free();
    if (!place) return;
    const isLink = this.random.chance(0.1);
    const file = found?.inode ?? new Inode(this.stage.id(), isLink ? 'symlink' : 'file');
    place.parent.entries.set(place.name, file);
    this.emit(T.touched, file, place.path);
    this.copies.delete(file);
    this.change(file);
    this.stage.point();
  }

  private change(file: Inode): void {
    if (file.shape === 'symlink') file.target = `../elsewhere/${this.random.below(1000)}`;
    else {
      const length = this.random.chance(0.1) ? 0 : this.random.below(MOST_BYTES);
      file.data = this.random.bytes(length);
    }
    file.write = this.stage.now() - (this.random.chance(0.3) ? 10_000_000_000n : 0n);
    if (this.random.chance(0.2)) this.stage.own(file);
    if (file.shape === 'file' && this.random.chance(0.2)) {
      file.xattrs.set('user.a', `v${this.random.below(100)}`);
    }
  }

  private begin(): void {
    const found = this.some(this.files());
    if (!found) return;
    const file = found.inode;
    const begin = this.emit(T.file, file, found.path, {
      flags: REPL_FLAG_SYNC,
      data: this.stage.metadata(file),
    });
    const inode = this.image(file);
    inode.data = Buffer.alloc(file.data.length);
    this.copies.set(file, { begin, size: file.data.length, write: file.write, inode });
    this.attempts.set(file, { begin, todo: this.pieces(file.data.length) });
    this.stage.point();
  }

  /** In any order. */
  private pieces(size: number): Attempt['todo'] {
    const todo: Attempt['todo'] = [];
    for (let offset = 0; offset < size;) {
      const length = this.random.chance(0.6) ? BLOCK : 1 + this.random.below(2 * BLOCK);
      todo.splice(this.random.below(todo.length + 1), 0, { offset, length });
      offset += length;
    }
    return todo;
  }

  private image(file: Inode): Inode {
    const image = new Inode(file.id, file.shape);
    const { data, target, mode, uid, gid, write } = file;
    return Object.assign(image, {
      data: Buffer.from(data),
      target,
      mode,
      uid,
      gid,
      write,
      xattrs: new Map(file.xattrs),
    });
  }

  /** Pieces, or the end, also of a copy that is nothing by now. */
  private advance(): void {
    const found = this.some(this.files((file) => this.attempts.has(file)));
    if (!found) return;
    const { begin, todo } = this.attempts.get(found.inode)!;
    if (todo.length === 0) {
      this.attempts.delete(found.inode);
      // What it is, but its data, is as the end says.
      if (begin % 3 === 0) found.inode.mode = 0o700;
      this.end(found, begin, this.image(found.inode));
      return;
    }
    for (const piece of todo.splice(0, 1 + this.random.below(3))) {
      this.piece(found, piece);
      if (this.random.chance(0.1)) this.piece(found, piece);
    }
  }

  /** As it is now; what is beyond the end is left out. */
  private piece({ inode: file, path }: Found, piece: Attempt['todo'][number]): void {
    const { offset, length } = piece;
    const data = file.data.subarray(offset, offset + length);
    if (data.length === 0) return;
    const flags = REPL_FLAG_SYNC;
    this.emit(T.write, file, path, { flags, offset, range: length, data: Buffer.from(data) });
    const copy = this.copies.get(file);
    if (copy) data.copy(copy.inode.data, offset);
    this.stage.point();
  }

  private end({ inode: file, path, ...place }: Found, begin: number, told: Inode): void {
    this.emit(T.file, file, path, {
      flags: REPL_FLAG_SYNC | REPL_FLAG_COPIED,
      offset: begin,
      data: this.stage.metadata(told),
    });
    const copy = this.copies.get(file);
    if (copy?.begin === begin) {
      this.copies.delete(file);
      const isSame = copy.size === told.data.length && copy.write === told.write;
      if (isSame) this.commit(file, copy, { ...place, path });
    }
    this.stage.point();
  }

  /** Under all names that are known; else under that of the record. */
  private commit(file: Inode, { inode }: Copy, place: Place): void {
    if (!inode.data.equals(file.data)) throw new Error('the workload ends half a copy');
    const now = this.image(file);
    const old = this.shown.get(file);
    const names = old ? this.namesOf(old) : [];
    this.shown.set(file, now);
    for (const { parent, name } of names.length > 0 ? names : [place]) {
      this.entries(parent).set(name, now);
    }
  }

  /** Of another copy, or of one whose file has changed without a word. */
  private wrongEnd(): void {
    const found = this.some(this.files((file) => this.copies.has(file)));
    if (!found) return;
    const { begin } = this.copies.get(found.inode)!;
    const told = this.image(found.inode);
    const kind = this.random.below(4);
    if (kind === 0) told.data = Buffer.alloc(told.data.length + 1);
    else if (kind === 1) told.write += 1n;
    else {
      this.end(found, this.random.below(begin), told);
      return;
    }
    this.end(found, begin, told);
  }

  private rename(): void {
    const found = this.some(this.all());
    const target = found && this.target(found, 0.4);
    if (!target) return;
    const { inode, parent, name, path } = found;
    const { to, flags } = target;
    parent.entries.delete(name);
    to.parent.entries.set(to.name, inode);
    this.emit(T.rename, inode, path, { flags, data: Buffer.from(to.path, 'utf16le') });
    const entries = this.entries(parent);
    const twin = this.shown.get(inode);
    if (twin && entries.get(name) === twin) entries.delete(name);
    this.named(inode, to);
    this.forgetNameless();
    this.stage.point();
  }

  private link(): void {
    const found = this.some(this.files());
    const target = found && this.target(found, 0.3);
    if (!target) return;
    const { to, flags } = target;
    to.parent.entries.set(to.name, found.inode);
    const data = Buffer.from(to.path, 'utf16le');
    this.emit(T.link, found.inode, found.path, { flags, data });
    this.named(found.inode, to);
    this.forgetNameless();
    this.stage.point();
  }

  /** Where a file or folder may go: to a free name, or over another one. */
  private target({ inode }: Found, over: number): { to: Place; flags: number } | null {
    const isFolder = inode.shape === 'folder';
    const replaces = this.random.chance(over);
    const to = replaces
      ? this.some(
          this.all().filter(
            (one) =>
              one.inode !== inode &&
              (one.inode.shape === 'folder') === isFolder &&
              one.inode.entries.size === 0,
          ),
        )
      : this.free();
    if (!to || isBelow(inode, to.parent)) return null;
    return { to, flags: replaces ? REPL_FLAG_REPLACE : 0 };
  }

  private delete(): void {
    const found = this.some(this.all().filter(({ inode }) => inode.entries.size === 0));
    if (found) this.remove(found);
  }

  private remove({ inode, parent, name, path }: Found): void {
    parent.entries.delete(name);
    // The driver need not say it.
    const isLast = !this.isThere(inode) && this.random.chance(0.5);
    this.emit(T.delete, inode, path, { flags: isLast ? REPL_FLAG_LAST_LINK : 0 });
    this.unnamed(inode, parent, name);
    this.forgetNameless();
    this.stage.point();
  }

  private unnamed(inode: Inode, parent: Inode, name: string): void {
    const twin = this.shown.get(inode);
    if (!twin) this.copies.delete(inode);
    else if (this.entries(parent).get(name) === twin) this.entries(parent).delete(name);
  }

  /** To outside of the set. */
  private leave(): void {
    const found = this.some(this.files((file) => this.primary.names(this.set, file).length === 1));
    if (!found) return;
    const { inode, parent, name, path } = found;
    parent.entries.delete(name);
    this.emit(T.rename, inode, path, { flags: REPL_FLAG_LEFT });
    this.unnamed(inode, parent, name);
    this.forgetNameless();
    this.stage.point();
  }

  private makeFolder(): void {
    const place = this.free();
    if (!place) return;
    const folder = new Inode(this.stage.id(), 'folder');
    place.parent.entries.set(place.name, folder);
    const twin = new Inode(folder.id, 'folder');
    this.shown.set(folder, twin);
    this.entries(place.parent).set(place.name, twin);
    this.emit(T.create, folder, place.path, { data: this.stage.metadata(folder) });
    this.stage.point();
  }

  /** In one record or, in a bracket of its own, in two. */
  private list({ inode: folder, path }: { inode: Inode; path: string }): void {
    const entries = entriesOf(folder);
    const flags = REPL_FLAG_SYNC;
    const range = entries.length;
    const first = 1 + this.random.below(range);
    const data = encodeEntries(entries.slice(0, first));
    if (first >= range) this.emit(T.folder, folder, path, { flags, range, data });
    else {
      const bracket = this.emit(T.folder, folder, path, {
        flags: flags | REPL_FLAG_OPEN,
        range,
        data,
      });
      this.emit(T.folder, folder, path, {
        flags: flags | REPL_FLAG_CLOSE,
        offset: first,
        range,
        bracket,
        data: encodeEntries(entries.slice(first)),
      });
    }
    for (const [name, inode] of folder.entries) this.named(inode, { parent: folder, name, path });
    this.forgetNameless();
    this.stage.point();
  }

  // Brackets of all sets

  /** What is told from now on may miss changes before it: no copy that was begun is to be trusted. */
  lost(): void {
    this.copies.clear();
  }

  opened(): void {
    this.isOpen = true;
  }

  /** Files come by themselves. */
  synchronise(busy: () => void): void {
    const listed = new Set<Inode>();
    for (;;) {
      const next = this.folders().find(({ inode }) => !listed.has(inode));
      if (!next) return;
      listed.add(next.inode);
      this.list(next);
      const { inode, path } = next;
      const flags = REPL_FLAG_SYNC;
      this.emit(T.file, inode, path, { flags, data: this.stage.metadata(inode) });
      busy();
    }
  }

  /** Before the record that closes it makes a point. */
  closed(): void {
    this.isOpen = false;
    this.forgetNameless();
  }

  /** All files are deleted or copied. */
  finish(): void {
    for (let found; (found = this.files((file) => this.copies.has(file)).at(0));) {
      if (this.random.chance(0.5)) {
        this.remove(found);
        continue;
      }
      const { begin } = this.copies.get(found.inode)!;
      for (const piece of this.pieces(found.inode.data.length)) this.piece(found, piece);
      this.end(found, begin, this.image(found.inode));
    }
  }
}

/** Is `folder` the same as `outer` or inside of it? */
function isBelow(outer: Inode, folder: Inode): boolean {
  if (outer === folder) return true;
  return [...outer.entries.values()].some((inner) => isBelow(inner, folder));
}
