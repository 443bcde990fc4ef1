// Who answers a ping? The machines' kernels count.
import type { Cluster } from './cluster.js';
import type { Node } from './node.js';

function echoesSeen(node: Node, family: 'ipv4' | 'ipv6'): number {
  if (family === 'ipv6') {
    const text = node.namespace.run('cat', ['/proc/net/snmp6']);
    return Number(/^Icmp6InEchos\s+(\d+)$/m.exec(text)?.[1]);
  }
  const [names = '', values = ''] = node.namespace
    .run('cat', ['/proc/net/snmp'])
    .split('\n')
    .filter((line) => line.startsWith('Icmp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('InEchos')]);
}

/** One ping with so many bytes; the server that had it, or null where no answer came. */
export function pingServer(
  cluster: Cluster,
  source: string,
  family: 'ipv4' | 'ipv6',
  bytes: number,
): string | null {
  const seen = () => cluster.alive.map((node) => echoesSeen(node, family));
  const before = seen();
  try {
    cluster.lab.client.namespace.run('ping', [
      ...['-c', '1', '-W', '3', '-s', String(bytes), '-I', source, cluster.address[family]],
    ]);
  } catch {
    return null;
  }
  const after = seen();
  return cluster.alive.find((_, i) => after[i]! > before[i]!)?.name ?? null;
}
