/** Runs one service: starts it, gives it its channels, and starts it again when it has crashed. */
import { messageOf } from '../common/errors.js';
import { type Channel, connect } from './channel.js';
import type { NodeListener } from './listener.js';
import type { LocalNode } from './local-node.js';
import type { Log } from './log.js';
import type { Service, ServiceState, ServiceStatus } from './service.js';

export interface Backoff {
  /** Milliseconds before the first start after a crash; doubled by each further one, up to `most`. */
  readonly first: number;
  readonly most: number;
  /** A service that has run for so long begins with `first` again. */
  readonly forgive: number;
  /** How long a service may take to stop before it is left to itself. */
  readonly stop: number;
}

const defaultBackoff: Backoff = { first: 250, most: 30_000, forgive: 60_000, stop: 10_000 };

/** One time from start to stop. */
interface Run {
  readonly abort: AbortController;
  readonly channels: Set<Channel>;
  unregister: (() => void) | null;
  runningSince: number | null;
  /** Set once it has failed or is to stop; what follows is ignored. */
  over: boolean;
}

export class Supervisor {
  private state: ServiceState = 'stopped';
  private restarts = 0;
  private lastError: string | null = null;
  private pause: number;
  private run: Run | null = null;
  private timer: NodeJS.Timeout | null = null;
  private stopping = false;
  /** Starting and stopping, one after the other. */
  private work: Promise<void> = Promise.resolve();
  private readonly backoff: Backoff;
  private readonly log: Log;

  constructor(
    private readonly service: Service,
    private readonly local: LocalNode,
    private readonly listener: NodeListener,
    log: Log,
    backoff: Partial<Backoff> = {},
  ) {
    this.backoff = { ...defaultBackoff, ...backoff };
    this.pause = this.backoff.first;
    this.log = log.child({ service: service.name });
  }

  get status(): ServiceStatus {
    const { state, restarts, lastError } = this;
    return { name: this.service.name, state, restarts, lastError };
  }

  /** Resolves when it runs, or has crashed for the first time. */
  async start(): Promise<void> {
    this.stopping = false;
    await this.enqueue(() => this.begin());
  }

  async stop(): Promise<void> {
    this.stopping = true;
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.run) this.run.over = true;
    await this.enqueue(() => this.end());
    this.state = 'stopped';
  }

  private enqueue(work: () => Promise<void>): Promise<void> {
    this.work = this.work.then(work);
    return this.work;
  }

  private async begin(): Promise<void> {
    if (this.stopping) return;
    const run: Run = {
      abort: new AbortController(),
      channels: new Set(),
      unregister: null,
      runningSince: null,
      over: false,
    };
    this.run = run;
    this.state = 'starting';
    const { service, local } = this;
    try {
      await service.start({
        local,
        log: this.log,
        signal: run.abort.signal,
        connect: (node, { service: name = service.name, ...options } = {}) =>
          connect(local, node, name, { signal: run.abort.signal, ...service.limits, ...options }),
        fail: (error) => this.crashed(run, error),
      });
    } catch (error) {
      this.crashed(run, error);
    }
    if (run.over) return;
    const { limits = {} } = service;
    run.unregister = this.listener.register(service.name, (one) => this.handle(run, one), limits);
    run.runningSince = performance.now();
    this.state = 'running';
    this.log.info('running');
  }

  private async handle(run: Run, channel: Channel): Promise<void> {
    run.channels.add(channel);
    void channel.closed.then(() => run.channels.delete(channel));
    await this.service.handle(channel);
  }

  private crashed(run: Run, error: unknown): void {
    if (run.over) return;
    run.over = true;
    this.lastError = messageOf(error);
    const ran = run.runningSince === null ? 0 : performance.now() - run.runningSince;
    if (ran >= this.backoff.forgive) this.pause = this.backoff.first;
    const pause = this.pause;
    this.pause = Math.min(2 * pause, this.backoff.most);
    this.log.error({ err: error, restartInMilliseconds: pause }, 'crashed');
    void this.enqueue(() => this.end()).then(() => this.later(pause));
  }

  private later(pause: number): void {
    if (this.stopping) return;
    this.state = 'waiting';
    this.timer = setTimeout(() => {
      this.timer = null;
      this.restarts++;
      void this.enqueue(() => this.begin());
    }, pause);
  }

  private async end(): Promise<void> {
    const { run } = this;
    if (!run) return;
    this.run = null;
    run.unregister?.();
    run.abort.abort();
    await this.stopService();
    for (const channel of run.channels) channel.close();
  }

  private async stopService(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), this.backoff.stop);
    });
    try {
      if ((await Promise.race([this.service.stop(), late])) === 'late') {
        this.log.error('has not stopped in time');
      }
    } catch (error) {
      this.log.error({ err: error }, 'stopping failed');
    } finally {
      clearTimeout(timer);
    }
  }
}
