// Declarations against facts. Every difference is one line of text.

/** @typedef {import('./facts.mjs').Facts} Facts */
/** @typedef {import('./facts.mjs').Exceptions} Exceptions */
/** @typedef {import('./headers.mjs').Declarations} Declarations */

/** Modules of the import libraries by the name of their image. */
export const modules = {
  'ntoskrnl.exe': 'ntoskrnl',
  'ndis.sys': 'ndis',
  'fltmgr.sys': 'fltmgr',
  'netio.sys': 'netio',
  'wdfldr.sys': 'wdfldr',
};

const intrinsic = /^(?:Interlocked|BitScan)/;

/** A function's fact; what the compiler makes of InterlockedXxx is a fact as _InterlockedXxx. @param {Facts} facts @param {string} name */
export function functionFact(facts, name) {
  return facts.functions[name] ?? (intrinsic.test(name) ? facts.functions[`_${name}`] : undefined);
}

/** The names under which a record may stand in the facts. @param {string} tag @param {string[]} names */
const recordNames = (tag, names) => [...new Set([tag.replace(/^_/, ''), ...names])];

/** A constant is a macro or an enumerator; which of the two does not matter to a driver. @param {Facts} facts @param {string} name */
const constantFact = (facts, name) => facts.macros[name] ?? facts.enums[name];

/**
 * @param {Declarations} ours
 * @param {string} target
 * @param {Facts} facts
 * @param {Exceptions} exceptions
 */
export function compare(ours, target, facts, exceptions) {
  /** @type {string[]} */
  const differences = [];
  const differ = (/** @type {string} */ text) => differences.push(`${target}: ${text}`);
  const counts = {
    functions: 0,
    slots: 0,
    records: 0,
    fields: 0,
    enumerators: 0,
    macros: 0,
    variables: 0,
  };
  /** @type {Set<string>} */
  const used = new Set();
  /** @type {Set<string>} facts that a declaration was compared with */
  const seen = new Set();
  const exported = new Set(Object.values(facts.exports).flat());
  const without = (/** @type {string} */ name, /** @type {string} */ kind) => {
    if (exceptions[name]) used.add(name);
    else differ(`${kind} ${name} has no fact`);
  };

  for (const [name, { signature, inline }] of ours.functions) {
    const fact = functionFact(facts, name);
    if (fact) {
      counts.functions++;
      seen.add(`functions ${facts.functions[name] ? name : `_${name}`}`);
      if (fact.join() !== signature.join())
        differ(`function ${name} is (${signature.join()}), fact (${fact.join()})`);
    } else without(name, 'function');
    if (!inline && !exported.has(name)) {
      if (exceptions[name]) used.add(name);
      else differ(`function ${name} is an import, but no module exports it`);
    }
  }

  const slots = new Map(Object.keys(facts.functions).map((name) => [name.toUpperCase(), name]));
  for (const [name, signature] of ours.slots) {
    const fact = facts.functions[slots.get(name) ?? ''];
    if (!fact) {
      without(`PFN_${name}`, 'slot');
      continue;
    }
    counts.slots++;
    const [returns, ...parameters] = fact;
    const expected = [returns, 'p', ...parameters];
    if (expected.join() !== signature.join())
      differ(`PFN_${name} is (${signature.join()}), fact (${expected.join()})`);
  }

  for (const [tag, record] of ours.records) {
    const known = recordNames(tag, record.names).filter((name) => facts.records[name]);
    if (!known.length) {
      without(tag.replace(/^_/, ''), 'record');
      continue;
    }
    counts.records++;
    for (const name of known) {
      seen.add(`records ${name}`);
      const fact = facts.records[name];
      if (!fact) continue;
      if (record.bytes !== fact.bytes)
        differ(`record ${name} has ${record.bytes} bytes, fact ${fact.bytes}`);
      if (record.align !== fact.align)
        differ(`record ${name} is aligned to ${record.align}, fact ${fact.align}`);
      for (const [field, [bit, bits]] of record.fields) {
        const expected = fact.fields[field];
        if (!expected) differ(`record ${name} has no ${field}`);
        else {
          counts.fields++;
          if (bit !== expected[0]) differ(`${name}.${field} is at bit ${bit}, fact ${expected[0]}`);
          // A fact of an array without a length has no positive size.
          if (bits !== Math.max(expected[1], 0))
            differ(`${name}.${field} has ${bits} bits, fact ${expected[1]}`);
        }
      }
      for (const field of Object.keys(fact.fields))
        if (!record.fields.has(field))
          differ(`record ${name} lacks ${field || 'a field without a name'}`);
    }
  }

  for (const [name, value] of ours.enums) {
    const fact = constantFact(facts, name);
    if (fact === undefined) without(name, 'enumerator');
    else {
      counts.enumerators++;
      seen.add(`${name in facts.macros ? 'macros' : 'enums'} ${name}`);
      if (BigInt.asUintN(64, value) !== BigInt.asUintN(64, fact))
        differ(`enumerator ${name} is ${value}, fact ${fact}`);
    }
  }

  for (const [name, value] of ours.macros) {
    const fact = constantFact(facts, name);
    if (fact === undefined) without(name, 'macro');
    else {
      counts.macros++;
      seen.add(`${name in facts.macros ? 'macros' : 'enums'} ${name}`);
      if (value !== BigInt.asUintN(64, fact))
        differ(`macro ${name} is ${hex(value)}, fact ${hex(BigInt.asUintN(64, fact))}`);
    }
  }

  for (const name of ours.variables) {
    if (exported.has(name)) counts.variables++;
    else without(name, 'variable');
  }
  for (const name of ours.wrongConvention) differ(`${name} is not NTAPI`);
  return { differences, counts, used, seen };
}

