/** A driver host with the ONE-IP driver in it, a cluster file for it, and flows to import. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { packageRoot } from '../../userland/common/paths.js';
import { FLOWS_PER_REQUEST, OneIp } from '../../userland/oneip/client.js';
import { OneIpFamily, type OneIpFlow, OneIpFlowState } from '../../userland/oneip/codec.js';
import { type HostOptions, Nthost, drivers } from '../native/nthost.js';

const inf = path.join(packageRoot(), 'kernel/inf/oneip.inf');
export const SERVICE = 'NtsOneIp';

export interface Show {
  configured: boolean;
  node: { id: number; name: string } | null;
  role: string;
  dispatcher: { id: number; name: string } | null;
  adapter: string;
  vetoed: boolean;
  draining: boolean;
  generation: number;
  behind: boolean;
  tableDigest: string;
  eventSequence: number;
  epoch: { counter: number; node: number };
  members: { id: number; name: string; alive: boolean; slots: number; weight: number }[];
}

export const clusterText = (generation: number, changes: Record<string, string> = {}): string => {
  const parts: Record<string, string> = {
    clusterId: 'clusterId: 6ba7b810-9dad-11d1-80b4-00c04fd430c8',
    generation: `generation: ${generation}`,
    addresses: 'addresses: [10.77.0.100, "fd77::100"]',
    members: [
      'members:',
      '  - {id: 1, name: alpha, weight: 1, mac: "02:4e:54:00:00:01", ipv4: 10.77.0.1, ipv6: "fd77::1"}',
      '  - {id: 2, name: beta, weight: 3, mac: "02:4e:54:00:00:02", ipv4: 10.77.0.2, ipv6: "fd77::2"}',
    ].join('\n'),
    beacon: 'beacon:\n  ms: 10\n  key: 00112233445566778899aabbccddeeff',
    ...changes,
  };
  return `${Object.values(parts).join('\n')}\n`;
};

export function writeCluster(host: Nthost, text: string): string {
  const file = path.join(host.folder, 'cluster.yaml');
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

export async function hostWithOneIp(
  t: Test,
  options: HostOptions = {},
  image: 'elf' | 'pe' = 'elf',
): Promise<Nthost> {
  const host = await Nthost.start(t, options);
  await host.json('driver', 'install', inf, '--images', drivers, '--image', image);
  await host.json('driver', 'start', SERVICE);
  return host;
}

export const changes = {
  rules: [
    'rules:',
    '  ports:',
    '    - {protocol: tcp, ports: 80-443, affinity: network}',
    '    - {ports: 25, single: beta}',
    '    - {ports: 500-501, blocked: true}',
  ].join('\n'),
  // No flow is forgotten while a test goes on, however slow the machine is.
  flows: 'flows: {opening: 3600, closing: 3600}',
};

export async function applied(t: Test): Promise<Nthost> {
  const host = await hostWithOneIp(t);
  const file = writeCluster(host, clusterText(1, changes));
  await host.json('oneip', 'apply', file, '--node', 'alpha');
  return host;
}

export const bytes = (...head: number[]): Uint8Array => {
  const address = new Uint8Array(16);
  address.set(head);
  return address;
};

/** Of 198.18.x.y, alternately of alpha and beta, established. */
export const flow = (i: number, more: Partial<OneIpFlow> = {}): OneIpFlow => ({
  family: OneIpFamily.ipv4,
  client: bytes(198, 18, i >> 8, i & 0xff),
  cluster: bytes(10, 77, 0, 100),
  clientPort: 1024 + (i % 60_000),
  clusterPort: 80,
  protocol: 6,
  state: OneIpFlowState.established,
  nodeId: 1 + (i % 2),
  idleMs: 0,
  ...more,
});

export async function importAll(host: Nthost, flows: readonly OneIpFlow[]): Promise<number> {
  await using oneIp = await OneIp.open({ endpoint: host.endpoint });
  let imported = 0;
  for (let i = 0; i < flows.length; i += FLOWS_PER_REQUEST) {
    const batch = flows.slice(i, i + FLOWS_PER_REQUEST);
    imported += (await oneIp.importFlows(batch)).imported;
  }
  return imported;
}
