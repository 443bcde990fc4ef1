/**
 * The one TCP port of a node. TLS tells which service is wanted (ALPN), both sides show certificates, and
 * the service gets the channel; or a stranger gets to the one service that is for strangers: joining.
 *
 * Strangers cost little: so many connections at once that have not proved to be members, by address and
 * altogether, so much time, and messages of so many bytes.
 */
import { type Server, type Socket, createServer } from 'node:net';
import {
  type Server as TlsServer,
  type TLSSocket,
  createServer as createTlsServer,
} from 'node:tls';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';
import { CONNECT_MILLISECONDS, Channel, type ChannelLimits } from './channel.js';
import { CLOCK_TOLERANCE } from './clock.js';
import type { LocalNode } from './local-node.js';
import { encodeMessage, readMessage, writeMessage } from './message.js';
import { type Endpoint, formatEndpoint } from './names.js';
import { type Log, silentLog } from './log.js';
import { NODE_SERVICE } from './node-protocol.js';
import type { Identity } from './peer.js';
import { PREAMBLE_LIMIT, helloSchema, refusalOf, requireMember } from './preamble.js';

/** How long a refused peer may take to read why. */
const REFUSAL_MILLISECONDS = 2000;

export interface ListenerLimits {
  /** Milliseconds from the connection until its service has it. */
  readonly admission?: number;
  /** Connections at once that have not proved to be members. */
  readonly strangers?: number;
  /** The same, from one address. */
  readonly strangersByAddress?: number;
  /** Of members. */
  readonly channels?: number;
}

export type ChannelHandler = (channel: Channel) => void | Promise<void>;
/** For who has no certificate yet. What it throws is told to the other side. */
export type StrangerHandler = (socket: TLSSocket) => Promise<void>;

interface Registration {
  readonly handler: ChannelHandler;
  readonly limits: ChannelLimits;
}

export class NodeListener {
  private readonly server: Server;
  private readonly tls: TlsServer;
  private readonly services = new Map<string, Registration>();
  private readonly forStrangers = new Map<string, StrangerHandler>();
  /** Connections that are no channels yet, by the peer's address and port, with its address. */
  private readonly strangers = new Map<string, { socket: Socket; host: string }>();
  private readonly channels = new Set<Channel>();
  private readonly limits: Required<ListenerLimits>;
  private readonly unsubscribe: () => void;
  private closing: Promise<unknown> | null = null;

  constructor(
    private readonly local: LocalNode,
    private readonly log: Log = silentLog,
    limits: ListenerLimits = {},
  ) {
    this.limits = {
      admission: CONNECT_MILLISECONDS,
      strangers: 256,
      strangersByAddress: 64,
      channels: 4096,
      ...limits,
    };
    this.server = createServer((socket) => this.connected(socket));
    this.tls = createTlsServer({
      ...local.secureOptions,
      requestCert: true,
      // Judged by requireMember, which can tell the peer why.
      rejectUnauthorized: false,
      handshakeTimeout: this.limits.admission,
      ALPNCallback: ({ protocols }) =>
        protocols.find((name) => this.services.has(name) || this.forStrangers.has(name)),
    });
    this.tls.on('secureConnection', (socket) => void this.secured(socket));
    this.tls.on('tlsClientError', (error, socket) => {
      this.log.debug({ peer: address(socket), why: error.message }, 'handshake failed');
      socket.destroy();
    });
    const renewed = (): void => this.tls.setSecureContext(local.secureOptions);
    const changed = (): void => this.closeRemoved();
    local.on('identity', renewed);
    local.membership.on('change', changed);
    this.unsubscribe = () => {
      local.off('identity', renewed);
      local.membership.off('change', changed);
    };
  }

  /** Channels with this application protocol go to `handler`, until the returned function is called. */
  register(service: string, handler: ChannelHandler, limits: ChannelLimits = {}): () => void {
    if (this.services.has(service) || this.forStrangers.has(service)) {
      throw ntsError('NTS_ERR_INTERNAL', { what: `${service} is registered twice` });
    }
    const registration = { handler, limits };
    this.services.set(service, registration);
    return () => {
      if (this.services.get(service) === registration) this.services.delete(service);
    };
  }

  registerForStrangers(service: string, handler: StrangerHandler): void {
    this.forStrangers.set(service, handler);
  }

