/** What a node says of itself, from what its driver says. */
import t from 'tap';
import { cutOff, topText } from '../../userland/cli/oneip-top.js';
import { nodeText, ruleTable } from '../../userland/cli/oneip-text.js';
import { bar } from '../../userland/cli/progress.js';
import { styleFor } from '../../userland/cli/style.js';
import type { FlowCounts, NodeStatus } from '../../userland/oneip/client.js';
import {
  ONEIP_CONTRACT_VERSION,
  OneIpAdapterState,
  OneIpAffinity,
  OneIpDispatch,
  OneIpDrop,
  type OneIpEvent,
  OneIpEventKind,
  OneIpFamily,
  type OneIpMemberStatus,
  OneIpRole,
  type OneIpRule,
  OneIpRuleMode,
  type OneIpRuleStatus,
  OneIpStats,
} from '../../userland/oneip/codec.js';
import { type Configuration, DEFAULT_FLOWS } from '../../userland/oneip/configuration.js';
import { ruleStatusViews } from '../../userland/oneip/rule-view.js';
import { type Sample, topView } from '../../userland/oneip/top.js';
import { eventView, nodeView, statsView } from '../../userland/oneip/view.js';

const plain = styleFor(process.stdout, false);
const names = new Map([
  [1, 'alpha'],
  [2, 'beta'],
]);

const rule = (fields: Partial<OneIpRule>): OneIpRule => ({
  protocol: 6,
  firstPort: 80,
  lastPort: 80,
  mode: OneIpRuleMode.shared,
  affinity: 0,
  owner: 0,
  ...fields,
});

const rules = [
  rule({ lastPort: 443, affinity: OneIpAffinity.network }),
  rule({ firstPort: 25, lastPort: 25, mode: OneIpRuleMode.single, owner: 2 }),
  rule({ protocol: 0, firstPort: 1, lastPort: 9, mode: OneIpRuleMode.blocked }),
];

const memberStatus = (
  nodeId: number,
  more: Partial<OneIpMemberStatus> = {},
): OneIpMemberStatus => ({
  nodeId,
  alive: 1,
  silentMs: 3,
  slots: 100,
  generation: 7n,
  frames: 0n,
  bytes: 0n,
  draining: 0,
  ...more,
});

const status = (more: Partial<NodeStatus> = {}): NodeStatus => ({
  version: ONEIP_CONTRACT_VERSION,
  role: OneIpRole.dispatcher,
  adapterState: OneIpAdapterState.running,
  vetoed: 0,
  epoch: { counter: 5n, nodeId: 1 },
  dispatcher: 1,
  localNode: 1,
  generation: 7n,
  clusterGeneration: 7n,
  tableDigest: 1n,
  reservedCounter: 10n,
  takeovers: 1n,
  roleMilliseconds: 1000n,
  eventSequence: 9n,
  behind: 0,
  memberCount: 2,
  draining: 0,
  ruleCount: 3,
  members: [memberStatus(1), memberStatus(2, { draining: 1 })],
  ...more,
});

const address = new Uint8Array(16);
address.set([10, 77, 0, 100]);

const configuration: Configuration = {
  generation: 7n,
  clusterId: new Uint8Array(16),
  hashKey: new Uint8Array(16),
  beaconKey: new Uint8Array(16),
  localNode: 1,
  beaconMilliseconds: 10,
  silenceBeacons: 3,
  announceSeconds: 60,
  affinity: OneIpAffinity.client,
  dispatch: OneIpDispatch.table,
  ...DEFAULT_FLOWS,
  addresses: [{ family: OneIpFamily.ipv4, address }],
  members: [],
  rules,
  table: null,
  past: null,
};

t.test('a node with rules that drains', (t) => {
  const view = nodeView(status({ draining: 1 }), configuration, names);
  t.match(view, {
    draining: true,
    members: [{ draining: false }, { name: 'beta', draining: true }],
    configuration: {
      flows: { capacity: 262144, tcpIdle: 7440, udpIdle: 300, opening: 30, closing: 60 },
      rules: [
        {
          index: 0,
          protocol: 'tcp',
          firstPort: 80,
          lastPort: 443,
          mode: 'shared',
          affinity: 'network',
          owner: null,
        },
        { range: 'tcp 25', mode: 'single', affinity: null, owner: { id: 2, name: 'beta' } },
        { text: 'tcp+udp 1-9, blocked', mode: 'blocked' },
      ],
    },
  });
  const text = nodeText(view, plain);
  t.match(text, /role +dispatcher for 1\.0 s, draining\n/);
  t.match(
    text,
    /ports +tcp 80-443, shared by network\n +tcp 25, single beta\n +tcp\+udp 1-9, blocked\n/,
  );
  t.match(text, /flows +262144 at most; idle limits: TCP 7440 s, UDP 300 s/);
  t.match(text, /beta +2 +draining/);
  t.match(text, /alpha \(this\) +1 +alive/);
  t.end();
});

