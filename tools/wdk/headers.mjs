// What our kernel headers declare, as the compiler sees it on one target.
//
// Three runs of clang over one translation unit that includes every header:
//   1. the macros that are defined (-dM),
//   2. the declarations (-ast-dump=json) together with all record layouts (-fdump-record-layouts-complete),
//   3. a probe, generated from 1 and 2: one table of constants (macro values, enumerators, sizes) read back from the assembly.
// Offsets of fields and bit-fields come from the layouts, which clang prints for anonymous members as for all others.
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { folder } from './facts.mjs';

/** @typedef {'pe' | 'elf'} Target */
/**
 * @typedef {{ bytes: number, align: number, fields: Map<string, [number, number]>, names: string[] }} Layout
 * @typedef {{
 *   functions: Map<string, { signature: string[], inline: boolean }>,
 *   slots: Map<string, string[]>,
 *   records: Map<string, Layout>,
 *   enums: Map<string, bigint>,
 *   macros: Map<string, bigint>,
 *   variables: Set<string>,
 *   wrongConvention: string[],
 * }} Declarations
 */

const triples = { pe: 'x86_64-pc-windows-msvc', elf: 'x86_64-linux-gnu' };
const dialect = [
  '-std=gnu17',
  '-fms-extensions',
  '-fshort-wchar',
  '-ffreestanding',
  '-nostdlibinc',
  '-DDBG=1',
  '-Wno-everything',
];

/** Headers that cannot be included on their own or change what others mean. */
const apart = new Set(['initguid.h']);

/** @param {string} include */
function translationUnit(include) {
  const headers = readdirSync(include).filter((name) => name.endsWith('.h') && !apart.has(name));
  // ntddk.h before wdm.h would do as well; ndis.h first is what a filter driver includes.
  const order = ['ndis.h', ...headers.filter((name) => name !== 'ndis.h').sort()];
  return order.map((name) => `#include <${name}>\n`).join('');
}

/** @param {Target} target @param {string} include @param {string[]} args @param {string} input @returns {Promise<{ ok: boolean, out: string, err: string }>} */
function clang(target, include, args, input) {
  return new Promise((resolve) => {
    const child = execFile(
      process.env.NTS_CLANG ?? 'clang-19',
      [`--target=${triples[target]}`, ...dialect, '-I', include, ...args, '-x', 'c', '-'],
      { maxBuffer: 1 << 30, encoding: 'utf8' },
      (error, out, err) => resolve({ ok: !error, out, err }),
    );
    child.stdin?.end(input);
  });
}

/** Macros without parameters, except those that clang itself predefines. @param {string} text @param {Set<string>} predefined */
function objectMacros(text, predefined) {
  const names = [];
  for (const line of text.split('\n')) {
    const match = /^#define (\w+)(?: (.*))?$/.exec(line);
    if (match && match[2] && !predefined.has(match[1])) names.push(match[1]);
  }
  return names;
}

/**
 * Records with their fields as in the facts: an anonymous member's fields stand under the record itself, those of a member whose
 * type has no name of its own under member.field.
 * @param {string} text @returns {Map<string, { bytes: number, align: number, fields: { path: string, bit: number, bits?: number }[] }>}
 */
