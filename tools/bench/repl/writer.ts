// bench-write (write.c) on a place: started, run, and the lag of each write afterwards.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { builtFile } from '../../lab/built.js';
import { LabError, ended, until } from '../../lab/process.js';
import type { Place } from './arms.js';

export interface Told {
  readonly seconds: number;
  /** Nanoseconds that a write took. */
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

export type Settings = Readonly<Record<string, string | number>>;

/** Writes; `during` is called when all is written, before the file is closed. */
export async function write(
  place: Place,
  settings: Settings,
  during: () => Promise<void> = () => Promise.resolve(),
  began: () => void = () => undefined,
): Promise<Told> {
  const values = Object.entries({ ...settings, hold: 1 }).map(
    ([name, value]) => `${name}=${value}`,
  );
  const file = path.join(place.folder, 'data');
  const { child } = await place.machine.spawn(builtFile('bin/bench-write'), file, ...values);
  let told = '';
  child.stdout?.on('data', (data: Buffer) => (told += data.toString()));
  const heard = (what: string): Promise<true> =>
    until(
      `bench-write: ${what}`,
      () => {
        if (child.exitCode !== null) throw new LabError('bench-write has ended');
        return told.includes(what) || undefined;
      },
      3_600_000,
      5,
    );
  await heard('ready');
  began();
  child.stdin?.write('\n');
  await heard('}');
  await during();
  child.stdin?.end();
  await ended(child);
  return JSON.parse(told.slice(told.indexOf('{'))) as Told;
}

/**
 * Milliseconds from each write's completion until its record was durable in the backup's log. `times` is what bench-write noted,
 * `log` what probe.ts did, `last` the number of the last write's record: the others' are those before it.
 */
export function lags(times: string, log: string, last: number): Float64Array {
  const ends = readFileSync(times);
  const durable = readFileSync(log);
  const count = ends.length / 8;
  const result = new Float64Array(count);
  let row = 0;
  for (let i = 0; i < count; i++) {
    const sequence = last - count + 1 + i;
    const is = (): boolean => Number(durable.readBigUInt64LE(row * 16 + 8)) >= sequence;
    while (row * 16 < durable.length && !is()) row += 1;
    if (row * 16 >= durable.length) throw new LabError(`record ${sequence} is not in the log`);
    const at = durable.readBigUInt64LE(row * 16);
    result[i] = Number(at - ends.readBigUInt64LE(i * 8)) / 1e6;
  }
  return result;
}

export function percentile(values: Float64Array, share: number): number {
  const sorted = values.slice().sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
