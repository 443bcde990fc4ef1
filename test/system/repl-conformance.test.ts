// REPL changes nothing for programs: what they see of a folder that is being replicated is what they see of the folder below the mount,
// and what they do there arrives at the backup.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { builtFile } from '../../tools/lab/built.js';
import { until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { points } from './points.js';
import { missing } from './fuse.js';

const users = process.env.NTS_UNPRIVILEGED
  ? { skip: 'posix-suite is root, and several users' }
  : missing;

t.setTimeout(0);

async function started(t: Test): Promise<Replica> {
  const replica = await Replica.start(t.testdir());
  t.teardown(() => replica.close());
  return replica;
}

/** All was recorded, none of it lost on the way, and the backup has applied it without a contradiction. */
async function replicated(t: Test, replica: Replica, least: number): Promise<void> {
  await until(
    'all is on the backup',
    () => {
      const { driver, backups } = replica.status('alpha');
      return backups[0]?.durable === driver?.last ? true : undefined;
    },
    60_000,
    100,
  );
  const { driver } = replica.status('alpha');
  t.equal(driver?.state, 'ring');
  t.ok(driver && driver.last > least, `${driver?.last} records`);
  await replica.settled();
  t.equal(replica.difference(), '');
}

t.test('posix-suite: the same in a replicated folder', users, async (t) => {
  const replica = await started(t);
  const { machine } = replica;
  const native = path.join(machine.folder, 'native');
  mkdirSync(native);
  const suite = builtFile('bin/posix-suite');
  const below = points(machine.output(suite, native));
  const told = machine.output(suite, replica.primary);
  const above = points(told);
  t.ok(below.size > 190, 'all tests ran');
  t.same(above, below);
  if ([...above.values()].includes(false)) t.comment(told.replace(/^ok .*\n/gm, ''));
  t.ok(machine.alive);
  await replicated(t, replica, 1000);
});

t.test('fsx: a replicated file is what the operations on it made it', missing, async (t) => {
  const replica = await started(t);
  const told = replica.machine.output(builtFile('bin/fsx'), replica.primary, '--seeds=5');
  t.match(told, /^1\.\.5$/m);
  t.notMatch(told, /not ok|not supported/, told);
  t.ok(replica.machine.alive);
  await replicated(t, replica, 1000);
});
