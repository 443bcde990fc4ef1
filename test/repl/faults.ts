/**
 * File calls that end the program at the n-th change, in two ways: as a kill does, after which all is
 * there that was done; and as a loss of power does, after which any part of the data that was not synced
 * may be missing, and of the names as much as a journaling file system had not committed: those of the
 * last operations.
 *
 * What ends is the object under test: the call throws Ended, and everything after it, too.
 */
import fs from 'node:fs';
import { Files, type Mark, type Name } from '../../userland/repl/files.js';
import type { Random } from './random.js';

export class Ended extends Error {}

type Undo = () => void;

interface Written {
  readonly fd: number;
  readonly undo: Undo[];
}

export class Faults extends Files {
  /** Changes so far. */
  count = 0;
  /** The change at which it ends. */
  endAt = Infinity;
  private ended = false;
  private readonly spool: string;
  private readonly spoolFolder: number;
  private spooled = 0;
  private readonly unsynced = new Map<number, Written>();
  private names: { undo: Undo; fds: number[] }[] = [];

  /** `power`: so that powerCut() can be called. `spool`: a folder in the same file system. */
  constructor(
    spool: string,
    private readonly random: Random,
    private readonly power: boolean,
  ) {
    super();
    fs.mkdirSync(spool, { recursive: true });
    this.spool = spool;
    this.spoolFolder = super.openFolder(spool);
  }

  private change(torn?: () => void): void {
    if (this.ended) throw new Ended();
    this.count += 1;
    if (this.count < this.endAt) return;
    this.ended = true;
    torn?.();
    throw new Ended();
  }

  private committed(): void {
    for (const { fds } of this.names) for (const fd of fds) super.close(fd);
    this.names = [];
  }

