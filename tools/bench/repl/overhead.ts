// What the filter costs a program: the same load in a plain folder, on a mount, and on a mount with the filter, in turn.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { printTable } from '../output.js';
import { type Spread, pairwise, spread } from '../statistics.js';
import { type Place, type PlaceName, openPlace, placeNames, placeTitles } from './arms.js';
import { type Figure, figure, least, most, printFigures } from './figures.js';
import { type LoadName, type Result, loadNames, makeLoads } from './loads.js';

export interface OverheadOptions {
  readonly folder: string;
  readonly rounds: number;
  readonly loads: readonly LoadName[];
  readonly scale: number;
}

export interface Sample extends Result {
  readonly load: LoadName;
  readonly place: PlaceName;
  readonly round: number;
}

/** Microseconds for a unit of work. */
const wall = ({ seconds, units }: Sample): number => (seconds * 1e6) / units;
const cpu = ({ cpu: used, units }: Sample, who: string): number => ((used[who] ?? 0) * 1e3) / units;

function byRound(
  samples: readonly Sample[],
  load: LoadName,
  place: PlaceName,
  value: (sample: Sample) => number,
): (number | null)[] {
  const list: (number | null)[] = [];
  for (const sample of samples)
    if (sample.load === load && sample.place === place) list[sample.round] = value(sample);
  return Array.from(list, (one) => one ?? null);
}

const shown = (value: Spread | null): string => {
  if (!value) return '-';
  return value.median.toFixed(value.median < 10 ? 2 : value.median < 1000 ? 1 : 0);
};

export async function benchOverhead(
  options: OverheadOptions,
): Promise<{ samples: Sample[]; figures: Figure[] }> {
  mkdirSync(options.folder, { recursive: true });
  const loads = makeLoads(options.folder, options.scale);
  const places: Place[] = [];
  const samples: Sample[] = [];
  try {
    for (const name of placeNames)
      places.push(await openPlace(name, path.join(options.folder, name)));
    for (const name of options.loads) {
      const load = loads[name];
      if (load.missing !== null) {
        console.log(`\n${name}: left out, ${load.missing}`);
        continue;
      }
      for (const place of places) await load.prepare(place);
      for (const place of places) await place.settle();
      // The first round is to warm up, and is not counted.
      for (let round = -1; round < options.rounds; round++) {
        // Another order each time, so that nobody is always the first.
        for (let i = 0; i < places.length; i++) {
          const place = places[(i + round + 1) % places.length]!;
          const result = await load.run(place, round);
          await place.settle();
          if (round >= 0) samples.push({ ...result, load: name, place: place.name, round });
        }
      }
      for (const place of places) await load.finish(place);
      table(samples, name, load.title, load.unit);
    }
  } finally {
    for (const place of places) await place.close();
  }
  const figures = judge(samples);
  printFigures(figures);
  for (const name of placeNames) console.log(`  ${name.padEnd(8)} ${placeTitles[name]}`);
  return { samples, figures };
}

function table(samples: readonly Sample[], load: LoadName, title: string, unit: string): void {
  console.log(`\n${load}: ${title}. Medians, microseconds for a ${unit}.`);
  const of = (place: PlaceName, value: (sample: Sample) => number): Spread | null => {
    const values = byRound(samples, load, place, value).flatMap((one) => one ?? []);
    return values.length > 0 ? spread(values) : null;
  };
  printTable(
    ['place', 'time', 'least', 'CPU: host', 'primary', 'backup'],
    placeNames.map((place) => [
      place,
      shown(of(place, wall)),
      of(place, wall)?.min.toFixed(1) ?? '-',
      ...['host', 'alpha', 'beta'].map((who) => shown(of(place, (sample) => cpu(sample, who)))),
    ]),
  );
}

/** What the filter adds, within the rounds. */
function judge(samples: readonly Sample[]): Figure[] {
  const figures: Figure[] = [];
  const add = (
    what: string,
    load: LoadName,
    value: (sample: Sample) => number,
    [of, to]: readonly [PlaceName, PlaceName],
    how: 'ratio' | 'difference',
    wanted?: Figure['wanted'],
  ): void => {
    const result = pairwise(
      byRound(samples, load, of, value),
      byRound(samples, load, to, value),
      how,
    );
    if (result)
      figures.push(figure(`${load}: ${what}`, result, how === 'ratio' ? 'x' : 'us', wanted));
  };
  const filter = ['repl', 'mount'] as const;
  const speed = (sample: Sample): number => 1 / wall(sample);
  for (const load of loadNames) {
    if (load === 'write4k') {
      add('time, repl - mount', load, wall, filter, 'difference', most(3));
      add('time, loaded - mount', load, wall, ['loaded', 'mount'], 'difference');
    } else if (load === 'write1m')
      add('time, repl / mount', load, wall, filter, 'ratio', most(1.03));
    else add('speed, repl / mount', load, speed, filter, 'ratio', least(0.95));
    const host = (sample: Sample): number => cpu(sample, 'host');
    add('CPU of the host, repl - mount', load, host, filter, 'difference');
    add('CPU of the host, loaded - mount', load, host, ['loaded', 'mount'], 'difference');
    add('time, mount / native', load, wall, ['mount', 'native'], 'ratio');
  }
  return figures;
}
