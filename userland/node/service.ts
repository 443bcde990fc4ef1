/** What a service of a node is: something that runs in `ntswift service` and talks with its like elsewhere. */
import type { Channel, ChannelLimits, ConnectOptions } from './channel.js';
import type { LocalNode } from './local-node.js';
import type { Log } from './log.js';

export interface ServiceContext {
  readonly local: LocalNode;
  readonly log: Log;
  /** Aborted when the service is to stop. */
  readonly signal: AbortSignal;
  /** To the same service of another node, unless another is named. */
  connect(node: string, options?: ConnectOptions & { readonly service?: string }): Promise<Channel>;
  /** The service cannot go on: it is stopped, and started again after a while. */
  fail(error: unknown): void;
}

export interface Service {
  /** The application protocol with its version: ntswift-repl/1. */
  readonly name: string;
  readonly limits?: ChannelLimits;
  /** Channels arrive once it has resolved. What it throws counts as a crash. */
  start(context: ServiceContext): Promise<void>;
  /** Also after a crash; start may follow. What is left of its channels is closed afterwards. */
  stop(): Promise<void>;
  /** What it throws ends the channel, and nothing else. */
  handle(channel: Channel): void | Promise<void>;
}

export type ServiceState = 'starting' | 'running' | 'waiting' | 'stopped';

export interface ServiceStatus {
  readonly name: string;
  readonly state: ServiceState;
  /** How often it was started again. */
  readonly restarts: number;
  /** Why it was last started again. */
  readonly lastError: string | null;
}
