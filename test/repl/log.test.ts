/** bcplog: what is acknowledged is there after any end; what is wrong is refused or reported. */
import { readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { isNtsError } from '../../userland/common/errors.js';
import { REPL_FLAG_OPEN, ReplRecordType, ReplStart } from '../../userland/repl/codec.js';
import { Files, type Mark, systemError } from '../../userland/repl/files.js';
import { Log, type LogOptions } from '../../userland/repl/log.js';
import { buildRecord } from '../../userland/repl/record.js';
import { HEADER_BYTES } from '../../userland/repl/segment.js';
import { scratch } from './cut.js';
import { Ended, Faults } from './faults.js';
import { Random } from './random.js';
import { STREAM_ID, Workload } from './workload.js';

const ENOSPC = -28;
const EIO = -5;

function flush(sequence: number, epoch = 1): Buffer {
  const time = BigInt(sequence) * 10_000_000n;
  return buildRecord({ type: ReplRecordType.flush, sequence, epoch, time });
}

function start(sequence: number, previous: number, flags = 0): Buffer {
  const unclean = flags === 0 ? 0 : 1;
  return buildRecord({
    type: ReplRecordType.start,
    sequence,
    flags,
    bracket: flags === 0 ? 0 : sequence,
    data: ReplStart.encode({ streamId: STREAM_ID, previous: BigInt(previous), unclean }),
  });
}

function range(from: number, to: number, epoch = 1): Buffer {
  return Buffer.concat(Array.from({ length: to - from + 1 }, (_, i) => flush(from + i, epoch)));
}

function code(error: unknown): string {
  return isNtsError(error) ? error.code : String(error);
}

/** The code with which something is refused; what is thrown at once, and what is rejected. */
async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'accepted';
  } catch (error) {
    return code(error);
  }
}

function all(log: Log): Buffer {
  const parts: Buffer[] = [];
  let after = 0;
  for (let batch = log.read(after); batch; batch = log.read(after)) {
    parts.push(batch.bytes.subarray(batch.at(0), batch.end(batch.count - 1)));
    after = batch.last;
  }
  return Buffer.concat(parts);
}

function folderOf(t: { teardown: (work: () => void) => unknown }): string {
  const folder = scratch();
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'log');
}

function open(folder: string, options: Partial<LogOptions> = {}): Log {
  return Log.open(folder, { streamId: STREAM_ID, ...options });
}

t.test('records come back as they came, over many segments', async (t) => {
  const folder = folderOf(t);
  const work = new Workload(7, { operations: 300 });
  let log = open(folder, { segmentBytes: 20_000 });
  for (const record of work.records) await log.append(record);
  t.ok(log.list().length > 5, `${log.list().length} segments`);
  t.ok(all(log).equals(work.bytes));
  await log.close();
  log = open(folder, { segmentBytes: 20_000 });
  t.ok(all(log).equals(work.bytes), 'after opening again');
  t.equal(log.last, work.sequence);
  // From any place.
  for (const [sequence] of work.times) {
    const batch = log.read(sequence - 1);
    t.equal(batch?.sequence(0), sequence);
    if (sequence > 60) break;
  }
  const middle = log.list()[3]!;
  for (const name of readdirSync(folder))
    if (name.endsWith('.idx')) rmSync(path.join(folder, name));
  await log.close();
  log = open(folder, { segmentBytes: 20_000 });
  t.ok(all(log).equals(work.bytes), 'indices are made again');
  t.same(
    log
      .bookmarks()
      .map(({ sequence }) => sequence)
      .filter((sequence) => log.consistent(sequence) === sequence),
    [...work.bookmarks.values()],
  );
  log.drop(middle.first - 1);
  t.equal(log.first, middle.first);
  t.equal(await refusal(async () => Promise.resolve(log.read(5))), 'NTS_ERR_REPL_WINDOW');
  const time = work.times.get(middle.last)!;
  t.equal(log.at(time)?.sequence, middle.last);
  t.equal(log.at(time + 1n)?.sequence, middle.last);
  await log.close();
});

