// The disk that is to hold the primary's journal is full: programs notice nothing, status says why, and all becomes the same.
import path from 'node:path';
import t from 'tap';
import { LabError, until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { Writer } from '../../tools/lab/replica-writer.js';
import { differences } from '../../tools/lab/same-tree.js';
import type { NodeReplView } from '../../userland/repl/view.js';
import { missing } from './fuse.js';

const MIB = 1 << 20;

t.setTimeout(0);

t.test('no room for the journal', missing, async (t) => {
  const replica = await Replica.start(t.testdir(), { stateMegabytes: 128, journal: '16M' });
  t.teardown(() => replica.close());
  const { machine } = replica;
  const repl = (...args: string[]): string => replica.ntswift('alpha', 'repl', ...args);
  const driver = (): NonNullable<NodeReplView['driver']> => replica.status('alpha').driver!;
  const writer = await Writer.start(replica, 1, 100);
  await writer.more(20);

  const refused = (): string => {
    try {
      return repl('set', '--journal', '256M');
    } catch (error) {
      if (error instanceof LabError) return error.message;
      throw error;
    }
  };
  t.match(refused(), /journal could not be made.*DISK_FULL/s);
  t.match(driver(), { journalBytes: 16 * MIB, journalStatus: 0 }, 'what there was is there still');

  // Its disk is full when the driver starts, and the journal is not there yet.
  await writer.end();
  await replica.level();
  await replica.stopService('alpha', 'SIGTERM');
  await machine.stop();
  const { state } = machine;
  const fill = 'fallocate -l $(($(df --output=avail -B1 . | tail -1) - 4194304)) full';
  machine.sh(state, `rm "$(find . -name journal)"; ${fill}`);
  await replica.startPrimary();
  t.match(driver(), { journalBytes: 0 });
  t.match(repl('status'), /cannot be used: .*DISK_FULL/);
  const second = await Writer.start(replica, 2, 100);
  repl('pause');
  for (let i = 0; driver().state !== 'dirty'; i++)
    machine.sh(replica.primary, `dd if=/dev/urandom of=big${i} bs=1M count=16 status=none`);
  t.match(repl('status'), /not kept, only which blocks change/);
  await second.more(20);
  machine.run('rm', path.join(state, 'full'));
  await until('the journal', () => (driver().journalBytes === 16 * MIB ? true : undefined));
  t.equal(driver().journalStatus, 0);
  repl('resume');
  await replica.synchronised();
  await second.end();
  await replica.level();
  t.equal(differences(replica), '');
});