  /** An own descriptor of a folder, since the caller may close his. */
  private own(folder: number): number {
    return fs.openSync(`/proc/self/fd/${folder}`, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  }

  private name(fds: number[], undo: Undo): void {
    this.names.push({ undo, fds });
  }

  /** Keeps what has this name, to bring it back. */
  private keep(folder: number, name: Name): string | null {
    const stat = super.stat(folder, name);
    if (!stat) return null;
    const kept = `kept${(this.spooled += 1)}`;
    super.link(folder, name, this.spoolFolder, kept);
    return kept;
  }

  override open(folder: number, path: Name, flags: number, mode?: number): number {
    const creates = (flags & fs.constants.O_CREAT) !== 0;
    if (creates) this.change();
    const was = creates && this.power ? super.stat(folder, path) : null;
    const fd = super.open(folder, path, flags, mode);
    if (creates && this.power && !was) {
      const own = this.own(folder);
      this.name([own], () => super.unlink(own, path));
    }
    return fd;
  }

  override makeFolder(folder: number, name: Name, mode: number): void {
    this.change();
    super.makeFolder(folder, name, mode);
    if (!this.power) return;
    const own = this.own(folder);
    this.name([own], () => super.removeFolder(own, name));
  }

  override unlink(folder: number, name: Name): void {
    this.change();
    if (!this.power) {
      super.unlink(folder, name);
      return;
    }
    const kept = this.keep(folder, name)!;
    super.unlink(folder, name);
    const own = this.own(folder);
    this.name([own], () => super.link(this.spoolFolder, kept, own, name));
  }

  override removeFolder(folder: number, name: Name): void {
    this.change();
    if (!this.power) {
      super.removeFolder(folder, name);
      return;
    }
    // Its inode comes back, too.
    const kept = `folder${(this.spooled += 1)}`;
    const own = this.own(folder);
    super.rename(own, name, this.spoolFolder, kept);
    this.name([own], () => super.rename(this.spoolFolder, kept, own, name));
  }

  override rename(from: number, name: Name, to: number, newName: Name, flags = 0): void {
    this.change();
    if (!this.power) {
      super.rename(from, name, to, newName, flags);
      return;
    }
    const [a, b] = [this.own(from), this.own(to)];
    if (flags !== 0) {
      super.rename(from, name, to, newName, flags);
      this.name([a, b], () => super.rename(a, name, b, newName, flags));
      return;
    }
    const kept = this.keep(to, newName);
    super.rename(from, name, to, newName);
    this.name([a, b], () => {
      super.rename(b, newName, a, name);
      if (kept !== null) super.link(this.spoolFolder, kept, b, newName);
    });
  }

  override link(from: number, name: Name, to: number, newName: Name): void {
    this.change();
    super.link(from, name, to, newName);
    if (!this.power) return;
    const own = this.own(to);
    this.name([own], () => super.unlink(own, newName));
  }

  override symlink(target: Name, folder: number, name: Name): void {
    this.change();
    super.symlink(target, folder, name);
    if (!this.power) return;
    const own = this.own(folder);
    this.name([own], () => super.unlink(own, name));
  }

  override makeNode(folder: number, name: Name, mode: number, major: number, minor: number): void {
    this.change();
    super.makeNode(folder, name, mode, major, minor);
    if (!this.power) return;
    const own = this.own(folder);
    this.name([own], () => super.unlink(own, name));
  }

  override chown(folder: number, name: Name, uid: number, gid: number): void {
    this.change();
    super.chown(folder, name, uid, gid);
  }

  override chmod(folder: number, name: Name, mode: number): void {
    this.change();
    super.chmod(folder, name, mode);
  }

  override utimes(folder: number, name: Name, access: bigint, write: bigint): void {
    this.change();
    super.utimes(folder, name, access, write);
  }

  override setXattr(folder: number, name: Name, attribute: Name, value: Uint8Array | null): void {
    this.change();
    super.setXattr(folder, name, attribute, value);
  }

  /** Before data of the file changes from `from` to `to`. */
  private before(fd: number, from: number, to: number): void {
    if (!this.power) return;
    const { ino, size } = super.stat(fd, null)!;
    let written = this.unsynced.get(ino);
    if (!written) {
      const own = fs.openSync(`/proc/self/fd/${fd}`, fs.constants.O_RDWR);
      this.unsynced.set(ino, (written = { fd: own, undo: [] }));
    }
    const old = Buffer.alloc(Math.max(0, Math.min(to, size) - from));
    super.read(fd, old, 0, old.length, from);
    const { fd: own } = written;
    written.undo.push(() => {
      super.truncate(own, size);
      super.write(own, old, from);
    });
  }

  override write(fd: number, bytes: Uint8Array, position: number): void {
    this.before(fd, position, position + bytes.length);
    this.change(() =>
      super.write(fd, bytes.subarray(0, this.random.below(bytes.length)), position),
    );
    super.write(fd, bytes, position);
  }

  override truncate(fd: number, size: number): void {
    this.before(fd, size, Infinity);
    this.change();
    super.truncate(fd, size);
  }

  override extend(fd: number, from: number, to: number): boolean {
    this.before(fd, from, from);
    this.change();
    return super.extend(fd, from, to);
  }

  override zero(fd: number, offset: number, length: number): void {
    this.before(fd, offset, offset + length);
    this.change();
    super.zero(fd, offset, length);
  }

  private forget(ino: number): void {
    const written = this.unsynced.get(ino);
    if (!written) return;
    super.close(written.fd);
    this.unsynced.delete(ino);
  }

  override datasync(fd: number): void {
    this.change();
    this.forget(super.stat(fd, null)!.ino);
    this.committed();
  }

  override sync(fd: number): void {
    this.change();
    this.forget(super.stat(fd, null)!.ino);
    this.committed();
  }

  override syncAll(fd: number): void {
    this.change();
    for (const ino of [...this.unsynced.keys()]) this.forget(ino);
    this.committed();
    super.syncAll(fd);
  }

  override async append(
    fd: number,
    pieces: readonly Uint8Array[],
    position: number,
    mark: Mark,
  ): Promise<void> {
    const bytes = Buffer.concat(pieces);
    await Promise.resolve();
    this.write(fd, bytes, position);
    this.write(fd, mark.bytes, mark.at);
    this.datasync(fd);
  }

  /** After the end: what was not synced is lost, by chance. */
  powerCut(): void {
    for (const { undo, fd } of this.unsynced.values()) {
      // The newest first; those before the first that is kept may still be lost.
      for (const one of undo.reverse()) if (this.random.chance(0.5)) one();
      super.close(fd);
    }
    this.unsynced.clear();
    const keep = this.random.below(this.names.length + 1);
    for (const { undo } of this.names.slice(keep).reverse()) undo();
    this.committed();
  }

  /** The spool holds links to what was removed: they would count. */
  clear(): void {
    this.committed();
    for (const { fd } of this.unsynced.values()) super.close(fd);
    this.unsynced.clear();
    super.close(this.spoolFolder);
    fs.rmSync(this.spool, { recursive: true, force: true });
  }
}
