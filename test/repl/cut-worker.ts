/** A thread that runs workloads by the seeds that it is told, for the soak. */
import { parentPort } from 'node:worker_threads';
import { type CutOptions, cut } from './cut.js';

export interface CutOrder {
  readonly seed: number;
  readonly options: CutOptions;
}

export interface CutAnswer {
  readonly seed: number;
  readonly failure: string | null;
  readonly ends: number;
}

parentPort!.on('message', ({ seed, options }: CutOrder) => {
  cut(seed, options).then(
    ({ ends }) => parentPort!.postMessage({ seed, failure: null, ends } satisfies CutAnswer),
    (error: unknown) =>
      parentPort!.postMessage({
        seed,
        failure: error instanceof Error ? error.message : String(error),
        ends: 0,
      } satisfies CutAnswer),
  );
});
