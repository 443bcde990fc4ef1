// A cluster to which nothing happens, on a machine whose cores are all busy: nobody may take the role over.
import os from 'node:os';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { builtFile } from './built.js';
import type { Cluster } from './cluster.js';
import { ended, sleep, spawnBound, until } from './process.js';

/** A machine that stood still longer than this is no healthy one: a tick that is 15 ms late counts as late, one of 20 ms as a stall (kernel/oneip/role.h). */
const stallMs = 10;

export interface Healthy {
  takeovers: number;
  /** How long a processor of this very machine, not of the cluster, stood still, ms; none over 10 ms on a quiet one. */
  stalls: number[];
}

export async function healthy(cluster: Cluster, ms: number): Promise<Healthy> {
  const takeovers = async () =>
    (await Promise.all(cluster.nodes.map((node) => cluster.status(node)))).reduce(
      (total, one) => total + Number(one.takeovers),
      0,
    );
  const stalls: number[] = [];
  let ready = false;
  const probe = spawn(builtFile('bin/lab-stalls'), [String(stallMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  createInterface(probe.stdout).on('line', (line) => {
    if (line === 'ready') ready = true;
    else stalls.push(Number(line.split(' ')[2]));
  });
  await until('the watch over the machine', () => (ready ? true : undefined));
  const before = await takeovers();
  const burners = Array.from({ length: os.availableParallelism() }, () =>
    spawnBound(process.execPath, ['-e', 'for(;;);']),
  );
  try {
    await sleep(ms);
    return { takeovers: (await takeovers()) - before, stalls };
  } finally {
    for (const burner of burners) burner.kill('SIGKILL');
    probe.stdin.end();
    await ended(probe);
  }
}

export function describeStalls(stalls: number[]): string {
  return stalls.length === 0
    ? 'the machine itself never stood still'
    : `the machine itself stood still ${stalls.length} times, up to ${Math.max(...stalls).toFixed(0)} ms`;
}
