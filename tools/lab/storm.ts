// A program that creates and renames many files at once: node storm.js FOLDER COUNT [remove]. A folder for each thousand; "remove": it
// deletes them again.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const [folder = '.', count = '0', then] = process.argv.slice(2);

for (let i = 0; i < Number(count); i += 1) {
  const inside = path.join(folder, String(Math.floor(i / 1000)));
  if (i % 1000 === 0) mkdirSync(inside, { recursive: true });
  const temporary = path.join(inside, `${i}.tmp`);
  writeFileSync(temporary, `${i}\n`);
  renameSync(temporary, path.join(inside, `${i}.doc`));
}
if (then === 'remove') rmSync(folder, { recursive: true });
console.log(`done ${count}`);
