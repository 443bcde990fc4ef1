// Replication as its user has it: programs work in a folder on the mount, their machine dies, and the backup's copy is what the folder
// was at a moment just before.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { root } from '../../tools/lab/built.js';
import { LabError, until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { auditSqlite, type JournalMode } from '../../tools/lab/shop/sqlite.js';
import { missing } from './fuse.js';

const books = path.join(root, 'dist/tools/lab/shop/sqlite.js');

t.setTimeout(0);

async function started(t: Test, mode: 'async' | 'durable' = 'async'): Promise<Replica> {
  const replica = await Replica.start(t.testdir(), { mode });
  t.teardown(() => replica.close());
  return replica;
}

t.test(
  'the backup becomes the same: files, folders, links, and what was there before',
  missing,
  async (t) => {
    const replica = await started(t);
    replica.machine.sh(
      replica.primary,
      `mkdir -p a/b; seq 1 20000 > a/b/numbers; ln a/b/numbers a/link; ln -s b/numbers a/symbolic
     for i in $(seq 200); do echo $i > t$i.tmp; mv t$i.tmp t$i.doc; done
     rm t7.doc; truncate -s 5000 t8.doc; chmod 600 t9.doc; mv a/b c; cp -r '${root}/docs' docs`,
    );
    await replica.level();
    t.equal(replica.difference(), '');
  },
);

for (const mode of ['wal', 'delete'] satisfies JournalMode[]) {
  t.test(
    `SQLite, journal ${mode}: the machine dies under load, the backup opens clean`,
    missing,
    async (t) => {
      const replica = await started(t);
      let committed = 0;
      const program = await replica.program(
        (line) => (committed = Number(line) || committed),
        books,
        replica.primary,
        mode,
      );
      await until('three hundred transactions', () => (committed > 300 ? true : undefined), 60_000);
      await replica.killPrimary(program);
      const { applied } = await replica.settled();
      const audit = auditSqlite(replica.copy('opened'));
      t.comment(
        `${committed} transactions committed, ${audit.transactions} on the backup, ${applied} records`,
      );
      t.same(audit.problems, []);
      t.ok(
        audit.transactions > 0 && audit.transactions <= committed + 1,
        `${audit.transactions} of ${committed}`,
      );
    },
  );
}

t.test('durable mode: what was committed is on the backup', missing, async (t) => {
  const replica = await started(t, 'durable');
  let committed = 0;
  const program = await replica.program(
    (line) => (committed = Number(line) || committed),
    books,
    replica.primary,
    'wal',
  );
  await until('a hundred transactions', () => (committed > 100 ? true : undefined), 60_000);
  await replica.killPrimary(program);
  const told = committed;
  await replica.settled();
  const audit = auditSqlite(replica.copy('opened'));
  t.comment(`${told} transactions committed, ${audit.transactions} on the backup`);
  t.same(audit.problems, []);
  t.ok(audit.transactions >= told, `${audit.transactions} of ${told}`);
});

t.test('a folder whose names have no room in one record', missing, async (t) => {
  const replica = await Replica.start(t.testdir());
  t.teardown(() => replica.close());
  // Behind the driver's back: what is there, a synchronisation has to find.
  const folder = path.join(replica.machine.paths.backing, 'shop', 'large');
  mkdirSync(folder);
  for (let i = 0; i < 3000; i++) writeFileSync(path.join(folder, `${i}`.padEnd(200, '-')), `${i}`);
  replica.ntswift('alpha', 'repl', 'resync', 'shop');
  await replica.level('alpha', 120_000);
  t.equal(replica.difference(), '');
});

t.test('errors say what to do', missing, async (t) => {
  const replica = await started(t);
  const refused = (...args: string[]): string => {
    try {
      replica.ntswift('alpha', ...args);
    } catch (error) {
      if (error instanceof LabError) return error.message;
      throw error;
    }
    return '';
  };
  t.match(
    refused('repl', 'add', 'other', '/tmp', '--to', `beta:${replica.backup}`),
    /not on a volume of the driver host/,
  );
  t.match(
    refused('repl', 'add', 'shop', replica.primary, '--to', `beta:${replica.backup}`),
    /shop/,
  );
  t.match(refused('repl', 'remove', 'nothing', '-y'), /nothing/);
});
