// What the backup side of REPL does in a second: log and replay on this machine's disk, from records in memory. Without a network
// and without a driver, so that it is the ceiling of everything before it.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ReplRecordType, ReplStart } from '../../../userland/repl/codec.js';
import { Log } from '../../../userland/repl/log.js';
import { encodeMetadata } from '../../../userland/repl/payload.js';
import { buildRecord } from '../../../userland/repl/record.js';
import { Replay } from '../../../userland/repl/replay.js';
import { FILETIME_1970 } from '../../../userland/repl/time.js';
import { median } from '../statistics.js';

export interface BackupOptions {
  readonly folder: string;
  readonly rounds: number;
  /** Bytes of writes in a round. */
  readonly megabytes: number;
  /** So many files are created in a burst. */
  readonly files: number;
}

const STREAM = Buffer.alloc(16, 0x42);
const FILE_BYTES = 64 << 20;
/** The pump delivers about so many at once. */
const BATCH_BYTES = 256 << 10;
/** So much may be on the way into the log. */
const IN_FLIGHT = 8 << 20;

function metadata(directory: boolean): Buffer {
  const time = FILETIME_1970;
  return encodeMetadata({
    basic: {
      creationTime: time,
      lastAccessTime: time,
      lastWriteTime: time,
      changeTime: time,
      attributes: directory ? 0x10 : 0x20,
    },
    size: 0,
    allocation: 0,
    links: 1,
    security: Buffer.alloc(0),
    ea: Buffer.alloc(0),
    reparse: Buffer.alloc(0),
  });
}

function fileId(number: number): Buffer {
  const id = Buffer.alloc(16);
  id.writeUInt32LE(number, 0);
  return id;
}

class Stream {
  sequence = 0;

  start(): Buffer {
    const data = ReplStart.encode({ streamId: STREAM, previous: 0n, unclean: 0 });
    return buildRecord({ type: ReplRecordType.start, sequence: ++this.sequence, data });
  }

  create(number: number, name: string, directory = false): Buffer {
    return buildRecord({
      type: ReplRecordType.create,
      flags: directory ? 1 : 0,
      sequence: ++this.sequence,
      time: FILETIME_1970 + BigInt(this.sequence),
      setId: 1,
      fileId: fileId(number),
      name,
      data: metadata(directory),
    });
  }

  write(number: number, name: string, offset: number, data: Buffer): Buffer {
    return buildRecord({
      type: ReplRecordType.write,
      sequence: ++this.sequence,
      time: FILETIME_1970 + BigInt(this.sequence),
      setId: 1,
      fileId: fileId(number),
      name,
      offset,
      range: data.length,
      data,
    });
  }
}

/** Records put together as they would come. */
function batches(records: readonly Buffer[]): Buffer[] {
  const list: Buffer[] = [];
  let part: Buffer[] = [];
  let bytes = 0;
  for (const record of records) {
    part.push(record);
    bytes += record.length;
    if (bytes < BATCH_BYTES) continue;
    list.push(Buffer.concat(part));
    part = [];
    bytes = 0;
  }
  if (part.length > 0) list.push(Buffer.concat(part));
  return list;
}

async function logAll(log: Log, list: readonly Buffer[]): Promise<void> {
  let inFlight = 0;
  const waiting = new Set<Promise<unknown>>();
  for (const bytes of list) {
    while (inFlight > IN_FLIGHT) await Promise.race(waiting);
    inFlight += bytes.length;
    const one: Promise<void> = log.append(bytes).then(() => {
      inFlight -= bytes.length;
      waiting.delete(one);
    });
    waiting.add(one);
  }
  await Promise.all(waiting);
}

interface Round {
  readonly log: number;
  readonly both: number;
  readonly cpu: number;
  readonly rss: number;
}

class Backup {
  private constructor(
    readonly log: Log,
    readonly replay: Replay,
  ) {}

  static open(base: string): Backup {
    rmSync(base, { recursive: true, force: true });
    mkdirSync(base, { recursive: true });
    const log = Log.open(path.join(base, 'log'), { streamId: STREAM });
    const replay = Replay.open({
      log,
      tree: path.join(base, 'tree'),
      state: path.join(base, 'state'),
      streamId: STREAM,
    });
    return new Backup(log, replay);
  }

