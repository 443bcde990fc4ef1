// One failure under load, and what clients saw of it.
import type { Gap, ProbeRequest } from './agent-protocol.js';
import { now } from './clock.js';
import type { Cluster } from './cluster.js';
import type { Node } from './node.js';
import { sleep, until } from './process.js';

export type Failure = 'kill' | 'cut' | 'freeze';

export interface FailoverOptions {
  failure: Failure;
  /** How many client addresses ask all the time. */
  clients: number;
  kind?: ProbeRequest['kind'];
  family?: 'ipv4' | 'ipv6';
}

export interface FailoverResult {
  failure: Failure;
  /** The dispatcher that failed. */
  failed: Node;
  /** The dispatcher that took over. */
  successor: Node;
  /** The longest time that any client was without an answer, in ms, and whose it was. */
  worst: Gap;
  worstMs: number;
  /** The same among the clients whose server did not fail. */
  worstOfOthersMs: number;
  attempts: number;
  answered: number;
}

/**
 * How often each client asks, and when it gives an attempt up and tries anew. Few and light enough that the load itself, which shares the
 * cores with all machines of the lab, makes no gaps.
 */
const pace = { http: { periodMs: 20, patienceMs: 20 }, udp: { periodMs: 5, patienceMs: 0 } };

/** After the last client was answered again, we watch a little longer: a second gap would count. */
const watchMs = 300;

const length = ({ from, to }: Gap) => to - from;

export async function failover(
  cluster: Cluster,
  options: FailoverOptions,
): Promise<FailoverResult> {
  const { failure, clients, kind = 'http', family = 'ipv4' } = options;
  const { client } = cluster.lab;
  const failed = await cluster.settled();
  const sources = client.sources(family, clients);
  await client.ask({
    op: 'probe',
    kind,
    sources,
    target: cluster.address[family],
    ...pace[kind],
  });
  const allAnsweredSince = (moment: number) =>
    until('every client to be answered', async () => {
      const state = await client.ask({ op: 'probe-state' });
      return state.every(({ last }) => last !== null && last > moment) ? true : undefined;
    });
  try {
    await allAnsweredSince(now());
    await client.ask({ op: 'probe-reset' });
    const before = now();
    await breakDispatcher(cluster, failed, failure);
    const successor = await cluster.settled(cluster.alive.filter((node) => node !== failed));
    await allAnsweredSince(now());
    await sleep(watchMs);
    const { gaps, attempts, answered } = await client.ask({ op: 'probe-stop' });
    const sorted = gaps.filter(({ to }) => to >= before).sort((a, b) => length(b) - length(a));
    const worst = sorted[0]!;
    const worstOfOthers = sorted.find((gap) => gap.before !== failed.name);
    return {
      failure,
      failed,
      successor,
      worst,
      worstMs: length(worst),
      worstOfOthersMs: worstOfOthers ? length(worstOfOthers) : 0,
      attempts,
      answered,
    };
  } catch (error) {
    await client.ask({ op: 'probe-stop' }).catch(() => undefined);
    throw error;
  }
}

async function breakDispatcher(cluster: Cluster, node: Node, failure: Failure): Promise<void> {
  switch (failure) {
    case 'kill':
      return cluster.kill(node);
    case 'cut':
      cluster.lab.lan.carrier(node.name, false);
      return;
    case 'freeze':
      cluster.freeze(node);
  }
}

/** Undoes it, and waits until all nodes are a cluster again. */
export async function mend(
  cluster: Cluster,
  { failure, failed }: Pick<FailoverResult, 'failure' | 'failed'>,
): Promise<Node> {
  switch (failure) {
    case 'kill':
      await cluster.boot(failed);
      break;
    case 'cut':
      cluster.lab.lan.carrier(failed.name, true);
      break;
    case 'freeze':
      cluster.thaw(failed);
      break;
  }
  return cluster.settled();
}
