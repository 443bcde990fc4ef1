#!/usr/bin/env node
// Breaks the headers in small ways, one at a time, and asks the referee each time: every mutation must be caught.
//
//   node tools/wdk/mutate.mjs [--count 30] [--seed N] [--verbose]
//
// A mutation changes what the headers mean and still compiles on both targets; one that does not compile proves nothing about the
// referee and is drawn again. Only declarations that have a fact are mutated.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { functionFact } from './compare.mjs';
import { folder, readExceptions, readFacts } from './facts.mjs';
import { declarations } from './headers.mjs';
import { referee } from './referee.mjs';

/** @typedef {{ kind: string, file: string, what: string, from: number, to: number, text: string }} Mutation the characters [from, to) of a file become text */

/** @param {number} seed @returns {() => number} in [0, 1) */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Another type, of another size. */
const otherWidth = /** @type {Record<string, string>} */ ({
  UCHAR: 'USHORT',
  CHAR: 'SHORT',
  BOOLEAN: 'ULONG',
  KIRQL: 'USHORT',
  USHORT: 'UCHAR',
  CSHORT: 'LONG',
  ULONG: 'ULONG64',
  LONG: 'LONG64',
  NTSTATUS: 'LONG64',
  ULONG64: 'ULONG',
  ULONGLONG: 'ULONG',
  LONGLONG: 'LONG',
  ULONG_PTR: 'ULONG',
  PVOID: 'ULONG',
  LARGE_INTEGER: 'LONG',
  UNICODE_STRING: 'PVOID',
  NDIS_OBJECT_HEADER: 'ULONG64',
});

/** A type of another argument class. */
const otherClass = (/** @type {string} */ kind) =>
  kind === 'p' || kind === 'i8' || kind === 'v' || kind.startsWith('r')
    ? 'ULONG'
    : kind === 'i4'
      ? 'ULONG64'
      : 'ULONG';

/** @param {string} file @param {string} text @param {Set<string>} known tags of records that have a fact @returns {Mutation[]} */
function recordMutations(file, text, known) {
  /** @type {Mutation[]} */
  const mutations = [];
  /** @type {{ kind: string, tag: string }[]} */
  const open = [];
  /** @type {{ from: number, to: number, line: string, depth: number } | null} the field on the line before, in the same struct */
  let previous = null;
  let at = 0;
  for (const line of text.split('\n')) {
    const [from, to] = [at, at + line.length];
    at = to + 1;
    const opens = /\b(struct|union|enum)\b(?: DECLSPEC_\w+(?:\(\w+\))?)?(?: (\w+))? \{$/.exec(line);
    if (opens) {
      const tag = opens[2] ?? open.at(-1)?.tag ?? '';
      open.push({ kind: opens[1] ?? '', tag });
      if (opens[2] && opens[1] !== 'enum' && known.has(tag))
        mutations.push({ kind: 'alignment', file, what: `${tag} aligned to 128`, from, to, text: line.replace(/\b(struct|union)\b( DECLSPEC_\w+(?:\(\w+\))?)?/, '$1 DECLSPEC_ALIGN(128)') }); // prettier-ignore
      previous = null;
      continue;
    }
    if (/^\s*\}/.test(line)) {
      open.pop();
      previous = null;
      continue;
    }
    const inside = open.at(-1);
    const outermost = open[0];
    if (
      !inside ||
      !outermost ||
      inside.kind === 'enum' ||
      !known.has(inside.tag) ||
      !known.has(outermost.tag)
    )
      continue;
    const field =
      /^(\s+)((?:volatile |const |struct |DECLSPEC_ALIGN\(\w+\) )*)(\w+)( \*?(?:volatile )?)(\w+)((?:\[[^\]]+\])?)( : \d+)?;$/.exec(
        line,
      );
    if (!field) {
      previous = null;
      continue;
    }
    const [
      ,
      indent = '',
      qualifier = '',
      type = '',
      star = ' ',
      name = '',
      dimension = '',
      bits = '',
    ] = field;
    const what = `${inside.tag}.${name}`;
    mutations.push({ kind: 'drop a field', file, what, from, to: to + 1, text: '' });
    mutations.push({
      kind: 'insert a field',
      file,
      what: `before ${what}`,
      from,
      to: from,
      text: `${indent}ULONG NtsMutation;\n`,
    });
    const other = otherWidth[type];
    if (other && !bits && star === ' ')
      mutations.push({
        kind: 'field width',
        file,
        what: `${what}: ${other}`,
        from,
        to,
        text: `${indent}${qualifier}${other} ${name}${dimension};`,
      });
    if (bits) {
      const width = Number(bits.slice(3));
      mutations.push({
        kind: 'bit width',
        file,
        what,
        from,
        to,
        text: line.replace(/ : \d+;$/, ` : ${width > 1 ? width - 1 : 2};`),
      });
    }
    if (dimension)
      mutations.push({
        kind: 'array length',
        file,
        what,
        from,
        to,
        text: line.replace(/\[([^\]]+)\];$/, '[($1) + 1];'),
      });
    if (inside.kind === 'struct' && previous)
      mutations.push({
        kind: 'swap fields',
        file,
        what: `${what} and the one before`,
        from: previous.from,
        to,
        text: `${line}\n${previous.line}`,
      });
    previous = { from, to, line, depth: open.length };
  }
  return mutations;
}