const event = (kind: OneIpEventKind, value: bigint): OneIpEvent => ({
  sequence: 1n,
  systemTime: 133_000_000_000_000_000n,
  kind,
  node: 2,
  value,
  epoch: { counter: 0n, nodeId: 0 },
  address: { family: 0, address: new Uint8Array(16) },
  mac: new Uint8Array(6),
});

t.test('every kind of event has words', (t) => {
  t.match(eventView(event(OneIpEventKind.drain, 1n), names), {
    kind: 'drain',
    text: 'beta drains: it serves no new client',
    node: { id: 2, name: 'beta' },
    value: 1n,
  });
  t.equal(eventView(event(OneIpEventKind.drain, 0n), names).text, 'beta serves new clients again');
  const texts = Object.values(OneIpEventKind).map((kind) => eventView(event(kind, 1n), names).text);
  t.equal(new Set(texts).size, texts.length);
  t.end();
});

const stats = (more: Partial<OneIpStats> = {}): OneIpStats => ({
  ...OneIpStats.decode(Buffer.alloc(OneIpStats.size)),
  dropReasons: OneIpDrop.reasons,
  ...more,
});

const drops = (more: Partial<Record<OneIpDrop, bigint>>): bigint[] =>
  Array.from({ length: 16 }, (_, i) => more[i as OneIpDrop] ?? 0n);

t.test('counters', (t) => {
  const view = statsView(stats({ flowHits: 5n, drops: drops({ [OneIpDrop.blocked]: 3n }) }));
  t.match(view, { flowHits: 5n, secondChances: 0n, drops: { blocked: 3n, fragment: 0n } });
  t.notOk('reasons' in (view.drops as object));
  t.end();
});

const ruleStatus = (of: OneIpRule, more: Partial<OneIpRuleStatus> = {}): OneIpRuleStatus => ({
  rule: of,
  nodeId: 0,
  frames: 0n,
  bytes: 0n,
  flows: 0n,
  dropped: 0n,
  ...more,
});

const others = rule({
  protocol: 0,
  firstPort: 0,
  lastPort: 0,
  mode: 0,
  affinity: OneIpAffinity.client,
});

const count = (established: bigint, opening = 0n, closing = 0n) => ({
  opening,
  established,
  closing,
});

const counts: FlowCounts = {
  memberCount: 2,
  ruleCount: 3,
  capacity: 1000n,
  bytes: 69_000n,
  all: count(240n, 5n, 5n),
  members: [count(200n, 5n), count(40n, 0n, 5n)],
  rules: [count(100n), count(1n), count(0n), count(139n, 5n, 5n)],
};

const ruleStatuses = [
  ruleStatus(rules[0]!, { frames: 1000n, bytes: 64_000n, flows: 120n }),
  ruleStatus(rules[1]!, { nodeId: 1, frames: 10n }),
  ruleStatus(rules[2]!, { dropped: 44n }),
  ruleStatus(others, { frames: 77n }),
];

t.test('rules', (t) => {
  const views = ruleStatusViews(ruleStatuses, counts, names);
  t.match(views, [
    {
      index: 0,
      range: 'tcp 80-443',
      frames: 1000n,
      flowsLearned: 120n,
      flows: { established: 100n },
    },
    { index: 1, owner: { name: 'beta' }, servedBy: { id: 1, name: 'alpha' } },
    { index: 2, mode: 'blocked', dropped: 44n },
    { index: null, range: 'all else', affinity: 'client', flows: { opening: 5n } },
  ]);
  const text = ruleTable(views, plain);
  t.match(text, /^ *1 +tcp 80-443 +all, by network +1000 +64000 +100 +120 +0$/m);
  t.match(text, /^ *2 +tcp 25 +alpha, for beta +10/m);
  t.match(text, /^ *3 +tcp\+udp 1-9 +nobody: blocked .* 44$/m);
  t.match(text, /^ *- +all else +all, by client +77/m);
  const down = ruleStatusViews([ruleStatus(rules[1]!), ruleStatus(others)], null, names);
  t.match(ruleTable(down, plain), /nobody: beta is down/);
  t.match(ruleStatusViews(ruleStatuses.slice(1), counts, names), [{ flows: null }]);
  t.end();
});

