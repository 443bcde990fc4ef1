// A driver host with a mount, on a machine without a network: what programs see of a volume, and what becomes of it when the host goes.
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { builtFile } from './built.js';
import { Namespace, type Running } from './namespace.js';
import { ended, isAlive, killNow, LabError, run, until } from './process.js';

export interface MountPaths {
  /** What the volume lies on. */
  backing: string;
  /** Where programs see it. */
  mountpoint: string;
}

/** Root may otherwise raise the limit again. */
function limited(descriptors: number): string[] {
  const limit = `--nofile=${descriptors}:${descriptors}`;
  return ['setpriv', '--bounding-set=-sys_resource', 'prlimit', limit];
}

export class MountMachine {
  private host: Running | undefined;
  private told = '';
  /** The name of a socket has little room. */
  private readonly sockets = mkdtempSync(path.join(os.tmpdir(), 'nts-mount-'));

  private constructor(
    readonly namespace: Namespace,
    readonly folder: string,
    readonly paths: MountPaths,
    private readonly options: readonly string[],
  ) {}

  /** `options` are further ones of its host. */
  static async create(folder: string, options: readonly string[] = []): Promise<MountMachine> {
    const paths = {
      backing: path.join(folder, 'backing'),
      mountpoint: path.join(folder, 'mount'),
    };
    mkdirSync(paths.backing, { recursive: true });
    mkdirSync(paths.mountpoint);
    return new MountMachine(await Namespace.create('machine'), folder, paths, options);
  }

  /** Where clients of the host connect. */
  get endpoint(): string {
    return path.join(this.sockets, 'host.sock');
  }

  /** The host's folder of its own, where drivers have their files. */
  get state(): string {
    return path.join(this.folder, 'state');
  }

  /** Before the host is started: that folder holds so much, and is seen by this machine alone. */
  limitState(megabytes: number): void {
    mkdirSync(this.state);
    this.run('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'state', this.state);
  }

  private hostArguments(mount: string): string[] {
    // A host that was killed leaves it behind.
    rmSync(this.endpoint, { force: true });
    return ['--socket', this.endpoint, '--state', this.state, '--mount', mount, ...this.options];
  }

  /**
   * Starts the host; its mount works when this returns. The drive letter is the volume's, "F". With
   * `descriptors` it may have so many, and no right to more.
   */
  async start(drive = '', descriptors?: number): Promise<void> {
    const { backing, mountpoint } = this.paths;
    const command = [
      ...(descriptors === undefined ? [] : limited(descriptors)),
      builtFile('bin/nthost'),
      ...this.hostArguments(`${backing}:${mountpoint}${drive && `:${drive}`}`),
    ];
    const host = await this.namespace.spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(path.join(this.folder, 'host.log'), { flags: 'a' });
    const state = { ready: false };
    this.told = '';
    host.child.stderr?.on('data', (data: Buffer) => {
      this.told += data.toString();
      log.write(data);
    });
    host.child.stdout?.on(
      'data',
      (data: Buffer) => (state.ready ||= data.toString().includes('ready')),
    );
    this.host = host;
    await until(
      'driver host',
      () => (state.ready || host.child.exitCode !== null ? true : undefined),
      60_000,
    );
    if (!state.ready)
      throw new LabError(`the host ended with ${host.child.exitCode}: ${this.told}`);
  }

  /** What a host says that does not start: its messages, and "exit N". */
  refusal(mount: string): string {
    const script = 'timeout 60 "$0" "$@" 2>&1; echo exit $?';
    return this.run('sh', '-c', script, builtFile('bin/nthost'), ...this.hostArguments(mount));
  }

  /** What the host said on stderr since it was started. */
  get messages(): string {
    return this.told;
  }

  /** The host's process. */
  get pid(): number {
    if (!this.host) throw new LabError('the driver host does not run');
    return this.host.pid;
  }

  get alive(): boolean {
    return this.host !== undefined && isAlive(this.host.pid);
  }

  /** Ends it in an orderly way; returns its exit code. */
  async stop(): Promise<number | null> {
    const { host } = this;
    if (!host) return null;
    process.kill(host.pid, 'SIGTERM');
    await ended(host.child);
    this.host = undefined;
    return host.child.exitCode;
  }

  /** Ends it and these programs at one moment. */
  async kill(...programs: Running[]): Promise<void> {
    const all = [...(this.host ? [this.host] : []), ...programs];
    this.host = undefined;
    for (const { pid } of all) killNow(pid);
    await Promise.all(all.map(({ child }) => ended(child)));
  }

  /** Runs a program on the machine to its end. */
  run(command: string, ...args: string[]): string {
    return run('nsenter', this.namespace.enter(command, args));
  }

  /** The same for a line of the shell, in a folder. */
  sh(folder: string, line: string): string {
    return this.run('sh', '-ec', `cd '${folder}'\n${line}`);
  }

  /** The same, which may fail: what it printed. */
  output(command: string, ...args: string[]): string {
    return this.run('sh', '-c', '"$0" "$@" 2>&1; :', command, ...args);
  }

  spawn(command: string, ...args: string[]): Promise<Running> {
    return this.namespace.spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  get isMounted(): boolean {
    return this.run('cat', '/proc/self/mounts').includes(` ${this.paths.mountpoint} fuse.nthost `);
  }

  async close(): Promise<void> {
    await this.kill();
    await this.namespace.kill();
    rmSync(this.sockets, { recursive: true });
  }
}
