/** What was lost is found again, whatever ends in between; and verification tells the blocks. */
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { ntsError } from '../../../userland/common/errors.js';
import { STATUS_OBJECT_NAME_NOT_FOUND as NOT_FOUND } from '../../../userland/common/ntstatus.js';
import { ReplRefusalReason } from '../../../userland/repl/codec.js';
import { askRepl } from '../../../userland/repl/control-client.js';
import { STATUS_DEVICE_NOT_READY, replRefusal } from '../../../userland/repl/refusal.js';
import { ReplService } from '../../../userland/repl/service.js';
import { isGone } from '../../../userland/repl/sync-run.js';
import type { VerifyReport } from '../../../userland/repl/verify-run.js';
import { agreed, startNode } from '../node/cluster.js';
import { addSet, dump, linkOf, settled, startPair } from './pair.js';

const BLOCK = 4096;

t.test('what was refused is judged by its own status', (t) => {
  // Of the reason, which is asked for afterwards, another request may be the cause.
  const refused = (status: number, reason: 'file' | 'ring'): unknown =>
    replRefusal(
      { reason: ReplRefusalReason[reason], index: 0, status: NOT_FOUND },
      ntsError('NTS_ERR_IO', { what: 'the driver', why: 'refused' }, { ntstatus: status }),
    );
  t.equal(isGone(refused(STATUS_DEVICE_NOT_READY, 'file')), false);
  t.equal(isGone(refused(NOT_FOUND, 'ring')), true);
  t.equal(isGone(new Error('refused')), false);
  t.end();
});

void t.test('what the driver could not keep is sent, and no more', async (t) => {
  const pair = await startPair(t);
  const { driver } = pair;
  driver.journalBytes = 1 << 20;
  writeFileSync(path.join(driver.folder, 'large'), randomBytes(8 << 20));
  await addSet(pair);
  await settled(pair);
  t.same(dump(path.join(pair.tree, 'data')), dump(driver.folder));
  await askRepl(pair.a.local, 'a', 'pause', { backup: 'b' });
  const before = driver.rangeBytes;
  t.equal(driver.lostCount, 0);
  // Ring and journal hold 2 MiB together.
  for (let i = 0; i < 300; i++)
    driver.write('large', (i * 5 * BLOCK) % (8 << 20), randomBytes(2 * BLOCK));
  driver.create('new');
  driver.write('new', 0, randomBytes(100_000));
  driver.rename('new', 'renamed');
  t.equal(driver.lostCount, 1);
  t.match(await driver.status(), { state: 3 });
  t.strictNotSame(dump(path.join(pair.tree, 'data')), dump(driver.folder));
  await askRepl(pair.a.local, 'a', 'resume', { backup: 'b' });
  await settled(pair);
  t.same(dump(path.join(pair.tree, 'data')), dump(driver.folder));
  t.ok(driver.rangeBytes - before < 3 << 20, `${driver.rangeBytes - before} bytes were sent again`);
});

void t.test('what was lost is found, whatever the driver knows of it', async (t) => {
  const pair = await startPair(t);
  const { driver } = pair;
  mkdirSync(path.join(driver.folder, 'sub'));
  for (const name of ['a', 'b', 'sub/c'])
    writeFileSync(path.join(driver.folder, name), randomBytes(100_000));
  await addSet(pair);
  await settled(pair);
  const same = async (what: string): Promise<void> => {
    await settled(pair);
    t.same(dump(path.join(pair.tree, 'data')), dump(driver.folder), what);
  };
  driver.writeUnseen('sub/c', 5000, randomBytes(10_000));
  await same('nothing but that something changed');
  driver.resizeUnrecorded('a', 1234);
  await same('a file, and nothing of its data');
  driver.shortages = 2;
  driver.resizeUnrecorded('b', 10);
  await same('a file, and the driver is short of memory meanwhile');
  t.equal(driver.shortages, 0);
  t.equal(driver.lostCount, 3);
});

void t.test('the backup is started again in the middle of it', async (t) => {
  const pair = await startPair(t);
  const { driver } = pair;
  for (let i = 0; i < 40; i++)
    writeFileSync(path.join(driver.folder, `f${i}`), randomBytes(200_000));
  await addSet(pair);
  for (let round = 0; round < 3; round++) {
    await linkOf(pair).reached(
      'durable',
      driver.last > 20 ? driver.last - 20 : 1,
      new AbortController().signal,
    );
    await pair.b.stop();
    for (let i = 0; i < 50; i++) driver.write(`f${i % 40}`, i * 100, randomBytes(3000));
    pair.backup = new ReplService();
    pair.b = await startNode(t, pair.stateOfB, { services: [pair.backup] });
    await agreed(pair.a, pair.b);
  }
  await settled(pair);
  t.same(dump(path.join(pair.tree, 'data')), dump(driver.folder));
});

