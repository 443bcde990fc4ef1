/**
 * The REPL driver of this node: its requests, typed, and its refusals as errors that say what to do.
 * Sequences are numbers here, as in the records (record.ts).
 */
import { type Access, type Device, openDevice } from '../../native/addon/ts/index.js';
import { NtsError, isNtsError, ntsError } from '../common/errors.js';
import {
  REPL_CONTRACT_VERSION,
  REPL_DIRTY_WHOLE,
  REPL_FLAG_COPIED,
  REPL_LINK_NAME,
  REPL_MAX_BRACKETS,
  ReplAcknowledge,
  ReplBookmark,
  ReplBracket,
  type ReplBracketReason,
  ReplBracketStatus,
  ReplDirtyFile,
  ReplDirtyRange,
  ReplIoctl,
  ReplLend,
  ReplProgress,
  ReplRead,
  ReplRefusal,
  ReplRefusalReason,
  ReplRegionQuery,
  ReplRole,
  ReplRoleKind,
  ReplSequence,
  type ReplState,
  ReplStatus,
  ReplSync,
  ReplTrust,
  ReplVersion,
  ReplWait,
} from './codec.js';
import {
  DRIVER_CONFIG_LIMIT,
  type DriverConfig,
  decodeDriverConfig,
  encodeDriverConfig,
} from './driver-config.js';
import { DeviceRing, type LentRing } from './lent-ring.js';

import { type RefusalSubject, replRefusal } from './refusal.js';

/** \DosDevices\X is \\.\X to user mode. */
const DEVICE_PATH = REPL_LINK_NAME.replace('\\DosDevices\\', '\\\\.\\');

const STATUS_NO_MORE_ENTRIES = 0x8000001a;

/** Ranges of a dirty file that travel in one answer. */
const MAX_RANGES = 65_536;

export interface BracketStatus {
  readonly bracket: number;
  /** 0: all sets */
  readonly setId: number;
  readonly reason: ReplBracketReason;
  /** Of what entered; null: none. */
  readonly fileId: Buffer | null;
}

export interface Range {
  readonly offset: number;
  readonly length: number;
}

export interface DirtyFile {
  readonly setId: number;
  readonly fileId: Buffer;
  /** REPL_DIRTY_* */
  readonly flags: number;
  readonly ranges: readonly Range[];
}

/** By FileId, or by path relative to the set's root. */
export type SyncTarget = { readonly fileId: Uint8Array } | { readonly path: string };

export interface Progress {
  readonly head: number;
  readonly completed: number;
  readonly state: ReplState;
}

/** What pump and synchronisation ask of a driver. */
export interface ReplDriver {
  config(): Promise<DriverConfig>;
  setConfig(config: DriverConfig): Promise<void>;
  status(): Promise<ReplStatus>;
  setRole(role: ReplRoleKind, epoch: number, sequence?: number): Promise<void>;
  /** The driver's ring from here on, until it is cancelled or the handle closes. */
  lend(bytes: number, after: number): LentRing;
  wait(head: number, state: ReplState, signal?: AbortSignal): Promise<Progress>;
  /** Whole records above `after`; empty: the ring is open. */
  readJournal(after: number, bytes: number, signal?: AbortSignal): Promise<Buffer>;
  acknowledge(sequence: number): Promise<void>;
  bookmark(label: string): Promise<number>;
  openBracket(setId: number, reason: ReplBracketReason): Promise<number>;
  closeBracket(bracket: number): Promise<number>;
  brackets(): Promise<BracketStatus[]>;
  syncFolder(setId: number, target: SyncTarget): Promise<number>;
  syncFile(setId: number, target: SyncTarget): Promise<number>;
  /** Copy mode: the copy that was begun by the record of that number is whole. */
  fileCopied(setId: number, target: SyncTarget, begun: number): Promise<number>;
  /** flags: REPL_FLAG_VERIFY or 0 */
  syncRange(
    setId: number,
    target: SyncTarget,
    offset: number,
    length: number,
    flags?: number,
  ): Promise<number>;
  /** What the file has there, while programs may write; less at its end. */
  readRange(setId: number, target: SyncTarget, offset: number, length: number): Promise<Buffer>;
  /** null: there is nothing more. */
  takeDirty(): Promise<DirtyFile | null>;
  /** Of a file of that size: what may have changed without a record. */
  queryRegions(fileId: Uint8Array, size: number): Promise<Range[]>;
  trust(processId?: number): Promise<void>;
  close(): Promise<void>;
}

export interface ReplOptions {
  readonly access?: Access;
  readonly endpoint?: string | null;
}

