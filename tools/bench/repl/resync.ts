// An outage: every file touched, and one block in a hundred changed. How long until the backup is the same again, and how many bytes that
// takes on the wire, from the journal and without one, beside rsync on the same files.
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { root } from '../../lab/built.js';
import { until } from '../../lab/process.js';
import { printTable } from '../output.js';
import { ReplPlace, lastLine } from './arms.js';
import { type Figure, figure, most, printFigures } from './figures.js';
import { isInstalled } from './installed.js';
import { makeTree } from './tree.js';
import { write } from './writer.js';

export interface ResyncOptions {
  readonly folder: string;
  readonly files: number;
  readonly megabytes: number;
}

export interface ResyncSample {
  readonly by: string;
  /** null: a peer. */
  readonly how: How | null;
  /** Of the driver, at the end of the outage. */
  readonly state: string;
  readonly seconds: number;
  readonly wireMegabytes: number;
}

const change = path.join(root, 'dist/tools/bench/repl/change.js');

/** More than ring and staging hold, so that the driver only keeps which blocks change. */
const FILLER = { bytes: 65_536, count: 2560, rate: 2000 };
/** On the wire: its data, its header, and what TLS adds. */
const FILLER_RECORD = 65_536 + 130;

type How = 'records' | 'blocks';

const titles: Record<How, string> = {
  records: 'REPL, from its journal',
  blocks: 'REPL, only blocks known',
};

async function byRepl(
  how: How,
  options: ResyncOptions,
): Promise<{ sample: ResyncSample; changed: number }> {
  const { folder, files } = options;
  const bytes = Math.floor((options.megabytes * 2 ** 20) / files);
  const place = await ReplPlace.open(path.join(folder, how));
  const { replica } = place;
  const driver = (): NonNullable<ReturnType<typeof replica.status>['driver']> => {
    const { driver: now } = replica.status('alpha');
    if (!now) throw new Error('the driver is not in use');
    return now;
  };
  try {
    if (how === 'blocks') replica.ntswift('alpha', 'repl', 'set', 'shop', '--journal', '0');
    await copyIn(place, options, bytes);
    await place.settle();
    const first = await place.drained();
    replica.on('beta').pull();
    let recorded = 0;
    if (how === 'blocks') {
      await write(place, FILLER);
      await lastLine(place, 'rm', path.join(place.folder, 'data'));
      // What had a record is sent when the link is back; it is none of the changes.
      recorded = (driver().last - first) * FILLER_RECORD;
    }
    const args = [change, path.join(place.folder, 'tree'), String(files), String(bytes)];
    const changed = Number(await lastLine(place, process.execPath, ...args));
    const { state } = driver();
    const sent = replica.wireBytes;
    replica.on('beta').plug();
    const connected = (): boolean => replica.status('alpha').backups[0]?.state === 'streaming';
    await until('the link is back', () => connected() || undefined, 120_000, 10);
    const began = performance.now();
    await until(
      'the resync',
      () => {
        const { driver: now, backups, synchronising } = replica.status('alpha');
        const open = now?.state !== 'ring' || synchronising !== null;
        return !open && backups[0]?.durable === now.last ? true : undefined;
      },
      600_000,
      20,
    );
    await replica.settled();
    const seconds = (performance.now() - began) / 1000;
    const wire = replica.wireBytes - sent - recorded;
    return {
      sample: { by: titles[how], how, state, seconds, wireMegabytes: wire / 2 ** 20 },
      changed,
    };
  } finally {
    await place.close();
  }
}

/** The tree, at a pace that the ring can follow. */
async function copyIn(place: ReplPlace, options: ResyncOptions, bytes: number): Promise<void> {
  const from = path.join(options.folder, 'tree');
  makeTree(from, options.files, () => bytes);
  const folders = Math.ceil(options.files / 50);
  const each = Math.max(1, Math.floor((8 << 20) / (bytes * 50)));
  await lastLine(place, 'mkdir', path.join(place.folder, 'tree'));
  for (let i = 0; i < folders; i += each) {
    const some = Array.from({ length: Math.min(each, folders - i) }, (_, j) =>
      path.join(from, `d${i + j}`),
    );
    await lastLine(place, 'cp', '-r', ...some, path.join(place.folder, 'tree'));
    await place.drained();
  }
}

/** The same files and changes, in plain folders, with its own comparison of blocks. */
function byRsync(place: string, options: ResyncOptions): ResyncSample {
  const bytes = Math.floor((options.megabytes * 2 ** 20) / options.files);
  const [from, to] = ['from', 'to'].map((name) => path.join(place, name));
  cpSync(path.join(options.folder, 'tree'), from!, { recursive: true, preserveTimestamps: true });
  cpSync(from!, to!, { recursive: true, preserveTimestamps: true });
  execFileSync(process.execPath, [change, from!, String(options.files), String(bytes)]);
  const began = performance.now();
  const text = execFileSync(
    'rsync',
    ['-a', '--inplace', '--no-whole-file', '--stats', '--no-human-readable', `${from}/`, `${to}/`],
    { encoding: 'utf8' },
  );
  const seconds = (performance.now() - began) / 1000;
  const total = ['sent', 'received'].reduce(
    (sum, way) => sum + Number(new RegExp(`Total bytes ${way}: (\\d+)`).exec(text)?.[1] ?? 0),
    0,
  );
  return { by: 'rsync', how: null, state: '', seconds, wireMegabytes: total / 2 ** 20 };
}

export async function benchResync(
  options: ResyncOptions,
): Promise<{ samples: ResyncSample[]; figures: Figure[] }> {
  mkdirSync(options.folder, { recursive: true });
  const samples: ResyncSample[] = [];
  let changedMegabytes = 0;
  for (const how of ['records', 'blocks'] as const) {
    const { sample, changed } = await byRepl(how, options);
    samples.push(sample);
    changedMegabytes = changed / 2 ** 20;
  }
  const hasRsync = isInstalled('rsync');
  if (hasRsync) samples.push(byRsync(path.join(options.folder, 'rsync'), options));
  const files = options.files.toLocaleString('en');
  console.log(
    `\nresync: ${files} files, ${options.megabytes} MiB, all touched, ${changedMegabytes.toFixed(1)} MiB changed during an outage.`,
  );
  printTable(
    ['by', 'state', 'seconds', 'MiB on the wire', 'of what changed'],
    samples.map(({ by, state, seconds, wireMegabytes }) => [
      by,
      state,
      seconds.toFixed(2),
      wireMegabytes.toFixed(1),
      `${(wireMegabytes / changedMegabytes).toFixed(2)}x`,
    ]),
  );
  if (!hasRsync) console.log('  rsync is not installed, and was left out');
  const rsync = samples.find(({ how }) => how === null);
  const figures = samples.flatMap(({ how, by, seconds, wireMegabytes }) => {
    if (how === null) return [];
    const time = rsync
      ? [figure(`resync: ${by}: of rsync's time`, seconds / rsync.seconds, 'x', most(0.2))]
      : [];
    const share = wireMegabytes / changedMegabytes;
    return [...time, figure(`resync: ${by}: on the wire, of what changed`, share, 'x', most(1.2))];
  });
  printFigures(figures);
  return { samples, figures };
}
