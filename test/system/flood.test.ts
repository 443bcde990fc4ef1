// A flood of SYNs from clients that do not exist: the driver hosts do not grow, connections that are open stay, new ones are made.
// `npm run soak` sends a million.
import t from 'tap';
import { flood, judgeFlood, type FloodOptions } from '../../tools/lab/flood.js';
import { everyHostIsWell, startCluster } from './cluster.js';

const syns = 60_000;
/** Fewer than there are SYNs: the table is full before the flood ends. */
const flowCapacity = 16_384;

const cluster = await startCluster({ clients: 600, flowCapacity });

for (const family of ['ipv4', 'ipv6'] as const) {
  t.test(`${syns} SYNs from random addresses, ${family}`, async (t) => {
    const options: FloodOptions = {
      syns,
      perSecond: 30_000,
      family,
      flows: { downloads: 40, idle: 40 },
    };
    judgeFlood(await flood(cluster, options), options, (ok, text) => {
      t.ok(ok, text);
    });
  });
}

t.ok(everyHostIsWell(cluster), 'the driver hosts are well');
