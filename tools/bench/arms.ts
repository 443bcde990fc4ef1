// The dispatchers that the bench compares. The server machines are the same in every arm: driver host, oneip bound and never
// dispatcher, TAP; only the machine in front of them differs. Two more arms have nobody in front: the client asks one server machine
// itself, and one without a driver host.
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

export const armNames = [
  'oneip',
  'pass',
  'host',
  'nft',
  'haproxy',
  'direct-host',
  'direct',
] as const;
export type ArmName = (typeof armNames)[number];

export const armTitles: Record<ArmName, string> = {
  oneip: 'oneip dispatches in the driver',
  pass: 'driver host with a pass-through filter, nftables dispatches above it',
  host: 'driver host without a filter, nftables dispatches above it',
  nft: 'nftables dispatches in the kernel, no driver host',
  haproxy: 'HAProxy in TCP mode, no driver host',
  'direct-host': 'no dispatcher: one server machine, through its driver host',
  direct: 'no dispatcher: one server machine, without a driver host',
};

/** Machines of the lab: one in front, three behind, one without a driver host. */
export const serversBehind = 3;
export const machines = 1 + serversBehind + 1;

/** The arm as it stands now. */
export interface Standing {
  /** The address that the client asks. */
  target: string;
  /** Processes that dispatch. */
  pids: number[];
  /** Frames that have come to the stacks of the servers so far. */
  arrived: () => number;
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
    private readonly plain: Node,
    private readonly image: Image,
  ) {}

  /** The lab has `machines`. node1 is in front and serves nothing itself. */
  static async create(lab: Lab, image: Image): Promise<Arms> {
    const members = lab.nodes.slice(0, 1 + serversBehind);
    const [dispatcher, ...servers] = members;
    const plain = lab.nodes[members.length];
    if (!dispatcher || !plain) throw new LabError('the lab is too small');
    const weights = members.map((node) => (node === dispatcher ? 0 : 1));
    const options = { image, verifier: false, weights, servers: false };
    const oneip = new Cluster(lab, options, members);
    const arms = new Arms(lab, oneip, dispatcher, servers, plain, image);
    await plain.boot('plain');
    plain.configure('eth0', []);
    await startServer(plain);
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
    else if (this.dispatcher.alive) await this.dispatcher.kill();
    this.standing = name;
    const standing = await this.make(name);
    await this.answers(standing.target);
    return standing;
  }

  private async make(name: ArmName): Promise<Standing> {
    const { dispatcher, servers, plain, image } = this;
    const target = cluster.ipv4;
    const none = () => Promise.resolve(null);
    const arrived = () => servers.reduce((sum, node) => sum + framesReceived(node, 'net0'), 0);
    switch (name) {
      case 'oneip': {
        await this.cluster.boot(dispatcher);
        await this.cluster.settled();
        const device = await this.cluster.device(dispatcher);
        return {
          target,
          arrived,
          pids: [this.cluster.host(dispatcher).pid],
          forwarded: async () => Number((await device.stats()).framesForwarded),
        };
      }
      case 'pass':
      case 'host': {
        const host = await bootBare(dispatcher, name, image);
        this.dispatchByNft('net0');
        return { target, arrived, pids: [host.pid], forwarded: none };
      }
      case 'nft':
        await dispatcher.boot('plain');
        dispatcher.configure('eth0', [cluster]);
        this.dispatchByNft('eth0');
        return { target, arrived, pids: [], forwarded: none };
      case 'haproxy':
        await dispatcher.boot('plain');
        dispatcher.configure('eth0', [cluster]);
        return { target, arrived, pids: [await this.startHaproxy()], forwarded: none };
      case 'direct-host': {
        const [server] = servers;
        if (!server) throw new LabError('no servers');
        const { pid } = this.cluster.host(server);
        return { target: server.own.ipv4, arrived, pids: [pid], forwarded: none };
      }
      case 'direct':
        return {
          target: plain.own.ipv4,
          arrived: () => framesReceived(plain, 'eth0'),
          pids: [],
          forwarded: none,
        };
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

  /** Until a client gets an answer. */
  private async answers(target: string): Promise<void> {
    const { client } = this.lab;
    await until('an answer to the client', async () => {
      const [answer] = await client.ask({
        op: 'fetch',
        sources: client.sources('ipv4', 1),
        target,
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

/** Frames that an interface of the machine has received so far. */
function framesReceived(node: Node, device: string): number {
  const counters = node.namespace.run('cat', ['/proc/net/dev']);
  return Number(new RegExp(`^ *${device}: *\\d+ +(\\d+)`, 'm').exec(counters)?.[1]);
}
