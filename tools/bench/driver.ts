// `npm run bench -- driver`: what the driver alone costs for a frame, in instructions (callgrind) and in time, as ELF module and as PE
// image, while flows and members grow.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { buildFolder, builtFile } from '../lab/built.js';
import type { Image } from '../lab/host.js';
import { LabError } from '../lab/process.js';
import { instructionsIn } from './callgrind.js';
import { busyShare } from './measure.js';
import { conditions, printTable, write, writeJson } from './output.js';
import { lineChart, type Line } from './plot.js';
import { median } from './statistics.js';

export interface DriverOptions {
  images: Image[];
  flows: number[];
  members: number[];
  /** Of the timing; instruction counts are exact. */
  rounds: number;
  /** Profile by function, of the first image and the most flows. */
  profile: boolean;
}

/** One line of bench_driver. */
interface Printed {
  scenario: 'hit' | 'miss';
  frames: number;
  forwarded: number;
  passed: number;
  nsPerFrame: number;
  base: number;
  bytes: number;
}

interface Result {
  scenario: 'hit' | 'miss';
  image: Image;
  flows: number;
  members: number;
  /** Executed inside the driver's image; null without valgrind. */
  instructions: number | null;
  /** In NDIS of the driver host and the driver, without callgrind. */
  ns: number;
  /** Instructions a frame of each function, most first. */
  functions: [string, number][];
}

/** What each frame is wanted to cost at most, of IPv4 TCP in batches of 64. */
const wanted = { hit: 250, miss: 450 };
/** How many members while flows grow, and the other way round. */
const usual = { members: 4, flows: 1000 };
/** Batches of 64 frames. For time there must be more than a few milliseconds of them. */
const batches = { counted: 32, timed: 2048 };
const timeoutSeconds = 1200;

function run(command: string, args: string[]): Printed[] {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (error) throw new LabError(`${command}: ${error.message}`);
  if (status !== 0) throw new LabError(`${command} ${args.join(' ')}:\n${stdout}${stderr}`);
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Printed);
}

function options(image: Image, flows: number, members: number, count: number): string[] {
  return [
    `--drivers=${image}`,
    `--flows=${flows}`,
    `--members=${members}`,
    `--batches=${count}`,
    `--timeout=${timeoutSeconds}`,
  ];
}

type Counts = Map<string, { total: number; functions: [string, number][] }>;

