// A primary and a backup on one machine without a network: a driver host with a mount and the REPL driver, and two nodes' services.
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { buildFolder, root } from './built.js';
import { MountMachine } from './mount.js';
import type { Running } from './namespace.js';
import { ended, LabError, until } from './process.js';

const cli = path.join(root, 'dist/userland/cli/main.js');

export type ReplicaNode = 'alpha' | 'beta';

const ports: Record<ReplicaNode, number> = { alpha: 7101, beta: 7102 };

/** Of `ntswift repl status --json` on a backup. */
interface Hosted {
  readonly durable: number;
  readonly applied: number;
  readonly consistent: number;
  readonly fault: string | null;
}

interface Status {
  readonly driver: {
    readonly state: string;
    readonly last: number;
    readonly openBrackets: number;
  } | null;
  readonly backups: readonly { readonly state: string; readonly durable: number }[];
  readonly synchronising: unknown;
  readonly hosted: readonly Hosted[];
}

export class Replica {
  private readonly services = new Map<ReplicaNode, Running>();

  private constructor(readonly machine: MountMachine) {}

  /** Alpha is the primary of the set "shop", the folder of that name on the mount; beta its backup. */
  static async start(folder: string, mode: 'async' | 'durable' = 'async'): Promise<Replica> {
    const replica = new Replica(await MountMachine.create(folder));
    mkdirSync(path.join(replica.machine.paths.backing, 'shop'));
    mkdirSync(replica.backup, { recursive: true });
    replica.machine.run('ip', 'link', 'set', 'lo', 'up');
    await replica.machine.start('F');
    const images = ['--images', path.join(buildFolder, 'drivers')];
    replica.ntswift(
      'alpha',
      'driver',
      'install',
      path.join(root, 'kernel/inf/repl.inf'),
      ...images,
      '-y',
    );
    replica.ntswift('alpha', 'driver', 'start', 'NtsRepl');
    const address = (node: ReplicaNode): string => `127.0.0.1:${ports[node]}`;
    replica.ntswift(
      'alpha',
      'cluster',
      'init',
      '--name',
      'lab',
      '--node',
      'alpha',
      '--address',
      address('alpha'),
    );
    await replica.startService('alpha');
    const token = replica.ntswift('alpha', 'cluster', 'token').trim();
    replica.ntswift(
      'beta',
      'node',
      'join',
      address('alpha'),
      '--token',
      token,
      '--name',
      'beta',
      '--address',
      address('beta'),
    );
    await replica.startService('beta');
    const to = `beta:${replica.backup}`;
    replica.ntswift('alpha', 'repl', 'add', 'shop', replica.primary, '--to', to, '--mode', mode);
    await until(
      'the first synchronisation',
      () => {
        const { backups, synchronising } = replica.status('alpha');
        return backups[0]?.state === 'streaming' && !synchronising ? true : undefined;
      },
      30_000,
      100,
    );
    return replica;
  }

  /** The set as programs of the primary see it. */
  get primary(): string {
    return path.join(this.machine.paths.mountpoint, 'shop');
  }

  /** The folder on the backup that has one for each set. */
  get backup(): string {
    return path.join(this.machine.folder, 'backup');
  }

  /** The process of a node's service. */
  pid(node: ReplicaNode): number {
    const service = this.services.get(node);
    if (!service) throw new LabError(`the service of ${node} does not run`);
    return service.pid;
  }

  private environment(node: ReplicaNode): string[] {
    const host = node === 'alpha' ? this.machine.endpoint : path.join(this.machine.folder, 'none');
    return [`NTSWIFT_HOST=${host}`, `NTSWIFT_STATE=${path.join(this.machine.folder, node)}`];
  }

  ntswift(node: ReplicaNode, ...args: string[]): string {
    return this.machine.run('env', ...this.environment(node), process.execPath, cli, ...args);
  }

  status(node: ReplicaNode): Status {
    return JSON.parse(this.ntswift(node, 'repl', 'status', '--json')) as Status;
  }

  private async startService(node: ReplicaNode): Promise<void> {
    const { machine } = this;
    const service = await machine.spawn(
      'env',
      ...this.environment(node),
      process.execPath,
      cli,
      'service',
    );
    this.services.set(node, service);
    let told = '';
    service.child.stdout?.on('data', (data: Buffer) => (told += data.toString()));
    await until(
      `the service of ${node}`,
      () => {
        if (service.child.exitCode !== null)
          throw new LabError(`the service of ${node} ended: ${told}`);
        return told.includes('is ready at') ? true : undefined;
      },
      30_000,
    );
  }

  /** A program on the primary; `line` hears what it prints. */
  async program(line: (text: string) => void, script: string, ...args: string[]): Promise<Running> {
    const running = await this.machine.spawn(process.execPath, script, ...args);
    let rest = '';
    running.child.stdout?.on('data', (data: Buffer) => {
      const lines = (rest + data.toString()).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(line);
    });
    return running;
  }

  /** The machine of the primary ends: its host, its service and the given programs at one moment. */
  async killPrimary(...programs: Running[]): Promise<void> {
    const service = this.services.get('alpha');
    const all = [...(service ? [service] : []), ...programs];
    const host = this.machine.kill();
    for (const { pid } of all) process.kill(pid, 'SIGKILL');
    await Promise.all([host, ...all.map(({ child }) => ended(child))]);
    this.services.delete('alpha');
  }

  /** The machine of the primary starts again: the host with its drivers, then the service. */
  async startPrimary(): Promise<void> {
    await this.machine.start('F');
    await this.startService('alpha');
  }

  /** The backup has applied all that it can; throws where a record contradicts its tree. */
  async settled(): Promise<Hosted> {
    return until(
      'replay',
      () => {
        const [hosted] = this.status('beta').hosted;
        if (hosted?.fault) throw new LabError(`replay stopped: ${hosted.fault}`);
        return hosted && hosted.applied === hosted.consistent ? hosted : undefined;
      },
      60_000,
      50,
    );
  }

  /** The backup has everything, and has applied it; no synchronisation is due. */
  async level(timeoutMs = 60_000): Promise<void> {
    let seen: Status[] = [];
    const isLevel = (): true | undefined => {
      seen = [this.status('alpha'), this.status('beta')];
      const [{ driver, backups, synchronising }, { hosted }] = seen as [Status, Status];
      const done = backups[0]?.durable === driver?.last && driver?.openBrackets === 0;
      return done && !synchronising && hosted[0]?.applied === driver.last ? true : undefined;
    };
    try {
      await until('all is on the backup', isLevel, timeoutMs, 100);
    } catch (error) {
      throw new LabError(JSON.stringify(seen, null, 1), { cause: error });
    }
  }

  /** How the backup's tree differs from what the primary's volume lies on; "" if it does not. */
  difference(): string {
    const backing = path.join(this.machine.paths.backing, 'shop');
    const backup = path.join(this.backup, 'shop');
    return this.machine.output('diff', '-r', '--no-dereference', backing, backup);
  }

  /** What the backup has, copied so that it can be opened. */
  copy(name: string): string {
    const to = path.join(this.machine.folder, name);
    cpSync(path.join(this.backup, 'shop'), to, { recursive: true });
    return to;
  }

  async close(): Promise<void> {
    for (const { pid, child } of this.services.values()) {
      process.kill(pid, 'SIGKILL');
      await ended(child);
    }
    await this.machine.close();
  }
}
