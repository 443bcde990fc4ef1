// The cut test of REPL's backup with many seeds, a thread a processor.
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { CutAnswer, CutOrder } from '../../test/repl/cut-worker.js';
import { root } from './paths.js';

const operations = 80;

export async function runReplCut(
  workloads: number,
  firstSeed: number,
  done: (ok: boolean, text: string) => void,
): Promise<void> {
  const started = Date.now();
  const seeds = Array.from({ length: workloads }, (_, i) => firstSeed + i).values();
  const sum = { workloads: 0, ends: 0, failures: 0 };
  const thread = async (): Promise<void> => {
    const worker = new Worker(path.join(root, 'dist/test/repl/cut-worker.js'), {
      // The addon opens descriptors that Node knows nothing of.
      trackUnmanagedFds: false,
    });
    for (const seed of seeds) {
      const order: CutOrder = { seed, options: { operations, ends: 10, rewinds: 3 } };
      worker.postMessage(order);
      const [answer] = (await once(worker, 'message')) as [CutAnswer];
      sum.workloads += 1;
      sum.ends += answer.ends;
      if (answer.failure !== null) {
        sum.failures += 1;
        console.log(answer.failure);
      }
      if (sum.workloads % 1000 === 0) console.log(`       ${sum.workloads} workloads`);
    }
    await worker.terminate();
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, thread));
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  done(
    sum.failures === 0 && sum.workloads === workloads,
    `${sum.workloads} workloads from seed ${firstSeed}, ${sum.ends} ends, ${sum.failures} violations, ${seconds} s`,
  );
}
