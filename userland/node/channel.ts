/**
 * The secure channel between two nodes: a TLS 1.3 connection on which both have shown a certificate of
 * their cluster, with the name of a service as its application protocol (ALPN).
 *
 * The stream is the connection itself: whoever writes faster than the other side reads is held by its
 * back-pressure. A connection that is silent is probed by TCP keepalive; one on which writes make no
 * progress is closed, and, where the service asks for it, one on which writes are not answered.
 */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { type TLSSocket, connect as connectTls } from 'node:tls';
import { type NtsError, isNtsError, messageOf, ntsError } from '../common/errors.js';
import { type ChannelLimits, watch } from './liveness.js';
import type { LocalNode } from './local-node.js';
import { readMessage, writeMessage } from './message.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from './names.js';
import { NODE_SERVICE } from './node-protocol.js';
import type { Identity } from './peer.js';
import { PREAMBLE_LIMIT, refusedBy, requireMember, welcomeSchema } from './preamble.js';

/** From the first packet until the service has the channel. */
export const CONNECT_MILLISECONDS = 10_000;

export type { ChannelLimits };

export interface ConnectOptions extends ChannelLimits {
  /** Milliseconds until the service must have the channel. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  /** Where the node is, if not where the list of nodes says. */
  readonly address?: string;
}

export interface Peer extends Identity {
  /** HOST:PORT of the other end of the connection. */
  readonly address: string;
  /** The peer's clock less ours, in milliseconds, as exact as the connection is fast. */
  readonly clockDifference: number;
  /** Whether the peer's list of nodes is not ours. */
  readonly differs: boolean;
}

export class Channel {
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
  private readonly socket: TLSSocket;

  constructor(
    readonly service: string,
    readonly peer: Peer,
    socket: TLSSocket,
    limits: ChannelLimits = {},
  ) {
    this.socket = socket;
    this.closed = new Promise((resolve) => void socket.once('close', () => resolve()));
    watch(socket, `node ${peer.name}`, limits);
  }

  get stream(): Duplex {
    return this.socket;
  }

  /** At once; `reason` is what whoever reads or writes gets to see. */
  close(reason?: NtsError): void {
    this.socket.destroy(reason);
  }
}

/** Opens a channel to a service of another node, which must prove to be that node. */
export async function connect(
  local: LocalNode,
  name: string,
  service: string,
  options: ConnectOptions = {},
): Promise<Channel> {
  const endpoint = locate(local, name, options.address);
  const peer = `node ${name} at ${formatEndpoint(endpoint)}`;
  const socket = connectTls({
    ...endpoint,
    secureContext: local.secureContext,
    ALPNProtocols: [service],
    // Judged by requireMember, which says why, before anything is sent.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  return within(socket, peer, options, async () => {
    await handshake(socket, peer, service);
    const identity = requireMember(socket, local, `the certificate of ${peer}`);
    if (identity.name !== name) {
      const what = `at ${formatEndpoint(endpoint)} is node ${identity.name}, not node ${name}`;
      throw ntsError('NTS_ERR_NOT_A_MEMBER', { what });
    }
    const { digest } = local.membership;
    const before = local.clock();
    await writeMessage(socket, { hello: 1, time: before, digest });
    const answer = await readMessage(socket, welcomeSchema, PREAMBLE_LIMIT);
    const clockDifference = Math.round(answer.time - (before + local.clock()) / 2);
    if ('refused' in answer) throw refusedBy(peer, answer);
    const differs = answer.digest !== digest;
    if (differs && service !== NODE_SERVICE) local.emit('differs', name);
    const address = formatEndpoint(endpoint);
    return new Channel(
      service,
      { ...identity, address, clockDifference, differs },
      socket,
      options,
    );
  });
}

function locate(local: LocalNode, name: string, address?: string): Endpoint {
  const entry = local.membership.byName(name);
  const removed = local.membership.content.removed.some((one) => one.name === name);
  if (!entry && removed) {
    throw ntsError('NTS_ERR_NODE_REVOKED', { what: `node ${name} was removed from the cluster` });
  }
  const text = address ?? entry?.address;
  if (text === undefined) {
    const known = local.membership.names.join(', ');
    const what = `no node is called "${name}"; the nodes known here are ${known}`;
    throw ntsError('NTS_ERR_UNKNOWN_NODE', { what });
  }
  const endpoint = parseEndpoint(text);
  if (!endpoint) throw ntsError('NTS_ERR_USAGE', { what: `${text} is no HOST:PORT` });
  return endpoint;
}

/** Runs `work`; when it fails, takes too long or is interrupted, the socket is gone. */
export async function within<T>(
  socket: TLSSocket,
  peer: string,
  { timeout = CONNECT_MILLISECONDS, signal }: ConnectOptions,
  work: () => Promise<T>,
): Promise<T> {
  const late = setTimeout(() => {
    const what = `${peer} has not answered in ${timeout / 1000} s`;
    socket.destroy(ntsError('NTS_ERR_PEER_UNREACHABLE', { what }));
  }, timeout);
  const abort = (): void => {
    socket.destroy(ntsError('NTS_ERR_CANCELLED', { what: `connecting to ${peer}` }));
  };
  const ignore = (): void => undefined;
  socket.on('error', ignore);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    if (signal?.aborted) abort();
    return await work();
  } catch (error) {
    socket.destroy();
    // The reason why the socket was destroyed, where there is one, rather than that it was.
    throw isNtsError(socket.errored) ? socket.errored : error;
  } finally {
    clearTimeout(late);
    signal?.removeEventListener('abort', abort);
    if (!socket.destroyed) socket.off('error', ignore);
  }
}

/** Waits for the end of the TLS handshake, and names what can go wrong in it. */
export async function handshake(socket: TLSSocket, peer: string, service: string): Promise<void> {
  const done = new AbortController();
  const { signal } = done;
  try {
    // Rejects with the socket's error, too.
    await Promise.race([
      once(socket, 'secureConnect', { signal }),
      once(socket, 'close', { signal }).then(() => {
        throw new Error('the connection was closed');
      }),
    ]);
  } catch (error) {
    throw handshakeError(error, peer, service);
  } finally {
    done.abort();
  }
  if (socket.getProtocol() !== 'TLSv1.3' || socket.alpnProtocol !== service) {
    throw ntsError('NTS_ERR_PEER_PROTOCOL', { what: `${peer} does not speak ${service}` });
  }
}

function handshakeError(error: unknown, peer: string, service: string): NtsError {
  if (isNtsError(error)) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  const details = { cause: error };
  if (code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL') {
    const what = `${peer} refuses: it does not offer ${service}`;
    return ntsError('NTS_ERR_PEER_REFUSED', { what }, details);
  }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    const what = `${peer} does not speak as a node does (${messageOf(error).trim()})`;
    return ntsError('NTS_ERR_PEER_PROTOCOL', { what }, details);
  }
  const why = code === 'ECONNREFUSED' ? 'nothing listens there' : messageOf(error);
  const what = `${peer} cannot be reached (${why}). Does "ntswift service" run there?`;
  return ntsError('NTS_ERR_PEER_UNREACHABLE', { what }, details);
}
