// A burst of files, as REPL, lsyncd and rsync have it: how long until the copy is complete, and what is missing in it.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../lab/built.js';
import { now } from '../../lab/clock.js';
import { ended, sleep } from '../../lab/process.js';
import { printTable } from '../output.js';
import { ReplPlace, lastLine } from './arms.js';
import { type Figure, figure, most, printFigures } from './figures.js';
import { isInstalled } from './installed.js';

export interface PeersOptions {
  readonly folder: string;
  readonly files: number;
}

export interface PeerSample {
  readonly peer: string;
  /** Seconds that the burst took. */
  readonly burst: number;
  /** Seconds from its end until nothing was missing, or until it was given up. */
  readonly behind: number;
  readonly missing: number;
}

const GIVE_UP_SECONDS = 60;
const program = path.join(root, 'dist/tools/bench/repl/burst.js');

function countFiles(folder: string): number {
  let files = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) files += countFiles(path.join(folder, entry.name));
    else if (entry.name.endsWith('.doc')) files += 1;
  }
  return files;
}

/** Looks until the copy has all, or nothing has come for long. */
async function complete(copy: string, files: number, end: number): Promise<[number, number]> {
  for (;;) {
    const missing = files - countFiles(copy);
    const behind = (now() - end) / 1000;
    if (missing === 0 || behind > GIVE_UP_SECONDS) return [behind, missing];
    await sleep(50);
  }
}

async function repl({ folder, files }: PeersOptions): Promise<PeerSample> {
  const place = await ReplPlace.open(path.join(folder, 'repl'));
  try {
    const begin = now();
    const end = await lastLine(place, process.execPath, program, place.folder, String(files));
    await place.drained();
    const logged = (now() - Number(end) / 1e6) / 1000;
    await place.settle();
    const copy = path.join(place.replica.backup, 'shop');
    const [, missing] = await complete(copy, files, Number(end) / 1e6);
    return { peer: 'REPL', burst: (Number(end) / 1e6 - begin) / 1000, behind: logged, missing };
  } finally {
    await place.close();
  }
}

/** The burst in a plain folder; milliseconds of its beginning and its end. */
async function plainBurst(from: string, files: number): Promise<[number, number]> {
  const begin = now();
  const child = spawn(process.execPath, [program, from, String(files)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.on('data', (data: Buffer) => (told += data.toString()));
  await ended(child);
  return [begin, Number(told) / 1e6];
}

async function lsyncd({ folder, files }: PeersOptions): Promise<PeerSample> {
  const [from, to] = ['from', 'to'].map((name) => path.join(folder, 'lsyncd', name));
  for (const one of [from!, to!]) mkdirSync(one, { recursive: true });
  const settings = path.join(folder, 'lsyncd.lua');
  // Its fastest: no delay but the shortest.
  writeFileSync(
    settings,
    `settings { nodaemon = true, inotifyMode = "CloseWrite or Modify" }
     sync { default.rsync, source = "${from}", target = "${to}", delay = 1 }\n`,
  );
  const daemon = spawn('lsyncd', [settings], { stdio: 'ignore' });
  try {
    await sleep(2000);
    const [begin, end] = await plainBurst(from!, files);
    const [behind, missing] = await complete(to!, files, end);
    return { peer: 'lsyncd', burst: (end - begin) / 1000, behind, missing };
  } finally {
    daemon.kill('SIGTERM');
    await ended(daemon);
  }
}

/** As somebody would start it by hand, at once when the burst is over. */
async function rsync({ folder, files }: PeersOptions): Promise<PeerSample> {
  const [from, to] = ['from', 'to'].map((name) => path.join(folder, 'rsync', name));
  for (const one of [from!, to!]) mkdirSync(one, { recursive: true });
  const [begin, end] = await plainBurst(from!, files);
  execFileSync('rsync', ['-a', `${from}/`, `${to}/`]);
  const [behind, missing] = await complete(to!, files, end);
  return { peer: 'rsync', burst: (end - begin) / 1000, behind, missing };
}

export async function benchPeers(
  options: PeersOptions,
): Promise<{ samples: PeerSample[]; figures: Figure[] }> {
  mkdirSync(options.folder, { recursive: true });
  const samples = [await repl(options)];
  const absent: string[] = [];
  for (const [name, run] of Object.entries({ lsyncd, rsync })) {
    if (isInstalled(name) && isInstalled('rsync')) samples.push(await run(options));
    else absent.push(name);
  }
  console.log(`\npeers: ${options.files} files created and renamed in one burst. Seconds.`);
  printTable(
    ['copy by', 'burst', 'behind at its end', 'files missing'],
    samples.map(({ peer, burst, behind, missing }) => [
      peer,
      burst.toFixed(2),
      missing > 0 ? `given up, ${behind.toFixed(0)}` : behind.toFixed(3),
      String(missing),
    ]),
  );
  for (const name of absent) console.log(`  ${name} is not installed, and was left out`);
  const figures = [figure('peers: files that REPL missed', samples[0]!.missing, '', most(0))];
  printFigures(figures);
  return { samples, figures };
}