t.test('what is there is ignored, a gap and an old epoch are refused', async (t) => {
  const log = open(folderOf(t));
  t.equal(await refusal(() => log.append(range(2, 3))), 'NTS_ERR_REPL_GAP');
  t.equal(await log.append(range(1, 10)), 10);
  t.equal(await log.append(range(4, 8)), 10, 'again');
  t.equal(await log.append(range(8, 12)), 12, 'in part');
  t.equal(await refusal(() => log.append(range(14, 15))), 'NTS_ERR_REPL_GAP');
  const torn = range(13, 14).subarray(0, -8);
  t.equal(await refusal(() => log.append(torn)), 'NTS_ERR_REPL_RECORD');
  t.equal(log.last, 12, 'none of them was taken');
  t.equal(await refusal(() => log.append(start(20, 15))), 'NTS_ERR_REPL_GAP', '13 .. 15 are lost');
  t.equal(await log.append(start(20, 12)), 20, 'nothing was given out between');
  t.equal(await log.append(start(30, 25, REPL_FLAG_OPEN)), 30, 'a bracket opens');
  t.equal(log.consistent(), 29, 'nothing is between 20 and the bracket');
  t.equal(await log.append(range(31, 33, 2)), 33, 'the next epoch goes on');
  t.equal(await refusal(() => log.append(range(34, 34, 1))), 'NTS_ERR_REPL_EPOCH');
  t.equal(await refusal(() => log.append(range(33, 33, 1))), 'NTS_ERR_REPL_EPOCH');
  log.fence(5);
  t.equal(await refusal(() => log.append(range(34, 34, 2))), 'NTS_ERR_REPL_EPOCH', 'fenced');
  t.equal(await log.append(range(34, 34, 5)), 34);
  await log.close();
});

t.test('a new epoch begins earlier only after what follows was set aside', async (t) => {
  const folder = folderOf(t);
  let log = open(folder, { segmentBytes: 500 });
  for (let sequence = 1; sequence <= 40; sequence++) await log.append(flush(sequence));
  t.equal(await refusal(() => log.append(range(31, 33, 2))), 'NTS_ERR_REPL_EPOCH');
  const acknowledged = async () => Promise.resolve(log.setAside(30, 31));
  t.equal(await refusal(acknowledged), 'NTS_ERR_REPL_WINDOW');
  const file = log.setAside(30, 30)!;
  t.ok(readFileSync(file).equals(range(31, 40)), 'kept');
  t.same(log.listAside(), [file]);
  t.equal(log.last, 30);
  t.equal(log.setAside(30, 30), null, 'nothing more');
  t.equal(await log.append(range(31, 33, 2)), 33);
  await log.close();
  log = open(folder, { segmentBytes: 500 });
  t.ok(all(log).equals(Buffer.concat([range(1, 30), range(31, 33, 2)])));
  await log.close();
});

t.test('a torn end is cut off exactly, whatever byte it ends with', async (t) => {
  const folder = folderOf(t);
  const work = new Workload(3, { operations: 12, writeBytes: 100 });
  const log = open(folder);
  await log.append(Buffer.concat(work.records.slice(0, 4)));
  const before = log.bytes;
  await log.append(Buffer.concat(work.records.slice(4)));
  await log.close();
  const [name] = readdirSync(folder).filter((one) => one.endsWith('.seg'));
  const file = path.join(folder, name!);
  const ends = [0];
  for (const record of work.records) ends.push(ends.at(-1)! + record.length);
  const whole = readFileSync(file).subarray(0, HEADER_BYTES + ends.at(-1)!);
  let wrong = 0;
  for (let length = HEADER_BYTES + before; length <= whole.length; length++) {
    writeFileSync(file, whole.subarray(0, length));
    const cut = open(folder);
    const records = ends.findLastIndex((end) => end <= length - HEADER_BYTES);
    const good = all(cut).equals(Buffer.concat(work.records.slice(0, records)));
    // Zeros at the end may be room for more.
    const rest = whole.subarray(HEADER_BYTES + ends[records]!, length);
    const told = (cut.cut?.bytes ?? 0) === rest.findLastIndex((byte) => byte !== 0) + 1;
    if (!good || !told) wrong += 1;
    await cut.close();
  }
  t.equal(wrong, 0, `${whole.length - HEADER_BYTES - before} lengths`);

  // Blocks that did not reach the disk are zeros, and what follows may have reached it.
  writeFileSync(file, whole);
  const damagedAt = HEADER_BYTES + before + 10;
  const holed = Buffer.from(whole);
  holed.fill(0, damagedAt, damagedAt + 20);
  writeFileSync(file, holed);
  const cut = open(folder);
  t.ok(all(cut).equals(Buffer.concat(work.records.slice(0, 4))));
  await cut.close();

  writeFileSync(file, Buffer.concat([whole, Buffer.alloc(100_000)]));
  const roomy = open(folder);
  t.equal(roomy.cut, null, 'room is nothing that was cut off');
  t.equal(await roomy.append(flush(roomy.last + 1)), roomy.last);
  await roomy.close();
});

