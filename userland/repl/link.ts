/**
 * The link to one backup: connects, says what comes, learns what the backup has, and sends what is after it;
 * again and again. A backup that is gone keeps its place in the stream.
 *
 *   waiting      not connected; the next attempt comes after a pause
 *   connecting
 *   streaming
 *   paused       by the configuration
 *   refused      the backup does not take the stream: fenced, or it lacks what nobody has any more
 */
import { EventEmitter } from 'node:events';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';
import type { Channel } from '../node/channel.js';
import type { Log } from '../node/log.js';
import { readMessage, writeMessage } from '../node/message.js';
import type { Bracket } from './brackets.js';
import { packRecords } from './compression.js';
import { Limiter } from './limiter.js';
import {
  type BackupRequest,
  type BlockDifference,
  type FileName,
  FrameKind,
  type Known,
  type Push,
  REPL_MESSAGE_LIMIT,
  decodeJson,
  encodeJson,
  gone,
  pushAnswerSchema,
  readFrames,
  replySchema,
  writeFrame,
} from './protocol.js';
import type { Chunk, Cursor, Source } from './source.js';

export type LinkState = 'waiting' | 'connecting' | 'streaming' | 'paused' | 'refused';

export interface LinkOptions {
  readonly node: string;
  /** Bytes a second; null: no limit. */
  readonly limit: number | null;
  readonly paused: boolean;
  readonly push: () => Push;
  readonly connect: (signal: AbortSignal) => Promise<Channel>;
  readonly log: Log;
  /** Milliseconds until the first attempt after a failure; doubled up to `mostPause`. */
  readonly pause?: number;
  readonly mostPause?: number;
}

export interface Greeting {
  readonly durable: number;
  readonly fresh: boolean;
  readonly epoch: number;
  /** Brackets that are open where the backup's log ends. */
  readonly open: readonly Bracket[];
}

interface Events {
  /** Something of the status has changed. */
  change: [];
  /** The backup has more on disk. */
  durable: [sequence: number];
  chunk: [chunk: Chunk];
  difference: [difference: BlockDifference];
  /** The backup knows a higher epoch. */
  fenced: [];
}

/** Gives a link its place in the stream. */
export interface Places {
  attach(link: Link, greeting: Greeting): Promise<{ source: Source; cursor: Cursor }>;
}

interface Waiting {
  resolve(reply: unknown): void;
  reject(error: unknown): void;
}

type Ask<R> = R extends { id: number } ? Omit<R, 'id'> : never;

/** A link that has worked for so long begins with the shortest pause again. */
const FORGIVE_MILLISECONDS = 10_000;

/** So much is worth a message at once. */
const FULL_BYTES = 64 << 10;
const PACE_MILLISECONDS = 2;

export class Link extends EventEmitter<Events> {
  state: LinkState = 'waiting';
  /** Why it is not streaming. */
  error: string | null = null;
  /** What the backup has on disk, as far as it said; null: it never said. */
  durable: number | null = null;
  applied = 0;
  /** As far as the backup's tree can come while no bracket is closed. */
  consistent = 0;
  sent = 0;
  sentBytes = 0;
  /** Of the backup: why it stands still. */
  stalled: string | null = null;
  fault: string | null = null;
  limiter: Limiter;
  private channel: Channel | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private next = 1;
  private wake: (() => void) | null = null;
  private paused: boolean;

  constructor(private readonly options: LinkOptions) {
    super();
    this.setMaxListeners(0);
    this.limiter = new Limiter(options.limit);
    this.paused = options.paused;
  }

  get node(): string {
    return this.options.node;
  }

  get isStreaming(): boolean {
    return this.state === 'streaming';
  }

  private become(state: LinkState, error: string | null = null): void {
    this.state = state;
    this.error = error;
    this.emit('change');
  }

  setPaused(paused: boolean): void {
    this.paused = paused;
    if (paused) this.channel?.close();
    this.wake?.();
  }

