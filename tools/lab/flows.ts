// Connections that are open while the cluster changes, and what became of them.
import type { FlowState, Volley } from './agent-protocol.js';
import type { Cluster } from './cluster.js';
import type { Client } from './client.js';
import { sleep } from './process.js';

export interface FlowOptions {
  /** How many of each, each from a client address of its own. */
  downloads: number;
  idle: number;
  /** By turns where nothing is said. */
  family?: 'ipv4' | 'ipv6';
}

/** Slow enough to last for minutes, fast enough that a gap shows. */
const download = { bytes: 1 << 20, bytesPerSecond: 8192 };
/** A connection on which nothing came for so long after it was asked is broken. TCP itself repeats after 200, 600 and 1400 ms. */
const silenceMs = 5000;
const finishMs = 20_000;

export interface FlowCheck {
  /** All that were open before. */
  flows: FlowState[];
  /** Those that broke since the last check. */
  broken: FlowState[];
  /** The longest time between two pieces of any download that is not broken. */
  worstGapMs: number;
}

export class RunningFlows {
  private readonly known = new Set<string>();

  private constructor(private readonly client: Client) {}

  /** Opens them; all are, or it throws. */
  static async open(cluster: Cluster, options: FlowOptions): Promise<RunningFlows> {
    const { client } = cluster.lab;
    const { downloads, idle, family } = options;
    const sources = Array.from(
      { length: downloads + idle },
      (_, n) => client.sources(family ?? (n % 2 === 0 ? 'ipv4' : 'ipv6'), n + 1)[n]!,
    );
    const flows = new RunningFlows(client);
    const states = await client.ask({
      op: 'flows',
      downloads: sources.slice(0, downloads),
      idle: sources.slice(downloads),
      targets: cluster.address,
      ...download,
    });
    const failed = states.filter(({ error }) => error !== null);
    if (failed.length > 0) throw new Error(`not opened: ${describeFlows(failed)}`);
    return flows;
  }

  /** Those that are open and not broken. */
  async states(): Promise<FlowState[]> {
    const all = await this.client.ask({ op: 'flows-state' });
    return all.filter(({ error }) => error === null);
  }

  /** Makes a change, asks on each idle connection and waits for a piece of each download. */
  async during(change: () => Promise<unknown>): Promise<FlowCheck> {
    await this.client.ask({ op: 'flows-forget-gaps' });
    await change();
    return this.report(await this.client.ask({ op: 'flows-check', timeoutMs: silenceMs }));
  }

  /** Lets the downloads come to their ends, and closes all; or only those of these servers. */
  async finish(servers: string[] | null = null): Promise<FlowCheck> {
    return this.report(await this.client.ask({ op: 'flows-finish', timeoutMs: finishMs, servers }));
  }

  private report(states: FlowState[]): FlowCheck {
    const flows = states.filter(({ source }) => !this.known.has(source));
    const broken = flows.filter(({ error }) => error !== null);
    for (const { source } of broken) this.known.add(source);
    const sound = flows.filter(({ error }) => error === null);
    return { flows, broken, worstGapMs: Math.max(0, ...sound.map(({ worstGapMs }) => worstGapMs)) };
  }

  async close(): Promise<void> {
    await this.client.ask({ op: 'flows-close' });
  }
}

/** "3 broken: 10.78.1.7 download of node2: closed; ..." */
export function describeFlows(flows: FlowState[], shown = 5): string {
  const some = flows
    .slice(0, shown)
    .map(
      ({ source, kind, server, error }) =>
        `${source} ${kind} of ${server ?? '?'}: ${error ?? 'well'}`,
    );
  const more = flows.length > shown ? [`and ${flows.length - shown} more`] : [];
  return [...some, ...more].join('; ');
}

/** "node1 12, node2 9" */
export function countByServer(flows: { server: string | null }[]): string {
  const counts = new Map<string, number>();
  for (const { server } of flows)
    counts.set(server ?? 'nobody', (counts.get(server ?? 'nobody') ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([server, count]) => `${server} ${count}`)
    .join(', ');
}

export interface HandOver {
  sent: number;
  lost: number;
  repeated: number;
  /** Sources that more than one server answered. */
  moved: Volley[];
  /** Of the pings that went along. */
  pings: number;
  pingsLost: number;
}

/** Two families of four clients, each with a datagram and a ping every other millisecond for three seconds. */
const volley = { clients: 8, periodMs: 2, count: 1500 };
/** Into the volley, the change is made. */
const beforeMs = 500;

/** Makes a change that may not lose a frame, and counts those that it lost. */
export async function withVolley(
  cluster: Cluster,
  change: () => Promise<unknown>,
): Promise<HandOver> {
  const { client } = cluster.lab;
  const { clients, periodMs, count } = volley;
  const sources = Array.from(
    { length: clients },
    (_, n) => client.sources(n % 2 === 0 ? 'ipv4' : 'ipv6', n + 1)[n]!,
  );
  const pings = sources.slice(0, 2).map((source) => {
    const target = source.includes(':') ? cluster.address.ipv6 : cluster.address.ipv4;
    return client.command(
      'ping',
      ['-q', '-i', String(periodMs / 1000), '-c', String(count), '-I', source, target],
      '',
    );
  });
  const fired = client.ask({
    op: 'volley',
    sources,
    targets: cluster.address,
    periodMs,
    count,
  });
  await sleep(beforeMs);
  await change();
  const results = await fired;
  const printed = (await Promise.all(pings)).map((text) => {
    const [, sent, answered] = /(\d+) packets transmitted, (\d+) received/.exec(text) ?? [];
    return { sent: Number(sent), answered: Number(answered) };
  });
  const sum = <T>(list: T[], of: (one: T) => number) =>
    list.reduce((total, one) => total + of(one), 0);
  return {
    sent: sum(results, ({ sent }) => sent),
    lost: sum(results, ({ sent, answered }) => sent - answered),
    repeated: sum(results, ({ repeated }) => repeated),
    moved: results.filter(({ servers }) => servers.length > 1),
    pings: sum(printed, ({ sent }) => sent),
    pingsLost: sum(printed, ({ sent, answered }) => sent - answered),
  };
}
