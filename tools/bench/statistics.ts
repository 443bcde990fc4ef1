// Numbers out of numbers.

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export interface Spread {
  median: number;
  min: number;
  max: number;
  /** One of each round in which both were measured. */
  values: number[];
}

export function spread(values: number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), values };
}

/**
 * Of what was measured in the same round: what drifts from one round to the next does not count. A round that lacks one of the two is
 * left out.
 */
export function pairwise(
  of: (number | null)[],
  to: (number | null)[],
  how: 'ratio' | 'difference',
): Spread | null {
  const values = of.flatMap((a, round) => {
    const b = to[round] ?? null;
    return a === null || b === null ? [] : [how === 'ratio' ? a / b : a - b];
  });
  return values.length === 0 ? null : spread(values);
}
