// The client machine: router of the LAN and home of up to a thousand client addresses, with an agent that makes their requests.
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as addresses from './addresses.js';
import type { Answer, Envelope, Replies, Request } from './agent-protocol.js';
import { Namespace, type Running } from './namespace.js';
import { LabError } from './process.js';
import type { Switch } from './switch.js';
import { addVlanInterface } from './vlan.js';

const agentFile = path.join(path.dirname(fileURLToPath(import.meta.url)), 'agent.js');

export class Client {
  private next = 1;
  private readonly waiting = new Map<
    number,
    { resolve: (result: unknown) => void; reject: (error: Error) => void }
  >();

  private constructor(
    readonly namespace: Namespace,
    private readonly agent: Running,
    readonly count: number,
  ) {
    agent.child.on('message', (message) => this.answer(message as Answer));
    agent.child.on('exit', () => {
      for (const { reject } of this.waiting.values())
        reject(new LabError('the client agent ended'));
      this.waiting.clear();
    });
  }

  static async create(lan: Switch, count: number, name = 'client'): Promise<Client> {
    const namespace = await Namespace.create(name);
    const { router } = addresses;
    // nodad, and an announcing address that is the LAN's: clients are behind this machine, not on the LAN.
    namespace.sysctl({
      'net/ipv4/conf/all/arp_announce': 2,
      'net/ipv4/conf/all/rp_filter': 0,
      'net/ipv4/conf/default/rp_filter': 0,
      'net/ipv6/conf/all/accept_dad': 0,
      'net/ipv6/conf/default/accept_dad': 0,
    });
    lan.plug(namespace, addresses.routerMac);
    const many = Array.from({ length: count }, (_, n) => addresses.client(n));
    namespace.ip(
      'link set lo up',
      'link set eth0 up',
      `addr add ${router.ipv4}/${addresses.lan.ipv4Bits} dev eth0`,
      `addr add ${router.ipv6}/${addresses.lan.ipv6Bits} dev eth0 nodad`,
      ...many.flatMap(({ ipv4, ipv6 }) => [
        `addr add ${ipv4}/32 dev lo`,
        `addr add ${ipv6}/128 dev lo nodad`,
      ]),
      // What comes back from a flood is dropped at once: an error for each would cost more than the flood.
      `route add blackhole ${addresses.nobody.ipv4}`,
      `route add blackhole ${addresses.nobody.ipv6}`,
    );
    return Client.withAgent(namespace, count);
  }

  private static async withAgent(namespace: Namespace, count: number): Promise<Client> {
    const agent = await namespace.spawn(process.execPath, ['--enable-source-maps', agentFile], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    return new Client(namespace, agent, count);
  }

  /**
   * A machine behind this one, which becomes a router for it. What goes to it passes a hop that carries no more than `mtu` bytes; neither
   * it nor the servers can know, since its own interface says 1500.
   */
  async behind(mtu: number, count: number, name = 'far'): Promise<Client> {
    const namespace = await Namespace.create(name);
    const { hop, farNets, farClient } = addresses;
    namespace.sysctl({ 'net/ipv6/conf/all/accept_dad': 0, 'net/ipv6/conf/default/accept_dad': 0 });
    this.namespace.sysctl({ 'net/ipv4/ip_forward': 1, 'net/ipv6/conf/all/forwarding': 1 });
    this.namespace.ip(
      `link add narrow mtu ${mtu} type veth peer name eth0 mtu 1500 netns ${namespace.pid}`,
      'link set narrow up',
      `addr add ${hop.near.ipv4}/${hop.ipv4Bits} dev narrow`,
      `addr add ${hop.near.ipv6}/${hop.ipv6Bits} dev narrow nodad`,
    );
    const many = Array.from({ length: count }, (_, n) => farClient(n));
    namespace.ip(
      'link set lo up',
      'link set eth0 up',
      `addr add ${hop.far.ipv4}/${hop.ipv4Bits} dev eth0`,
      `addr add ${hop.far.ipv6}/${hop.ipv6Bits} dev eth0 nodad`,
      ...many.flatMap(({ ipv4, ipv6 }) => [
        `addr add ${ipv4}/32 dev lo`,
        `addr add ${ipv6}/128 dev lo nodad`,
      ]),
      `route add default via ${hop.near.ipv4}`,
      `route add default via ${hop.near.ipv6}`,
    );
    this.namespace.ip(
      `route add ${farNets.ipv4} via ${hop.far.ipv4}`,
      `route add ${farNets.ipv6} via ${hop.far.ipv6}`,
    );
    return Client.withAgent(namespace, count);
  }

  /** Addresses on the second LAN: its frames have tags, and this machine is no router but the clients themselves. */
  async addVlan(count: number): Promise<addresses.Pair[]> {
    const { vlan } = addresses;
    const device = await addVlanInterface(this.namespace, 'eth0');
    const clients = Array.from({ length: count }, (_, n) => vlan.client(n));
    this.namespace.ip(
      ...clients.flatMap(({ ipv4, ipv6 }) => [
        `addr add ${ipv4}/${vlan.ipv4Bits} dev ${device}`,
        `addr add ${ipv6}/${vlan.ipv6Bits} dev ${device} nodad`,
      ]),
    );
    return clients;
  }

  /** Asks the agent. */
  ask<T extends Request>(request: T): Promise<Replies[T['op']]> {
    const id = this.next++;
    return new Promise<Replies[T['op']]>((resolve, reject) => {
      this.waiting.set(id, { resolve: (result) => resolve(result as Replies[T['op']]), reject });
      const envelope: Envelope = { id, request };
      this.agent.child.send(envelope);
    });
  }

  private answer({ id, result, error }: Answer): void {
    const waiter = this.waiting.get(id);
    this.waiting.delete(id);
    if (error !== undefined) waiter?.reject(new LabError(error));
    else waiter?.resolve(result);
  }

  /** The first `count` client addresses of a family. */
  sources(family: 'ipv4' | 'ipv6', count = this.count): string[] {
    return Array.from({ length: count }, (_, n) => addresses.client(n)[family]);
  }

  /** Runs a program on the client machine; others go on meanwhile. Returns what it printed. */
  async command(command: string, args: string[], input: string): Promise<string> {
    const { child } = await this.namespace.spawn(command, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin?.end(input);
    let printed = '';
    child.stdout?.on('data', (data: Buffer) => (printed += data.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new LabError(`${command} ended with ${code}`);
    return printed;
  }

  async close(): Promise<void> {
    await this.namespace.kill();
  }
}
