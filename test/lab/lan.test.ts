// The lab's own mechanics, on plain stacks: whoever holds the address answers, and each way to break a link breaks it.
import path from 'node:path';
import t from 'tap';
import * as addresses from '../../tools/lab/addresses.js';
import { Client } from '../../tools/lab/client.js';
import { now } from '../../tools/lab/clock.js';
import { Node } from '../../tools/lab/node.js';
import { isAlive, until } from '../../tools/lab/process.js';
import { Switch } from '../../tools/lab/switch.js';

const lan = await Switch.create('switch');
const client = await Client.create(lan, 40);
const disks = t.testdir();
const nodes = [1, 2].map(
  (index) => new Node(`node${index}`, index, lan, path.join(disks, `node${index}`)),
);
for (const node of nodes) {
  await node.boot('plain');
  node.configure('eth0', []);
  await node.serve([]);
}
const [one, two] = nodes as [Node, Node];

async function asks(node: Node, family: 'ipv4' | 'ipv6' = 'ipv4', count = 4) {
  const answers = await client.ask({
    op: 'fetch',
    sources: client.sources(family, count),
    target: node.own[family],
    width: 4,
    timeoutMs: 300,
  });
  return answers.map(({ server }) => server);
}

const all = (name: string | null, count = 4) => Array.from({ length: count }, () => name);

t.test('many client addresses reach each node, by IPv4 and IPv6', async (t) => {
  for (const node of nodes) {
    for (const family of ['ipv4', 'ipv6'] as const) {
      t.same(await asks(node, family, 40), all(node.name, 40), `${node.name} ${family}`);
    }
  }
});

t.test('a pulled cable', async (t) => {
  lan.carrier('node1', false);
  t.match(one.namespace.run('ip', ['link', 'show', 'eth0']), /NO-CARRIER/);
  t.same(await asks(one), all(null));
  t.same(await asks(two), all('node2'));
  lan.carrier('node1', true);
  await until('node1 to answer', async () => ((await asks(one))[0] === 'node1' ? true : undefined));
});

t.test('one direction cut, without loss of carrier', async (t) => {
  for (const impairment of [{ dropIn: true }, { dropOut: true }]) {
    lan.impair('node1', impairment);
    t.notMatch(one.namespace.run('ip', ['link', 'show', 'eth0']), /NO-CARRIER/);
    t.same(await asks(one), all(null), JSON.stringify(impairment));
  }
  lan.impair('node1', {});
  await until('node1 to answer', async () => ((await asks(one))[0] === 'node1' ? true : undefined));
});

t.test('loss', async (t) => {
  lan.impair('node1', { loss: 0.4 });
  await client.ask({
    op: 'probe',
    kind: 'udp',
    sources: client.sources('ipv4', 10),
    target: one.own.ipv4,
    periodMs: 2,
    patienceMs: 0,
  });
  await until('some probes to be answered', async () => {
    const state = await client.ask({ op: 'probe-state' });
    return state.every(({ last }) => last !== null) ? true : undefined;
  });
  await client.ask({ op: 'probe-reset' });
  const started = now();
  await until('half a second of probes', () => (now() - started > 500 ? true : undefined));
  const report = await client.ask({ op: 'probe-stop' });
  lan.impair('node1', {});
  // Both directions lose 40%, so 36% of the round trips are left.
  const share = report.answered / report.attempts;
  t.ok(share > 0.2 && share < 0.55, `${share} of ${report.attempts} answered`);
});

t.test('a partition and its end', async (t) => {
  lan.partition(['node2']);
  t.same(await asks(one), all('node1'));
  t.same(await asks(two), all(null));
  lan.heal();
  await until('node2 to answer', async () => ((await asks(two))[0] === 'node2' ? true : undefined));
  t.same(await asks(one), all('node1'));
});

t.test('frames are counted on the wire', async (t) => {
  lan.countFrom('node1', one.own);
  const before = lan.counted('node1');
  t.same(before, { packets: 0, bytes: 0 });
  t.same(await asks(one), all('node1'));
  t.same(await asks(one, 'ipv6'), all('node1'));
  const after = lan.counted('node1');
  t.ok(after.packets >= 8 * 4, `${after.packets} packets`);
});

