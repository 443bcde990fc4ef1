// What is compared with what, and what is wanted of it.
import type { ArmName } from './arms.js';
import type { LoadName } from './loads.js';
import { pairwise, type Spread } from './statistics.js';

/** One load in one arm in one round. */
export interface Sample {
  round: number;
  arm: ArmName;
  load: LoadName;
  /** Units of work done, and in how many seconds. */
  units: number;
  seconds: number;
  /** CPU time in microseconds for a unit: of the machine, of the lab alone, of the dispatching processes. */
  machine: number;
  lab: number;
  own: number;
  /** Which share of all cores others used meanwhile: the machine's CPU time less the lab's. */
  others: number;
  perSecond: number;
  /** Round-trip times in microseconds; ping only. */
  p50: number | null;
  p99: number | null;
  /** Datagrams that reached the stack of a server, of those that were sent; udp only. */
  arrived: number | null;
  /** Frames forwarded by the driver's own counter; oneip only. */
  forwarded: number | null;
}

export type Figure = 'machine' | 'lab' | 'perSecond' | 'p50';

export interface Goal {
  load: LoadName;
  of: ArmName;
  to: ArmName;
  figure: Exclude<Figure, 'lab'>;
  how: 'ratio' | 'difference';
  /** Not there: reported only. */
  wanted?: { at: 'most' | 'least'; limit: number };
}

const most = (limit: number) => ({ at: 'most' as const, limit });
const least = (limit: number) => ({ at: 'least' as const, limit });

function cpu(load: LoadName, of: ArmName, to: ArmName, limit?: number): Goal {
  const goal: Goal = { load, of, to, figure: 'machine', how: 'ratio' };
  return limit === undefined ? goal : { ...goal, wanted: most(limit) };
}

export const goals: Goal[] = [
  cpu('keep', 'oneip', 'nft', 1.15),
  cpu('connect', 'oneip', 'nft', 1.25),
  cpu('keep', 'oneip', 'haproxy', 0.75),
  cpu('connect', 'oneip', 'haproxy', 0.75),
  {
    load: 'upload',
    of: 'oneip',
    to: 'nft',
    figure: 'perSecond',
    how: 'ratio',
    wanted: least(0.85),
  },
  {
    load: 'download',
    of: 'oneip',
    to: 'nft',
    figure: 'perSecond',
    how: 'ratio',
    wanted: least(0.98),
  },
  cpu('upload', 'oneip', 'nft'),
  cpu('download', 'oneip', 'nft'),
  cpu('udp', 'oneip', 'nft'),
  {
    load: 'ping',
    of: 'oneip',
    to: 'direct-host',
    figure: 'p50',
    how: 'difference',
    wanted: most(30),
  },
  { load: 'ping', of: 'nft', to: 'direct-host', figure: 'p50', how: 'difference' },
  cpu('keep', 'direct-host', 'direct', 2.5),
  cpu('connect', 'direct-host', 'direct', 2.5),
  cpu('upload', 'direct-host', 'direct'),
  cpu('download', 'direct-host', 'direct'),
  cpu('udp', 'direct-host', 'direct'),
  cpu('keep', 'oneip', 'pass'),
  cpu('keep', 'pass', 'host'),
];

export interface Outcome {
  goal: Goal;
  figure: Figure;
  spread: Spread;
  /** null: reported only. */
  met: boolean | null;
}

function byRound(samples: Sample[], arm: ArmName, load: LoadName, figure: Figure) {
  const values: (number | null)[] = [];
  for (const sample of samples)
    if (sample.arm === arm && sample.load === load) values[sample.round - 1] = sample[figure];
  return Array.from(values, (value) => value ?? null);
}

/** Null if one of the two was not measured. CPU time of the lab alone can stand for the machine's. */
export function outcome(goal: Goal, samples: Sample[], cpuOf: 'machine' | 'lab'): Outcome | null {
  const figure = goal.figure === 'machine' ? cpuOf : goal.figure;
  const spread = pairwise(
    byRound(samples, goal.of, goal.load, figure),
    byRound(samples, goal.to, goal.load, figure),
    goal.how,
  );
  if (!spread) return null;
  const { wanted } = goal;
  const met =
    wanted === undefined
      ? null
      : wanted.at === 'most'
        ? spread.median <= wanted.limit
        : spread.median >= wanted.limit;
  return { goal, figure, spread, met };
}
