/** The driver host's setup and service control manager. */
import { type HostLink, connectHost } from '../../native/addon/ts/index.js';
import { isFailure } from '../../native/addon/ts/convert.js';
import type { NativeBinding, NativeReply } from '../../native/addon/ts/native.js';
import { type NtsError, ntsError } from '../common/errors.js';
import { STATUS_ACCESS_DENIED, describeStatus } from '../common/ntstatus.js';
import {
  type Adapter,
  type Flavor,
  type InfError,
  type InstallOptions,
  type Service,
  type ServiceManager,
  infErrorText,
} from './services.js';

const EXTENSION: Readonly<Record<Flavor, string>> = { elf: '.so', pe: '.sys' };

export class HostServices implements ServiceManager {
  private constructor(private readonly link: HostLink) {}

  static async connect(
    native: NativeBinding & { kind: 'host' },
    endpoint: string,
  ): Promise<HostServices> {
    return new HostServices(await connectHost(native, endpoint));
  }

  get description(): Readonly<Record<string, unknown>> {
    return this.link.description;
  }

  async check(inf: string): Promise<InfError[]> {
    return list(await this.ask(this.link.wire.check, `check ${inf}`, inf));
  }

  async install(inf: string, { images, flavor }: InstallOptions): Promise<string> {
    const payload = [inf, images ?? '', EXTENSION[flavor]].map((text) => `${text}\0`).join('');
    const reply = await this.ask(this.link.wire.install, `install ${inf}`, payload);
    return reply.payload.toString('utf8').replace(/\0$/, '');
  }

  async uninstall(service: string): Promise<void> {
    await this.ask(this.link.wire.uninstall, `uninstall ${service}`, service);
  }

  async start(service: string): Promise<void> {
    await this.ask(this.link.wire.start, `start ${service}`, service);
  }

  async stop(service: string): Promise<void> {
    await this.ask(this.link.wire.stop, `stop ${service}`, service);
  }

  async list(service: string | null): Promise<Service[]> {
    const reply = await this.ask(this.link.wire.list, service ?? 'list of drivers', service ?? '');
    return list(reply);
  }

  async adapters(): Promise<Adapter[]> {
    return list(await this.ask(this.link.wire.adapters, 'list of adapters', ''));
  }

  close(): void {
    this.link.close();
  }

  private async ask(op: number, what: string, payload: string): Promise<NativeReply> {
    const reply = await this.link.request(op, what, { payload });
    if (isFailure(reply.status)) throw failure(reply, what, op === this.link.wire.install);
    return reply;
  }
}

/** The host is of this release: what a list of its holds is what services.ts says. */
function list<T>({ payload }: NativeReply): T[] {
  const value = parseJson(payload) ?? [];
  if (Array.isArray(value)) return value as T[];
  throw ntsError('NTS_ERR_PROTOCOL', { what: 'a reply is no list' });
}

function parseJson(payload: Buffer): unknown {
  const text = payload.toString('utf8').replace(/\0$/, '').trim();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw ntsError('NTS_ERR_PROTOCOL', { what: 'a reply is not JSON' }, { cause });
  }
}

/** Failures carry what is wrong and where; a bare status is all that some have. */
function failure({ status, payload }: NativeReply, what: string, installs: boolean): NtsError {
  if (status === STATUS_ACCESS_DENIED) {
    return ntsError('NTS_ERR_ACCESS_DENIED', { what }, { ntstatus: status });
  }
  const detail = parseJson(payload) as Partial<InfError> | null;
  const { file = '', line = 0, rule = '', message = '' } = detail ?? {};
  const details = { ntstatus: status, facts: detail ? { file, line, rule } : {} };
  if (installs && file && message) {
    const text = infErrorText({ file, line, rule, message });
    return ntsError('NTS_ERR_INF', { what: text }, details);
  }
  const why = message || describeStatus(status).meaning;
  return ntsError(
    'NTS_ERR_SERVICE',
    { what: `${what}: ${why}${rule ? ` (${rule})` : ''}` },
    details,
  );
}
