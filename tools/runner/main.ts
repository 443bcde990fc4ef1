// `npm test`: every suite, and a closing line that counts them all.
//
//   npm test -- --only=lint,c,script,wine,fuzz,system   some kinds only
//   npm test -- --filter=TEXT                           suites whose name contains TEXT
import os from 'node:os';
import path from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { cTests, compareFlavours, fuzzers } from './ctests.js';
import { runFuzzer } from './fuzz.js';
import type { Outcome } from './outcome.js';
import { logFile, root } from './paths.js';
import { final, heading, suiteLine } from './report.js';
import { scripts } from './scripts.js';
import { runPool, runTap, type Program } from './tap.js';

const kinds = ['lint', 'c', 'script', 'wine', 'fuzz', 'system'] as const;
type Kind = (typeof kinds)[number];

const fuzzSeconds = 4;

const argv = yargs(hideBin(process.argv))
  .option('only', { type: 'string', describe: `some of ${kinds.join(',')}` })
  .option('filter', { type: 'string', default: '', describe: 'part of the suite names to run' })
  .strict()
  .parseSync();

const wanted =
  argv.only === undefined ? kinds : kinds.filter((kind) => argv.only?.split(',').includes(kind));
const width = os.availableParallelism();
const outcomes: Outcome[] = [];

async function phase(title: string, programs: Program[], jobs: number): Promise<Outcome[]> {
  if (programs.length === 0) return [];
  heading(title);
  const results = await runPool(programs, jobs, suiteLine);
  outcomes.push(...results);
  return results;
}

const phases: Record<Kind, () => Promise<void>> = {
  lint: async () => {
    heading('Lint');
    const outcome = await runTap({
      suite: 'lint',
      command: process.execPath,
      args: [path.join(root, 'tools/lint.mjs'), '--tap'],
      log: logFile('lint'),
      timeoutSeconds: 900,
    });
    suiteLine(outcome);
    outcomes.push(outcome);
  },
  c: async () => {
    const results = await phase(
      'C tests: ELF, ELF under ASan and UBSan, PE',
      cTests(argv.filter),
      width,
    );
    if (results.length === 0) return;
    const equal = compareFlavours(results);
    suiteLine(equal);
    outcomes.push(equal);
  },
  script: async () => {
    await phase('Node tests', scripts(argv.filter).plain, width);
  },
  wine: async () => {
    await phase('Windows binaries under Wine', scripts(argv.filter).wine, 1);
  },
  fuzz: async () => {
    const all = fuzzers(argv.filter, fuzzSeconds);
    if (all.length === 0) return;
    heading(`Fuzzers, ${fuzzSeconds} s each`);
    for (const fuzzer of all) {
      const outcome = await runFuzzer(fuzzer);
      suiteLine(outcome);
      outcomes.push(outcome);
    }
  },
  system: async () => {
    await phase('Whole clusters', scripts(argv.filter).system, 1);
  },
};

for (const kind of wanted) await phases[kind]();
process.exitCode = final(outcomes);
