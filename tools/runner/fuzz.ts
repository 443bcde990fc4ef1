// One libFuzzer program as a suite of one point. What it finds stays in build/fuzz for a look and for the corpus.
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { sanitizerEnvironment } from './ctests.js';
import type { Outcome } from './outcome.js';
import { logFile, root } from './paths.js';

export interface Fuzzer {
  name: string;
  command: string;
  args: string[];
}

export async function runFuzzer({ name, command, args }: Fuzzer): Promise<Outcome> {
  const started = Date.now();
  const work = path.join(root, 'build/fuzz', name);
  const found = path.join(work, 'corpus');
  mkdirSync(found, { recursive: true });
  const seeds = path.join(root, 'test/corpus', name);
  const log = createWriteStream(logFile(`${name}.fuzz`));
  const child = spawn(
    command,
    [...args, `-artifact_prefix=${work}/`, found, ...(existsSync(seeds) ? [seeds] : [])],
    {
      env: { ...process.env, ...sanitizerEnvironment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      log.write(data);
      tail = (tail + data.toString()).slice(-16_384);
    });
  }
  const status = await new Promise<string | number>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(signal ?? code ?? 'lost'));
  });
  log.end();
  const runs = /stat::number_of_executed_units:\s+(\d+)/.exec(tail)?.[1] ?? '0';
  const ok = status === 0 && Number(runs) > 0;
  return {
    suite: `${name}, ${runs} inputs`,
    passed: ok ? 1 : 0,
    failures: ok
      ? []
      : [{ name: `ended with ${status}`, detail: tail.split('\n').slice(-40).join('\n') }],
    skips: [],
    seconds: (Date.now() - started) / 1000,
  };
}
