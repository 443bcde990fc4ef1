// All of IP: fragments in any order, options and extension headers, long pings, a narrow hop, a VLAN. Always the right server: that of the
// client's plain frames.
import t, { type Test } from 'tap';
import { vlan } from '../../tools/lab/addresses.js';
import { describeFlows } from '../../tools/lab/flows.js';
import { IpClients, otherwise, type Answers, type Question } from '../../tools/lab/ip-clients.js';
import { narrowDownloads } from '../../tools/lab/narrow.js';
import { pingServer } from '../../tools/lab/ping.js';
import { everyHostIsWell, startCluster } from './cluster.js';

const sources = 12;
const families = ['ipv4', 'ipv6'] as const;
/** What IPv6 carries at least. */
const narrowMtu = 1280;

const cluster = await startCluster({ clients: 32, vlan: true });
const { client } = cluster.lab;

const start = (family: 'ipv4' | 'ipv6') =>
  IpClients.start(client, cluster.address[family], client.sources(family, sources));

async function sameServers(
  t: Test,
  clients: IpClients,
  expected: Answers,
  questions: Question[],
): Promise<void> {
  for (const question of questions)
    t.same(otherwise(await clients.askAll(question), expected), [], question);
}

async function fragmentDrops(): Promise<number> {
  const all = await Promise.all(
    cluster.nodes.map(async (node) => (await (await cluster.device(node)).stats()).drops[10] ?? 0n),
  );
  return all.reduce((sum, drops) => sum + Number(drops), 0);
}

const inAnyOrder: Question[] = ['large 1', 'large 20', 'large 300', 'pair 4000'];

for (const affinity of ['client', 'five-tuple'] as const) {
  for (const family of families) {
    t.test(`60,000 bytes in fragments, ${family}, affinity ${affinity}`, async (t) => {
      await cluster.setAffinity(affinity);
      const clients = await start(family);
      const expected = await clients.askAll('small');
      t.ok(new Set(expected.values()).size > 1, `servers: ${[...expected.values()].join(' ')}`);
      t.notOk([...expected.values()].includes('lost'));
      const drops = await fragmentDrops();
      await sameServers(t, clients, expected, inAnyOrder);
      t.equal((await fragmentDrops()) - drops, 0, 'no fragment is dropped');
      await sameServers(t, clients, expected, ['twice 5']);
      await clients.stop();
    });

    t.test(`options and extension headers, ${family}, affinity ${affinity}`, async (t) => {
      const clients = await start(family);
      const expected = await clients.askAll('small');
      await sameServers(t, clients, expected, ['options']);
      const connected = await clients.askAll('connect');
      // With five-tuple a connection is another flow than the datagrams, with a server of its own.
      if (affinity === 'client') t.same(otherwise(connected, expected), [], 'connect');
      t.notOk(
        [...connected.values()].some((answer) => ['lost', 'wrong'].includes(answer)),
        `connections: ${[...connected.values()].join(' ')}`,
      );
      await clients.stop();
    });
  }
}

for (const family of families) {
  t.test(`fragments of a flow whose slot has moved, ${family}`, async (t) => {
    const clients = await start(family);
    const expected = await clients.askAll('small');
    await cluster.changeHashKey();
    await sameServers(t, clients, expected, ['small', ...inAnyOrder, 'options']);
    // Or else nothing has moved, and the above says nothing.
    const others = await start(family);
    const moved = otherwise(await others.askAll('small'), expected).length;
    t.ok(moved > sources / 3, `${moved} of ${sources} new flows have another server`);
    await clients.stop();
    await others.stop();
  });
}

t.test('ping of 5,000 bytes', async (t) => {
  await cluster.setAffinity('client');
  for (const family of families) {
    for (const source of client.sources(family, sources)) {
      const short = pingServer(cluster, source, family, 56);
      t.type(short, 'string', `${source} is answered`);
      t.equal(pingServer(cluster, source, family, 5000), short, `${source}: ${short ?? ''}`);
    }
  }
});

t.test('a VLAN', async (t) => {
  const clients = await client.addVlan(sources);
  for (const family of families) {
    const ip = await IpClients.start(
      client,
      vlan.cluster[family],
      clients.map((one) => one[family]),
    );
    const expected = await ip.askAll('small');
    t.ok(new Set(expected.values()).size > 1, `servers: ${[...expected.values()].join(' ')}`);
    t.notOk([...expected.values()].includes('lost'));
    await sameServers(t, ip, expected, ['large 1', 'large 20', 'options', 'connect']);
    await ip.stop();
  }
});

t.test(`path MTU discovery over a hop of ${narrowMtu} bytes`, async (t) => {
  const far = await client.behind(narrowMtu, sources);
  for (const family of families) {
    const { flows, learned, misled } = await narrowDownloads(cluster, far, family, narrowMtu);
    const broken = flows.filter(({ error }) => error !== null);
    t.equal(broken.length, 0, `${family}: every download is complete: ${describeFlows(broken)}`);
    t.equal(learned.length, sources, `${family}: the server's kernel knows the hop's MTU`);
    t.same(misled, [], `${family}: no other node's does`);
    const servers = new Set(flows.map(({ server }) => server));
    t.ok(servers.size > 1, `${family}: by ${[...servers].join(' ')}`);
  }
  await far.close();
});

t.ok(everyHostIsWell(cluster), 'the driver hosts are well');
