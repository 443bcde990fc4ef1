/**
 * Verification while programs write: blocks whose hashes differ are suspicious, since both sides move; each
 * is then read once more by the driver, between two operations, and compared by the backup at that very
 * record. What differs there differs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { REPL_FLAG_VERIFY } from './codec.js';
import { compareFile } from './compare.js';
import type { SetConfig } from './config.js';
import type { Link } from './link.js';
import { listFolder, localPath, readRange, withFile } from './local-file.js';
import type { Session } from './primary.js';
import type { BlockDifference } from './protocol.js';
import { isRefusal } from './refusal.js';

/** A program's temporary file is there half of the time, and its name found to differ a quarter of it. */
const NAME_TRIES = 12;
/** At most, between looks: not in step with the program. */
const NAME_MILLISECONDS = 20;

export interface NameDifference {
  readonly node: string;
  readonly path: string;
  /** Which side has it. */
  readonly only: 'primary' | 'backup';
}

export interface VerifyReport {
  readonly set: string;
  readonly nodes: readonly string[];
  files: number;
  bytes: number;
  /** Blocks of which the driver was asked. */
  suspicious: number;
  readonly blocks: (BlockDifference & { readonly node: string })[];
  readonly names: NameDifference[];
}

export async function verifySet(
  { driver, pump }: Session,
  set: SetConfig,
  signal: AbortSignal,
  progress: (report: VerifyReport) => void,
): Promise<VerifyReport> {
  const links = pump.streaming;
  const report: VerifyReport = {
    set: set.name,
    nodes: links.map(({ node }) => node),
    files: 0,
    bytes: 0,
    suspicious: 0,
    blocks: [],
    names: [],
  };
  let last = 0;
  const heard = (link: Link, difference: BlockDifference): void => {
    if (difference.setId === set.id) report.blocks.push({ node: link.node, ...difference });
  };
  pump.on('difference', heard);
  const caughtUp = async (): Promise<void> => {
    const { completedSequence } = await driver.status();
    const to = Math.max(last, Number(completedSequence));
    await Promise.all(links.map((link) => link.reached('applied', to, signal)));
  };
  const file = async (path: string): Promise<void> => {
    await withFile(localPath(set.folder, path), async (handle) => {
      const { size } = await handle.stat();
      report.files += 1;
      report.bytes += size;
      const whole = [{ offset: 0, length: size }];
      const read = (offset: number, length: number): Promise<Buffer> =>
        readRange(handle, offset, length);
      for await (const part of compareFile(links, { set: set.id, path }, read, whole)) {
        signal.throwIfAborted();
        report.suspicious += 1;
        try {
          const { offset, length } = part;
          last = await driver.syncRange(set.id, { path }, offset, length, REPL_FLAG_VERIFY);
        } catch (error) {
          if (!isRefusal(error, 'file')) throw error;
        }
      }
    });
    progress(report);
  };
  const namesOnce = async (path: string): Promise<NameDifference[]> => {
    const here = await listFolder(localPath(set.folder, path));
    const found: NameDifference[] = [];
    if (!here) return found;
    const own = new Set(here.map(({ name }) => name));
    for (const link of links) {
      const there = new Set((await link.names(set.id, path)) ?? []);
      const below = (name: string): string => (path === '' ? name : `${path}\\${name}`);
      for (const name of own) {
        if (!there.has(name)) found.push({ node: link.node, path: below(name), only: 'primary' });
      }
      for (const name of there) {
        if (!own.has(name)) found.push({ node: link.node, path: below(name), only: 'backup' });
      }
    }
    return found;
  };
  /** What differs each time: a name may be under way, and one that comes and goes all the time is so often. */
  const names = async (path: string): Promise<NameDifference[]> => {
    let found = await namesOnce(path);
    for (let tries = 0; tries < NAME_TRIES && found.length > 0; tries++) {
      await sleep(Math.random() * NAME_MILLISECONDS, undefined, { signal }).catch(() => undefined);
      signal.throwIfAborted();
      await caughtUp();
      const again = await namesOnce(path);
      found = found.filter((one) => again.some((other) => isDeepStrictEqual(one, other)));
    }
    return found;
  };
  const folder = async (path: string): Promise<void> => {
    signal.throwIfAborted();
    report.names.push(...(await names(path)));
    for (const { name, kind } of (await listFolder(localPath(set.folder, path))) ?? []) {
      const below = path === '' ? name : `${path}\\${name}`;
      if (kind === 'folder') await folder(below);
      else if (kind === 'file' && !report.names.some((one) => one.path === below))
        await file(below);
    }
  };
  try {
    await caughtUp();
    await folder('');
    await caughtUp();
    return report;
  } finally {
    pump.off('difference', heard);
  }
}
