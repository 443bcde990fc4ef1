// The places in which a load runs: a plain folder, a mount, a mount with the filter loaded, and a folder that is replicated.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { buildFolder, root } from '../../lab/built.js';
import { MountMachine } from '../../lab/mount.js';
import type { Running } from '../../lab/namespace.js';
import { cpuTime, ended, until } from '../../lab/process.js';
import { Replica } from '../../lab/replica.js';

export const placeNames = ['native', 'mount', 'loaded', 'repl'] as const;
/** And a folder that is replicated in copy mode. */
export type PlaceName = (typeof placeNames)[number] | 'copy';

export const placeTitles: Record<(typeof placeNames)[number], string> = {
  native: 'a folder of the file system below, without a mount',
  mount: 'a mount of the driver host without the filter',
  loaded: 'the same with the filter loaded, and no folder selected',
  repl: 'the folder selected, async, service and backup running',
};

/** Its checks are no part of what is measured. */
export const hostOptions: readonly string[] = ['--no-verifier'];

export interface Place {
  readonly name: PlaceName;
  /** Where the load works, as programs of its machine see it. */
  readonly folder: string;
  readonly machine: MountMachine;
  /** Driver host and services; [] for native. */
  readonly pids: Readonly<Record<string, number>>;
  /** Nothing of the load is under way any more. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

async function mounted(folder: string, name: PlaceName): Promise<Place> {
  const machine = await MountMachine.create(folder, hostOptions);
  await machine.start('F');
  if (name === 'loaded') await loadFilter(machine);
  const native = path.join(folder, 'native');
  mkdirSync(native);
  return {
    name,
    machine,
    folder: name === 'native' ? native : machine.paths.mountpoint,
    pids: name === 'native' ? {} : { host: machine.pid },
    settle: () => Promise.resolve(),
    close: () => machine.close(),
  };
}

/** The driver as an administrator installs it, without a set. */
async function loadFilter(machine: MountMachine): Promise<void> {
  const cli = path.join(root, 'dist/userland/cli/main.js');
  const ntswift = async (...args: string[]): Promise<void> => {
    const state = path.join(machine.folder, 'node');
    const env = [`NTSWIFT_HOST=${machine.endpoint}`, `NTSWIFT_STATE=${state}`];
    await finished(await machine.spawn('env', ...env, process.execPath, cli, ...args));
  };
  const images = path.join(buildFolder, 'drivers');
  const inf = path.join(root, 'kernel/inf/repl.inf');
  await ntswift('driver', 'install', inf, '--images', images, '-y');
  await ntswift('driver', 'start', 'NtsRepl');
}

async function finished({ child }: Running): Promise<void> {
  child.stdout?.resume();
  await ended(child);
  if (child.exitCode !== 0) throw new Error(`a program ended with ${child.exitCode}`);
}

export class ReplPlace implements Place {
  private constructor(
    readonly name: 'repl' | 'copy',
    readonly replica: Replica,
  ) {}

  static async open(folder: string, name: 'repl' | 'copy' = 'repl'): Promise<ReplPlace> {
    const mode = name === 'copy' ? 'copy' : 'async';
    return new ReplPlace(name, await Replica.start(folder, { host: hostOptions, mode }));
  }

  get machine(): MountMachine {
    return this.replica.machine;
  }

  get folder(): string {
    return this.replica.primary;
  }

  get pids(): Readonly<Record<string, number>> {
    const { replica } = this;
    return { host: replica.machine.pid, alpha: replica.pid('alpha'), beta: replica.pid('beta') };
  }

  /** All is durable on the backup; the number of the last record. */
  async drained(milliseconds = 120_000): Promise<number> {
    return until(
      'the backup has everything',
      () => {
        const { driver, backups, synchronising, filesToCopy } = this.replica.status('alpha');
        const done = driver !== null && backups[0]?.durable === driver.last && !synchronising;
        return done && filesToCopy === 0 ? driver.last : undefined;
      },
      milliseconds,
      50,
    );
  }

  async settle(): Promise<void> {
    await this.drained();
    await this.replica.settled();
  }

  close(): Promise<void> {
    return this.replica.close();
  }
}

export async function openPlace(name: PlaceName, folder: string): Promise<Place> {
  mkdirSync(folder, { recursive: true });
  return name === 'repl' || name === 'copy' ? ReplPlace.open(folder, name) : mounted(folder, name);
}

export type Cpu = Readonly<Record<string, number>>;

/** Milliseconds of processor that each has used so far. */
export function cpuOf(place: Place): Cpu {
  return Object.fromEntries(Object.entries(place.pids).map(([name, pid]) => [name, cpuTime(pid)]));
}

export function cpuBetween(before: Cpu, after: Cpu): Cpu {
  return Object.fromEntries(
    Object.entries(after).map(([name, ms]) => [name, ms - (before[name] ?? 0)]),
  );
}

/** Runs a program of the place's machine to its end; its last line of output. */
export async function lastLine(place: Place, command: string, ...args: string[]): Promise<string> {
  const running = await place.machine.spawn(command, ...args);
  let told = '';
  running.child.stdout?.on('data', (data: Buffer) => (told += data.toString()));
  running.child.stdin?.end('\n');
  await ended(running.child);
  if (running.child.exitCode !== 0) {
    throw new Error(`${command} ended with ${running.child.exitCode}: ${told}`);
  }
  return told.trimEnd().split('\n').at(-1) ?? '';
}
