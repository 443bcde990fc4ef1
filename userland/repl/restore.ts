/**
 * The window: which earlier moments the backup can show, and how it shows them.
 *
 * rewind() of replay.ts goes back in place. restore() makes the tree of an earlier moment in a new folder,
 * while replay goes on later: a copy (by reference where the file system can) of tree and map as of a
 * checkpoint, undone interval by interval, then forward by the log's records to the moment itself.
 */
import { constants, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ntsError } from '../common/errors.js';
import { Copier } from './copy.js';
import type { Files } from './files.js';
import type { Log } from './log.js';
import { FileMap } from './map.js';
import { Replay, type ReplayOptions, readBefore } from './replay.js';
import { Rollback } from './rollback.js';
import { Tree } from './tree.js';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

export interface Bookmark {
  readonly label: string;
  readonly sequence: number;
  readonly time: bigint;
}

export interface Window {
  /** The earliest and the latest sequence to which one can go. */
  readonly first: number;
  readonly last: number;
  /** Of records and of the undo log. */
  readonly logBytes: number;
  readonly undoBytes: number;
  readonly bookmarks: readonly Bookmark[];
}

export function windowOf(replay: Replay, log: Log): Window {
  const first = Math.max(replay.intervals.first ?? replay.checkpointSequence, log.first - 1);
  return {
    first,
    last: log.consistent(),
    logBytes: log.bytes,
    undoBytes: replay.intervals.bytes,
    bookmarks: log.bookmarks().filter(({ sequence }) => sequence >= first),
  };
}

/** What a window must hold; what it need not is removed. Zero or null: no such wish. */
export interface Retention {
  /** Log and undo log together are not longer than this, if they need not be. */
  readonly bytes: number;
  /** Moments that are older are of no use. */
  readonly milliseconds: number;
  /** So many of the newest bookmarks stay reachable, whatever the rest says. */
  readonly bookmarks: number;
}

/** Removes what is out of the window. `now`: FILETIME. */
export function retain(replay: Replay, log: Log, policy: Retention, now: bigint): void {
  const marks = log.bookmarks();
  const oldest = policy.bookmarks > 0 ? marks[Math.max(0, marks.length - policy.bookmarks)] : null;
  const bound = Math.min(replay.checkpointSequence, oldest?.sequence ?? Infinity);
  const { milliseconds } = policy;
  if (milliseconds > 0) {
    const moment = log.at(now - BigInt(milliseconds) * 10_000n);
    if (moment) replay.forget(Math.min(moment.sequence, bound));
  }
  if (policy.bytes > 0) {
    let excess = log.bytes + replay.intervals.bytes - policy.bytes;
    for (const { to, bytes } of [...replay.intervals.all()]) {
      if (excess <= 0 || to > bound) break;
      replay.forget(to);
      excess -= bytes + logBytes(log, to);
    }
  }
  // Records that led up to the earliest checkpoint are of no use.
  log.drop(replay.intervals.first ?? replay.checkpointSequence);
}

/** Of the segments that would go with everything up to `sequence`. */
function logBytes(log: Log, sequence: number): number {
  return log.list().reduce((sum, { last, bytes }) => sum + (last <= sequence ? bytes : 0), 0);
}

/** The last consistent sequence of a bookmark or a time; throws where there is none. */
export function sequenceOf(log: Log, moment: { bookmark: string } | { time: bigint }): number {
  if ('bookmark' in moment) {
    const found = log.bookmarks().findLast(({ label }) => label === moment.bookmark);
    if (found) return log.consistent(found.sequence);
    throw ntsError('NTS_ERR_REPL_WINDOW', { what: `there is no bookmark "${moment.bookmark}"` });
  }
  const found = log.at(moment.time);
  if (found) return log.consistent(found.sequence);
  throw ntsError('NTS_ERR_REPL_WINDOW', { what: 'the log begins later than that' });
}

/**
 * All that can be applied is: the tree is what the primary was at the sequence returned. `incomplete`:
 * sets whose first synchronisation has not come to its end; 0: all.
 */
export function promote(replay: Replay, log: Log): { sequence: number; incomplete: number[] } {
  while (replay.step());
  replay.checkpoint();
  if (replay.fault) throw replay.fault.error;
  const sequence = replay.applied;
  const open = log.bracketsAt(sequence).list();
  return { sequence, incomplete: [...new Set(open.map(({ setId }) => setId))] };
}

/** How far a restore is: files copied, checkpoints gone back, or records applied, of so many. */
export interface RestoreProgress {
  readonly step: 'copy' | 'back' | 'forward';
  readonly done: number;
  /** null: not known before the end. */
  readonly of: number | null;
}

export interface RestoreOptions extends ReplayOptions {
  readonly files: Files;
  /** What it throws ends the restore, which leaves nothing behind. */
  readonly onProgress?: (progress: RestoreProgress) => void;
}

