// Runs a program that prints TAP and counts its test points.
//
// Strict: a skip without a reason, a todo, a wrong plan, no test at all, a bail-out, an exit code that contradicts the TAP, or a
// program that outlives its time is a failure.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import path from 'node:path';
import { Parser, type Result } from 'tap-parser';
import type { Outcome } from './outcome.js';

export interface Program {
  suite: string;
  command: string;
  args: string[];
  log: string;
  timeoutSeconds: number;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

const detailLines = 40;

/** Skips inside subtests: their points do not count, their reasons do. */
function watchSubtests(parser: Parser, outcome: Outcome): void {
  parser.on('child', (child: Parser) => {
    child.on('assert', (result: Result) => {
      if (result.skip) noteSkip(result, outcome, `${child.fullname} > `);
    });
    watchSubtests(child, outcome);
  });
}

function noteSkip(result: Result, outcome: Outcome, prefix = ''): void {
  const name = prefix + result.name;
  const reason = typeof result.skip === 'string' ? result.skip : '';
  if (reason === '') outcome.failures.push({ name, detail: 'skipped without a reason' });
  else outcome.skips.push({ name, reason });
}

function noteResult(result: Result, outcome: Outcome): void {
  if (result.skip) noteSkip(result, outcome);
  else if (result.todo) outcome.failures.push({ name: result.name, detail: 'marked as todo' });
  else if (result.ok) outcome.passed += 1;
  else {
    const diag = result.diag ? JSON.stringify(result.diag, null, 2) : '';
    outcome.failures.push({ name: result.name, detail: diag });
  }
}

/** A wrong plan, numbers out of order, a bail-out. */
function noteTapErrors({ results }: Parser, outcome: Outcome): void {
  if (!results) return;
  if (results.bailout) {
    const detail = typeof results.bailout === 'string' ? results.bailout : '';
    outcome.failures.push({ name: 'bail out', detail });
    return;
  }
  for (const failure of results.failures) {
    if (failure.tapError) outcome.failures.push({ name: 'TAP', detail: failure.tapError });
  }
}

export async function runTap(program: Program): Promise<Outcome> {
  const started = Date.now();
  const outcome: Outcome = { suite: program.suite, passed: 0, failures: [], skips: [], seconds: 0 };
  mkdirSync(path.dirname(program.log), { recursive: true });
  const log = createWriteStream(program.log);
  let tail = '';
  let points = 0;

  const parser = new Parser();
  parser.on('assert', (result: Result) => {
    points += 1;
    noteResult(result, outcome);
  });
  watchSubtests(parser, outcome);

  // Its own process group, so that a test that hangs is ended with all that it started.
  const child = spawn(program.command, program.args, {
    cwd: program.cwd,
    env: { ...process.env, ...program.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const keep = (data: Buffer) => {
    log.write(data);
    tail = (tail + data.toString()).slice(-16_384);
  };
  child.stdout.on('data', (data: Buffer) => {
    keep(data);
    parser.write(data.toString());
  });
  child.stderr.on('data', keep);
  const endGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group is gone already.
    }
  };
  const timer = setTimeout(endGroup, program.timeoutSeconds * 1000);
  process.once('exit', endGroup);
  const status = await new Promise<string | number>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(signal ?? code ?? 'lost'));
  });
  clearTimeout(timer);
  process.off('exit', endGroup);
  parser.end();
  log.end();
  noteTapErrors(parser, outcome);

  const fail = (name: string) => {
    const lines = tail.trimEnd().split('\n').slice(-detailLines);
    outcome.failures.push({ name, detail: lines.join('\n') });
  };
  const late = Date.now() - started >= program.timeoutSeconds * 1000;
  if (late) fail(`not finished after ${program.timeoutSeconds} s`);
  else if (status !== 0 && outcome.failures.length === 0)
    fail(`all tests passed, but it ended with ${status}`);
  else if (status !== 0 && outcome.failures.every(({ detail }) => detail === ''))
    fail(`ended with ${status}`);
  else if (status === 0 && points === 0) fail('ran no test');
  outcome.seconds = (Date.now() - started) / 1000;
  return outcome;
}

/** Runs programs side by side, `width` at a time, in order of their starts. */
export async function runPool(
  programs: Program[],
  width: number,
  done: (outcome: Outcome) => void,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const queue = [...programs.entries()];
  const worker = async () => {
    for (let item = queue.shift(); item; item = queue.shift()) {
      const outcome = await runTap(item[1]);
      outcomes[item[0]] = outcome;
      done(outcome);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return outcomes;
}
