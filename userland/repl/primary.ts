/**
 * The primary's side of a node: the driver with its configuration and role, the pump with its links, and
 * the synchronisation. Where the driver goes away all of it is built up again.
 */
import { EventEmitter } from 'node:events';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';
import type { Channel } from '../node/channel.js';
import type { Log } from '../node/log.js';
import { type Bracket, foundAgain, ofEverything } from './brackets.js';
import type { ReplDriver } from './client.js';
import { ReplBracketReason, ReplRoleKind, type ReplStatus } from './codec.js';
import type { BackupConfig, ReplNodeConfig, SetConfig } from './config.js';
import { driverConfig } from './config.js';
import { CopyMode } from './copy-mode.js';
import { type DriverConfig, encodeDriverConfig } from './driver-config.js';
import { Link } from './link.js';
import type { Push } from './protocol.js';
import { Pump } from './pump.js';
import { Synchroniser } from './sync.js';

export interface PrimaryOptions {
  readonly config: () => ReplNodeConfig;
  readonly openDriver: () => Promise<ReplDriver>;
  readonly connect: (node: string, signal: AbortSignal) => Promise<Channel>;
  readonly log: Log;
  /** Milliseconds before the driver is looked for again. */
  readonly pause?: number;
}

interface Events {
  change: [];
  /** A backup knows a higher epoch than ours. */
  fenced: [node: string];
}

/** As long as the driver is there. */
export interface Session {
  readonly driver: ReplDriver;
  readonly pump: Pump;
  readonly sync: Synchroniser;
  readonly copies: CopyMode;
}

export class Primary extends EventEmitter<Events> {
  session: Session | null = null;
  error: string | null = null;
  private readonly stopping = new AbortController();
  private running: Promise<void> | null = null;
  private wake: (() => void) | null = null;

  constructor(private readonly options: PrimaryOptions) {
    super();
    this.setMaxListeners(0);
  }

  /** Resolves when the driver has the configuration, or was not found for the first time. */
  async start(): Promise<void> {
    const first = new Promise<void>((resolve) => this.once('change', resolve));
    this.running = this.run();
    await first;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      let session: Session | null = null;
      try {
        session = await this.open();
        this.session = session;
        this.error = null;
        this.emit('change');
        await this.whileThere(session, signal);
      } catch (error) {
        this.error = messageOf(error);
        this.options.log.warn({ why: this.error }, 'the REPL driver is not in use');
      } finally {
        this.session = null;
        if (session) await this.close(session);
        this.emit('change');
      }
      if (!isOver()) await this.sleep(this.options.pause ?? 1000);
    }
  }

  private async open(): Promise<Session> {
    const { log, openDriver } = this.options;
    const driver = await openDriver();
    try {
      // Replay writes where this node is backup and nobody else may.
      await driver.trust();
      await configure(driver, this.options.config());
      const pump = new Pump(driver, log, {
        ringBytes: this.options.config().ringBytes,
        begin: (after) => this.beginFresh(driver, after),
        reopen: (open, place) => reopen(driver, open, place),
        isDurable: () => this.options.config().sets.some(({ mode }) => mode === 'durable'),
      });
      await pump.start();
      const sets = (): readonly SetConfig[] => this.options.config().sets;
      const copies = new CopyMode(driver, pump, sets, log);
      const sync = new Synchroniser(driver, pump, sets, copies, log);
      const session = { driver, pump, sync, copies };
      this.addLinks(session);
      return session;
    } catch (error) {
      await driver.close().catch(() => undefined);
      throw error;
    }
  }

  private async close({ driver, pump, sync, copies }: Session): Promise<void> {
    const { log } = this.options;
    // A driver host that is gone cannot be told; all of it ends anyhow.
    const ignore = (error: unknown): void => log.debug({ err: error }, 'closing the driver');
    await sync.stop().catch(ignore);
    await copies.stop().catch(ignore);
    await pump.stop().catch(ignore);
    await driver.close().catch(ignore);
  }

  /** A configuration that the driver refuses changes nothing. */
  async reconfigure(config: ReplNodeConfig): Promise<void> {
    await configure(this.require().driver, config);
  }

  /** Throws where the driver is not in use. */
  require(): Session {
    if (this.session) return this.session;
    const what = `the REPL driver of this node is not in use: ${this.error ?? 'it is being opened'}`;
    throw ntsError('NTS_ERR_REFUSED', { what });
  }

  /** Links as the configuration has them; those that it no longer has end. */
  async updateLinks(): Promise<void> {
    const { session } = this;
    if (!session) return;
    const { backups } = this.options.config();
    for (const link of session.pump.all) {
      const backup = backups.find(({ node }) => node === link.node);
      if (!backup) await session.pump.remove(link);
      else {
        link.limiter.bytesPerSecond = backup.limit;
        link.setPaused(backup.paused);
      }
    }
    this.addLinks(session);
  }

  private addLinks({ pump }: Session): void {
    for (const backup of this.options.config().backups) {
      if (!pump.all.some(({ node }) => node === backup.node)) pump.add(this.link(backup));
    }
  }

  private link({ node, limit, paused }: BackupConfig): Link {
    const { connect, log } = this.options;
    const link = new Link({
      node,
      limit,
      paused,
      log,
      connect: (signal) => connect(node, signal),
      push: () => this.push(node),
    });
    link.on('fenced', () => this.emit('fenced', node));
    return link;
  }

  private push(node: string): Push {
    const { stream, epoch, sets, backups } = this.options.config();
    const { folder } = backups.find((one) => one.node === node)!;
    const named = sets.map(({ id, name, mode, rules }) => ({ id, name, mode, rules }));
    return { ask: 'push', stream, epoch, folder, sets: named };
  }

  /** For a backup that has nothing: one bracket for each set. */
  private async beginFresh(driver: ReplDriver, after: number): Promise<number | null> {
    const open = await driver.brackets();
    const numbers: number[] = [];
    for (const { id } of this.options.config().sets) {
      const there = open.find(
        ({ setId, reason, bracket }) =>
          setId === id && reason === ReplBracketReason.initial && bracket > after,
      );
      numbers.push(there?.bracket ?? (await driver.openBracket(id, ReplBracketReason.initial)));
    }
    return numbers.length === 0 ? null : Math.min(...numbers);
  }

  private async whileThere({ driver, pump }: Session, signal: AbortSignal): Promise<void> {
    const broken = new Promise<never>((_, reject) =>
      pump.once('broken', (error) => reject(error as Error)),
    );
    broken.catch(() => undefined);
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      await Promise.race([this.sleep(1000), broken]);
      if (!isOver()) await driver.status();
    }
  }

  private sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.stopping;
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.wake = done;
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }

  async status(): Promise<ReplStatus | null> {
    try {
      return (await this.session?.driver.status()) ?? null;
    } catch (error) {
      if (isNtsError(error)) return null;
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.wake?.();
    await this.running;
  }
}

