// What runs in each place, and what it did there.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { builtFile, root } from '../../lab/built.js';
import {
  type Cpu,
  type Place,
  type PlaceName,
  cpuBetween,
  cpuOf,
  lastLine,
  placeNames,
} from './arms.js';
import { makeTree } from './tree.js';

export interface Result {
  /** Of the load itself. */
  readonly seconds: number;
  readonly units: number;
  readonly cpu: Cpu;
}

export interface Load {
  readonly title: string;
  readonly unit: string;
  /** Why it cannot run here; null: it can. */
  readonly missing: string | null;
  /** Once in each place, before anything is measured. */
  prepare(place: Place): Promise<void>;
  run(place: Place, round: number): Promise<Result>;
  /** Once in each place, when all has been measured. */
  finish(place: Place): Promise<void>;
}

export const loadNames = ['write4k', 'write1m', 'sqlite', 'pgbench', 'untar'] as const;
export type LoadName = (typeof loadNames)[number];

async function measured(place: Place, units: number, work: () => Promise<number>): Promise<Result> {
  const before = cpuOf(place);
  const seconds = await work();
  return { seconds, units, cpu: cpuBetween(before, cpuOf(place)) };
}

const nothing = (): Promise<void> => Promise.resolve();

async function timed(place: Place, script: string, ...args: string[]): Promise<number> {
  const begin = performance.now();
  await lastLine(place, 'sh', '-ec', script, 'sh', ...args);
  return (performance.now() - begin) / 1000;
}

function writes(title: string, bytes: number, count: number, order: string): Load {
  const span = 64 << 20;
  const file = (place: Place): string => path.join(place.folder, `data-${bytes}`);
  return {
    title,
    unit: 'write',
    missing: null,
    async prepare(place) {
      await timed(place, 'head -c "$2" /dev/zero > "$1"; sync "$1"', file(place), String(span));
    },
    run: (place) =>
      measured(place, count, async () => {
        const settings = [`bytes=${bytes}`, `count=${count}`, `order=${order}`, `span=${span}`];
        const told = await lastLine(place, builtFile('bin/bench-write'), file(place), ...settings);
        return (JSON.parse(told) as { seconds: number }).seconds;
      }),
    finish: nothing,
  };
}

function sqlite(count: number): Load {
  const program = path.join(root, 'dist/tools/bench/repl/sqlite-load.js');
  return {
    title: `SQLite, WAL, ${count} transactions, each synced`,
    unit: 'transaction',
    missing: null,
    prepare: nothing,
    run: (place) =>
      measured(place, count, async () =>
        Number(await lastLine(place, process.execPath, program, place.folder, String(count))),
      ),
    finish: nothing,
  };
}

/** Where Debian has the programs of PostgreSQL. */
function postgres(): string | null {
  const base = '/usr/lib/postgresql';
  const [version] = existsSync(base) ? readdirSync(base).sort().reverse() : [];
  const bin = path.join(base, version ?? '', 'bin');
  return version !== undefined && existsSync(path.join(bin, 'pgbench')) ? bin : null;
}

function pgbench(seconds: number): Load {
  const bin = postgres() ?? '';
  const folder = (place: Place): string => path.join(place.folder, 'pg');
  // Their sockets are in one folder.
  const port = ({ name }: Place): number =>
    5433 + (placeNames as readonly PlaceName[]).indexOf(name);
  // The server refuses to be root's.
  const as = (place: Place, line: string): Promise<string> =>
    lastLine(
      place,
      'runuser',
      '-u',
      'postgres',
      '--',
      'sh',
      '-ec',
      `cd /; PATH=${bin}:$PATH; ${line}`,
      'sh',
      folder(place),
    );
  return {
    title: `PostgreSQL, pgbench, 4 clients, ${seconds} s`,
    unit: 'transaction',
    missing: bin === '' ? 'PostgreSQL is not installed' : null,
    async prepare(place) {
      await timed(place, 'mkdir "$1"; chown postgres "$1"', folder(place));
      await as(
        place,
        `initdb -D "$1" -A trust --no-instructions >/dev/null 2>&1
         pg_ctl -D "$1" -w -l /dev/null -o "-k /tmp -h '' -p ${port(place)}" start >/dev/null 2>&1
         pgbench -h /tmp -p ${port(place)} -i -s 5 -q postgres >/dev/null 2>&1`,
      );
    },
    run: (place) => {
      const before = cpuOf(place);
      const line = `pgbench -h /tmp -p ${port(place)} -c 4 -T ${seconds} postgres 2>/dev/null | sed -n 's/^tps = \\([0-9.]*\\).*/\\1/p'`;
      return as(place, line).then((tps) => ({
        seconds,
        units: Number(tps) * seconds,
        cpu: cpuBetween(before, cpuOf(place)),
      }));
    },
    finish: (place) => as(place, 'pg_ctl -D "$1" -m fast -w stop >/dev/null 2>&1').then(nothing),
  };
}

function untar(folder: string, files: number): Load {
  const archive = path.join(folder, 'tree.tar');
  return {
    title: `untar of ${files} files of 1 to 16 KiB`,
    unit: 'file',
    missing: null,
    prepare() {
      if (existsSync(archive)) return Promise.resolve();
      const tree = path.join(folder, 'tree');
      mkdirSync(tree, { recursive: true });
      makeTree(tree, files);
      execFileSync('tar', ['-cf', archive, '-C', tree, '.']);
      return Promise.resolve();
    },
    run: (place, round) =>
      measured(place, files, () => {
        const to = path.join(place.folder, `untar-${round}`);
        return timed(place, 'mkdir "$1"; tar -xf "$2" -C "$1"', to, archive);
      }),
    finish: nothing,
  };
}

export function makeLoads(folder: string, scale: number): Record<LoadName, Load> {
  const times = (count: number): number => Math.max(1, Math.round(count * scale));
  return {
    write4k: writes('4-KiB writes at random', 4096, times(15_000), 'random'),
    write1m: writes('1-MiB writes, one after another', 1 << 20, times(192), 'forward'),
    sqlite: sqlite(times(150)),
    pgbench: pgbench(times(3)),
    untar: untar(folder, times(2000)),
  };
}
