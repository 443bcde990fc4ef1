// One partition of the LAN and its end, and what the client's side of the wire heard of it.
import type { ArpWatch } from './arp-watch.js';
import { now } from './clock.js';
import type { Cluster } from './cluster.js';
import type { Node } from './node.js';
import { until } from './process.js';

export interface PartitionResult {
  /** Dispatchers while parted, on the client's side and behind. */
  near: Node;
  behind: Node;
  /** Servers that answered the client's side while parted. */
  answeredBy: string[];
  /** Names of those on the client's side. */
  nearNames: string[];
  /** The dispatcher after healing. */
  left: Node;
  /** When it announced itself, in ms after healing, and whose announcement was the last. */
  announcedMs: number;
  announcedBy: string;
  /** When another node last answered ARP, in ms after healing; 0: none did. */
  wrongUntilMs: number;
  /** MAC addresses that answer ARP in the end. */
  answering: string[];
}

const requests = 20;

/** By turns the dispatcher stays with the client, and is cut off from it. */
export async function partition(
  cluster: Cluster,
  watch: ArpWatch,
  round: number,
): Promise<PartitionResult> {
  const { lan, client } = cluster.lab;
  const dispatcher = await cluster.settled();
  const others = cluster.nodes.filter((node) => node !== dispatcher);
  const away = round % 2 === 0 ? [dispatcher, ...others.slice(0, 1)] : others.slice(0, 2);
  const here = cluster.nodes.filter((node) => !away.includes(node));
  lan.partition(away.map(({ name }) => name));
  const [near, behind] = await Promise.all([cluster.settled(here), cluster.settled(away)]);
  const answered = async () => {
    const answers = await client.ask({
      op: 'fetch',
      sources: client.sources('ipv4', 8),
      target: cluster.address.ipv4,
      width: 8,
      timeoutMs: 200,
    });
    const servers = answers.flatMap(({ server }) => (server === null ? [] : [server]));
    return servers.length === answers.length ? servers : undefined;
  };
  const answeredBy = await until('clients to be answered while parted', answered);

  lan.heal();
  const healed = now();
  const left = await cluster.settled();
  await until('clients to be answered after healing', answered);
  const announcement = await until('a fresh announcement', () =>
    watch.announcements(healed).at(-1),
  );
  const answers = await watch.ask(requests);
  const first = watch.announcements(healed).find(({ mac }) => mac === left.mac);
  const wrong = watch.replies(healed).filter(({ mac }) => mac !== left.mac);
  return {
    near,
    behind,
    answeredBy: [...new Set(answeredBy)],
    nearNames: here.map(({ name }) => name),
    left,
    announcedMs: (first ?? announcement).at - healed,
    announcedBy: announcement.mac,
    wrongUntilMs: Math.max(0, ...wrong.map(({ at }) => at - healed)),
    answering: [...new Set(answers.map(({ mac }) => mac))],
  };
}
