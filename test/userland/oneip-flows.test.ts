/**
 * Flows and rules of ntswift oneip, on the real driver in the real driver host. The node has no adapter;
 * its flows are imported.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { OneIp } from '../../userland/oneip/client.js';
import {
  OneIpFamily,
  type OneIpFlow,
  OneIpFlowState,
  OneIpReason,
} from '../../userland/oneip/codec.js';
import { refusalOf } from '../../userland/oneip/refusal.js';
import { type Nthost, missing } from '../native/nthost.js';
import { applied, bytes, clusterText, flow, importAll, writeCluster } from './oneip-host.js';

const skip = missing('oneip');

t.setTimeout(180_000);

interface FlowLine {
  client: string;
  clientPort: number;
  cluster: string;
  clusterPort: number;
  protocol: string;
  state: string;
  node: { id: number; name: string };
  idleMs: number;
}

async function listed(host: Nthost, ...words: string[]): Promise<FlowLine[]> {
  const { status, stdout, stderr } = await host.ntswift('oneip', 'flows', '--json', ...words);
  if (status !== 0) throw new Error(stderr);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as FlowLine);
}

t.test('flows', { skip }, async (t) => {
  const host = await applied(t);
  const v6 = flow(7, {
    family: OneIpFamily.ipv6,
    client: bytes(0xfd, 1),
    cluster: bytes(0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0),
    protocol: 17,
    clusterPort: 53,
    state: OneIpFlowState.opening,
    nodeId: 2,
  });
  const given = [...Array.from({ length: 5000 }, (_, i) => flow(i)), v6];
  t.equal(await importAll(host, given), given.length);

  await t.test('the API pages through all of them', async (t) => {
    await using oneIp = await OneIp.open({ access: 'read', endpoint: host.endpoint });
    const found: OneIpFlow[] = [];
    let pages = 0;
    for await (const page of oneIp.flows()) {
      pages++;
      found.push(...page);
    }
    t.ok(pages > 1, `${pages} pages`);
    const text = ({ client, clientPort }: OneIpFlow): string => `${client.join('.')}:${clientPort}`;
    t.same(found.map(text).sort(), given.map(text).sort());
    const { all, members, rules, capacity } = await oneIp.flowCounts();
    t.same(all, { opening: 1n, established: 5000n, closing: 0n });
    t.match(members, [{ established: 2500n }, { opening: 1n, established: 2500n }]);
    t.match(rules, [{ established: 5000n }, {}, {}, { opening: 1n }]);
    t.equal(rules.length, 4);
    t.equal(capacity, 262144n);
  });

  await t.test('filters', async (t) => {
    const counted = async (...words: string[]): Promise<unknown> =>
      (await host.json('oneip', 'flows', '--count', ...words)).total;
    t.equal(await counted('--client', '198.18.1.0/24'), 256);
    t.equal(await counted('--client', '198.18.1.7'), 1);
    t.equal(await counted('--client', '198.18.0.0/15', '--node', 'beta'), 2500);
    t.equal(await counted('--client', 'fd01::/16'), 1);
    t.equal(await counted('--address', 'fd77::100'), 1);
    t.equal(await counted('--protocol', 'udp'), 1);
    t.equal(await counted('--port', '53'), 1);
    t.equal(await counted('--client-port', '1030'), 1);
    t.equal(await counted('--state', 'opening'), 1);
    t.equal(await counted('--state', 'closing'), 0);
    t.match(await host.ntswift('oneip', 'flows', '--node', 'gamma'), {
      status: 2,
      stderr: /no member is called "gamma"; the members are alpha, beta/,
    });
  });

  await t.test('listing', async (t) => {
    t.match(await listed(host, '--port', '53'), [
      {
        client: 'fd01::',
        cluster: 'fd77::100',
        clientPort: v6.clientPort,
        clusterPort: 53,
        protocol: 'udp',
        state: 'opening',
        node: { id: 2, name: 'beta' },
      },
    ]);
    t.equal((await listed(host, '--limit', '0')).length, given.length);
    const some = await host.ntswift('oneip', 'flows', '--limit', '10');
    t.equal(some.stdout.trimEnd().split('\n').length, 11);
    t.match(some.stdout, /^PROTOCOL +CLIENT +ADDRESS +STATE +NODE +IDLE\ntcp +198\.18\./);
    t.match(some.stderr, /only the first 10; --limit 0 lists all/);
    t.match(await host.ntswift('oneip', 'flows', '--port', '53'), {
      stdout: /udp +\[fd01::\]:1031 +\[fd77::100\]:53 +opening +beta/,
      stderr: '',
    });
    t.match(await host.ntswift('oneip', 'flows', '--port', '54'), { stdout: /No such flow/ });
    t.match(await host.ntswift('oneip', 'flows', '--count'), {
      stdout:
        /flows +5001\n.*capacity +262144, 1\.9% used, .*alpha +0 +2500 +0\n.*beta +1 +2500 +0/s,
    });
  });

  await t.test('lookup knows flows and rules', async (t) => {
    const lookup = (...words: string[]): Promise<Record<string, unknown>> =>
      host.json('oneip', 'lookup', '198.18.0.1', '10.77.0.100', ...words);
    const known = ['--client-port', '1025', '--port', '80'];
    t.match(await lookup(...known), {
      flow: { name: 'beta' },
      rule: { index: 0, text: 'tcp 80-443, shared by network' },
    });
    t.match(await lookup('--port', '81'), { flow: null, rule: { index: 0 } });
    t.match(await lookup('--port', '7'), { flow: null, rule: null, slot: Number });
    t.match(await lookup('--port', '500'), { node: null, slot: null, rule: { mode: 'blocked' } });
    t.match(await host.ntswift('oneip', 'lookup', '198.18.0.1', '10.77.0.100', ...known), {
      stdout:
        /\nby port rule 1: tcp 80-443, .*\na flow with these ports is known, and served by beta\n/,
    });
    t.match(await host.ntswift('oneip', 'lookup', '198.18.0.1', '10.77.0.100', '--port', '501'), {
      stdout: /^nobody: blocked\nby port rule 3/,
    });
  });

  await t.test('rules', async (t) => {
    t.match(await host.json('oneip', 'rules'), [
      { index: 0, range: 'tcp 80-443', affinity: 'network', flows: { established: 5000 } },
      { index: 1, mode: 'single', owner: { name: 'beta' } },
      { index: 2, mode: 'blocked', dropped: 0 },
      { index: null, affinity: 'client', flows: { opening: 1 } },
    ]);
    t.match(await host.ntswift('oneip', 'rules'), {
      stdout: /RULE.*tcp\+udp 500-501 +nobody: blocked/s,
    });
  });

  await t.test('to a file, and on another node', async (t) => {
    const file = path.join(host.folder, 'flows.json');
    t.match(await host.json('oneip', 'flows', '--export', file), { file, flows: 5001 });
    t.equal(statSync(file).mode & 0o777, 0o600);
    const other = await applied(t);
    t.match(await other.json('oneip', 'flows', '--import', file), {
      imported: 5001,
      unknown: 0,
      noRoom: 0,
    });
    const key = ({ idleMs, ...rest }: FlowLine): string =>
      idleMs >= 0 ? JSON.stringify(rest) : '';
    t.same(
      (await listed(other, '--limit', '0')).map(key).sort(),
      (await listed(host, '--limit', '0')).map(key).sort(),
    );
    const few = path.join(host.folder, 'few.json');
    t.match(await host.json('oneip', 'flows', '--export', few, '--client', '198.18.1.0/24'), {
      flows: 256,
    });

    // Nothing changes where the file is wrong.
    const third = await applied(t);
    const none = async (): Promise<void> => {
      t.match(await third.json('oneip', 'flows', '--count'), { total: 0 });
    };
    writeFileSync(few, readFileSync(few, 'utf8').replace('198.18.1.', '198.18.2.'));
    t.match(await third.ntswift('oneip', 'flows', '--import', few), {
      status: 6,
      stderr: /few\.json:258: the file was changed after it was written.* Nothing was changed/,
    });
    await none();
    const cluster = writeCluster(third, clusterText(2, { addresses: 'addresses: [10.77.0.101]' }));
    await third.json('oneip', 'apply', cluster, '--node', '1');
    t.match(await third.ntswift('oneip', 'flows', '--import', file), {
      status: 6,
      stderr: /flows\.json:\d+: (10\.77\.0\.100|fd77::100) is no address of this cluster/,
    });
    await none();
    await third.json('oneip', 'clear', '--yes');
    const foreign = clusterText(3).replace('6ba7b810', '6ba7b811');
    await third.json('oneip', 'apply', writeCluster(third, foreign), '--node', '1');
    t.match(await third.ntswift('oneip', 'flows', '--import', file), {
      status: 6,
      stderr: /flows\.json:1: these are flows of another cluster/,
    });
    await none();
  });

  await t.test('what the driver refuses', async (t) => {
    await using oneIp = await OneIp.open({ endpoint: host.endpoint });
    const refused = async (work: Promise<unknown>, reason: OneIpReason, index: number) => {
      const error: unknown = await work.catch((caught: unknown) => caught);
      t.match(refusalOf(error), { reason, index }, String(error));
    };
    const wrong = [flow(1), flow(2, { protocol: 1 })];
    await refused(oneIp.importFlows(wrong), OneIpReason.flow, 1);
    await refused(
      oneIp.importFlows([flow(1, { cluster: bytes(10, 77, 0, 1) })]),
      OneIpReason.flow,
      0,
    );
    const client = { family: OneIpFamily.ipv4, address: bytes(1, 2, 3, 4) };
    await refused(oneIp.flows({ client, clientPrefix: 33 }).next(), OneIpReason.value, 0);
    await refused(oneIp.flows({ clientPrefix: 1 }).next(), OneIpReason.value, 0);
    t.match(await oneIp.importFlows([flow(1, { nodeId: 9 })]), { imported: 0, unknown: 1 });
  });
  t.equal(await host.stop('SIGTERM'), 0, host.log);
});