t.test('damage of what was durable is reported', async (t) => {
  const folder = folderOf(t);
  const log = open(folder, { segmentBytes: 2000 });
  for (let sequence = 1; sequence <= 60; sequence++) await log.append(flush(sequence));
  await log.close();
  const names = readdirSync(folder).filter((one) => one.endsWith('.seg'));
  t.ok(names.length > 2);
  const damage = async (file: string, at: number): Promise<string> => {
    const whole = readFileSync(file);
    const bad = Buffer.from(whole);
    bad[at]! ^= 0x40;
    writeFileSync(file, bad);
    const found = await refusal(async () => {
      const opened = open(folder);
      try {
        all(opened);
      } finally {
        await opened.close();
      }
    });
    writeFileSync(file, whole);
    return found;
  };
  const [first, last] = [path.join(folder, names[0]!), path.join(folder, names.at(-1)!)];
  t.equal(await damage(first, HEADER_BYTES + 300), 'NTS_ERR_REPL_LOG', 'in a complete segment');
  t.equal(await damage(last, HEADER_BYTES + 20), 'NTS_ERR_REPL_LOG', 'in the last one');
  t.equal(await damage(first, 40), 'NTS_ERR_REPL_LOG', 'in a header');
  truncateSync(first, HEADER_BYTES + 100);
  t.equal(
    await refusal(async () => Promise.resolve(all(open(folder)))),
    'NTS_ERR_REPL_LOG',
    'short',
  );
  rmSync(path.join(folder, names[1]!));
  t.equal(await refusal(async () => Promise.resolve(open(folder))), 'NTS_ERR_REPL_LOG', 'missing');
  const other = { streamId: Buffer.alloc(16, 9) };
  t.equal(await refusal(async () => Promise.resolve(open(folder, other))), 'NTS_ERR_REPL_LOG');
});

/** A disk that fails when it is told to. */
class Failing extends Files {
  error: number | null = null;
  syncs = 0;
  failSync = false;
  gate: Promise<void> | null = null;

  override async append(
    fd: number,
    pieces: readonly Uint8Array[],
    at: number,
    mark: Mark,
  ): Promise<void> {
    if (this.error !== null) {
      const bytes = Buffer.concat(pieces);
      this.write(fd, bytes.subarray(0, bytes.length / 2), at);
      throw systemError(this.error, 'write');
    }
    this.syncs += 1;
    await this.gate;
    if (!this.failSync) return super.append(fd, pieces, at, mark);
    this.write(fd, Buffer.concat(pieces), at);
    throw systemError(EIO, 'fdatasync');
  }
}

