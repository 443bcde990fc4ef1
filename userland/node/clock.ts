/** Time of day, in milliseconds since 1970; tests bring their own. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** How far the clocks of two nodes may differ before a new certificate or a time limit could be misjudged. */
export const CLOCK_TOLERANCE = 5 * MINUTE;

/** 90s, 10m, 2h, 7d; null where it is none. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  if (!match) return null;
  const units = { s: SECOND, m: MINUTE, h: HOUR, d: DAY };
  return Number(match[1]) * units[match[2] as keyof typeof units];
}
