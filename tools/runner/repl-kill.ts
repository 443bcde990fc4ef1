// Databases whose machine dies at random moments: each database, in each mode, in turn.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { databaseNames, KillLab, type Database, type Mode } from '../lab/kill.js';
import { whyNoPostgres } from '../lab/shop/postgres.js';

type Check = (ok: boolean, text: string) => void;

export async function runReplKill(
  wanted: readonly Database[],
  kills: number,
  firstSeed: number,
  check: Check,
): Promise<void> {
  const why = wanted.includes('postgres') ? whyNoPostgres() : null;
  if (why !== null) check(false, why);
  const arms = wanted
    .filter((database) => database !== 'postgres' || why === null)
    .flatMap((database) => (['async', 'durable'] as const).map((mode) => ({ database, mode })));
  let seed = firstSeed;
  for (const [index, { database, mode }] of arms.entries()) {
    const share =
      Math.floor((kills * (index + 1)) / arms.length) - Math.floor((kills * index) / arms.length);
    await arm(database, mode, seed, share, check);
    seed += share;
  }
}

async function arm(
  database: Database,
  mode: Mode,
  firstSeed: number,
  kills: number,
  check: Check,
): Promise<void> {
  console.log(`${databaseNames[database]}, ${mode}, killed ${kills} times`);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nts-kills-'));
  // The server of a database is another user.
  chmodSync(folder, 0o755);
  let lab: KillLab | null = null;
  const started = Date.now();
  let good = 0;
  let behind = 0;
  for (let seed = firstSeed; seed < firstSeed + kills; seed += 1) {
    try {
      lab ??= await KillLab.start(path.join(folder, String(seed)), database, mode);
      const { committed, transactions, cutMs, loadMs, problems } = await lab.kill(seed);
      const cut = cutMs === null ? '' : `, link cut ${cutMs} ms before`;
      console.log(
        `       seed ${seed}: after ${loadMs} ms${cut}: ${committed} committed, ${transactions} on the backup` +
          problems.map((problem) => `; ${problem}`).join(''),
      );
      if (problems.length === 0) good += 1;
      behind = Math.max(behind, committed - transactions);
    } catch (error) {
      console.log(`       seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
      await lab?.close();
      lab = null;
    }
  }
  await lab?.close();
  if (good === kills) rmSync(folder, { recursive: true });
  else console.log(`       what is left: ${folder}`);
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  check(
    good === kills,
    `${databaseNames[database]}, ${mode}: ${good} of ${kills} opened clean and were a prefix, ` +
      `at most ${behind} transactions behind; ${seconds} s`,
  );
}
