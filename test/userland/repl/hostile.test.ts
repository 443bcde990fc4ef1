/**
 * A primary that speaks nonsense to its backup, in the first message or in frames: it is refused or cut off,
 * and nothing of what the backup has changes; the true stream goes on afterwards.
 */
import { once } from 'node:events';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import t from 'tap';
import { connect } from '../../../userland/node/channel.js';
import { encodeMessage, readMessage } from '../../../userland/node/message.js';
import { askRepl } from '../../../userland/repl/control-client.js';
import { ReplRecordType } from '../../../userland/repl/codec.js';
import {
  FrameKind,
  type Push,
  REPL_MESSAGE_LIMIT,
  REPL_SERVICE,
  encodeJson,
  pushAnswerSchema,
  pushSchema,
} from '../../../userland/repl/protocol.js';
import { buildRecord } from '../../../userland/repl/record.js';
import { addSet, dump, linkOf, settled, startPair } from './pair.js';

t.setTimeout(300_000);

/** Minimal standard of Park and Miller: a failure names the seed that shows it again. */
function generator(seed: number): (most: number) => number {
  let state = seed + 1;
  return (most) => (state = (state * 48271) % 2147483647) % most;
}

type Next = (most: number) => number;

const values = [null, -1, 0, 1e300, 0.5, 'x'.repeat(5000), '', [], {}, true, '\u0000', '../..'];

/** One value in it, however deep, is another one. */
function spoiled(value: unknown, next: Next): unknown {
  if (typeof value !== 'object' || value === null || next(4) === 0)
    return values[next(values.length)];
  const copy = structuredClone(value) as Record<string, unknown>;
  const keys = Object.keys(copy);
  if (keys.length === 0 || next(5) === 0) return Object.assign(copy, { [`more${next(10)}`]: 1 });
  const key = keys[next(keys.length)]!;
  copy[key] = spoiled(copy[key], next);
  return copy;
}

function frame(kind: number, bytes: Buffer, length = bytes.length): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(length >>> 0, 0);
  header.writeUInt32LE(kind, 4);
  return Buffer.concat([header, bytes]);
}

const requests = [
  { ask: 'files', id: 1, files: [{ set: 1, file: '0'.repeat(32) }] },
  {
    ...{ ask: 'hash', id: 2, offsets: [0], length: 4096, block: 4096 },
    file: { set: 1, path: 'a' },
  },
  { ask: 'names', id: 3, set: 1, path: '' },
  { ask: 'checkpoint', id: 4 },
];

/** A frame that is none of those that a pump sends; `last`: of the records that the backup has. */
function nonsense(seed: number, last: number, epoch: number): Buffer {
  const next = generator(seed);
  const random = Buffer.from(Array.from({ length: next(300) }, () => next(256)));
  const record = buildRecord({
    ...{ type: ReplRecordType.write, sequence: last + 1, epoch, setId: 1 },
    ...{ fileId: Buffer.alloc(16, 7), offset: 0, range: 100, data: Buffer.alloc(100, 1) },
  });
  switch (next(8)) {
    case 0:
      return random;
    case 1:
      return frame(3 + next(1000), random);
    case 2:
      return frame(FrameKind.records, random.subarray(0, 1 + next(200)));
    case 3: {
      record[next(record.length)]! ^= 1 << next(8);
      return frame(FrameKind.records, record);
    }
    case 4:
      return frame(FrameKind.records, record.subarray(0, 8 * next(record.length / 8)));
    case 5:
      // Behind a gap.
      return frame(
        FrameKind.records,
        buildRecord({ type: ReplRecordType.bookmark, sequence: last + 2 + next(1000), epoch }),
      );
    case 6:
      return frame(FrameKind.records, random, 0x4000_0001 + next(0x3fff_ffff));
    default: {
      const request = spoiled(requests[next(requests.length)], next);
      return frame(FrameKind.json, next(3) === 0 ? random : encodeJson(request));
    }
  }
}

/** Until the other side has closed; what it says is thrown away. */
async function over(stream: Duplex): Promise<void> {
  stream.on('error', () => undefined);
  stream.resume();
  if (!stream.destroyed) await once(stream, 'close').catch(() => undefined);
}

void t.test('nonsense of a primary changes nothing on its backup', async (t) => {
  const pair = await startPair(t);
  const { driver, a } = pair;
  await addSet(pair);
  driver.create('a');
  driver.write('a', 0, Buffer.from('what is there'));
  await settled(pair);
  const tree = path.join(pair.tree, 'data');
  const before = dump(pair.tree);
  const [kept] = pair.backup.config.value.hosted;
  const { epoch } = driver;
  const last = driver.last;
  const push: Push = {
    ...{ ask: 'push', stream: kept!.stream, epoch, folder: kept!.folder },
    sets: [...kept!.sets],
  };
  const open = async (): Promise<Duplex> => (await connect(a.local, 'b', REPL_SERVICE)).stream;
  // The true pump would come back again and again.
  await askRepl(a.local, 'a', 'pause', { backup: 'b' });

  for (let seed = 0; seed < 60; seed++) {
    const next = generator(seed);
    const stream = await open();
    const valid = next(2) ? push : { ask: 'control', command: 'log', arguments: {} };
    const first = spoiled(valid, next);
    // In the right form it may well ask for less, or more.
    if (pushSchema.safeParse(first).success) {
      stream.destroy();
      continue;
    }
    stream.end(encodeMessage(first));
    await over(stream);
  }
  t.same(pair.backup.config.value.hosted, [kept], 'what it keeps, after first messages');

  for (let seed = 0; seed < 150; seed++) {
    const stream = await open();
    stream.write(encodeMessage(push));
    const answer = await readMessage(stream, pushAnswerSchema, REPL_MESSAGE_LIMIT);
    t.match(answer, { durable: last }, `seed ${seed}: nothing was taken`);
    stream.end(nonsense(seed, last, epoch));
    await over(stream);
  }
  t.same(dump(pair.tree), before);

  await askRepl(a.local, 'a', 'resume', { backup: 'b' });
  driver.write('a', 5, Buffer.from('as ever'));
  await linkOf(pair).reached('durable', driver.last, new AbortController().signal);
  await settled(pair);
  t.same(dump(tree), dump(driver.folder));
});
