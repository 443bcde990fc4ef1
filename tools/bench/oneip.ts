// `npm run bench -- oneip`: what a hop costs.
//
// Every load is put on every arm in every round. Arms take turns within a round, in an order that is turned around from one round to
// the next, and two arms are compared by the median of the ratios within the rounds, so that what drifts does not count.
import os from 'node:os';
import type { Image } from '../lab/host.js';
import { Lab } from '../lab/lab.js';
import { sleep } from '../lab/process.js';
import { Arms, machines, type ArmName, type Standing } from './arms.js';
import type { Sample } from './goals.js';
import { loads, runLoad, type LoadName, type LoadOptions } from './loads.js';
import { busyShare, costOf } from './measure.js';
import { conditions } from './output.js';
import { report } from './report.js';
import { median } from './statistics.js';

export interface BenchOptions extends LoadOptions {
  rounds: number;
  image: Image;
  arms: ArmName[];
  loads: LoadName[];
}

const clients = 256;
/** Before an arm is measured: neighbours are found, code and tables are warm. */
const warmSeconds = 0.3;
/** Time for what was sent to be received. */
const settleMs = 100;
/** When others use more than this share of the machine, its figures are not ours alone, and the lab's stand for them. */
const quiet = 0.03;

export async function benchOneip(options: BenchOptions): Promise<void> {
  const { rounds, seconds, image } = options;
  const arms = options.arms.filter((name) => {
    const missing = Arms.missing(name);
    if (missing !== null) console.log(`${name} is left out: ${missing}`);
    return missing === null;
  });
  const busy = await busyShare(1000);
  console.log(
    `${rounds} rounds of ${seconds} s an arm and load; drivers as ${image === 'pe' ? 'PE images' : 'ELF modules'}; verifier off`,
  );
  const samples: Sample[] = [];
  const lab = await Lab.create({ nodes: machines, clients });
  try {
    const all = await Arms.create(lab, image);
    for (let round = 1; round <= rounds; round += 1) {
      const order = round % 2 === 1 ? arms : [...arms].reverse();
      for (const arm of order) {
        const standing = await all.stand(arm);
        const possible = options.loads.filter((load) => !loads[load].not?.includes(arm));
        for (const load of possible) {
          await runLoad(lab, load, standing.target, { ...options, seconds: warmSeconds });
          const sample = await measure(lab, standing, { round, arm, load }, options);
          samples.push(sample);
          console.log(`  round ${round} ${describe(sample)}`);
        }
      }
    }
  } finally {
    await lab.close();
  }
  const others = median(samples.map((sample) => sample.others));
  report(
    { conditions: conditions(busy), others, rounds, seconds, image, rate: options.rate, samples },
    { arms, loads: options.loads, cpuOf: others > quiet ? 'lab' : 'machine' },
  );
}

async function measure(
  lab: Lab,
  { target, pids, forwarded, arrived }: Standing,
  where: Pick<Sample, 'round' | 'arm' | 'load'>,
  options: LoadOptions,
): Promise<Sample> {
  const load = loads[where.load];
  const before = { forwarded: await forwarded(), arrived: arrived() };
  const { cost, result } = await costOf(pids, async () => {
    const printed = await runLoad(lab, where.load, target, options);
    if (where.load === 'udp') await sleep(settleMs);
    return printed;
  });
  const after = { forwarded: await forwarded(), arrived: arrived() };
  const units = load.units(result);
  const failed = load.failed(result);
  if (units === 0 || failed > load.mayFail * units)
    throw new Error(`${where.arm}, ${where.load}: ${failed} failed, ${units} did not`);
  const perUnit = (ms: number) => (ms * 1000) / units;
  const seconds = result.seconds ?? NaN;
  // The load has ended, and says itself what it used.
  const labMs = cost.lab + (result.cpuMs ?? NaN);
  return {
    ...where,
    units,
    seconds,
    machine: perUnit(cost.machine),
    lab: perUnit(labMs),
    own: perUnit(cost.processes),
    others: (cost.machine - labMs) / (seconds * 1000 * os.availableParallelism()),
    perSecond: units / seconds,
    p50: result.p50Us ?? null,
    p99: result.p99Us ?? null,
    arrived: where.load === 'udp' ? Math.min(1, (after.arrived - before.arrived) / units) : null,
    forwarded:
      before.forwarded === null || after.forwarded === null
        ? null
        : after.forwarded - before.forwarded,
  };
}

function describe(sample: Sample): string {
  const { unit } = loads[sample.load];
  const parts = [
    `${sample.arm.padEnd(11)} ${sample.load.padEnd(8)} ${sample.machine.toFixed(1)} us/${unit}`,
    `${sample.lab.toFixed(1)} in the lab`,
    `${sample.own.toFixed(1)} in the driver host`,
    `${sample.perSecond.toFixed(0)} ${unit}s/s`,
  ];
  if (sample.p50 !== null && sample.p99 !== null)
    parts.push(`p50 ${sample.p50.toFixed(0)} us, p99 ${sample.p99.toFixed(0)} us`);
  if (sample.arrived !== null) parts.push(`${(100 * sample.arrived).toFixed(2)}% arrived`);
  if (sample.forwarded !== null) parts.push(`${sample.forwarded} frames forwarded`);
  return parts.join(', ');
}
