// Nodes of a lab as a ONE-IP cluster: the driver installed from its INF by the command line, one configuration for all.
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { OneIp, type NodeStatus } from '../../userland/oneip/client.js';
import { OneIpRole } from '../../userland/oneip/codec.js';
import * as addresses from './addresses.js';
import { root } from './built.js';
import { DriverHost, driverImages, type HostOptions } from './host.js';
import type { Lab } from './lab.js';
import type { Node } from './node.js';
import { until } from './process.js';

export interface ClusterOptions extends HostOptions {
  /** Of each node, 1 where nothing is said. */
  weights?: number[];
  beaconMs?: number;
  /** The lab's server program on each node; a bench brings its own. */
  servers?: boolean;
}

const inf = path.join(root, 'kernel/inf/oneip.inf');

export class Cluster {
  private readonly hosts = new Map<Node, DriverHost>();
  private readonly devices = new Map<Node, OneIp>();
  private readonly installed = new Set<Node>();
  private readonly frozen = new Set<Node>();
  private readonly generation = 1;
  private readonly clusterId = randomUUID();
  private readonly key = randomBytes(16).toString('hex');
  readonly address = addresses.cluster;

  constructor(
    readonly lab: Lab,
    readonly options: ClusterOptions,
    readonly nodes: Node[] = lab.nodes,
  ) {}

  /** All nodes up, configured and serving; says what it does. */
  async start(say: (text: string) => void = () => undefined): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.boot(node, say)));
  }

  /** Powers a node on, up to its servers. */
  async boot(node: Node, say: (text: string) => void = () => undefined): Promise<void> {
    await node.boot('hosted');
    const host = await DriverHost.start(node, this.options);
    this.hosts.set(node, host);
    const known = this.installed.has(node);
    if (!known) await host.ntswift('driver', 'install', inf, ...driverImages(this.options.image));
    this.installed.add(node);
    // A configuration that was applied before is in force again from here on.
    await host.ntswift('driver', 'start', 'NtsOneIp');
    await node.tapAppears();
    node.configure('net0', [this.address]);
    if (!known) await this.apply(node);
    if (this.options.servers !== false) await node.serve([this.address]);
    say(
      `${node.name}  ${node.own.ipv4}  ${node.mac}  driver host ${host.pid}, oneip running, serving`,
    );
  }

  /** The cluster file; readable by root only, since it holds the beacon key. */
  private async apply(node: Node): Promise<void> {
    const file = path.join(node.folder, 'cluster.yaml');
    writeFileSync(file, this.file(), { mode: 0o600 });
    await this.host(node).ntswift('oneip', 'apply', file);
  }

  private file(): string {
    const { weights = [], beaconMs } = this.options;
    const members = this.nodes.map(
      ({ name, index, mac, own }, i) =>
        `  - { id: ${index}, name: ${name}, mac: "${mac}", ipv4: ${own.ipv4}, ipv6: "${own.ipv6}", weight: ${weights[i] ?? 1} }`,
    );
    return [
      `clusterId: ${this.clusterId}`,
      `generation: ${this.generation}`,
      `addresses: ["${this.address.ipv4}", "${this.address.ipv6}"]`,
      'members:',
      ...members,
      'beacon:',
      ...(beaconMs === undefined ? [] : [`  ms: ${beaconMs}`]),
      `  key: "${this.key}"`,
      '',
    ].join('\n');
  }

  host(node: Node): DriverHost {
    const host = this.hosts.get(node);
    if (!host) throw new Error(`${node.name} is not up`);
    return host;
  }

  /** The driver of a node. */
  async device(node: Node): Promise<OneIp> {
    const known = this.devices.get(node);
    if (known) return known;
    const device = await OneIp.open({ endpoint: this.host(node).socket });
    this.devices.set(node, device);
    return device;
  }

  async status(node: Node): Promise<NodeStatus> {
    return (await this.device(node)).status();
  }

  /** Those whose driver host runs. */
  get alive(): Node[] {
    return this.nodes.filter(
      (node) => node.alive && !this.frozen.has(node) && this.hosts.get(node)?.alive,
    );
  }

  /** Those that act as dispatcher now, of the given nodes. */
  async acting(among: Node[] = this.alive): Promise<Node[]> {
    const roles = await Promise.all(among.map(async (node) => (await this.status(node)).role));
    return among.filter((_, index) => roles[index] === OneIpRole.dispatcher);
  }

  /** The one dispatcher among these nodes, once there is exactly one and it hears all of them. */
  async settled(among: Node[] = this.alive, timeoutMs = 10_000): Promise<Node> {
    return until(
      'exactly one dispatcher that hears all others',
      async () => {
        const acting = await this.acting(among);
        const [dispatcher] = acting;
        if (acting.length !== 1 || !dispatcher) return undefined;
        const { members } = await this.status(dispatcher);
        const heard = new Set(
          members.filter(({ alive }) => alive === 1).map(({ nodeId }) => nodeId),
        );
        return among.every(({ index }) => heard.has(index)) ? dispatcher : undefined;
      },
      timeoutMs,
    );
  }

  /** SIGKILL of all that runs on the machine. */
  async kill(node: Node): Promise<void> {
    await this.forget(node);
    await node.kill();
  }

  freeze(node: Node): void {
    this.frozen.add(node);
    this.host(node).freeze();
  }

  thaw(node: Node): void {
    this.host(node).thaw();
    this.frozen.delete(node);
  }

  private async forget(node: Node): Promise<void> {
    const device = this.devices.get(node);
    this.devices.delete(node);
    this.hosts.delete(node);
    this.frozen.delete(node);
    await device?.close().catch(() => undefined);
  }
}
