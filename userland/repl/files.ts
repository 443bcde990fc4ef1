/**
 * The platform's file calls, all that the backup uses. Folders are open descriptors, names are relative
 * to them, and no symbolic link is ever followed. Linux only, so far.
 *
 * Everything that changes a disk goes through here, so that a test can fail or end it at any call.
 */
import fs from 'node:fs';
import { getSystemErrorMap, getSystemErrorName } from 'node:util';
import { type NativeFiles, loadNative } from '../../native/addon/ts/index.js';
import { ntsError } from '../common/errors.js';

export type Name = Uint8Array | string;

export interface Stat {
  readonly ino: number;
  readonly dev: number;
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly writeSeconds: number;
  readonly writeNanoseconds: number;
  readonly accessSeconds: number;
  readonly accessNanoseconds: number;
  readonly major: number;
  readonly minor: number;
  /** Of 512 bytes. */
  readonly blocks: number;
}

/** Bytes with a place of their own in a file that grows. */
export interface Mark {
  readonly bytes: Uint8Array;
  readonly at: number;
}

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;

export function systemError(result: number, what: string): NodeJS.ErrnoException {
  const [code, meaning] = getSystemErrorMap().get(result) ?? [`E${-result}`, 'unknown error'];
  const error: NodeJS.ErrnoException = new Error(`${code}: ${meaning}, ${what.trim()}`);
  error.code = code;
  error.errno = result;
  return error;
}

export function isCode(error: unknown, ...codes: string[]): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && codes.includes(code);
}

export class Files {
  private readonly native: NativeFiles;
  private readonly out = new Float64Array(14);

  constructor() {
    const binding = loadNative();
    if (binding.kind !== 'host') {
      throw ntsError('NTS_ERR_HOST_ONLY', { what: 'the backup side of REPL' });
    }
    this.native = binding.files;
  }

  private done(result: number, what: string, name: Name): number {
    if (result < 0) throw systemError(result, `${what} ${String(name)}`);
    return result;
  }

  /** A folder by its absolute path. */
  openFolder(path: string): number {
    return fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  /** Below `folder`, whatever the path says; never through a symbolic link. */
  open(folder: number, path: Name, flags: number, mode = 0o600): number {
    return this.done(this.native.openBeneath(folder, path, flags, mode), 'open', path);
  }

  close(fd: number): void {
    fs.closeSync(fd);
  }

  makeFolder(folder: number, name: Name, mode: number): void {
    this.done(this.native.makeFolder(folder, name, mode), 'mkdir', name);
  }

  unlink(folder: number, name: Name): void {
    this.done(this.native.unlink(folder, name, false), 'unlink', name);
  }

  removeFolder(folder: number, name: Name): void {
    this.done(this.native.unlink(folder, name, true), 'rmdir', name);
  }

  rename(from: number, name: Name, to: number, newName: Name, flags = 0): void {
    this.done(this.native.rename(from, name, to, newName, flags), 'rename', newName);
  }

  link(from: number, name: Name, to: number, newName: Name): void {
    this.done(this.native.link(from, name, to, newName), 'link', newName);
  }

  symlink(target: Name, folder: number, name: Name): void {
    this.done(this.native.symlink(target, folder, name), 'symlink', name);
  }

  makeNode(folder: number, name: Name, mode: number, major: number, minor: number): void {
    this.done(this.native.mknod(folder, name, mode, major, minor), 'mknod', name);
  }

  /** null: there is nothing of that name. A name of null is the descriptor itself. */
  stat(folder: number, name: Name | null): Stat | null {
    const { out } = this;
    const result = this.native.stat(folder, name, out);
    if (result < 0) {
      const error = systemError(result, `stat ${String(name)}`);
      if (error.code === 'ENOENT') return null;
      throw error;
    }
    return {
      ino: out[0]!,
      dev: out[1]!,
      mode: out[2]!,
      links: out[3]!,
      uid: out[4]!,
      gid: out[5]!,
      size: out[6]!,
      writeSeconds: out[7]!,
      writeNanoseconds: out[8]!,
      accessSeconds: out[9]!,
      accessNanoseconds: out[10]!,
      major: out[11]!,
      minor: out[12]!,
      blocks: out[13]!,
    };
  }

  readlink(folder: number, name: Name): Buffer {
    return this.bytes(this.native.readlink(folder, name), 'readlink', name);
  }

  chown(folder: number, name: Name, uid: number, gid: number): void {
    this.done(this.native.chown(folder, name, uid, gid), 'chown', name);
  }

  chmod(folder: number, name: Name, mode: number): void {
    this.done(this.native.chmod(folder, name, mode), 'chmod', name);
  }

  /** Times in 100 ns since 1970. */
  utimes(folder: number, name: Name, access: bigint, write: bigint): void {
    const second = 10_000_000n;
    // Of a time before 1970 the fraction still counts forwards.
    const split = (time: bigint): [number, number] => {
      const fraction = ((time % second) + second) % second;
      return [Number((time - fraction) / second), Number(fraction) * 100];
    };
    this.done(this.native.utimes(folder, name, ...split(access), ...split(write)), 'utimes', name);
  }

  setXattr(folder: number, name: Name, attribute: Name, value: Uint8Array | null): void {
    this.done(this.native.setXattr(folder, name, attribute, value), 'setxattr', name);
  }

  getXattr(folder: number, name: Name, attribute: Name): Buffer {
    return this.bytes(this.native.getXattr(folder, name, attribute), 'getxattr', name);
  }

  /** As latin1: names are bytes. */
  listXattr(folder: number, name: Name): string[] {
    const names = this.bytes(this.native.listXattr(folder, name), 'listxattr', name);
    return names.toString('latin1').split('\0').slice(0, -1);
  }

  private bytes(result: Buffer | number, what: string, name: Name): Buffer {
    if (typeof result !== 'number') return result;
    throw systemError(result, `${what} ${String(name)}`);
  }

  /** The names in a folder, but "." and "..". */
  list(folder: number): Buffer[] {
    return fs.readdirSync(`/proc/self/fd/${folder}`, { encoding: 'buffer' });
  }

  /** Returns how many bytes there were. */
  read(fd: number, to: Uint8Array, from: number, length: number, position: number): number {
    let done = 0;
    while (done < length) {
      const part = fs.readSync(fd, to, from + done, length - done, position + done);
      if (part === 0) break;
      done += part;
    }
    return done;
  }

  write(fd: number, bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
    }
  }

