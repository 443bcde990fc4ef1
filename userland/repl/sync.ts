/**
 * Synchronisation: closes brackets, one after the other, the oldest first, while programs write.
 *
 * Names and metadata come through the stream (SYNC_FOLDER, SYNC_FILE), and so do the blocks that differ
 * (SYNC_RANGE); only what differs is found out beside it, by hashes. That is sound because everything
 * written since the bracket opened is in the stream, provided that the backups have applied all before
 * the bracket; a loss inside of the bracket opens another one, and what was dirty is then looked at again.
 *
 * A run keeps nothing: if this program dies the driver still has the brackets and what is dirty.
 */
import { EventEmitter } from 'node:events';
import { messageOf, ntsError } from '../common/errors.js';
import type { Log } from '../node/log.js';
import type { BracketStatus, DirtyFile, ReplDriver } from './client.js';
import { ReplBracketReason } from './codec.js';
import type { SetConfig } from './config.js';
import type { CopyMode } from './copy-mode.js';
import type { Link } from './link.js';
import type { Pump } from './pump.js';
import { isRefusal } from './refusal.js';
import { Moves } from './sync-moves.js';
import { type SyncProgress, SyncRun } from './sync-run.js';
import { whileStreaming } from './while-streaming.js';

/** Something happened before them that is in no record. */
const LOSSY: ReadonlySet<ReplBracketReason> = new Set([
  ReplBracketReason.lost,
  ReplBracketReason.crash,
  ReplBracketReason.volume,
]);

/** Nobody knows what has changed: sizes and times of files in copy mode are not enough. */
const COMPARED: ReadonlySet<ReplBracketReason> = new Set([
  ReplBracketReason.resync,
  ReplBracketReason.volume,
]);

interface Events {
  progress: [progress: SyncProgress];
  closed: [progress: SyncProgress];
}

export class Synchroniser extends EventEmitter<Events> {
  private readonly stopping = new AbortController();
  private working: Promise<void> | null = null;
  private again = false;
  private readonly dirty: DirtyFile[] = [];
  progress: SyncProgress | null = null;
  /** Why the last run did not succeed. */
  error: string | null = null;

  constructor(
    private readonly driver: ReplDriver,
    private readonly pump: Pump,
    private readonly sets: () => readonly SetConfig[],
    private readonly copies: CopyMode,
    private readonly log: Log,
  ) {
    super();
    pump.on('bracket', () => this.wake());
    pump.on('connected', () => this.wake());
  }

  /** Looks for open brackets, now or after the present run. */
  wake(): void {
    if (this.stopping.signal.aborted) return;
    this.again = true;
    this.working ??= this.work().finally(() => (this.working = null));
  }

  private async work(): Promise<void> {
    let pause = 100;
    const isOver = (): boolean => this.stopping.signal.aborted;
    while (this.again && !isOver()) {
      this.again = false;
      try {
        while (await this.closeOldest());
        this.error = null;
      } catch (error) {
        if (isOver()) return;
        this.error = messageOf(error);
        this.log.warn({ err: error }, 'a synchronisation was broken off');
        await this.sleep(pause);
        pause = Math.min(2 * pause, 10_000);
        this.again = true;
      } finally {
        this.progress = null;
      }
    }
  }

  private async sleep(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const { signal } = this.stopping;
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** False: none is open, or there is nobody to synchronise with. */
  private async closeOldest(): Promise<boolean> {
    const [bracket] = (await this.driver.brackets()).sort((a, b) => a.bracket - b.bracket);
    if (!bracket) {
      this.dirty.length = 0;
      return false;
    }
    const links = this.pump.streaming;
    // One that is away would keep what differs: nobody compares with it, and the bracket is closed for all.
    if (links.length === 0 || links.length < this.pump.all.length) return false;
    const over = whileStreaming(links, this.stopping.signal);
    const observing = this.pump.observing();
    const moves = new Moves(this.pump);
    try {
      await this.run(bracket, links, moves, over.signal);
    } finally {
      over.end();
      moves.end();
      observing();
    }
    return true;
  }

  private async run(
    bracket: BracketStatus,
    links: readonly Link[],
    moves: Moves,
    signal: AbortSignal,
  ): Promise<void> {
    const sets = this.sets().filter(({ id }) => bracket.setId === 0 || bracket.setId === id);
    const progress: SyncProgress = {
      bracket: bracket.bracket,
      reason: bracket.reason,
      sets: sets.map(({ name }) => name),
      folders: 0,
      files: 0,
      bytes: 0,
      sentBytes: 0,
    };
    this.progress = progress;
    this.log.info({ bracket: bracket.bracket, reason: bracket.reason }, 'synchronising');
    const run = new SyncRun(
      this.driver,
      this.pump,
      links,
      this.copies,
      moves,
      signal,
      progress,
      () => this.emit('progress', progress),
    );
    const initial = bracket.reason === ReplBracketReason.initial;
    // A first synchronisation is applied while it goes on, and what a run that was broken off has sent is
    // looked at when it is; the others wait for their end.
    const last = initial ? Number((await this.driver.status()).lastSequence) : bracket.bracket;
    const before = initial ? last : last - 1;
    for (const link of links) {
      await link.reached('durable', last, signal);
      // Where another bracket was open when this one opened, no state is before this one alone.
      const reachable = Math.min(before, link.consistent);
      if (reachable < before && LOSSY.has(bracket.reason)) run.compares = false;
      await link.reached('applied', reachable, signal);
    }
    switch (bracket.reason) {
      case ReplBracketReason.initial:
      case ReplBracketReason.resync:
      case ReplBracketReason.volume:
        for (const set of sets) await run.tree(set, '', 'all');
        break;
      case ReplBracketReason.order:
        for (const set of sets) await run.tree(set, '', 'new');
        break;
      case ReplBracketReason.entered:
        for (const set of sets) await run.entered(set, bracket.fileId);
        break;
      case ReplBracketReason.lost:
      case ReplBracketReason.crash:
        await this.lost(run, sets, bracket.bracket);
        break;
    }
    await run.settle(sets);
    await this.close(bracket.bracket, run, sets);
    this.copies.compare(COMPARED.has(bracket.reason), sets);
    this.log.info({ ...progress }, 'synchronised');
    this.emit('closed', progress);
  }

  private async lost(run: SyncRun, sets: readonly SetConfig[], bracket: number): Promise<void> {
    run.begin();
    for (;;) {
      const dirty = await this.driver.takeDirty();
      if (!dirty) break;
      this.dirty.push(dirty);
    }
    const later = (await this.driver.brackets()).some(
      (one) => one.bracket > bracket && LOSSY.has(one.reason),
    );
    if (later) run.compares = false;
    // Also what was taken for an older bracket: it may have been lost again since then.
    await run.dirty(sets, this.dirty);
  }

  private async close(bracket: number, run: SyncRun, sets: readonly SetConfig[]): Promise<void> {
    for (;;) {
      try {
        await this.driver.closeBracket(bracket);
        return;
      } catch (error) {
        if (!isRefusal(error, 'bracket')) throw error;
        const open = (await this.driver.brackets()).some((one) => one.bracket === bracket);
        // Somebody else was faster.
        if (!open) return;
        await this.lost(run, sets, bracket);
        await run.settle(sets);
      }
    }
  }

  async stop(): Promise<void> {
    this.stopping.abort(ntsError('NTS_ERR_CANCELLED', { what: 'the synchronisation' }));
    await this.working;
  }
}
