// The LAN is cut in two and healed: each side has a dispatcher while parted, one node answers afterwards, and clients recover each time.
// Three rounds; `npm run soak` does twenty.
import t from 'tap';
import { ArpWatch } from '../../tools/lab/arp-watch.js';
import { partition } from '../../tools/lab/partition.js';
import { everyHostIsWell, startCluster, timing } from './cluster.js';

const rounds = 3;
const healLimitMs = 100;

const cluster = await startCluster({ clients: 16 });
const late: number[] = [];

t.test(`${rounds} partitions: two dispatchers while parted, one after`, async (t) => {
  const watch = await ArpWatch.start(cluster.lab.client, cluster.address.ipv4);
  for (let round = 1; round <= rounds; round += 1) {
    const result = await partition(cluster, watch, round);
    const {
      near,
      behind,
      left,
      answeredBy,
      nearNames,
      announcedBy,
      announcedMs,
      wrongUntilMs,
      answering,
    } = result;
    t.comment(
      `parted: ${near.name} | ${behind.name}; healed: ${left.name}, announced after ${announcedMs.toFixed(1)} ms`,
    );
    t.ok(
      answeredBy.every((server) => nearNames.includes(server)),
      'while parted, servers on the client side answer',
    );
    t.equal(announcedBy, left.mac, 'the last announcement is by the node that has the role');
    t.same(answering, [left.mac], 'exactly one node answers ARP');
    late.push(Math.max(announcedMs, wrongUntilMs));
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
