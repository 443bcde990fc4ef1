/** Two nodes on loopback: a replicates a folder of its own to b. */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { askRepl } from '../../../userland/repl/control-client.js';
import type { Link } from '../../../userland/repl/link.js';
import { ReplService } from '../../../userland/repl/service.js';
import type { NodeReplView } from '../../../userland/repl/view.js';
import { temporaryFolder } from '../../native/temporary.js';
import { type TestNode, join, startCluster, startNode, agreed } from '../node/cluster.js';
import { FolderDriver } from './folder-driver.js';

export interface Replicated {
  readonly a: TestNode;
  b: TestNode;
  readonly driver: FolderDriver;
  readonly service: ReplService;
  backup: ReplService;
  /** What b keeps. */
  readonly tree: string;
  readonly stateOfB: string;
}

export async function startPair(t: Test, ringBytes = 1 << 20): Promise<Replicated> {
  const folder = path.join(temporaryFolder(t), 'primary');
  mkdirSync(folder);
  const driver = new FolderDriver(folder);
  const service = new ReplService({ openDriver: () => Promise.resolve(driver), pause: 1 });
  const a = await startCluster(t, { services: [service] });
  await service.config.update({ ringBytes });
  const stateOfB = await join(t, a, 'b');
  const backup = new ReplService();
  const b = await startNode(t, stateOfB, { services: [backup] });
  await agreed(a, b);
  const tree = path.join(temporaryFolder(t), 'backup');
  return { a, b, driver, service, backup, tree, stateOfB };
}

export const noRules = { include: [], exclude: [], excludeProcess: [], maxSize: null };

export async function addSet(pair: Replicated): Promise<NodeReplView> {
  return (await askRepl(pair.a.local, 'a', 'add', {
    name: 'data',
    folder: pair.driver.folder,
    root: '\\??\\X:\\data',
    mode: 'async',
    to: [{ node: 'b', folder: pair.tree }],
    rules: noRules,
  })) as NodeReplView;
}

export function linkOf({ service }: Replicated): Link {
  return service.primary!.require().pump.all[0]!;
}

const NEVER = new AbortController().signal;

/** All brackets are closed, and b has applied everything. */
export async function settled(pair: Replicated): Promise<void> {
  const { sync } = pair.service.primary!.require();
  for (;;) {
    const link = linkOf(pair);
    await link.reached('applied', 1, NEVER);
    const open = await pair.driver.brackets();
    const { state } = await pair.driver.status();
    if (open.length === 0 && state !== 3) {
      await link.reached('applied', pair.driver.last, NEVER);
      if ((await pair.driver.brackets()).length === 0) return;
      continue;
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        sync.off('closed', done);
        link.off('change', done);
        resolve();
      };
      sync.once('closed', done);
      link.once('change', done);
    });
  }
}

/** Names, sizes and content below a folder. */
export function dump(folder: string, below = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(path.join(folder, below)).sort()) {
    const one = path.join(below, name);
    const full = path.join(folder, one);
    if (lstatSync(full).isDirectory()) {
      found[one] = 'folder';
      Object.assign(found, dump(folder, one));
    } else {
      const bytes = readFileSync(full);
      found[one] =
        `${bytes.length} ${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
    }
  }
  return found;
}
