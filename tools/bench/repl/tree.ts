// Trees of files, the same each time.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const PER_FOLDER = 50;

/** The path of a file in such a tree. */
export function fileOf(i: number): string {
  return path.join(`d${Math.floor(i / PER_FOLDER)}`, `f${i}.txt`);
}

/** Files of 1 to 16 KiB, or as long as is said; returns their bytes. */
export function makeTree(folder: string, files: number, bytesOf = defaultBytes): number {
  let total = 0;
  for (let i = 0; i < files; i++) {
    const file = path.join(folder, fileOf(i));
    if (i % PER_FOLDER === 0) mkdirSync(path.dirname(file), { recursive: true });
    const bytes = bytesOf(i);
    writeFileSync(file, Buffer.alloc(bytes, `${i} is what this file has in it, `));
    total += bytes;
  }
  return total;
}

function defaultBytes(i: number): number {
  return 1024 + ((i * 7919) % (15 * 1024));
}
