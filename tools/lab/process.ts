// Running the programs that the lab is made of: ip, nft, tc, unshare, nsenter.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export class LabError extends Error {
  override name = 'LabError';
}

/** Runs a program to its end and returns what it printed. */
export function run(command: string, args: string[], input?: string): string {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    input: input ?? '',
    maxBuffer: 1 << 26,
  });
  if (result.error) throw new LabError(`${command}: ${result.error.message}`);
  if (result.status !== 0) {
    const how = result.signal ?? `exit code ${result.status}`;
    const told = [result.stderr, result.stdout].join('\n').trim();
    throw new LabError(`${command} ${args.join(' ')}: ${how}: ${told}`);
  }
  return result.stdout;
}

/** The child processes of a process, in our own PID namespace. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Start time in clock ticks since boot: tells a process from a later one with its number. */
export function startTime(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** CPU time that the threads of a process have used so far, in milliseconds; exact, unlike /proc/PID/stat, which counts ticks. */
export function cpuTime(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((total, task) => {
    const [ran] = readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ');
    return total + Number(ran) / 1e6;
  }, 0);
}

/** Waits until `probe` returns something other than undefined. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 10_000,
  everyMs = 2,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new LabError(`not within ${timeoutMs} ms: ${what}`);
    await sleep(everyMs);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/** `line` hears what a program prints. */
export function eachLine(child: ChildProcess, line: (text: string) => void): void {
  let rest = '';
  child.stdout?.on('data', (data: Buffer) => {
    const lines = (rest + data.toString()).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(line);
  });
}

/** SIGKILL, also of what may just have ended by itself. */
export function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Stops a process by SIGSTOP. When this resolves none of its threads is in a system call any more. */
export async function suspend(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const stands = (task: string): boolean =>
    /^\d+ \(.*\) T /s.test(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8'));
  await until(
    `process ${pid} stands still`,
    () => (readdirSync(`/proc/${pid}/task`).every(stands) ? true : undefined),
    60_000,
  );
}

/** A process that the kernel ends when this one ends, however that happens. */
export function spawnBound(command: string, args: string[]): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}
