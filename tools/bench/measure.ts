// What a piece of work costs: the CPU time of the whole machine, and of one process.
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { now } from '../lab/clock.js';
import { cpuTime, sleep } from '../lab/process.js';

export interface Cost {
  /** CPU time in ms that all processes and the kernel used, over all cores. */
  machine: number;
  /** Of the processes asked for. */
  processes: number;
}

/** Ticks of /proc/stat are hundredths of a second in every kernel that we meet (USER_HZ). */
const tickMs = 10;

/**
 * Elapsed time of all cores less their idle time. The kernel measures idling exactly, but only samples what runs at its ticks,
 * and much of ours is shorter than a tick.
 */
function machineBusy(): number {
  const cores = [...readFileSync('/proc/stat', 'utf8').matchAll(/^cpu\d+ (.*)$/gm)];
  const idle = cores.map(([, line = '']) => {
    const [, , , idle = 0, waiting = 0] = line.split(' ').map(Number);
    return (idle + waiting) * tickMs;
  });
  return cores.length * now() - idle.reduce((total, ms) => total + ms, 0);
}

function sum(pids: number[]): number {
  return pids.reduce((total, pid) => total + cpuTime(pid), 0);
}

export async function costOf<T>(
  pids: number[],
  work: () => Promise<T>,
): Promise<{ cost: Cost; result: T }> {
  const before = { machine: machineBusy(), processes: sum(pids) };
  const result = await work();
  return {
    cost: { machine: machineBusy() - before.machine, processes: sum(pids) - before.processes },
    result,
  };
}

/** Which share of all cores is busy while we wait. */
export async function busyShare(ms: number): Promise<number> {
  const { cost } = await costOf([], () => sleep(ms));
  return cost.machine / (ms * os.availableParallelism());
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}
