// What works on a primary while everything fails: a shop's books, programs that change files in every way, one whose steps go over
// two sets, and storms of small files. None of them may notice anything.
import path from 'node:path';
import { root } from './built.js';
import type { Running } from './namespace.js';
import { eachLine, ended, LabError, suspend, until } from './process.js';
import type { Replica } from './replica.js';
import { Writer } from './replica-writer.js';

const script = (name: string): string => path.join(root, 'dist/tools/lab', name);

/** What programs were told to have done. */
export interface Told {
  /** The last transaction that was committed. */
  committed: number;
  /** The last step that was done. */
  steps: number;
  /** What a program complained of. */
  readonly faults: string[];
}

export interface LoadPlaces {
  /** Folders of programs in the set "shop". */
  readonly books: string;
  readonly first: string;
  /** In the other set. */
  readonly second: string;
}

export interface LoadOptions {
  /** Of the writers. Each load has another one. */
  readonly seed: number;
  readonly writers: number;
  readonly perSecond: number;
}

/** The longest that a program may take for what it is at. */
const PATIENCE = 240_000;

export class Load {
  private readonly programs = new Set<Running>();
  private readonly storms = new Set<Running>();
  private writers: Writer[] = [];
  private generation = 0;
  /** Whoever ends now was ended by us. */
  private over = false;

  private constructor(
    private readonly replica: Replica,
    private readonly options: LoadOptions,
    private readonly told: Told,
  ) {}

  static async start(
    replica: Replica,
    { books, first, second }: LoadPlaces,
    options: LoadOptions,
    told: Told,
  ): Promise<Load> {
    const load = new Load(replica, options, told);
    replica.machine.run('mkdir', '-p', books, first, second);
    const journal = options.seed % 2 === 0 ? 'wal' : 'delete';
    const shop = [script('shop/sqlite.js'), books, journal, String(options.perSecond)];
    await load.program(shop, (line) => (told.committed = Number(line) || told.committed));
    await load.program([script('steps.js'), first, second], (line) => (told.steps = Number(line)));
    await load.startWriters();
    return load;
  }

  private async program(words: string[], line: (text: string) => void): Promise<Running> {
    const { machine } = this.replica;
    // What it says when its disk is gone is of interest only if it ends before.
    const shell = `exec "$0" "$@" 2>> '${machine.folder}/programs.log'`;
    const running = await machine.spawn('sh', '-c', shell, process.execPath, ...words);
    eachLine(running.child, line);
    this.watch(running, path.basename(words[0]!));
    return running;
  }

  private watch(running: Running, name: string): void {
    this.programs.add(running);
    running.child.once('exit', (code, signal) => {
      this.programs.delete(running);
      if (this.over || code === 0) return;
      const writer = this.writers.find(({ program }) => program === running);
      this.told.faults.push(`${name} ended with ${code ?? signal}: ${writer?.fault ?? ''}`);
    });
  }

  private async startWriters(): Promise<void> {
    const { seed, writers, perSecond } = this.options;
    for (let i = 0; i < writers; i += 1) {
      this.generation += 1;
      const own = seed * 1000 + this.generation;
      const writer = await Writer.start(this.replica, own, Math.ceil(perSecond / writers));
      this.writers.push(writer);
      this.watch(writer.program, `writer ${own}`);
    }
  }

  /** So many files are created and renamed beside all else; and then deleted. */
  async storm(count: number): Promise<void> {
    this.generation += 1;
    const name = `storm${this.options.seed}-${this.generation}`;
    const folder = path.join(this.replica.primary, name);
    const words = [script('storm.js'), folder, String(count), 'remove'];
    const running = await this.program(words, () => undefined);
    this.storms.add(running);
    running.child.once('exit', () => this.storms.delete(running));
  }

  /** All of it, as what dies with the machine. */
  get running(): Running[] {
    return [...this.programs];
  }

  /** Nothing is written any more, until `go`. */
  async stand(): Promise<void> {
    for (const writer of this.writers) await writer.stand(PATIENCE);
    await until('storms end', () => (this.storms.size === 0 ? true : undefined), PATIENCE, 50);
    for (const { pid } of this.others) await suspend(pid);
  }

  go(): void {
    for (const { pid, child } of this.others) {
      process.kill(pid, 'SIGCONT');
      // What runs nsenter around it has stopped with it.
      child.kill('SIGCONT');
    }
    for (const writer of this.writers) writer.go();
  }

  private get others(): Running[] {
    return this.running.filter((one) => !this.writers.some(({ program }) => program === one));
  }

  /** The writers end, what they have written is deleted, and others begin. For when all of it stands. */
  async renew(): Promise<void> {
    const writers = this.writers;
    this.writers = [];
    for (const writer of writers) {
      await writer.end();
      await ended(writer.program.child);
    }
    this.replica.machine.sh(this.replica.primary, 'rm -rf writer* big* storm*');
    await this.startWriters();
  }

  /** The machine dies: `kill` ends these and whatever else. What was heard of them before is complete then. */
  async die(kill: (...programs: Running[]) => Promise<void>): Promise<void> {
    this.over = true;
    const all = this.running;
    const heard = all.map(({ child }) => new Promise((resolve) => child.once('close', resolve)));
    await kill(...all);
    await Promise.all(heard);
  }

  /** All ends; for when all of it stands. */
  async end(): Promise<void> {
    await this.die((...programs) => {
      for (const { pid, child } of programs) {
        process.kill(pid, 'SIGKILL');
        child.kill('SIGCONT');
      }
      return Promise.resolve();
    });
  }

  /** Something was done since then. */
  async works(): Promise<void> {
    const { committed, steps, faults } = this.told;
    await until(
      'programs work',
      () => {
        if (faults.length > 0) throw new LabError(faults.join('; '));
        return this.told.committed > committed && this.told.steps > steps ? true : undefined;
      },
      PATIENCE,
      20,
    );
  }
}
