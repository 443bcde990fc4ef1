/** Replay as the thread of the log sees it: started, asked, told, stopped. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { ntsError } from '../common/errors.js';
import type { Log } from './log.js';
import { LogAnswers, newLogShare } from './log-view.js';
import type { BlockDifference, FileName, Known } from './protocol.js';
import type { RestoreProgress } from './restore.js';
import type { ReplayData, ReplayMessage, ReplayRequest, ReplayState } from './replay-worker.js';

export interface ReplayHostOptions {
  readonly log: Log;
  readonly streamId: Uint8Array;
  readonly tree: string;
  readonly state: string;
  readonly sets: readonly (readonly [id: number, name: string])[];
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  readonly onProgress?: (progress: RestoreProgress) => void;
}

type Ask<R> = R extends { id: number } ? Omit<R, 'id'> : never;

export class ReplayHost {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private readonly listeners = new Set<() => void>();
  private readonly differenceListeners = new Set<(difference: BlockDifference) => void>();
  private readonly unsubscribe: () => void;
  private next = 1;
  private stopping = false;
  /** Null until it has said something. */
  state: ReplayState | null = null;
  /** The folder into which an earlier moment is being restored. */
  restoring: string | null = null;
  /** Why it ended by itself. */
  failure: Error | null = null;
  readonly exited: Promise<void>;

  constructor(options: ReplayHostOptions) {
    const { port1, port2 } = new MessageChannel();
    const share = newLogShare();
    const answers = new LogAnswers(options.log, port1, share);
    const { streamId, tree, state, sets } = options;
    const data: ReplayData = { streamId, tree, state, sets, port: port2, share };
    this.worker = new Worker(new URL('./replay-worker.js', import.meta.url), {
      workerData: data,
      transferList: [port2],
      // The addon opens files by openat(2), of which the thread would not know.
      trackUnmanagedFds: false,
    });
    this.worker.on('message', (message: ReplayMessage) => this.heard(message));
    this.worker.on('error', (error) => {
      this.failure = error;
    });
    this.exited = new Promise((resolve) => {
      this.worker.once('exit', () => {
        port1.close();
        this.over();
        resolve();
      });
    });
    this.unsubscribe = options.log.onChange(() => {
      if (answers.isNews()) this.post({ ask: 'changed' });
    });
  }

  private post(request: ReplayRequest): void {
    this.worker.postMessage(request);
  }

  private over(): void {
    this.unsubscribe();
    if (!this.stopping) this.failure ??= new Error('replay has ended');
    const error = ntsError('NTS_ERR_CLOSED', { what: 'replay' }, { cause: this.failure });
    for (const one of this.waiting.values()) one.reject(error);
    this.waiting.clear();
    this.changed();
  }

  private changed(): void {
    for (const listener of [...this.listeners]) listener();
  }

  private heard(message: ReplayMessage): void {
    switch (message.say) {
      case 'state':
        this.state = message.state;
        this.changed();
        break;
      case 'difference':
        for (const listener of this.differenceListeners) listener(message.difference);
        break;
      case 'progress':
        this.waiting.get(message.id)?.onProgress?.(message.progress);
        break;
      case 'answer':
        this.take(message.id)?.resolve(message.answer);
        break;
      case 'failed':
        this.take(message.id)?.reject(ntsError('NTS_ERR_REPL_WINDOW', { what: message.why }));
        break;
    }
  }

  private take(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting;
  }

  private ask<T>(
    request: Ask<ReplayRequest>,
    onProgress?: (progress: RestoreProgress) => void,
  ): Promise<T> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.next++;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve, reject, ...(onProgress ? { onProgress } : {}) });
      this.post({ ...request, id });
    });
  }

  /** Calls back when the state has changed. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  onDifference(listener: (difference: BlockDifference) => void): () => void {
    this.differenceListeners.add(listener);
    return () => this.differenceListeners.delete(listener);
  }

  setSets(sets: ReplayHostOptions['sets']): void {
    this.post({ ask: 'sets', sets });
  }

  files(files: readonly FileName[]): Promise<Known[]> {
    return this.ask({ ask: 'files', files });
  }

  hash(
    file: FileName,
    offsets: readonly number[],
    length: number,
    block: number,
  ): Promise<string | null> {
    return this.ask({ ask: 'hash', file, offsets, length, block });
  }

  names(set: number, path: string): Promise<string[] | null> {
    return this.ask({ ask: 'names', set, path });
  }

  checkpoint(): Promise<number> {
    return this.ask({ ask: 'checkpoint' });
  }

  rewind(sequence: number): Promise<number> {
    return this.ask({ ask: 'rewind', sequence });
  }

  resume(): Promise<number> {
    return this.ask({ ask: 'resume' });
  }

  /**
   * The tree as of an earlier moment, in a folder that is empty or not there. Replay stands still meanwhile.
   * Resolves to that moment.
   */
  async restore(
    sequence: number,
    folder: string,
    onProgress: (progress: RestoreProgress) => void,
    signal: AbortSignal,
  ): Promise<number> {
    if (this.restoring !== null) {
      const what = `a restore into ${this.restoring} is under way`;
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    const cancelled = new Int32Array(new SharedArrayBuffer(4));
    const cancel = (): void => void Atomics.store(cancelled, 0, 1);
    signal.addEventListener('abort', cancel, { once: true });
    this.restoring = folder;
    try {
      return await this.ask<number>({ ask: 'restore', sequence, folder, cancelled }, onProgress);
    } finally {
      this.restoring = null;
      signal.removeEventListener('abort', cancel);
    }
  }

  forget(sequence: number): Promise<void> {
    return this.ask({ ask: 'forget', sequence });
  }

  /** Resolves when all `sequence` and before is applied, or replay has ended. */
  async whenApplied(sequence: number, signal?: AbortSignal): Promise<void> {
    while ((this.state?.applied ?? 0) < sequence && !this.failure && !signal?.aborted) {
      await this.whenChanged(signal);
    }
  }

  /** Resolves when the state changes, or `signal` is aborted. */
  async whenChanged(signal?: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const off = this.onChange(() => done());
      const done = (): void => {
        off();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  async stop(): Promise<void> {
    if (!this.stopping && !this.failure) {
      this.stopping = true;
      await this.ask({ ask: 'stop' }).catch(() => undefined);
    }
    await this.exited;
  }
}
