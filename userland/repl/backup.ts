/**
 * The receiving end of one stream: its log on disk, its replay, and the channel on which the records come.
 * A record is acknowledged when the log has it on disk, whatever replay does.
 */
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';
import type { Channel } from '../node/channel.js';
import type { Log as NodeLog } from '../node/log.js';
import { writeMessage } from '../node/message.js';
import { Aside, type AsideView } from './aside.js';
import { Buffers } from './buffers.js';
import { unpackRecords } from './compression.js';
import type { Hosted } from './config.js';
import { Log } from './log.js';
import {
  type BackupRequest,
  type Frame,
  FrameKind,
  type Push,
  type Reply,
  decodeJson,
  encodeJson,
  plainWords,
  readFrames,
  requestSchema,
  writeFrame,
} from './protocol.js';
import { ReplayHost } from './replay-host.js';

/** Bytes that were received and are not on disk yet; beyond it the channel is not read. */
const WINDOW = 16 << 20;

export interface BackupPaths {
  /** One folder in it for each set. */
  readonly tree: string;
  /** Beside it, in the same file system. */
  readonly state: string;
  readonly log: string;
}

export function backupPaths(folder: string): BackupPaths {
  const beside = path.join(path.dirname(folder), `.${path.basename(folder)}.ntswift`);
  // Of a mount point what is beside it is another file system.
  const state = isMountPoint(folder) ? path.join(folder, '.ntswift') : beside;
  return { tree: folder, state, log: path.join(state, 'log') };
}

function isMountPoint(folder: string): boolean {
  const device = (name: string): number | undefined =>
    statSync(name, { throwIfNoEntry: false })?.dev;
  const own = device(folder);
  return own !== undefined && own !== device(path.dirname(folder));
}

export interface BackupStatus {
  readonly stream: string;
  readonly primary: string;
  readonly folder: string;
  readonly sets: readonly string[];
  readonly connected: boolean;
  readonly epoch: number;
  readonly first: number;
  readonly durable: number;
  readonly applied: number;
  /** Where a tree that no bracket cuts off can be. */
  readonly consistent: number;
  readonly held: number | null;
  /** The folder into which an earlier moment is being restored just now. */
  readonly restoring: string | null;
  readonly logBytes: number;
  readonly openBrackets: number;
  readonly stalled: string | null;
  readonly fault: string | null;
  /** What this node had as primary and nobody else has. */
  readonly aside: readonly AsideView[];
}

export class Backup {
  private channel: Channel | null = null;
  private trimming: Promise<void> = Promise.resolve();
  private readonly aside: Aside;
  readonly differences: Extract<Reply, { difference: unknown }>['difference'][] = [];

  private constructor(
    private hosted: Hosted,
    readonly log: Log,
    readonly replay: ReplayHost,
    private readonly buffers: Buffers,
    private readonly nodeLog: NodeLog,
  ) {
    log.onChange(() => this.trim());
    const { state, tree } = backupPaths(hosted.folder);
    this.aside = new Aside(state, tree, nodeLog);
    replay.onChange(() => this.compareAside());
  }

  static open(hosted: Hosted, nodeLog: NodeLog): Backup {
    const paths = backupPaths(hosted.folder);
    const streamId = Buffer.from(hosted.stream, 'hex');
    try {
      mkdirSync(paths.tree, { recursive: true });
      mkdirSync(paths.state, { recursive: true, mode: 0o700 });
    } catch (error) {
      const what = `the folder for the backup, ${hosted.folder}`;
      throw ntsError('NTS_ERR_IO', { what, why: messageOf(error) }, { cause: error });
    }
    const buffers = new Buffers(2 * WINDOW);
    const log = Log.open(paths.log, { streamId, release: (bytes) => buffers.give(bytes) });
    const replay = new ReplayHost({
      log,
      streamId,
      tree: paths.tree,
      state: paths.state,
      sets: hosted.sets.map(({ id, name }) => [id, name] as const),
    });
    return new Backup(hosted, log, replay, buffers, nodeLog);
  }

