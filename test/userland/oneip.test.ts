/** ntswift oneip, on the real driver in the real driver host: one node, without and with an adapter. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { OneIp } from '../../userland/oneip/client.js';
import { OneIpAffinity, OneIpReason, OneIpRuleMode } from '../../userland/oneip/codec.js';
import { type Configuration } from '../../userland/oneip/configuration.js';
import { readClusterFile, toConfiguration } from '../../userland/oneip/cluster-file.js';
import { refusalOf } from '../../userland/oneip/refusal.js';
import { missing, otherUsers, until } from '../native/nthost.js';
import { SERVICE, type Show, clusterText, hostWithOneIp, writeCluster } from './oneip-host.js';

const skip = missing('oneip');

t.setTimeout(120_000);

t.test('a node without an adapter', { skip }, async (t) => {
  const host = await hostWithOneIp(t);
  const show = (): Promise<Show> => host.json<Show>('oneip', 'show');

  await t.test('before anything was applied', async (t) => {
    t.match(await show(), {
      configured: false,
      node: null,
      role: 'none',
      generation: 0,
      members: [],
    });
    t.match(await host.ntswift('oneip', 'members'), {
      status: 0,
      stdout: /No configuration is in force/,
    });
    t.match(await host.ntswift('oneip', 'promote'), {
      status: 3,
      stdout: '',
      stderr: /^ntswift: refused by the driver: no configuration is in force on this node/,
    });
    t.match(await host.ntswift('oneip', 'lookup', '192.0.2.1', '10.77.0.100'), { status: 3 });
    t.match(await host.ntswift('oneip', 'show', '--export'), { status: 3 });
    const { stderr } = await host.ntswift('oneip', 'promote', '--json');
    t.match(JSON.parse(stderr), {
      error: { code: 'NTS_ERR_REFUSED', reason: 'not-configured', request: 'set-primary' },
    });
  });

  await t.test('apply', async (t) => {
    const file = writeCluster(host, clusterText(1));
    t.match(await host.ntswift('oneip', 'apply', file), {
      status: 6,
      stderr: /no member has a MAC address of this machine \(none\)/,
    });
    const applied = await host.ntswift('oneip', 'apply', file, '--node', 'alpha');
    t.match(applied, { status: 0, stderr: /configuration 1 is in force on alpha/ });
    t.match(applied.stdout, /node +alpha \(id 1\).*generation +1.*MEMBER.*beta/s);
    const view = await show();
    t.match(view, {
      configured: true,
      node: { name: 'alpha' },
      adapter: 'absent',
      generation: 1,
      behind: false,
    });
    t.match(view.members, [
      { id: 1, name: 'alpha', weight: 1 },
      { id: 2, name: 'beta', weight: 3 },
    ]);
    t.match(
      await host.ntswift('oneip', 'apply', file, '--node', 'alpha'),
      { status: 0 },
      'the same again',
    );
  });

  await t.test('a change needs a generation', async (t) => {
    const changed = clusterText(1).replace('weight: 3', 'weight: 4');
    const file = writeCluster(host, changed);
    t.match(await host.ntswift('oneip', 'apply', file, '--node', '1'), {
      status: 3,
      stdout: '',
      stderr: new RegExp(
        `^ntswift: ${file}:2:13: generation 1 is not above 1, .* set it to 2 or more`,
      ),
    });
    t.equal((await show()).generation, 1);
    writeCluster(host, changed.replace('generation: 1', 'generation: 5'));
    t.match(await host.ntswift('oneip', 'apply', file, '--node', '1'), { status: 0 });
    t.match(await show(), { generation: 5, members: [{}, { weight: 4 }] });
  });

  await t.test('refusals', async (t) => {
    t.match(await host.ntswift('oneip', 'promote'), { status: 3, stderr: /adapter .* is absent/ });
    t.match(await host.ntswift('oneip', 'lookup', '192.0.2.1', '10.77.0.1'), {
      status: 3,
      stderr: /the second address must be one of the cluster/,
    });
  });

  await t.test('lookup', async (t) => {
    const seen = new Set<string>();
    await using oneIp = await OneIp.open({ access: 'read', endpoint: host.endpoint });
    for (let i = 0; i < 200; i++) {
      const client = {
        family: 4 as const,
        address: Uint8Array.of(192, 0, 2, i, ...new Array<number>(12).fill(0)),
      };
      const cluster = {
        family: 4 as const,
        address: Uint8Array.of(10, 77, 0, 100, ...new Array<number>(12).fill(0)),
      };
      const { nodeId, slot } = await oneIp.lookup({
        client,
        cluster,
        protocol: 6,
        clientPort: i,
        clusterPort: 80,
      });
      seen.add(String(nodeId));
      t.ok(slot < 65537);
    }
    t.ok(seen.size >= 1);
    t.match(await host.json('oneip', 'lookup', '192.0.2.7', '10.77.0.100'), { slot: Number });
  });

  await t.test('stats', async (t) => {
    const counters = await host.json('oneip', 'stats');
    t.match(counters, {
      framesIndicated: 0,
      beaconsSent: 0,
      drops: { notDispatcher: 0, sendFailed: 0 },
    });
    t.notOk('version' in counters);
    t.match(await host.ntswift('oneip', 'stats'), {
      stdout: /frames forwarded +0.*dropped: no member +0/s,
    });
  });

  await t.test('veto', async (t) => {
    t.match(await host.json('oneip', 'veto', 'on'), { vetoed: true });
    t.match(await host.json('oneip', 'veto', 'off'), { vetoed: false });
  });

  await t.test('watch', async (t) => {
    const watching = host.start('oneip', 'watch', '--after', '0', '--json');
    let lines: string[] = [];
    let text = '';
    watching.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      lines = text.split('\n').slice(0, -1);
    });
    await until(() => (lines.length > 0 ? true : null));
    const file = writeCluster(host, clusterText(6));
    t.match(await host.ntswift('oneip', 'apply', file, '--node', '1'), { status: 0 });
    const event = await until(
      () =>
        lines
          .map((line) => JSON.parse(line) as Record<string, unknown>)
          .find(({ kind, value }) => kind === 'config' && value === 6) ?? null,
    );
    t.match(event, { text: 'configuration 6 is in force', sequence: Number });
    t.ok(Math.abs(Date.parse(String(event.time)) - Date.now()) < 60_000, 'the time is now');
    const ended = host.command(watching);
    watching.kill('SIGINT');
    t.match(await ended, { status: 130 });

    const some = await host.ntswift('oneip', 'watch', '--after', '0', '--count', '1');
    t.match(some, { status: 0, stdout: /^\d{4}-\d\d-\d\dT.* configuration 1 is in force\n$/ });
  });

  await t.test('export', async (t) => {
    const plain = await host.ntswift('oneip', 'show', '--export');
    t.notMatch(plain.stdout, '00112233445566778899aabbccddeeff');
    const { status, stdout } = await host.ntswift('oneip', 'show', '--export', '--with-key');
    t.equal(status, 0);
    const file = writeCluster(host, stdout);
    const { tableDigest } = await show();
    t.match(
      await host.ntswift('oneip', 'apply', file, '--node', 'alpha'),
      { status: 0 },
      'the same content',
    );
    t.match(await show(), { tableDigest, generation: 6 });

    // A node that joins gets the same table, whatever the others have been through.
    const other = await hostWithOneIp(t);
    const copy = writeCluster(other, stdout);
    const joined = await other.json<Show>('oneip', 'apply', copy, '--node', 'beta');
    t.match(joined, { node: { name: 'beta' }, tableDigest });
  });

  await t.test('a restart of the driver, and of the machine', async (t) => {
    const before = await show();
    await host.json('oneip', 'veto', 'on');
    await host.json('driver', 'stop', SERVICE);
    t.match(await host.ntswift('oneip', 'show'), {
      status: 4,
      stderr: /\\\\\.\\NtsOneIp does not exist: its driver is not installed or not started/,
    });
    t.match(await host.ntswift('driver', 'start', SERVICE), {
      status: 0,
      stderr: /ONE-IP configuration 6 is in force again/,
    });
    const { generation, tableDigest, node } = before;
    t.match(await show(), { generation, tableDigest, node, vetoed: true });

    // The driver starts with the machine, and has to be told.
    await host.restart();
    t.match(await show(), { configured: false, vetoed: false });
    t.match(await host.ntswift('oneip', 'restore'), {
      status: 0,
      stderr: /configuration 6 is in force again/,
    });
    t.match(await show(), { generation, tableDigest, node, vetoed: true });
    t.match(await host.ntswift('oneip', 'restore'), { status: 0, stderr: '' }, 'nothing to do');
    await host.restart();
    t.match(await host.ntswift('driver', 'start', SERVICE), {
      status: 0,
      stderr: /runs already.*again/s,
    });
    t.match(await show(), { generation, tableDigest, node, vetoed: true });
    await host.json('oneip', 'veto', 'off');

    // The key is kept, where others cannot see it.
    const { stdout } = await host.ntswift('oneip', 'show', '--export', '--with-key');
    t.match(stdout, '00112233445566778899aabbccddeeff');
    for (const name of ['ntswift.db', 'ntswift.db-wal']) {
      const file = path.join(host.stateFolder, name);
      if (existsSync(file))
        t.equal(spawnSync('stat', ['-c', '%a', file]).stdout.toString(), '600\n', name);
    }
  });

  await t.test('clear', async (t) => {
    t.match(await host.ntswift('oneip', 'clear'), { status: 7 });
    t.equal((await show()).configured, true);
    t.match(await host.json('oneip', 'clear', '--yes'), { configured: false });
    await host.json('driver', 'stop', SERVICE);
    await host.json('driver', 'start', SERVICE);
    t.match(await show(), { configured: false });
  });

  await t.test('an ordinary user', otherUsers, async (t) => {
    chmodSync(host.folder, 0o755);
    for (const action of ['show', 'members', 'stats', 'promote', 'watch']) {
      const ran = await host.command(host.startAs(65534, 'oneip', action));
      t.match(
        ran,
        { status: 5, stdout: '', stderr: /NtsOneIp: access is denied. This needs root/ },
        action,
      );
    }
    chmodSync(host.folder, 0o700);
  });

  t.equal(await host.stop('SIGTERM'), 0, host.log);
});

t.test("the driver's own refusals reach the client with their reason", { skip }, async (t) => {
  const host = await hostWithOneIp(t);
  const cluster = await readClusterFile(writeCluster(host, clusterText(1)));
  const good = toConfiguration(cluster, 1);
  const [first, second] = good.members;
  const zero = new Uint8Array(16);
  const table = (owner: (slot: number) => number): Uint8Array =>
    Uint8Array.from({ length: 65537 }, (_, i) => owner(i));
  const rule = {
    protocol: 6,
    firstPort: 80,
    lastPort: 90,
    mode: OneIpRuleMode.shared,
    affinity: OneIpAffinity.client,
    owner: 0,
  };
  const oneIp = await OneIp.open({ endpoint: host.endpoint });

  const wrong: [string, Partial<Configuration>, OneIpReason, number][] = [
    ['generation 0', { generation: 0n }, OneIpReason.generation, 0],
    ['no key', { beaconKey: zero }, OneIpReason.beaconKey, 0],
    ['beacons too fast', { beaconMilliseconds: 0 }, OneIpReason.beaconInterval, 0],
    ['beacons too slow', { beaconMilliseconds: 1001 }, OneIpReason.beaconInterval, 0],
    ['silence', { silenceBeacons: 1 }, OneIpReason.silence, 0],
    ['announce', { announceSeconds: 0 }, OneIpReason.announce, 0],
    ['affinity', { affinity: 0 }, OneIpReason.affinity, 0],
    ['dispatch', { dispatch: 0 }, OneIpReason.dispatch, 0],
    ['no address', { addresses: [] }, OneIpReason.addressCount, 0],
    [
      'too many addresses',
      { addresses: Array.from({ length: 17 }, () => good.addresses[0]!) },
      OneIpReason.addressCount,
      0,
    ],
    [
      'a family',
      { addresses: [good.addresses[0]!, { family: 0, address: zero }] },
      OneIpReason.address,
      1,
    ],
    [
      'an address twice',
      { addresses: [good.addresses[0]!, good.addresses[0]!] },
      OneIpReason.addressTwice,
      1,
    ],
    ['no member', { members: [] }, OneIpReason.memberCount, 0],
    ['an id twice', { members: [first!, { ...second!, nodeId: 1 }] }, OneIpReason.nodeId, 1],
    ['id 0', { members: [{ ...first!, nodeId: 0 }, second!] }, OneIpReason.nodeId, 0],
    ['a rank twice', { members: [first!, { ...second!, rank: 0 }] }, OneIpReason.rank, 1],
    ['a weight', { members: [first!, { ...second!, weight: 1001 }] }, OneIpReason.weight, 1],
    [
      'a MAC address',
      { members: [{ ...first!, mac: Uint8Array.of(1, 0, 0, 0, 0, 1) }, second!] },
      OneIpReason.mac,
      0,
    ],
    [
      'an own address',
      { members: [first!, { ...second!, ipv4: zero.subarray(0, 4) }] },
      OneIpReason.memberAddress,
      1,
    ],
    ['a stranger', { localNode: 3 }, OneIpReason.localNode, 0],
    [
      'no weight',
      {
        members: [
          { ...first!, weight: 0 },
          { ...second!, weight: 0 },
        ],
      },
      OneIpReason.noWeight,
      0,
    ],
    ['too many rules', { rules: Array.from({ length: 65 }, () => rule) }, OneIpReason.ruleCount, 0],
    ['a protocol', { rules: [rule, { ...rule, protocol: 1 }] }, OneIpReason.rule, 1],
    ['a range', { rules: [{ ...rule, lastPort: 79 }] }, OneIpReason.rule, 0],
    ['a mode', { rules: [{ ...rule, mode: 0 }] }, OneIpReason.rule, 0],
    ['an affinity of a rule', { rules: [{ ...rule, affinity: 0 }] }, OneIpReason.rule, 0],
    ['an owner of a shared rule', { rules: [{ ...rule, owner: 1 }] }, OneIpReason.ruleOwner, 0],
    [
      'an owner that is a stranger',
      { rules: [{ ...rule, mode: OneIpRuleMode.single, affinity: 0, owner: 3 }] },
      OneIpReason.ruleOwner,
      0,
    ],
    ['rules that overlap', { rules: [rule, { ...rule, protocol: 0 }] }, OneIpReason.ruleOverlap, 1],
    ['a small capacity', { flowCapacity: 1023 }, OneIpReason.flowCapacity, 0],
    ['a large capacity', { flowCapacity: 16777217 }, OneIpReason.flowCapacity, 0],
    ['no idle time', { tcpIdleSeconds: 0 }, OneIpReason.idle, 0],
    ['a long idle time', { closingSeconds: 604801 }, OneIpReason.idle, 0],
    [
      'a stranger in the past',
      { table: table((slot) => (slot % 4 ? 1 : 0)), past: table((slot) => (slot === 9 ? 2 : 255)) },
      OneIpReason.pastTable,
      9,
    ],
    ['a table of a stranger', { table: table(() => 2) }, OneIpReason.table, 0],
    ['a table off its shares', { table: table((slot) => slot % 2) }, OneIpReason.table, NaN],
  ];
  for (const [what, change, reason, index] of wrong) {
    const error: unknown = await oneIp
      .setConfiguration({ ...good, ...change })
      .catch((caught: unknown) => caught);
    const refusal = refusalOf(error);
    t.equal(refusal?.reason, reason, `${what}: ${String(error)}`);
    if (!Number.isNaN(index)) t.equal(refusal?.index, index, what);
  }
  t.equal(await oneIp.configuration(), null, 'none of them changed anything');
  await oneIp.setConfiguration(good);
  const present = await oneIp.configuration();
  t.same(
    { ...present, table: null, past: null },
    { ...good, beaconKey: zero },
    'all but the key comes back',
  );
  t.equal(present?.table?.length, 65537);
  t.equal(present?.past?.length, 65537);
  await oneIp.close();
  t.equal(await host.stop('SIGTERM'), 0, host.log);
});

const ip = (...words: string[]): void => {
  const { status, stderr } = spawnSync('ip', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr}`);
};

for (const image of ['elf', 'pe'] as const) {
  t.test(
    `a node with an adapter: ${image}`,
    // A named namespace is a file in a folder of root's.
    { skip, ...otherUsers },
    async (t) => {
      const namespace = `ntscli-${process.pid}-${image}`;
      ip('netns', 'add', namespace);
      t.teardown(() => ip('netns', 'del', namespace));
      const inside = ['ip', 'netns', 'exec', namespace];
      ip(
        '-n',
        namespace,
        'link',
        'add',
        'eth0',
        'address',
        '02:4e:54:00:00:01',
        'type',
        'veth',
        'peer',
        'name',
        'wire',
      );
      for (const link of ['lo', 'wire', 'eth0']) ip('-n', namespace, 'link', 'set', link, 'up');

      const host = await hostWithOneIp(
        t,
        {
          wrapper: inside,
          parameters: ['--adapter', 'eth0:net0'],
        },
        image,
      );
      const file = writeCluster(host, clusterText(1));
      t.match(
        await host.ntswift('oneip', 'apply', file),
        { status: 0, stderr: /in force on alpha/ },
        'it knows itself',
      );
      const show = (): Promise<Show> => host.json<Show>('oneip', 'show');

      const alone = await until(async () => {
        const view = await show();
        return view.role === 'dispatcher' ? view : null;
      });
      t.match(alone, { adapter: 'running', dispatcher: { name: 'alpha' }, epoch: { node: 1 } });
      t.match(alone.members, [
        { name: 'alpha', alive: true, slots: 65537 },
        { name: 'beta', alive: false },
      ]);

      const vetoed = await host.json<Show>('oneip', 'veto', 'on');
      t.match(vetoed, { vetoed: true, dispatcher: null });
      t.not(vetoed.role, 'dispatcher');
      t.match(await host.ntswift('oneip', 'promote'), {
        status: 3,
        stderr: /ntswift oneip veto off/,
      });
      await host.json('oneip', 'veto', 'off');
      // Where both cores are busy the node may notice a stall of its own, and listen for a while.
      const promoted = await until(async () => {
        const { status } = await host.ntswift('oneip', 'promote');
        const view = await show();
        return status === 0 && view.role === 'dispatcher' ? view : null;
      });
      t.ok(promoted.epoch.counter > alone.epoch.counter, 'a new term');

      const page = await host.json('node');
      t.match(page, {
        adapters: [{ name: /eth0|net0/, mac: /^02:4e:54:00:00:01$/i }],
        oneip: { configured: true, node: { name: 'alpha' } },
      });
      const stats = await host.json('oneip', 'stats');
      t.ok(Number(stats.announcements) > 0);
      t.ok(readFileSync(path.join(host.folder, 'host.log'), 'utf8').length >= 0);
      t.equal(await host.stop('SIGTERM'), 0, host.log);
    },
  );
}
