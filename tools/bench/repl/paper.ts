// The table of the papers: what copying files of 2 to 12 MB costs more in a replicated folder. Replay mode; this service has no copy mode.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { printTable } from '../output.js';
import { type Spread, pairwise } from '../statistics.js';
import { type Place, lastLine, openPlace } from './arms.js';
import { type Figure, figure, printFigures } from './figures.js';

export interface PaperOptions {
  readonly folder: string;
  readonly rounds: number;
}

export interface PaperSample {
  readonly megabytes: number;
  readonly place: string;
  readonly round: number;
  readonly seconds: number;
}

const sizes = [2, 4, 6, 8, 10, 12];

/** In percent, read from NT-SwiFT (1998, 2002): the least and the most that they say for replay mode. */
const papers = new Map([
  [2, 16],
  [12, 7],
]);

/** What the shell does of itself is in both; a copy that ends on the disk is what a user waits for. */
async function copy(place: Place, from: string, name: string): Promise<number> {
  const script =
    'b=$(date +%s%N); cp "$1" "$2"; sync "$2"; e=$(date +%s%N); rm "$2"; echo $((e-b))';
  const to = path.join(place.folder, name);
  return Number(await lastLine(place, 'sh', '-ec', script, 'sh', from, to)) / 1e9;
}

export async function benchPaper(
  options: PaperOptions,
): Promise<{ samples: PaperSample[]; figures: Figure[] }> {
  mkdirSync(options.folder, { recursive: true });
  const samples: PaperSample[] = [];
  const places: Place[] = [];
  try {
    for (const name of ['mount', 'repl'] as const)
      places.push(await openPlace(name, path.join(options.folder, name)));
    for (const megabytes of sizes) {
      const from = path.join(options.folder, `${megabytes}.file`);
      writeFileSync(from, Buffer.alloc(megabytes * 1e6, 'what is copied '));
      for (let round = -1; round < options.rounds; round++) {
        for (const place of round % 2 === 0 ? places : [...places].reverse()) {
          const seconds = await copy(place, from, `copy-${round}`);
          await place.settle();
          if (round >= 0) samples.push({ megabytes, place: place.name, round, seconds });
        }
      }
    }
  } finally {
    for (const place of places) await place.close();
  }
  return { samples, figures: report(samples) };
}

function report(samples: readonly PaperSample[]): Figure[] {
  const of = (megabytes: number, place: string): number[] =>
    samples
      .filter((one) => one.megabytes === megabytes && one.place === place)
      .map(({ seconds }) => seconds);
  const ratio = (megabytes: number): Spread | null =>
    pairwise(of(megabytes, 'repl'), of(megabytes, 'mount'), 'ratio');
  console.log(
    '\npaper: copying one file and syncing it, replicated over the same mount without REPL.',
  );
  printTable(
    ['MB', 'slower by', 'least', 'most', 'papers, replay mode'],
    sizes.map((megabytes) => {
      const all = ratio(megabytes);
      const percent = (value: number): string => `${((value - 1) * 100).toFixed(0)}%`;
      const paper = papers.get(megabytes);
      return [
        String(megabytes),
        all ? percent(all.median) : '-',
        all ? percent(all.min) : '-',
        all ? percent(all.max) : '-',
        paper === undefined ? '' : `${paper}%`,
      ];
    }),
  );
  const figures = sizes.flatMap((megabytes) => {
    const all = ratio(megabytes);
    return all ? [figure(`paper: ${megabytes} MB, repl / mount`, all, 'x')] : [];
  });
  printFigures(figures);
  return figures;
}
