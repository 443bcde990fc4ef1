// The C tests, each in three flavours: drivers as ELF modules, the same under ASan and UBSan, drivers as PE images.
// The flavours must come to equal counts.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Outcome } from './outcome.js';
import { logFile, root } from './paths.js';
import type { Program } from './tap.js';

const manifestSchema = z.object({
  tests: z.array(z.object({ name: z.string(), args: z.array(z.string()) })),
  fuzzers: z.array(z.object({ name: z.string() })),
});

export type Manifest = z.infer<typeof manifestSchema>;

export const flavours = ['elf', 'asan', 'pe'] as const;
export type Flavour = (typeof flavours)[number];

const asanFolder = path.join(root, 'build/host-asan');
const folders: Record<Flavour, string> = {
  elf: path.join(root, 'build/host'),
  asan: asanFolder,
  pe: path.join(root, 'build/host'),
};

/** Leaks count, and an error ends the program at once. */
export const sanitizerEnvironment = {
  ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=0',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
};

export function manifest(folder: string): Manifest {
  const file = path.join(folder, 'tests.json');
  if (!existsSync(file)) return { tests: [], fuzzers: [] };
  return manifestSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
}

export function cTests(filter: string): Program[] {
  const programs: Program[] = [];
  for (const flavour of flavours) {
    for (const { name, args } of manifest(folders[flavour]).tests) {
      if (!name.includes(filter)) continue;
      programs.push({
        suite: `${name} [${flavour}]`,
        command: path.join(folders[flavour], 'test', name),
        args: [`--drivers=${flavour === 'pe' ? 'pe' : 'elf'}`, ...args],
        log: logFile(`${name}.${flavour}`),
        timeoutSeconds: flavour === 'asan' ? 240 : 120,
        env: flavour === 'asan' ? sanitizerEnvironment : {},
      });
    }
  }
  return programs;
}

/** Each fuzzer for a few seconds, from the corpus in its source folder where there is one: a smoke test; `npm run soak` is the real run. */
export function fuzzers(
  filter: string,
  seconds: number,
): { name: string; command: string; args: string[] }[] {
  return manifest(asanFolder)
    .fuzzers.filter(({ name }) => name.includes(filter))
    .map(({ name }) => ({
      name,
      command: path.join(asanFolder, 'test', name),
      args: [
        `-max_total_time=${seconds}`,
        '-timeout=10',
        '-rss_limit_mb=4096',
        '-print_final_stats=1',
      ],
    }));
}

/** A suite of one point: every test came to the same count in each flavour. Also prints the counts. */
export function compareFlavours(outcomes: Outcome[]): Outcome {
  const counts = new Map<string, Partial<Record<Flavour, string>>>();
  const sums: Record<Flavour, { passed: number; skipped: number }> = {
    elf: { passed: 0, skipped: 0 },
    asan: { passed: 0, skipped: 0 },
    pe: { passed: 0, skipped: 0 },
  };
  for (const { suite, passed, skips, failures } of outcomes) {
    const [, name, flavour] = /^(.*) \[(.*)\]$/.exec(suite) ?? [];
    if (name === undefined || !isFlavour(flavour)) continue;
    const row = counts.get(name) ?? {};
    row[flavour] = `${passed + failures.length + skips.length}`;
    counts.set(name, row);
    sums[flavour].passed += passed;
    sums[flavour].skipped += skips.length;
  }
  const different = [...counts].filter(
    ([, row]) => new Set(flavours.map((flavour) => row[flavour])).size !== 1,
  );
  const summary = flavours.map((flavour) => `${flavour} ${sums[flavour].passed}`).join(', ');
  console.log(`    passed per flavour: ${summary}`);
  return {
    suite: 'equal counts in elf, asan and pe',
    passed: different.length === 0 ? 1 : 0,
    failures: different.map(([name, row]) => ({
      name,
      detail: flavours.map((flavour) => `${flavour} ${row[flavour] ?? 'missing'}`).join(', '),
    })),
    skips: [],
    seconds: 0,
  };
}

function isFlavour(text: string | undefined): text is Flavour {
  return flavours.some((flavour) => flavour === text);
}
