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

/** What a failed point says of itself: where, and what was expected. */
function describe(name: string, diag: unknown): string {
  const lines = [name];
  if (typeof diag === 'object' && diag !== null) {
    const { at, diff, ...rest } = diag as Record<string, unknown>;
    if (typeof at === 'object' && at !== null && 'fileName' in at && 'lineNumber' in at) {
      lines.push(`at ${String(at.fileName)}:${String(at.lineNumber)}`);
    }
    if (typeof diff === 'string') lines.push(diff.trimEnd());
    for (const [key, value] of Object.entries(rest)) {
      if (key === 'source' || key === 'stack') continue;
      lines.push(`${key}: ${typeof value === 'string' ? value.trimEnd() : JSON.stringify(value)}`);
    }
  }
  return lines.join('\n');
}

/** Collects test points. Those of subtests do not count, but their skips and the reasons of their failures show. */
class Points {
  count = 0;
  private reasons: string[] = [];

  constructor(private readonly outcome: Outcome) {}

  watch(parser: Parser): void {
    parser.on('assert', (result: Result) => {
      this.count += 1;
      this.note(result);
    });
    this.watchSubtests(parser);
  }

  private watchSubtests(parser: Parser): void {
    parser.on('child', (child: Parser) => {
      child.on('assert', (result: Result) => {
        if (result.skip) this.skip(result, `${child.fullname} > `);
        else if (!result.ok) this.reasons.push(describe(result.name, result.diag));
      });
      this.watchSubtests(child);
    });
  }

  private skip(result: Result, prefix = ''): void {
    const name = prefix + result.name;
    const reason = typeof result.skip === 'string' ? result.skip : '';
    if (reason === '') this.outcome.failures.push({ name, detail: 'skipped without a reason' });
    else this.outcome.skips.push({ name, reason });
  }

  private note(result: Result): void {
    const { failures } = this.outcome;
    if (result.skip) this.skip(result);
    else if (result.todo) failures.push({ name: result.name, detail: 'marked as todo' });
    else if (result.ok) this.outcome.passed += 1;
    else {
      const own = this.reasons.length === 0 ? [describe('', result.diag).trimStart()] : [];
      failures.push({ name: result.name, detail: [...this.reasons, ...own].join('\n') });
    }
    this.reasons = [];
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

  const parser = new Parser();
  const points = new Points(outcome);
  points.watch(parser);

  // Its own process group, so that a test that hangs is ended with all that it started.
  const child = spawn(program.command, program.args, {
    cwd: program.cwd,
    // The runner has the limit; tap's own of 30 s is for one test on an idle machine.
    env: { TAP_TIMEOUT: '300', ...process.env, ...program.env },
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
  await new Promise<void>((resolve) => log.end(resolve));
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
  else if (status === 0 && points.count === 0) fail('ran no test');
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
