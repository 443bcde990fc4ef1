// The facts that our kernel headers are checked against: read, and cut to what the headers declare.
//
// A facts file is JSON with one fact a line. Values go beyond 2^53, so numbers of many digits are read as BigInt.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const folder = path.dirname(fileURLToPath(import.meta.url));
export const slicePath = path.join(folder, 'abi/wdk-abi.json');
export const exceptionsPath = path.join(folder, 'abi/exceptions.json');

/**
 * @typedef {{ bytes: number, align: number, fields: Record<string, [number, number]> }} RecordFact
 * @typedef {{
 *   source: string, notation: string,
 *   functions: Record<string, string[]>, records: Record<string, RecordFact>,
 *   enums: Record<string, bigint>, macros: Record<string, bigint>,
 *   exports: Record<string, string[]>, data?: string[],
 * }} Facts
 * @typedef {Record<string, { page?: string, source?: string, why: string }>} Exceptions
 */

/** @param {string} [file] @returns {Facts} */
export function readFacts(file = slicePath) {
  const text = readFileSync(file, 'utf8').replace(/:(-?\d{16,})(?=[,}\n])/g, ':"$1"');
  const facts = JSON.parse(text);
  for (const group of [facts.enums, facts.macros])
    for (const name of Object.keys(group)) group[name] = BigInt(group[name]);
  return facts;
}

/** @param {string} [file] @returns {Exceptions} */
export function readExceptions(file = exceptionsPath) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** @param {Facts} facts @returns {string} the same form as the full facts: one fact a line, sorted */
export function formatFacts(facts) {
  /** @param {Record<string, unknown>} group */
  const lines = (group) =>
    Object.keys(group)
      .sort()
      .map((name) => {
        const value = group[name];
        return `${JSON.stringify(name)}:${typeof value === 'bigint' ? value : JSON.stringify(value)}`;
      })
      .join(',\n');
  const names = (/** @type {string[]} */ list) =>
    `[\n${[...list]
      .sort()
      .map((name) => JSON.stringify(name))
      .join(',\n')}\n]`;
  const exported = Object.keys(facts.exports).map(
    (module) => `${JSON.stringify(module)}:${names(facts.exports[module] ?? [])}`,
  );
  return `{
"source":${JSON.stringify(facts.source)},
"notation":${JSON.stringify(facts.notation)},
"functions":{
${lines(facts.functions)}
},
"records":{
${lines(facts.records)}
},
"enums":{
${lines(facts.enums)}
},
"macros":{
${lines(facts.macros)}
},
"data":${names(facts.data ?? [])},
"exports":{
${exported.join(',\n')}
}
}
`;
}
