// A primary and a backup under load, of which something fails all the time; and what must hold then: what the backup has is opened and
// audited while nothing comes, and compared with the primary when all is well again.
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { NodeReplView } from '../../userland/repl/view.js';
import { Load, type LoadPlaces, type Told } from './chaos-load.js';
import { LabError, until } from './process.js';
import { Random } from './random.js';
import { Replica, type ReplicaNode } from './replica.js';
import { differences } from './same-tree.js';
import { auditSqlite } from './shop/sqlite.js';
import { auditSteps } from './steps.js';

/** The longest until all is well again. */
const PATIENCE = 240_000;

export type Hosted = NodeReplView['hosted'][number];

/** What a copy has. */
interface Copy {
  readonly transactions: number;
  readonly steps: number;
}

export class Chaos {
  readonly random: Random;
  /** Of what must hold. */
  checks = 0;
  readonly told: Told = { committed: 0, steps: 0, faults: [] };
  /** Nothing was lost and nothing is being synchronised, as far as can be known. */
  calm = true;
  load: Load | null = null;
  /** The backup has no room. */
  isFull = false;
  private loads = 0;
  private copies = 0;
  /** What the last audit found: the backup's tree never goes back. */
  seen = { committed: 0, steps: 0 };

  private constructor(
    readonly replica: Replica,
    readonly seed: number,
    /** Each machine has a driver host: roles may change. Else the backup has a disk of its own, which may be full. */
    readonly two: boolean,
    readonly mode: 'async' | 'durable',
  ) {
    this.random = new Random(seed);
  }

  static async start(folder: string, seed: number): Promise<Chaos> {
    const two = seed % 2 === 1;
    const mode = seed % 4 < 2 ? 'async' : 'durable';
    const options = { mode, logs: true, ...(two ? { two } : { diskMegabytes: 2048 }) } as const;
    const chaos = new Chaos(await Replica.start(folder, options), seed, two, mode);
    try {
      await chaos.begin();
    } catch (error) {
      await chaos.close();
      throw error;
    }
    return chaos;
  }

  private async begin(): Promise<void> {
    const { replica, mode } = this;
    mkdirSync(path.join(replica.machine.paths.backing, 'more'));
    const more = path.join(replica.machine.paths.mountpoint, 'more');
    this.repl('alpha', 'add', 'more', more, '--to', `beta:${replica.backup}`, '--mode', mode);
    this.repl('alpha', 'set', '--journal', `${16 << this.random.below(4)}M`);
    this.repl('beta', 'set', '--keep', '256M');
    await replica.level();
    await this.startLoad();
  }

  repl(node: ReplicaNode, ...args: string[]): string {
    return this.replica.ntswift(node, 'repl', ...args);
  }

  get places(): LoadPlaces {
    const { primary, machine } = this.replica;
    return {
      books: path.join(primary, 'books'),
      first: path.join(primary, 'steps'),
      second: path.join(machine.paths.mountpoint, 'more/steps'),
    };
  }

  async startLoad(): Promise<void> {
    this.loads += 1;
    const options = { seed: this.seed * 100 + this.loads, writers: 2, perSecond: 100 };
    this.load = await Load.start(this.replica, this.places, options, this.told);
  }

  /** The driver host ends, with the programs on its mount, and the service if it is not to be `spared`. */
  async crash(spared: boolean): Promise<void> {
    const { load, replica } = this;
    this.load = null;
    await load!.die((...programs) =>
      spared ? replica.machine.kill(...programs) : replica.killPrimary(...programs),
    );
  }

  /** More than 0, at most `most`. */
  chance(most: number): number {
    return Math.ceil(this.random.next() * most);
  }

  is(probability: number): boolean {
    return this.random.next() < probability;
  }

  /** A file of so many megabytes is written on the primary, if that is up. */
  flood(megabytes: number): void {
    if (!this.load || megabytes === 0) return;
    const line = `dd if=/dev/urandom of=big${this.random.below(2)} bs=1M count=${megabytes} status=none`;
    this.replica.machine.sh(this.replica.primary, line);
  }

  /** Something must hold. */
  must(holds: boolean, what: string): void {
    this.checks += 1;
    if (!holds) throw new LabError(what);
  }

  /** What a node's status must come to say. */
  async says<T>(
    node: ReplicaNode,
    what: string,
    find: (view: NodeReplView) => T | null | undefined | false,
  ): Promise<T> {
    this.checks += 1;
    let last: NodeReplView | undefined;
    try {
      return await until(
        what,
        () => {
          const found = find((last = this.replica.status(node)));
          return found === false || found === null ? undefined : found;
        },
        60_000,
        100,
      );
    } catch (error) {
      if (!last) throw error;
      const { message } = error as Error;
      throw new LabError(`${node} does not say: ${message}\n${JSON.stringify(last, null, 1)}`);
    }
  }

  /** No program has noticed anything. */
  unnoticed(): void {
    const { faults } = this.told;
    this.must(faults.length === 0, `programs noticed: ${faults.join('; ')}`);
  }