t.test('a full disk: nothing is acknowledged, and all is there when there is room', async (t) => {
  const folder = folderOf(t);
  const files = new Failing();
  const log = open(folder, { files, retryMilliseconds: 60_000 });
  await log.append(range(1, 5));
  files.error = ENOSPC;
  const stalled = new Promise<void>((resolve) => {
    const stop = log.onChange(() => {
      if (!log.stalled) return;
      stop();
      resolve();
    });
  });
  let acknowledged = 0;
  const waiting = [log.append(range(6, 8)), log.append(range(9, 9))];
  for (const one of waiting) void one.then((durable) => (acknowledged = durable));
  await stalled;
  t.equal(acknowledged, 0);
  t.equal(log.durable, 5);
  const seen = open(folder);
  t.equal(seen.last, 5, 'nor would anybody else find more');
  await seen.close();
  files.error = null;
  log.retry();
  t.same(await Promise.all(waiting), [9, 9]);
  t.equal(log.stalled, null);
  t.ok(all(log).equals(range(1, 9)));
  await log.close();
});

t.test('a failed sync: what it was to make durable goes to another segment', async (t) => {
  const folder = folderOf(t);
  const files = new Failing();
  const log = open(folder, { files, retryMilliseconds: 1 });
  await log.append(range(1, 5));
  files.failSync = true;
  const waiting = log.append(range(6, 8));
  await new Promise<void>((resolve) => log.onChange(resolve));
  t.equal(log.durable, 5);
  files.failSync = false;
  t.equal(await waiting, 8);
  t.same(
    log.list().map(({ first }) => first),
    [1, 6],
  );
  await log.close();
  const again = open(folder);
  t.ok(all(again).equals(range(1, 8)));
  await again.close();
});

t.test('one sync for all that came meanwhile', async (t) => {
  const files = new Failing();
  const log = open(folderOf(t), { files });
  let go = (): void => undefined;
  files.gate = new Promise((resolve) => (go = resolve));
  const waiting = [log.append(flush(1))];
  while (files.syncs === 0) await new Promise((resolve) => setImmediate(resolve));
  for (let sequence = 2; sequence <= 200; sequence++) waiting.push(log.append(flush(sequence)));
  go();
  await Promise.all(waiting);
  t.equal(files.syncs, 2);
  await log.close();
});

t.test('ended at every file call, by a kill or a loss of power', async (t) => {
  const base = scratch();
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const random = new Random(11);
  const work = new Workload(5, { operations: 40, writeBytes: 300 });
  let ends = 0;
  for (let power = 0; power < 2; power++) {
    for (let endAt = 1; ; endAt++) {
      const folder = path.join(base, `${power}-${endAt}`);
      const files = new Faults(path.join(base, 'spool'), random, power === 1);
      files.endAt = endAt;
      const acknowledged = await appendAll(folder, work, files);
      if (power === 1 && files.count >= endAt) files.powerCut();
      files.clear();
      const log = open(folder, { segmentBytes: 3000 });
      const prefix = all(log);
      if (log.last < acknowledged) t.fail(`${acknowledged} was acknowledged, ${log.last} is there`);
      if (!work.bytes.subarray(0, prefix.length).equals(prefix)) t.fail(`end at ${endAt}`);
      await log.append(work.bytes);
      if (!all(log).equals(work.bytes)) t.fail(`end at ${endAt}, and on`);
      await log.close();
      rmSync(folder, { recursive: true, force: true });
      if (files.count < endAt) break;
      ends += 1;
    }
  }
  t.ok(ends > 80, `${ends} ends`);
});

/** Returns the last acknowledged sequence. */
async function appendAll(folder: string, work: Workload, files: Faults): Promise<number> {
  let acknowledged = 0;
  let log: Log | null = null;
  try {
    log = open(folder, { segmentBytes: 3000, files, retryMilliseconds: 60_000 });
    const ended = new Promise<never>((_, reject) => {
      log!.onChange(() => {
        if (log!.stalled instanceof Ended) reject(log!.stalled);
      });
    });
    for (let at = 0; at < work.records.length; at += 3) {
      const appended = log.append(Buffer.concat(work.records.slice(at, at + 3)));
      appended.catch(() => undefined);
      acknowledged = await Promise.race([appended, ended]);
    }
    ended.catch(() => undefined);
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
  }
  await log?.close();
  return acknowledged;
}
