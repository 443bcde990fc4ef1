#!/usr/bin/env node
// Import libraries for lld-link, out of the lists of what the kernel's modules export: node tools/wdk/implib.mjs FOLDER
//
// Makes FOLDER/{ntoskrnl,ndis,fltmgr,netio,wdfldr}.{def,lib}. Variables are CONSTANT, as in the WDK's libraries: the name stands for
// the slot of the import table, which is why `extern POBJECT_TYPE *IoFileObjectType` has one `*` more than the kernel's variable.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { modules } from './compare.mjs';
import { readFacts } from './facts.mjs';

const [output] = process.argv.slice(2);
if (!output) {
  console.error('usage: node tools/wdk/implib.mjs FOLDER');
  process.exit(2);
}
mkdirSync(output, { recursive: true });
const facts = readFacts();
const data = new Set(facts.data);
for (const [image, module] of Object.entries(modules)) {
  const names = (facts.exports[module] ?? []).map((name) =>
    data.has(name) ? `${name} CONSTANT` : name,
  );
  const definition = path.join(output, `${module}.def`);
  writeFileSync(
    definition,
    `LIBRARY ${image}\nEXPORTS\n${names.map((name) => `  ${name}\n`).join('')}`,
  );
  execFileSync(
    process.env.NTS_LLD_LINK ?? 'lld-link-19',
    [
      '/lib',
      '/nologo',
      '/machine:x64',
      `/def:${definition}`,
      `/out:${path.join(output, `${module}.lib`)}`,
    ],
    { stdio: 'inherit' },
  );
}
