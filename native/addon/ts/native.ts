/**
 * Every type of the native addon, and the loading of it. This is what crosses between C++ and JavaScript:
 * null says that there is nothing, never undefined.
 */
import { createRequire } from 'node:module';
import { addonCandidates } from '../../../userland/common/paths.js';
import { messageOf, ntsError } from '../../../userland/common/errors.js';

/** The transport is broken: no NTSTATUS came back. */
export interface NativeFailure {
  readonly kind: 'connect' | 'gone' | 'protocol';
  /** errno, or 0. */
  readonly systemError: number;
  readonly detail: string;
}

/** What the device, or the host, answered. */
export interface NativeReply {
  /** NTSTATUS */
  readonly status: number;
  readonly information: number;
  readonly payload: Buffer;
}

/** Called once, with one of the two. */
export type NativeDone = (failure: NativeFailure | null, reply: NativeReply | null) => void;

/** The numbers of tools/nthost/include/nthost/wire.h. */
export interface Wire {
  readonly magic: number;
  readonly version: number;
  readonly maxPayload: number;
  readonly maxLent: number;
  readonly hello: number;
  readonly open: number;
  readonly close: number;
  readonly ioctl: number;
  readonly cancel: number;
  readonly read: number;
  readonly write: number;
  readonly install: number;
  readonly uninstall: number;
  readonly start: number;
  readonly stop: number;
  readonly list: number;
  readonly check: number;
  readonly adapters: number;
}

/** A request whose output is memory that both sides see. */
export interface NativeLent {
  /** As of request and ioctl. */
  readonly request: number;
  readonly memory: ArrayBuffer;
}

/** A connection to the driver host. It begins to connect at once; requests wait for that. */
export interface NativeHostConnection {
  /** Returns the request's tag. */
  request(
    op: number,
    handle: number,
    arg0: number,
    arg1: number,
    payload: Uint8Array | null,
    done: NativeDone,
  ): number;
  /** A DeviceIoControl of a direct method. bytes: a multiple of 4096, up to maxLent. */
  lend(
    handle: number,
    code: number,
    bytes: number,
    payload: Uint8Array | null,
    done: NativeDone,
  ): NativeLent;
  /** Requests in flight fail as "gone". */
  close(): void;
}

/** A device of Windows, by overlapped I/O. */
export interface NativeWindowsDevice {
  open(path: string, access: number, done: NativeDone): void;
  /** Returns the request's number, as read and write do. */
  ioctl(code: number, input: Uint8Array | null, outputBytes: number, done: NativeDone): number;
  lend(code: number, input: Uint8Array | null, bytes: number, done: NativeDone): NativeLent;
  read(offset: bigint, bytes: number, done: NativeDone): number;
  write(offset: bigint, data: Uint8Array, done: NativeDone): number;
  cancel(request: number): void;
  /** Cancels what is in flight. */
  close(done: NativeDone): void;
}

/** For memory that others read and write at the same time. */
export interface NativeMemory {
  /** The UINT64 at an offset, which is a multiple of 8: what was written before it was stored is seen. */
  loadAcquire(memory: Uint8Array, offset: number): bigint;
  /** Whoever sees the value sees all that was written before. */
  storeRelease(memory: Uint8Array, offset: number, value: bigint): void;
  /** CRC-32C (RFC 3720). seed: 0, or the result for the bytes before. */
  crc32c(data: Uint8Array, seed: number): number;
}

/** Records of the REPL driver. */
export interface NativeRecords {
  /** CRC-32C; `seed` is that of the bytes before these. */
  crc32c(bytes: Uint8Array, seed?: number): number;
  /**
   * Checks the frames and checksums of the records in `bytes`, and fills a row of `table` for each;
   * pads are left out. Returns the number of rows, how many bytes are in order, and why it stopped.
   */
  scan(bytes: Uint8Array, table: Float64Array): [rows: number, bytes: number, stop: number];
  /** Columns of a row. */
  readonly stride: number;
}

/**
 * Calls relative to open folders. None follows a symbolic link. Each returns its result, 0 or more,
 * or -errno. `name` is one name in the folder, never "." or "..".
 */
export interface NativeFiles {
  /** A path below the folder; what would lead out of it is refused. */
  openBeneath(folder: number, path: Uint8Array | string, flags: number, mode: number): number;
  makeFolder(folder: number, name: Uint8Array | string, mode: number): number;
  unlink(folder: number, name: Uint8Array | string, isFolder: boolean): number;
  /** flags: those of renameat2(2). */
  rename(
    fromFolder: number,
    from: Uint8Array | string,
    toFolder: number,
    to: Uint8Array | string,
    flags: number,
  ): number;
  link(
    fromFolder: number,
    from: Uint8Array | string,
    toFolder: number,
    to: Uint8Array | string,
  ): number;
  symlink(target: Uint8Array | string, folder: number, name: Uint8Array | string): number;
  mknod(
    folder: number,
    name: Uint8Array | string,
    mode: number,
    major: number,
    minor: number,
  ): number;
  /** null: what the descriptor itself is. Fills 14 of `out`, see userland/repl/files.ts. */
  stat(folder: number, name: Uint8Array | string | null, out: Float64Array): number;
  readlink(folder: number, name: Uint8Array | string): Buffer | number;
  chown(folder: number, name: Uint8Array | string, user: number, group: number): number;
  chmod(folder: number, name: Uint8Array | string, mode: number): number;
  utimes(
    folder: number,
    name: Uint8Array | string,
    accessSeconds: number,
    accessNanoseconds: number,
    writeSeconds: number,
    writeNanoseconds: number,
  ): number;
  /** null removes it. */
  setXattr(
    folder: number,
    name: Uint8Array | string,
    attribute: string | Uint8Array,
    value: Uint8Array | null,
  ): number;
  getXattr(
    folder: number,
    name: Uint8Array | string,
    attribute: string | Uint8Array,
  ): Buffer | number;
  listXattr(folder: number, name: Uint8Array | string): Buffer | number;
  /** A hole where the file system can make one; the size stays. */
  zero(fd: number, offset: number, length: number): number;
  /** Zeros between, with room on the disk. */
  extend(fd: number, from: number, to: number): number;
  seekData(fd: number, offset: number): number;
  seekHole(fd: number, offset: number): number;
  syncfs(fd: number): number;
  /** In another thread: the pieces at `at`, the mark at its place, and then all on disk. 0 or -errno. */
  append(
    fd: number,
    pieces: readonly Uint8Array[],
    at: number,
    mark: Uint8Array,
    markAt: number,
  ): Promise<number>;
  /** By reference where the file system can. */
  copy(from: number, to: number, size: number): number;
}

export type NativeBinding = NativeMemory & { readonly records: NativeRecords } & NativeSystem;

type NativeSystem =
  | {
      readonly kind: 'host';
      readonly files: NativeFiles;
      readonly wire: Wire;
      readonly HostConnection: new (path: string) => NativeHostConnection;
    }
  | { readonly kind: 'windows'; readonly WindowsDevice: new () => NativeWindowsDevice };

let binding: NativeBinding | null = null;

export function loadNative(): NativeBinding {
  if (binding) return binding;
  const load = createRequire(import.meta.url);
  const candidates = addonCandidates();
  let error: unknown = null;
  for (const file of candidates) {
    try {
      return (binding = load(file) as NativeBinding);
    } catch (caught) {
      error ??= caught;
    }
  }
  const [why] = messageOf(error).split('\n');
  throw ntsError(
    'NTS_ERR_ADDON',
    { tried: candidates.join(', '), why: why ?? '' },
    { cause: error },
  );
}
