/** Replay in a thread of its own: what replay-host.ts starts. */
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { messageOf, ntsError } from '../common/errors.js';
import { hashBlocks } from './block-hash.js';
import { type LogShare, RemoteLog } from './log-view.js';
import { splitPath } from './names.js';
import { type Node, TOP } from './node.js';
import { HASH_BYTES, type FileName, type Known, plainWords } from './protocol.js';
import { Files } from './files.js';
import { Replay, type ReplayOptions, isFull } from './replay.js';
import { type RestoreProgress, restore } from './restore.js';

export interface ReplayData {
  readonly streamId: Uint8Array;
  readonly tree: string;
  readonly state: string;
  readonly sets: readonly (readonly [id: number, name: string])[];
  readonly port: MessagePort;
  readonly share: LogShare;
}

export type ReplayRequest =
  | { readonly ask: 'changed' }
  | { readonly ask: 'sets'; readonly sets: ReplayData['sets'] }
  | { readonly ask: 'files'; readonly id: number; readonly files: readonly FileName[] }
  | {
      readonly ask: 'hash';
      readonly id: number;
      readonly file: FileName;
      readonly offsets: readonly number[];
      readonly length: number;
      readonly block: number;
    }
  | { readonly ask: 'names'; readonly id: number; readonly set: number; readonly path: string }
  | { readonly ask: 'checkpoint'; readonly id: number }
  | { readonly ask: 'rewind'; readonly id: number; readonly sequence: number }
  | { readonly ask: 'resume'; readonly id: number }
  | {
      readonly ask: 'restore';
      readonly id: number;
      readonly sequence: number;
      readonly folder: string;
      /** Its first word becomes 1 when nobody wants the restore any more. */
      readonly cancelled: Int32Array;
    }
  | { readonly ask: 'forget'; readonly id: number; readonly sequence: number }
  | { readonly ask: 'stop'; readonly id: number };

export interface ReplayState {
  readonly applied: number;
  readonly durable: number;
  /** Held by a rewind at this record; null: it goes on. */
  readonly held: number | null;
  readonly full: string | null;
  readonly fault: string | null;
}

export type ReplayMessage =
  | { readonly say: 'state'; readonly state: ReplayState }
  | {
      readonly say: 'difference';
      readonly difference: {
        readonly sequence: number;
        readonly setId: number;
        readonly path: string;
        readonly blocks: { offset: number; length: number }[];
      };
    }
  | { readonly say: 'progress'; readonly id: number; readonly progress: RestoreProgress }
  | { readonly say: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly say: 'failed'; readonly id: number; readonly why: string };

/** Nobody waits for what is applied; each batch costs the thread of the log a question. */
const GATHER_MILLISECONDS = 10;
/** The log comes first: what it has is safe. On Linux a thread has a priority of its own. */
const NICE = 10;

const data = workerData as ReplayData;
if (process.platform === 'linux') setPriority(NICE);
const port = parentPort!;
const say = (message: ReplayMessage): void => port.postMessage(message);
const log = new RemoteLog(data.port, data.share);
const names = new Map(data.sets);
const stopping = new AbortController();

const options: ReplayOptions = {
  log,
  tree: data.tree,
  state: data.state,
  streamId: data.streamId,
  gatherMilliseconds: GATHER_MILLISECONDS,
  folderOf: (setId) => names.get(setId) ?? String(setId),
  onDifference: ({ sequence, setId, path, blocks }) =>
    say({ say: 'difference', difference: { sequence, setId, path, blocks: [...blocks] } }),
};
/** Not there while `closed` says why: there is no room to put in order what the last run has left. */
let replay!: Replay;
let closed: string | null = 'replay is being opened';

let told = '';

function present(): ReplayState {
  if (closed !== null) return { applied: 0, durable: 0, held: null, full: closed, fault: null };
  return {
    applied: replay.applied,
    durable: replay.checkpointSequence,
    held: replay.held,
    full: replay.full,
    fault: replay.fault ? plainWords(messageOf(replay.fault.error)) : null,
  };
}

function tell(): void {
  const state = present();
  const text = JSON.stringify(state);
  if (text === told) return;
  told = text;
  say({ say: 'state', state });
}