/** What is in force already stays: the driver keeps configuration and role over restarts. */
async function configure(driver: ReplDriver, config: ReplNodeConfig): Promise<void> {
  const present = await driver.config();
  const { role, epoch } = await driver.status();
  const isNew = Number(epoch) < config.epoch;
  let wanted = driverConfig(config, present.generation);
  const moved = wanted.sets.some(({ id, root }) =>
    present.sets.some((one) => one.id === id && one.root !== root),
  );
  if (moved && isNew) {
    // In a new epoch backups begin anew: a set may have another root than the one it had here before.
    await driver.setConfig({ ...present, sets: [], rules: [] });
    wanted = driverConfig(config, (await driver.config()).generation);
  }
  if (!same(present, wanted)) await driver.setConfig(wanted);
  if (role === ReplRoleKind[config.role] && !isNew) return;
  const sequence = isNew && config.role === 'primary' ? config.sequence : 0;
  await driver.setRole(ReplRoleKind[config.role], config.epoch, sequence);
}

/** After a crash: what was open then, and is not found again by looking at what was dirty. */
async function reopen(
  driver: ReplDriver,
  open: readonly Bracket[],
  place: (open: () => Promise<number>) => Promise<number>,
): Promise<void> {
  const present = await driver.brackets();
  const crash = Math.max(
    ...present
      .filter(({ reason }) => reason === ReplBracketReason.crash)
      .map(({ bracket }) => bracket),
  );
  const isKnown = (sequence: number): boolean =>
    present.some(({ bracket }) => bracket === sequence);
  const forgotten = open.filter(
    ({ sequence, reason }) =>
      sequence < crash && !isKnown(sequence) && !foundAgain.includes(reason),
  );
  for (const setId of new Set(forgotten.map((one) => one.setId))) {
    const isOpen = present.some(
      (one) => one.setId === setId && one.bracket > crash && ofEverything.includes(one.reason),
    );
    if (isOpen) continue;
    const isInitial = forgotten.some(
      (one) => one.setId === setId && one.reason === ReplBracketReason.initial,
    );
    const { initial, resync } = ReplBracketReason;
    await place(() => driver.openBracket(setId, isInitial ? initial : resync));
  }
}

/** Apart from the generation, which is the driver's. */
function same(a: DriverConfig, b: DriverConfig): boolean {
  const bytes = (config: DriverConfig): Buffer =>
    encodeDriverConfig({ ...config, generation: 0n, blockMs: config.blockMs });
  return bytes(a).equals(bytes(b));
}