const sample = (more: Partial<Sample> = {}): Sample => ({
  at: 1000,
  status: status(),
  stats: stats(),
  counts,
  rules: ruleStatuses,
  ...more,
});

t.test('rates between two samples', (t) => {
  const before = sample({
    status: status({ members: [memberStatus(1, { frames: 100n, bytes: 1000n })] }),
    stats: stats({ framesIndicated: 1000n, drops: drops({ [OneIpDrop.malformed]: 8n }) }),
    // The same rule at another place; the second was not there.
    rules: [ruleStatus(rules[2]!, { dropped: 40n }), ruleStatus(others, { frames: 70n })],
  });
  const after = sample({
    at: 3000,
    status: status({
      members: [
        memberStatus(1, { frames: 300n, bytes: 5000n }),
        memberStatus(2, { frames: 50n, alive: 0 }),
      ],
    }),
    stats: stats({
      framesIndicated: 2500n,
      framesForwarded: 600n,
      bytesForwarded: 3_000_000n,
      flowsLearned: 14n,
      drops: drops({
        [OneIpDrop.malformed]: 8n,
        [OneIpDrop.noMember]: 6n,
        [OneIpDrop.blocked]: 4n,
      }),
    }),
  });
  const view = topView(before, after, names);
  t.match(view, {
    seconds: 2,
    node: { name: 'alpha' },
    role: 'dispatcher',
    indicatedPerSecond: 750,
    forwardedPerSecond: 300,
    droppedPerSecond: 5,
    drops: { noMember: 3, blocked: 2 },
    flows: { fill: 0.25, learnedPerSecond: 7, established: 240n },
    members: [
      { name: 'alpha', framesPerSecond: 100, bytesPerSecond: 2000, flows: 205n, dispatcher: true },
      { name: 'beta', framesPerSecond: 25, alive: false, flows: 45n },
    ],
    rules: [
      { framesPerSecond: 500, flows: 100n },
      { servedBy: { name: 'alpha' } },
      { droppedPerSecond: 2 },
      { index: null, framesPerSecond: 3.5 },
    ],
  });
  t.same(Object.keys(view.drops).sort(), ['blocked', 'noMember'], 'only what happened');

  const text = topText(view, plain);
  t.match(text, /node +alpha, dispatcher\n/);
  t.match(text, /750 in, 0 passed up, 300 forwarded \(1\.5 MB\/s\), 5\.0 dropped/);
  t.match(text, /\[######-+\] 25\.0% of 1000 \(69\.0 kB\): 5 opening, 240 established, 5 closing/);
  t.match(text, /^alpha \(this\) +alive +dispatcher +100 +2\.0 kB +205$/m);
  t.match(text, /^beta +down +25 +0 B +45$/m);
  t.match(text, /^tcp\+udp 1-9, blocked .* 2\.0$/m);
  t.match(text, /^no member +3\.0\nblocked +2\.0$/m);
  t.end();
});

t.test('counters that begin anew, and a node without a configuration', (t) => {
  const anew = topView(
    sample({ stats: stats({ framesIndicated: 500n }) }),
    sample({ at: 2000, stats: stats({ framesIndicated: 20n }) }),
    names,
  );
  t.equal(anew.indicatedPerSecond, 20);
  const none = sample({
    status: status({ localNode: 0, generation: 0n, members: [] }),
    counts: null,
    rules: [],
  });
  const view = topView(none, { ...none, at: 2000 }, names);
  t.match(view, { node: null, flows: null, members: [], rules: [] });
  t.match(topText(view, plain), /node +not configured/);
  t.end();
});

t.test('what does not fit on the screen', (t) => {
  t.equal(cutOff('abcdef', 4), 'abcd');
  t.equal(cutOff('\u001b[31mabc\u001b[39mdef', 4), '\u001b[31mabc\u001b[39md');
  t.equal(cutOff('abc', 4), 'abc');
  t.equal(bar(0.5, 4), '[##--]');
  t.equal(bar(7, 4), '[####]');
  t.equal(bar(-1, 4), '[----]');
  t.end();
});
