/**
 * Devices: one API over the driver host's socket and over Windows.
 *
 * Requests of a device may be in flight in any number. An AbortSignal asks the driver to cancel
 * (CancelIoEx), no more: a request that completes in spite of it resolves as usual, so that nothing the
 * driver gave away is lost; one that was cancelled rejects with NTS_ERR_CANCELLED, the signal's reason
 * being its cause.
 */
import { ntsError } from '../../../userland/common/errors.js';
import { hostSocket } from '../../../userland/common/paths.js';
import { dataOf } from './convert.js';
import { HostDevice } from './host-device.js';
import { type NativeReply, loadNative } from './native.js';
import { WindowsDevice } from './windows-device.js';

export type Access = 'none' | 'read' | 'write' | 'read-write';

const METHOD_IN_DIRECT = 1;
const METHOD_OUT_DIRECT = 2;
const PAGE = 4096;
const MAX_LENT = 2 ** 30;

/** GENERIC_READ and GENERIC_WRITE, the same on both systems. */
const ACCESS_MASK: Readonly<Record<Access, number>> = {
  none: 0,
  read: 0x80000000,
  write: 0x40000000,
  'read-write': 0xc0000000,
};

export interface OpenOptions {
  /** What the handle may be used for; default read-write. */
  readonly access?: Access;
  /** Socket of the driver host; default NTSWIFT_HOST or /run/ntswift/host.sock. Not used on Windows. */
  readonly endpoint?: string | null;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | null;
}

/** Memory lent to a driver. */
export interface Lent {
  /** What the driver sees as the output buffer, as long as `done` is open; it stays ours afterwards. */
  readonly memory: Buffer;
  /** Resolves to Information when the driver gives the memory back. */
  readonly done: Promise<number>;
  /** Asks for it (CancelIoEx). */
  cancel(): void;
}

export interface Device extends AsyncDisposable {
  readonly path: string;
  /** DeviceIoControl. Resolves to what the driver returned, at most outputBytes. */
  ioctl(
    code: number,
    input: Uint8Array | null,
    outputBytes: number,
    options?: RequestOptions,
  ): Promise<Buffer>;
  /**
   * DeviceIoControl of METHOD_OUT_DIRECT or METHOD_IN_DIRECT whose output buffer is memory that the
   * driver and the caller share until it completes. Bytes: a multiple of 4096, up to 1 GiB. Words that
   * both use are read and written by loadAcquire and storeRelease.
   */
  lend(code: number, input: Uint8Array | null, bytes: number): Lent;
  read(offset: bigint, bytes: number, options?: RequestOptions): Promise<Buffer>;
  /** Resolves to the number of bytes written. */
  write(offset: bigint, data: Uint8Array, options?: RequestOptions): Promise<number>;
  /** Cancels what is in flight and closes the handle; resolves when the driver has seen both. */
  close(): Promise<void>;
}

/** A request under way on either system. */
export interface Started {
  readonly reply: Promise<NativeReply>;
  cancel(): void;
}

export interface StartedLent extends Started {
  readonly memory: ArrayBuffer;
}

/** What a system brings to a device. */
export interface Backend {
  ioctl(code: number, input: Uint8Array | null, outputBytes: number, what: string): Started;
  lend(code: number, input: Uint8Array | null, bytes: number, what: string): StartedLent;
  read(offset: bigint, bytes: number, what: string): Started;
  write(offset: bigint, data: Uint8Array, what: string): Started;
  close(): Promise<void>;
}

/** CreateFile. */
export async function openDevice(path: string, options: OpenOptions = {}): Promise<Device> {
  const access = ACCESS_MASK[options.access ?? 'read-write'];
  const native = loadNative();
  if (native.kind === 'windows') {
    return new OpenDevice(path, await WindowsDevice.open(native, path, access));
  }
  const endpoint = options.endpoint ?? hostSocket();
  if (endpoint === null) throw ntsError('NTS_ERR_HOST_ONLY', { what: path });
  return new OpenDevice(path, await HostDevice.open(native, endpoint, path, access));
}

class OpenDevice implements Device {
  private closed: Promise<void> | null = null;

  constructor(
    readonly path: string,
    private readonly backend: Backend,
  ) {}

  async ioctl(
    code: number,
    input: Uint8Array | null,
    outputBytes: number,
    options: RequestOptions = {},
  ): Promise<Buffer> {
    const what = `${this.path}: control code 0x${code.toString(16)}`;
    return this.data(what, options, () => this.backend.ioctl(code, input, outputBytes, what));
  }

  lend(code: number, input: Uint8Array | null, bytes: number): Lent {
    const what = `${this.path}: control code 0x${code.toString(16)}`;
    if (this.closed) throw ntsError('NTS_ERR_CLOSED', { what });
    if (!(Number.isInteger(bytes) && bytes > 0 && bytes % PAGE === 0 && bytes <= MAX_LENT)) {
      throw new RangeError(`memory to lend is whole pages, up to 1 GiB: not ${bytes} bytes`);
    }
    const method = code & 3;
    if (method !== METHOD_IN_DIRECT && method !== METHOD_OUT_DIRECT) {
      throw new RangeError(`${what} is of no direct method`);
    }
    const started = this.backend.lend(code, input, bytes, what);
    const done = started.reply.then((reply) => {
      dataOf(reply, { what });
      return reply.information;
    });
    return { memory: Buffer.from(started.memory), done, cancel: () => started.cancel() };
  }

  async read(offset: bigint, bytes: number, options: RequestOptions = {}): Promise<Buffer> {
    const what = `${this.path}: read`;
    return this.data(what, options, () => this.backend.read(offset, bytes, what));
  }

  async write(offset: bigint, data: Uint8Array, options: RequestOptions = {}): Promise<number> {
    const what = `${this.path}: write`;
    const reply = await this.run(what, options, () => this.backend.write(offset, data, what));
    dataOf(reply, { what, reason: reasonOf(options) });
    return reply.information;
  }

  close(): Promise<void> {
    return (this.closed ??= this.backend.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async data(what: string, options: RequestOptions, start: () => Started): Promise<Buffer> {
    const reply = await this.run(what, options, start);
    return dataOf(reply, { what, reason: reasonOf(options) });
  }

  private async run(
    what: string,
    { signal = null }: RequestOptions,
    start: () => Started,
  ): Promise<NativeReply> {
    if (this.closed) throw ntsError('NTS_ERR_CLOSED', { what });
    if (signal?.aborted) throw ntsError('NTS_ERR_CANCELLED', { what }, { cause: signal.reason });
    const started = start();
    if (!signal) return started.reply;
    const cancel = (): void => started.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await started.reply;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }
}

function reasonOf({ signal }: RequestOptions): unknown {
  return signal?.aborted ? (signal.reason as unknown) : undefined;
}