export function parseLayouts(text) {
  const records = new Map();
  for (const block of text.split('*** Dumping AST Record Layout\n').slice(1)) {
    const lines = block.split('\n');
    const head = /^\s*0 \| (?:struct|union) (\S+)$/.exec(lines[0] ?? '');
    const size = /\[sizeof=(\d+), align=(\d+)/.exec(block);
    if (!head || !size || head[1].includes('::') || /^__(NSConstant|va_list)/.test(head[1]))
      continue;
    /** @type {{ path: string, bit: number, bits?: number }[]} */
    const fields = [];
    /** @type {({ prefix: string } | null)[]} the open members by depth; null: of a type with a name, whose fields are its own */
    const open = [{ prefix: '' }];
    for (const line of lines.slice(1)) {
      const match = /^\s*(\d+)(?::(\d+)-(\d+))? \|( +)(.*)$/.exec(line);
      if (!match) continue;
      const depth = (match[4].length - 1) / 2;
      const outer = open[depth - 1];
      const entry = match[5];
      open.length = depth;
      if (!outer) {
        open[depth] = null;
        continue;
      }
      if (/\((?:anonymous|unnamed) at [^)]*\) $/.test(entry)) {
        open[depth] = { prefix: outer.prefix };
        continue;
      }
      const name = /(\w+)$/.exec(entry)?.[1];
      if (!name) continue; // an unnamed bit-field
      const untagged = /^(?:struct|union) [^[]*\((?:anonymous|unnamed) at [^)]*\) \w+$/.test(entry);
      open[depth] = untagged ? { prefix: `${outer.prefix}${name}.` } : null;
      const bit = Number(match[1]) * 8 + Number(match[2] ?? 0);
      fields.push({
        path: outer.prefix + name,
        bit,
        ...(match[2] !== undefined && { bits: Number(match[3]) - Number(match[2]) + 1 }),
        ...(/\[\] \w+$/.test(entry) && { bits: 0 }), // an array without a length
      });
    }
    records.set(head[1], { bytes: Number(size[1]), align: Number(size[2]), fields });
  }
  return records;
}

/** The probe's constants out of the assembly; a relocated one (an address) is null. @param {string} assembly @returns {(bigint | null)[]} */
function readConstants(assembly) {
  const values = [];
  for (const match of assembly.matchAll(/^nts_probe_(\d+):[^\n]*\n\s*\.quad\s+(\S+)/gm))
    values[Number(match[1])] = /^-?\d+$/.test(match[2] ?? '')
      ? BigInt.asUintN(64, BigInt(match[2] ?? ''))
      : null;
  return values;
}

const integers = {
  char: 1,
  'signed char': 1,
  'unsigned char': 1,
  _Bool: 1,
  bool: 1,
  short: 2,
  'unsigned short': 2,
  wchar_t: 2,
  int: 4,
  'unsigned int': 4,
  'long long': 8,
  'unsigned long long': 8,
};

/** The macros of clang itself, which are the same whatever we include. @type {Map<Target, Promise<Set<string>>>} */
const predefinedMacros = new Map();

/** Macros that are not values, by their text: names tried once need not be tried again. @type {Map<string, boolean>} */
const valueOf = new Map();

