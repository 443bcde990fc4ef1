/** FILETIME: 100 ns since 1601. */

/** 1970-01-01 as a FILETIME. */
export const FILETIME_1970 = 116_444_736_000_000_000n;

/** In records: a time that was left alone. */
export function isTime(time: bigint): boolean {
  return time !== 0n && time !== 0xffff_ffff_ffff_ffffn;
}

export function fileTimeOf(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 10_000)) + FILETIME_1970;
}

export function millisecondsOf(time: bigint): number {
  return Number((time - FILETIME_1970) / 10n) / 1000;
}
