// Going back: to twenty bookmarks of a history, in place or into a folder, and what is refused.
import path from 'node:path';
import t from 'tap';
import { LabError } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { Writer } from '../../tools/lab/replica-writer.js';
import { differences } from '../../tools/lab/same-tree.js';
import { missing } from './fuse.js';

const BOOKMARKS = 20;

t.setTimeout(0);

void t.test('every bookmark can be gone back to', missing, async (t) => {
  const replica = await Replica.start(t.testdir());
  t.teardown(() => replica.close());
  const { machine } = replica;
  const place = (name: string): string => path.join(machine.folder, name);
  const backing = path.join(machine.paths.backing, 'shop');
  const restore = (...args: string[]): string =>
    replica.ntswift('beta', 'repl', 'restore', ...args, '-y');

  const writer = await Writer.start(replica, 1);
  for (let i = 0; i < BOOKMARKS; i++) {
    await writer.more(60);
    await writer.stand();
    machine.run('cp', '-a', backing, place(`copy${i}`));
    t.match(replica.ntswift('alpha', 'repl', 'bookmark', `mark${i}`), /is record \d+/);
    writer.go();
  }
  await writer.end();
  await replica.level();
  const log = JSON.parse(replica.ntswift('beta', 'repl', 'log', '--json')) as {
    bookmarks: { label: string }[];
  };
  t.equal(log.bookmarks.length, BOOKMARKS);

  for (let i = 1; i < BOOKMARKS; i += 2) {
    const into = place(`then${i}`);
    t.match(restore(`mark${i}`, '--into', into), /as of record/);
    const there = path.join(into, 'shop');
    t.equal(differences(replica, 'beta', there, place(`copy${i}`)), '', `mark${i}, into a folder`);
  }
  for (let i = BOOKMARKS - 2; i >= 0; i -= 2) {
    t.match(restore(`mark${i}`), /held at/);
    t.equal(differences(replica, 'beta', undefined, place(`copy${i}`)), '', `mark${i}, in place`);
  }
  t.equal(replica.status('beta').hosted[0]?.applied, replica.status('beta').hosted[0]?.held);
  restore('--resume');
  await replica.level();
  t.equal(differences(replica), '', 'back to the present');

  const refused = (...args: string[]): string => {
    try {
      restore(...args);
    } catch (error) {
      if (error instanceof LabError) return error.message;
      throw error;
    }
    return '';
  };
  t.match(refused('mark1', '--into', place('then1')), /not an empty folder/);
  t.match(refused('mark1', '--into', path.join(replica.backup, 'x')), /which is the backup itself/);
  t.match(refused('mark1', '--into', place('no/where')), /no\/?.*ENOENT/);
  t.match(refused('nowhere', '--into', place('x')), /no bookmark, record or time/);
  t.match(refused('2001-01-01T00:00:00Z', '--into', place('x')), /the log begins after/);

  // On a disk of its own, which is too small at first.
  const beta = replica.on('beta');
  beta.disk(place('image'), place('disk'), 64);
  beta.run('sh', '-c', `fallocate -l 60M '${place('disk')}/full' || :`);
  t.match(refused('mark5', '--into', place('disk/then')), /ENOSPC/);
  t.notMatch(beta.run('ls', place('disk')), /then/, 'nothing is left behind');
  beta.run('rm', place('disk/full'));
  restore('mark5', '--into', place('disk/then'));
  t.equal(differences(replica, 'beta', place('disk/then/shop'), place('copy5')), '');
});