/** @param {Target} target @param {string} [include] @returns {Promise<Declarations>} */
export async function declarations(target, include = path.join(folder, 'include')) {
  const unit = translationUnit(include);
  if (!predefinedMacros.has(target))
    predefinedMacros.set(
      target,
      clang(target, include, ['-E', '-dM'], '').then(
        ({ out }) => new Set([...out.matchAll(/^#define (\w+)/gm)].map((match) => match[1] ?? '')),
      ),
    );
  const [macros, ast, layouts] = await Promise.all([
    clang(target, include, ['-E', '-dM'], unit),
    clang(target, include, ['-fsyntax-only', '-Xclang', '-ast-dump=json'], unit),
    clang(target, include, ['-fsyntax-only', '-Xclang', '-fdump-record-layouts-complete'], unit),
  ]);
  for (const run of [macros, ast, layouts])
    if (!run.ok) throw new Error(`the headers do not compile for ${target}:\n${run.err}`);

  const records = parseLayouts(layouts.out);
  /** @type {Map<string, string>} */
  const typedefs = new Map();
  /** @type {Map<string, string[]>} a record's other names */
  const aliases = new Map();
  /** @type {Declarations} */
  const result = {
    functions: new Map(),
    slots: new Map(),
    records: new Map(),
    enums: new Map(),
    macros: new Map(),
    variables: new Set(),
    wrongConvention: [],
  };

  /** @param {string} type @returns {string} */
  const desugar = (type) => {
    let plain = type.replace(/\b(?:const|volatile|restrict|NTAPI)\b/g, ' ').trim();
    for (let depth = 0; depth < 20 && typedefs.has(plain); depth++)
      plain = (typedefs.get(plain) ?? '').replace(/\b(?:const|volatile|NTAPI)\b/g, ' ').trim();
    return plain.replace(/\s+/g, ' ');
  };
  /** @param {string} type */
  const classify = (type) => {
    const plain = desugar(type);
    if (plain === 'void') return 'v';
    if (/[*\])]/.test(plain)) return 'p';
    if (plain.startsWith('enum ')) return 'i4';
    if (plain === 'float' || plain === 'double') return plain === 'float' ? 'f4' : 'f8';
    if (plain === 'long' || plain === 'unsigned long') return target === 'pe' ? 'i4' : 'i8';
    if (plain in integers) return `i${integers[/** @type {keyof typeof integers} */ (plain)]}`;
    const record = /^(?:struct|union) (\w+)$/.exec(plain);
    if (record && records.has(record[1])) return `r${records.get(record[1])?.bytes}`;
    return `?${plain}`;
  };

  const enumerators = [];
  const tree = JSON.parse(ast.out);
  for (const node of tree.inner) {
    if (
      node.isImplicit ||
      !node.loc ||
      (!node.loc.includedFrom && !node.loc.spellingLoc && !node.loc.expansionLoc)
    )
      continue;
    if (node.kind === 'TypedefDecl')
      typedefs.set(node.name, node.type.desugaredQualType ?? node.type.qualType);
  }
  for (const node of tree.inner) {
    if (node.isImplicit) continue;
    if (node.kind === 'EnumDecl') {
      for (const item of node.inner ?? [])
        if (item.kind === 'EnumConstantDecl') enumerators.push(item.name);
    } else if (node.kind === 'FunctionDecl') {
      const inline = Boolean(node.inline);
      const type = /** @type {string} */ (node.type.qualType);
      const parameters = (node.inner ?? []).filter(
        (/** @type {{ kind: string }} */ item) => item.kind === 'ParmVarDecl',
      );
      const returns = type.slice(0, type.indexOf('(')).trim();
      const signature = [
        classify(returns.endsWith('*') ? 'void *' : returns),
        ...parameters.map((/** @type {{ type: { qualType: string } }} */ item) =>
          classify(item.type.qualType),
        ),
        ...(node.variadic ? ['...'] : []),
      ];
      result.functions.set(node.name, { signature, inline });
      if (target === 'elf' && !inline && !/^mem/.test(node.name) && !type.includes('ms_abi'))
        result.wrongConvention.push(node.name);
    } else if (node.kind === 'VarDecl') {
      result.variables.add(node.name);
    } else if (node.kind === 'TypedefDecl') {
      const record = /^(?:struct|union) (\w+)$/.exec(desugar(node.name));
      if (record && records.has(record[1]))
        aliases.set(record[1], [...(aliases.get(record[1]) ?? []), node.name]);
      const slot = /^PFN_WDF(?!_|DEVICE_WDM)(\w+)$/.exec(node.name);
      const pointee = /** @type {string} */ (node.type.qualType);
      const prototype = findPrototype(node);
      if (slot && prototype) {
        const [returns, ...parameters] = prototype.types;
        result.slots.set(`WDF${slot[1]}`, [classify(returns), ...parameters.map(classify)]);
      }
      // Function roles and pointers to callbacks; a pointer to a role has the role's convention.
      if (target === 'elf' && prototype?.own && !prototype.ms)
        result.wrongConvention.push(`${node.name}: ${pointee}`);
    }
  }

  // Probe: all values in one table. What is no constant expression fails to compile and leaves the probe.
  const predefined = (await predefinedMacros.get(target)) ?? new Set();
  const bodies = new Map(
    [...macros.out.matchAll(/^#define (\w+)(?: (.*))?$/gm)].map((match) => [
      match[1],
      match[2] ?? '',
    ]),
  );
  let candidates = objectMacros(macros.out, predefined).filter(
    (name) => valueOf.get(`${target} ${name} ${bodies.get(name)}`) !== false,
  );
  const fieldSizes = [];
  for (const [name, record] of records) {
    const type = recordType(name, layouts.out, aliases);
    for (const field of record.fields)
      if (field.bits === undefined)
        fieldSizes.push({ field, expression: `sizeof(((${type} *)0)->${field.path})` });
  }
  for (;;) {
    const expressions = [
      ...candidates.map((name) => `(unsigned long long)(${name})`),
      ...enumerators.map((name) => `(unsigned long long)(long long)(${name})`),
      ...fieldSizes.map(({ expression }) => expression),
    ];
    const base = unit.split('\n').length;
    const probe = expressions
      .map((expression, index) => `const unsigned long long nts_probe_${index} = ${expression};\n`)
      .join('');
    const run = await clang(
      target,
      include,
      ['-O0', '-S', '-o', '-', '-ferror-limit=0'],
      unit + probe,
    );
    if (run.ok) {
      const values = readConstants(run.out);
      const missing = expressions.findIndex((_, index) => values[index] === undefined);
      if (missing >= 0) throw new Error(`the probe of ${target} lost ${expressions[missing]}`);
      candidates.forEach((name, index) => {
        const value = values[index];
        if (value !== null && value !== undefined) result.macros.set(name, value);
      });
      enumerators.forEach((name, index) => {
        result.enums.set(name, BigInt.asIntN(64, values[candidates.length + index] ?? 0n));
      });
      fieldSizes.forEach(({ field }, index) => {
        field.bits = Number(values[candidates.length + enumerators.length + index]) * 8;
      });
      break;
    }
    const bad = new Set(
      [...run.err.matchAll(/<stdin>:(\d+):\d+: error/g)].map((match) => Number(match[1]) - base),
    );
    const rest = candidates.filter((name, index) => {
      if (!bad.has(index)) return true;
      valueOf.set(`${target} ${name} ${bodies.get(name)}`, false);
      return false;
    });
    if (rest.length === candidates.length)
      throw new Error(`the probe of ${target} does not compile:\n${run.err.slice(0, 4000)}`);
    candidates = rest;
  }

  for (const [name, record] of records) {
    result.records.set(name, {
      bytes: record.bytes,
      align: record.align,
      fields: new Map(record.fields.map((field) => [field.path, [field.bit, field.bits ?? 0]])),
      names: aliases.get(name) ?? [],
    });
  }
  return result;
}

/** How to write a record's type: a tag where it has one. @param {string} name @param {string} layouts @param {Map<string, string[]>} aliases */
function recordType(name, layouts, aliases) {
  const alias = aliases.get(name)?.[0];
  if (alias) return alias;
  return `${new RegExp(`\\| (struct|union) ${name}\\n`).exec(layouts)?.[1] ?? 'struct'} ${name}`;
}

/** The function type that a typedef itself spells, if any. @param {any} node @returns {{ types: string[], ms: boolean, own: boolean } | null} */
function findPrototype(node) {
  let ms = false;
  for (let type = node.inner?.[0]; type; type = type.inner?.[0]) {
    if (type.kind === 'FunctionProtoType') {
      const types = (type.inner ?? []).map((/** @type {any} */ item) => item.type?.qualType ?? '');
      return {
        types,
        ms: ms || type.cc === 'ms_abi' || /ms_abi/.test(type.type?.qualType ?? ''),
        own: true,
      };
    }
    if (type.kind === 'TypedefType' || type.kind === 'ElaboratedType' || type.kind === 'RecordType')
      return null;
    if (/ms_abi/.test(type.type?.qualType ?? '') || type.kind === 'AttributedType') ms = true;
  }
  return null;
}