  get sets(): Hosted['sets'] {
    return this.hosted.sets;
  }

  /** Nothing more is received on the present connection. */
  disconnect(): void {
    this.channel?.close();
  }

  get stream(): string {
    return this.hosted.stream;
  }

  get status(): BackupStatus {
    const { log, replay, hosted } = this;
    const state = replay.state;
    return {
      stream: hosted.stream,
      primary: hosted.primary,
      folder: hosted.folder,
      sets: hosted.sets.map(({ name }) => name),
      connected: this.channel !== null,
      epoch: log.epoch,
      first: log.first,
      durable: log.durable,
      applied: state?.applied ?? 0,
      consistent: log.consistent(),
      held: state?.held ?? null,
      restoring: replay.restoring,
      logBytes: log.bytes,
      openBrackets: log.bracketsAt(log.durable).list().length,
      stalled: this.stalled,
      fault: this.fault,
      aside: this.aside.view,
    };
  }

  setHosted(hosted: Hosted): void {
    this.hosted = hosted;
    this.replay.setSets(hosted.sets.map(({ id, name }) => [id, name] as const));
  }

  /** Whole segments go that the window does not cover, once replay does not need them to come back. */
  private trim(): void {
    const { log, replay, hosted } = this;
    if (log.bytes <= hosted.keepBytes || !replay.state) return;
    const [oldest] = log.list();
    if (!oldest || oldest.last > replay.state.durable || oldest.last >= log.consistent()) return;
    this.trimming = this.trimming
      .then(async () => {
        await replay.forget(oldest.last);
        log.drop(oldest.last);
      })
      .catch((error: unknown) => this.nodeLog.warn({ err: error }, 'the log was not trimmed'));
  }

  /** Once all of the new primary's is here it can be told what of the old is not there. */
  private compareAside(): void {
    const { log, replay } = this;
    const applied = replay.state?.applied ?? 0;
    if (applied === 0 || !log.bracketsAt(applied).isEmpty) return;
    this.aside.compare();
  }

  /** Resolves when all that can be applied is; throws where a record contradicts the tree. */
  async settled(signal: AbortSignal): Promise<number> {
    const { log, replay } = this;
    for (;;) {
      signal.throwIfAborted();
      const why = this.fault ?? this.stalled;
      if (why !== null) throw ntsError('NTS_ERR_REPL_APPLY', { what: why });
      const goal = log.consistent();
      if ((replay.state?.applied ?? 0) >= goal) return goal;
      await replay.whenChanged(signal);
    }
  }

  /** Receives until the channel ends. */
  async receive(channel: Channel, push: Push): Promise<void> {
    const { log } = this;
    if (push.epoch < log.epoch) {
      throw ntsError('NTS_ERR_REPL_EPOCH', {
        what: `epoch ${push.epoch} has ended: ${log.epoch} is on`,
      });
    }
    this.channel?.close();
    this.channel = channel;
    const { stream } = channel;
    await writeMessage(stream, {
      durable: log.durable,
      applied: this.replay.state?.applied ?? 0,
      consistent: log.consistent(),
      epoch: log.epoch,
      fresh: log.durable === 0,
      open: log.bracketsAt(log.durable).list(),
    });
    const answers = new Answers(channel);
    const tell = (): void => answers.state(this.reply());
    const off = [
      log.onChange(tell),
      this.replay.onChange(tell),
      this.replay.onDifference((difference) => {
        this.differences.push(difference);
        answers.say({ difference });
      }),
    ];
    // Also why it stands still, where that began before.
    tell();
    try {
      await this.read(channel, answers);
    } catch (error) {
      if (!stream.destroyed) await refuse(channel, error);
      throw error;
    } finally {
      for (const one of off) one();
      if (this.channel === channel) this.channel = null;
    }
  }

