// The switch: a bridge in a namespace of its own, with a second one behind a trunk, so that the LAN can be parted in two.
//
// Spanning tree is off and multicast is flooded, as in the simplest of switches. Everything that breaks a link is done here, at
// the switch's side of the cable, so that the machine cannot tell it from a real fault.
import { builtFile } from './built.js';
import { Namespace, type Running } from './namespace.js';
import { ended, LabError } from './process.js';

const near = 'br-a';
const far = 'br-b';
const trunk = 'trunk-a';

/** What a port does to frames. `in` is from the machine, `out` towards it. */
export interface Impairment {
  dropIn?: boolean;
  dropOut?: boolean;
  /** Share of frames lost in each direction, 0 to 1. */
  loss?: number;
}

export interface WireCount {
  packets: number;
  bytes: number;
}

export class Switch {
  private readonly impairments = new Map<string, Impairment>();
  private readonly ports = new Set<string>();
  private readonly relays = new Map<string, Running>();
  private readonly counting = new Set<string>();
  private sink = false;

  private constructor(readonly namespace: Namespace) {}

  static async create(name: string): Promise<Switch> {
    const namespace = await Namespace.create(name);
    const bridge = 'type bridge stp_state 0 forward_delay 0 mcast_snooping 0';
    namespace.sysctl({
      'net/ipv6/conf/all/disable_ipv6': 1,
      'net/ipv6/conf/default/disable_ipv6': 1,
    });
    namespace.ip(
      'link set lo up',
      `link add ${near} ${bridge}`,
      `link add ${far} ${bridge}`,
      `link add ${trunk} type veth peer name trunk-b`,
      `link set ${trunk} master ${near} up`,
      `link set trunk-b master ${far} up`,
      `link set ${near} up`,
      `link set ${far} up`,
    );
    namespace.nft('table bridge lab { chain forward { type filter hook forward priority 0; }; }\n');
    return new Switch(namespace);
  }

  /** The interface at the switch's end of a machine's cable. */
  static port(machine: string): string {
    return `p-${machine}`;
  }

  /** Plugs a cable between the switch and a machine's eth0. */
  plug(machine: Namespace, mac: string, mtu = 1500): void {
    const port = Switch.port(machine.name);
    if (port.length > 15) throw new LabError(`the name ${machine.name} is too long`);
    this.namespace.ip(
      `link add ${port} mtu ${mtu} type veth peer name eth0 address ${mac} mtu ${mtu} netns ${machine.pid}`,
      `link set ${port} master ${near} up`,
    );
    this.ports.add(machine.name);
  }

  /** Takes a machine's cable away, with all that was done to it. It may have gone just now, with the machine's network namespace. */
  unplug(machine: string): void {
    try {
      this.namespace.run('ip', ['link', 'del', Switch.port(machine)]);
    } catch (error) {
      if (this.hasPort(machine)) throw error;
    }
    this.ports.delete(machine);
    this.counting.delete(machine);
    if (this.impairments.delete(machine)) this.applyImpairments();
  }

  /** Whether there is a cable to the machine. */
  hasPort(machine: string): boolean {
    const links = this.namespace.run('ip', ['-j', 'link', 'show']);
    return links.includes(`"ifname":"${Switch.port(machine)}"`);
  }

  /** Pulls the cable (both ends lose their carrier) or puts it back. */
  carrier(machine: string, up: boolean): void {
    this.namespace.ip(`link set ${Switch.port(machine)} ${up ? 'up' : 'down'}`);
  }

  /** Silent faults: the carrier stays. */
  impair(machine: string, impairment: Impairment): void {
    this.impairments.set(machine, impairment);
    this.applyImpairments();
  }

  private applyImpairments(): void {
    const rules: string[] = [];
    for (const [machine, { dropIn, dropOut, loss }] of this.impairments) {
      const port = Switch.port(machine);
      if (dropIn) rules.push(`iifname "${port}" drop`);
      if (dropOut) rules.push(`oifname "${port}" drop`);
      if (loss) {
        const share = Math.round(loss * 10_000);
        rules.push(`iifname "${port}" numgen random mod 10000 < ${share} drop`);
        rules.push(`oifname "${port}" numgen random mod 10000 < ${share} drop`);
      }
    }
    const lines = rules.map((rule) => `add rule bridge lab forward ${rule}`);
    this.namespace.nft(['flush chain bridge lab forward', ...lines, ''].join('\n'));
  }