  /** Port 0: one that is free. Without a host, on every address. */
  async listen({ host, port }: { host?: string; port: number }): Promise<Endpoint> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        this.server.off('error', reject);
        resolve();
      });
    }).catch((error: unknown) => {
      const what = `listening at ${host ?? '*'}:${port}`;
      throw ntsError('NTS_ERR_IO', { what, why: messageOf(error) }, { cause: error });
    });
    // A connection that cannot be accepted is not the end of the others.
    this.server.on('error', (error) => this.log.error({ err: error }, 'accepting failed'));
    const bound = this.server.address();
    if (bound === null || typeof bound === 'string') {
      throw ntsError('NTS_ERR_INTERNAL', { what: 'a listening socket has no address' });
    }
    return { host: bound.address, port: bound.port };
  }

  /** No further connections; those that there are go on. */
  stopAccepting(): Promise<unknown> {
    this.closing ??= new Promise((resolve) => this.server.close(resolve));
    return this.closing;
  }

  /** Ends every connection, and resolves when the last one is gone. */
  async close(): Promise<void> {
    this.unsubscribe();
    const closed = this.stopAccepting();
    for (const { socket } of this.strangers.values()) socket.destroy();
    const channels = [...this.channels];
    for (const channel of channels) channel.close();
    await Promise.all([closed, ...channels.map((channel) => channel.closed)]);
  }

  private connected(socket: Socket): void {
    const host = socket.remoteAddress;
    const key = address(socket);
    socket.on('error', () => undefined);
    if (host === undefined || !this.hasRoomFor(host)) {
      this.log.warn({ peer: key }, 'too many connections that are not members: refused');
      socket.destroy();
      return;
    }
    this.strangers.set(key, { socket, host });
    socket.once('close', () => this.strangers.delete(key));
    this.tls.emit('connection', socket);
  }

  private hasRoomFor(host: string): boolean {
    if (this.strangers.size >= this.limits.strangers) return false;
    const same = [...this.strangers.values()].filter((one) => one.host === host);
    return same.length < this.limits.strangersByAddress;
  }

  private async secured(socket: TLSSocket): Promise<void> {
    const peer = address(socket);
    // Everything here is over in time, whatever the peer does.
    const late = setTimeout(() => socket.destroy(), this.limits.admission);
    socket.on('error', () => undefined);
    try {
      const service = String(socket.alpnProtocol);
      const forStrangers = this.forStrangers.get(service);
      if (forStrangers) {
        await forStrangers(socket);
        socket.end();
        return;
      }
      await this.admit(socket, service);
    } catch (error) {
      const told = isNtsError(error) && error.kind === 'user';
      this.log[told ? 'info' : 'error'](
        told ? { peer, code: error.code, why: error.message } : { peer, err: error },
        'connection refused',
      );
      refuse(socket, error, this.local.clock());
    } finally {
      clearTimeout(late);
    }
  }

  private async admit(socket: TLSSocket, service: string): Promise<void> {
    const { local } = this;
    const identity = requireMember(socket, local, 'the certificate of the connecting node');
    const hello = await readMessage(socket, helloSchema, PREAMBLE_LIMIT);
    const now = local.clock();
    const registration = this.services.get(service);
    if (!registration) {
      throw ntsError('NTS_ERR_PEER_REFUSED', {
        what: `it does not offer ${service || 'that'} now`,
      });
    }
    if (this.channels.size >= this.limits.channels) {
      throw ntsError('NTS_ERR_PEER_REFUSED', { what: 'it has too many connections' });
    }
    const { digest } = local.membership;
    await writeMessage(socket, { welcome: 1, time: now, digest });
    const peer = {
      ...identity,
      address: address(socket),
      clockDifference: hello.time - now,
      differs: hello.digest !== digest,
    };
    if (peer.differs && service !== NODE_SERVICE) local.emit('differs', identity.name);
    this.warnOfClock(identity, peer.clockDifference);
    this.strangers.delete(peer.address);
    const channel = new Channel(service, peer, socket, registration.limits);
    this.channels.add(channel);
    void channel.closed.then(() => this.channels.delete(channel));
    void this.handle(channel, registration.handler);
  }

  private async handle(channel: Channel, handler: ChannelHandler): Promise<void> {
    try {
      await handler(channel);
    } catch (error) {
      const { service, peer } = channel;
      this.log.error({ service, peer: peer.name, err: error }, 'a channel failed');
      channel.close();
    }
  }

  private warnOfClock({ name }: Identity, difference: number): void {
    if (Math.abs(difference) <= CLOCK_TOLERANCE) return;
    this.log.warn({ peer: name, seconds: Math.round(difference / 1000) }, 'the clocks differ');
  }

  private closeRemoved(): void {
    for (const channel of this.channels) {
      const { peer } = channel;
      if (!this.local.membership.isRemoved(peer.id)) continue;
      const what = `node ${peer.name} was removed from the cluster`;
      this.log.warn({ peer: peer.name, service: channel.service }, what);
      channel.close(ntsError('NTS_ERR_NODE_REVOKED', { what }));
    }
  }
}

function address({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return formatEndpoint({ host: remoteAddress, port: remotePort });
}

/** Says why, and reads on until the peer has heard it: closing with unread bytes would take the words back. */
function refuse(socket: TLSSocket, error: unknown, now: number): void {
  if (socket.destroyed) return;
  setTimeout(() => socket.destroy(), REFUSAL_MILLISECONDS).unref();
  socket.resume();
  socket.end(encodeMessage(refusalOf(error, now)));
}
