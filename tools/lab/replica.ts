// A primary and its backups: a machine with a driver host, a mount and the REPL driver, a machine for each backup, and the service on
// each of them.
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { NodeReplView } from '../../userland/repl/view.js';
import { BackupMachine, PRIMARY_ADDRESS } from './backup-machine.js';
import { buildFolder, root } from './built.js';
import { MountMachine } from './mount.js';
import type { Running } from './namespace.js';
import { eachLine, ended, isAlive, LabError, until } from './process.js';

const cli = path.join(root, 'dist/userland/cli/main.js');

export type BackupNode = 'beta' | 'gamma';
export type ReplicaNode = 'alpha' | BackupNode;

const PORT = 7101;

type Hosted = NodeReplView['hosted'][number];

export interface ReplicaOptions {
  readonly mode?: 'async' | 'durable' | 'copy';
  /** The backup's folder is on a disk of so many megabytes of its own. */
  readonly diskMegabytes?: number;
  /** Beta has a driver host, too: its folder for the backup is on a volume that the driver filters. */
  readonly two?: boolean;
  /** Further options of the driver host. */
  readonly host?: readonly string[];
  /** The folder of the primary's driver host, which has the journal, holds so many megabytes. */
  readonly stateMegabytes?: number;
  /** Size of the journal. */
  readonly journal?: string;
  /** The services write their logs to NODE.log in the folder, and not to our stderr. */
  readonly logs?: boolean;
}

export class Replica {
  private readonly services = new Map<ReplicaNode, Running>();
  private readonly backups = new Map<BackupNode, BackupMachine>();

  private constructor(
    /** Of the primary. */
    readonly machine: MountMachine,
    private readonly other: MountMachine | null,
    private readonly logs: boolean,
  ) {}

  /** Alpha is the primary of the set "shop", the folder of that name on the mount; beta its backup. */
  static async start(folder: string, options: ReplicaOptions = {}): Promise<Replica> {
    const machine = await MountMachine.create(folder, options.host);
    if (options.stateMegabytes !== undefined) machine.limitState(options.stateMegabytes);
    const other = options.two ? await MountMachine.create(path.join(folder, 'other')) : null;
    const replica = new Replica(machine, other, options.logs ?? false);
    try {
      await replica.begin(options);
    } catch (error) {
      await replica.close();
      throw error;
    }
    return replica;
  }

  private async begin(options: ReplicaOptions): Promise<void> {
    const { mode = 'async', diskMegabytes, journal } = options;
    const { machine } = this;
    mkdirSync(path.join(machine.paths.backing, 'shop'));
    machine.run('ip', 'link', 'set', 'lo', 'up');
    machine.run('ip', 'address', 'add', `${PRIMARY_ADDRESS}/32`, 'dev', 'lo');
    await this.startHost('alpha', machine);
    const address = `${PRIMARY_ADDRESS}:${PORT}`;
    const names = ['--name', 'lab', '--node', 'alpha', '--address', address];
    this.ntswift('alpha', 'cluster', 'init', ...names);
    await this.startService('alpha');
    await this.join('beta', diskMegabytes);
    if (journal !== undefined) this.ntswift('alpha', 'repl', 'set', '--journal', journal);
    const to = `beta:${this.backup}`;
    this.ntswift('alpha', 'repl', 'add', 'shop', this.primary, '--to', to, '--mode', mode);
    await this.synchronised();
  }

  /** With the REPL driver installed and started. */
  private async startHost(node: ReplicaNode, machine: MountMachine): Promise<void> {
    await machine.start('F');
    const inf = path.join(root, 'kernel/inf/repl.inf');
    const images = path.join(buildFolder, 'drivers');
    this.ntswift(node, 'driver', 'install', inf, '--images', images, '-y');
    this.ntswift(node, 'driver', 'start', 'NtsRepl');
  }

  /** One more machine becomes a node; its backup's folder is there, and empty. */
  async join(node: BackupNode, diskMegabytes?: number): Promise<BackupMachine> {
    const { folder } = this.machine;
    const other = node === 'beta' ? this.other : null;
    const number = this.backups.size + 2;
    const machine = await BackupMachine.create(node, number, this.machine, other?.namespace);
    this.backups.set(node, machine);
    if (other) await this.startHost(node, other);
    const backup = this.backupOf(node);
    if (diskMegabytes !== undefined) {
      machine.disk(path.join(folder, `${node}.image`), path.dirname(backup), diskMegabytes);
    }
    machine.run('mkdir', '-p', backup);
    const token = this.ntswift('alpha', 'cluster', 'token').trim();
    const address = ['--name', node, '--address', `${machine.address}:${PORT}`];
    this.ntswift(node, 'node', 'join', `${PRIMARY_ADDRESS}:${PORT}`, '--token', token, ...address);
    await this.startService(node);
    return machine;
  }

  /** All backups receive, and nothing is due or under way. */
  async synchronised(timeoutMs = 30_000): Promise<NodeReplView> {
    return until(
      'the synchronisation',
      () => {
        const view = this.status('alpha');
        const streaming = view.backups.every(({ state }) => state === 'streaming');
        const open = view.driver?.openBrackets !== 0 || view.synchronising !== null;
        return streaming && !open ? view : undefined;
      },
      timeoutMs,
      100,
    );
  }

  /** The set as programs of the primary see it. */
  get primary(): string {
    return path.join(this.machine.paths.mountpoint, 'shop');
  }

  /** The folder on beta that has one for each set. */
  get backup(): string {
    return this.backupOf('beta');
  }

