/**
 * The other end of the addon's socket, under a test's control: for what a sound driver host does not do
 * (silence, nonsense, half a reply) and for looking at the bytes. Everything else is tested on the real one.
 */
import { type Server, type Socket, createServer } from 'node:net';
import path from 'node:path';

export interface Request {
  readonly op: number;
  readonly tag: bigint;
  readonly handle: number;
  readonly arg0: number;
  readonly arg1: number;
  readonly payload: Buffer;
  /** All of it, as it came. */
  readonly raw: Buffer;
  readonly socket: Socket;
}

const HEADER = 32;

export function reply(
  tag: bigint,
  status = 0,
  info = 0n,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt32LE(status, 4);
  header.writeBigUInt64LE(tag, 8);
  header.writeBigUInt64LE(info, 16);
  return Buffer.concat([header, payload]);
}

export const ops = { hello: 1, open: 2, close: 3, ioctl: 4, cancel: 5, read: 6, write: 7 } as const;

export class Peer {
  readonly requests: Request[] = [];
  readonly sockets = new Set<Socket>();
  private readonly waiters: (() => void)[] = [];

  private constructor(
    readonly endpoint: string,
    private readonly server: Server,
    private readonly answer: (request: Request) => void,
  ) {}

  /** `answer` is called for each request; by default hello, open, cancel and close succeed. */
  static async listen(
    folder: string,
    answer: (request: Request) => void = Peer.polite,
  ): Promise<Peer> {
    const endpoint = path.join(folder, 'peer.sock');
    const server = createServer();
    const peer = new Peer(endpoint, server, answer);
    server.on('connection', (socket) => peer.serve(socket));
    await new Promise<void>((resolve) => server.listen(endpoint, resolve));
    return peer;
  }

  static readonly polite = ({ op, tag, socket }: Request): void => {
    if (op === ops.hello) socket.write(reply(tag, 0, 0n, Buffer.from('{"name":"peer"}')));
    else if (op === ops.open) socket.write(reply(tag, 0, 7n));
    else if (op === ops.cancel || op === ops.close) socket.write(reply(tag));
  };

  /** Once so many requests of a kind have come. */
  async seen(op: number, count = 1): Promise<Request[]> {
    for (;;) {
      const found = this.requests.filter((request) => request.op === op);
      if (found.length >= count) return found;
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    let buffer = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('data', (chunk) => {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= HEADER) {
        const size = HEADER + buffer.readUInt32LE(0);
        if (buffer.length < size) return;
        const raw = buffer.subarray(0, size);
        buffer = buffer.subarray(size);
        const request: Request = {
          op: raw.readUInt32LE(4),
          tag: raw.readBigUInt64LE(8),
          handle: raw.readUInt32LE(16),
          arg0: raw.readUInt32LE(20),
          arg1: raw.readUInt32LE(24),
          payload: raw.subarray(HEADER),
          raw,
          socket,
        };
        this.requests.push(request);
        this.answer(request);
        for (const waiter of this.waiters.splice(0)) waiter();
      }
    });
  }
}
