// How far the backup is behind: from the completion of a write to its record's fdatasync in the backup's log, at a given rate of writes.
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../lab/built.js';
import { sleep } from '../../lab/process.js';
import { printTable } from '../output.js';
import { ReplPlace, type Cpu, cpuBetween, cpuOf } from './arms.js';
import { type Figure, figure, least, most, printFigures } from './figures.js';
import { lags, percentile, write } from './writer.js';

export interface LagOptions {
  readonly folder: string;
  /** Of each rate. */
  readonly seconds: number;
}

interface Rate {
  readonly name: string;
  readonly bytes: number;
  readonly perSecond: number;
  /** Milliseconds; null: it must only not grow. */
  readonly wanted: { readonly p50: number; readonly p99: number } | null;
}

const rates: readonly Rate[] = [
  { name: '4 KiB, 2,000/s', bytes: 4096, perSecond: 2000, wanted: { p50: 2, p99: 50 } },
  { name: '4 KiB, 10,000/s', bytes: 4096, perSecond: 10_000, wanted: null },
  { name: '64 KiB, 100 MB/s', bytes: 65_536, perSecond: 1526, wanted: null },
];

/** Lag that stays below this from beginning to end is bounded: the ring holds a third of a second of the fastest rate. */
const BOUND_MILLISECONDS = 1000;

export interface LagSample {
  readonly rate: string;
  readonly seconds: number;
  readonly perSecond: number;
  /** Writes without a record: the driver only kept which blocks they changed. */
  readonly lost: number;
  /** Milliseconds; null: not known, where records are missing. */
  readonly lag: Record<'p50' | 'p99' | 'most' | 'firstThird' | 'lastThird', number> | null;
  /** Microseconds of processor for a write. */
  readonly cpu: Cpu;
}

export async function benchLag(
  options: LagOptions,
): Promise<{ samples: LagSample[]; figures: Figure[] }> {
  mkdirSync(options.folder, { recursive: true });
  const log = path.join(options.folder, 'durable');
  process.env.NODE_OPTIONS = `--import ${path.join(root, 'dist/tools/bench/repl/probe.js')}`;
  process.env.NTS_BENCH_LOG = log;
  const place = await ReplPlace.open(path.join(options.folder, 'lag'));
  const samples: LagSample[] = [];
  try {
    for (const rate of rates) {
      const seconds = rate.wanted ? Math.min(options.seconds, 15) : options.seconds;
      samples.push(await sample(place, rate, seconds, options.folder, log));
      table(samples.slice(-1));
    }
  } finally {
    delete process.env.NODE_OPTIONS;
    delete process.env.NTS_BENCH_LOG;
    await place.close();
    rmSync(log, { force: true });
  }
  const figures = judge(samples);
  printFigures(figures);
  return { samples, figures };
}

async function sample(
  place: ReplPlace,
  { name, bytes, perSecond }: Rate,
  seconds: number,
  folder: string,
  log: string,
): Promise<LagSample> {
  const count = perSecond * seconds;
  const times = path.join(folder, 'times');
  await write(place, { bytes, count: 200, span: 64 << 20 });
  await place.settle();
  const first = await place.drained();
  const before = cpuOf(place);
  let last = 0;
  const settings = { bytes, count, rate: perSecond, span: 64 << 20, times };
  const told = await write(place, settings, async () => {
    last = await place.drained();
  });
  const used = cpuBetween(before, cpuOf(place));
  // The probe writes what it has noted ten times a second.
  await sleep(300);
  const lost = count - (last - first);
  const all = lost === 0 ? lags(times, log, last) : null;
  rmSync(times);
  const third = Math.floor(count / 3);
  return {
    rate: name,
    seconds: told.seconds,
    perSecond: count / told.seconds,
    lost,
    lag: all && {
      p50: percentile(all, 0.5),
      p99: percentile(all, 0.99),
      most: percentile(all, 1),
      firstThird: percentile(all.subarray(0, third), 0.99),
      lastThird: percentile(all.subarray(-third), 0.99),
    },
    cpu: Object.fromEntries(Object.entries(used).map(([who, ms]) => [who, (ms * 1e3) / count])),
  };
}

function table(samples: readonly LagSample[]): void {
  console.log("\nlag: from the completion of a write to the backup's log. Milliseconds.");
  const shown = (value: number | undefined): string => value?.toFixed(2) ?? '-';
  printTable(
    [
      'writes',
      'writes/s',
      'p50',
      'p99',
      'most',
      'p99, first third',
      'last third',
      'us CPU: host',
      'primary',
      'backup',
      'no record',
    ],
    samples.map(({ rate, perSecond, lag, cpu, lost }) => [
      rate,
      perSecond.toFixed(0),
      shown(lag?.p50),
      shown(lag?.p99),
      shown(lag?.most),
      shown(lag?.firstThird),
      shown(lag?.lastThird),
      ...['host', 'alpha', 'beta'].map((who) => (cpu[who] ?? 0).toFixed(1)),
      String(lost),
    ]),
  );
}

function judge(samples: readonly LagSample[]): Figure[] {
  return samples.flatMap(({ rate, lag, lost, perSecond }) => {
    const { wanted, perSecond: asked } = rates.find(({ name }) => name === rate)!;
    const kept = figure(`${rate}: writes without a record`, lost, '', most(0));
    const speed = figure(`${rate}: of the rate asked for`, perSecond / asked, 'x', least(0.99));
    if (!lag) return [speed, kept];
    if (wanted) {
      return [
        figure(`${rate}: lag p50`, lag.p50, 'ms', most(wanted.p50)),
        figure(`${rate}: lag p99`, lag.p99, 'ms', most(wanted.p99)),
      ];
    }
    return [speed, kept, figure(`${rate}: lag, most`, lag.most, 'ms', most(BOUND_MILLISECONDS))];
  });
}
