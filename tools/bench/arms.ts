// The dispatchers that the bench compares. The server machines are the same in every arm: driver host, oneip bound and never
// dispatcher, TAP; only the machine in front of them differs.
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import * as addresses from '../lab/addresses.js';
import { buildFolder, builtFile } from '../lab/built.js';
import { Cluster } from '../lab/cluster.js';
import { DriverHost, driverImages, type Image } from '../lab/host.js';
import type { Lab } from '../lab/lab.js';
import type { Node } from '../lab/node.js';
import { LabError, until } from '../lab/process.js';

export const armNames = ['oneip', 'pass', 'host', 'nft', 'haproxy'] as const;
export type ArmName = (typeof armNames)[number];

export const armTitles: Record<ArmName, string> = {
  oneip: 'oneip dispatches in the driver',
  pass: 'driver host with a pass-through filter, nftables dispatches above it',
  host: 'driver host without a filter, nftables dispatches above it',
  nft: 'nftables dispatches in the kernel, no driver host',
  haproxy: 'HAProxy in TCP mode, no driver host',
};

/** The arm as it stands now. */
export interface Standing {
  /** Processes that dispatch. */
  pids: number[];
  /** Frames that the driver forwarded so far; null where the arm has no such counter. */
  forwarded: () => Promise<number | null>;
}

const cluster = addresses.cluster;

export class Arms {
  private standing: ArmName | null = null;

  private constructor(
    private readonly lab: Lab,
    private readonly cluster: Cluster,
    private readonly dispatcher: Node,
    private readonly servers: Node[],
    private readonly image: Image,
  ) {}

  /** node1 is in front and serves nothing itself; the others serve. */
  static async create(lab: Lab, image: Image): Promise<Arms> {
    const [dispatcher, ...servers] = lab.nodes;
    if (!dispatcher) throw new LabError('no nodes');
    const weights = lab.nodes.map((node) => (node === dispatcher ? 0 : 1));
    const oneip = new Cluster(lab, { image, verifier: false, weights, servers: false });
    const arms = new Arms(lab, oneip, dispatcher, servers, image);
    for (const server of servers) {
      await oneip.boot(server);
      await oneip.host(server).ntswift('oneip', 'veto', 'on');
      await startServer(server);
    }
    return arms;
  }

  static missing(name: ArmName): string | null {
    if (name === 'haproxy' && spawnSync('haproxy', ['-v']).error) return 'haproxy is not installed';
    return null;
  }

  async stand(name: ArmName): Promise<Standing> {
    if (this.standing === 'oneip') await this.cluster.kill(this.dispatcher);
    else if (this.standing !== null) await this.dispatcher.kill();
    this.standing = name;
    const standing = await this.make(name);
    await this.answers();
    return standing;
  }

  private async make(name: ArmName): Promise<Standing> {
    const { dispatcher, image } = this;
    const none = () => Promise.resolve(null);
    switch (name) {
      case 'oneip': {
        await this.cluster.boot(dispatcher);
        await this.cluster.settled();
        const device = await this.cluster.device(dispatcher);
        return {
          pids: [this.cluster.host(dispatcher).pid],
          forwarded: async () => Number((await device.stats()).framesForwarded),
        };
      }
      case 'pass':
      case 'host': {
        const host = await bootBare(dispatcher, name, image);
        this.dispatchByNft('net0');
        return { pids: [host.pid], forwarded: none };
      }
      case 'nft':
        await dispatcher.boot('plain');
        dispatcher.configure('eth0', [cluster]);
        this.dispatchByNft('eth0');
        return { pids: [], forwarded: none };
      case 'haproxy':
        await dispatcher.boot('plain');
        dispatcher.configure('eth0', [cluster]);
        return { pids: [await this.startHaproxy()], forwarded: none };
    }
  }

  /** Direct server return by hash of the source: the frame gets our own source MAC and the server's destination MAC. */
  private dispatchByNft(device: string): void {
    const map = this.servers.map(({ mac }, index) => `${index} : ${mac}`).join(', ');
    const rule = (ip: string, address: string) =>
      `${ip} daddr ${address} ether saddr set ${this.dispatcher.mac} ` +
      `ether daddr set jhash ${ip} saddr mod ${this.servers.length} map { ${map} } fwd to "${device}"`;
    this.dispatcher.namespace.nft(
      [
        'table netdev dsr {',
        `  chain in {`,
        `    type filter hook ingress device "${device}" priority 10;`,
        `    ${rule('ip', cluster.ipv4)}`,
        // Neighbour solicitations for the address are this machine's to answer.
        `    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept`,
        `    ${rule('ip6', cluster.ipv6)}`,
        '  }',
        '}',
        '',
      ].join('\n'),
    );
  }

  private async startHaproxy(): Promise<number> {
    const file = path.join(this.dispatcher.folder, 'haproxy.cfg');
    const servers = this.servers.map(({ name, own }) => `  server ${name} ${own.ipv4}:80`);
    writeFileSync(
      file,
      [
        'global',
        '  nbthread 1',
        'defaults',
        '  mode tcp',
        '  timeout connect 5s',
        '  timeout client 30s',
        '  timeout server 30s',
        'listen cluster',
        `  bind ${cluster.ipv4}:80`,
        '  balance source',
        '  hash-type consistent',
        ...servers,
        '',
      ].join('\n'),
    );
    return (await this.dispatcher.start('haproxy', 'haproxy', ['-db', '-f', file])).pid;
  }

  /** Until a client gets an answer through it. */
  private async answers(): Promise<void> {
    const { client } = this.lab;
    await until('an answer through the dispatcher', async () => {
      const [answer] = await client.ask({
        op: 'fetch',
        sources: client.sources('ipv4', 1),
        target: cluster.ipv4,
        width: 1,
        timeoutMs: 500,
      });
      return answer?.server ? true : undefined;
    });
  }
}

/** Boots a machine whose driver host has the pass-through filter, or none. Nothing else was ever installed there. */
export async function bootBare(
  node: Node,
  filter: 'pass' | 'host',
  image: Image,
): Promise<DriverHost> {
  const disk = 'bare';
  rmSync(path.join(node.folder, disk), { recursive: true, force: true });
  await node.boot('hosted');
  const host = await DriverHost.start(node, { image, verifier: false }, disk);
  if (filter === 'pass') {
    const inf = path.join(buildFolder, 'drivers/ndispass.inf');
    await host.ntswift('driver', 'install', inf, ...driverImages(image));
    await host.ntswift('driver', 'start', 'ndispass');
  }
  await node.tapAppears();
  node.configure('net0', [cluster]);
  return host;
}

export async function startServer(node: Node): Promise<void> {
  await node.start('serve', builtFile('bin/bench-serve'), [node.name]);
  await node.listens();
}
