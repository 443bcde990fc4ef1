// REPL's long runs: a burst of many files, and services killed, links reset and brackets opened at random under load.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from '../lab/built.js';
import { sleep } from '../lab/process.js';
import { Replica } from '../lab/replica.js';
import { Writer } from '../lab/replica-writer.js';
import { differences } from '../lab/same-tree.js';

const PATIENCE = 600_000;

type Check = (ok: boolean, text: string) => void;

async function withReplica(work: (replica: Replica) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nts-soak-'));
  try {
    const replica = await Replica.start(folder);
    try {
      await work(replica);
    } finally {
      await replica.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function runReplBurst(files: number, check: Check): Promise<void> {
  console.log(`${files} files created and renamed in one burst`);
  return withReplica(async (replica) => {
    const storm = path.join(root, 'dist/tools/lab/storm.js');
    replica.machine.run(process.execPath, storm, replica.primary, String(files));
    const { driver } = await replica.level('alpha', PATIENCE);
    const different = differences(replica);
    check(
      different === '',
      `${driver?.last} records; ${different === '' ? 'nothing differs' : different}`,
    );
  });
}

/** What happens, at random. */
const events: ((replica: Replica) => Promise<void>)[] = [
  (replica) => {
    replica.on('beta').reset();
    return Promise.resolve();
  },
  (replica) => again(replica, 'beta'),
  (replica) => again(replica, 'alpha'),
  (replica) => {
    replica.ntswift('alpha', 'repl', 'resync', '--background');
    return Promise.resolve();
  },
  async (replica) => {
    replica.ntswift('alpha', 'repl', 'pause');
    const dd = 'dd if=/dev/urandom of=big bs=1M count=100 status=none';
    if (Math.random() < 0.5) replica.machine.sh(replica.primary, dd);
    await sleep(Math.random() * 1000);
    replica.ntswift('alpha', 'repl', 'resume');
  },
];

async function again(replica: Replica, node: 'alpha' | 'beta'): Promise<void> {
  await replica.stopService(node);
  await sleep(Math.random() * 1000);
  await replica.startService(node);
}

export function runReplOutages(rounds: number, check: Check): Promise<void> {
  console.log(`${rounds} rounds of six outages at random, while a program writes`);
  return withReplica(async (replica) => {
    replica.ntswift('alpha', 'repl', 'set', '--journal', '64M');
    let same = 0;
    for (let round = 1; round <= rounds; round += 1) {
      const writer = await Writer.start(replica, round);
      for (let i = 0; i < 6; i += 1) {
        await events[Math.floor(Math.random() * events.length)]!(replica);
        await sleep(Math.random() * 1500);
      }
      await replica.synchronised(PATIENCE);
      await writer.end();
      await replica.level('alpha', PATIENCE);
      const different = differences(replica);
      if (different === '') same += 1;
      console.log(`       ${round}: ${writer.count} operations ${different}`);
      replica.machine.sh(replica.primary, 'rm -rf ./*');
    }
    check(same === rounds, `the same after ${same} of ${rounds} rounds`);
  });
}
