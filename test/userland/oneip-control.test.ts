/** Drain, set, top and an upgrade, on the real driver in the real driver host. The node has no adapter; its flows are imported. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { Store } from '../../userland/common/store.js';
import { OneIpFlowState } from '../../userland/oneip/codec.js';
import { encodeConfiguration } from '../../userland/oneip/configuration.js';
import { loadConfiguration } from '../../userland/oneip/state.js';
import { missing } from '../native/nthost.js';
import {
  SERVICE,
  type Show,
  applied,
  changes,
  clusterText,
  flow,
  hostWithOneIp,
  importAll,
  writeCluster,
} from './oneip-host.js';

const skip = missing('oneip');

t.setTimeout(180_000);

t.test('drain', { skip }, async (t) => {
  const host = await applied(t);
  const show = (): Promise<Show> => host.json<Show>('oneip', 'show');

  await t.test('only this node, and not without a question where nobody else serves', async (t) => {
    t.match(await host.ntswift('oneip', 'drain', 'beta'), {
      status: 2,
      stderr: /beta is another node, and a node is drained where it is/,
    });
    t.match(await host.ntswift('oneip', 'drain', 'gamma'), {
      status: 2,
      stderr: /"gamma".*alpha, beta/,
    });
    await host.json('oneip', 'set', 'weight.beta=0');
    t.match(await host.ntswift('oneip', 'drain'), {
      status: 7,
      stderr: /Drain alpha, though no other live member serves new clients: not confirmed/,
    });
    await host.json('oneip', 'set', 'weight.beta=3');
    t.match(await show(), { draining: false });
  });

  await t.test('the flows that are left', async (t) => {
    const closing = { state: OneIpFlowState.closing };
    await importAll(host, [flow(0), flow(1), flow(2), flow(4, closing)]);
    t.match(await host.ntswift('oneip', 'drain', 'alpha', '--yes'), {
      status: 0,
      stdout: 'alpha drains; its flows: 0 opening, 2 established, 1 closing\n',
    });
    t.match(await show(), { draining: true, members: [{ draining: true }, { draining: false }] });
    t.match(await host.ntswift('oneip', 'show'), { stdout: /draining/ });
    t.match(
      await host.json('oneip', 'drain'),
      {
        node: { name: 'alpha' },
        draining: true,
        flows: { opening: 0, established: 2, closing: 1 },
      },
      'it drains already: no question',
    );
    const { eventSequence } = await show();
    const events = await host.ntswift(
      'oneip',
      'watch',
      ...['--after', '0', '--count', String(eventSequence)],
    );
    t.match(events.stdout, /alpha drains: it serves no new client/);
  });

  await t.test('waiting', async (t) => {
    const late = await host.ntswift('oneip', 'drain', '--wait', '--timeout', '1', '--json');
    t.equal(late.status, 8);
    t.equal(late.stdout, '');
    t.match(JSON.parse(late.stderr), {
      error: {
        code: 'NTS_ERR_TIMEOUT',
        message:
          /not in 1 s: alpha goes on draining, with .* 2 established.*"ntswift oneip undrain" ends it/,
        flows: { established: 2 },
      },
    });
    const waitingFor = async (
      meanwhile: (child: ChildProcess) => unknown,
    ): Promise<{ status: number | null; stderr: string }> => {
      const child = host.start('oneip', 'drain', '--wait');
      const ended = host.command(child);
      await once(child.stderr!, 'data');
      await meanwhile(child);
      return ended;
    };
    t.match(await waitingFor((child) => child.kill('SIGINT')), {
      status: 130,
      stderr: /Ctrl-C ends the waiting.*\n.*alpha goes on draining, with 0 opening, 2 established/,
    });
    t.match(await show(), { draining: true });
    t.match(await waitingFor(() => host.json('oneip', 'undrain', 'alpha')), {
      status: 3,
      stderr: /alpha does not drain any more/,
    });
    t.match(await show(), { draining: false });
  });

  await t.test('until nobody is served here', async (t) => {
    await host.json('oneip', 'clear', '--yes');
    const text = clusterText(2, {
      flows: 'flows: {opening: 1, udpIdle: 1, tcpIdle: 1, closing: 600}',
    });
    await host.json('oneip', 'apply', writeCluster(host, text), '--node', 'alpha');
    const opening = { state: OneIpFlowState.opening };
    await importAll(host, [flow(0, opening), flow(2), flow(4, { state: OneIpFlowState.closing })]);
    t.match(await host.json('oneip', 'drain', '--wait', '--timeout', '60', '--yes'), {
      draining: true,
      flows: { opening: 0, established: 0, closing: 1 },
    });
  });

  await t.test('kept over restarts', async (t) => {
    t.match(await show(), { draining: true });
    await host.json('driver', 'stop', SERVICE);
    t.match(await host.ntswift('driver', 'start', SERVICE), {
      status: 0,
      stderr: /configuration 2 is in force again\nthis node drains, as before/,
    });
    t.match(await show(), { draining: true });
    await host.restart();
    t.match(await show(), { configured: false, draining: false });
    t.match(await host.ntswift('oneip', 'restore'), { status: 0, stderr: /drains, as before/ });
    t.match(await show(), { configured: true, draining: true });
    t.match(await host.ntswift('oneip', 'undrain'), {
      stdout: /^alpha serves new clients; its flows: /,
    });
    await host.restart();
    t.match(await host.ntswift('oneip', 'restore'), {
      status: 0,
      stderr: /^ONE-IP configuration 2 is in force again\n$/,
    });
    t.match(await show(), { draining: false });
  });
  t.equal(await host.stop('SIGTERM'), 0, host.log);
});

t.test('set', { skip }, async (t) => {
  const host = await applied(t);
  const show = (of = host): Promise<Show> => of.json<Show>('oneip', 'show');
  const { tableDigest } = await show();

  t.match(await host.json('oneip', 'set', 'weight.beta=4', '--check'), {
    generation: 2,
    applied: false,
    changes: [{ key: 'weight.beta', from: '3', to: '4' }],
  });
  t.match(await show(), { generation: 1, tableDigest });
  const set = await host.ntswift('oneip', 'set', 'weight.beta=4', 'beacon.ms=20');
  t.match(set, {
    status: 0,
    stdout: /^KEY +FROM +TO\nweight\.beta +3 +4\nbeacon\.ms +10 +20\n$/,
    stderr:
      /configuration 2 is in force on alpha\nrun the same command on beta;.*cluster file is as it was/s,
  });
  const after = await show();
  t.match(after, { generation: 2, members: [{ weight: 1 }, { weight: 4 }] });
  t.not(after.tableDigest, tableDigest);
  t.match(await host.ntswift('oneip', 'set', 'weight.beta=4'), {
    status: 0,
    stdout: '',
    stderr: /nothing changes/,
  });
  t.match(await show(), { generation: 2 });
  t.match(await host.ntswift('oneip', 'set', 'rank.alpha=1'), {
    status: 2,
    stderr: /would both have rank 1/,
  });

  // The same command on another node makes the same configuration and the same table.
  const other = await hostWithOneIp(t);
  const file = writeCluster(other, clusterText(1, changes));
  await other.json('oneip', 'apply', file, '--node', 'beta');
  await other.json('oneip', 'set', 'weight.beta=4', 'beacon.ms=20');
  t.equal((await show(other)).tableDigest, after.tableDigest);

  // It is what a restart brings back, with the key.
  await host.restart();
  await host.json('oneip', 'restore');
  t.match(await show(), { generation: 2, tableDigest: after.tableDigest });
  const { stdout } = await host.ntswift('oneip', 'show', '--export', '--with-key');
  t.match(stdout, /key: '00112233445566778899aabbccddeeff'/);
  t.match(stdout, /- \{ protocol: tcp, ports: 80-443, affinity: network \}/);
  t.match(await host.ntswift('oneip', 'apply', writeCluster(host, stdout), '--node', '1'), {
    status: 0,
  });

  await host.json('oneip', 'clear', '--yes');
  t.match(await host.ntswift('oneip', 'set', 'beacon.ms=5'), {
    status: 3,
    stderr: /no configuration is in force/,
  });
  t.equal(await host.stop('SIGTERM'), 0, host.log);
});

t.test('top', { skip }, async (t) => {
  const host = await applied(t);
  await importAll(host, [flow(1), flow(3), flow(4)]);
  const { status, stdout } = await host.ntswift(
    'oneip',
    'top',
    '--interval',
    '0.2',
    '--count',
    '2',
  );
  t.equal(status, 0);
  const objects = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.equal(objects.length, 2, 'a JSON object in each interval, where there is no terminal');
  t.match(objects[1], {
    node: { name: 'alpha' },
    generation: 1,
    flows: { established: 3, capacity: 262144 },
    members: [
      { name: 'alpha', flows: 1 },
      { name: 'beta', flows: 2 },
    ],
    rules: [{ index: 0 }, { index: 1 }, { index: 2 }, { index: null }],
    drops: {},
  });
  t.ok(Number(objects[1]?.seconds) >= 0.19);
  t.equal(await host.stop('SIGTERM'), 0, host.log);
});

t.test('a configuration that an earlier release stored', { skip }, async (t) => {
  const host = await hostWithOneIp(t);
  await host.json('oneip', 'apply', writeCluster(host, clusterText(1)), '--node', 'alpha');
  const { tableDigest } = await host.json<Show>('oneip', 'show');
  await host.json('driver', 'stop', SERVICE);

  const store = Store.open(host.stateFolder);
  const { configuration } = loadConfiguration(store)!;
  // Version 1 had a shorter header, and neither rules nor a past.
  const now = encodeConfiguration({ ...configuration, past: null });
  const old = Buffer.concat([now.subarray(0, 104), now.subarray(128)]);
  old.writeUInt32LE(1, 0);
  old.writeUInt32LE(old.length, 4);
  const save = (bytes: Buffer): void =>
    store.execute('UPDATE oneip_configuration SET configuration = ?', bytes);
  save(old);
  t.match(await host.ntswift('driver', 'start', SERVICE), {
    status: 0,
    stderr: /ONE-IP configuration 1 is in force again/,
  });
  t.match(await host.json('oneip', 'show'), {
    tableDigest,
    configuration: { flows: { capacity: 262144, tcpIdle: 7440 }, rules: [] },
  });

  await host.json('driver', 'stop', SERVICE);
  old.writeUInt32LE(77, 0);
  save(old);
  store.close();
  t.match(await host.ntswift('driver', 'start', SERVICE), {
    status: 3,
    stderr: /the stored configuration is of version 77 .*ntswift oneip apply FILE/,
  });
  t.match(await host.json('oneip', 'show'), { configured: false }, 'what needs only names goes on');
  t.equal(await host.stop('SIGTERM'), 0, host.log);
});
