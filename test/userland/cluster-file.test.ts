/** The cluster file: what it becomes, and its errors by line. */
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { deflateSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { isNtsError } from '../../userland/common/errors.js';
import { chooseLocalMember } from '../../userland/oneip/apply.js';
import { readClusterFile, toConfiguration } from '../../userland/oneip/cluster-file.js';
import {
  ONEIP_TABLE_SLOTS,
  OneIpAffinity,
  OneIpDispatch,
  OneIpFamily,
  OneIpRuleMode,
} from '../../userland/oneip/codec.js';
import { exportCluster } from '../../userland/oneip/export.js';
import { overlap, rangeText } from '../../userland/oneip/port-rule.js';
import { otherUsers } from '../native/nthost.js';

const key = '00112233445566778899aabbccddeeff';

const good = [
  'clusterId: 6ba7b810-9dad-11d1-80b4-00c04fd430c8', // 1
  'generation: 7', // 2
  'addresses: [10.77.0.100, "fd77::0:100"]', // 3
  'members:', // 4
  '  - id: 1', // 5
  '    name: n1', // 6
  '    mac: 02:00:00:00:00:01', // 7
  '    ipv4: 10.77.0.1', // 8
  '    ipv6: fd77::1', // 9
  '  - id: 2', // 10
  '    rank: 9', // 11
  '    weight: 3', // 12
  '    mac: 02-00-00-00-00-0A', // 13
  '    ipv4: 10.77.0.2', // 14
  '    ipv6: fd77::2', // 15
  'beacon:', // 16
  `  key: ${key} # the same on all nodes`, // 17
];

function write(t: Test, text: string, mode = 0o600): string {
  const file = path.join(t.testdir({}), 'cluster.yaml');
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

t.test('a file with all its defaults', async (t) => {
  const file = write(t, good.join('\n'));
  const cluster = await readClusterFile(file);
  t.match(cluster, {
    generation: 7n,
    clusterId: Uint8Array.from(Buffer.from('6ba7b8109dad11d180b400c04fd430c8', 'hex')),
    beaconKey: Uint8Array.from(Buffer.from(key, 'hex')),
    affinity: OneIpAffinity.client,
    dispatch: OneIpDispatch.table,
    beacon: { ms: 10, silence: 3, announceSeconds: 60 },
    rules: [],
    flows: { capacity: 262144, tcpIdle: 7440, udpIdle: 300, opening: 30, closing: 60 },
    table: null,
    past: null,
    addresses: [
      { family: OneIpFamily.ipv4, text: '10.77.0.100' },
      { family: OneIpFamily.ipv6, text: 'fd77::100' },
    ],
    members: [
      { id: 1, name: 'n1', rank: 0, weight: 1 },
      { id: 2, name: 'node2', rank: 9, weight: 3, mac: Uint8Array.of(2, 0, 0, 0, 0, 10) },
    ],
  });
  t.equal(cluster.locate(['members', 1, 'weight']), `${file}:12:13`);
  t.equal(cluster.locate(['members', 0]), `${file}:5:5`);
  t.equal(cluster.locate(['rules', 'affinity']), `${file}:1:1`, 'what is not there is near');

  t.match(toConfiguration(cluster, 2), {
    localNode: 2,
    generation: 7n,
    members: [{ nodeId: 1 }, { nodeId: 2, ipv4: Uint8Array.of(10, 77, 0, 2) }],
  });

  // The hash key follows from the id, and from nothing else.
  const other = await readClusterFile(
    write(t, good.join('\n').replace('generation: 7', 'generation: 8')),
  );
  t.same(other.hashKey, cluster.hashKey);
  const foreign = await readClusterFile(write(t, good.join('\n').replace('6ba7b810', '6ba7b811')));
  t.notSame(foreign.hashKey, cluster.hashKey);
  t.notSame(cluster.hashKey, cluster.clusterId);
});

t.test('a key of digits stays what was written', async (t) => {
  const digits = '12345678901234567890123456789012';
  const exponent = '1e345678901234567890123456789012';
  for (const written of [digits, exponent]) {
    const { beaconKey } = await readClusterFile(write(t, good.join('\n').replace(key, written)));
    t.equal(Buffer.from(beaconKey).toString('hex'), written);
  }
});

/** Port rules in the place of line 16: the rule, the column of the complaint in its line. */
const badRules: [string[], number, RegExp][] = [
  [['{protocol: tcp}'], 7, /rules.ports\[0\].ports is missing: a port or a range/],
  [['{ports: 443-80}'], 15, /"443-80" is not a port or a range of ports, as 80-443/],
  [['{ports: 65536}'], 15, /"65536" is not a port/],
  [['{ports: 80-65536}'], 15, /"80-65536" is not a port/],
  [['{ports: http}'], 15, /"http" is not a port/],
  [['{ports: 80, protocol: icmp}'], 29, /"icmp" is not one of both, tcp, udp/],
  [['{ports: 80, affinity: clients}'], 29, /"clients" is not one of client, network, five-tuple/],
  [['{ports: 80, single: n3}'], 27, /no member is called "n3"; the members are n1, node2/],
  [['{ports: 80, single: 3}'], 27, /no member is called "3"/],
  [['{ports: 80, blocked: yes}'], 28, /"yes" is not one of true, false/],
  [['{ports: 80, port: 81}'], 19, /rules.ports\[0\].port is not known here/],
  [['{ports: 80, single: n1, blocked: true}'], 40, /single and blocked contradict each other/],
  [['{ports: 80, affinity: client, single: n1}'], 45, /affinity and single contradict/],
  [
    ['{ports: 80-90, protocol: tcp}', '{ports: 90, protocol: tcp}'],
    15,
    /tcp 90 overlaps rules.ports\[0\], tcp 80-90; each port of a protocol has one rule/,
  ],
  [
    ['{ports: 80-90}', '{ports: 53}', '{ports: 0-80, protocol: udp}'],
    15,
    /overlaps rules.ports\[0\]/,
  ],
  [Array.from({ length: 65 }, (_, i) => `{ports: ${i}}`), 5, /a list of 64 port rules at most/],
];

const wrongRules: [number, string, number, number, RegExp][] = badRules.map(
  ([rules, column, message]) => {
    const lines = ['rules:', '  ports:', ...rules.map((rule) => `    - ${rule}`), 'beacon:'];
    const last = rules.length > 64 ? 1 : rules.length;
    return [16, lines.join('\n'), 17 + last, column, message];
  },
);

/** Line of `good` that is replaced, by what, and where the complaint points: line and column. */
const wrong: [number, string, number, number, RegExp][] = [
  [1, 'clusterId: 6ba7b810', 1, 12, /"6ba7b810" is not a UUID or 32 hexadecimal digits/],
  [1, '# nothing', 2, 1, /clusterId is missing: a UUID/],
  [2, 'generation: 0', 2, 13, /"0" is not a whole number from 1 to/],
  [2, 'generation: 1.5', 2, 13, /"1.5" is not a whole number/],
  [2, 'generation: [1]', 2, 13, /this is not a whole number/],
  [2, 'generation:', 2, 1, /"" is not a whole number/],
  [2, 'generaton: 7', 2, 1, /generaton is not known here/],
  [3, 'addresses: []', 3, 12, /a list with an address in it/],
  [3, 'addresses: 10.77.0.100', 3, 12, /"10.77.0.100" is not a list of cluster addresses/],
  [3, 'addresses: [10.77.0.100, 10.77.0]', 3, 26, /addresses\[1\]: "10.77.0" is not a unicast/],
  [3, 'addresses: [224.0.0.1]', 3, 13, /unicast/],
  [3, 'addresses: ["ff02::1"]', 3, 13, /unicast/],
  [3, 'addresses: ["::1"]', 3, 13, /unicast/],
  [3, 'addresses: [10.77.0.100, 10.77.0.100]', 3, 26, /is that of addresses\[0\] already/],
  [3, 'addresses: [10.77.0.2]', 14, 11, /the address 10.77.0.2 is that of addresses\[0\] already/],
  [5, '  - id: 4294967295', 5, 9, /from 1 to 4294967294/],
  [5, '  - id: 2', 10, 9, /the id 2 is that of member "n1" already/],
  [6, '    name: node2', 10, 5, /the name node2 is that of member "node2" already/],
  [6, '    name: a b', 6, 11, /"a b" is not a name/],
  [6, '    rank: 9', 11, 11, /the rank 9 is that of member "node1" already/],
  [
    7,
    '    mac: 02:00:00:00:00:0a',
    13,
    10,
    /the MAC address 02:00:00:00:00:0a is that of member "n1"/,
  ],
  [
    7,
    '    mac: 03:00:00:00:00:01',
    7,
    10,
    /"03:00:00:00:00:01" is not the MAC address of one adapter/,
  ],
  [8, '    ipv4: 10.77.0.300', 8, 11, /unicast IPv4/],
  [8, '    ipv4: 10.77.0.2', 14, 11, /the address 10.77.0.2 is that of member "n1" already/],
  [9, '    # no ipv6', 5, 5, /member "n1" needs its own ipv6, since the cluster address fd77::100/],
  [12, '    weight: 1001', 12, 13, /from 0 to 1000/],
  [12, '    wieght: 3', 12, 5, /members\[1\].wieght is not known here/],
  [
    16,
    'rules: {affinity: clients}\nbeacon:',
    16,
    19,
    /"clients" is not one of client, network, five-tuple/,
  ],
  [16, 'rules: {dispatch: constructor}\nbeacon:', 16, 19, /not one of table, modulo/],
  ...wrongRules,
  [16, 'flows: {capacity: 1023}\nbeacon:', 16, 19, /"1023" is not a whole number from 1024 to/],
  [16, 'flows: {capacity: 16777217}\nbeacon:', 16, 19, /from 1024 to 16777216/],
  [16, 'flows: {tcpIdle: 0}\nbeacon:', 16, 18, /from 1 to 604800/],
  [16, 'flows: {udpIdle: 604801}\nbeacon:', 16, 18, /from 1 to 604800/],
  [16, 'flows: {opening: x}\nbeacon:', 16, 18, /"x" is not a whole number/],
  [16, 'flows: {closed: 1}\nbeacon:', 16, 9, /flows.closed is not known here/],
  [17, '  ms: 10', 17, 3, /beacon.key is missing: 32 hexadecimal digits \(openssl rand -hex 16\)/],
  [17, '  key: 0', 17, 8, /"0" is not 32 hexadecimal digits/],
  [17, `  key: ${'0'.repeat(32)}`, 17, 8, /all zero/],
  [17, `  key: ${key}\n  keyFile: key`, 18, 12, /keep one of key and keyFile/],
  [17, `  key: ${key}\n  silence: 1`, 18, 12, /from 2 to 100/],
  [17, `  key: ${key}\n  announceSeconds: 3601`, 18, 20, /from 1 to 3600/],
  [17, `  key: ${key}\ntable: AAAA`, 18, 8, /not a table of 65537 slots/],
  [17, `  key: ${key}\npast: AAAA`, 18, 7, /not a table of 65537 slots/],
  [17, `  key: ${key}\n  key: ${key}`, 18, 3, /unique/],
  [4, 'members: [', 5, 3, /./],
  [4, '\tmembers:', 4, 1, /[Tt]ab/],
];

t.test('what is wrong is told by its line', async (t) => {
  for (const [line, becomes, atLine, atColumn, message] of wrong) {
    const file = write(t, good.with(line - 1, becomes).join('\n'));
    const error: unknown = await readClusterFile(file).catch((caught: unknown) => caught);
    if (!isNtsError(error, 'NTS_ERR_CLUSTER_FILE')) {
      t.fail(`line ${line}: ${becomes}: ${String(error)}`);
      continue;
    }
    const complaints = error.message.split('\n');
    const found = complaints.find((text) => text.startsWith(`${file}:${atLine}:${atColumn}: `));
    t.match(found ?? error.message.replaceAll(`${file}:`, ''), message, `line ${line}: ${becomes}`);
    t.equal(error.exitCode, 6);
  }
});

t.test('all errors are told at once, in their order', async (t) => {
  const text = good.with(1, 'generation: x').with(6, '    mac: x').with(16, '  key: x').join('\n');
  const file = write(t, text);
  const error = await readClusterFile(file).catch((caught: unknown) => caught as Error);
  const lines = (error as Error).message.split('\n').map((line) => /:(\d+):\d+: /.exec(line)?.[1]);
  t.same(lines, ['2', '7', '17']);
});

t.test('every member without weight', async (t) => {
  const text = good.with(5, '    weight: 0').with(11, '    weight: 0').join('\n');
  await t.rejects(readClusterFile(write(t, text)), /cluster\.yaml:5:3: every member has weight 0/);
});

t.test('a table travels with the file', async (t) => {
  const table = Uint8Array.from({ length: ONEIP_TABLE_SLOTS }, (_, i) => (i % 4 === 0 ? 0 : 1));
  const encode = (slots: Uint8Array): string => deflateSync(slots).toString('base64');
  const withTable = (slots: Uint8Array, ...more: string[]): string =>
    [
      ...good,
      ...more,
      'table: |',
      ...encode(slots)
        .match(/.{1,90}/g)!
        .map((part) => `  ${part}`),
    ].join('\n');
  const cluster = await readClusterFile(write(t, withTable(table)));
  t.same(cluster.table, table);
  t.same(toConfiguration(cluster, 1).table, table);

  const foreign = Uint8Array.from(table);
  foreign[1234] = 2;
  await t.rejects(
    readClusterFile(write(t, withTable(foreign))),
    /:18:8: slot 1234 of the table belongs to a member that is not in this file/,
  );
  await t.rejects(
    readClusterFile(write(t, withTable(table.subarray(1)))),
    /not a table of 65537 slots/,
  );
  await t.rejects(
    readClusterFile(write(t, withTable(table, 'rules: {dispatch: modulo}'))),
    /modulo, which uses no table/,
  );
  // A bomb is not inflated.
  const bomb = withTable(new Uint8Array(50_000_000));
  await t.rejects(readClusterFile(write(t, bomb)), /not a table of 65537 slots/);
});

t.test('the table of before travels with it', async (t) => {
  const table = Uint8Array.from({ length: ONEIP_TABLE_SLOTS }, (_, i) => (i % 4 === 0 ? 0 : 1));
  const past = Uint8Array.from({ length: ONEIP_TABLE_SLOTS }, (_, i) => (i % 3 ? 1 : 0xff));
  const base64 = (slots: Uint8Array): string => deflateSync(slots).toString('base64');
  const file = (...more: string[]): string => write(t, [...good, ...more].join('\n'));
  const tables = [`table: ${base64(table)}`, `past: ${base64(past)}`];
  const cluster = await readClusterFile(file(...tables));
  t.same(toConfiguration(cluster, 1).past, past);

  await t.rejects(readClusterFile(file(tables[1]!)), /:18:7: a past table belongs to a table/);
  past[77] = 2;
  await t.rejects(
    readClusterFile(file(tables[0]!, `past: ${base64(past)}`)),
    /:19:7: slot 77 of the past table belongs to a member that is not in this file/,
  );
});

const withRules = good.with(
  15,
  [
    'rules:',
    '  affinity: five-tuple',
    '  ports:',
    '    - { protocol: tcp, ports: 80-88, affinity: network }',
    '    - { protocol: tcp, ports: 25, single: node2 }',
    '    - { protocol: udp, ports: 80, single: 1, blocked: false }',
    '    - { ports: 135 - 139, blocked: true }',
    '    - ports: 8080',
    'flows: { capacity: 1000000, tcpIdle: 3600, udpIdle: 60, opening: 5, closing: 10 }',
    'beacon:',
  ].join('\n'),
);

t.test('port rules and flows', async (t) => {
  const cluster = await readClusterFile(write(t, withRules.join('\n')));
  const none = { affinity: 0, owner: 0 };
  const both = { protocol: 0, mode: OneIpRuleMode.shared, owner: 0 };
  t.same(cluster.rules, [
    { ...both, protocol: 6, firstPort: 80, lastPort: 88, affinity: OneIpAffinity.network },
    { ...none, protocol: 6, firstPort: 25, lastPort: 25, mode: OneIpRuleMode.single, owner: 2 },
    { ...none, protocol: 17, firstPort: 80, lastPort: 80, mode: OneIpRuleMode.single, owner: 1 },
    { ...none, protocol: 0, firstPort: 135, lastPort: 139, mode: OneIpRuleMode.blocked },
    { ...both, firstPort: 8080, lastPort: 8080, affinity: OneIpAffinity.fiveTuple },
  ]);
  t.match(toConfiguration(cluster, 1), {
    rules: cluster.rules,
    flowCapacity: 1_000_000,
    tcpIdleSeconds: 3600,
    udpIdleSeconds: 60,
    openingSeconds: 5,
    closingSeconds: 10,
  });
  t.equal(cluster.locate(['rules', 'ports', 1, 'single']), `${cluster.file}:20:43`);
});

t.test('which rules overlap', (t) => {
  const range = (protocol: number, firstPort: number, lastPort: number) => ({
    protocol,
    firstPort,
    lastPort,
  });
  const cases: [ReturnType<typeof range>, ReturnType<typeof range>, boolean][] = [
    [range(6, 80, 80), range(6, 80, 80), true],
    [range(6, 80, 80), range(17, 80, 80), false],
    [range(0, 80, 80), range(17, 80, 80), true],
    [range(6, 80, 90), range(6, 90, 99), true],
    [range(6, 80, 90), range(6, 91, 99), false],
    [range(6, 0, 65535), range(0, 443, 443), true],
  ];
  for (const [a, b, expected] of cases) {
    t.equal(overlap(a, b), expected, `${rangeText(a)}, ${rangeText(b)}`);
    t.equal(overlap(b, a), expected);
  }
  t.end();
});

t.test('a file that was exported is read as what it was', async (t) => {
  const table = Uint8Array.from({ length: ONEIP_TABLE_SLOTS }, (_, i) => (i % 4 === 0 ? 0 : 1));
  const past = Uint8Array.from(table, (member) => (member ? 0 : 0xff));
  const cluster = { ...(await readClusterFile(write(t, withRules.join('\n')))), table, past };
  const configuration = toConfiguration(cluster, 1);
  const names = new Map(cluster.members.map(({ id, name }) => [id, name]));
  const again = await readClusterFile(write(t, exportCluster(configuration, names, true)));
  t.same(toConfiguration(again, 1), configuration);
  t.same(again.members, cluster.members);

  const withoutKey = exportCluster(configuration, names, false);
  t.notMatch(withoutKey, key);
  await t.rejects(readClusterFile(write(t, withoutKey)), /beacon\.key is missing/);
});

t.test('a key that others may read is refused, with the command that mends it', async (t) => {
  for (const mode of [0o640, 0o604, 0o620, 0o660, 0o644, 0o777]) {
    const file = write(t, good.join('\n'), mode);
    await t.rejects(readClusterFile(file), {
      code: 'NTS_ERR_FILE_PERMISSIONS',
      message: new RegExp(`mode ${mode.toString(8)}.*Run: chmod 600 ${file}`),
      exitCode: 6,
    });
  }
  t.equal((await readClusterFile(write(t, good.join('\n'), 0o400))).generation, 7n);
});

t.test('a key that belongs to another user is refused', otherUsers, async (t) => {
  const file = write(t, good.join('\n'));
  chownSync(file, 12345, 12345);
  await t.rejects(readClusterFile(file), /belongs to another user.*chown 0/);
});

t.test('a key file', async (t) => {
  const file = write(t, good.with(16, '  keyFile: beacon.key').join('\n'), 0o644);
  const keyFile = path.join(path.dirname(file), 'beacon.key');
  await t.rejects(readClusterFile(file), /beacon\.key: cannot be read \(it does not exist\)/);
  writeFileSync(keyFile, `${key}\n`, { mode: 0o644 });
  await t.rejects(
    readClusterFile(file),
    new RegExp(`beacon\\.key: others may use it.*chmod 600 .*beacon\\.key`),
  );
  chmodSync(keyFile, 0o600);
  t.equal(Buffer.from((await readClusterFile(file)).beaconKey).toString('hex'), key);
  writeFileSync(keyFile, 'nonsense');
  await t.rejects(readClusterFile(file), /cluster\.yaml:17:12: beacon\.key does not hold 32/);
});

t.test('files that cannot be read', async (t) => {
  const folder = t.testdir({});
  await t.rejects(readClusterFile(path.join(folder, 'none.yaml')), {
    code: 'NTS_ERR_FILE_READ',
    message: /does not exist/,
  });
  await t.rejects(readClusterFile(folder), { code: 'NTS_ERR_FILE_READ', message: /it is no file/ });
});

t.test('which member this machine is', async (t) => {
  const cluster = await readClusterFile(write(t, good.join('\n')));
  t.equal(chooseLocalMember(cluster, null, ['0A:00:00:00:00:00', '02-00-00-00-00-01']).name, 'n1');
  t.equal(chooseLocalMember(cluster, 'node2', []).id, 2);
  t.equal(chooseLocalMember(cluster, '1', []).id, 1);
  const refused = (named: string | null, macs: string[], message: RegExp): void => {
    t.throws(() => chooseLocalMember(cluster, named, macs), {
      code: 'NTS_ERR_LOCAL_NODE',
      message,
    });
  };
  refused(
    null,
    ['02:00:00:00:00:99'],
    /no member has a MAC address of this machine \(02:00:00:00:00:99\).*--node/,
  );
  refused(null, [], /\(none\)/);
  refused(null, ['02:00:00:00:00:01', '02:00:00:00:00:0a'], /several members \(n1, node2\)/);
  refused('n3', [], /no member is called "n3"; the members are n1, node2/);
});