  /** What the primary is told after each group of records. */
  private reply(): Extract<Reply, { durable: number }> {
    const { log, replay } = this;
    return {
      durable: log.durable,
      applied: replay.state?.applied ?? 0,
      consistent: log.consistent(),
      stalled: this.stalled,
      fault: this.fault,
    };
  }

  private get stalled(): string | null {
    const { stalled } = this.log;
    return stalled ? plainWords(stalled.message) : (this.replay.state?.full ?? null);
  }

  private get fault(): string | null {
    const { state, failure } = this.replay;
    return state?.fault ?? (failure ? plainWords(messageOf(failure)) : null);
  }

  private async read({ stream }: Channel, answers: Answers): Promise<never> {
    let waiting = 0;
    let isOver = false;
    const take = ({ kind, bytes }: Frame): void => {
      if (isOver) {
        this.buffers.give(bytes);
        return;
      }
      if (kind === FrameKind.json) {
        const request = decodeJson(bytes, requestSchema);
        this.buffers.give(bytes);
        void this.answer(request).then((reply) => answers.say(reply));
        return;
      }
      const records = this.recordsOf(kind, bytes);
      const { length } = records;
      waiting += length;
      this.log.append(records).then(() => {
        waiting -= length;
        if (waiting <= WINDOW && stream.isPaused()) stream.resume();
      }, fail);
      if (waiting > WINDOW) stream.pause();
    };
    let fail: (error: unknown) => void = () => undefined;
    const failure = new Promise<never>((_, reject) => (fail = reject));
    try {
      return await Promise.race([readFrames(stream, take, this.buffers), failure]);
    } finally {
      isOver = true;
    }
  }

  private recordsOf(kind: FrameKind, bytes: Buffer): Buffer {
    if (kind !== FrameKind.deflated) return bytes;
    const records = unpackRecords(bytes);
    this.buffers.give(bytes);
    return records;
  }

  private async answer(request: BackupRequest): Promise<Reply> {
    const { id } = request;
    const { replay } = this;
    try {
      switch (request.ask) {
        case 'files':
          return { id, files: await replay.files(request.files) };
        case 'hash': {
          const { file, offsets, length, block } = request;
          return { id, hashes: await replay.hash(file, offsets, length, block) };
        }
        case 'names':
          return { id, names: await replay.names(request.set, request.path) };
        case 'checkpoint':
          return { id, applied: await replay.checkpoint() };
      }
    } catch (error) {
      return { id, failed: plainWords(messageOf(error)) };
    }
  }

  /** Waits until nobody writes to it and all is on disk. */
  async close(): Promise<void> {
    this.channel?.close();
    await this.replay.stop();
    await this.trimming;
    await this.aside.stop();
    await this.log.close();
  }
}

/** What the backup says: in order, and of its state only the newest. */
class Answers {
  private state_: Reply | null = null;
  private readonly queue: Reply[] = [];
  private writing = false;

  constructor(private readonly channel: Channel) {}

  state(reply: Reply): void {
    this.state_ = reply;
    void this.write();
  }

  say(reply: Reply): void {
    this.queue.push(reply);
    void this.write();
  }

  private async write(): Promise<void> {
    if (this.writing) return;
    this.writing = true;
    try {
      for (;;) {
        const reply = this.queue.shift() ?? this.state_;
        if (!reply || this.channel.stream.destroyed) return;
        if (reply === this.state_) this.state_ = null;
        await writeFrame(this.channel.stream, FrameKind.json, encodeJson(reply));
      }
    } catch {
      // The channel has ended; whoever reads from it sees why.
    } finally {
      this.writing = false;
    }
  }
}

async function refuse(channel: Channel, error: unknown): Promise<void> {
  const refused = isNtsError(error) ? error.code : 'NTS_ERR_INTERNAL';
  const bytes = encodeJson({ refused, why: plainWords(messageOf(error)) });
  await writeFrame(channel.stream, FrameKind.json, bytes).catch(() => undefined);
  channel.stream.end();
}
