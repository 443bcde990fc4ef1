/** Nodes of a cluster in this process, each with a state folder and a host of its own. */
import { generateKeyPairSync } from 'node:crypto';
import path from 'node:path';
import { once } from 'node:events';
import type { Test } from 'tap';
import { Authority } from '../../../userland/node/authority.js';
import { type Clock, MINUTE, systemClock } from '../../../userland/node/clock.js';
import { type HostOptions, NodeHost } from '../../../userland/node/host.js';
import { initCluster } from '../../../userland/node/init.js';
import { type JoinOptions, joinCluster } from '../../../userland/node/join.js';
import { LocalNode } from '../../../userland/node/local-node.js';
import { type Endpoint, parseEndpoint } from '../../../userland/node/names.js';
import { temporaryFolder } from '../../native/temporary.js';

const loopback = { host: '127.0.0.1', port: 0 };

/** Rounds of the agents come when something changes; none by time. */
const NEVER = 2 ** 30;

export interface TestNode {
  readonly state: string;
  readonly local: LocalNode;
  readonly host: NodeHost;
  stop(): Promise<void>;
}

export async function startNode(
  t: Test,
  state: string,
  options: HostOptions & { readonly clock?: Clock } = {},
): Promise<TestNode> {
  const { clock = systemClock, ...rest } = options;
  const local = await LocalNode.open(state, clock);
  const host = await NodeHost.start(local, {
    listen: loopback,
    address: loopback,
    interval: NEVER,
    backoff: { first: 1, most: 8, stop: 1000 },
    ...rest,
  });
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => (stopped ??= host.stop().then(() => local.close()));
  t.teardown(stop);
  return { state, local, host, stop };
}

export interface InitTestOptions extends HostOptions {
  readonly clock?: Clock;
  readonly lifetime?: number;
  readonly cluster?: string;
}

export async function startCluster(t: Test, options: InitTestOptions = {}): Promise<TestNode> {
  const { lifetime, cluster = 'test', ...rest } = options;
  const state = path.join(temporaryFolder(t), 'a');
  const { clock } = rest;
  await initCluster(state, {
    cluster,
    node: 'a',
    address: '127.0.0.1:0',
    ...(clock ? { clock } : {}),
    ...(lifetime === undefined ? {} : { lifetime }),
  });
  return startNode(t, state, rest);
}

export function addressOf({ local }: TestNode): Endpoint {
  return parseEndpoint(local.address)!;
}

export async function tokenOf({ local }: TestNode, ttl = 10 * MINUTE): Promise<string> {
  return (await Authority.of(local, 'a token')).createToken(ttl).token;
}

/** Into a folder of its own, without starting it. */
export async function join(
  t: Test,
  to: TestNode,
  name: string,
  options: Partial<JoinOptions> & { state?: string } = {},
): Promise<string> {
  const { state = path.join(temporaryFolder(t), name), ...rest } = options;
  await joinCluster(state, addressOf(to), {
    token: rest.token ?? (await tokenOf(to)),
    name,
    address: '127.0.0.1:0',
    ...rest,
  });
  return state;
}

export async function joinAndStart(
  t: Test,
  to: TestNode,
  name: string,
  options: HostOptions & { readonly clock?: Clock } = {},
): Promise<TestNode> {
  const { clock } = options;
  const state = await join(t, to, name, clock ? { clock } : {});
  const node = await startNode(t, state, options);
  // The address with the port that it got has gone to a, and come back.
  await agreed(to, node);
  return node;
}

/** All know the same, and where everybody is. */
export async function agreed(...nodes: TestNode[]): Promise<void> {
  const same = (): boolean =>
    new Set(nodes.map(({ local }) => local.membership.digest)).size === 1 &&
    nodes.every(({ local }) => local.membership.byId(local.id)?.address === local.address);
  while (!same()) await Promise.race(nodes.map(({ local }) => once(local.membership, 'change')));
}

/** A clock that is set. */
export function testClock(): { now: number; read: Clock } {
  const clock = { now: Date.now(), read: () => clock.now };
  return clock;
}

export function rsaKey(): Buffer {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return publicKey.export({ type: 'spki', format: 'der' });
}