  /** Another attempt now, and from where the backup says it is. */
  restart(): void {
    this.channel?.close();
    this.wake?.();
  }

  async run(places: Places, signal: AbortSignal): Promise<void> {
    const { pause: first = 100, mostPause = 10_000 } = this.options;
    let pause = first;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      if (this.paused) {
        this.become('paused');
        await this.sleep(Infinity, signal);
        continue;
      }
      const begun = performance.now();
      try {
        await this.connection(places, signal);
      } catch (error) {
        if (isOver()) break;
        if (performance.now() - begun > FORGIVE_MILLISECONDS) pause = first;
        this.failed(error, pause);
      }
      await this.sleep(pause, signal);
      pause = Math.min(2 * pause, mostPause);
    }
  }

  private failed(error: unknown, pause: number): void {
    const refused = isNtsError(error, 'NTS_ERR_REPL_EPOCH', 'NTS_ERR_REPL_GAP', 'NTS_ERR_REFUSED');
    this.become(refused ? 'refused' : 'waiting', messageOf(error));
    if (isNtsError(error, 'NTS_ERR_REPL_EPOCH')) this.emit('fenced');
    const { log, node } = this.options;
    const again = { peer: node, why: messageOf(error), againInMilliseconds: pause };
    if (isNtsError(error) && error.kind === 'user') log.info(again, 'not connected');
    else log.error({ ...again, err: error }, 'not connected');
  }

  private sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = milliseconds === Infinity ? undefined : setTimeout(() => done(), milliseconds);
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.wake = null;
        resolve();
      };
      this.wake = done;
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }

  private async connection(places: Places, signal: AbortSignal): Promise<void> {
    this.become('connecting');
    const channel = await this.options.connect(signal);
    this.channel = channel;
    // Whoever asks waits for the same stream.
    channel.stream.setMaxListeners(0);
    const over = new AbortController();
    const stop = (): void => {
      over.abort();
      channel.close();
    };
    signal.addEventListener('abort', stop, { once: true });
    void channel.closed.then(() => over.abort());
    try {
      const greeting = await this.greet(channel);
      const { source, cursor } = await places.attach(this, greeting);
      this.heard(greeting.durable, source, cursor);
      this.become('streaming');
      const reading = this.read(channel, source, cursor);
      const writing = this.write(channel, source, cursor, over.signal);
      // The first to fail says why; the other ends with it.
      await Promise.race([reading, writing]).finally(stop);
      await Promise.allSettled([reading, writing]);
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
      this.channel = null;
      const error = ntsError('NTS_ERR_PEER_UNREACHABLE', {
        what: `node ${this.node} is not connected`,
      });
      for (const one of this.waiting.values()) one.reject(error);
      this.waiting.clear();
    }
  }

  private async greet({ stream }: Channel): Promise<Greeting> {
    await writeMessage(stream, this.options.push());
    const answer = await readMessage(stream, pushAnswerSchema, REPL_MESSAGE_LIMIT);
    if ('refused' in answer) throw this.refusal(answer);
    this.applied = answer.applied;
    this.consistent = answer.consistent;
    return answer;
  }

  private refusal({ refused, why }: { refused: string; why: string }): Error {
    const what = `node ${this.node} refuses: ${why}`;
    if (refused === 'NTS_ERR_REPL_EPOCH' || refused === 'NTS_ERR_REPL_GAP') {
      return ntsError(refused, { what });
    }
    return ntsError('NTS_ERR_PEER_REFUSED', { what });
  }

  private heard(durable: number, source: Source, cursor: Cursor): void {
    source.release(cursor, durable);
    if (this.durable !== null && durable <= this.durable) return;
    this.durable = durable;
    this.emit('durable', durable);
  }

  private async write(
    { stream }: Channel,
    source: Source,
    cursor: Cursor,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      const chunk = await source.next(cursor, signal);
      this.emit('chunk', chunk);
      const { isLimited } = this.limiter;
      const { kind, bytes } = packRecords(chunk.bytes, chunk.to - chunk.from, isLimited);
      await this.limiter.take(bytes.length, signal);
      await writeFrame(stream, kind, bytes);
      this.sent = chunk.last;
      this.sentBytes += bytes.length;
      if (chunk.bytes.length < FULL_BYTES) await this.pace(signal);
    }
  }

  /**
   * After little was sent: more may gather until the backup has it, for its disk takes no more meanwhile; but
   * not for long where the way is far. So many small writes cost one message, and one look into the ring.
   */
  private pace(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.off('durable', done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, PACE_MILLISECONDS);
      this.on('durable', done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  private read({ stream }: Channel, source: Source, cursor: Cursor): Promise<never> {
    return readFrames(stream, ({ kind, bytes }) => {
      if (kind !== FrameKind.json) throw gone(new Error('records came from a backup'));
      const reply = decodeJson(bytes, replySchema);
      if ('refused' in reply) throw this.refusal(reply);
      if ('durable' in reply) {
        this.applied = reply.applied;
        this.consistent = reply.consistent;
        this.stalled = reply.stalled;
        this.fault = reply.fault;
        this.heard(reply.durable, source, cursor);
        this.emit('change');
      } else if ('difference' in reply) this.emit('difference', reply.difference);
      else this.answered(reply);
    });
  }

  private answered(reply: { readonly id: number }): void {
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if (!waiting) return;
    if ('failed' in reply) {
      const what = `node ${this.node}: ${String(reply.failed)}`;
      waiting.reject(ntsError('NTS_ERR_PEER_REFUSED', { what }));
    } else waiting.resolve(reply);
  }

  private ask<T>(request: Ask<BackupRequest>): Promise<T> {
    const { channel } = this;
    if (!channel || !this.isStreaming) {
      const what = `node ${this.node} is not connected`;
      return Promise.reject(ntsError('NTS_ERR_PEER_UNREACHABLE', { what }));
    }
    const id = this.next++;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve, reject });
      writeFrame(channel.stream, FrameKind.json, encodeJson({ ...request, id })).catch(reject);
    });
  }

  async files(files: readonly FileName[]): Promise<Known[]> {
    const reply = await this.ask<{ files: Known[] }>({ ask: 'files', files: [...files] });
    return reply.files;
  }

  /** Hashes of each range; null: the backup has no such file. */
  async hash(
    file: FileName,
    offsets: readonly number[],
    length: number,
    block: number,
  ): Promise<Buffer[] | null> {
    const { hashes } = await this.ask<{ hashes: string | null }>({
      ask: 'hash',
      file,
      offsets: [...offsets],
      length,
      block,
    });
    return hashes === null ? null : splitHashes(Buffer.from(hashes, 'base64'), offsets.length);
  }

  /** Names in a folder; null: the backup has no such folder. */
  async names(set: number, path: string): Promise<string[] | null> {
    return (await this.ask<{ names: string[] | null }>({ ask: 'names', set, path })).names;
  }

  /** What is applied is on disk in the tree, too. */
  async checkpoint(): Promise<number> {
    return (await this.ask<{ applied: number }>({ ask: 'checkpoint' })).applied;
  }

  /** Resolves when the backup has `what` of the records up to `sequence`. */
  async reached(what: 'durable' | 'applied', sequence: number, signal: AbortSignal): Promise<void> {
    while ((this[what] ?? 0) < sequence) {
      signal.throwIfAborted();
      if (this.fault !== null) {
        const text = `node ${this.node} cannot apply a record: ${this.fault}`;
        throw ntsError('NTS_ERR_REPL_APPLY', { what: text });
      }
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.off('change', done).off('durable', done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.on('change', done).on('durable', done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
  }
}

function splitHashes(bytes: Buffer, count: number): Buffer[] {
  const list: Buffer[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const end = at + 4 + bytes.readUInt32LE(at) * 16;
    list.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return list;
}