  truncate(fd: number, size: number): void {
    fs.ftruncateSync(fd, size);
  }

  /** These bytes read as zeros; holes where the file system has them. The size stays. */
  zero(fd: number, offset: number, length: number): void {
    this.done(this.native.zero(fd, offset, length), 'fallocate', '');
  }

  /**
   * Makes a file of `from` bytes longer, with room for what will be written there: to sync that later changes no
   * size. False, and as it was: there is no room, or the file system does not know how.
   */
  extend(fd: number, from: number, to: number): boolean {
    if (this.native.extend(fd, from, to) === 0) return true;
    // A part of the room may have been taken.
    fs.ftruncateSync(fd, from);
    return false;
  }

  /** The next run of data from `offset` on; null: only a hole up to the end. */
  data(fd: number, offset: number): { from: number; to: number } | null {
    const from = this.native.seekData(fd, offset);
    if (from < 0) {
      if (getSystemErrorName(from) === 'ENXIO') return null;
      throw systemError(from, 'lseek');
    }
    return { from, to: this.done(this.native.seekHole(fd, from), 'lseek', '') };
  }

  /** All of `from`, by reference where the file system can; `to` is empty. */
  copy(from: number, to: number, size: number): void {
    this.done(this.native.copy(from, to, size), 'copy_file_range', '');
  }

  datasync(fd: number): void {
    fs.fdatasyncSync(fd);
  }

  sync(fd: number): void {
    fs.fsyncSync(fd);
  }

  /** Everything of the file system that `fd` is in. */
  syncAll(fd: number): void {
    this.done(this.native.syncfs(fd), 'syncfs', '');
  }

  /** Pieces one behind the other, and `mark` in its place; all is on disk when it resolves. */
  async append(
    fd: number,
    pieces: readonly Uint8Array[],
    position: number,
    mark: Mark,
  ): Promise<void> {
    const { bytes, at } = mark;
    this.done(await this.native.append(fd, pieces, position, bytes, at), 'append', '');
  }
}
