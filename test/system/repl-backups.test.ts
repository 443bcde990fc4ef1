// Several backups: one paused, one slow, one taken away.
import t from 'tap';
import { until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { Writer } from '../../tools/lab/replica-writer.js';
import { differences } from '../../tools/lab/same-tree.js';
import type { BackupView } from '../../userland/repl/view.js';
import { missing } from './fuse.js';

const MIB = 1 << 20;

t.setTimeout(0);

void t.test('two backups', missing, async (t) => {
  const replica = await Replica.start(t.testdir());
  t.teardown(() => replica.close());
  const { machine } = replica;
  const repl = (...args: string[]): string => replica.ntswift('alpha', 'repl', ...args);
  const backup = (node: string): BackupView =>
    replica.status('alpha').backups.find((one) => one.node === node)!;
  const writer = await Writer.start(replica, 1, 300);
  await writer.more(50);

  await replica.join('gamma');
  repl('set', '--to', `gamma:${replica.backupOf('gamma')}`);
  await replica.synchronised();
  await writer.stand();
  await replica.level();
  t.equal(differences(replica, 'beta'), '', 'beta, while gamma joined');
  t.equal(differences(replica, 'gamma'), '', 'gamma, which joined');

  repl('pause', '--backup', 'gamma');
  writer.go();
  await writer.more(50);
  await writer.stand();
  const { driver } = replica.status('alpha');
  await until(
    'beta to have all',
    () => (backup('beta').durable === driver!.last ? true : undefined),
    30_000,
    100,
  );
  t.match(backup('gamma'), { state: 'paused' });
  t.ok(backup('gamma').lag!.records >= 50, 'gamma lags');
  t.equal(backup('beta').lag?.records, 0);
  t.match(repl('status'), /gamma +\S+ +paused/);

  repl('set', '--limit', 'gamma:1M');
  repl('resume');
  await replica.level();
  const before = backup('gamma').sentBytes;
  const began = performance.now();
  machine.sh(replica.primary, 'dd if=/dev/urandom of=large bs=1M count=6 status=none');
  await replica.level();
  const seconds = (performance.now() - began) / 1000;
  const bytes = backup('gamma').sentBytes - before;
  t.ok(bytes >= 6 * MIB, `${bytes} bytes`);
  t.ok(bytes / seconds < 1.25 * MIB, `${(bytes / seconds / MIB).toFixed(2)} MiB/s to gamma`);
  t.match(repl('status'), /1\.0 MiB\/s/);
  t.equal(differences(replica, 'gamma'), '');

  repl('set', '--limit', 'gamma:0');
  await replica.on('gamma').close();
  writer.go();
  await writer.more(50);
  repl('set', '--without', 'gamma');
  await writer.end();
  const view = await replica.level();
  t.same(
    view.backups.map(({ node }) => node),
    ['beta'],
  );
  t.equal(view.driver?.acknowledged, view.driver?.last, 'nobody waits for gamma');
  t.equal(differences(replica, 'beta'), '');
});
