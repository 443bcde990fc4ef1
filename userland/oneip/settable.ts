/** What `ntswift oneip set` can set, beside weight.NODE and rank.NODE. Alone here, since help names it. */
export const settableKeys = [
  'affinity',
  'dispatch',
  'beacon.ms',
  'beacon.silence',
  'beacon.announceSeconds',
  'flows.capacity',
  'flows.tcpIdle',
  'flows.udpIdle',
  'flows.opening',
  'flows.closing',
] as const;
export type SettableKey = (typeof settableKeys)[number];

/** As help says it. */
export const SETTABLE: readonly string[] = ['weight.NODE', 'rank.NODE', ...settableKeys];
