// The tables, the plots and the JSON of `npm run bench -- oneip`.
import { armTitles, type ArmName } from './arms.js';
import { goals, outcome, type Figure, type Outcome, type Sample } from './goals.js';
import { loads, type LoadName } from './loads.js';
import { printTable, write, writeJson, type Conditions } from './output.js';
import { barChart } from './plot.js';
import { spread, type Spread } from './statistics.js';

export interface Results {
  conditions: Conditions;
  /** Which share of all cores others used, median. */
  others: number;
  rounds: number;
  seconds: number;
  image: string;
  rate: number;
  samples: Sample[];
}

interface View {
  arms: ArmName[];
  loads: LoadName[];
  /** Which CPU time the goals are judged by. */
  cpuOf: 'machine' | 'lab';
}

export function report(results: Results, { arms, loads: names, cpuOf }: View): void {
  const { samples, conditions } = results;
  const files: string[] = [];
  console.log(`\n${conditions.cores} cores, ${conditions.cpu}, Linux ${conditions.kernel}.`);
  if (cpuOf === 'lab')
    console.log(
      `Others used ${(100 * results.others).toFixed(0)}% of the machine meanwhile. ` +
        'So goals are judged by the CPU time of the lab alone.',
    );
  for (const load of names) {
    const of = (arm: ArmName, figure: Figure | 'own' | 'p99' | 'arrived') => {
      const values = samples
        .filter((sample) => sample.arm === arm && sample.load === load)
        .flatMap((sample) => sample[figure] ?? []);
      return values.length > 0 ? spread(values) : null;
    };
    const measured = arms.filter((arm) => of(arm, 'machine') !== null);
    if (measured.length === 0) continue;
    const { title, unit } = loads[load];
    console.log(`\n${load}: ${title}. Medians.`);
    printTable(
      ['arm', `machine us/${unit}`, 'lab', 'dispatching', `${unit}s/s`, ...extraHead(load)],
      measured.map((arm) => [
        arm,
        number(of(arm, 'machine')),
        number(of(arm, 'lab')),
        number(of(arm, 'own')),
        number(of(arm, 'perSecond')),
        ...(load === 'ping' ? [number(of(arm, 'p50')), number(of(arm, 'p99'))] : []),
        ...(load === 'udp' ? [percent(of(arm, 'arrived'))] : []),
      ]),
    );
    const figure = load === 'ping' ? 'p50' : cpuOf;
    const bars = measured.flatMap((arm) => {
      const value = of(arm, figure);
      return value ? [{ label: arm, value: value.median, min: value.min, max: value.max }] : [];
    });
    const what =
      figure === 'p50' ? 'round trip, p50, us' : `CPU time of the ${cpuOf}, us per ${unit}`;
    files.push(
      write(
        `oneip-${load}.svg`,
        barChart(title, `${what}; median, least and most of ${results.rounds} rounds`, bars),
      ),
    );
  }

  const outcomes = goals.flatMap((goal) => outcome(goal, samples, cpuOf) ?? []);
  if (outcomes.length > 0) {
    console.log('\nWithin the rounds; median (least to most).');
    printTable(['', 'median', 'least', 'most', 'wanted', ''], outcomes.map(row));
  }
  files.push(writeJson('oneip.json', { ...results, cpuOf, outcomes }));
  console.log('');
  for (const arm of arms) console.log(`  ${arm.padEnd(12)} ${armTitles[arm]}`);
  console.log(`\n${files.join('\n')}`);
}

function extraHead(load: LoadName): string[] {
  return load === 'ping' ? ['p50 us', 'p99 us'] : load === 'udp' ? ['arrived'] : [];
}

function number(value: Spread | null): string {
  if (!value) return '-';
  return value.median.toFixed(value.median < 10 ? 2 : value.median < 1000 ? 1 : 0);
}

function percent(value: Spread | null): string {
  return value ? `${(100 * value.median).toFixed(2)}%` : '-';
}

const figures: Record<Figure, string> = {
  machine: 'CPU of the machine',
  lab: 'CPU of the lab',
  perSecond: 'throughput',
  p50: 'p50',
};

function row({ goal, figure, spread, met }: Outcome): string[] {
  const ratio = goal.how === 'ratio';
  const show = (value: number) => (ratio ? `${value.toFixed(2)}x` : `${value.toFixed(1)} us`);
  const { wanted } = goal;
  return [
    `${goal.load}: ${figures[figure]}, ${goal.of} ${ratio ? '/' : '-'} ${goal.to}`,
    show(spread.median),
    show(spread.min),
    show(spread.max),
    wanted ? `${wanted.at === 'most' ? '<=' : '>='} ${show(wanted.limit)}` : '',
    met === null ? '' : met ? 'met' : 'missed',
  ];
}
