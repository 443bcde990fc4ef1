#!/usr/bin/env node
// Drivers call nothing that raises an exception, except in one file each: node tools/wdk/raising.mjs [FOLDER...]
//
// Structured exceptions cannot be had in a driver that is built by clang for Linux as well, and whoever touches user memory must be
// easy to find. So the functions of abi/raising.json, and the I/O methods that hand a driver raw user addresses, may appear in a
// driver's user.c only. FOLDER defaults to every folder of kernel/; kernel/include belongs to no driver and has no user.c.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { folder } from './facts.mjs';

/** The one file of a driver in which user memory may be touched. */
const allowed = 'user.c';

/** @type {Record<string, string>} */
const raising = JSON.parse(readFileSync(path.join(folder, 'abi/raising.json'), 'utf8'));

/** Comments and literals become blanks of the same length, so that lines stay where they are. @param {string} source */
export function strip(source) {
  return source.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g,
    (text) => text.replace(/[^\n]/g, ' '),
  );
}

/** @param {string} source @returns {{ line: number, name: string, page: string }[]} */
export function findRaising(source) {
  const found = [];
  strip(source)
    .split('\n')
    .forEach((text, index) => {
      for (const match of text.matchAll(/\b[A-Za-z_]\w*\b/g)) {
        const page = Object.hasOwn(raising, match[0]) ? raising[match[0]] : undefined;
        if (page) found.push({ line: index + 1, name: match[0], page });
      }
    });
  return found;
}

/** @param {string[]} folders @returns {{ files: number, violations: string[] }} */
export function checkDrivers(folders) {
  const violations = [];
  let files = 0;
  for (const driver of folders)
    for (const name of readdirSync(driver, { recursive: true, encoding: 'utf8' }).sort()) {
      if (!/\.[ch]$/.test(name)) continue;
      files++;
      if (name === allowed && path.basename(driver) !== 'include') continue;
      const file = path.join(driver, name);
      for (const { line, name: what, page } of findRaising(readFileSync(file, 'utf8')))
        violations.push(
          `${file}:${line}: ${what} raises or takes raw user addresses (${page}); only ${allowed} may`,
        );
    }
  return { files, violations };
}

if (process.argv[1] === import.meta.filename) {
  const kernel = path.join(folder, '../../kernel');
  const folders = process.argv.slice(2);
  if (!folders.length && existsSync(kernel))
    for (const entry of readdirSync(kernel, { withFileTypes: true }))
      if (entry.isDirectory()) folders.push(path.relative('.', path.join(kernel, entry.name)));
  const { files, violations } = checkDrivers(folders);
  for (const violation of violations) console.log(violation);
  console.log(`${files} files of ${folders.length} folders, ${violations.length} violations`);
  process.exitCode = violations.length ? 1 : 0;
}
