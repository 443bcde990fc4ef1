/**
 * The cut test: a random workload, its stream cut after each record, and a backup that ends at some file
 * call and starts again. The tree must be the model's at the last consistent point, and any point of the
 * window must come back.
 */
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Log } from '../../userland/repl/log.js';
import { Replay, type ReplayOptions } from '../../userland/repl/replay.js';
import { FileMap } from '../../userland/repl/map.js';
import { restore } from '../../userland/repl/restore.js';
import type { Difference } from '../../userland/repl/verify.js';
import { dumpTree } from './dump.js';
import { Ended, Faults } from './faults.js';
import { Random } from './random.js';
import { STREAM_ID, Workload } from './workload.js';

const TMPFS = 0x01021994;

/** In memory where that can be, since what is tested is not the disk. */
export function scratch(): string {
  let base = tmpdir();
  try {
    if (statfsSync('/dev/shm').type === TMPFS) base = '/dev/shm';
  } catch {
    // There is none.
  }
  return mkdtempSync(path.join(base, 'ntswift-repl-'));
}

export interface CutOptions {
  readonly operations: number;
  /** File calls at which the backup ends, chosen by chance; Infinity: each. */
  readonly ends: number;
  readonly rewinds: number;
  readonly copies?: boolean;
}

export interface CutCounts {
  records: number;
  boundaries: number;
  ends: number;
  rewinds: number;
  restores: number;
  calls: number;
}

export class Violation extends Error {}

