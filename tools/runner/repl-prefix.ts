// The prefix test of REPL's driver with many seeds: the ELF build on one processor, each of its tests with a share of them.
import { readFileSync } from 'node:fs';
import { cTests } from './ctests.js';
import { logFile } from './paths.js';
import { runTap } from './tap.js';

/** So many in a process: a violation ends the test, not those that follow. */
const chunk = 100;
/** Tests in the program, each of which runs the workloads. */
const kinds = 5;

export async function runReplPrefix(
  workloads: number,
  firstSeed: number,
  done: (ok: boolean, text: string) => void,
): Promise<void> {
  const program = cTests('repl_prefix').find(({ suite }) => suite === 'repl_prefix [elf]');
  if (!program) {
    done(false, 'repl_prefix is not built');
    return;
  }
  const seeds = Math.ceil(workloads / kinds);
  const started = Date.now();
  const log = logFile('repl_prefix.soak');
  let passed = 0;
  let violations = 0;
  for (let first = 0; first < seeds; first += chunk) {
    const count = Math.min(chunk, seeds - first);
    const args = [`--seed=${firstSeed + first}`, `--workloads=${count}`, '--timeout=3600'];
    const outcome = await runTap({
      ...program,
      args: [...program.args, ...args],
      log,
      timeoutSeconds: 5 * 3600,
    });
    passed += outcome.passed * count;
    violations += outcome.failures.length;
    for (const { name } of outcome.failures) console.log(`       ${name}`);
    if (outcome.failures.length > 0) {
      for (const line of readFileSync(log, 'utf8').split('\n'))
        if (line.includes('at seed')) console.log(`       ${line}`);
    }
    if ((first + count) % 1000 === 0) console.log(`       ${(first + count) * kinds} workloads`);
  }
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  done(
    violations === 0 && passed === seeds * kinds,
    `${passed} workloads from seed ${firstSeed}, ${violations} violations, ${seconds} s`,
  );
}
