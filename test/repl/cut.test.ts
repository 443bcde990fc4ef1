/** The cut test, by seeds: soak runs more of them. */
import t from 'tap';
import { type CutCounts, cut } from './cut.js';

const SEEDS = 200;

function add(sum: CutCounts, counts: CutCounts): void {
  for (const key of Object.keys(counts) as (keyof CutCounts)[]) sum[key] += counts[key];
}

const none = (): CutCounts => ({
  records: 0,
  boundaries: 0,
  ends: 0,
  rewinds: 0,
  restores: 0,
  calls: 0,
});

t.test(`${SEEDS} workloads, cut after every record and ended at some file calls`, async (t) => {
  const sum = none();
  for (let seed = 1; seed <= SEEDS; seed++) {
    add(sum, await cut(seed, { operations: 60, ends: 3, rewinds: 1 }));
  }
  t.comment(
    `${sum.records} records, ${sum.ends} ends of ${sum.calls} file calls, ${sum.rewinds} rewinds, ${sum.restores} restores`,
  );
  // Workloads that do nothing would pass, too.
  t.ok(sum.boundaries > 50 * SEEDS, `${sum.boundaries} boundaries were compared`);
  t.equal(sum.ends, 3 * SEEDS);
});

t.test('small workloads, ended at every file call', async (t) => {
  for (const seed of [1001, 1002, 1003, 1004]) {
    const counts = await cut(seed, { operations: 25, ends: Infinity, rewinds: 1 });
    t.equal(counts.ends, counts.calls, `seed ${seed}, ${counts.calls} calls`);
  }
});

t.test('workloads in copy mode, cut after every record', async (t) => {
  // A lost name in a bracket, a folder that goes in one, and others that once found a fault.
  for (const seed of [20077, 20117, 20142, 20219, 20220, 20221]) {
    const counts = await cut(seed, { operations: 80, ends: 2, rewinds: 1, copies: true });
    t.ok(counts.boundaries > 50, `seed ${seed}, ${counts.boundaries} boundaries`);
  }
  // A FileId that went from one node to another, and is asked for before the next checkpoint.
  t.ok((await cut(305, { operations: 60, ends: 2, rewinds: 1 })).boundaries > 50);
});
