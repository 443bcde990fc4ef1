/** The bench's own arithmetic: spreads, pairs within rounds, goals, plots, and what callgrind dumps. */
import t from 'tap';
import { instructionsIn } from '../../tools/bench/callgrind.js';
import { goals, outcome, type Goal, type Sample } from '../../tools/bench/goals.js';
import { barChart, ceiling, lineChart } from '../../tools/bench/plot.js';
import { median, pairwise, spread } from '../../tools/bench/statistics.js';

t.test('median and spread', (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([10, 1, 2, 3]), 2.5);
  t.ok(Number.isNaN(median([])));
  t.match(spread([5, 1, 9]), { median: 5, min: 1, max: 9 });
  t.end();
});

t.test('pairs are of the same round', (t) => {
  // The second round is three times as slow as the first, for both.
  t.match(pairwise([2, 6, 4], [1, 3, 2], 'ratio'), { median: 2, min: 2, max: 2 });
  t.match(pairwise([2, 6], [1, 3], 'difference'), { median: 2, min: 1, max: 3 });
  t.match(pairwise([2, null, 9], [1, 3], 'ratio'), { median: 2, values: [2] });
  t.equal(pairwise([null], [1], 'ratio'), null);
  t.end();
});

function sample(round: number, arm: Sample['arm'], cost: number): Sample {
  const none = { p50: null, p99: null, arrived: null, forwarded: null };
  const work = { units: 10, seconds: 1, perSecond: 10 };
  return {
    round,
    arm,
    load: 'keep',
    ...work,
    machine: cost,
    lab: cost / 2 + 1,
    own: 0,
    others: 0,
    ...none,
  };
}

t.test('a goal is met by the median of its ratios, on the right side of its limit', (t) => {
  const samples = [
    sample(1, 'oneip', 11),
    sample(1, 'nft', 10),
    sample(2, 'nft', 10),
    sample(2, 'oneip', 30),
    sample(3, 'oneip', 11.25),
    sample(3, 'nft', 10),
  ];
  const goal: Goal = {
    load: 'keep',
    of: 'oneip',
    to: 'nft',
    figure: 'machine',
    how: 'ratio',
    wanted: { at: 'most', limit: 1.15 },
  };
  t.match(outcome(goal, samples, 'machine'), { met: true, spread: { median: 1.125, max: 3 } });
  t.match(outcome(goal, samples, 'lab'), { figure: 'lab', spread: { median: 6.625 / 6 } });
  const least: Goal = { ...goal, wanted: { at: 'least', limit: 1.2 } };
  t.equal(outcome(least, samples, 'machine')?.met, false);
  t.equal(outcome({ ...goal, to: 'haproxy' }, samples, 'machine'), null);
  for (const { of, to } of goals) t.not(of, to);
  t.end();
});

t.test('plots are drawn to scale and say what they show', (t) => {
  t.equal(ceiling(0.7), 1);
  t.equal(ceiling(130), 200);
  t.equal(ceiling(0), 1);
  const bars = barChart('a < b', 'us', [
    { label: 'one', value: 50, min: 40, max: 90 },
    { label: 'two', value: 100, min: 100, max: 100 },
  ]);
  const widths = [...bars.matchAll(/<rect x="110"[^>]* width="([\d.]+)"/g)].map(([, w]) =>
    Number(w),
  );
  t.equal(widths.length, 2);
  t.ok(Math.abs(widths[1]! - 2 * widths[0]!) < 0.2, widths.join(' '));
  t.match(bars, 'a &lt; b');
  const lines = lineChart('title', 'flows', 'instructions', [
    {
      label: 'hit',
      points: [
        { x: 1000, y: 100 },
        { x: 10_000, y: 100 },
        { x: 100_000, y: 50 },
      ],
    },
  ]);
  const [, path = ''] = /points="([^"]*)"/.exec(lines) ?? [];
  const points = path.split(' ').map((pair) => pair.split(',').map(Number));
  t.equal(points.length, 3);
  // Powers are equally far apart, and half as much is half as high.
  t.ok(Math.abs(points[1]![0]! * 2 - points[0]![0]! - points[2]![0]!) < 0.3, path);
  t.equal(points[0]![1], points[1]![1]);
  t.ok(points[2]![1]! > points[1]![1]!, path);
  t.end();
});

const dump = [
  'positions: instr line',
  'events: Ir',
  'ob=/x/oneip.so',
  'fl=???',
  'fn=OipReceive',
  '0x10 0 64',
  '0x14 0 64',
  'cob=/x/host',
  'cfn=NdisFSend',
  'calls=3 0x999 0',
  '0x14 0 5000',
  'fn=OipReturn',
  '0x18 0 2',
  'ob=/x/host',
  'fn=other',
  '0x10 0 7000',
  'ob=???',
  'fn=0x0000000000401000',
  '0x401000 0 11',
  '0x401fff 0 1',
  '0x402000 0 9000',
  'totals: 21142',
].join('\n');

t.test('instructions are counted inside the image only, without those of callees', (t) => {
  const elf = instructionsIn(dump, { object: '/oneip.so', base: 0x7000, bytes: 0x1000 });
  t.equal(elf.total, 130);
  t.match(Object.fromEntries(elf.functions), { OipReceive: 128, OipReturn: 2 });
  const pe = instructionsIn(dump, { object: null, base: 0x401000, bytes: 0x1000 });
  t.equal(pe.total, 12);
  t.end();
});
