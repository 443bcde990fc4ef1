/**
 * Program: writes random blocks, which no compression makes smaller, at random places of the first MiB of the
 * given files, in turn, until it may not; prints how many it has written, and why it ends.
 */
import { randomBytes } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';

const BLOCK = 4096;
const files = process.argv.slice(2).map((file) => openSync(file, 'r+'));
const SPAN = 256;

for (let count = 1; ; count++) {
  const block = randomBytes(BLOCK);
  try {
    writeSync(
      files[count % files.length]!,
      block,
      0,
      BLOCK,
      Math.floor(Math.random() * SPAN) * BLOCK,
    );
  } catch (error) {
    console.log((error as NodeJS.ErrnoException).code);
    break;
  }
  if (count % 100 === 0) console.log(count);
}
