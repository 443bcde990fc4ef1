/** The answering side of node-protocol.ts. */
import { ntsError } from '../common/errors.js';
import { Authority } from './authority.js';
import type { Channel } from './channel.js';
import { isSignedBy, parsePublicKey } from './keys.js';
import type { LocalNode } from './local-node.js';
import { encodeMessage, readMessage, writeMessage } from './message.js';
import {
  NODE_MESSAGE_LIMIT,
  NODE_SERVICE,
  type PeerStatus,
  type Request,
  requestSchema,
} from './node-protocol.js';
import { refusalOf } from './preamble.js';
import type { Service, ServiceContext, ServiceStatus } from './service.js';

/** What only the process knows. */
export interface ProcessFacts {
  readonly version: string;
  readonly started: number;
  readonly services: () => readonly ServiceStatus[];
}

/** A peer that asks nothing for so long is not waited for. */
const IDLE_MILLISECONDS = 60_000;

export class NodeService implements Service {
  readonly name = NODE_SERVICE;
  private context: ServiceContext | null = null;

  constructor(private readonly facts: ProcessFacts) {}

  start(context: ServiceContext): Promise<void> {
    this.context = context;
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.context = null;
    return Promise.resolve();
  }

  async handle(channel: Channel): Promise<void> {
    const { stream } = channel;
    const { context } = this;
    if (!context) throw ntsError('NTS_ERR_INTERNAL', { what: `${this.name} does not run` });
    let idle: NodeJS.Timeout | undefined;
    try {
      for (;;) {
        idle = setTimeout(() => channel.close(), IDLE_MILLISECONDS);
        const request = await readMessage(stream, requestSchema, NODE_MESSAGE_LIMIT);
        clearTimeout(idle);
        await writeMessage(stream, await this.answer(request, channel, context));
      }
    } catch (error) {
      // Whoever has heard enough just goes.
      if (stream.readableEnded || stream.destroyed) return;
      context.log.warn({ peer: channel.peer.name, err: error }, 'a request failed');
      stream.end(encodeMessage(refusalOf(error, context.local.clock())));
      stream.resume();
    } finally {
      clearTimeout(idle);
    }
  }

  private async answer(
    request: Request,
    { peer }: Channel,
    { local, log }: ServiceContext,
  ): Promise<object> {
    switch (request.ask) {
      case 'exchange':
        if (local.membership.accept(request.documents)) {
          log.info({ peer: peer.name }, 'the list of nodes has changed');
        }
        return { documents: local.membership.signed };
      case 'address': {
        const authority = await Authority.of(local, 'a new address');
        authority.setAddress(peer.id, request.address);
        return { documents: local.membership.signed };
      }
      case 'renew': {
        const publicKey = Buffer.from(request.publicKey, 'base64');
        requirePossession(publicKey, peer.serial, request.proof);
        const authority = await Authority.of(local, 'renewing a certificate');
        const certificate = await authority.renew(peer.id, publicKey);
        log.info({ peer: peer.name, serial: certificate.serialNumber }, 'renewed a certificate');
        return { certificate: certificate.toString() };
      }
      case 'status':
        return this.status(local);
    }
  }

  private async status(local: LocalNode): Promise<PeerStatus> {
    const { version, started, services } = this.facts;
    return {
      version,
      started,
      time: local.clock(),
      expires: local.identity.notAfter,
      authority: (await local.loadCa()) !== null,
      listVersion: local.membership.content.version,
      services: services().map((one) => ({ ...one, lastError: plain(one.lastError) })),
    };
  }
}

/** The new key is asked for over a channel of the old one, whose serial number it signs. */
function requirePossession(publicKey: Buffer, serial: string, proof: string): void {
  const signature = Buffer.from(proof, 'base64');
  const data = Buffer.from(serial, 'hex');
  if (isSignedBy(parsePublicKey(publicKey), 'ntswift possession 1', data, signature)) return;
  const what = 'the node does not have the key that it wants a certificate for';
  throw ntsError('NTS_ERR_PEER_PROTOCOL', { what });
}

function plain(text: string | null): string | null {
  return text?.replace(/\p{Cc}+/gu, ' ').slice(0, 1000) ?? null;
}
