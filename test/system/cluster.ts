// What the system tests share: a lab with a cluster on it, made once for a file, and what an ordinary user cannot be timed on.
import t from 'tap';
import { Cluster, type ClusterOptions } from '../../tools/lab/cluster.js';
import { Lab } from '../../tools/lab/lab.js';

/** Real-time scheduling, which keeps the timers of the driver host punctual, is root's. */
export const timing = process.env.NTS_UNPRIVILEGED
  ? { skip: 'timing: real-time scheduling is not permitted to an ordinary user' }
  : {};

// A whole file takes longer than tap's limit; the test command has its own.
t.setTimeout(0);

export interface Setup extends Partial<ClusterOptions> {
  nodes?: number;
  clients?: number;
  /** Of the nodes, the last so many are up and no members. */
  spare?: number;
}

export async function startCluster(setup: Setup = {}): Promise<Cluster> {
  const { nodes = 4, clients = 32, spare = 0, ...options } = setup;
  const lab = await Lab.create({ nodes, clients });
  t.teardown(() => lab.close());
  const cluster = new Cluster(
    lab,
    { image: 'elf', verifier: false, ...options },
    lab.nodes.slice(0, nodes - spare),
  );
  await cluster.start();
  await cluster.settled();
  for (const node of lab.nodes.slice(nodes - spare)) await cluster.boot(node);
  return cluster;
}

/** The driver hosts are still there and have nothing to complain of. */
export function everyHostIsWell(cluster: Cluster): boolean {
  return cluster.nodes.every((node) => !node.alive || cluster.host(node).alive);
}
