/**
 * Preloaded into the services that a bench starts (NODE_OPTIONS): notes when which record was durable in the backup's log, so that lag is
 * measured where it ends, and without asking for it. NTS_BENCH_LOG names the file: 16 bytes each, nanoseconds of CLOCK_MONOTONIC and
 * the last durable sequence.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { Log } from '../../../userland/repl/log.js';

const file = process.env.NTS_BENCH_LOG;
const ENTRIES = 1024;
const FLUSH_MILLISECONDS = 100;

function note(log: Log, to: string): void {
  const fd = openSync(to, 'w');
  const buffer = Buffer.alloc(ENTRIES * 16);
  let used = 0;
  const flush = (): void => {
    writeSync(fd, buffer, 0, used);
    used = 0;
  };
  const timer = setInterval(flush, FLUSH_MILLISECONDS);
  timer.unref();
  log.onChange(() => {
    buffer.writeBigUInt64LE(process.hrtime.bigint(), used);
    buffer.writeBigUInt64LE(BigInt(log.durable), used + 8);
    used += 16;
    if (used === buffer.length) flush();
  });
  process.once('exit', () => closeSync(fd));
}

if (isMainThread && file !== undefined && process.argv.includes('service')) {
  const open = Log.open.bind(Log);
  Log.open = (folder, options) => {
    const log = open(folder, options);
    note(log, file);
    return log;
  };
}
