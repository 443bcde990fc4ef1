// The driver host of a machine: started, asked by the command line that users have, frozen.
import { execFile } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { buildFolder, builtFile, root } from './built.js';
import type { Running } from './namespace.js';
import type { Node } from './node.js';
import { ended, isAlive, LabError, until } from './process.js';

const execute = promisify(execFile);

/** Which build of the drivers the host loads. */
export type Image = 'elf' | 'pe';

export interface HostOptions {
  image: Image;
  verifier: boolean;
}

export const defaultHost: HostOptions = { image: 'elf', verifier: false };

/** Options of `ntswift driver install` for a build of the drivers. */
export function driverImages(image: Image): string[] {
  return ['--images', path.join(buildFolder, 'drivers'), '--image', image];
}

export class DriverHost {
  private constructor(
    private readonly node: Node,
    private readonly running: Running,
    readonly options: HostOptions,
    readonly socket: string,
  ) {}

  /** `disk` names what the host keeps on the machine: drivers, registry. */
  static async start(node: Node, options: HostOptions, disk = 'host'): Promise<DriverHost> {
    const socket = path.join(node.folder, 'host.sock');
    // A host that was killed leaves it behind.
    rmSync(socket, { force: true });
    const args = [
      '--socket',
      socket,
      '--state',
      path.join(node.folder, disk),
      '--adapter',
      'eth0:net0',
    ];
    if (!options.verifier) args.push('--no-verifier');
    const running = await node.start('host', builtFile('bin/nthost'), args);
    const host = new DriverHost(node, running, options, socket);
    await until(`driver host of ${node.name}`, () => {
      if (!host.alive)
        throw new LabError(`the driver host of ${node.name} ended; see ${node.folder}/host.log`);
      return existsSync(socket) ? true : undefined;
    });
    return host;
  }

  get pid(): number {
    return this.running.pid;
  }

  get alive(): boolean {
    return isAlive(this.pid);
  }

  /** Runs the `ntswift` command against this host, as its administrator would. */
  async ntswift(...args: string[]): Promise<string> {
    const { stdout } = await execute(
      process.execPath,
      [path.join(root, 'dist/userland/cli/main.js'), ...args],
      {
        encoding: 'utf8',
        env: {
          ...process.env,
          NTSWIFT_HOST: this.socket,
          NTSWIFT_STATE: path.join(this.node.folder, 'ntswift'),
        },
      },
    );
    return stdout;
  }

  async json(...args: string[]): Promise<unknown> {
    return JSON.parse(await this.ntswift(...args, '--json'));
  }

  /** The machine's driver host stops running, but its link stays up: what a hang looks like to the others. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  thaw(): void {
    // nsenter stops when what it runs is stopped.
    this.running.child.kill('SIGCONT');
    process.kill(this.pid, 'SIGCONT');
  }

  /** Ends it in an orderly way. */
  async stop(): Promise<void> {
    if (this.alive) process.kill(this.pid, 'SIGTERM');
    await ended(this.running.child);
  }
}