  /** Moves machines behind the trunk and cuts it. */
  partition(behind: string[]): void {
    const wanted = new Set(behind);
    this.namespace.ip(
      `link set ${trunk} down`,
      ...[...this.ports].map(
        (name) => `link set ${Switch.port(name)} master ${wanted.has(name) ? far : near}`,
      ),
    );
  }

  heal(): void {
    this.namespace.ip(`link set ${trunk} up`);
  }

  /** Limits what the machine receives, in Mbit/s; null lifts the limit. */
  rate(machine: string, mbit: number | null): void {
    const port = Switch.port(machine);
    if (mbit === null) this.namespace.tc(`qdisc del dev ${port} root`);
    else
      this.namespace.tc(
        `qdisc replace dev ${port} root tbf rate ${mbit}mbit burst 64k latency 50ms`,
      );
  }

  /** Makes a machine's cable long: each frame takes so many milliseconds, either way. */
  async delay(machine: string, ms: number): Promise<void> {
    const port = Switch.port(machine);
    const [inner, outer] = [`d-${machine}`, `e-${machine}`];
    this.namespace.ip(
      `link set ${port} nomaster`,
      `link add ${inner} type veth peer name ${outer}`,
      `link set ${inner} master ${near} up`,
      `link set ${outer} up`,
    );
    const relay = await this.namespace.spawn(
      builtFile('bin/lab-relay'),
      [port, outer, String(ms)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await new Promise<void>((resolve, reject) => {
      relay.child.stdout?.once('data', () => resolve());
      relay.child.once('exit', (code) => reject(new LabError(`the relay ended with ${code}`)));
    });
    this.relays.set(machine, relay);
  }

  async noDelay(machine: string): Promise<void> {
    const relay = this.relays.get(machine);
    if (!relay) return;
    this.relays.delete(machine);
    process.kill(relay.pid, 'SIGKILL');
    await ended(relay.child);
    this.namespace.ip(`link del d-${machine}`, `link set ${Switch.port(machine)} master ${near}`);
  }

  /**
   * Counts from now on, on the wire and by the kernel, the TCP and UDP frames that a machine sends with this IP source address.
   * A mirror to an interface that is down is an action that counts and does nothing else, and that every kernel has.
   */
  countFrom(machine: string, addresses: { ipv4: string; ipv6: string }): void {
    const port = Switch.port(machine);
    if (!this.sink) {
      this.namespace.ip('link add sink type veth peer name sink-end');
      this.sink = true;
    }
    const count = 'action mirred egress mirror dev sink';
    const filter = `filter add dev ${port} ingress protocol`;
    if (this.counting.has(machine)) this.namespace.tc(`qdisc del dev ${port} clsact`);
    this.counting.add(machine);
    this.namespace.tc(
      `qdisc add dev ${port} clsact`,
      ...[6, 17].flatMap((protocol) => [
        `${filter} ip prio 1 u32 match ip src ${addresses.ipv4}/32 match ip protocol ${protocol} 0xff ${count}`,
        `${filter} ipv6 prio 2 u32 match ip6 src ${addresses.ipv6}/128 match ip6 protocol ${protocol} 0xff ${count}`,
      ]),
    );
  }

  counted(machine: string): WireCount {
    const text = this.namespace.run('tc', [
      '-s',
      'filter',
      'show',
      'dev',
      Switch.port(machine),
      'ingress',
    ]);
    const sum: WireCount = { packets: 0, bytes: 0 };
    for (const [, bytes, packets] of text.matchAll(/Sent (\d+) bytes (\d+) pkt/g)) {
      sum.bytes += Number(bytes);
      sum.packets += Number(packets);
    }
    return sum;
  }

  async close(): Promise<void> {
    await this.namespace.kill();
  }
}