/** Instructions a frame, by scenario. */
function count(image: Image, flows: number, members: number): Counts {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-driver-'));
  try {
    const printed = run('valgrind', [
      '--tool=callgrind',
      '--instr-atstart=no',
      '--collect-atstart=no',
      '--dump-instr=yes',
      '--compress-pos=no',
      '--compress-strings=no',
      `--callgrind-out-file=${path.join(folder, 'out')}`,
      builtFile('callgrind/bench_driver'),
      `--images=${path.join(buildFolder, 'callgrind/drivers')}`,
      ...options(image, flows, members, batches.counted),
    ]);
    const dumps = readdirSync(folder).map((name) => readFileSync(path.join(folder, name), 'utf8'));
    const counts: Counts = new Map();
    for (const { scenario, frames, base, bytes } of printed) {
      const dump = dumps.find((text) =>
        text.includes(`\ndesc: Trigger: Client Request: ${scenario}\n`),
      );
      if (dump === undefined) throw new LabError(`callgrind dumped nothing for ${scenario}`);
      const object = image === 'elf' ? '/oneip.so' : null;
      const { total, functions } = instructionsIn(dump, { object, base, bytes });
      if (total < frames)
        throw new LabError(`${total} instructions in the driver for ${frames} frames`);
      counts.set(scenario, {
        total: total / frames,
        functions: [...functions]
          .map(([name, all]): [string, number] => [name, all / frames])
          .sort(([, a], [, b]) => b - a),
      });
    }
    return counts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function measure(image: Image, flows: number, members: number, rounds: number, counted: boolean) {
  const counts = counted ? count(image, flows, members) : new Map<string, never>();
  const timed = Array.from({ length: rounds }, () =>
    run(builtFile('test/bench_driver'), options(image, flows, members, batches.timed)),
  );
  return (['hit', 'miss'] as const).map((scenario): Result => {
    const times = timed.flatMap((lines) =>
      lines.filter((line) => line.scenario === scenario).map(({ nsPerFrame }) => nsPerFrame),
    );
    const { total = null, functions = [] } = counts.get(scenario) ?? {};
    return { scenario, image, flows, members, instructions: total, ns: median(times), functions };
  });
}

export async function benchDriver(asked: DriverOptions): Promise<void> {
  const counted = !spawnSync('valgrind', ['--version']).error;
  if (!counted) console.log('valgrind is not installed: no instruction counts');
  const cases = [
    ...asked.flows.map((flows) => ({ flows, members: usual.members })),
    ...asked.members
      .filter((members) => members !== usual.members || !asked.flows.includes(usual.flows))
      .map((members) => ({ flows: usual.flows, members })),
  ];
  const before = conditions(await busyShare(1000));
  const results: Result[] = [];
  const rows: string[][] = [];
  for (const image of asked.images) {
    for (const { flows, members } of cases) {
      const pair = measure(image, flows, members, asked.rounds, counted);
      results.push(...pair);
      rows.push([
        image,
        flows.toLocaleString('en'),
        String(members),
        ...pair.map(({ instructions }) => instructions?.toFixed(1) ?? '-'),
        ...pair.map(({ ns }) => ns.toFixed(0)),
      ]);
    }
  }
  console.log(
    'IPv4 TCP, batches of 64. Instructions a frame are those inside the image of the driver,',
  );
  console.log('ns a frame those in it and in NDIS of the driver host, median.');
  printTable(['image', 'flows', 'members', 'hit', 'miss', 'hit ns', 'miss ns'], rows);
  if (counted) judge(results);
  if (asked.profile) profile(results);
  console.log(
    `\n${[...plots(results), writeJson('driver.json', { conditions: before, results })].join('\n')}`,
  );
}

/** The most that any image and size costs, and the growth from the fewest flows to the most. */
function judge(results: Result[]): void {
  for (const scenario of ['hit', 'miss'] as const) {
    const of = results.filter((one) => one.scenario === scenario && one.instructions !== null);
    const worst = Math.max(...of.map(({ instructions }) => instructions ?? 0));
    const limit = wanted[scenario];
    console.log(
      `${scenario}: ${worst.toFixed(1)} instructions at most, wanted <= ${limit}: ${worst <= limit ? 'met' : 'missed'}`,
    );
    for (const image of new Set(of.map((one) => one.image))) {
      const grown = of.filter((one) => one.image === image && one.members === usual.members);
      const all = grown.map(({ instructions }) => instructions ?? 0);
      const growth = Math.max(...all) / Math.min(...all);
      if (all.length > 1)
        console.log(
          `${scenario}, ${image}: ${growth.toFixed(3)}x from the fewest to the most over the flows, wanted <= 1.10: ${growth <= 1.1 ? 'met' : 'missed'}`,
        );
    }
  }
}

function profile(results: Result[]): void {
  for (const scenario of ['hit', 'miss'] as const) {
    const of = results.filter((one) => one.scenario === scenario && one.members === usual.members);
    const last = of.filter(({ image }) => image === of[0]?.image).at(-1);
    if (!last || last.functions.length === 0) continue;
    console.log(
      `\n${scenario}, ${last.image}, ${last.flows.toLocaleString('en')} flows, by function:`,
    );
    for (const [name, instructions] of last.functions)
      if (instructions >= 0.05) console.log(`  ${instructions.toFixed(1).padStart(7)}  ${name}`);
  }
}

function plots(results: Result[]): string[] {
  const lines = (by: 'flows' | 'members', y: 'instructions' | 'ns'): Line[] => {
    const fixed = by === 'flows' ? 'members' : 'flows';
    const kinds = new Map<string, Result[]>();
    for (const one of results)
      if (one[fixed] === usual[fixed] && one[y] !== null) {
        const label = `${one.scenario}, ${one.image}`;
        kinds.set(label, [...(kinds.get(label) ?? []), one]);
      }
    return [...kinds].map(([label, list]) => ({
      label,
      points: list.sort((a, b) => a[by] - b[by]).map((one) => ({ x: one[by], y: one[y] ?? 0 })),
    }));
  };
  return (['flows', 'members'] as const).flatMap((by) =>
    (['instructions', 'ns'] as const).flatMap((y) => {
      const drawn = lines(by, y);
      if (drawn.every(({ points }) => points.length < 2)) return [];
      const unit = y === 'ns' ? 'ns a frame' : 'instructions a frame inside the driver';
      return [write(`driver-${by}-${y}.svg`, lineChart(`Driver alone: ${unit}`, by, unit, drawn))];
    }),
  );
}
