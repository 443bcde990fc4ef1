/**
 * What of a file differs between the primary and its backups: by hashes of blocks, coarse ones first.
 *
 * Both sides are read while they change. A byte that was found equal ends equal: whatever is written
 * meanwhile is in the stream. One that differs may only be under way; sending it is no harm.
 */
import { differing, hashBlocks } from './block-hash.js';
import type { Link } from './link.js';
import type { FileName } from './protocol.js';

export const COARSE = 64 << 10;
export const FINE = 4096;

/** Read at once on this side. */
const PIECE = 1 << 20;

/** Pieces of one question. */
const PIECES = 16;

export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** What there is of a range of the file on this side; less at its end. */
export type ReadRange = (offset: number, length: number) => Promise<Buffer>;

/** Neighbours together, none longer than `most`. */
export function joinRanges(ranges: readonly Range[], most: number): Range[] {
  const joined: { offset: number; length: number }[] = [];
  for (const { offset, length } of ranges) {
    const last = joined.at(-1);
    if (last && last.offset + last.length === offset && last.length + length <= most) {
      last.length += length;
    } else joined.push({ offset, length });
  }
  return joined;
}

/** Ranges cut into pieces of at most `most` bytes. */
export function* pieces(ranges: readonly Range[], most: number): Generator<Range> {
  for (const { offset, length } of ranges) {
    for (let at = 0; at < length; at += most) {
      yield { offset: offset + at, length: Math.min(most, length - at) };
    }
  }
}

/** Blocks of `range` of which some backup has other bytes; the ends of a range are whole blocks. */
export async function* compareFile(
  links: readonly Link[],
  file: FileName,
  read: ReadRange,
  ranges: readonly Range[],
): AsyncGenerator<Range> {
  const group: Range[] = [];
  for (const piece of pieces(ranges, PIECE)) {
    group.push(piece);
    if (group.length === PIECES) yield* compareGroup(links, file, read, group.splice(0));
  }
  if (group.length > 0) yield* compareGroup(links, file, read, group);
}

async function* compareGroup(
  links: readonly Link[],
  file: FileName,
  read: ReadRange,
  group: readonly Range[],
): AsyncGenerator<Range> {
  const offsets = group.map(({ offset }) => offset);
  // Asked before this side is read: both work at the same time.
  const asked = links.map((link) => link.hash(file, offsets, PIECE, COARSE));
  for (const one of asked) one.catch(() => undefined);
  const here: Buffer[] = [];
  for (const { offset, length } of group) {
    here.push(hashBlocks(await read(offset, length), COARSE));
  }
  const coarse = new Set<number>();
  const unknown: Link[] = [];
  for (const [i, answer] of asked.entries()) {
    const there = await answer;
    if (!there) {
      unknown.push(links[i]!);
      continue;
    }
    group.forEach(({ offset, length }, piece) => {
      // A piece that is cut off by its range is not compared beyond it.
      const blocks = Math.ceil(length / COARSE);
      for (const block of differing(here[piece]!, there[piece]!)) {
        if (block < blocks) coarse.add(offset + block * COARSE);
      }
    });
  }
  if (unknown.length > 0) {
    // Zeros are there from the beginning.
    for (const { offset, length } of group) yield* notZero(read, offset, length);
    return;
  }
  const suspicious = [...coarse].sort((a, b) => a - b);
  for (let i = 0; i < suspicious.length; i += 64) {
    yield* refine(links, file, read, suspicious.slice(i, i + 64));
  }
}

async function* refine(
  links: readonly Link[],
  file: FileName,
  read: ReadRange,
  offsets: readonly number[],
): AsyncGenerator<Range> {
  const answers = await Promise.all(links.map((link) => link.hash(file, offsets, COARSE, FINE)));
  for (const [i, offset] of offsets.entries()) {
    const bytes = await read(offset, COARSE);
    const here = hashBlocks(bytes, FINE);
    const fine = new Set<number>();
    for (const there of answers) {
      for (const block of differing(here, there?.[i] ?? Buffer.alloc(0))) fine.add(block);
    }
    const blocks = [...fine].sort((a, b) => a - b);
    const ranges = blocks
      .map((block) => ({ offset: offset + block * FINE, length: FINE }))
      // What only the backup has goes by the size.
      .filter((range) => range.offset < offset + bytes.length);
    yield* joinRanges(ranges, COARSE);
  }
}

const ZEROS = Buffer.alloc(FINE);

async function* notZero(read: ReadRange, offset: number, length: number): AsyncGenerator<Range> {
  const bytes = await read(offset, length);
  const ranges: Range[] = [];
  for (let at = 0; at < bytes.length; at += FINE) {
    const block = bytes.subarray(at, at + FINE);
    if (!block.equals(ZEROS.subarray(0, block.length))) {
      ranges.push({ offset: offset + at, length: block.length });
    }
  }
  yield* joinRanges(ranges, PIECE);
}
