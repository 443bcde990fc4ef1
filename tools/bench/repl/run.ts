// `npm run bench -- repl`: the parts, one after another, and the file with all numbers.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../../../userland/common/errors.js';
import { now } from '../../lab/clock.js';
import { busyShare } from '../measure.js';
import { type Conditions, conditions, writeJson } from '../output.js';
import { benchBacklog } from './backlog.js';
import type { Figure } from './figures.js';
import { benchLag } from './lag.js';
import type { LoadName } from './loads.js';
import { benchOverhead } from './overhead.js';
import { benchPaper } from './paper.js';
import { benchPeers } from './peers.js';
import { benchResync } from './resync.js';

export const partNames = ['overhead', 'lag', 'backlog', 'resync', 'peers', 'paper'] as const;
export type PartName = (typeof partNames)[number];

export interface ReplBenchOptions {
  readonly parts: readonly PartName[];
  readonly loads: readonly LoadName[];
  /** On the disk to measure. */
  readonly folder: string;
  readonly rounds: number;
  readonly scale: number;
  readonly seconds: number;
  readonly backlog: number;
  readonly link: number;
  readonly tree: number;
  readonly treeMegabytes: number;
  readonly burst: number;
  readonly json: boolean;
}

interface Part {
  readonly samples: readonly object[];
  readonly figures: readonly Figure[];
}

function part(name: PartName, folder: string, options: ReplBenchOptions): Promise<Part> {
  const { rounds } = options;
  switch (name) {
    case 'overhead':
      return benchOverhead({ folder, rounds, loads: options.loads, scale: options.scale });
    case 'lag':
      return benchLag({ folder, seconds: options.seconds });
    case 'backlog':
      return benchBacklog({ folder, megabytes: options.backlog, megabits: options.link });
    case 'resync':
      return benchResync({ folder, files: options.tree, megabytes: options.treeMegabytes });
    case 'peers':
      return benchPeers({ folder, files: options.burst });
    case 'paper':
      return benchPaper({ folder, rounds });
  }
}

export async function benchRepl(options: ReplBenchOptions): Promise<void> {
  mkdirSync(options.folder, { recursive: true });
  const before: Conditions = conditions(await busyShare(1000));
  console.log(
    `${before.cores} cores, ${before.cpu}, Linux ${before.kernel}; others used ${(100 * (before.busyBefore ?? 0)).toFixed(0)}% of the machine before.`,
  );
  const results: Record<string, Part | { failed: string }> = {};
  for (const name of options.parts) {
    const folder = mkdtempSync(path.join(path.resolve(options.folder), `ntswift-bench-${name}-`));
    // PostgreSQL's user has to get in.
    chmodSync(folder, 0o755);
    const began = now();
    try {
      results[name] = await part(name, folder, options);
    } catch (error) {
      results[name] = { failed: messageOf(error) };
      console.log(`\n${name}: failed: ${messageOf(error)}`);
      process.exitCode = 1;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    console.log(`  ${name} took ${((now() - began) / 1000).toFixed(0)} s`);
  }
  const all = { conditions: before, options, results };
  if (options.json) console.log(JSON.stringify(all));
  console.log(`\n${writeJson('repl.json', all)}`);
}
