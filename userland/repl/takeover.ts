/**
 * A backup becomes primary without its primary being asked, since that one is dead; and the old primary, when
 * it is back, is fenced, and becomes a backup.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { messageOf, ntsError } from '../common/errors.js';
import { type Backup, backupPaths } from './backup.js';
import { ReplBracketReason, ReplRoleKind } from './codec.js';
import type { ReplNodeConfig, SetConfig } from './config.js';
import { askRepl } from './control-client.js';
import { type ControlCommand, controlCommand } from './control.js';
import { hostedBackup } from './hosted-backup.js';
import { ntPathOf } from './nt-path.js';
import type { ReplNode } from './service.js';
import { type NodeReplView, nodeReplView } from './view.js';

type NewPrimary = Pick<
  ReplNodeConfig,
  'stream' | 'epoch' | 'sequence' | 'nextSetId' | 'backups'
> & { readonly sets: readonly Omit<SetConfig, 'folder' | 'root'>[] };

/** This node keeps the stream, and goes on with it as primary. */
export async function becomePrimary(
  node: ReplNode,
  backup: Backup,
  given: NewPrimary,
): Promise<void> {
  // The old primary comes again and again; it must not find a node that is neither.
  const done = node.changing();
  try {
    await promote(node, backup, given);
  } finally {
    done();
  }
}

async function promote(
  node: ReplNode,
  backup: Backup,
  { sets: given, ...next }: NewPrimary,
): Promise<void> {
  const { config, context } = node;
  const { value } = config;
  if (value.sets.length > 0 && value.stream !== next.stream) {
    const what = 'this node replicates sets of its own; their stream and another cannot be one';
    throw ntsError('NTS_ERR_REFUSED', { what });
  }
  const { folder } = backup.status;
  // The folders must be on a filtered volume here, too: found out before anything changes.
  const sets: SetConfig[] = [];
  for (const set of given) {
    const own = path.join(folder, set.name);
    await mkdir(own, { recursive: true });
    sets.push({ ...set, ...(await ntPathOf(own)) });
  }
  backup.log.fence(next.epoch);
  await node.unhost(next.stream);
  await config.update({ ...next, role: 'primary', sets, rejoin: null });
  await node.stopPrimary();
  (await node.startPrimary()).require();
  // Programs change the tree from now on: log and map no longer tell what is in it.
  const { state } = backupPaths(folder);
  for (const name of ['log', 'map.db', 'map.db-wal', 'map.db-shm', 'undo', 'trash', 'streams']) {
    await rm(path.join(state, name), { recursive: true, force: true });
  }
  context.log.warn({ epoch: next.epoch, sequence: next.sequence }, 'this node is primary now');
}

export const forcedTakeOver: ControlCommand = controlCommand(
  z.strictObject({ primary: z.string().nullable(), force: z.boolean() }),
  async ({ node, signal, progress }, { primary, force }) => {
    const backup = hostedBackup(node, primary);
    const { status, log } = backup;
    if (status.connected && !force) {
      const what = `${status.primary} is connected; "ntswift repl switchover" there loses nothing. --force takes over all the same`;
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    if (status.held !== null) {
      const what = 'the tree is held at an earlier moment; "ntswift repl restore --resume" first';
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    // Nothing more of the old primary's is taken from here on.
    const done = node.changing();
    try {
      backup.disconnect();
      progress({ step: 'apply' });
      const applied = await backup.settled(signal);
      const isIncomplete = log
        .bracketsAt(applied)
        .list()
        .some(({ reason }) => reason === ReplBracketReason.initial);
      if (isIncomplete && !force) {
        const what = 'the first synchronisation has not come to its end: files are missing here';
        throw ntsError('NTS_ERR_REFUSED', { what });
      }
      await backup.replay.checkpoint();
      progress({ step: 'promote' });
      const sets = backup.sets.map(({ mode = 'async', rules = [], ...set }) => {
        return { ...set, mode, rules };
      });
      await becomePrimary(node, backup, {
        stream: backup.stream,
        epoch: log.epoch + 1,
        sequence: log.durable,
        sets,
        nextSetId: Math.max(node.config.value.nextSetId, ...sets.map(({ id }) => id + 1)),
        backups: [],
      });
    } finally {
      done();
    }
    return nodeReplView(node);
  },
);

/**
 * A backup knows a higher epoch than this node has as primary: writers stop here, and the node that is primary
 * is to have this one as a backup, in the folder that has the sets now.
 */
export async function stepDown(node: ReplNode, peer: string): Promise<void> {
  const { config, context } = node;
  const { local, log } = context;
  const view = (await askRepl(local, peer, 'status', {})) as NodeReplView;
  const { stream, role, epoch, sets } = config.value;
  if (role !== 'primary' || view.stream !== stream) return;
  if (view.role !== 'primary' || view.epoch <= epoch) return;
  log.warn({ peer, epoch: view.epoch }, 'another node is primary; this one steps down');
  const folder = parentOf(sets);
  const rejoin = folder === null ? null : { node: peer, folder };
  await config.update({ role: 'backup', epoch: view.epoch, backups: [], rejoin });
  // A driver that is not there takes the role when it is.
  await node.primary?.session?.driver.setRole(ReplRoleKind.backup, view.epoch);
  await node.primary?.updateLinks();
}

/** A folder in which each set has the folder of its name; null: there is none. */
function parentOf(sets: readonly SetConfig[]): string | null {
  const [parent, ...others] = new Set(sets.map(({ folder }) => path.dirname(folder)));
  const named = sets.every(({ folder, name }) => path.basename(folder) === name);
  return parent !== undefined && others.length === 0 && named ? parent : null;
}

/** Asks the new primary, if it is due. False: it is to be tried again. */
export async function rejoin(node: ReplNode): Promise<boolean> {
  const { config, context } = node;
  const wanted = config.value.rejoin;
  if (!wanted) return true;
  const nothing = { name: null, mode: null, rules: null, without: [], limit: null };
  const rest = { keep: null, journal: null, durableWait: null };
  const to = [{ node: context.local.name, folder: wanted.folder }];
  try {
    await askRepl(context.local, wanted.node, 'set', { ...nothing, ...rest, to });
    await config.update({ rejoin: null });
    return true;
  } catch (error) {
    context.log.warn({ peer: wanted.node, why: messageOf(error) }, 'not a backup yet');
    return false;
  }
}
