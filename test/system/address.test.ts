// One address: every request from a thousand clients is answered, by the server that the driver says, directly; shares follow the
// weights. IPv4 and IPv6; TCP, UDP and ping.
import t from 'tap';
import { OneIpFamily } from '../../userland/oneip/codec.js';
import { parseIpv4, parseIpv6 } from '../../userland/common/address.js';
import { builtFile } from '../../tools/lab/built.js';
import { median } from '../../tools/bench/statistics.js';
import { until } from '../../tools/lab/process.js';
import { Switch } from '../../tools/lab/switch.js';
import { everyHostIsWell, startCluster, timing } from './cluster.js';

const clients = 1000;
const weights = [1, 2, 3, 4];
const cluster = await startCluster({ clients, weights });
const { lab, address } = cluster;
const { client, lan } = lab;
const dispatcher = await cluster.settled();

async function takeovers(): Promise<number> {
  const all = await Promise.all(cluster.nodes.map((node) => cluster.status(node)));
  return all.reduce((total, one) => total + Number(one.takeovers), 0);
}
const takeoversBefore = await takeovers();

/** Where the dispatcher's driver sends a client. */
async function chosenServer(source: string, target: string): Promise<string> {
  const place = (text: string) => {
    const v4 = parseIpv4(text);
    const bytes = new Uint8Array(16);
    bytes.set(v4 ?? parseIpv6(text)!);
    return { family: v4 ? OneIpFamily.ipv4 : OneIpFamily.ipv6, address: bytes };
  };
  const device = await cluster.device(dispatcher);
  const { nodeId } = await device.lookup({
    client: place(source),
    cluster: place(target),
    protocol: 0,
    clientPort: 0,
    clusterPort: 0,
  });
  return `node${nodeId}`;
}

for (const family of ['ipv4', 'ipv6'] as const) {
  const target = address[family];

  for (const kind of ['http', 'udp'] as const) {
    t.test(`${clients} clients by ${kind}, ${family}`, async (t) => {
      lan.countFrom(dispatcher.name, address);
      const answers = await client.ask({
        op: 'fetch',
        kind,
        sources: client.sources(family),
        target,
        width: 16,
        timeoutMs: 5000,
      });
      const unanswered = answers.filter(({ server }) => server === null);
      t.same(unanswered, [], 'every request is answered');
      t.equal(answers.length, clients);
      for (const { source, server } of answers) {
        const chosen = await chosenServer(source, target);
        if (chosen !== server)
          t.fail(`${source} was answered by ${server ?? ''}, not by ${chosen}`);
      }
      // On the dispatcher's wire are the replies of the clients that it serves itself, and no others.
      const own = answers.filter(({ server }) => server === dispatcher.name).length;
      const { packets } = lan.counted(dispatcher.name);
      if (kind === 'udp')
        t.equal(
          packets,
          own,
          `the dispatcher's wire carried the ${own} replies of its own clients`,
        );
      else
        t.ok(
          packets >= 3 * own && packets <= 8 * own,
          `${packets} reply frames for its own ${own} clients`,
        );
    });
  }

  t.test(`ping, ${family}`, (t) => {
    for (const source of client.sources(family, 20)) {
      const printed = client.namespace.run('ping', ['-c', '1', '-W', '3', '-I', source, target]);
      t.match(printed, / 0% packet loss/, source);
    }
    t.end();
  });

  t.test(`100,000 addresses in raw frames, ${family}`, async (t) => {
    const count = 100_000;
    // Counted at the switch, on the way to each server, by what no other frame has: the dispatcher's MAC address and port 9.
    const counters = cluster.nodes
      .filter((node) => node !== dispatcher)
      .map(
        (node) =>
          `oifname "${Switch.port(node.name)}" ether saddr ${dispatcher.mac} udp dport 9 counter comment "${node.name}"`,
      );
    lan.namespace.nft(
      [
        'table bridge shares { chain forward { type filter hook forward priority -10; }; }',
        'flush chain bridge shares forward',
        ...counters.map((rule) => `add rule bridge shares forward ${rule}`),
        '',
      ].join('\n'),
    );
    const counted = () => {
      const listed = lan.namespace.run('nft', ['list', 'table', 'bridge', 'shares']);
      const counts = new Map<string, number>();
      for (const [, packets, name] of listed.matchAll(
        /counter packets (\d+) bytes \d+ comment "([^"]+)"/g,
      )) {
        counts.set(name ?? '', Number(packets));
      }
      return counts;
    };
    const passedBefore = (await (await cluster.device(dispatcher)).stats()).framesPassed;
    const sent = client.namespace.run(builtFile('bin/lab-frames'), [
      'eth0',
      dispatcher.mac,
      target,
      String(count),
      '25000',
    ]);
    t.equal(Number(sent), count);
    // Done when the counts stand still.
    let last = -1;
    await until(
      'the last frame to arrive',
      () => {
        const sum = [...counted().values()].reduce((a, b) => a + b, 0);
        const still = sum === last;
        last = sum;
        return still ? true : undefined;
      },
      10_000,
      100,
    );
    const counts = counted();
    const total = weights.reduce((a, b) => a + b, 0);
    const forwarded = [...counts.values()].reduce((a, b) => a + b, 0);
    // What the dispatcher serves itself is on no wire: the rest of what was sent.
    counts.set(dispatcher.name, count - forwarded);
    const passed = Number(
      (await (await cluster.device(dispatcher)).stats()).framesPassed - passedBefore,
    );
    t.ok(
      Math.abs(passed - (count - forwarded)) <= count / 1000,
      `its own counter says ${passed}, the wire ${count - forwarded}`,
    );
    for (const [index, node] of cluster.nodes.entries()) {
      const expected = (count * weights[index]!) / total;
      const got = counts.get(node.name) ?? 0;
      const off = Math.abs(got / expected - 1);
      t.ok(
        off <= 0.03,
        `${node.name}: ${got} of ${count}, ${(100 * off).toFixed(2)}% from its weight`,
      );
    }
  });
}

t.test('connections that are open keep their server', async (t) => {
  const states = await client.ask({
    op: 'streams',
    sources: client.sources('ipv4', 50),
    target: address.ipv4,
    periodMs: 20,
  });
  await until('echoes', async () => {
    const now = await client.ask({ op: 'streams-state' });
    return median(now.map(({ echoed }) => echoed)) > 400 ? true : undefined;
  });
  const after = await client.ask({ op: 'streams-state' });
  t.ok(states.length === 50 && after.every(({ open, error }) => open && error === null));
  await client.ask({ op: 'streams-stop' });
});

t.test('all that without a takeover', timing, async (t) => {
  t.equal((await takeovers()) - takeoversBefore, 0);
});

t.ok(everyHostIsWell(cluster), 'the driver hosts are well');
