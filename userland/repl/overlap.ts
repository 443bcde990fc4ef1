/** Folders that must not be one inside of another. */
import path from 'node:path';

export function overlaps(a: string, b: string): boolean {
  const inside = (one: string, other: string): boolean => {
    const relative = path.relative(other, one);
    return relative === '' || (!relative.startsWith('..') && !path.isAbsolute(relative));
  };
  return inside(a, b) || inside(b, a);
}
