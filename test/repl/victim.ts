/** A backup that takes a workload into its log and tree, and tells what it acknowledges: node victim.js FOLDER SEED */
import { writeSync } from 'node:fs';
import path from 'node:path';
import { Log } from '../../userland/repl/log.js';
import { Replay } from '../../userland/repl/replay.js';
import { STREAM_ID, Workload } from './workload.js';

const [folder, seed] = process.argv.slice(2);
const work = new Workload(Number(seed), { operations: 60 });
const log = Log.open(path.join(folder!, 'log'), { streamId: STREAM_ID, segmentBytes: 30_000 });
const replay = Replay.open({
  log,
  tree: path.join(folder!, 'tree'),
  state: path.join(folder!, 'state'),
  streamId: STREAM_ID,
  checkpointRecords: 15,
  checkpointMilliseconds: Infinity,
});
const { records } = work;
for (
  let at = log.last === 0 ? 0 : [...work.times.keys()].indexOf(log.last) + 1;
  at < records.length;
  at += 4
) {
  const durable = await log.append(Buffer.concat(records.slice(at, at + 4)));
  writeSync(1, `${durable}\n`);
  replay.step();
}
while (replay.step());
replay.checkpoint();
replay.close();
await log.close();