/** @param {string} file @param {string} text @param {import('./headers.mjs').Declarations} ours @param {import('./facts.mjs').Facts} facts @returns {Mutation[]} */
function functionMutations(file, text, ours, facts) {
  /** @type {Mutation[]} */
  const mutations = [];
  for (const match of text.matchAll(
    /^(NT\w+API|NTSYSAPI) ([\w ]+?\*?) ?NTAPI (\w+)\(([^;{}]*?)\);$/gms,
  )) {
    const [whole, api = '', returns = '', name = '', list = ''] = match;
    const declared = ours.functions.get(name);
    if (!declared || !functionFact(facts, name)) continue;
    const from = match.index;
    const to = from + whole.length;
    const parameters = list.replace(/\s+/g, ' ').split(', ').filter((item) => item !== 'VOID'); // prettier-ignore
    const make = (/** @type {string} */ result, /** @type {string[]} */ items, title = name) =>
      `${api} ${result} NTAPI ${title}(${items.join(', ') || 'VOID'});`;
    const [kind = 'v', ...kinds] = declared.signature;
    mutations.push({
      kind: 'return type',
      file,
      what: name,
      from,
      to,
      text: make(otherClass(kind), parameters),
    });
    mutations.push({
      kind: 'misspelt name',
      file,
      what: name,
      from,
      to,
      text: make(returns, parameters, `${name}_`),
    });
    mutations.push({
      kind: 'calling convention',
      file,
      what: name,
      from,
      to,
      text: whole.replace(' NTAPI', ''),
    });
    if (parameters.includes('...') || parameters.length !== kinds.length) continue;
    mutations.push({
      kind: 'extra argument',
      file,
      what: name,
      from,
      to,
      text: make(returns, [...parameters, 'ULONG Extra']),
    });
    parameters.forEach((_, index) => {
      const rest = parameters.filter((__, other) => other !== index);
      mutations.push({
        kind: 'drop an argument',
        file,
        what: `${name}, argument ${index + 1}`,
        from,
        to,
        text: make(returns, rest),
      });
      const changed = parameters.map((item, other) =>
        other === index ? `${otherClass(kinds[index] ?? '')} Changed` : item,
      );
      mutations.push({
        kind: 'argument class',
        file,
        what: `${name}, argument ${index + 1}`,
        from,
        to,
        text: make(returns, changed),
      });
    });
  }
  for (const match of text.matchAll(/^typedef [\w ]+\*?NTAPI (\w+)\(/gm))
    mutations.push({ kind: 'calling convention', file, what: match[1] ?? '', from: match.index, to: match.index + match[0].length, text: match[0].replace('NTAPI ', '') }); // prettier-ignore
  return mutations;
}

/** @param {string} file @param {string} text @param {import('./headers.mjs').Declarations} ours @param {import('./facts.mjs').Facts} facts @returns {Mutation[]} */
function valueMutations(file, text, ours, facts) {
  /** @type {Mutation[]} */
  const mutations = [];
  for (const match of text.matchAll(/^#define (\w+)( +.*?)\b(0x[0-9A-Fa-f]+|\d+)\b(.*)$/gm)) {
    const [whole, name = '', before = '', number = '', after = ''] = match;
    if (!ours.macros.has(name) || !(name in facts.macros) || after.includes('\\')) continue;
    const changed = number.startsWith('0x')
      ? `0x${(BigInt(number) ^ 1n).toString(16)}`
      : String(Number(number) + 1);
    mutations.push({ kind: 'macro value', file, what: name, from: match.index, to: match.index + whole.length, text: `#define ${name}${before}${changed}${after}` }); // prettier-ignore
  }
  for (const block of text.matchAll(/\benum\b[^;{}]*\{([^}]*)\}/g)) {
    const start = block.index + block[0].indexOf('{') + 1;
    for (const match of (block[1] ?? '').matchAll(/\b([A-Za-z_]\w*)\b(?: = [^,}]+?)?(?=,|\s*$)/g)) {
      const name = match[1] ?? '';
      const value = ours.enums.get(name);
      if (value === undefined || !(name in facts.enums || name in facts.macros)) continue;
      const from = start + match.index;
      mutations.push({
        kind: 'enum value',
        file,
        what: name,
        from,
        to: from + match[0].length,
        text: `${name} = ${value + 1n}`,
      });
      mutations.push({ kind: 'misspelt enumerator', file, what: name, from, to: from + match[0].length, text: match[0].replace(name, `${name}_`) }); // prettier-ignore
    }
  }
  return mutations;
}

