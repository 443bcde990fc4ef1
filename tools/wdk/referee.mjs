#!/usr/bin/env node
// Compares what our kernel headers declare with the facts, on both targets, and PE images' imports with the export lists; with --host
// also what the driver host exports.
//
//   node tools/wdk/referee.mjs [--facts FILE [--full]] [--exceptions FILE] [--include FOLDER]
//                               [--host FOLDER] [--pe FILE...] [--quiet]
//
// Every name without a fact stands in abi/exceptions.json with the page that documents it; an exception that nothing needs, and a
// fact that no declaration needs (except with --full: FILE holds all facts), are differences too. Exit code 0 only if there is no difference.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { compare, compareHostExports, compareImports } from './compare.mjs';
import { readExceptions, readFacts, slicePath } from './facts.mjs';
import { declarations } from './headers.mjs';
import { readImports } from './pe.mjs';

/** @param {{ facts?: import('./facts.mjs').Facts, exceptions?: import('./facts.mjs').Exceptions, include?: string, images?: string[], host?: string, whole?: boolean }} options */
export async function referee(options = {}) {
  const facts = options.facts ?? readFacts();
  const exceptions = options.exceptions ?? readExceptions();
  const differences = [];
  const used = new Set();
  const seen = new Set();
  /** @type {Record<string, Record<string, number>>} */
  const counts = {};
  const targets = /** @type {const} */ (['pe', 'elf']);
  const sides = await Promise.all(targets.map((target) => declarations(target, options.include)));
  targets.forEach((target, index) => {
    const side = sides[index];
    if (!side) return;
    const result = compare(side, target, facts, exceptions);
    differences.push(...result.differences);
    counts[target] = result.counts;
    for (const name of result.used) used.add(name);
    for (const name of result.seen) seen.add(name);
  });

  let imports = 0;
  for (const image of options.images ?? []) {
    const result = compareImports(readImports(image), image, facts, exceptions);
    differences.push(...result.differences);
    for (const name of result.used) used.add(name);
    imports += result.count;
  }

  let hosted = 0;
  if (options.host && sides[1]) {
    const result = compareHostExports(readHostExports(options.host), sides[1], facts, exceptions);
    differences.push(...result.differences);
    hosted = result.count;
  }

  const exported = new Set(Object.values(facts.exports).flat());
  for (const [name, exception] of Object.entries(exceptions)) {
    if (!exception.page && !exception.source)
      differences.push(`exception ${name} names neither page nor source`);
    // What only the compiler calls (__chkstk) is needed by this driver and not by that one.
    const importOnly = exported.has(name) && !sides[0]?.functions.has(name);
    if (!used.has(name) && !(exception.source && importOnly))
      differences.push(`exception ${name} is not needed`);
  }
  if (options.whole ?? true)
    for (const group of /** @type {const} */ (['functions', 'records', 'enums', 'macros']))
      for (const name of Object.keys(facts[group]))
        if (!seen.has(`${group} ${name}`))
          differences.push(`${group}: no declaration needs the fact ${name}`);
  return { differences, counts, imports, hosted };
}

/** The NT_EXPORTs in the C sources of a folder. @param {string} folder */
function readHostExports(folder) {
  const constants = new Map([
    ['NTOSKRNL', 'ntoskrnl.exe'],
    ['NDIS', 'ndis.sys'],
    ['WDFLDR', 'wdfldr.sys'],
  ]);
  const found = [];
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('.c')) continue;
    const file = path.join(folder, name);
    for (const match of readFileSync(file, 'utf8').matchAll(
      /^NT_EXPORT(_AS)?\(\s*(\w+|"[^"]+"),\s*(\w+)(?:,\s*(\w+))?\s*\)/gm,
    )) {
      const [, as, module = '', exported = ''] = match;
      found.push({
        file,
        module: constants.get(module) ?? module.replaceAll('"', '').toLowerCase(),
        name: exported,
        own: !as,
      });
    }
  }
  return found;
}

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      facts: { type: 'string' },
      full: { type: 'boolean' },
      exceptions: { type: 'string' },
      include: { type: 'string' },
      host: { type: 'string' },
      pe: { type: 'string', multiple: true },
      quiet: { type: 'boolean' },
    },
  });
  const images = [...(values.pe ?? []), ...positionals];
  const { differences, counts, imports, hosted } = await referee({
    facts: readFacts(values.facts ?? slicePath),
    ...(values.exceptions && { exceptions: readExceptions(values.exceptions) }),
    ...(values.include && { include: values.include }),
    ...(values.host && { host: values.host }),
    images,
    whole: !values.full,
  });
  for (const difference of differences) console.log(difference);
  if (!values.quiet)
    for (const [target, count] of Object.entries(counts))
      console.log(`${target}: ${Object.entries(count).map(([kind, number]) => `${number} ${kind}`).join(', ')}`); // prettier-ignore
  if (images.length) console.log(`imports: ${imports} of ${images.length} images`);
  if (values.host) console.log(`host: ${hosted} exports`);
  console.log(`${differences.length} differences`);
  process.exitCode = differences.length ? 1 : 0;
}
