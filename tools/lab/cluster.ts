// Nodes of a lab as a ONE-IP cluster: the driver installed from its INF by the command line, one configuration for all, which changes by
// the command line alone.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { OneIp, type NodeStatus } from '../../userland/oneip/client.js';
import { OneIpRole } from '../../userland/oneip/codec.js';
import * as addresses from './addresses.js';
import { root } from './built.js';
import { ClusterSettings, type Affinity } from './cluster-settings.js';
import { DriverHost, driverImages, type HostOptions } from './host.js';
import type { Lab } from './lab.js';
import type { Node } from './node.js';
import { until } from './process.js';

export interface ClusterOptions extends HostOptions {
  /** Of each node, 1 where nothing is said. */
  weights?: number[];
  beaconMs?: number;
  affinity?: Affinity;
  /** Flows that a node can know. */
  flowCapacity?: number;
  /** A second LAN by 802.1Q tags, with cluster addresses of its own (addresses.ts). */
  vlan?: boolean;
  /** The lab's server program on each node; a bench brings its own. */
  servers?: boolean;
}

const inf = path.join(root, 'kernel/inf/oneip.inf');

export class Cluster {
  private readonly hosts = new Map<Node, DriverHost>();
  private readonly devices = new Map<Node, OneIp>();
  private readonly installed = new Set<Node>();
  private readonly frozen = new Set<Node>();
  /** The last one that each node was given. */
  private readonly generations = new Map<Node, number>();
  private readonly settings: ClusterSettings;
  private readonly members: Node[];
  readonly address = addresses.cluster;
  private readonly addresses: addresses.Pair[];

  constructor(
    readonly lab: Lab,
    readonly options: ClusterOptions,
    nodes: Node[] = lab.nodes,
  ) {
    const { weights = [], beaconMs, affinity, flowCapacity, vlan = false } = options;
    this.members = [...nodes];
    this.addresses = vlan ? [this.address, addresses.vlan.cluster] : [this.address];
    this.settings = new ClusterSettings(this.addresses, beaconMs, flowCapacity);
    if (affinity) this.settings.affinity = affinity;
    for (const [index, weight] of weights.entries()) {
      const node = nodes[index];
      if (node) this.settings.weights.set(node, weight);
    }
  }

  /** Its members. */
  get nodes(): readonly Node[] {
    return this.members;
  }

  /** All nodes up, configured and serving; says what it does. */
  async start(say: (text: string) => void = () => undefined): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.boot(node, say)));
  }

  /** Powers a node on, up to its servers; one that is no member gets the driver and no more. */
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
    node.configure('net0', []);
    if (this.members.includes(node)) {
      await this.join(node);
      say(
        `${node.name}  ${node.own.ipv4}  ${node.mac}  driver host ${host.pid}, oneip running, serving`,
      );
    } else {
      say(`${node.name}  ${node.own.ipv4}  ${node.mac}  driver host ${host.pid}, no member`);
    }
  }

  /** The address comes after the configuration: a stack that has the address and no driver that knows of it would answer ARP. */
  private async join(node: Node): Promise<void> {
    await this.catchUp(node);
    node.addAddresses('net0', [this.address]);
    if (this.options.vlan) await node.addVlan('net0');
    if (this.options.servers !== false) await node.serve(this.addresses);
  }

  /** A member that missed changes while it was off, or has none of the cluster's configurations yet. */
  private async catchUp(node: Node): Promise<void> {
    const generation = this.generations.get(node);
    if (!this.members.includes(node) || generation === this.settings.generation) return;
    const source = this.alive.find(
      (one) => one !== node && this.generations.get(one) === this.settings.generation,
    );
    const fresh = this.settings.generation === 1 || !source;
    await this.apply(node, fresh ? this.text() : await this.exported(source));
  }

  private text(): string {
    return this.settings.text(this.members);
  }

  /** The cluster file; readable by root only, since it holds the beacon key. */
  private async apply(node: Node, text: string): Promise<void> {
    const file = path.join(node.folder, 'cluster.yaml');
    writeFileSync(file, text, { mode: 0o600 });
    await this.host(node).ntswift('oneip', 'apply', file);
    this.generations.set(node, this.settings.generation);
  }

  /** A new generation of the cluster file, in force on all members that are up when this returns. */
  private async change(edit: (settings: ClusterSettings) => void, members: Node[]): Promise<void> {
    edit(this.settings);
    this.settings.generation += 1;
    const text = this.text();
    await Promise.all(members.map((node) => this.apply(node, text)));
  }

  async setWeights(weights: Map<Node, number>): Promise<void> {
    await this.change((settings) => {
      for (const [node, weight] of weights) settings.weights.set(node, weight);
    }, this.alive);
  }

  /** Every client is hashed anew. */
  async changeHashKey(): Promise<void> {
    await this.change((settings) => settings.changeHashKey(), this.alive);
  }

  async setAffinity(affinity: Affinity): Promise<void> {
    await this.change((settings) => (settings.affinity = affinity), this.alive);
  }

  /**
   * A machine that is up but no member becomes one: the new file on all others, and on it what one of those exports, with the table in
   * force (docs/cluster-file.md). It drains until it has the address and its servers run, so that no client comes too early.
   */
  async addMember(node: Node, weight = 1): Promise<void> {
    const others = this.alive;
    await this.drain(node);
    this.members.push(node);
    await this.change((settings) => settings.weights.set(node, weight), others);
    await this.join(node);
    await this.undrain(node);
  }

  private exported(node: Node): Promise<string> {
    return this.host(node).ntswift('oneip', 'show', '--export', '--with-key');
  }

  /** It serves no new clients; those that it has go on. */
  async drain(node: Node): Promise<void> {
    await this.host(node).ntswift('oneip', 'drain', '--yes');
  }

  /** Until the last of its clients has gone. */
  async drained(node: Node, timeoutSeconds: number): Promise<void> {
    await this.host(node).ntswift(
      'oneip',
      'drain',
      '--yes',
      '--wait',
      '--timeout',
      String(timeoutSeconds),
    );
  }

  async undrain(node: Node): Promise<void> {
    await this.host(node).ntswift('oneip', 'undrain');
  }

  /** Flows that a node serves and that have not said goodbye, by its own word. */
  async flowsLeft(node: Node): Promise<number> {
    const counts = (await this.host(node).json(
      'oneip',
      'flows',
      '--node',
      node.name,
      '--count',
    )) as {
      opening: number | string;
      established: number | string;
    };
    return Number(counts.opening) + Number(counts.established);
  }

  /** Hands the role over to a node, which is the dispatcher when this returns. */
  async handOver(node: Node): Promise<void> {
    await this.host(node).ntswift('oneip', 'promote');
    await until(`${node.name} to be the dispatcher`, async () => {
      const acting = await this.acting();
      return acting.length === 1 && acting[0] === node ? true : undefined;
    });
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
    return this.members.filter(
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