void t.test('the driver is gone, and comes back with open brackets', async (t) => {
  const pair = await startPair(t);
  const { driver } = pair;
  for (let i = 0; i < 30; i++)
    writeFileSync(path.join(driver.folder, `f${i}`), randomBytes(100_000));
  await addSet(pair);
  for (let round = 0; round < 4; round++) {
    await linkOf(pair).reached('durable', round + 1, new AbortController().signal);
    // As if the process that reads had ended: the handle closes, the brackets stay.
    const { primary } = pair.service;
    const changed = new Promise<void>((resolve) => {
      const look = (): void => {
        if (!primary!.session) return;
        primary!.off('change', look);
        resolve();
      };
      primary!.on('change', look);
    });
    driver.revoke();
    for (let i = 0; i < 20; i++) driver.write(`f${i}`, 10, randomBytes(500));
    await changed;
  }
  await settled(pair);
  t.same(dump(path.join(pair.tree, 'data')), dump(driver.folder));
});

void t.test('verification tells exactly what differs', async (t) => {
  const pair = await startPair(t);
  const { driver } = pair;
  mkdirSync(path.join(driver.folder, 'sub'));
  writeFileSync(path.join(driver.folder, 'sub', 'x'), randomBytes(1 << 20));
  writeFileSync(path.join(driver.folder, 'y'), randomBytes(10_000));
  await addSet(pair);
  await settled(pair);
  const ask = async (): Promise<VerifyReport> =>
    ((await askRepl(pair.a.local, 'a', 'verify', { name: 'data' })) as VerifyReport[])[0]!;
  t.match(await ask(), { set: 'data', nodes: ['b'], files: 2, blocks: [], names: [] });

  const fd = openSync(path.join(pair.tree, 'data', 'sub', 'x'), 'r+');
  for (const block of [3, 4, 200]) writeSync(fd, Buffer.from('spoiled'), 0, 7, block * BLOCK + 100);
  closeSync(fd);
  const report = await ask();
  const blocks = report.blocks.flatMap((one) => one.blocks);
  t.same(blocks, [
    { offset: 3 * BLOCK, length: 2 * BLOCK },
    { offset: 200 * BLOCK, length: BLOCK },
  ]);
  t.match(report.blocks, [{ node: 'b', path: 'sub\\x' }]);

  await askRepl(pair.a.local, 'a', 'resync', { name: 'data', wait: true });
  await settled(pair);
  t.match(await ask(), { blocks: [], names: [] });
  t.same(dump(path.join(pair.tree, 'data')), dump(driver.folder));
});

void t.test('bookmarks, rewinding, and back to the present', async (t) => {
  const pair = await startPair(t);
  const { driver } = pair;
  writeFileSync(path.join(driver.folder, 'books'), 'one');
  await addSet(pair);
  await settled(pair);
  const then = dump(driver.folder);
  await askRepl(pair.a.local, 'a', 'bookmark', { label: 'before' });
  driver.write('books', 0, Buffer.from('two'));
  driver.create('later');
  await settled(pair);
  const tree = path.join(pair.tree, 'data');
  t.same(dump(tree), dump(driver.folder));
  t.match(await askRepl(pair.a.local, 'b', 'log', { primary: null }), {
    bookmarks: [{ label: 'before' }],
  });
  await askRepl(pair.a.local, 'b', 'restore', { primary: null, at: 'before', into: null });
  t.same(dump(tree), then);
  driver.write('books', 3, Buffer.from('three'));
  await linkOf(pair).reached('durable', driver.last, new AbortController().signal);
  t.same(dump(tree), then, 'held while records come');
  await askRepl(pair.a.local, 'b', 'restore', { primary: null, at: null, into: null });
  await settled(pair);
  t.same(dump(tree), dump(driver.folder));
  await t.rejects(
    askRepl(pair.a.local, 'b', 'restore', { primary: null, at: 'never', into: null }),
    {
      code: 'NTS_ERR_USAGE',
    },
  );
});
