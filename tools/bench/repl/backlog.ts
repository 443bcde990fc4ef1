// A cut link: what gathers meanwhile, in how much memory, and how fast it goes over a narrow link afterwards.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { sleep, until } from '../../lab/process.js';
import { printTable } from '../output.js';
import { ReplPlace } from './arms.js';
import { type Figure, figure, least, most, printFigures } from './figures.js';
import { MemoryWatch } from './memory.js';
import { write } from './writer.js';

export interface BacklogOptions {
  readonly folder: string;
  /** Of 64-KiB writes while the link is cut. */
  readonly megabytes: number;
  /** Of the link afterwards. */
  readonly megabits: number;
}

export interface BacklogSample {
  readonly megabytes: number;
  readonly megabits: number;
  /** Of the driver, when all was written. */
  readonly state: string;
  readonly lost: number;
  readonly seconds: number;
  /** From the first record that came over after the cut. */
  readonly drainSeconds: number;
  readonly extraMegabytes: number;
}

const BYTES = 65_536;
const SPAN = 256 << 20;
/** Slower than disks are, so that it is the link that is measured and not the journal's beginning. */
const WRITES_PER_SECOND = 1200;

export async function benchBacklog(
  options: BacklogOptions,
): Promise<{ samples: BacklogSample[]; figures: Figure[] }> {
  mkdirSync(options.folder, { recursive: true });
  const place = await ReplPlace.open(path.join(options.folder, 'backlog'));
  try {
    const sample = await measure(place, options);
    table(sample);
    const figures = judge(sample);
    printFigures(figures);
    return { samples: [sample], figures };
  } finally {
    await place.close();
  }
}

async function measure(place: ReplPlace, options: BacklogOptions): Promise<BacklogSample> {
  const { replica } = place;
  const count = Math.ceil((options.megabytes * 1e6) / BYTES);
  const journal = Math.ceil((options.megabytes * 1.2) / 1024) + 1;
  replica.ntswift('alpha', 'repl', 'set', 'shop', '--journal', `${journal}GiB`);
  // Each page of the ring has been used once, and the file has its length.
  await write(place, {
    bytes: BYTES,
    count: SPAN / BYTES,
    span: SPAN,
    order: 'forward',
    rate: 1200,
  });
  await place.settle();
  const first = await place.drained();
  const backup = replica.on('beta');
  backup.pull();
  const watch = new MemoryWatch([replica.machine.pid, replica.pid('alpha')]);
  const told = await write(place, {
    bytes: BYTES,
    count,
    span: SPAN,
    rate: WRITES_PER_SECOND,
  });
  const { driver } = replica.status('alpha');
  const state = driver?.state ?? '-';
  const lost = Math.max(0, count - ((driver?.last ?? 0) - first));
  backup.slow((options.megabits * 1e6) / 8);
  const has = (): number => replica.status('beta').hosted[0]?.durable ?? 0;
  backup.plug();
  const before = has();
  await until('the link is back', () => (has() > before ? true : undefined), 180_000, 20);
  const began = performance.now();
  const left = (driver?.last ?? 0) - has();
  await place.drained(1_800_000);
  const all = (performance.now() - began) / 1000;
  await sleep(200);
  return {
    megabytes: options.megabytes,
    megabits: options.megabits,
    state,
    lost,
    seconds: told.seconds,
    // What had come before the first look is not counted on either side.
    drainSeconds: (all * count) / Math.max(1, Math.min(left, count)),
    extraMegabytes: watch.end() / 2 ** 20,
  };
}

function table(sample: BacklogSample): void {
  console.log('\nbacklog: 64-KiB writes while the link is cut, then a narrow link.');
  printTable(
    [
      'MB',
      'written in s',
      'driver',
      'no record',
      'link Mbit/s',
      'drained in s',
      'MB/s',
      'extra MiB',
    ],
    [
      [
        String(sample.megabytes),
        sample.seconds.toFixed(1),
        sample.state,
        String(sample.lost),
        String(sample.megabits),
        sample.drainSeconds.toFixed(1),
        (sample.megabytes / sample.drainSeconds).toFixed(1),
        sample.extraMegabytes.toFixed(0),
      ],
    ],
  );
}

function judge(sample: BacklogSample): Figure[] {
  const bandwidth = (sample.megabytes * 8) / sample.drainSeconds / sample.megabits;
  return [
    figure('backlog: writes without a record', sample.lost, '', most(0)),
    figure('backlog: memory of host and service', sample.extraMegabytes, 'MiB', most(64)),
    ...(sample.lost === 0
      ? [figure("backlog: of the link's bandwidth", bandwidth, 'x', least(1 / 1.2))]
      : []),
  ];
}
