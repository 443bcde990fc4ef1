// The dispatcher dies: its machine is killed, its link is cut, its driver host is stopped. Three runs each; `npm run soak` does twenty.

import t from 'tap';
import { median } from '../../tools/bench/statistics.js';
import { failover, mend, type Failure } from '../../tools/lab/failover.js';
import { describeStalls, healthy } from '../../tools/lab/healthy.js';
import { until } from '../../tools/lab/process.js';
import { everyHostIsWell, startCluster, timing } from './cluster.js';

// On a machine that does other things too. `npm run soak` holds twenty runs to 50 and 150 ms.
const runs = 3;
const medianLimitMs = 100;
const worstLimitMs = 300;

const cluster = await startCluster({ clients: 32 });
const { client } = cluster.lab;

for (const failure of ['kill', 'cut', 'freeze'] satisfies Failure[]) {
  const gaps: number[] = [];

  t.test(`${failure}: another node takes over, and every client is answered again`, async (t) => {
    for (let run = 1; run <= runs; run += 1) {
      const family = run % 2 === 0 ? 'ipv6' : 'ipv4';
      const result = await failover(cluster, { failure, clients: 8, kind: 'udp', family });
      const { failed, successor, worst, worstMs } = result;
      gaps.push(worstMs);
      t.not(successor, failed);
      t.comment(
        `${failed.name} -> ${successor.name}, ${family}: ${worstMs.toFixed(1)} ms, ${worst.source}, served by ${worst.before ?? ''} before`,
      );
      await mend(cluster, result);
    }
  });

  t.test(
    `${failure}: what clients see, median at most ${medianLimitMs} ms, worst at most ${worstLimitMs} ms`,
    timing,
    (t) => {
      t.equal(gaps.length, runs);
      t.ok(median(gaps) <= medianLimitMs, `median ${median(gaps).toFixed(1)} ms`);
      t.ok(Math.max(...gaps) <= worstLimitMs, `worst ${Math.max(...gaps).toFixed(1)} ms`);
      t.end();
    },
  );
}

t.test('connections to other servers survive', async (t) => {
  const dispatcher = await cluster.settled();
  const streams = await client.ask({
    op: 'streams',
    sources: client.sources('ipv4'),
    target: cluster.address.ipv4,
    periodMs: 50,
  });
  const others = streams.filter(({ server }) => server !== dispatcher.name);
  t.ok(others.length > 5, `${others.length} connections to others than the dispatcher`);
  const { failed } = await failover(cluster, { failure: 'kill', clients: 4, kind: 'udp' });
  const now = new Map(
    (await client.ask({ op: 'streams-state' })).map((state) => [state.source, state.echoed]),
  );
  await until('all their echoes to go on', async () => {
    const states = await client.ask({ op: 'streams-state' });
    const moving = states.filter(({ source, echoed }) => echoed > (now.get(source) ?? 0));
    return others.every((other) => moving.some(({ source }) => source === other.source))
      ? true
      : undefined;
  });
  const after = await client.ask({ op: 'streams-state' });
  for (const other of others) {
    const state = after.find(({ source }) => source === other.source);
    t.match(state, { open: true, error: null }, `${other.source} to ${other.server}`);
  }
  await client.ask({ op: 'streams-stop' });
  await mend(cluster, { failure: 'kill', failed });
});

t.test('no takeover in a healthy cluster with all cores busy, 15 s', timing, async (t) => {
  // What happens while a hypervisor holds the processors says nothing of the cluster: once more then.
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    const { takeovers, stalls } = await healthy(cluster, 15_000);
    t.comment(`${takeovers} takeovers, ${describeStalls(stalls)}`);
    if (takeovers === 0 || stalls.length === 0) {
      t.equal(takeovers, 0);
      return;
    }
  }
  t.pass('no takeover', {
    skip: 'timing: the machine itself stood still in each of four attempts',
  });
});

t.ok(everyHostIsWell(cluster), 'the driver hosts are well');