export class Repl implements ReplDriver, AsyncDisposable {
  private constructor(private readonly device: Device) {}

  /** Opens the device and makes sure that the driver speaks this contract. */
  static async open({ access = 'read-write', endpoint = null }: ReplOptions = {}): Promise<Repl> {
    const device = await openDevice(DEVICE_PATH, { access, endpoint });
    const repl = new Repl(device);
    try {
      const { contract } = await repl.version();
      if (contract !== REPL_CONTRACT_VERSION) {
        const what = `the REPL driver speaks version ${contract} of its contract and this program version ${REPL_CONTRACT_VERSION}; install the driver of this release`;
        throw ntsError('NTS_ERR_CONTRACT', { what });
      }
      return repl;
    } catch (error) {
      await device.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.device.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async version(): Promise<ReplVersion> {
    return ReplVersion.decode(await this.ask('getVersion', null, ReplVersion.size));
  }

  async config(): Promise<DriverConfig> {
    return decodeDriverConfig(await this.ask('getConfig', null, DRIVER_CONFIG_LIMIT));
  }

  async setConfig(config: DriverConfig): Promise<void> {
    await this.ask('setConfig', encodeDriverConfig(config), 0, {
      subject: {
        roots: config.sets.map(({ root }) => root),
        rules: config.rules.map(({ name }) => name),
      },
    });
  }

  async status(): Promise<ReplStatus> {
    return ReplStatus.decode(await this.ask('getStatus', null, ReplStatus.size));
  }

  async setRole(role: ReplRoleKind, epoch: number, sequence = 0): Promise<void> {
    const input = ReplRole.encode({ role, epoch: BigInt(epoch), sequence: BigInt(sequence) });
    await this.ask('setRole', input, 0);
  }

  lend(bytes: number, after: number): LentRing {
    const input = ReplLend.encode({ contract: REPL_CONTRACT_VERSION, after: BigInt(after) });
    return new DeviceRing(this.device.lend(ReplIoctl.lendRing, input, bytes), (error) =>
      this.refusal(error, {}),
    );
  }

  async wait(head: number, state: ReplState, signal?: AbortSignal): Promise<Progress> {
    const input = ReplWait.encode({ head: BigInt(head), state });
    const bytes = await this.ask('wait', input, ReplProgress.size, { signal });
    const progress = ReplProgress.decode(bytes);
    return {
      head: Number(progress.head),
      completed: Number(progress.completedSequence),
      state: progress.state as ReplState,
    };
  }

  async readJournal(after: number, bytes: number, signal?: AbortSignal): Promise<Buffer> {
    // Lent rather than sent: how much of it was filled is known, and only that is touched.
    const input = ReplRead.encode({ after: BigInt(after) });
    signal?.throwIfAborted();
    const lent = this.device.lend(ReplIoctl.readJournal, input, bytes);
    const cancel = (): void => lent.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return lent.memory.subarray(0, await lent.done);
    } catch (error) {
      throw await this.refusal(error, {});
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  async acknowledge(sequence: number): Promise<void> {
    await this.ask('acknowledge', ReplAcknowledge.encode({ sequence: BigInt(sequence) }), 0);
  }

  async bookmark(label: string): Promise<number> {
    const bytes = Buffer.from(label, 'utf16le');
    const header = ReplBookmark.encode({ labelLength: bytes.length });
    return this.sequence('bookmark', Buffer.concat([header, bytes]));
  }

  async openBracket(setId: number, reason: ReplBracketReason): Promise<number> {
    return this.sequence('openBracket', ReplBracket.encode({ setId, reason, bracket: 0n }));
  }

  async closeBracket(bracket: number): Promise<number> {
    const input = ReplBracket.encode({ setId: 0, reason: 0, bracket: BigInt(bracket) });
    return this.sequence('closeBracket', input);
  }

  async brackets(): Promise<BracketStatus[]> {
    const limit = REPL_MAX_BRACKETS * ReplBracketStatus.size;
    const list = ReplBracketStatus.decodeArray(await this.ask('listBrackets', null, limit));
    return list.map(({ bracket, setId, reason, fileId }) => ({
      bracket: Number(bracket),
      setId,
      reason: reason as ReplBracketReason,
      fileId: fileId.some((byte) => byte !== 0) ? Buffer.from(fileId) : null,
    }));
  }

  async syncFolder(setId: number, target: SyncTarget): Promise<number> {
    return this.sequence('syncFolder', encodeSync(setId, target));
  }

  async syncFile(setId: number, target: SyncTarget): Promise<number> {
    return this.sequence('syncFile', encodeSync(setId, target));
  }

  async fileCopied(setId: number, target: SyncTarget, begun: number): Promise<number> {
    return this.sequence('syncFile', encodeSync(setId, target, begun, 0, REPL_FLAG_COPIED));
  }

  async syncRange(
    setId: number,
    target: SyncTarget,
    offset: number,
    length: number,
    flags = 0,
  ): Promise<number> {
    return this.sequence('syncRange', encodeSync(setId, target, offset, length, flags));
  }

  async readRange(
    setId: number,
    target: SyncTarget,
    offset: number,
    length: number,
  ): Promise<Buffer> {
    return this.ask('readRange', encodeSync(setId, target, offset, length), length);
  }

  async takeDirty(): Promise<DirtyFile | null> {
    const limit = ReplDirtyFile.size + MAX_RANGES * ReplDirtyRange.size;
    let bytes;
    try {
      bytes = await this.ask('takeDirty', null, limit);
    } catch (error) {
      if (isNtsError(error) && error.ntstatus === STATUS_NO_MORE_ENTRIES) return null;
      throw error;
    }
    if (bytes.length === 0) return null;
    return decodeDirty(bytes);
  }

  async queryRegions(fileId: Uint8Array, size: number): Promise<Range[]> {
    const input = ReplRegionQuery.encode({ fileId: Uint8Array.from(fileId), size: BigInt(size) });
    const limit = ReplDirtyFile.size + MAX_RANGES * ReplDirtyRange.size;
    const { flags, ranges } = decodeDirty(await this.ask('queryRegions', input, limit));
    return (flags & REPL_DIRTY_WHOLE) !== 0 ? [{ offset: 0, length: size }] : [...ranges];
  }

  async trust(processId = 0): Promise<void> {
    await this.ask('trustProcess', ReplTrust.encode({ processId }), 0);
  }

  private async sequence(name: keyof typeof ReplIoctl, input: Uint8Array): Promise<number> {
    const bytes = await this.ask(name, input, ReplSequence.size);
    return Number(ReplSequence.decode(bytes).sequence);
  }

  private async ask(
    name: keyof typeof ReplIoctl,
    input: Uint8Array | null,
    outputBytes: number,
    options: { signal?: AbortSignal | undefined; subject?: RefusalSubject } = {},
  ): Promise<Buffer> {
    try {
      const { signal = null } = options;
      return await this.device.ioctl(ReplIoctl[name], input, outputBytes, { signal });
    } catch (error) {
      throw await this.refusal(error, options.subject ?? {});
    }
  }

  /** A status says little: the driver knows more. */
  private async refusal(error: unknown, subject: RefusalSubject): Promise<unknown> {
    if (!(error instanceof NtsError) || error.ntstatus === null) return error;
    if (error.ntstatus === STATUS_NO_MORE_ENTRIES) return error;
    if (['NTS_ERR_CANCELLED', 'NTS_ERR_ACCESS_DENIED'].includes(error.code)) return error;
    const bytes = await this.device.ioctl(ReplIoctl.getRefusal, null, ReplRefusal.size);
    const refusal = ReplRefusal.decode(bytes);
    if (refusal.reason === ReplRefusalReason.none) return error;
    return replRefusal(refusal, error, subject);
  }
}

function decodeDirty(bytes: Buffer): DirtyFile {
  const head = ReplDirtyFile.decode(bytes.subarray(0, ReplDirtyFile.size));
  const ranges = ReplDirtyRange.decodeArray(bytes.subarray(ReplDirtyFile.size));
  if (ranges.length !== head.rangeCount) {
    const what = `REPL_DIRTY_FILE: ${ranges.length} ranges follow, not ${head.rangeCount}`;
    throw ntsError('NTS_ERR_CODEC', { what });
  }
  return {
    setId: head.setId,
    fileId: Buffer.from(head.fileId),
    flags: head.flags,
    // The end of a range may be "to the end of the file": beyond what a number can say.
    ranges: ranges.map(({ offset, length }) => ({ offset: clamp(offset), length: clamp(length) })),
  };
}

const NO_FILE = new Uint8Array(16);

function encodeSync(setId: number, target: SyncTarget, offset = 0, range = 0, flags = 0): Buffer {
  const name = Buffer.from('path' in target ? target.path : '', 'utf16le');
  const header = ReplSync.encode({
    setId,
    nameLength: name.length,
    fileId: 'fileId' in target ? Uint8Array.from(target.fileId) : NO_FILE,
    offset: BigInt(offset),
    range,
    flags,
  });
  return Buffer.concat([header, name]);
}

function clamp(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}