  drain(): void {
    while (this.replay.step());
    this.replay.checkpoint();
    if (this.replay.fault) throw this.replay.fault.error;
  }

  async close(): Promise<void> {
    this.replay.close();
    await this.log.close();
  }
}

/** Seconds of the log alone, and of log and replay side by side until both are done. */
async function round(
  base: string,
  prepare: readonly Buffer[],
  list: readonly Buffer[],
): Promise<Round> {
  const first = Backup.open(base);
  await logAll(first.log, prepare);
  first.drain();
  let started = performance.now();
  await logAll(first.log, list);
  const log = (performance.now() - started) / 1000;
  await first.close();

  const backup = Backup.open(base);
  await logAll(backup.log, prepare);
  backup.drain();
  const end = new AbortController();
  const running = backup.replay.run(end.signal);
  const cpu = process.cpuUsage();
  started = performance.now();
  let rss = 0;
  const watch = setInterval(() => (rss = Math.max(rss, process.memoryUsage.rss())), 50);
  await logAll(backup.log, list);
  end.abort();
  await running;
  backup.drain();
  const both = (performance.now() - started) / 1000;
  clearInterval(watch);
  const { user, system } = process.cpuUsage(cpu);
  await backup.close();
  rmSync(base, { recursive: true, force: true });
  return { log, both, cpu: (user + system) / 1e6, rss };
}

function report(what: string, records: number, bytes: number, rounds: readonly Round[]): void {
  const log = median(rounds.map((one) => one.log));
  const both = median(rounds.map((one) => one.both));
  const cpu = median(rounds.map((one) => one.cpu));
  const megabytes = bytes / 1e6;
  const rate = (seconds: number): string =>
    `${Math.round(records / seconds).toLocaleString('en')} records/s ${(megabytes / seconds).toFixed(0)} MB/s`;
  console.log(`${what}: log ${rate(log)}; log and replay ${rate(both)}`);
  const rss = Math.max(...rounds.map((one) => one.rss)) / 1e6;
  console.log(
    `  ${((cpu / records) * 1e6).toFixed(1)} us of processor a record; resident at most ${rss.toFixed(0)} MB, of them ${megabytes.toFixed(0)} MB the records themselves`,
  );
}

async function writes(options: BackupOptions, bytes: number): Promise<void> {
  const stream = new Stream();
  const prepare = [stream.start(), stream.create(1, 'data.db')];
  const block = Buffer.alloc(1 << 20, 0x11);
  for (let at = 0; at < FILE_BYTES; at += block.length) {
    prepare.push(stream.write(1, 'data.db', at, block));
  }
  const count = Math.floor((options.megabytes * 1e6) / bytes);
  const data = Buffer.alloc(bytes, 0x5a);
  const list: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    data.writeUInt32LE(i, 0);
    list.push(stream.write(1, 'data.db', ((i * 7919) % (FILE_BYTES / bytes)) * bytes, data));
  }
  const rounds: Round[] = [];
  for (let i = 0; i < options.rounds; i++) {
    rounds.push(await round(path.join(options.folder, 'backup'), batches(prepare), batches(list)));
  }
  report(`${bytes / 1024} KiB writes at random`, count, count * bytes, rounds);
}

async function burst(options: BackupOptions): Promise<void> {
  const stream = new Stream();
  const prepare = [stream.start()];
  const folders = Math.max(1, Math.ceil(options.files / 1000));
  for (let i = 0; i < folders; i++) prepare.push(stream.create(1 + i, `d${i}`, true));
  const list: Buffer[] = [];
  for (let i = 0; i < options.files; i++) {
    list.push(stream.create(folders + 1 + i, `d${i % folders}\\file-${i}.txt`));
  }
  const bytes = list.reduce((sum, { length }) => sum + length, 0);
  const rounds = [
    await round(path.join(options.folder, 'backup'), batches(prepare), batches(list)),
  ];
  report(`${options.files} files created`, list.length, bytes, rounds);
}

export async function benchBackup(options: BackupOptions): Promise<void> {
  const folder = mkdtempSync(path.join(options.folder, 'ntswift-bench-'));
  try {
    console.log(`${os.cpus()[0]?.model ?? 'processor'}, ${os.cpus().length} of them`);
    for (const bytes of [4096, 65_536]) await writes({ ...options, folder }, bytes);
    if (options.files > 0) await burst({ ...options, folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
