// C tests with more of everything than `npm test` gives them: more steps, changes, schedules, inputs. In all flavours.
import { readFileSync } from 'node:fs';
import { cTests, flavours, type Flavour } from './ctests.js';
import { logFile } from './paths.js';
import { runTap } from './tap.js';

export interface Long {
  /** The test program. */
  suite: string;
  /** Its option that says how many. */
  option: string;
  /** So many in all, by these shares. */
  count: number;
  shares: Record<Flavour, number>;
}

export const equal: Record<Flavour, number> = { elf: 1, asan: 1, pe: 1 };

const hours = 12;

/** One line of what a flavour came to and what it counted. Rejects nothing: a failure is in the outcome. */
export async function runLong(
  { suite, option, count, shares }: Long,
  done: (ok: boolean, text: string) => void,
): Promise<void> {
  for (const flavour of flavours) {
    const program = cTests(suite).find(({ suite: name }) => name === `${suite} [${flavour}]`);
    if (!program) {
      done(false, `${suite} [${flavour}] is not built`);
      continue;
    }
    const number = Math.ceil(count * shares[flavour]);
    const log = logFile(`${suite}.${flavour}.soak`);
    const outcome = await runTap({
      ...program,
      args: [...program.args, `--${option}=${number}`, `--timeout=${hours * 3600}`],
      log,
      timeoutSeconds: hours * 3600,
    });
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      if (line.startsWith('# ') && !line.startsWith('# drivers'))
        console.log(`       ${line.slice(2)}`);
    }
    for (const { name, detail } of outcome.failures) console.log(`${name}\n${detail}`);
    done(
      outcome.failures.length === 0 && outcome.passed > 0,
      `${suite} [${flavour}], ${number} ${option}, ${outcome.seconds.toFixed(0)} s`,
    );
  }
}