  /** For when the primary's service runs: whether durable commits count from here on. */
  look(): void {
    const { driver } = this.replica.status('alpha');
    this.calm = driver?.openBrackets === 0 && driver.state !== 'dirty' && driver.dirtyFiles === 0;
  }

  /** The backup has applied what it can, and nothing more comes; for when nothing can come. */
  private async standing(): Promise<Hosted> {
    let before = '';
    let times = 0;
    return until(
      'the backup stands',
      () => {
        const [hosted] = this.replica.status('beta').hosted;
        if (!hosted) return undefined;
        if (hosted.fault !== null) throw new LabError(`the backup cannot go on: ${hosted.fault}`);
        const { durable, applied, consistent } = hosted;
        const now = JSON.stringify([durable, applied, consistent]);
        times = now === before && applied === consistent ? times + 1 : 0;
        before = now;
        return times >= 2 ? hosted : undefined;
      },
      120_000,
      100,
    );
  }

  /** What the backup has is what programs could have found after some of what they did. `synced`: nothing was being synchronised. */
  async audit(): Promise<string> {
    const hosted = await this.standing();
    const { committed, steps } = this.told;
    const tree = this.replica.backup;
    const copy = this.audited(this.copyOf(tree), committed, steps);
    const after = await this.standing();
    if (after.applied !== hosted.applied) throw new LabError('something came while nothing could');
    const { seen, mode } = this;
    this.must(copy.transactions >= seen.committed, 'the books went back');
    this.must(copy.steps >= seen.steps, 'the steps went back');
    this.seen = { committed: copy.transactions, steps: copy.steps };
    if (mode === 'durable' && this.calm && hosted.openBrackets === 0) {
      const what = `durable: ${copy.transactions} of ${committed} transactions are there`;
      this.must(copy.transactions >= committed, what);
    }
    const behind = `${committed - copy.transactions} transactions and ${steps - copy.steps} steps behind`;
    return `audited at ${hosted.applied}, ${behind}`;
  }

  private copyOf(tree: string): string {
    const to = this.place(`copy${(this.copies += 1)}`);
    this.replica.on('beta').run('cp', '-a', tree, to);
    return to;
  }

  place(name: string): string {
    return path.join(this.replica.machine.folder, name);
  }

  /** Looks into a copy of both sets, and removes it. */
  private audited(copy: string, committed: number, steps: number): Copy {
    const books = auditSqlite(path.join(copy, 'shop/books'));
    const walk = auditSteps(path.join(copy, 'shop/steps'), path.join(copy, 'more/steps'));
    const problems = [...books.problems, ...walk.problems];
    this.must(problems.length === 0, problems.join('; '));
    const { transactions } = books;
    // The last may have been done without the program hearing of it.
    this.must(transactions <= committed + 1, `${transactions} transactions of ${committed}`);
    this.must(walk.steps <= steps + 1, `${walk.steps} steps of ${steps}`);
    for (const one of [copy, `${copy}.state`]) rmSync(one, { recursive: true, force: true });
    return { transactions, steps: walk.steps };
  }

  /** A moment is given a name while programs write; a copy as of it is made, and is one. */
  async bookmark(): Promise<string> {
    const { committed, steps } = this.told;
    const label = `mark${(this.copies += 1)}`;
    const told = this.repl('alpha', 'bookmark', label, '--json');
    const { sequence } = JSON.parse(told) as { sequence: number };
    await this.says('beta', 'the bookmark', ({ hosted }) => hosted[0]!.applied >= sequence);
    const into = this.place(label);
    this.repl('beta', 'restore', label, '--into', into, '-y');
    // What was printed until then has been heard.
    await this.load?.works();
    const after = { ...this.told };
    const copy = this.audited(into, after.committed, after.steps);
    this.must(copy.transactions >= committed, 'transactions before the bookmark are missing');
    this.must(copy.steps >= steps, 'steps before the bookmark are missing');
    return `${label} at ${sequence}`;
  }

  /** Compares all while programs write. */
  verify(): void {
    this.checks += 1;
    this.repl('alpha', 'verify');
  }

  /** Everything is on the backup, and the same; `primary` is what writes otherwise. Programs go on afterwards. */
  async level(primary: 'alpha' | 'beta' = 'alpha'): Promise<string> {
    const { load } = this;
    const begun = performance.now();
    await load?.works();
    await load?.stand();
    await this.replica.level(primary, PATIENCE);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    for (const set of ['shop', 'more']) {
      const here = path.join(this.replica.machine.paths.backing, set);
      const there = path.join(this.replica.backup, set);
      const different = differences(this.replica, 'beta', there, here);
      this.must(different === '', `${set} differs: ${different.slice(0, 4000)}`);
    }
    this.unnoticed();
    this.calm = true;
    if (load) {
      if (this.is(0.4)) await load.renew();
      load.go();
    }
    return `the same after ${seconds} s`;
  }

  async close(): Promise<void> {
    await this.replica.close();
  }
}