  backupOf(node: BackupNode): string {
    return node === 'beta' && this.other
      ? path.join(this.other.paths.mountpoint, 'backup')
      : path.join(this.machine.folder, `on-${node}`, 'backup');
  }

  /** The machine of a backup. */
  on(node: BackupNode): BackupMachine {
    const machine = this.backups.get(node);
    if (!machine) throw new LabError(`there is no ${node}`);
    return machine;
  }

  /** The machine with a driver host that a node is. */
  machineOf(node: ReplicaNode): MountMachine {
    const machine = node === 'alpha' ? this.machine : node === 'beta' ? this.other : null;
    if (!machine) throw new LabError(`${node} has no driver host`);
    return machine;
  }

  private place(node: ReplicaNode): MountMachine | BackupMachine {
    return node === 'alpha' ? this.machine : this.on(node);
  }

  /** The process of a node's service. */
  pid(node: ReplicaNode): number {
    const service = this.services.get(node);
    if (!service) throw new LabError(`the service of ${node} does not run`);
    return service.pid;
  }

  private environment(node: ReplicaNode): string[] {
    const none = path.join(this.machine.folder, 'none');
    const host = node === 'alpha' ? this.machine.endpoint : (this.other?.endpoint ?? none);
    return [`NTSWIFT_HOST=${host}`, `NTSWIFT_STATE=${path.join(this.machine.folder, node)}`];
  }

  ntswift(node: ReplicaNode, ...args: string[]): string {
    return this.place(node).run('env', ...this.environment(node), process.execPath, cli, ...args);
  }

  status(node: ReplicaNode): NodeReplView {
    return JSON.parse(this.ntswift(node, 'repl', 'status', '--json')) as NodeReplView;
  }

  async startService(node: ReplicaNode): Promise<void> {
    const service = await this.place(node).spawn(
      'env',
      ...this.environment(node),
      process.execPath,
      cli,
      'service',
      ...(this.logs ? ['--log', this.logOf(node)] : []),
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
    eachLine(running.child, line);
    return running;
  }

  /** The machine of the primary ends: its host, its service and the given programs at one moment. */
  async killPrimary(...programs: Running[]): Promise<void> {
    const service = this.services.get('alpha');
    await this.machine.kill(...(service ? [service] : []), ...programs);
    this.services.delete('alpha');
  }

  /** Ends a service: by SIGTERM in order, by SIGKILL not. */
  async stopService(node: ReplicaNode, signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    const service = this.services.get(node);
    if (!service) return;
    this.services.delete(node);
    // It may have ended with its machine.
    if (isAlive(service.pid)) process.kill(service.pid, signal);
    await ended(service.child);
  }

  /** Bytes that a service has read so far, of files and of connections. */
  bytesRead(node: ReplicaNode): number {
    const text = readFileSync(`/proc/${this.services.get(node)?.pid}/io`, 'utf8');
    return Number(/^rchar: (\d+)$/m.exec(text)?.[1]);
  }

  /** What the service has logged, also before it was started again; only with `logs`. */
  log(node: ReplicaNode): string {
    return readFileSync(this.logOf(node), 'utf8');
  }

  private logOf(node: ReplicaNode): string {
    return path.join(this.machine.folder, `${node}.log`);
  }

  /** Bytes that have gone over the cables of the primary's machine so far, both ways. */
  get wireBytes(): number {
    const text = this.machine.run('cat', '/proc/net/dev');
    let bytes = 0;
    for (const [, received, sent] of text.matchAll(/^ *cable\d+: *(\d+)(?: +\d+){7} +(\d+)/gm))
      bytes += Number(received) + Number(sent);
    return bytes;
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

  /** Every backup of a primary has applied all that its driver has recorded, and no synchronisation is due; for when nobody writes. */
  async level(primary: ReplicaNode = 'alpha', timeoutMs = 60_000): Promise<NodeReplView> {
    let seen: unknown;
    const isLevel = (): NodeReplView | undefined => {
      const view = this.status(primary);
      const hosted = view.backups.map(({ node }) => this.status(node as ReplicaNode).hosted[0]);
      seen = { view, hosted };
      const { driver, backups, synchronising } = view;
      if (driver?.openBrackets !== 0 || synchronising || view.filesToCopy !== 0) return undefined;
      const all = backups.every(({ durable }) => durable === driver.last);
      return all && hosted.every((one) => one?.applied === driver.last) ? view : undefined;
    };
    try {
      return await until('all is on the backup', isLevel, timeoutMs, 100);
    } catch (error) {
      throw new LabError(JSON.stringify(seen, null, 1), { cause: error });
    }
  }

  /** How the backup's tree differs from what the primary's volume lies on; "" if it does not. */
  difference(): string {
    const backing = path.join(this.machine.paths.backing, 'shop');
    const folder = this.other ? path.join(this.other.paths.backing, 'backup') : this.backup;
    const backup = path.join(folder, 'shop');
    return this.machine.output('diff', '-r', '--no-dereference', backing, backup);
  }

  /** What the backup has, copied so that it can be opened. */
  copy(name: string): string {
    const to = path.join(this.machine.folder, name);
    cpSync(path.join(this.backup, 'shop'), to, { recursive: true });
    return to;
  }

  async close(): Promise<void> {
    for (const node of [...this.services.keys()]) await this.stopService(node);
    for (const [node, machine] of this.backups)
      if (node !== 'beta' || !this.other) await machine.close();
    await this.machine.close();
    await this.other?.close();
  }
}
