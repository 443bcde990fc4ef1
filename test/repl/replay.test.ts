/** Replay where the cut test does not go: hostile trees, contradictions, full disks, retention, promotion. */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { isNtsError } from '../../userland/common/errors.js';
import {
  REPL_FLAG_CLOSE,
  REPL_FLAG_LAST_LINK,
  REPL_FLAG_OPEN,
  REPL_FLAG_PAGING,
  ReplBracketInfo,
  ReplBracketReason,
  ReplRecordType as T,
} from '../../userland/repl/codec.js';
import { Files, systemError } from '../../userland/repl/files.js';
import { Log } from '../../userland/repl/log.js';
import { encodeMetadata } from '../../userland/repl/payload.js';
import { type RecordFields, buildRecord } from '../../userland/repl/record.js';
import { Replay, type ReplayOptions } from '../../userland/repl/replay.js';
import { promote, restore, retain, sequenceOf, windowOf } from '../../userland/repl/restore.js';
import { FILETIME_1970 } from '../../userland/repl/time.js';
import { scratch } from './cut.js';
import { STREAM_ID, Workload } from './workload.js';

const SECOND = 10_000_000n;
const START = FILETIME_1970 + 1_700_000_000n * SECOND;

const metadata = encodeMetadata({
  basic: {
    creationTime: START,
    lastAccessTime: START,
    lastWriteTime: START,
    changeTime: START,
    attributes: 0x20,
  },
  size: 0,
  allocation: 0,
  links: 1,
  security: Buffer.alloc(0),
  ea: Buffer.alloc(0),
  reparse: Buffer.alloc(0),
});

function id(number: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(number, 0);
  return bytes;
}

class Backup {
  readonly folder = scratch();
  readonly tree = path.join(this.folder, 'tree');
  readonly log: Log;
  readonly options: ReplayOptions;
  replay: Replay;
  sequence = 0;

