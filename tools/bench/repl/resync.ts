// An outage in which the journal does not suffice: every file touched, and one block in a hundred changed. How long until the backup is the
// same again, and how many bytes that takes on the wire, beside rsync on the same files.
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { root } from '../../lab/built.js';
import { until } from '../../lab/process.js';
import { printTable } from '../output.js';
import { ReplPlace, lastLine } from './arms.js';
import { type Figure, figure, most, printFigures } from './figures.js';
import { cut, isInstalled, restore, sentBytes } from './network.js';
import { makeTree } from './tree.js';

export interface ResyncOptions {
  readonly folder: string;
  readonly files: number;
  readonly megabytes: number;
}

export interface ResyncSample {
  readonly by: string;
  readonly seconds: number;
  readonly wireMegabytes: number;
}

const change = path.join(root, 'dist/tools/bench/repl/change.js');

/** More than ring and staging hold, so that the driver only keeps which blocks change. */
const FILLER_MEGABYTES = 160;

async function byRepl(
  options: ResyncOptions,
): Promise<{ sample: ResyncSample; changed: number; state: string }> {
  const { folder, files } = options;
  const bytes = Math.floor((options.megabytes * 2 ** 20) / files);
  const place = await ReplPlace.open(path.join(folder, 'repl'));
  const { replica } = place;
  try {
    replica.ntswift('alpha', 'repl', 'set', 'shop', '--journal', '0');
    await copyIn(place, options, bytes);
    await place.settle();
    cut(replica);
    const filler = path.join(place.folder, 'filler');
    await lastLine(
      place,
      'sh',
      '-ec',
      `head -c ${FILLER_MEGABYTES}M /dev/zero > "$1"; rm "$1"`,
      'sh',
      filler,
    );
    const state = replica.status('alpha').driver?.state ?? '-';
    const args = [change, path.join(place.folder, 'tree'), String(files), String(bytes)];
    const changed = Number(await lastLine(place, process.execPath, ...args));
    const sent = sentBytes(replica);
    restore(replica);
    const connected = (): boolean => replica.status('alpha').backups[0]?.state === 'streaming';
    await until('the link is back', () => connected() || undefined, 180_000, 10);
    const began = performance.now();
    await until(
      'the resync',
      () => {
        const { driver, backups, synchronising } = replica.status('alpha');
        const open = driver?.state !== 'ring' || synchronising !== null;
        return !open && backups[0]?.durable === driver.last ? true : undefined;
      },
      600_000,
      20,
    );
    await replica.settled();
    const seconds = (performance.now() - began) / 1000;
    const wire = (sentBytes(replica) - sent) / 2 ** 20;
    return { sample: { by: 'REPL', seconds, wireMegabytes: wire }, changed, state };
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
  return { by: 'rsync', seconds, wireMegabytes: total / 2 ** 20 };
}

export async function benchResync(
  options: ResyncOptions,
): Promise<{ samples: ResyncSample[]; figures: Figure[] }> {
  mkdirSync(options.folder, { recursive: true });
  const { sample, changed, state } = await byRepl(options);
  const samples = [sample];
  const hasRsync = isInstalled('rsync');
  if (hasRsync) samples.push(byRsync(path.join(options.folder, 'rsync'), options));
  const changedMegabytes = changed / 2 ** 20;
  const files = options.files.toLocaleString('en');
  console.log(
    `\nresync: ${files} files, ${options.megabytes} MiB, all touched, ${changedMegabytes.toFixed(1)} MiB changed during an outage; the driver's state then: ${state}.`,
  );
  printTable(
    ['by', 'seconds', 'MiB on the wire', 'of what changed'],
    samples.map(({ by, seconds, wireMegabytes }) => [
      by,
      seconds.toFixed(2),
      wireMegabytes.toFixed(1),
      `${(wireMegabytes / changedMegabytes).toFixed(2)}x`,
    ]),
  );
  if (!hasRsync) console.log('  rsync is not installed, and was left out');
  const [repl, rsync] = samples;
  const figures = [
    ...(rsync
      ? [figure("resync: of rsync's time", repl!.seconds / rsync.seconds, 'x', most(0.2))]
      : []),
    figure(
      'resync: on the wire, of what changed',
      repl!.wireMegabytes / changedMegabytes,
      'x',
      most(1.2),
    ),
  ];
  printFigures(figures);
  return { samples, figures };
}
