/**
 * A program whose every step goes over four files in two folders, in an order that any state that ever was
 * tells: node steps.js FIRST SECOND [PER_SECOND]. Prints the number of each step when it is done.
 *
 * Step n writes n over FIRST/first, then over SECOND/second, renames FIRST/at-(n-1) to FIRST/at-n, and
 * appends n to SECOND/log. So in any state first >= second >= at >= log >= first - 1. Started anew it goes on
 * from there.
 */
import { closeSync, openSync, readdirSync, readFileSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';
import { LabError } from './process.js';

const WIDTH = 12;

const line = (n: number): string => `${String(n).padStart(WIDTH - 1)}\n`;

interface State {
  /** As the four files have it. */
  readonly first: number;
  readonly second: number;
  readonly at: number;
  readonly log: number;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function stateOf(one: string, two: string): State {
  const number = (text: string): number => {
    if (text !== '' && (text.length !== WIDTH || !/^ *\d+\n$/.test(text)))
      throw new LabError(`no number is ${JSON.stringify(text)}`);
    return Number(text);
  };
  const names = readdirSync(one).filter((name) => name.startsWith('at-'));
  if (names.length > 1) throw new LabError(`there is ${names.join(' and ')}`);
  const log = read(path.join(two, 'log'));
  const lines = log.length / WIDTH;
  for (let i = 0; i < lines; i += 1) {
    const got = log.slice(i * WIDTH, (i + 1) * WIDTH);
    if (got !== line(i + 1)) throw new LabError(`line ${i + 1} of the log is ${got}`);
  }
  return {
    first: number(read(path.join(one, 'first'))),
    second: number(read(path.join(two, 'second'))),
    at: Number(names[0]?.slice('at-'.length) ?? 0),
    log: lines,
  };
}

/** How many steps a copy has, and what is wrong with it. */
export function auditSteps(one: string, two: string): { steps: number; problems: string[] } {
  try {
    const { first, second, at, log } = stateOf(one, two);
    const isPrefix = first >= second && second >= at && at >= log && log >= first - 1;
    const what = `first ${first}, second ${second}, at ${at}, log ${log}`;
    return { steps: log, problems: isPrefix ? [] : [`no prefix has ${what}`] };
  } catch (error) {
    if (error instanceof LabError) return { steps: 0, problems: [error.message] };
    throw error;
  }
}

async function main([one = '.', two = '.', perSecond = '100']: string[]): Promise<void> {
  const was = stateOf(one, two);
  let { at, log } = was;
  const over = (file: string): ((n: number) => void) => {
    closeSync(openSync(file, 'a'));
    const fd = openSync(file, 'r+');
    return (n) => void writeSync(fd, line(n), 0);
  };
  const first = over(path.join(one, 'first'));
  const second = over(path.join(two, 'second'));
  const append = openSync(path.join(two, 'log'), 'a');
  if (at === 0) closeSync(openSync(path.join(one, 'at-0'), 'a'));
  const started = performance.now();
  for (let n = Math.max(was.first, 1), done = 0; ; n += 1) {
    first(n);
    second(n);
    // What the last run has done of this step is not done again.
    if (at < n) renameSync(path.join(one, `at-${at}`), path.join(one, `at-${n}`));
    if (log < n) writeSync(append, line(n));
    at = log = n;
    console.log(n);
    done += 1;
    const due = started + (done / Number(perSecond)) * 1000;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
