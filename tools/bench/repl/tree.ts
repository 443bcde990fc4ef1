// Trees of small files, the same each time.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const PER_FOLDER = 50;

/** Files of 1 to 16 KiB; returns their bytes. */
export function makeTree(folder: string, files: number, bytesOf = defaultBytes): number {
  let total = 0;
  for (let i = 0; i < files; i++) {
    const inside = path.join(folder, `d${Math.floor(i / PER_FOLDER)}`);
    if (i % PER_FOLDER === 0) mkdirSync(inside, { recursive: true });
    const bytes = bytesOf(i);
    const data = Buffer.alloc(bytes, `${i} is what this file has in it, `);
    writeFileSync(path.join(inside, `f${i}.txt`), data);
    total += bytes;
  }
  return total;
}

function defaultBytes(i: number): number {
  return 1024 + ((i * 7919) % (15 * 1024));
}
