/** ntswift oneip set: what a configuration becomes. */
import t from 'tap';
import { changeConfiguration } from '../../userland/oneip/change.js';
import { OneIpAffinity, OneIpDispatch, OneIpFamily } from '../../userland/oneip/codec.js';
import { type Configuration, DEFAULT_FLOWS } from '../../userland/oneip/configuration.js';
import { settableKeys } from '../../userland/oneip/settable.js';

const member = (nodeId: number, weight: number): Configuration['members'][number] => ({
  nodeId,
  rank: nodeId - 1,
  weight,
  mac: Uint8Array.of(2, 0, 0, 0, 0, nodeId),
  ipv4: Uint8Array.of(10, 77, 0, nodeId),
  ipv6: new Uint8Array(16),
});

const address = new Uint8Array(16);
address.set([10, 77, 0, 100]);

const present: Configuration = {
  generation: 7n,
  clusterId: new Uint8Array(16).fill(1),
  hashKey: new Uint8Array(16).fill(2),
  beaconKey: new Uint8Array(16),
  localNode: 1,
  beaconMilliseconds: 10,
  silenceBeacons: 3,
  announceSeconds: 60,
  affinity: OneIpAffinity.client,
  dispatch: OneIpDispatch.table,
  ...DEFAULT_FLOWS,
  addresses: [{ family: OneIpFamily.ipv4, address }],
  members: [member(1, 1), member(2, 3), member(33, 1)],
  rules: [],
  table: new Uint8Array(65537),
  past: new Uint8Array(65537),
};

const names = new Map([
  [1, 'alpha'],
  [2, 'beta.example'],
]);

const change = (...words: string[]) => changeConfiguration(present, words, names);

t.test('what was asked changes, the generation rises by one, the driver moves the table', (t) => {
  const { configuration, changes } = change(
    'weight.beta.example=4',
    'weight.33=0',
    'rank.alpha=9',
    'affinity=five-tuple',
    'beacon.ms=5',
    'flows.tcpIdle=3600',
  );
  t.same(changes, [
    { key: 'weight.beta.example', from: '3', to: '4' },
    { key: 'weight.33', from: '1', to: '0' },
    { key: 'rank.alpha', from: '0', to: '9' },
    { key: 'affinity', from: 'client', to: 'five-tuple' },
    { key: 'beacon.ms', from: '10', to: '5' },
    { key: 'flows.tcpIdle', from: '7440', to: '3600' },
  ]);
  t.same(configuration, {
    ...present,
    generation: 8n,
    affinity: OneIpAffinity.fiveTuple,
    beaconMilliseconds: 5,
    tcpIdleSeconds: 3600,
    members: [{ ...member(1, 1), rank: 9 }, member(2, 4), member(33, 0)],
    table: null,
    past: null,
  });
  t.equal(present.members[1]?.weight, 3, 'the present one is as it was');
  t.end();
});

t.test('each key changes a value of its own', (t) => {
  const texts: Record<string, string> = { affinity: 'network', dispatch: 'modulo' };
  const results = settableKeys.map((key) => {
    const { configuration, changes } = change(
      `${key}=${texts[key] ?? (key === 'flows.capacity' ? 2048 : 77)}`,
    );
    t.match(changes, [{ key }]);
    const changed = Object.entries(configuration).filter(
      ([name, value]) => value !== present[name as keyof Configuration],
    );
    const other = changed
      .map(([name]) => name)
      .filter((name) => !['generation', 'table', 'past'].includes(name));
    t.equal(other.length, 1, key);
    return other[0];
  });
  t.equal(new Set(results).size, settableKeys.length);
  t.end();
});

t.test('nothing changes where the values are those in force', (t) => {
  const { configuration, changes } = change('weight.alpha=1', 'dispatch=table');
  t.same(changes, []);
  t.equal(configuration, present);
  t.match(change('weight.alpha=1', 'beacon.ms=20').changes, [{ key: 'beacon.ms' }]);
  t.end();
});

t.test('two ranks are exchanged in one command, not in two', (t) => {
  t.match(change('rank.alpha=1', 'rank.2=0').configuration.members, [{ rank: 1 }, { rank: 0 }]);
  t.throws(() => change('rank.alpha=1'), {
    code: 'NTS_ERR_USAGE',
    message: /alpha and beta\.example would both have rank 1/,
  });
  t.end();
});

t.test('what cannot be set', (t) => {
  const refused: [string[], RegExp][] = [
    [['weight'], /"weight" is not KEY=VALUE/],
    [['=3'], /"=3" is not KEY=VALUE/],
    [
      ['weight.gamma=3'],
      /no member is called "gamma"; the members are alpha, beta\.example, node33/,
    ],
    [
      ['wieght.alpha=3'],
      /"wieght\.alpha" cannot be set; these can: weight\.NODE, .*flows\.closing/,
    ],
    [['constructor=3'], /cannot be set/],
    [['weight.alpha=1001'], /weight\.alpha: "1001" is not a whole number from 0 to 1000/],
    [['weight.alpha='], /"" is not a whole number/],
    [['affinity=all'], /affinity: "all" is not one of client, network, five-tuple/],
    [['beacon.ms=0'], /from 1 to 1000/],
    [['flows.capacity=1'], /from 1024 to 16777216/],
    [['beacon.ms=5', 'beacon.ms=6'], /beacon\.ms is given twice/],
    [['weight.alpha=0', 'weight.2=0', 'weight.33=0'], /every member would have weight 0/],
  ];
  for (const [words, message] of refused) {
    t.throws(() => change(...words), { code: 'NTS_ERR_USAGE', message }, words.join(' '));
  }
  t.end();
});
