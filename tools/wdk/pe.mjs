// The import table of a PE image.
import { readFileSync } from 'node:fs';

/** @param {string} file @returns {Map<string, string[]>} module in lower case -> imported names (#ordinal where there is no name) */
export function readImports(file) {
  const image = readFileSync(file);
  const fail = (/** @type {string} */ why) => new Error(`${file}: ${why}`);
  if (image.length < 0x40 || image.readUInt16LE(0) !== 0x5a4d) throw fail('no MZ header');
  const pe = image.readUInt32LE(0x3c);
  if (pe + 0x108 > image.length || image.readUInt32LE(pe) !== 0x4550) throw fail('no PE header');
  if (image.readUInt16LE(pe + 4) !== 0x8664) throw fail('not for x64');
  const optional = pe + 24;
  if (image.readUInt16LE(optional) !== 0x20b) throw fail('not PE32+');
  const sections = optional + image.readUInt16LE(pe + 20);
  const count = image.readUInt16LE(pe + 6);

  /** @param {number} rva @returns {number} offset in the file */
  const at = (rva) => {
    for (let index = 0; index < count; index++) {
      const section = sections + index * 40;
      const start = image.readUInt32LE(section + 12);
      const size = image.readUInt32LE(section + 16);
      if (rva >= start && rva < start + size) return rva - start + image.readUInt32LE(section + 20);
    }
    throw fail(`address ${rva.toString(16)} is in no section`);
  };
  /** @param {number} rva */
  const text = (rva) => {
    const start = at(rva);
    return image.toString('latin1', start, image.indexOf(0, start));
  };

  const imports = new Map();
  const directory = image.readUInt32LE(optional + 112 + 8);
  if (!directory) return imports;
  for (let entry = at(directory); image.readUInt32LE(entry + 12); entry += 20) {
    const module = text(image.readUInt32LE(entry + 12)).toLowerCase();
    const lookup = image.readUInt32LE(entry) || image.readUInt32LE(entry + 16);
    const names = imports.get(module) ?? [];
    for (let thunk = at(lookup); ; thunk += 8) {
      const value = image.readBigUInt64LE(thunk);
      if (!value) break;
      names.push(value >> 63n ? `#${value & 0xffffn}` : text(Number(value) + 2));
    }
    imports.set(module, names);
  }
  return imports;
}
