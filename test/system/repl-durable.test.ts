// In a durable set programs wait for the backup. Who does so keeps nobody else waiting, however many they are.
import { existsSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { missing } from './fuse.js';

t.setTimeout(0);

t.test('the backup is away: other folders of the same volume are as ever', missing, async (t) => {
  const replica = await Replica.start(t.testdir(), { mode: 'durable' });
  t.teardown(() => replica.close());
  const { machine, primary } = replica;
  const { mountpoint } = machine.paths;
  const shell = (script: string): string => machine.sh(mountpoint, script);
  shell(
    'mkdir other shop/deleted shop/renamed shop/replaced; echo was > other/file; echo here > shop/plain',
  );
  shell(
    'for i in 1 2 3; do echo $i > shop/deleted/$i; echo $i > shop/renamed/$i; echo $i > shop/replaced/$i; done',
  );
  await replica.level();
  replica.on('beta').pull();
  const waiting = [
    ...Array.from({ length: 12 }, (_, i) => `echo more > flushed${i}; sync flushed${i}`),
    'rm deleted/1',
    'mv renamed/1 renamed/moved',
    'mv -f replaced/1 replaced/2',
  ];
  const programs = await Promise.all(
    waiting.map((script) => machine.spawn('sh', '-ec', `cd '${primary}'; ${script}`)),
  );
  const ends = programs.map(
    ({ child }) => new Promise<number | null>((resolve) => child.once('close', resolve)),
  );
  // All that they do is done, but for the answer.
  const isThere = (name: string): boolean =>
    existsSync(path.join(machine.paths.backing, 'shop', name));
  const gone = ['deleted/1', 'renamed/1', 'replaced/1'];
  await until(
    'all wait',
    () => (isThere('flushed11') && !gone.some(isThere) ? true : undefined),
    30_000,
  );
  t.equal(
    shell(`timeout 20 sh -ec '
      cat other/file; echo new > other/new; mv other/new other/moved; cat other/moved
      rm other/file; mkdir other/folder; ls other; sync other/moved
    '`),
    'was\nnew\nfolder\nmoved\n',
  );
  // Neither is who uses the set, but for the folders in which somebody waits: the system locks those.
  t.equal(shell('timeout 20 cat shop/plain'), 'here\n');
  t.ok(
    programs.every(({ child }) => child.exitCode === null),
    'they wait',
  );
  replica.on('beta').plug();
  t.same(
    await Promise.all(ends),
    waiting.map(() => 0),
  );
  await replica.level();
  t.equal(replica.difference(), '');
});
