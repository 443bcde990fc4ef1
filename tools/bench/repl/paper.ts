// The table of the papers: what copying files of 2 to 12 MB costs more in a replicated folder, in replay mode (async) and in copy mode.
// The papers' copy mode copies when a file is closed, ours when nobody has changed it for a second: its work is not in the time.
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

/** In percent, read from NT-SwiFT (1998, 2002). */
const papers = {
  repl: new Map([
    [2, '16%'],
    [12, '7%'],
  ]),
  copy: new Map(sizes.map((megabytes) => [megabytes, '18-53%'])),
};

const modes = ['repl', 'copy'] as const;
type Mode = (typeof modes)[number];

const titles: Record<Mode, string> = { repl: 'replay', copy: 'copy' };

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
    for (const name of ['mount', ...modes] as const)
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
  const ratio = (megabytes: number, mode: Mode): Spread | null =>
    pairwise(of(megabytes, mode), of(megabytes, 'mount'), 'ratio');
  console.log(
    '\npaper: copying one file and syncing it, replicated over the same mount without REPL.',
  );
  const percent = (value: number): string => `${((value - 1) * 100).toFixed(0)}%`;
  printTable(
    ['MB', 'mode', 'slower by', 'least', 'most', 'papers'],
    modes.flatMap((mode) =>
      sizes.map((megabytes) => {
        const all = ratio(megabytes, mode);
        return [
          String(megabytes),
          titles[mode],
          all ? percent(all.median) : '-',
          all ? percent(all.min) : '-',
          all ? percent(all.max) : '-',
          papers[mode].get(megabytes) ?? '',
        ];
      }),
    ),
  );
  const figures = modes.flatMap((mode) =>
    sizes.flatMap((megabytes) => {
      const all = ratio(megabytes, mode);
      return all ? [figure(`paper: ${megabytes} MB, ${titles[mode]} / mount`, all, 'x')] : [];
    }),
  );
  printFigures(figures);
  return figures;
}
