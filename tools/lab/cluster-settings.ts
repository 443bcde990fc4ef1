// What the cluster file of a lab's cluster says: the same on all nodes, with a generation that grows with each change.
import { randomBytes, randomUUID } from 'node:crypto';
import type * as addresses from './addresses.js';
import type { Node } from './node.js';

export type Affinity = 'client' | 'five-tuple';

export class ClusterSettings {
  generation = 1;
  private readonly clusterId = randomUUID();
  private readonly beaconKey = newKey();
  private hashKey: string | null = null;
  affinity: Affinity = 'client';
  readonly weights = new Map<Node, number>();

  constructor(
    private readonly clusterAddresses: addresses.Pair[],
    private readonly beaconMs: number | undefined,
    private readonly flowCapacity: number | undefined,
  ) {}

  changeHashKey(): void {
    this.hashKey = newKey();
  }

  /** The cluster file. */
  text(members: Node[]): string {
    const lines = members.map(
      (node) =>
        `  - { id: ${node.index}, name: ${node.name}, mac: "${node.mac}", ipv4: ${node.own.ipv4}, ipv6: "${node.own.ipv6}", weight: ${this.weights.get(node) ?? 1} }`,
    );
    return [
      `clusterId: ${this.clusterId}`,
      `generation: ${this.generation}`,
      'addresses:',
      ...this.clusterAddresses.flatMap(({ ipv4, ipv6 }) => [`  - "${ipv4}"`, `  - "${ipv6}"`]),
      'members:',
      ...lines,
      'rules:',
      `  affinity: ${this.affinity}`,
      ...(this.flowCapacity === undefined ? [] : ['flows:', `  capacity: ${this.flowCapacity}`]),
      'beacon:',
      ...(this.beaconMs === undefined ? [] : [`  ms: ${this.beaconMs}`]),
      `  key: "${this.beaconKey}"`,
      ...(this.hashKey === null ? [] : [`hashKey: "${this.hashKey}"`]),
      '',
    ].join('\n');
  }
}

function newKey(): string {
  return randomBytes(16).toString('hex');
}
