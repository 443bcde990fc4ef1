/** The asking side of node-protocol.ts. */
import { X509Certificate } from 'node:crypto';
import type { z } from 'zod';
import { ntsError } from '../common/errors.js';
import { type Channel, type ConnectOptions, connect } from './channel.js';
import { isKeyOf } from './identity.js';
import { newKey, publicKeyOf, signWith } from './keys.js';
import type { LocalNode } from './local-node.js';
import { readMessage, writeMessage } from './message.js';
import {
  NODE_MESSAGE_LIMIT,
  NODE_SERVICE,
  type PeerStatus,
  type Request,
  answerOf,
  certificateSchema,
  documentsSchema,
  statusSchema,
} from './node-protocol.js';
import { identityOf } from './peer.js';
import { refusedBy } from './preamble.js';

/** How long a peer may think about a request. */
const ANSWER_MILLISECONDS = 10_000;

export class NodeClient {
  private constructor(
    private readonly local: LocalNode,
    readonly channel: Channel,
  ) {}

  /** Runs `work` on a channel of its own. */
  static async with<T>(
    local: LocalNode,
    node: string,
    work: (client: NodeClient) => Promise<T>,
    options: ConnectOptions = {},
  ): Promise<T> {
    const channel = await connect(local, node, NODE_SERVICE, options);
    try {
      return await work(new NodeClient(local, channel));
    } finally {
      channel.stream.end();
      channel.close();
    }
  }

  /** Both know the same afterwards. True where this node has learned something. */
  async exchange(): Promise<boolean> {
    const { membership } = this.local;
    const request = { ask: 'exchange', documents: membership.signed } as const;
    return membership.accept((await this.ask(request, documentsSchema)).documents);
  }

  async setAddress(address: string): Promise<void> {
    const { documents } = await this.ask({ ask: 'address', address }, documentsSchema);
    this.local.membership.accept(documents);
  }

  /** A new key and a certificate for it; the old ones are replaced at once. */
  async renew(): Promise<void> {
    const { local } = this;
    const key = newKey();
    const serial = Buffer.from(local.identity.serial, 'hex');
    const request = {
      ask: 'renew',
      publicKey: publicKeyOf(key).toString('base64'),
      proof: signWith(key, 'ntswift possession 1', serial).toString('base64'),
    } as const;
    const { certificate: text } = await this.ask(request, certificateSchema);
    const certificate = new X509Certificate(text);
    const { id, name } = identityOf(certificate, local.ca);
    if (id !== local.id || name !== local.name || !isKeyOf(key, certificate)) {
      const what = `node ${this.channel.peer.name} gave a certificate for another node`;
      throw ntsError('NTS_ERR_PEER_PROTOCOL', { what });
    }
    await local.setCertificate(key, certificate);
  }

  async status(): Promise<PeerStatus> {
    return this.ask({ ask: 'status' }, statusSchema);
  }

  private async ask<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
    const { channel } = this;
    const peer = `node ${channel.peer.name}`;
    const late = setTimeout(() => {
      const what = `${peer} has not answered in ${ANSWER_MILLISECONDS / 1000} s`;
      channel.close(ntsError('NTS_ERR_PEER_UNREACHABLE', { what }));
    }, ANSWER_MILLISECONDS);
    try {
      await writeMessage(channel.stream, request);
      const answer = await readMessage(channel.stream, answerOf(schema), NODE_MESSAGE_LIMIT);
      if (isRefusal(answer)) throw refusedBy(peer, answer);
      return answer;
    } finally {
      clearTimeout(late);
    }
  }
}

function isRefusal(answer: unknown): answer is Parameters<typeof refusedBy>[1] {
  return typeof answer === 'object' && answer !== null && 'refused' in answer;
}