export async function cut(seed: number, options: CutOptions): Promise<CutCounts> {
  const folder = scratch();
  const test = new CutTest(folder, seed, options);
  try {
    await test.run();
    return test.counts;
  } catch (error) {
    throw new Violation(`seed ${seed}, ${test.doing}: ${(error as Error).stack ?? String(error)}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class CutTest {
  readonly counts: CutCounts = {
    records: 0,
    boundaries: 0,
    ends: 0,
    rewinds: 0,
    restores: 0,
    calls: 0,
  };
  doing = 'start';
  private readonly random: Random;
  private readonly work: Workload;
  private log: Log | null = null;
  private tries = 0;

  constructor(
    private readonly folder: string,
    seed: number,
    private readonly options: CutOptions,
  ) {
    this.random = new Random(seed * 7919 + 1);
    this.work = new Workload(seed, options);
    this.counts.records = this.work.records.length;
  }

  async run(): Promise<void> {
    // Opened anew, so that it is read from its segments.
    await (await this.store()).close();
    this.log = Log.open(path.join(this.folder, 'log'), { streamId: STREAM_ID });
    try {
      this.boundaries();
      await this.ends();
    } finally {
      await this.log.close();
    }
  }

  /** The log, in batches of any size, of small segments. */
  private async store(): Promise<Log> {
    const log = Log.open(path.join(this.folder, 'log'), {
      streamId: STREAM_ID,
      segmentBytes: 1 << (14 + this.random.below(4)),
    });
    const { records } = this.work;
    for (let at = 0; at < records.length;) {
      const count = 1 + this.random.below(20);
      await log.append(Buffer.concat(records.slice(at, at + count)));
      at += count;
    }
    return log;
  }

  private replay(options: Partial<ReplayOptions> = {}): Replay {
    const base = path.join(this.folder, `backup${this.tries}`);
    return Replay.open({
      log: this.log!,
      tree: path.join(base, 'tree'),
      state: path.join(base, 'state'),
      streamId: STREAM_ID,
      checkpointMilliseconds: Infinity,
      ...options,
    });
  }

  private fresh(): void {
    rmSync(path.join(this.folder, `backup${this.tries}`), { recursive: true, force: true });
    this.tries += 1;
  }

  private sizes(): Partial<ReplayOptions> {
    return {
      checkpointRecords: 1 + this.random.below(30),
      batchBytes: 1 << (12 + this.random.below(6)),
    };
  }

  private compare(replay: Replay, sequence: number): void {
    const { tree, state } = replay.tree.paths;
    this.expect(sequence, dumpTree(tree, state, replay.map));
  }

  private expect(sequence: number, actual: readonly string[]): void {
    const expected = this.work.points.get(sequence);
    if (!expected) throw new Error(`the tree is at ${sequence}, which is no consistent point`);
    const missing = expected.filter((line) => !actual.includes(line));
    const extra = actual.filter((line) => !expected.includes(line));
    if (missing.length === 0 && extra.length === 0) return;
    throw new Error(
      `at ${sequence} the tree differs\n  expected ${missing.join('\n           ')}\n  found    ${extra.join('\n           ')}`,
    );
  }

  /** Each record for itself: the tree after each. */
  private boundaries(): void {
    this.fresh();
    const found: Difference[] = [];
    const replay = this.replay({ ...this.sizes(), onDifference: (one) => found.push(one) });
    try {
      for (let sequence = 1; sequence <= this.work.sequence; sequence++) {
        this.doing = `cut after ${sequence}`;
        while (replay.step(sequence));
        if (replay.fault) throw replay.fault.error;
        const point = this.log!.consistent(sequence);
        // Numbers that a start jumped over belong to nobody.
        if (!this.work.times.has(sequence) || point === 0) continue;
        // A set that is being synchronised for the first time has no state yet.
        if (!this.log!.bracketsAt(point).isEmpty) continue;
        if (point === sequence) this.compare(replay, point);
        this.counts.boundaries += 1;
      }
      for (const { sequence, blocks } of found) {
        const expected = this.work.differences.get(sequence);
        if (this.work.points.has(sequence) && blocks[0]!.offset !== expected) {
          throw new Error(`record ${sequence} found a difference at ${blocks[0]!.offset}`);
        }
      }
      for (const sequence of this.work.differences.keys()) {
        if (!found.some((one) => one.sequence === sequence)) {
          throw new Error(`record ${sequence} did not find the difference`);
        }
      }
      replay.checkpoint();
      this.rewinds(replay);
    } finally {
      replay.close();
    }
  }

  private rewinds(replay: Replay): void {
    const points = [...this.work.points.keys()];
    for (let i = 0; i < this.options.rewinds; i++) {
      const wanted = i % 2 === 0 ? this.random.pick(points) : this.bookmark(points);
      this.restore(replay, wanted);
      this.doing = `rewind to ${wanted}`;
      const reached = replay.rewind(wanted);
      if (reached !== wanted) throw new Error(`reached ${reached}`);
      this.compare(replay, reached);
      if (this.random.chance(0.5)) {
        replay.resume();
        while (replay.step());
        replay.checkpoint();
        this.compare(replay, replay.applied);
      }
      this.counts.rewinds += 1;
    }
  }

  /** Into a new folder, while the tree stays as it is. */
  private restore(replay: Replay, wanted: number): void {
    this.doing = `restore ${wanted}`;
    const target = path.join(this.folder, `restored${wanted}`);
    const { tree, state } = replay.tree.paths;
    const options = { log: this.log!, tree, state, streamId: STREAM_ID, files: replay.tree.files };
    const before = dumpTree(tree, state, replay.map);
    const reached = restore(replay, options, wanted, target);
    if (reached !== wanted) throw new Error(`reached ${reached}`);
    const map = FileMap.open(path.join(`${target}.state`, 'map.db'));
    try {
      this.expect(wanted, dumpTree(target, `${target}.state`, map));
    } finally {
      map.close();
    }
    if (dumpTree(tree, state, replay.map).join() !== before.join()) {
      throw new Error('restoring changed the tree');
    }
    for (const folder of [target, `${target}.state`]) rmSync(folder, { recursive: true });
    this.counts.restores += 1;
  }

  private bookmark(points: readonly number[]): number {
    const marks = [...this.work.bookmarks.values()].filter((mark) => points.includes(mark));
    return marks.length === 0 ? this.random.pick(points) : this.random.pick(marks);
  }

  private async ends(): Promise<void> {
    const total = this.attempt(Infinity, this.sizes(), false);
    this.counts.calls += total;
    const all = this.options.ends === Infinity;
    const ends = all ? total : Math.min(total, this.options.ends);
    const sizes = this.sizes();
    for (let i = 1; i <= ends; i++) {
      const at = all ? i : 1 + this.random.below(total);
      this.attempt(at, all ? sizes : this.sizes(), i % 2 === 0);
      this.counts.ends += 1;
      // Other tests want to run, too.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Ends at the call of this number, starts again, perhaps ends in that, and goes on. */
  private attempt(endAt: number, sizes: Partial<ReplayOptions>, power: boolean): number {
    this.fresh();
    const spool = path.join(this.folder, 'spool');
    let files = new Faults(spool, this.random, power);
    files.endAt = endAt;
    this.doing = `end at call ${endAt}${power ? ' by loss of power' : ''}`;
    const calls = this.until(files, sizes, power);
    if (endAt === Infinity) return calls;
    // Ends once more, somewhere in the recovery or behind it.
    if (this.random.chance(0.5)) {
      files = new Faults(spool, this.random, power);
      files.endAt = 1 + this.random.below(40);
      this.doing += `, again at ${files.endAt}`;
      this.until(files, sizes, power);
    }
    this.doing += ', and then';
    const replay = this.replay(sizes);
    try {
      const { applied } = replay;
      if (this.work.points.has(applied)) this.compare(replay, applied);
      if (replay.held !== null) replay.resume();
      while (replay.step());
      replay.checkpoint();
      if (replay.fault) throw replay.fault.error;
      this.compare(replay, this.log!.consistent());
      const wanted = this.random.pick([...this.work.points.keys()]);
      this.doing += ` rewind to ${wanted}`;
      this.compare(replay, replay.rewind(wanted));
    } finally {
      replay.close();
    }
    return calls;
  }

  /** Runs to the end or until `files` end it; there rewinds now and then. */
  private until(files: Faults, sizes: Partial<ReplayOptions>, power: boolean): number {
    let replay: Replay | null = null;
    try {
      replay = this.replay({ ...sizes, files });
      while (replay.step());
      replay.checkpoint();
      if (files.endAt < Infinity) {
        replay.rewind(this.random.pick([...this.work.points.keys()]));
        replay.resume();
        while (replay.step());
      }
      if (replay.fault) throw replay.fault.error;
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
    } finally {
      replay?.close();
      if (power && files.count >= files.endAt) files.powerCut();
      files.clear();
    }
    return files.count;
  }
}
