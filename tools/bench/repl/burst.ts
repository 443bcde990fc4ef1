// FOLDER COUNT: a program that makes so many files in one burst, each under another name first. Prints when the last had its name, in
// nanoseconds of CLOCK_MONOTONIC.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const [folder = '.', count = '1000'] = process.argv.slice(2);
for (let i = 0; i < Number(count); i++) {
  const inside = path.join(folder, `d${i % 50}`);
  if (i < 50) mkdirSync(inside, { recursive: true });
  writeFileSync(path.join(inside, `${i}.tmp`), `${i}\n`);
  renameSync(path.join(inside, `${i}.tmp`), path.join(inside, `${i}.doc`));
}
console.log(String(process.hrtime.bigint()));
