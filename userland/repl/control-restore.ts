/** Going back on a backup: in place, or into a folder of its own. */
import { lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { messageOf, ntsError } from '../common/errors.js';
import { type Backup, backupPaths } from './backup.js';
import { type ControlCall, type ControlCommand, controlCommand } from './control.js';
import { isCode } from './files.js';
import { hostedBackup } from './hosted-backup.js';
import { overlaps } from './overlap.js';
import type { ReplNode } from './service.js';
import { fileTimeOf } from './time.js';

export const restore: ControlCommand = controlCommand(
  z.strictObject({
    primary: z.string().nullable(),
    /** A sequence, a time, a bookmark's label; null: goes on. */
    at: z.string().nullable(),
    /** A folder on this node; null: in place. */
    into: z.string().nullable(),
  }),
  async (call, { primary, at, into }) => {
    const backup = hostedBackup(call.node, primary);
    if (at === null) await backup.replay.resume();
    else if (into !== null) return restoreInto(call, backup, momentOf(backup, at), into);
    else await backup.replay.rewind(momentOf(backup, at));
    return backup.status;
  },
);

async function restoreInto(
  { node, signal, progress }: ControlCall,
  backup: Backup,
  sequence: number,
  into: string,
): Promise<{ folder: string; sequence: number; sets: readonly string[] }> {
  const folder = await freeFolder(node, into);
  const reached = await backup.replay.restore(sequence, folder, progress, signal);
  return { folder, sequence: reached, sets: backup.status.sets };
}

/** A folder that is empty or not there, and none of those that replication works in. */
async function freeFolder(node: ReplNode, into: string): Promise<string> {
  if (!path.isAbsolute(into)) {
    throw ntsError('NTS_ERR_USAGE', { what: `${into} is no absolute path` });
  }
  const folder = path.resolve(into);
  for (const hosted of node.config.value.hosted) {
    const { tree, state } = backupPaths(hosted.folder);
    if (overlaps(folder, tree) || overlaps(folder, state)) {
      const what = `${folder} overlaps ${hosted.folder}, which is the backup itself; choose another folder`;
      throw ntsError('NTS_ERR_USAGE', { what });
    }
  }
  for (const one of [folder, `${folder}.state`]) {
    if (!(await isFree(one))) {
      const what = `${one} is there, and not an empty folder; choose another`;
      throw ntsError('NTS_ERR_USAGE', { what });
    }
  }
  const parent = path.dirname(folder);
  try {
    if (!(await stat(parent)).isDirectory()) throw new Error('it is no folder');
  } catch (error) {
    throw ntsError('NTS_ERR_FILE_READ', { file: parent, why: messageOf(error) }, { cause: error });
  }
  return folder;
}

async function isFree(folder: string): Promise<boolean> {
  try {
    return (await lstat(folder)).isDirectory() && (await readdir(folder)).length === 0;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return true;
    throw ntsError('NTS_ERR_FILE_READ', { file: folder, why: messageOf(error) }, { cause: error });
  }
}

function momentOf({ log }: Backup, at: string): number {
  const marked = log.bookmarks().findLast(({ label }) => label === at);
  if (marked) return marked.sequence;
  if (/^\d{1,15}$/.test(at)) return Number(at);
  const time = Date.parse(at);
  if (!Number.isNaN(time)) {
    const moment = log.at(fileTimeOf(time));
    if (moment) return moment.sequence;
    throw ntsError('NTS_ERR_REPL_WINDOW', { what: `the log begins after ${at}` });
  }
  throw ntsError('NTS_ERR_USAGE', { what: `"${at}" is no bookmark, record or time` });
}
