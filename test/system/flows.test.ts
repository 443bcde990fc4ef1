// 200 downloads and 200 idle connections, by turns IPv4 and IPv6, while a member is added, weights and the hash key change, one drains,
// the role is handed over, and the dispatcher is killed: none breaks but those that the killed one served. `npm run soak` does each family.
import t from 'tap';
import { FlowChanges } from '../../tools/lab/flow-changes.js';
import { everyHostIsWell, startCluster } from './cluster.js';

const each = 200;

const cluster = await startCluster({ nodes: 5, spare: 1, clients: 600 });
const spare = cluster.lab.nodes.at(-1)!;

t.test('connections that are open stay', async (t) => {
  await FlowChanges.run(cluster, spare, { downloads: each, idle: each }, (ok, text) => {
    t.ok(ok, text);
  });
});

t.ok(everyHostIsWell(cluster), 'the driver hosts are well');
