// Databases under continuous load, whose machine dies at random moments: the backup opens clean each time. `npm run soak --
// --only=repl-kill` is the long run.
import { chmodSync, existsSync } from 'node:fs';
import t, { type Test } from 'tap';
import { databaseNames, KillLab, type Database, type Mode } from '../../tools/lab/kill.js';
import { whyNoPostgres } from '../../tools/lab/shop/postgres.js';

const noMount = existsSync('/dev/fuse') ? null : 'there is no /dev/fuse';

/** So many of each database. */
const kills = 2;

t.setTimeout(0);

function skipped(database: Database): { skip?: string } {
  const why = noMount ?? (database === 'postgres' ? whyNoPostgres() : null);
  return why === null ? {} : { skip: why };
}

async function killed(t: Test, database: Database, mode: Mode, firstSeed: number): Promise<void> {
  const folder = t.testdir();
  chmodSync(folder, 0o755);
  const lab = await KillLab.start(folder, database, mode);
  t.teardown(() => lab.close());
  for (let seed = firstSeed; seed < firstSeed + kills; seed += 1) {
    const { committed, transactions, cutMs, problems } = await lab.kill(seed);
    const cut = cutMs === null ? '' : `, the link cut ${cutMs} ms before`;
    t.same(
      problems,
      [],
      `seed ${seed}: ${committed} committed, ${transactions} on the backup${cut}`,
    );
  }
}

const arms: { database: Database; mode: Mode }[] = [
  { database: 'wal', mode: 'async' },
  { database: 'delete', mode: 'durable' },
  { database: 'postgres', mode: 'durable' },
];

for (const [index, { database, mode }] of arms.entries()) {
  t.test(
    `${databaseNames[database]}, ${mode}: its machine dies, the backup opens clean`,
    skipped(database),
    (t) => killed(t, database, mode, 1 + index * kills),
  );
}
