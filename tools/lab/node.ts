// A machine of the LAN that serves: its namespace and cable, its driver host, its servers.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as addresses from './addresses.js';
import { Namespace, type Running } from './namespace.js';
import { ended, until } from './process.js';
import type { Switch } from './switch.js';
import { addVlanInterface } from './vlan.js';

const serverFile = path.join(path.dirname(fileURLToPath(import.meta.url)), 'server.js');

/** How the machine's stack hangs on its network card. */
export type Attachment =
  /** eth0 carries the addresses: no driver host. */
  | 'plain'
  /** The driver host is between eth0 and net0, which carries the addresses. */
  | 'hosted';

export class Node {
  namespace!: Namespace;
  private servers: Running[] = [];
  readonly mac: string;
  readonly own: addresses.Pair;

  constructor(
    readonly name: string,
    /** From 1. */
    readonly index: number,
    private readonly lan: Switch,
    /** Its disk: logs, and what must survive a loss of power. */
    readonly folder: string,
  ) {
    mkdirSync(folder, { recursive: true });
    this.mac = addresses.nodeMac(index);
    this.own = addresses.node(index);
  }

  /** Power on: a namespace, plugged in. */
  async boot(attachment: Attachment): Promise<void> {
    this.namespace = await Namespace.create(this.name);
    this.namespace.sysctl({
      'net/ipv4/conf/all/rp_filter': 0,
      'net/ipv4/conf/default/rp_filter': 0,
      'net/ipv6/conf/all/accept_dad': 0,
      'net/ipv6/conf/default/accept_dad': 0,
      'net/ipv6/conf/default/accept_ra': 0,
      'net/ipv6/conf/default/router_solicitations': 0,
    });
    this.lan.plug(this.namespace, this.mac);
    if (attachment === 'hosted') this.keepStackOff();
    this.namespace.ip('link set lo up', 'link set eth0 up');
  }

  /** eth0 belongs to the driver host. The host reads frames where the kernel taps them, which is before this drop. */
  private keepStackOff(): void {
    this.namespace.sysctl({ 'net/ipv6/conf/eth0/disable_ipv6': 1 });
    this.namespace.nft(
      'table netdev host { chain in { type filter hook ingress device "eth0" priority 0; policy drop; }; }\n',
    );
  }

  /** Gives an interface the machine's addresses and the cluster's. */
  configure(device: string, clusters: addresses.Pair[]): void {
    const { router, lan, clientNets } = addresses;
    this.namespace.ip(
      `link set ${device} up`,
      `addr add ${this.own.ipv4}/${lan.ipv4Bits} dev ${device}`,
      `addr add ${this.own.ipv6}/${lan.ipv6Bits} dev ${device} nodad`,
      `route add ${clientNets.ipv4} via ${router.ipv4} dev ${device}`,
      `route add ${clientNets.ipv6} via ${router.ipv6} dev ${device}`,
    );
    this.addAddresses(device, clusters);
  }

  /**
   * Cluster addresses: /32 and /128, never chosen as a source by themselves (Windows: SkipAsSource), and not probed for duplicates.
   */
  addAddresses(device: string, clusters: addresses.Pair[]): void {
    this.namespace.ip(
      ...clusters.flatMap(({ ipv4, ipv6 }) => [
        `addr add ${ipv4}/32 dev ${device} preferred_lft 0`,
        `addr add ${ipv6}/128 dev ${device} nodad preferred_lft 0`,
      ]),
    );
  }

  /** The second LAN, on an interface of its own, with its cluster address. */
  async addVlan(device: string): Promise<void> {
    const { vlan } = addresses;
    const own = vlan.node(this.index);
    const tagged = await addVlanInterface(this.namespace, device);
    this.namespace.ip(
      `addr add ${own.ipv4}/${vlan.ipv4Bits} dev ${tagged}`,
      `addr add ${own.ipv6}/${vlan.ipv6Bits} dev ${tagged} nodad`,
    );
    this.addAddresses(tagged, [vlan.cluster]);
  }

  /** Starts a program; what it prints is appended to a log on the machine's disk. */
  async start(log: string, command: string, args: string[]): Promise<Running> {
    const output = openSync(path.join(this.folder, `${log}.log`), 'a');
    try {
      return await this.namespace.spawn(command, args, { stdio: ['ignore', output, output] });
    } finally {
      closeSync(output);
    }
  }

  /** Starts the server program, and waits until it listens. */
  async serve(clusters: addresses.Pair[]): Promise<void> {
    const bound = [this.own, ...clusters].flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]);
    this.servers.push(
      await this.start('server', process.execPath, [serverFile, this.name, ...bound]),
    );
    await this.listens();
  }

  /** Until something listens on port 80. */
  async listens(): Promise<void> {
    await until(`server of ${this.name}`, () => {
      const listening = this.namespace.run('cat', ['/proc/net/tcp6']);
      return / [0-9A-F]{32}:0050 [0-9A-F]{32}:0000 0A /.test(listening) ? true : undefined;
    });
  }

  /** Until the driver host has made the interface of the machine's stack. */
  async tapAppears(): Promise<void> {
    await until(`net0 of ${this.name}`, () => {
      try {
        this.namespace.run('ip', ['link', 'show', 'net0']);
        return true;
      } catch {
        return undefined;
      }
    });
  }

  /** Ends the servers politely; the machine stays. */
  async stopServing(): Promise<void> {
    for (const { pid, child } of this.servers) {
      if (child.exitCode === null && child.signalCode === null) process.kill(pid, 'SIGTERM');
      await ended(child);
    }
    this.servers = [];
  }

  get alive(): boolean {
    return (this.namespace as Namespace | undefined)?.alive ?? false;
  }

  /** Ends it with its lab. */
  async end(): Promise<void> {
    await (this.namespace as Namespace | undefined)?.kill();
  }

  /**
   * The loss of power: SIGKILL of everything on the machine. The switch sees its link go. We unplug the cable ourselves, since connections
   * that a killed server leaves behind can keep the network namespace for minutes.
   */
  async kill(): Promise<void> {
    const killed = this.namespace.kill();
    this.lan.unplug(this.name);
    await killed;
    this.servers = [];
  }
}
