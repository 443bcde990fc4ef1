/** A connection to the driver host on which both sides have agreed on the protocol. */
import { ntsError } from '../../../userland/common/errors.js';
import { describeStatus } from '../../../userland/common/ntstatus.js';
import { isFailure, request } from './convert.js';
import type { NativeBinding, NativeHostConnection, NativeReply, Wire } from './native.js';

export interface RequestFields {
  readonly handle?: number;
  readonly arg0?: number;
  readonly arg1?: number;
  readonly payload?: string | Uint8Array | null;
}

export class HostLink {
  /** What the host says of itself. */
  description: Readonly<Record<string, unknown>> = {};

  constructor(
    readonly native: NativeHostConnection,
    readonly wire: Wire,
    readonly endpoint: string,
  ) {}

  request(op: number, what: string, fields: RequestFields = {}): Promise<NativeReply> {
    const { handle = 0, arg0 = 0, arg1 = 0, payload = null } = fields;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    return request(
      (done) => this.native.request(op, handle, arg0, arg1, bytes, done),
      what,
      this.endpoint,
    );
  }

  close(): void {
    this.native.close();
  }
}

export async function connectHost(
  native: NativeBinding & { kind: 'host' },
  endpoint: string,
): Promise<HostLink> {
  const { wire } = native;
  const link = new HostLink(new native.HostConnection(endpoint), wire, endpoint);
  try {
    const { status, payload } = await link.request(wire.hello, 'hello', {
      arg0: wire.magic,
      arg1: wire.version,
    });
    if (isFailure(status)) {
      throw ntsError(
        'NTS_ERR_PROTOCOL',
        { what: `version ${wire.version} is refused: ${describeStatus(status).meaning}` },
        { ntstatus: status },
      );
    }
    const text = payload.toString('utf8');
    if (text) link.description = JSON.parse(text) as Record<string, unknown>;
    return link;
  } catch (error) {
    link.close();
    throw error;
  }
}
