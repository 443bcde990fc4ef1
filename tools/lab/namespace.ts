// A machine's shell: a network, PID and mount namespace of its own, held by its first process.
//
// Nothing of it is named or mounted anywhere, so it ends with that process, and that process ends with ours: a lab that is killed
// leaves nothing behind. Killing the first process is the loss of the machine's power: the kernel ends all its processes at
// once, and its interfaces disappear.
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { childrenOf, ended, isAlive, LabError, run, spawnBound, until } from './process.js';

export interface Running {
  /** The process in our own PID namespace. */
  pid: number;
  /** What runs nsenter around it. */
  child: ChildProcess;
}

export class Namespace {
  private readonly children = new Set<ChildProcess>();

  private constructor(
    readonly name: string,
    private readonly holder: ChildProcess,
    /** The first process of the PID namespace, as seen from ours. */
    readonly pid: number,
  ) {}

  static async create(name: string): Promise<Namespace> {
    const unshare = [
      '--net',
      '--pid',
      '--mount',
      '--uts',
      '--fork',
      '--kill-child',
      '--mount-proc',
    ];
    const holder = spawnBound('unshare', [
      ...unshare,
      'sh',
      '-c',
      `hostname ${name} 2>/dev/null; exec sleep infinity`,
    ]);
    let told = '';
    holder.stderr?.on('data', (data: Buffer) => (told += data.toString()));
    const pid = await until(`namespaces of ${name}`, () => {
      if (holder.exitCode !== null)
        throw new LabError(`unshare failed for ${name}: ${told.trim()}`);
      // setpriv becomes unshare, whose only child is the first process.
      return holder.pid === undefined ? undefined : childrenOf(holder.pid)[0];
    });
    const namespace = new Namespace(name, holder, pid);
    // The child exists before its mounts are made; its own /proc shows it as process 1.
    await until(`mounts of ${name}`, () => {
      try {
        return run('nsenter', namespace.enter('readlink', ['/proc/self'])).trim() !== ''
          ? true
          : undefined;
      } catch {
        return undefined;
      }
    });
    return namespace;
  }

  enter(command: string, args: string[]): string[] {
    const namespaces = ['--net', '--pid', '--mount', '--uts'];
    // The first process's root and folder: ours, also where that is a chroot.
    return ['-t', String(this.pid), ...namespaces, '--root', '--wd', '--', command, ...args];
  }

  /** Runs a program to its end, on the machine's network; process numbers that it is given are ours. */
  run(command: string, args: string[], input?: string): string {
    return run('nsenter', ['-t', String(this.pid), '--net', '--', command, ...args], input);
  }

  /** Many `ip` commands in one go. */
  ip(...lines: string[]): void {
    if (lines.length > 0) this.run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
  }

  tc(...lines: string[]): void {
    if (lines.length > 0) this.run('tc', ['-batch', '-'], `${lines.join('\n')}\n`);
  }

  nft(ruleset: string): void {
    this.run('nft', ['-f', '-'], ruleset);
  }

  sysctl(values: Record<string, string | number>): void {
    const lines = Object.entries(values).map(([key, value]) => `echo ${value} > /proc/sys/${key}`);
    this.run('sh', ['-e'], `${lines.join('\n')}\n`);
  }

  /** Starts a program and finds its process number. */
  async spawn(command: string, args: string[], options: SpawnOptions = {}): Promise<Running> {
    const child = spawn('nsenter', this.enter(command, args), options);
    this.children.add(child);
    child.once('exit', () => this.children.delete(child));
    const pid = await until(`${command} in ${this.name}`, () => {
      if (child.exitCode !== null)
        throw new LabError(`${command} in ${this.name} ended with ${child.exitCode}`);
      return child.pid === undefined ? undefined : childrenOf(child.pid)[0];
    });
    return { pid, child };
  }

  get alive(): boolean {
    return isAlive(this.pid);
  }

  /** The loss of power. Returns when no process is left. */
  async kill(): Promise<void> {
    if (this.holder.exitCode === null && this.holder.signalCode === null) {
      try {
        process.kill(this.pid, 'SIGKILL');
      } catch {
        // It has just gone.
      }
    }
    // nsenter stops when what it runs is stopped, and must go on to see that it is gone. Killing it would leave a zombie to the first
    // process of our own namespace, which need not be one that reaps.
    const wake = setInterval(() => {
      for (const child of this.children) child.kill('SIGCONT');
    }, 5);
    await ended(this.holder);
    clearInterval(wake);
  }
}
