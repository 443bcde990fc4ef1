/** The ONE-IP driver of this node: its requests, typed, and its refusals as errors with their reason. */
import { type Access, type Device, openDevice } from '../../native/addon/ts/index.js';
import { NtsError, isNtsError, ntsError } from '../common/errors.js';
import {
  ONEIP_CONTRACT_VERSION,
  ONEIP_LINK_NAME,
  ONEIP_MAX_EVENTS,
  ONEIP_MAX_MEMBERS,
  ONEIP_MAX_RULES,
  OneIpDrain,
  OneIpEvent,
  OneIpFlow,
  OneIpFlowCount,
  OneIpFlowCounts,
  OneIpFlowImport,
  OneIpFlowImported,
  OneIpFlowPage,
  OneIpFlowQuery,
  OneIpIoctl,
  OneIpLookup,
  OneIpLookupResult,
  OneIpMemberStatus,
  OneIpReason,
  OneIpRefusal,
  OneIpRuleStatus,
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

export interface FlowCounts extends OneIpFlowCounts {
  /** By server, in the configuration's order. */
  readonly members: OneIpFlowCount[];
  /** By rule; what no rule names is last. */
  readonly rules: OneIpFlowCount[];
}

/** All that is not given matches anything. Ports are plain numbers. */
export type FlowQuery = Partial<Omit<OneIpFlowQuery, 'cursor'>>;

/** So many flows travel in one request: 115 kB. */
export const FLOWS_PER_REQUEST = 2048;

const ANY_ADDRESS = { family: 0, address: new Uint8Array(16) } as const;

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
    follow('ONEIP_STATUS', 'members', members.length, status.memberCount);
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

  /** Whether this node serves no new clients; those that it has go on. */
  async drain(drain: boolean): Promise<void> {
    await this.ask('setDrain', OneIpDrain.encode({ drain: drain ? 1 : 0 }), 0);
  }

  /**
   * The flows that this node knows, page by page; a page may be empty. A flow that comes or goes meanwhile may be
   * missing or come twice.
   */
  async *flows(
    query: FlowQuery = {},
    signal: AbortSignal | null = null,
  ): AsyncGenerator<OneIpFlow[], void, void> {
    const whole: OneIpFlowQuery = {
      cursor: 0n,
      client: ANY_ADDRESS,
      cluster: ANY_ADDRESS,
      clientPrefix: 0,
      protocol: 0,
      clientPort: 0,
      clusterPort: 0,
      nodeId: 0,
      state: 0,
      ...query,
    };
    const limit = OneIpFlowPage.size + FLOWS_PER_REQUEST * OneIpFlow.size;
    let cursor = 0n;
    do {
      const input = OneIpFlowQuery.encode({ ...whole, cursor });
      const bytes = await this.ask('getFlows', input, limit, signal);
      const page = OneIpFlowPage.decode(bytes.subarray(0, OneIpFlowPage.size));
      const flows = OneIpFlow.decodeArray(bytes.subarray(OneIpFlowPage.size));
      follow('ONEIP_FLOW_PAGE', 'flows', flows.length, page.count);
      yield flows;
      cursor = page.cursor;
    } while (cursor !== 0n);
  }

  /** At most FLOWS_PER_REQUEST. A refusal's index is that of the flow at fault. */
  async importFlows(flows: readonly OneIpFlow[]): Promise<OneIpFlowImported> {
    const header = { version: ONEIP_CONTRACT_VERSION, count: flows.length };
    const input = Buffer.concat([OneIpFlowImport.encode(header), OneIpFlow.encodeArray(flows)]);
    return OneIpFlowImported.decode(await this.ask('importFlows', input, OneIpFlowImported.size));
  }

  async flowCounts(): Promise<FlowCounts> {
    const most = ONEIP_MAX_MEMBERS + ONEIP_MAX_RULES + 1;
    const limit = OneIpFlowCounts.size + most * OneIpFlowCount.size;
    const bytes = await this.ask('countFlows', null, limit);
    const counts = OneIpFlowCounts.decode(bytes.subarray(0, OneIpFlowCounts.size));
    const arrays = OneIpFlowCount.decodeArray(bytes.subarray(OneIpFlowCounts.size));
    const { memberCount, ruleCount } = counts;
    follow('ONEIP_FLOW_COUNTS', 'counts', arrays.length, memberCount + ruleCount + 1);
    return { ...counts, members: arrays.slice(0, memberCount), rules: arrays.slice(memberCount) };
  }

  /** One for each rule, and last one for what no rule names. */
  async rules(): Promise<OneIpRuleStatus[]> {
    const limit = (ONEIP_MAX_RULES + 1) * OneIpRuleStatus.size;
    return OneIpRuleStatus.decodeArray(await this.ask('getRules', null, limit));
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

/** An array that a header announces must be there. */
function follow(header: string, what: string, there: number, announced: number): void {
  if (there === announced) return;
  throw ntsError('NTS_ERR_CODEC', { what: `${header}: ${there} ${what} follow, not ${announced}` });
}