/** @param {bigint} value */
const hex = (value) => `0x${value.toString(16).toUpperCase()}`;

/**
 * An image's imports: all by name, of a module that exports them, and documented or with an exception that names the source.
 * @param {Map<string, string[]>} imports @param {string} file @param {Facts} facts @param {Exceptions} exceptions
 */
export function compareImports(imports, file, facts, exceptions) {
  const differences = [];
  const used = new Set();
  let count = 0;
  for (const [image, names] of imports) {
    const module = modules[/** @type {keyof typeof modules} */ (image)];
    if (!module) {
      differences.push(`${file}: imports from ${image}, of which there are no facts`);
      continue;
    }
    const exported = new Set(facts.exports[module]);
    for (const name of names) {
      count++;
      if (!exported.has(name)) differences.push(`${file}: ${image} does not export ${name}`);
      else if (!functionFact(facts, name) && !facts.data?.includes(name)) {
        if (exceptions[name]?.source) used.add(name);
        else
          differences.push(
            `${file}: ${image}!${name} is undocumented, and no exception names its source`,
          );
      }
    }
  }
  return { differences, used, count };
}

/**
 * What the driver host exports, from its sources: names that the module on Windows exports, too, and that our headers declare, so that
 * the compiler has compared the host's definition with a declaration that is compared with facts.
 * @param {{ file: string, module: string, name: string, own: boolean }[]} hostExports @param {Declarations} ours @param {Facts} facts
 * @param {Exceptions} exceptions
 */
export function compareHostExports(hostExports, ours, facts, exceptions) {
  const differences = [];
  for (const { file, module, name, own } of hostExports) {
    const known = modules[/** @type {keyof typeof modules} */ (module)];
    if (!known) continue; // of hal.dll and the like there are no facts
    if (!facts.exports[known]?.includes(name) && !exceptions[name]?.source)
      differences.push(`${file}: ${module} does not export ${name} on Windows`);
    // A symbol of another name has another convention or type on purpose (memcpy).
    else if (own && !ours.functions.has(name) && !ours.variables.has(name))
      differences.push(`${file}: ${name} is exported, but our headers do not declare it`);
  }
  return { differences, count: hostExports.length };
}
