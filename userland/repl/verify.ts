/** Verification: what was read on the primary and what the backup has at the same sequence. */

const BLOCK = 4096;

export interface Difference {
  readonly sequence: number;
  readonly setId: number;
  readonly fileId: Buffer;
  readonly path: string;
  /** Blocks of 4096 bytes that differ, neighbours together. */
  readonly blocks: readonly { offset: number; length: number }[];
}

/** `there` may be shorter: what it lacks differs. */
export function differences(
  offset: number,
  data: Buffer,
  there: Buffer,
): { offset: number; length: number }[] {
  const found: { offset: number; length: number }[] = [];
  const end = offset + data.length;
  for (let from = offset; from < end;) {
    const to = Math.min(end, (Math.floor(from / BLOCK) + 1) * BLOCK);
    const expected = data.subarray(from - offset, to - offset);
    const last = found.at(-1);
    if (!expected.equals(there.subarray(from - offset, to - offset))) {
      if (last && last.offset + last.length === from) last.length += to - from;
      else found.push({ offset: from, length: to - from });
    }
    from = to;
  }
  return found;
}
