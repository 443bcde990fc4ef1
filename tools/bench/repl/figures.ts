// Figures with what is wanted of them, as all benches of REPL print them.
import { printTable } from '../output.js';
import { type Spread, spread } from '../statistics.js';

export interface Wanted {
  readonly at: 'most' | 'least';
  readonly limit: number;
}

export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly spread: Spread;
  /** null: reported only. */
  readonly wanted: Wanted | null;
  readonly met: boolean | null;
}

export const most = (limit: number): Wanted => ({ at: 'most', limit });
export const least = (limit: number): Wanted => ({ at: 'least', limit });

export function figure(
  what: string,
  value: Spread | number,
  unit: string,
  wanted: Wanted | null = null,
): Figure {
  const all = typeof value === 'number' ? spread([value]) : value;
  const met =
    wanted === null
      ? null
      : wanted.at === 'most'
        ? all.median <= wanted.limit
        : all.median >= wanted.limit;
  return { what, unit, spread: all, wanted, met };
}

export function printFigures(figures: readonly Figure[]): void {
  if (figures.length === 0) return;
  console.log('');
  printTable(
    ['', 'median', 'least', 'most', 'wanted', ''],
    figures.map(({ what, unit, spread: all, wanted, met }) => {
      const show = (value: number): string => {
        const size = Math.abs(value);
        return `${value.toFixed(size < 10 ? 2 : size < 1000 ? 1 : 0)}${unit === 'x' ? 'x' : ` ${unit}`}`;
      };
      const single = all.values.length < 2;
      return [
        what,
        show(all.median),
        single ? '' : show(all.min),
        single ? '' : show(all.max),
        wanted ? `${wanted.at === 'most' ? '<=' : '>='} ${show(wanted.limit)}` : '',
        met === null ? '' : met ? 'met' : 'missed',
      ];
    }),
  );
}
