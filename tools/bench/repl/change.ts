// FOLDER FILES BYTES: every file is touched, and one block of 4096 bytes in a hundred is written anew, as makeTree of resync.ts left them.
import { closeSync, openSync, utimesSync, writeSync } from 'node:fs';
import path from 'node:path';
import { fileOf } from './tree.js';

const BLOCK = 4096;
const [folder = '.', files = '0', bytes = '0'] = process.argv.slice(2);
const blocks = Math.floor(Number(bytes) / BLOCK);
const data = Buffer.alloc(BLOCK, 'changed ');
const now = Date.now() / 1000;
let written = 0;
for (let i = 0; i < Number(files); i++) {
  const file = path.join(folder, fileOf(i));
  const fd = openSync(file, 'r+');
  for (let block = 0; block < blocks; block++) {
    if ((i * blocks + block) % 100 !== 0) continue;
    data.writeUInt32LE(i, 64);
    written += writeSync(fd, data, 0, BLOCK, block * BLOCK);
  }
  closeSync(fd);
  utimesSync(file, now, now);
}
console.log(written);
