// What a piece of work costs in CPU time: the whole machine, the lab alone, and some processes of it.
import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { now } from '../lab/clock.js';
import { childrenOf, cpuTime, sleep } from '../lab/process.js';

/** CPU time in ms over all cores. */
export interface Cost {
  /** Of everything that runs on this computer, ours or not. */
  machine: number;
  /**
   * Of the processes that live in the lab throughout, and of the kernel's threads for soft interrupts. It does not see what ended meanwhile,
   * nor hard interrupts. Where others work on the same computer, this is the figure that they disturb less.
   */
  lab: number;
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

const softInterrupts = readdirSync('/proc')
  .filter((name) => /^\d+$/.test(name))
  .map(Number)
  .filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('ksoftirqd/');
    } catch {
      return false;
    }
  });

/** What descends from us, with us. */
function labTimes(): Map<number, number> {
  const times = new Map<number, number>();
  const visit = (pid: number) => {
    try {
      times.set(pid, cpuTime(pid));
    } catch {
      return; // It has just ended.
    }
    for (const child of childrenOf(pid)) visit(child);
  };
  visit(process.pid);
  for (const pid of softInterrupts) times.set(pid, cpuTime(pid));
  return times;
}

export async function costOf<T>(
  pids: number[],
  work: () => Promise<T>,
): Promise<{ cost: Cost; result: T }> {
  const labBefore = labTimes();
  const before = { machine: machineBusy(), processes: sum(pids) };
  const result = await work();
  const machine = machineBusy() - before.machine;
  const processes = sum(pids) - before.processes;
  let lab = 0;
  for (const [pid, ms] of labTimes()) lab += ms - (labBefore.get(pid) ?? ms);
  return { cost: { machine, lab, processes }, result };
}

/** Which share of all cores is busy while we wait. */
export async function busyShare(ms: number): Promise<number> {
  const { cost } = await costOf([], () => sleep(ms));
  return cost.machine / (ms * os.availableParallelism());
}
