/**
 * What a node had as primary, and nobody else has: set aside when it becomes a backup, and listed.
 *
 * The folders of the sets go into `aside/epochN` of the backup's state, by a rename each. Once everything
 * of the new primary has come, what is the same there is removed; the rest stays, and `list.json` tells
 * which blocks differ. After a switchover in order the new primary has everything: nothing stays. A crash at any point only repeats work.
 */
import { type Dirent, existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import {
  type FileHandle,
  lstat,
  open,
  readdir,
  readlink,
  rm,
  rmdir,
  unlink,
} from 'node:fs/promises';
import path from 'node:path';
import { writeAtomically } from '../common/atomic-file.js';
import type { Log } from '../node/log.js';

const BLOCK = 4096;
const PIECE = 1 << 20;
const LIST = 'list.json';
/** At the end of a folder's name: it goes as soon as everything is here again. */
const KNOWN = '.known';

export interface AsideEntry {
  /** Below the folder: the set's name, then the path in it. */
  readonly path: string;
  readonly bytes: number;
  /** Of files: where the new primary's differs; null: it has no such file. */
  readonly blocks: readonly { readonly offset: number; readonly length: number }[] | null;
}

export interface AsideView {
  readonly folder: string;
  readonly list: string;
  /** null: not compared yet. */
  readonly files: number | null;
  readonly bytes: number;
}

/** Moves what is in the sets' folders out of the way, in one rename for each. `known`: the new primary has all of it. */
export function setAside(
  { tree, state }: { readonly tree: string; readonly state: string },
  epoch: number,
  sets: readonly string[],
  known: boolean,
): void {
  for (const set of sets) {
    const from = path.join(tree, set);
    if (!existsSync(from) || readdirSync(from).length === 0) continue;
    const folder = path.join(state, 'aside', `epoch${epoch}${known ? KNOWN : ''}`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    renameSync(from, path.join(folder, set));
  }
}

export class Aside {
  private working: Promise<void> | null = null;
  private stopping = false;
  private view_: AsideView[] | null = null;

  constructor(
    private readonly state: string,
    private readonly tree: string,
    private readonly log: Log,
  ) {}

  private get folders(): string[] {
    const folder = path.join(this.state, 'aside');
    if (!existsSync(folder)) return [];
    return readdirSync(folder).map((name) => path.join(folder, name));
  }

  get view(): readonly AsideView[] {
    return (this.view_ ??= this.folders.map((folder) => {
      const list = path.join(folder, LIST);
      if (!existsSync(list)) return { folder, list, files: null, bytes: 0 };
      const entries = JSON.parse(readFileSync(list, 'utf8')) as AsideEntry[];
      const bytes = entries.reduce((sum, one) => sum + one.bytes, 0);
      return { folder, list, files: entries.length, bytes };
    }));
  }

  /** Begins to compare what was not compared yet, if anything. */
  compare(): void {
    if (this.working || this.stopping || !this.view.some(({ files }) => files === null)) return;
    this.working = this.work()
      .catch((error: unknown) => this.log.error({ err: error }, 'what was set aside is not listed'))
      .finally(() => {
        this.view_ = null;
        this.working = null;
      });
  }

  private async work(): Promise<void> {
    for (const { folder, list, files } of this.view) {
      if (files !== null) continue;
      if (folder.endsWith(KNOWN)) {
        await rm(folder, { recursive: true });
        continue;
      }
      const entries: AsideEntry[] = [];
      await this.folder(folder, '', entries);
      if (this.stopping) return;
      await writeAtomically(list, (handle) => handle.writeFile(JSON.stringify(entries, null, 1)));
      this.log.info({ folder, files: entries.length }, 'what nobody else has was set aside');
    }
  }

  /** True: nothing is left of it. */
  private async folder(base: string, below: string, entries: AsideEntry[]): Promise<boolean> {
    let left = 0;
    for (const entry of await readdir(path.join(base, below), { withFileTypes: true })) {
      if (this.stopping) return false;
      if (below === '' && entry.name === LIST) continue;
      const name = path.join(below, entry.name);
      if (!(await this.entry(base, name, entry, entries))) left += 1;
    }
    return left === 0;
  }

  private async entry(
    base: string,
    name: string,
    entry: Dirent,
    entries: AsideEntry[],
  ): Promise<boolean> {
    const [old, now] = [path.join(base, name), path.join(this.tree, name)];
    const there = await lstat(now).catch(() => null);
    if (entry.isDirectory()) {
      if (!(await this.folder(base, name, entries)) || !there?.isDirectory()) return false;
      await rmdir(old);
      return true;
    }
    const { size } = await lstat(old);
    let blocks: AsideEntry['blocks'] = null;
    if (entry.isFile() && there?.isFile()) blocks = await differing(old, now);
    else if (entry.isSymbolicLink() && there?.isSymbolicLink()) {
      if ((await readlink(old)) === (await readlink(now))) blocks = [];
    }
    if (blocks?.length === 0) {
      await unlink(old);
      return true;
    }
    entries.push({ path: name, bytes: size, blocks });
    return false;
  }

  /** Resolves when nothing is being compared. */
  async settled(): Promise<void> {
    await this.working;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.settled();
  }
}

/** Blocks of two files that are not the same, neighbours together. */
async function differing(old: string, now: string): Promise<{ offset: number; length: number }[]> {
  const ranges: { offset: number; length: number }[] = [];
  const a = await open(old, 'r');
  try {
    const b = await open(now, 'r');
    try {
      const size = Math.max((await a.stat()).size, (await b.stat()).size);
      for (let at = 0; at < size; at += PIECE) {
        const [left, right] = [await read(a, at), await read(b, at)];
        if (left.equals(right)) continue;
        for (let i = 0; i < Math.max(left.length, right.length); i += BLOCK) {
          const mine = left.subarray(i, i + BLOCK);
          if (mine.equals(right.subarray(i, i + BLOCK))) continue;
          const last = ranges.at(-1);
          if (last && last.offset + last.length === at + i) last.length += BLOCK;
          else ranges.push({ offset: at + i, length: BLOCK });
        }
      }
    } finally {
      await b.close();
    }
  } finally {
    await a.close();
  }
  return ranges;
}

async function read(handle: FileHandle, offset: number): Promise<Buffer> {
  const bytes = Buffer.alloc(PIECE);
  let got = 0;
  while (got < PIECE) {
    const { bytesRead } = await handle.read(bytes, got, PIECE - got, offset + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return bytes.subarray(0, got);
}
