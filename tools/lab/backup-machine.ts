// A machine that keeps a backup: a namespace of its own, one cable away from the primary's machine.
import { mkdirSync } from 'node:fs';
import type { MountMachine } from './mount.js';
import { Namespace, type Running } from './namespace.js';
import { run } from './process.js';

/** The primary's machine, on whichever cable. */
export const PRIMARY_ADDRESS = '10.7.0.1';

export class BackupMachine {
  private constructor(
    readonly namespace: Namespace,
    private readonly primary: MountMachine,
    readonly address: string,
    /** The primary's end of the cable. */
    private readonly cable: string,
  ) {}

  /** `number`: 2, 3 ..., another one for each. `given`: of a machine that is there already. */
  static async create(
    name: string,
    number: number,
    primary: MountMachine,
    given?: Namespace,
  ): Promise<BackupMachine> {
    const namespace = given ?? (await Namespace.create(name));
    const machine = new BackupMachine(namespace, primary, `10.7.0.${number}`, `cable${number}`);
    const { address, cable } = machine;
    // Process numbers are ours to both.
    primary.namespace.ip(
      `link add ${cable} type veth peer name cable netns ${namespace.pid}`,
      `link set ${cable} up`,
      `route add ${address} dev ${cable} src ${PRIMARY_ADDRESS}`,
    );
    namespace.ip(
      'link set lo up',
      'link set cable up',
      `address add ${address}/32 dev lo`,
      `route add default dev cable src ${address}`,
    );
    return machine;
  }

  /** Runs a program to its end. */
  run(command: string, ...args: string[]): string {
    return run('nsenter', this.namespace.enter(command, args));
  }

  spawn(command: string, ...args: string[]): Promise<Running> {
    return this.namespace.spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  /** The cable is pulled: nobody hears of it, packets do not come. */
  pull(): void {
    this.primary.namespace.ip(`link set ${this.cable} down`);
  }

  plug(): void {
    const { primary, cable, address } = this;
    primary.namespace.ip(
      `link set ${cable} up`,
      `route replace ${address} dev ${cable} src ${PRIMARY_ADDRESS}`,
    );
  }

  /** Every connection with the primary is reset; new ones may be made. */
  reset(): void {
    this.primary.run('ss', '-K', 'dst', this.address);
  }

  /** At most so many bytes a second come to this machine; null: as fast as can be. */
  slow(bytesPerSecond: number | null): void {
    const { primary, cable } = this;
    primary.output('tc', 'qdisc', 'del', 'dev', cable, 'root');
    if (bytesPerSecond === null) return;
    const shape = ['rate', `${bytesPerSecond * 8}`, 'burst', '512kb', 'latency', '50ms'];
    primary.run('tc', 'qdisc', 'add', 'dev', cable, 'root', 'tbf', ...shape);
  }

  /** A file system of its own, ext4 of that size, at a folder that only this machine sees so. */
  disk(image: string, folder: string, megabytes: number): void {
    mkdirSync(folder, { recursive: true });
    this.run('truncate', '-s', `${megabytes}M`, image);
    this.run('mkfs.ext4', '-q', '-F', '-m', '0', image);
    this.run('mount', '-o', 'loop', image, folder);
  }

  async close(): Promise<void> {
    await this.namespace.kill();
  }
}
