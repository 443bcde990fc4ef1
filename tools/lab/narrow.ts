// Downloads over a narrow hop: they come to an end only if the router's "too big" reaches the server that sends.
import * as addresses from './addresses.js';
import type { FlowState } from './agent-protocol.js';
import type { Client } from './client.js';
import type { Cluster } from './cluster.js';
import type { Node } from './node.js';

const download = { bytes: 300_000, bytesPerSecond: 100_000_000 };
const patienceMs = 10_000;

export interface NarrowResult {
  flows: FlowState[];
  /** Clients whose server's kernel has learned the hop's MTU, and has it from its router. */
  learned: string[];
  /** Clients of which another node's kernel has learned something. */
  misled: string[];
}

/** The path MTU that a machine's kernel has learned for a client; null: none. */
function pathMtu(node: Node, client: string, cluster: string): number | null {
  const [route] = JSON.parse(
    node.namespace.run('ip', ['-j', 'route', 'get', client, 'from', cluster]),
  ) as { cache?: string[]; metrics?: { mtu?: number }[] }[];
  return route?.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu ?? null;
}

/** Each far client downloads something; what has come at last, and who has learned the MTU. */
export async function narrowDownloads(
  cluster: Cluster,
  far: Client,
  family: 'ipv4' | 'ipv6',
  mtu: number,
): Promise<NarrowResult> {
  const sources = Array.from({ length: far.count }, (_, n) => addresses.farClient(n)[family]);
  await far.ask({
    op: 'flows',
    downloads: sources,
    idle: [],
    targets: cluster.address,
    ...download,
  });
  const flows = await far.ask({ op: 'flows-finish', timeoutMs: patienceMs, servers: null });
  const result: NarrowResult = { flows, learned: [], misled: [] };
  for (const { source, server } of flows) {
    for (const node of cluster.nodes) {
      const learned = pathMtu(node, source, cluster.address[family]);
      if (node.name === server && learned === mtu) result.learned.push(source);
      if (node.name !== server && learned !== null) result.misled.push(source);
    }
  }
  return result;
}
