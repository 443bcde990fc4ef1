// What `npm run lab` can do to a cluster that the demo left up.
import { OneIpRole } from '../../userland/oneip/codec.js';
import type { Fetched } from '../lab/agent-protocol.js';
import type { Cluster } from '../lab/cluster.js';

const roleNames: Record<number, string> = {
  [OneIpRole.none]: 'none',
  [OneIpRole.listening]: 'listening',
  [OneIpRole.backup]: 'backup',
  [OneIpRole.dispatcher]: 'dispatcher',
};

/** "IPv4: 1000 clients, 1000 answered: node1 249, node2 251, ..." */
export function formatShares(family: string, answers: Fetched[]): string {
  const counts = new Map<string, number>();
  for (const { server } of answers)
    if (server !== null) counts.set(server, (counts.get(server) ?? 0) + 1);
  const shares = [...counts]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([server, count]) => `${server} ${count}`);
  const answered = answers.filter(({ server }) => server !== null).length;
  return `${family.replace('ip', 'IP')}: ${answers.length} clients, ${answered} answered: ${shares.join(', ')}`;
}

export async function roleTable(cluster: Cluster): Promise<string> {
  const lines = await Promise.all(
    cluster.nodes.map(async (node) => {
      if (!cluster.alive.includes(node)) return `  ${node.name}  ${node.alive ? 'frozen' : 'off'}`;
      const { role, epoch, generation, members, takeovers } = await cluster.status(node);
      const hears = members.filter(({ alive }) => alive === 1).length;
      return (
        `  ${node.name}  ${(roleNames[role] ?? '?').padEnd(10)}  epoch ${epoch.counter}.${epoch.nodeId}  ` +
        `generation ${generation}  hears ${hears} of ${members.length}  takeovers ${takeovers}`
      );
    }),
  );
  return lines.join('\n');
}

export function serveVerbs(cluster: Cluster): void {
  const { lab } = cluster;
  const target = ([name = '']: string[]) => lab.node(name);
  Object.assign(lab.verbs, {
    status: async (_: string[], say: (text: string) => void) => say(await roleTable(cluster)),
    ask: async ([count = '10']: string[], say: (text: string) => void) => {
      const answers = await lab.client.ask({
        op: 'fetch',
        sources: lab.client.sources('ipv4', Number(count)),
        target: cluster.address.ipv4,
        width: 16,
        timeoutMs: 3000,
      });
      for (const { source, server, error } of answers)
        say(`${source.padEnd(14)} -> ${server ?? error ?? ''}`);
      say(formatShares('ipv4', answers));
    },
    kill: (words: string[]) => cluster.kill(target(words)),
    boot: async (words: string[], say: (text: string) => void) => cluster.boot(target(words), say),
    freeze: (words: string[]) => cluster.freeze(target(words)),
    thaw: (words: string[]) => cluster.thaw(target(words)),
    cut: (words: string[]) => {
      const { name } = target(words);
      if (words[1] === 'in') lab.lan.impair(name, { dropIn: true });
      else if (words[1] === 'out') lab.lan.impair(name, { dropOut: true });
      else lab.lan.carrier(name, false);
    },
    mend: (words: string[]) => {
      const { name } = target(words);
      lab.lan.impair(name, {});
      lab.lan.carrier(name, true);
    },
    drain: (words: string[]) => cluster.drain(target(words)),
    undrain: (words: string[]) => cluster.undrain(target(words)),
    promote: (words: string[]) => cluster.handOver(target(words)),
    stop: () => {
      setImmediate(() => void lab.close().then(() => process.exit(0)));
    },
  });
}
