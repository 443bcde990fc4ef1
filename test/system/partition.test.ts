// The LAN is cut in two and healed: the epochs decide who keeps the role, one node answers, and clients recover each time.
import t from 'tap';
import { ArpWatch } from './arp.js';
import { now } from '../../tools/lab/clock.js';
import { until } from '../../tools/lab/process.js';
import { everyHostIsWell, startCluster, timing } from './cluster.js';

const rounds = 3;
const healLimitMs = 100;

const cluster = await startCluster({ clients: 16 });
const { lab } = cluster;
const { lan, client } = lab;
const late: number[] = [];

t.test(`${rounds} partitions: two dispatchers while parted, one after`, async (t) => {
  const watch = await ArpWatch.start(client, cluster.address.ipv4);
  for (let round = 1; round <= rounds; round += 1) {
    const dispatcher = await cluster.settled();
    const others = cluster.nodes.filter((node) => node !== dispatcher);
    // By turns the dispatcher stays with the client, and is cut off from it.
    const behind = round % 2 === 0 ? [dispatcher, others[0]!] : [others[0]!, others[1]!];
    const near = cluster.nodes.filter((node) => !behind.includes(node));
    lan.partition(behind.map(({ name }) => name));
    const [one, two] = await Promise.all([cluster.settled(near), cluster.settled(behind)]);
    t.comment(`parted: ${one.name} | ${two.name}`);
    const sources = client.sources('ipv4', 8);
    const answered = async () => {
      const answers = await client.ask({
        op: 'fetch',
        sources,
        target: cluster.address.ipv4,
        width: 8,
        timeoutMs: 200,
      });
      return answers.every(({ server }) => server !== null) ? answers : undefined;
    };
    const apart = await until('clients to be answered while parted', answered);
    t.ok(
      apart.every(({ server }) => near.some(({ name }) => name === server)),
      'by the servers on their side',
    );

    lan.heal();
    const healed = now();
    const left = await cluster.settled();
    t.comment(`healed: ${left.name}`);
    await until('clients to be answered after healing', answered);
    const announcement = await until('a fresh announcement', () =>
      watch.announcements(healed).at(-1),
    );
    t.equal(announcement.mac, left.mac, 'the last announcement is by the node that has the role');
    // Ask for a while: whoever answers from 100 ms after healing on is the one dispatcher.
    const answers = await watch.ask(20);
    t.same([...new Set(answers.map(({ mac }) => mac))], [left.mac], 'exactly one node answers ARP');
    const wrong = watch.replies(healed).filter(({ mac }) => mac !== left.mac);
    late.push(Math.max(0, announcement.at - healed, ...wrong.map(({ at }) => at - healed)));
  }
  await watch.stop();
});

t.test(
  `within ${healLimitMs} ms of healing exactly one node answers and has announced itself`,
  timing,
  (t) => {
    t.equal(late.length, rounds);
    for (const ms of late) t.ok(ms <= healLimitMs, `${ms.toFixed(1)} ms`);
    t.end();
  },
);

t.ok(everyHostIsWell(cluster), 'the driver hosts are well');