  constructor(t: { teardown: (work: () => Promise<void>) => unknown }, files = new Files()) {
    this.log = Log.open(path.join(this.folder, 'log'), { streamId: STREAM_ID, segmentBytes: 500 });
    this.options = {
      log: this.log,
      tree: this.tree,
      state: path.join(this.folder, 'state'),
      streamId: STREAM_ID,
      checkpointMilliseconds: Infinity,
      files,
    };
    this.replay = Replay.open(this.options);
    t.teardown(async () => {
      this.replay.close();
      await this.log.close();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  async add(fields: Omit<RecordFields, 'sequence'>): Promise<number> {
    this.sequence += 1;
    const bracket = ((fields.flags ?? 0) & REPL_FLAG_OPEN) !== 0 ? { bracket: this.sequence } : {};
    const time = START + BigInt(this.sequence) * SECOND;
    const own = { setId: fields.type === T.bookmark ? 0 : 1, time, sequence: this.sequence };
    await this.log.append(buildRecord({ ...own, ...bracket, ...fields }));
    return this.sequence;
  }

  create(number: number, name: string): Promise<number> {
    return this.add({ type: T.create, fileId: id(number), name, data: metadata });
  }

  write(number: number, name: string, text: string): Promise<number> {
    const data = Buffer.from(text);
    const range = data.length;
    return this.add({ type: T.write, fileId: id(number), name, range, data });
  }

  run(): void {
    while (this.replay.step());
  }

  text(name: string): string {
    return readFileSync(path.join(this.tree, '1', name), 'utf8');
  }

  again(): void {
    this.replay.close();
    this.replay = Replay.open(this.options);
  }
}

t.test('nothing in the tree leads out of it', async (t) => {
  const backup = new Backup(t);
  const outside = path.join(backup.folder, 'outside');
  mkdirSync(outside);
  writeFileSync(path.join(outside, 'secret'), 'untouched');
  await backup.add({ type: T.create, flags: 1, fileId: id(1), name: 'folder', data: metadata });
  await backup.create(2, 'folder\\secret');
  await backup.create(3, 'file');
  backup.run();
  backup.replay.checkpoint();
  // Somebody exchanges a folder and a file for links to elsewhere.
  const set = path.join(backup.tree, '1');
  renameSync(path.join(set, 'folder'), path.join(backup.folder, 'moved'));
  symlinkSync(outside, path.join(set, 'folder'));
  rmSync(path.join(set, 'file'));
  symlinkSync(path.join(outside, 'secret'), path.join(set, 'file'));
  backup.again();
  await backup.write(2, 'folder\\secret', 'overwritten');
  t.throws(() => backup.run());
  rmSync(path.join(set, 'folder'));
  renameSync(path.join(backup.folder, 'moved'), path.join(set, 'folder'));
  backup.again();
  backup.run();
  t.equal(backup.text('folder/secret'), 'overwritten', 'goes on when all is back');
  await backup.write(3, 'file', 'overwritten');
  t.throws(() => backup.run());
  t.equal(readFileSync(path.join(outside, 'secret'), 'utf8'), 'untouched');
  t.same(readdirSync(outside), ['secret']);
  // A file of another inode is not ours, either.
  rmSync(path.join(set, 'file'));
  writeFileSync(path.join(set, 'file'), 'foreign');
  backup.again();
  backup.run();
  t.match(backup.replay.fault?.error.message, /replaced by somebody else/);
  t.equal(backup.text('file'), 'foreign');
});

t.test('a page of a mapping makes no file longer, but inside of a bracket', async (t) => {
  const backup = new Backup(t);
  const page = (text: string): Promise<number> => {
    const data = Buffer.from(text);
    const fields = { fileId: id(1), name: 'a', range: data.length, data };
    return backup.add({ type: T.write, flags: REPL_FLAG_PAGING, ...fields });
  };
  await backup.create(1, 'a');
  await backup.write(1, 'a', '0123456789');
  await backup.add({ type: T.setSize, fileId: id(1), name: 'a', offset: 4 });
  await page('abcdefghij');
  backup.run();
  t.equal(backup.text('a'), 'abcd');
  const info = { reason: ReplBracketReason.order };
  const data = ReplBracketInfo.encode(info);
  const bracket = await backup.add({ type: T.bracket, flags: REPL_FLAG_OPEN, data });
  await page('klmnop');
  await backup.add({ type: T.bracket, flags: REPL_FLAG_CLOSE, bracket, data });
  backup.run();
  t.equal(backup.text('a'), 'klmnop');
});

t.test('a record that contradicts the tree stops the replay before it', async (t) => {
  const backup = new Backup(t);
  await backup.create(1, 'a');
  await backup.write(1, 'a', 'one');
  const bad = await backup.add({
    type: T.rename,
    fileId: id(9),
    name: 'unknown',
    data: Buffer.from('b', 'utf16le'),
  });
  await backup.write(1, 'a', 'three');
  backup.run();
  t.equal(backup.replay.fault?.sequence, bad);
  t.ok(isNtsError(backup.replay.fault?.error, 'NTS_ERR_REPL_APPLY'));
  t.match(
    backup.replay.fault?.error.message,
    /record 3 \(rename\), "unknown": the file is not known/,
  );
  t.equal(backup.replay.applied, bad - 1);
  t.equal(backup.text('a'), 'one');
  t.throws(() => promote(backup.replay, backup.log));
  for (const fields of [
    { type: T.create, fileId: id(5), name: 'a', data: metadata },
    { type: T.create, fileId: id(5), name: 'no\\where', data: metadata },
    { type: T.rename, fileId: id(1), name: 'b', data: Buffer.from('c', 'utf16le') },
  ]) {
    const other = new Backup(t);
    await other.create(1, 'a');
    const sequence = await other.add(fields);
    other.run();
    t.equal(other.replay.fault?.sequence, sequence, other.replay.fault?.error.message ?? 'none');
  }
});

t.test('what is written to a file that has lost its last name is nobody’s', async (t) => {
  const backup = new Backup(t);
  await backup.create(1, 'a');
  await backup.write(1, 'a', 'one');
  const gone = { type: T.delete, fileId: id(1), name: 'a' } as const;
  await backup.add(gone);
  await backup.write(1, '', 'two');
  await backup.add(gone);
  await backup.create(2, 'a');
  await backup.add(gone);
  backup.run();
  t.equal(backup.replay.fault, null);
  t.equal(backup.text('a'), '');
});

t.test(
  'records wait for the bracket to close, but those of the first synchronisation',
  async (t) => {
    const backup = new Backup(t);
    await backup.create(1, 'a');
    await backup.write(1, 'a', 'one');
    const reason = (reason: ReplBracketReason | 0): Buffer => ReplBracketInfo.encode({ reason });
    const open = await backup.add({
      type: T.bracket,
      flags: REPL_FLAG_OPEN,
      data: reason(ReplBracketReason.resync),
    });
    await backup.write(1, 'a', 'two');
    backup.run();
    t.equal(backup.text('a'), 'one');
    t.same(promote(backup.replay, backup.log), { sequence: open - 1, incomplete: [] });
    const closing = { type: T.bracket, flags: REPL_FLAG_CLOSE, data: reason(0) };
    await backup.add({ ...closing, bracket: open });
    backup.run();
    t.equal(backup.text('a'), 'two');
    const initial = await backup.add({
      type: T.bracket,
      flags: REPL_FLAG_OPEN,
      setId: 2,
      data: reason(ReplBracketReason.initial),
    });
    const last = await backup.write(1, 'a', 'six');
    t.same(promote(backup.replay, backup.log), { sequence: last, incomplete: [2] });
    t.equal(backup.text('a'), 'six');
    await backup.add({ ...closing, bracket: initial });
    t.same(promote(backup.replay, backup.log).incomplete, []);
  },
);

/** A disk that is full for the tree when it is told to. */
class Full extends Files {
  full = false;

  override write(fd: number, bytes: Uint8Array, position: number): void {
    if (!this.full) {
      super.write(fd, bytes, position);
      return;
    }
    super.write(fd, bytes.subarray(0, bytes.length / 2), position);
    throw systemError(-28, 'write');
  }
}

t.test('a full disk: the replay waits, and goes on', async (t) => {
  const files = new Full();
  const backup = new Backup(t, files);
  await backup.create(1, 'a');
  await backup.write(1, 'a', 'before');
  backup.run();
  backup.replay.checkpoint();
  await backup.write(1, 'a', 'during');
  files.full = true;
  t.throws(() => backup.run(), { code: 'ENOSPC' });
  t.throws(() => backup.run(), { code: 'ENOSPC' });
  files.full = false;
  backup.run();
  t.equal(backup.text('a'), 'during');
  backup.replay.rewind(2);
  t.equal(backup.text('a'), 'before', 'and its undo is whole');
});

t.test('run() applies what comes and ends when it is told', async (t) => {
  const backup = new Backup(t);
  const end = new AbortController();
  const running = backup.replay.run(end.signal);
  for (let i = 1; i <= 50; i++) {
    await backup.create(i, `f${i}`);
    await backup.write(i, `f${i}`, `text ${i}`);
  }
  while (backup.replay.applied < 100) await new Promise((resolve) => setImmediate(resolve));
  end.abort();
  await running;
  t.equal(backup.replay.checkpointSequence, 100);
  t.equal(backup.text('f50'), 'text 50');
});

t.test('a rewind holds until resume, over a restart', async (t) => {
  const backup = new Backup(t);
  await backup.create(1, 'a');
  const one = await backup.write(1, 'a', 'one');
  backup.run();
  backup.replay.checkpoint();
  await backup.write(1, 'a', 'two');
  backup.run();
  t.equal(backup.replay.rewind(one), one);
  t.equal(backup.text('a'), 'one');
  t.notOk(backup.replay.step(), 'nothing is applied');
  backup.again();
  backup.run();
  t.equal(backup.text('a'), 'one');
  t.equal(backup.replay.held, one);
  backup.replay.resume();
  backup.run();
  t.equal(backup.text('a'), 'two');
});

t.test('the window: what is kept, by bytes, time and bookmarks', async (t) => {
  const backup = new Backup(t);
  await backup.create(1, 'a');
  const states = new Map<number, string>();
  for (let i = 0; i < 60; i++) {
    states.set(await backup.write(1, 'a', `state ${i}`), `state ${i}`);
    if (i === 20 || i === 40) await backup.add({ type: T.bookmark, name: `mark ${i}` });
    backup.run();
    backup.replay.checkpoint();
  }
  const { replay, log } = backup;
  const now = START + 62n * SECOND;
  t.equal(windowOf(replay, log).first, 0);
  const none = { bytes: 0, milliseconds: 0, bookmarks: 0 };
  retain(replay, log, { ...none, milliseconds: 52_500 }, now);
  const first = windowOf(replay, log).first;
  t.ok(first > 5 && first < 12, `begins at ${first}`);
  t.ok(log.first > 1, 'records that nobody needs are gone');
  retain(replay, log, { ...none, bytes: 1000, bookmarks: 2 }, now);
  const mark = sequenceOf(log, { bookmark: 'mark 20' });
  t.ok(windowOf(replay, log).first <= mark, 'a bookmark is kept against the limit');
  t.equal(replay.rewind(mark), mark);
  t.equal(backup.text('a'), 'state 20');
  replay.resume();
  for (let sequence = mark; sequence <= backup.sequence; sequence++) {
    replay.step(sequence);
    replay.checkpoint();
  }
  const half = Math.floor((log.bytes + replay.intervals.bytes) / 2);
  retain(replay, log, { ...none, bytes: half, bookmarks: 1 }, now);
  const window = windowOf(replay, log);
  t.ok(window.first > mark, `now from ${window.first}`);
  t.same(
    window.bookmarks.map(({ label }) => label),
    ['mark 40'],
  );
  t.throws(() => replay.rewind(mark), { code: 'NTS_ERR_REPL_WINDOW' });
  t.throws(() => sequenceOf(log, { bookmark: 'none' }), { code: 'NTS_ERR_REPL_WINDOW' });
  const moment = START + 50n * SECOND;
  const sequence = sequenceOf(log, { time: moment + 1n });
  const target = path.join(backup.folder, 'restored');
  t.equal(restore(replay, { ...backup.options, files: new Files() }, sequence, target), 50);
  t.equal(readFileSync(path.join(target, '1', 'a'), 'utf8'), states.get(50));
  t.equal(backup.text('a'), 'state 59');
});

t.test('deleted files take no room once their interval is forgotten', async (t) => {
  const backup = new Backup(t);
  for (let i = 1; i <= 20; i++) await backup.create(i, `f${i}`);
  backup.run();
  backup.replay.checkpoint();
  for (let i = 1; i <= 20; i++) {
    const flags = REPL_FLAG_LAST_LINK;
    await backup.add({ type: T.delete, flags, fileId: id(i), name: `f${i}` });
  }
  backup.run();
  backup.replay.checkpoint();
  const trash = path.join(backup.folder, 'state', 'trash');
  t.equal(readdirSync(path.join(trash, '20')).length, 20);
  backup.replay.forget(40);
  t.same(readdirSync(trash), []);
  t.same(readdirSync(path.join(backup.folder, 'state', 'undo')), []);
  t.equal(backup.replay.map.count(), 1, 'the root of the set');
});

t.test('a long stream, in many intervals', async (t) => {
  const backup = new Backup(t);
  const work = new Workload(4, { operations: 800, brackets: false });
  for (let at = 0; at < work.records.length; at += 100) {
    await backup.log.append(Buffer.concat(work.records.slice(at, at + 100)));
  }
  backup.replay.close();
  backup.replay = Replay.open({ ...backup.options, checkpointRecords: 50, batchBytes: 65_536 });
  backup.run();
  t.equal(backup.replay.fault, null);
  backup.replay.checkpoint();
  const count = backup.replay.intervals.all().length;
  t.ok(count >= 5, `${count} intervals`);
  t.ok(existsSync(backup.tree));
});
