#!/usr/bin/env node
// Cuts the facts to the names that our headers declare: node tools/wdk/slice.mjs PATH-TO-FULL-FACTS
//
// The slice keeps all exports, since any driver's imports are checked against them and the import libraries are made of them, and
// notes which exports our headers declare as variables.
import { readFileSync, writeFileSync } from 'node:fs';
import { functionFact } from './compare.mjs';
import { formatFacts, readFacts, slicePath } from './facts.mjs';
import { declarations } from './headers.mjs';

/** @param {string} full @returns {Promise<string>} */
export async function slice(full) {
  const facts = readFacts(full);
  const ours = await Promise.all([declarations('pe'), declarations('elf')]);
  const exported = new Set(Object.values(facts.exports).flat());
  /** @type {import('./facts.mjs').Facts} */
  const cut = { ...facts, functions: {}, records: {}, enums: {}, macros: {}, data: [] };
  /** @param {'functions' | 'records' | 'enums' | 'macros'} group @param {string} name */
  const keep = (group, name) => {
    const fact = facts[group][name];
    if (fact !== undefined) /** @type {Record<string, unknown>} */ (cut[group])[name] = fact;
  };
  const data = new Set();
  for (const { functions, records, enums, macros, variables } of ours) {
    for (const name of functions.keys())
      keep('functions', facts.functions[name] || !functionFact(facts, name) ? name : `_${name}`);
    for (const [tag, { names }] of records)
      for (const name of [tag.replace(/^_/, ''), ...names]) keep('records', name);
    for (const name of [...enums.keys(), ...macros.keys()])
      keep(name in facts.macros ? 'macros' : 'enums', name);
    for (const name of variables) if (exported.has(name)) data.add(name);
  }
  cut.data = [...data];
  return formatFacts(cut);
}

if (process.argv[1] === import.meta.filename) {
  const [full] = process.argv.slice(2);
  if (!full) {
    console.error('usage: node tools/wdk/slice.mjs PATH-TO-FULL-FACTS');
    process.exit(2);
  }
  const text = await slice(full);
  let before = '';
  try {
    before = readFileSync(slicePath, 'utf8');
  } catch {
    // the first cut
  }
  writeFileSync(slicePath, text);
  const names = new Set(before.split('\n'));
  const now = text.split('\n');
  const added = now.filter((line) => !names.has(line)).length;
  console.log(`${slicePath}: ${now.length} lines, ${added} of them new`);
}
