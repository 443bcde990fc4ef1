// Whatever fails, programs notice nothing, status says what is going on, and afterwards the backup is the primary again.
import path from 'node:path';
import t from 'tap';
import { root } from '../../tools/lab/built.js';
import { until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { Writer } from '../../tools/lab/replica-writer.js';
import { differences } from '../../tools/lab/same-tree.js';
import type { NodeReplView } from '../../userland/repl/view.js';
import { missing } from './fuse.js';

const storm = path.join(root, 'dist/tools/lab/storm.js');
const FILES = 2000;
const MIB = 1 << 20;
const PATIENCE = 120_000;

t.setTimeout(0);

void t.test('outages', missing, async (t) => {
  const replica = await Replica.start(t.testdir(), { diskMegabytes: 1024 });
  t.teardown(() => replica.close());
  const beta = replica.on('beta');
  let seed = 0;

  const text = (): string => replica.ntswift('alpha', 'repl', 'status');
  const sent = (view: NodeReplView): number => view.backups[0]!.sentBytes;
  const status = (what: string, is: (view: NodeReplView) => boolean): Promise<NodeReplView> =>
    until(
      what,
      () => {
        const view = replica.status('alpha');
        return is(view) ? view : undefined;
      },
      PATIENCE,
      100,
    );

  const isFull = (error: string | null | undefined): boolean => error?.includes('ENOSPC') === true;

  /** The set has so many mebibytes more. */
  let grown = 0;
  const grow = (name: string, mebibytes: number): void => {
    grown += mebibytes;
    const line = `dd if=/dev/urandom of='${name}' bs=1M count=${mebibytes} status=none`;
    replica.machine.sh(replica.primary, line);
  };

  /** While a program writes; then all is the same. */
  const meanwhile = async (work: () => Promise<void>, perSecond = 300): Promise<NodeReplView> => {
    const writer = await Writer.start(replica, (seed += 1), perSecond);
    await writer.more(20);
    await work();
    await writer.more(20);
    await writer.end();
    const view = await replica.level('alpha', PATIENCE);
    t.equal(differences(replica), '', `the same after ${writer.count} operations`);
    // What follows is about what fails, not about how much there is.
    replica.machine.sh(replica.primary, 'rm -rf ./*');
    return view;
  };

  await t.test(`${FILES} files created and renamed in one burst`, async (t) => {
    t.match(replica.machine.run(process.execPath, storm, replica.primary, `${FILES}`), /done/);
    const { driver } = await replica.level();
    t.ok(driver!.last >= 4 * FILES, `${driver!.last} records`);
    t.equal(differences(replica), '');
    replica.machine.sh(replica.primary, 'rm -rf ./*');
  });

  await t.test('the ring is full: the journal', async (t) => {
    const before = replica.status('alpha');
    grown = 0;
    await meanwhile(async () => {
      replica.ntswift('alpha', 'repl', 'pause');
      for (let i = 0; replica.status('alpha').driver?.state === 'ring'; i++) grow(`r${i}`, 8);
      t.match(text(), /in the journal/);
      t.equal(replica.status('alpha').backups[0]?.state, 'paused');
      replica.ntswift('alpha', 'repl', 'resume');
      await status('the ring again', ({ driver }) => driver?.state === 'ring');
    });
    const { driver, backups } = replica.status('alpha');
    t.equal(driver?.journalUsed, 0);
    const bytes = sent(replica.status('alpha')) - sent(before);
    t.ok(bytes < (grown + 16) * MIB, `${bytes} bytes sent, of ${grown} MiB and some operations`);
    t.equal(backups[0]?.error, null);
  });

  await t.test('the journal is full: blocks', async (t) => {
    replica.ntswift('alpha', 'repl', 'set', '--journal', '16M');
    const before = replica.status('alpha');
    await meanwhile(async () => {
      replica.ntswift('alpha', 'repl', 'pause');
      for (let i = 0; replica.status('alpha').driver?.state !== 'dirty'; i++) grow(`j${i % 8}`, 16);
      const view = await status('what is dirty', ({ driver }) => driver!.dirtyFiles > 0);
      t.ok(view.driver!.dirtyFiles < 2000, `${view.driver!.dirtyFiles} files are dirty`);
      t.match(text(), /not kept, only which blocks change/);
      t.match(text(), /to resync +\d+ files/);
      // What cannot begin is refused, and changes nothing.
      const folder = path.join(replica.machine.paths.mountpoint, 'more');
      replica.machine.run('mkdir', folder);
      const add = ['repl', 'add', 'more', folder, '--to', `beta:${replica.backup}`];
      t.throws(() => replica.ntswift('alpha', ...add), /nothing can be recorded now/);
      t.same(
        replica.status('alpha').sets.map(({ name }) => name),
        ['shop'],
      );
      replica.ntswift('alpha', 'repl', 'resume');
      await replica.synchronised(PATIENCE);
    });
    const bytes = sent(replica.status('alpha')) - sent(before);
    t.ok(bytes < 256 * MIB, `${bytes} bytes sent`);
    replica.ntswift('alpha', 'repl', 'set', '--journal', '128M');
  });

  await t.test('connections are reset, and the cable is pulled', async (t) => {
    await meanwhile(async () => {
      for (let i = 0; i < 3; i++) {
        beta.reset();
        await status('streaming', ({ backups }) => backups[0]?.state === 'streaming');
      }
      beta.pull();
      const { lag } = await status('a lag', ({ lag }) => (lag?.milliseconds ?? 0) > 2000);
      t.ok(lag!.records > 0);
      beta.plug();
      await status('none', ({ lag }) => (lag?.milliseconds ?? Infinity) < 2000);
    });
  });

  for (const node of ['alpha', 'beta'] as const) {
    await t.test(`the service of ${node} is killed: streaming, and in a resync`, async (t) => {
      await meanwhile(async () => {
        await replica.stopService(node);
        if (node === 'beta') {
          const { backups } = await status('gone', (view) => view.backups[0]?.state === 'waiting');
          t.match(backups[0]?.error, /cannot be reached/);
        }
        await replica.startService(node);
        await replica.synchronised(PATIENCE);
        replica.ntswift('alpha', 'repl', 'resync', '--background');
        await replica.stopService(node);
        await replica.startService(node);
        beta.reset();
        await replica.synchronised(PATIENCE);
      });
    });
  }

  await t.test('several resyncs at once', async () => {
    await meanwhile(async () => {
      for (let i = 0; i < 3; i++) replica.ntswift('alpha', 'repl', 'resync', '--background');
      await replica.synchronised(PATIENCE);
    });
  });

  await t.test("the backup's disk is full", async (t) => {
    const disk = path.dirname(replica.backup);
    await meanwhile(async () => {
      const fill = `fallocate -l $(($(df --output=avail -B1 '${disk}' | tail -1) - 65536)) '${disk}/full'`;
      beta.run('sh', '-c', fill);
      grow('big', 4);
      await status('standstill', (view) => isFull(view.backups[0]?.error));
      t.match(text(), /no space left/);
      t.match(replica.ntswift('beta', 'repl', 'status'), /stands still/);
      beta.run('rm', `${disk}/full`);
    });
  });

  await t.test('its disk is full, and its service is started', async (t) => {
    const disk = path.dirname(replica.backup);
    const file = path.join(replica.backup, 'shop/large');
    grow('large', 16);
    await replica.level();
    // A checkpoint: what is there now has to be put back where the next one does not come.
    const { hosted } = replica.status('beta');
    replica.ntswift('beta', 'repl', 'restore', String(hosted[0]!.applied), '-y');
    replica.ntswift('beta', 'repl', 'restore', '--resume');
    replica.machine.sh(replica.primary, 'truncate -s 0 large');
    const size = (): string => beta.run('stat', '-c', '%s', file).trim();
    await until('it is empty', () => (size() === '0' ? true : undefined), PATIENCE);
    await replica.stopService('beta');
    const room = 'fallocate -l $(($(df --output=avail -B1 . | tail -1) - 1048576)) full';
    beta.run('sh', '-ec', `cd '${disk}'; ${room}; cat /dev/zero > rest 2> /dev/null || :`);
    await replica.startService('beta');
    await status('standstill', (view) => isFull(view.backups[0]?.error));
    beta.run('rm', path.join(disk, 'full'), path.join(disk, 'rest'));
    await replica.level();
    t.equal(differences(replica), '');
  });
});
