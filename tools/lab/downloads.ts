// Downloads that last: the server's side. Each is paced, and its rest comes at once when its client asks for the end on the same connection.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { now } from './clock.js';
import { longestPiece, piece } from './pattern.js';

const tickMs = 50;

class Download {
  private sent = 0;
  private readonly started = now();
  private hurried = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly bytes: number,
    private readonly bytesPerSecond: number,
    private readonly seed: number,
  ) {
    response.on('drain', () => this.pump());
  }

  hurry(): void {
    this.hurried = true;
    this.pump();
  }

  pump(): void {
    const { response, bytes } = this;
    const due = this.hurried
      ? bytes
      : Math.min(bytes, Math.floor(((now() - this.started) / 1000) * this.bytesPerSecond));
    while (this.sent < due && !response.writableNeedDrain) {
      const length = Math.min(due - this.sent, longestPiece);
      response.write(piece(this.seed, this.sent, length));
      this.sent += length;
    }
    if (this.sent === bytes && !response.writableEnded) response.end();
  }
}

export class Downloads {
  private readonly running = new Map<Socket, Download>();

  constructor() {
    setInterval(() => {
      for (const download of this.running.values()) download.pump();
    }, tickMs);
  }

  /** `/download?bytes=N&rate=BYTES_PER_SECOND&seed=N` */
  start({ socket }: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const number = (key: string) => Number(query.get(key) ?? NaN);
    const [bytes, rate, seed] = [number('bytes'), number('rate'), number('seed')];
    if (![bytes, rate, seed].every((one) => Number.isSafeInteger(one) && one >= 0)) {
      response.writeHead(400).end();
      return;
    }
    response.writeHead(200, {
      'content-length': bytes,
      'content-type': 'application/octet-stream',
    });
    response.flushHeaders();
    const download = new Download(response, bytes, rate, seed);
    this.running.set(socket, download);
    response.once('close', () => this.running.delete(socket));
    download.pump();
  }

  /** The client of this connection wants the rest now. */
  hurry(socket: Socket): void {
    this.running.get(socket)?.hurry();
  }

  get count(): number {
    return this.running.size;
  }
}