/**
 * The tree as of the last consistent point up to `sequence`, in `target`, a folder that is not there yet.
 * Named streams and what else Linux has no place for stay in `${target}.state`. Returns that point. The
 * replay stands still meanwhile.
 */
export function restore(
  replay: Replay,
  options: RestoreOptions,
  sequence: number,
  target: string,
): number {
  replay.checkpoint();
  const { log, files, onProgress = () => undefined } = options;
  const goal = log.consistent(sequence);
  const first = replay.intervals.first ?? replay.checkpointSequence;
  if (goal < first) {
    throw ntsError('NTS_ERR_REPL_WINDOW', {
      what: `${sequence} is before ${first}, the earliest moment that can be restored`,
    });
  }
  const base = `${target}.restoring`;
  rmSync(base, { recursive: true, force: true });
  const paths = { tree: path.join(base, 'tree'), state: path.join(base, 'state') };
  try {
    // Not "recursive": Node's tries for ever where the file system refuses names.
    mkdirSync(base, { mode: 0o700 });
    mkdirSync(paths.state, { mode: 0o700 });
    goBack(replay, files, paths, goal, onProgress);
    const copy = Replay.open({ ...options, ...paths });
    try {
      copy.resume();
      const from = copy.applied;
      while (copy.applied < goal && copy.step(goal)) {
        onProgress({ step: 'forward', done: copy.applied - from, of: goal - from });
      }
      copy.checkpoint();
      if (copy.fault) throw copy.fault.error;
    } finally {
      copy.close();
    }
    renameSync(paths.tree, target);
    renameSync(paths.state, `${target}.state`);
    return goal;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

interface Paths {
  readonly tree: string;
  readonly state: string;
}

/** A copy of the replay's tree and map, as of its last checkpoint at or before `goal`. */
function goBack(
  replay: Replay,
  files: Files,
  paths: Paths,
  goal: number,
  onProgress: (progress: RestoreProgress) => void,
): void {
  const file = path.join(paths.state, 'map.db');
  replay.map.copyTo(file);
  const map = FileMap.open(file);
  const tree = new Tree(files, paths, map);
  try {
    map.begin();
    const of = map.count();
    let done = 0;
    copyTree(replay, map, tree, () => onProgress({ step: 'copy', done: (done += 1), of }));
    map.setMeta('held', '');
    map.commit();
    const back = replay.intervals.all().filter(({ to }) => to > goal);
    for (const [i, { from }] of [...back].reverse().entries()) {
      undoCopy(replay, map, tree, from);
      onProgress({ step: 'back', done: i + 1, of: back.length });
    }
  } finally {
    tree.close();
    map.close();
  }
}

/** The map learns the copies' inodes, and the copies what the map knows of them. */
function copyTree(replay: Replay, map: FileMap, tree: Tree, onFile: () => void): void {
  const copier = new Copier(tree.files, tree.stateFd('pins'), onFile);
  copier.folder(replay.tree.rootFd, tree.rootFd);
  for (const part of ['streams', 'orphans'] as const) {
    copier.folder(replay.tree.stateFd(part), tree.stateFd(part));
  }
  copier.finish();
  map.exchangeInos(copier.twins);
  for (const node of map.all()) {
    if (map.names(node).length > 0)
      tree.dress(node, { owner: true, attributes: true, times: true });
  }
}

/** One interval back, in the copy. What the interval deleted comes as copies out of the source's trash. */
function undoCopy(replay: Replay, map: FileMap, tree: Tree, from: number): void {
  const undo = replay.intervals.open(from);
  try {
    const before = readBefore(undo.frames());
    const inos = new Map<number, number>();
    for (const id of before.nodes.keys()) {
      const node = map.get(id);
      if (node) inos.set(id, node.ino);
    }
    copyTrash(replay, tree, from, inos);
    map.begin();
    map.restore(before.names, before.nodes);
    map.setNext(undo.header!.firstNew);
    tree.begin(from, undo.header!.firstNew);
    new Rollback(map, tree, before, inos).run(undo, String(from));
    map.setMeta('applied', String(from));
    map.commit();
  } finally {
    undo.close();
  }
}

function copyTrash(replay: Replay, tree: Tree, from: number, inos: Map<number, number>): void {
  const { files } = tree;
  const name = String(from);
  const source = replay.tree.stateFd('trash');
  if (!files.stat(source, name)) return;
  const target = tree.stateFd('trash');
  files.makeFolder(target, name, 0o700);
  const fds = [files.open(source, name, DIRECTORY), files.open(target, name, DIRECTORY)] as const;
  try {
    const copier = new Copier(files, tree.stateFd('pins'));
    copier.folder(...fds);
    copier.finish();
    for (const one of files.list(fds[1])) inos.set(Number(one), files.stat(fds[1], one)!.ino);
  } finally {
    for (const fd of fds) files.close(fd);
  }
}