t.test('a rate limit', async (t) => {
  lan.rate('node1', 1);
  t.match(lan.namespace.run('tc', ['qdisc', 'show', 'dev', 'p-node1']), /tbf .*rate 1Mbit/);
  t.same(await asks(one), all('node1'));
  lan.rate('node1', null);
});

t.test('a long cable', async (t) => {
  await lan.delay('node1', 20);
  const answers = await client.ask({
    op: 'fetch',
    sources: client.sources('ipv4', 10),
    target: one.own.ipv4,
    width: 10,
    timeoutMs: 2000,
  });
  // A handshake and a request: at least two round trips.
  t.same(
    answers.map(({ server }) => server),
    all('node1', 10),
  );
  t.ok(
    answers.every(({ ms }) => ms >= 80 && ms < 1000),
    `${answers.map(({ ms }) => Math.round(ms)).join(' ')} ms`,
  );
  await lan.noDelay('node1');
  t.same(await asks(one), all('node1'));
});

t.test('the gap that clients see', async (t) => {
  for (const kind of ['udp', 'http'] as const) {
    const sources = client.sources('ipv4', 8);
    await client.ask({
      op: 'probe',
      kind,
      sources,
      target: one.own.ipv4,
      periodMs: 10,
      patienceMs: 25,
    });
    const answered = async (after: number) => {
      const state = await client.ask({ op: 'probe-state' });
      return state.every(({ last }) => last !== null && last > after) ? true : undefined;
    };
    await until('all sources to be answered', () => answered(0));
    await client.ask({ op: 'probe-reset' });
    const cut = now();
    lan.impair('node1', { dropOut: true });
    await until('200 ms', () => (now() - cut > 200 ? true : undefined));
    lan.impair('node1', {});
    const healed = now();
    await until('all sources to be answered again', () => answered(healed));
    const { gaps } = await client.ask({ op: 'probe-stop' });
    t.equal(gaps.length, 8);
    for (const { from, to, before, after } of gaps) {
      t.ok(to - from > 150 && to - from < healed - cut + 200, `${kind}: ${to - from} ms`);
      t.same([before, after], ['node1', 'node1']);
    }
  }
});

t.test('long-lived connections survive a short cut', async (t) => {
  const [state] = await client.ask({
    op: 'streams',
    sources: client.sources('ipv4', 1),
    target: one.own.ipv4,
    periodMs: 10,
  });
  t.match(state, { server: 'node1', open: true });
  lan.impair('node1', { dropIn: true });
  await until('unechoed bytes', async () =>
    (await client.ask({ op: 'streams-state' }))[0]!.behind > 64 ? true : undefined,
  );
  lan.impair('node1', {});
  await until('echoes to catch up', async () =>
    (await client.ask({ op: 'streams-state' }))[0]!.behind < 64 ? true : undefined,
  );
  t.match((await client.ask({ op: 'streams-state' }))[0], { open: true, error: null });
  await client.ask({ op: 'streams-stop' });
});

t.test('a killed machine leaves nothing, and boots again', async (t) => {
  const { pid } = one.namespace;
  await one.kill();
  t.notOk(isAlive(pid));
  t.notOk(lan.hasPort('node1'));
  t.same(await asks(one), all(null));
  await one.boot('plain');
  one.configure('eth0', []);
  await one.serve([]);
  t.same(await asks(one), all('node1'));
});

t.test('the end of a lab ends its machines', async (t) => {
  const pids = [lan.namespace, client.namespace, one.namespace, two.namespace].map(
    ({ pid }) => pid,
  );
  await Promise.all([one.kill(), two.kill()]);
  await client.close();
  await lan.close();
  t.same(pids.map(isAlive), [false, false, false, false]);
});

t.equal(addresses.client(999).ipv4, '10.78.4.250', 'a thousand client addresses fit');
