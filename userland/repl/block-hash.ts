/** Hashes of a file's blocks, by which two sides find out what differs. */
import { createHash } from 'node:crypto';
import { HASH_BYTES } from './protocol.js';

/** SHA-256, cut: most processors have instructions for it, and 128 bits do not collide by accident. */
export function hashBlock(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, HASH_BYTES);
}

/** Of each block of `bytes`; the last may be shorter. */
export function hashBlocks(bytes: Uint8Array, block: number): Buffer {
  const hashes: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += block) {
    hashes.push(hashBlock(bytes.subarray(at, at + block)));
  }
  return Buffer.concat(hashes);
}

/** Indexes of the blocks whose hashes differ, or that only one side has. */
export function differing(here: Buffer, there: Buffer): number[] {
  const count = Math.max(here.length, there.length) / HASH_BYTES;
  const list: number[] = [];
  for (let i = 0; i < count; i++) {
    const at = i * HASH_BYTES;
    if (!here.subarray(at, at + HASH_BYTES).equals(there.subarray(at, at + HASH_BYTES)))
      list.push(i);
  }
  return list;
}