function find(name: FileName): Node | null {
  if ('file' in name) {
    return replay.map.byKey(name.set, Buffer.from(name.file, 'hex').toString('latin1'));
  }
  let id = replay.map.child(TOP, names.get(name.set) ?? String(name.set));
  for (const part of splitPath(name.path)) id = id === 0 ? 0 : replay.map.child(id, part);
  return id === 0 ? null : replay.map.get(id);
}

function known(name: FileName): Known {
  const node = find(name);
  if (!node) return null;
  return {
    size: node.size,
    folder: node.isFolder,
    write: String(node.write),
    change: String(node.change),
  };
}

/** For each offset: how many hashes there are (4 bytes), and these. */
function hash(request: ReplayRequest & { ask: 'hash' }): string | null {
  const { file, offsets, length, block } = request;
  const node = find(file);
  if (!node || node.isFolder) return null;
  const parts = offsets.flatMap((offset) => {
    const hashes = hashBlocks(replay.tree.read(node, offset, length), block);
    const count = Buffer.alloc(4);
    count.writeUInt32LE(hashes.length / HASH_BYTES);
    return [count, hashes];
  });
  return Buffer.concat(parts).toString('base64');
}

/** Streams are no names of a folder. */
function childNames(set: number, path: string): string[] | null {
  const node = find({ set, path });
  if (!node?.isFolder) return null;
  return replay.map
    .children(node.id)
    .map(({ name }) => name)
    .filter((name) => !name.startsWith(':'));
}

/** Often enough for people. */
const PROGRESS_MILLISECONDS = 100;

/** In this thread: what comes meanwhile waits in the log. */
function restoreInto(request: ReplayRequest & { ask: 'restore' }): number {
  const { id, sequence, folder, cancelled } = request;
  let last = 0;
  const onProgress = (progress: RestoreProgress): void => {
    if (Atomics.load(cancelled, 0) !== 0) throw ntsError('NTS_ERR_CANCELLED', { what: 'restore' });
    const now = performance.now();
    if (now - last < PROGRESS_MILLISECONDS) return;
    last = now;
    say({ say: 'progress', id, progress });
  };
  return restore(replay, { ...options, files: new Files(), onProgress }, sequence, folder);
}

function answer(request: Exclude<ReplayRequest, { ask: 'changed' | 'sets' }>): unknown {
  switch (request.ask) {
    case 'files':
      return request.files.map(known);
    case 'hash':
      return hash(request);
    case 'names':
      return childNames(request.set, request.path);
    case 'checkpoint':
      replay.checkpoint();
      return replay.applied;
    case 'rewind':
      return replay.rewind(request.sequence);
    case 'resume':
      replay.resume();
      log.changed();
      return replay.applied;
    case 'restore':
      return restoreInto(request);
    case 'forget':
      replay.forget(request.sequence);
      return null;
    case 'stop':
      stopping.abort();
      return null;
  }
}

port.on('message', (request: ReplayRequest) => {
  if (request.ask === 'changed') {
    log.changed();
    return;
  }
  if (request.ask === 'sets') {
    names.clear();
    for (const [id, name] of request.sets) names.set(id, name);
    return;
  }
  const { id } = request;
  try {
    if (closed !== null && request.ask !== 'stop') throw new Error(closed);
    const answered = answer(request);
    // First how things are now: who asked looks at that.
    tell();
    say({ say: 'answer', id, answer: answered });
  } catch (error) {
    say({ say: 'failed', id, why: plainWords(messageOf(error)) });
  }
  tell();
});

/** Often enough for people, and for who waits that something is applied. */
const TELL_MILLISECONDS = 20;

/** Between attempts while the disk is full. */
const RETRY_MILLISECONDS = 1000;

while (closed !== null && !stopping.signal.aborted) {
  try {
    replay = Replay.open(options);
    closed = null;
  } catch (error) {
    if (!isFull(error)) throw error;
    closed = messageOf(error);
    tell();
    const { signal } = stopping;
    await sleep(RETRY_MILLISECONDS, undefined, { signal }).catch(() => undefined);
  }
}

const timer = setInterval(tell, TELL_MILLISECONDS);
tell();
try {
  if (closed === null) await replay.run(stopping.signal);
} catch (error) {
  throw ntsError('NTS_ERR_REPL_APPLY', { what: messageOf(error) }, { cause: error });
} finally {
  clearInterval(timer);
  tell();
  if (closed === null) replay.close();
  port.close();
  data.port.close();
}
