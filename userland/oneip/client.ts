/** The ONE-IP driver of this node: its requests, typed, and its refusals as errors with their reason. */
import { type Access, type Device, openDevice } from '../../native/addon/ts/index.js';
import { NtsError, isNtsError, ntsError } from '../common/errors.js';
import {
  ONEIP_CONTRACT_VERSION,
  ONEIP_LINK_NAME,
  ONEIP_MAX_EVENTS,
  ONEIP_MAX_MEMBERS,
  OneIpEvent,
  OneIpIoctl,
  OneIpLookup,
  OneIpLookupResult,
  OneIpMemberStatus,
  OneIpReason,
  OneIpRefusal,
  OneIpStats,
  OneIpStatus,
  OneIpVersion,
  OneIpVeto,
  OneIpWaitEvent,
} from './codec.js';
import {
  CONFIGURATION_LIMIT,
  type Configuration,
  decodeConfiguration,
  encodeConfiguration,
} from './configuration.js';
import { refusalOf, refusedError } from './refusal.js';

/** \DosDevices\X is \\.\X to user mode. */
const DEVICE_PATH = ONEIP_LINK_NAME.replace('\\DosDevices\\', '\\\\.\\');

export interface NodeStatus extends OneIpStatus {
  readonly members: OneIpMemberStatus[];
}

export interface OneIpOptions {
  readonly access?: Access;
  readonly endpoint?: string | null;
}

export class OneIp implements AsyncDisposable {
  private constructor(private readonly device: Device) {}

  /** Opens the device and makes sure that the driver speaks this contract. */
  static async open({ access = 'read-write', endpoint = null }: OneIpOptions = {}): Promise<OneIp> {
    const device = await openDevice(DEVICE_PATH, { access, endpoint });
    const oneIp = new OneIp(device);
    try {
      const { contract } = await oneIp.version();
      if (contract !== ONEIP_CONTRACT_VERSION) {
        const what = `the driver speaks version ${contract} of its contract and this program version ${ONEIP_CONTRACT_VERSION}; install the driver of this release`;
        throw ntsError('NTS_ERR_CONTRACT', { what });
      }
      return oneIp;
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

  async version(): Promise<OneIpVersion> {
    return OneIpVersion.decode(await this.ask('getVersion', null, OneIpVersion.size));
  }

  async setConfiguration(configuration: Configuration): Promise<void> {
    await this.ask('setConfig', encodeConfiguration(configuration), 0);
  }

  async clearConfiguration(): Promise<void> {
    await this.ask('clearConfig', null, 0);
  }

  /** The one in force, its beacon key zeroed; null where there is none. */
  async configuration(): Promise<Configuration | null> {
    try {
      return decodeConfiguration(await this.ask('getConfig', null, CONFIGURATION_LIMIT));
    } catch (error) {
      if (refusalOf(error)?.reason === OneIpReason.notConfigured) return null;
      throw error;
    }
  }

  async status(): Promise<NodeStatus> {
    const limit = OneIpStatus.size + ONEIP_MAX_MEMBERS * OneIpMemberStatus.size;
    const bytes = await this.ask('getStatus', null, limit);
    const status = OneIpStatus.decode(bytes.subarray(0, OneIpStatus.size));
    const members = OneIpMemberStatus.decodeArray(bytes.subarray(OneIpStatus.size));
    if (members.length !== status.memberCount) {
      const what = `ONEIP_STATUS: ${members.length} members follow, not ${status.memberCount}`;
      throw ntsError('NTS_ERR_CODEC', { what });
    }
    return { ...status, members };
  }

  async stats(): Promise<OneIpStats> {
    return OneIpStats.decode(await this.ask('getStats', null, OneIpStats.size));
  }

  /** Becomes dispatcher now. */
  async promote(): Promise<void> {
    await this.ask('setPrimary', null, 0);
  }

  async veto(veto: boolean): Promise<void> {
    await this.ask('setVeto', OneIpVeto.encode({ veto: veto ? 1 : 0 }), 0);
  }

  async lookup(question: OneIpLookup): Promise<OneIpLookupResult> {
    const bytes = await this.ask('lookup', OneIpLookup.encode(question), OneIpLookupResult.size);
    return OneIpLookupResult.decode(bytes);
  }

  /** The events after a sequence number, as they come; ends when the signal aborts or the device is closed. */
  async *events(after: bigint, signal: AbortSignal): AsyncGenerator<OneIpEvent[], void, void> {
    let last = after;
    while (!signal.aborted) {
      const input = OneIpWaitEvent.encode({ after: last });
      let events;
      try {
        const bytes = await this.ask(
          'waitEvent',
          input,
          ONEIP_MAX_EVENTS * OneIpEvent.size,
          signal,
        );
        events = OneIpEvent.decodeArray(bytes);
      } catch (error) {
        if (isNtsError(error, 'NTS_ERR_CANCELLED')) return;
        throw error;
      }
      last = events.at(-1)?.sequence ?? last;
      yield events;
    }
  }

  private async ask(
    name: keyof typeof OneIpIoctl,
    input: Uint8Array | null,
    outputBytes: number,
    signal: AbortSignal | null = null,
  ): Promise<Buffer> {
    const code = OneIpIoctl[name];
    try {
      return await this.device.ioctl(code, input, outputBytes, { signal });
    } catch (error) {
      throw (await this.refusal(code, error)) ?? error;
    }
  }

  /** A status says little: the driver knows more. */
  private async refusal(code: number, error: unknown): Promise<NtsError | null> {
    if (!(error instanceof NtsError) || error.ntstatus === null) return null;
    if (error.code === 'NTS_ERR_CANCELLED') return null;
    const bytes = await this.device.ioctl(OneIpIoctl.getRefusal, null, OneIpRefusal.size);
    const refusal = OneIpRefusal.decode(bytes);
    // Of another request of this handle, or of the I/O manager before the driver saw it.
    if (refusal.ioctl !== code || refusal.status !== error.ntstatus) return null;
    return refusedError(refusal, error);
  }
}
