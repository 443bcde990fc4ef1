/** Installing, starting and listing drivers: one interface over the driver host and Windows. */
import { loadNative } from '../../native/addon/ts/index.js';
import { ntsError } from '../common/errors.js';
import { hostSocket } from '../common/paths.js';

/** The same driver in two builds: an ELF module (.so), or the Windows image (.sys). */
export type Flavor = 'elf' | 'pe';

export interface InstallOptions {
  /** Folder of the driver's image; null: beside the INF. */
  readonly images: string | null;
  readonly flavor: Flavor;
}

export interface InfError {
  readonly file: string;
  /** 0: the file as a whole. */
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

/** What nobody knows is null. */
export interface Service {
  readonly service: string;
  readonly displayName: string | null;
  readonly state: 'stopped' | 'running';
  readonly start: string;
  readonly class: string | null;
  readonly version: string | null;
  readonly inf: string | null;
  readonly image: string | null;
  /** Facts of an NDIS filter; else null. */
  readonly filter: unknown;
}

export interface Adapter {
  readonly name: string;
  readonly mac: string;
  /** What else the system tells of it: link, filters, offloads, counters. */
  readonly [fact: string]: unknown;
}

export interface ServiceManager {
  /** The host's own words, or Windows' version. */
  readonly description: Readonly<Record<string, unknown>>;
  /** All that is wrong with an INF; installs nothing. */
  check(inf: string): Promise<InfError[]>;
  /** Returns the service. */
  install(inf: string, options: InstallOptions): Promise<string>;
  uninstall(service: string): Promise<void>;
  start(service: string): Promise<void>;
  stop(service: string): Promise<void>;
  list(service: string | null): Promise<Service[]>;
  adapters(): Promise<Adapter[]>;
  close(): void;
}

export async function openServices(endpoint: string | null): Promise<ServiceManager> {
  if (process.platform === 'win32') {
    const { WindowsServices } = await import('./windows-services.js');
    return new WindowsServices();
  }
  const native = loadNative();
  const socket = endpoint ?? hostSocket();
  if (native.kind !== 'host' || socket === null) {
    throw ntsError('NTS_ERR_HOST_ONLY', { what: 'the service manager of the driver host' });
  }
  const { HostServices } = await import('./host-services.js');
  return HostServices.connect(native, socket);
}

/** file:line: message (rule) */
export function infErrorText({ file, line, rule, message }: InfError): string {
  const place = line > 0 ? `${file}:${line}` : file;
  return `${place}: ${message}${rule ? ` (${rule})` : ''}`;
}