/** All mutations of the headers in a folder, by their kind. @param {string} include @returns {Promise<Map<string, Mutation[]>>} */
export async function mutations(include) {
  const facts = readFacts();
  const exceptions = readExceptions();
  const ours = await declarations('pe', include);
  const known = new Set(
    [...ours.records]
      .filter(([tag, { names }]) =>
        [tag.replace(/^_/, ''), ...names].some((name) => facts.records[name]),
      )
      .map(([tag]) => tag)
      .filter((tag) => !exceptions[tag.replace(/^_/, '')]),
  );
  const kinds = new Map();
  for (const name of readdirSync(include, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('.h')) continue;
    const text = readFileSync(path.join(include, name), 'utf8');
    for (const mutation of [
      ...recordMutations(name, text, known),
      ...functionMutations(name, text, ours, facts),
      ...valueMutations(name, text, ours, facts),
    ])
      kinds.set(mutation.kind, [...(kinds.get(mutation.kind) ?? []), mutation]);
  }
  return kinds;
}

/**
 * @param {number} count @param {number} seed @param {(line: string) => void} report
 * @returns {Promise<{ caught: number, missed: Mutation[], drawn: number }>}
 */
export async function mutationTest(count, seed, report) {
  // A copy of the headers: they may change under our hands.
  const copy = mkdtempSync(path.join(os.tmpdir(), 'nts-mutate-'));
  cpSync(path.join(folder, 'include'), copy, { recursive: true });
  const kinds = await mutations(copy);
  const random = generator(seed);
  const names = [...kinds.keys()].sort();
  /** @type {Mutation[]} */
  const missed = [];
  let caught = 0;
  let drawn = 0;
  const facts = readFacts();
  const exceptions = readExceptions();
  try {
    while (caught + missed.length < count) {
      // Every kind in turn, so that the many macros do not crowd out the rest.
      const list = kinds.get(names[drawn++ % names.length] ?? '') ?? [];
      const mutation = list[Math.floor(random() * list.length)];
      if (!mutation) continue;
      const file = path.join(copy, mutation.file);
      const original = readFileSync(file, 'utf8');
      writeFileSync(
        file,
        original.slice(0, mutation.from) + mutation.text + original.slice(mutation.to),
      );
      let differences;
      try {
        ({ differences } = await referee({ facts, exceptions, include: copy }));
      } catch (error) {
        report(
          `drawn again, does not compile: ${mutation.kind}: ${mutation.what} (${String(error).split('\n')[1]})`,
        );
        continue;
      } finally {
        writeFileSync(file, original);
      }
      if (differences.length) caught++;
      else missed.push(mutation);
      const number = caught + missed.length;
      report(`${differences.length ? 'caught' : 'MISSED'} ${number}: ${mutation.kind}: ${mutation.file}: ${mutation.what}${differences[0] ? ` -> ${differences[0]}` : ''}`); // prettier-ignore
    }
  } finally {
    rmSync(copy, { recursive: true });
  }
  return { caught, missed, drawn };
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: { count: { type: 'string' }, seed: { type: 'string' }, verbose: { type: 'boolean' } },
  });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const count = Number(values.count ?? 30);
  const started = Date.now();
  console.log(`seed ${seed}`);
  const { caught, missed } = await mutationTest(count, seed, (line) => {
    if (values.verbose || line.startsWith('MISSED')) console.log(line);
  });
  console.log(
    `${caught} of ${count} mutations caught, ${((Date.now() - started) / 1000).toFixed(1)} s`,
  );
  process.exitCode = missed.length ? 1 : 0;
}
