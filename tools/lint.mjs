#!/usr/bin/env node
// ESLint, Prettier, clang-format and clang-tidy over the whole tree: `npm run lint`; with --fix (`npm run format`) the first three
// write. With --tap the outcome is TAP, for the test command.
//
// The two clang tools are pinned to release 19, since every release formats a little differently.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const cache = path.join(root, 'build/lint');
const fix = process.argv.includes('--fix');
const tap = process.argv.includes('--tap');

/** @typedef {{ name: string, ok: boolean, skip?: string, output: string }} Outcome */

/** @param {string} command @param {string[]} args @returns {Promise<{ ok: boolean, output: string }>} */
function execute(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', (error) => resolve({ ok: false, output: error.message }));
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** @param {RegExp} kind @returns {string[]} */
function files(kind) {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  return listed.split('\0').filter((name) => kind.test(name) && existsSync(path.join(root, name)));
}

/** @param {string} tool */
function onPath(tool) {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(path.join(folder, tool)));
}

/** @param {string} name @param {string} script @param {string[]} args @returns {Promise<Outcome>} */
async function node(name, script, args) {
  return {
    name,
    ...(await execute(process.execPath, [path.join('node_modules', script), ...args])),
  };
}

function eslint() {
  const options = [
    '--max-warnings',
    '0',
    '--cache',
    '--cache-location',
    path.join(cache, 'eslint'),
  ];
  return node('eslint', 'eslint/bin/eslint.js', ['.', ...options, ...(fix ? ['--fix'] : [])]);
}

function prettier() {
  const names = files(/\.(js|mjs|cjs|ts|json|yml|yaml)$/);
  const options = [
    '--cache',
    '--cache-location',
    path.join(cache, 'prettier'),
    '--log-level',
    'warn',
  ];
  return node('prettier', 'prettier/bin/prettier.cjs', [
    fix ? '--write' : '--check',
    ...options,
    ...names,
  ]);
}

/** @returns {Promise<Outcome>} */
async function clangFormat() {
  const name = 'clang-format';
  if (!onPath('clang-format-19')) return { name, ok: true, skip: 'no clang-format-19', output: '' };
  const names = files(/\.(c|h|cc|cpp|hpp)$/);
  if (names.length === 0) return { name, ok: true, output: '' };
  const mode = fix ? ['-i'] : ['--dry-run', '-Werror'];
  return { name, ...(await execute('clang-format-19', [...mode, ...names])) };
}

/** @returns {Promise<Outcome>} */
async function clangTidy() {
  const name = 'clang-tidy';
  if (!onPath('clang-tidy-19')) return { name, ok: true, skip: 'no clang-tidy-19', output: '' };
  const database = path.join(root, 'build/host/compile_commands.json');
  if (!existsSync(database))
    return { name, ok: true, skip: 'build/host is not configured', output: '' };

  // One command a file: a driver source is in the database twice, as ELF and as PE.
  /** @type {Map<string, { file: string, command: string, directory: string }>} */
  const commands = new Map();
  for (const entry of JSON.parse(readFileSync(database, 'utf8'))) {
    if (!commands.has(entry.file) || !entry.command.includes('windows-msvc'))
      commands.set(entry.file, entry);
  }
  mkdirSync(cache, { recursive: true });
  writeFileSync(path.join(cache, 'compile_commands.json'), JSON.stringify([...commands.values()]));

  // A file is clean for good until it, any header or the settings change.
  const shared = createHash('sha256');
  for (const header of files(/(\.h|\.clang-tidy)$/))
    shared.update(header).update(readFileSync(path.join(root, header)));
  const base = shared.digest('hex');
  const cleanFile = path.join(cache, 'tidy.json');
  /** @type {Record<string, string>} */
  const clean = existsSync(cleanFile) ? JSON.parse(readFileSync(cleanFile, 'utf8')) : {};
  const work = files(/\.c$/)
    .map((file) => ({ file, entry: commands.get(path.join(root, file)) }))
    .filter(({ entry }) => entry !== undefined)
    .map(({ file, entry }) => {
      const hash = createHash('sha256')
        .update(base)
        .update(entry?.command ?? '');
      return { file, key: hash.update(readFileSync(path.join(root, file))).digest('hex') };
    })
    .filter(({ file, key }) => clean[file] !== key);

  let output = '';
  const worker = async () => {
    for (let item = work.shift(); item; item = work.shift()) {
      const result = await execute('clang-tidy-19', ['--quiet', '-p', cache, item.file]);
      if (result.ok) clean[item.file] = item.key;
      else output += result.output;
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
  writeFileSync(cleanFile, JSON.stringify(clean, null, 1));
  return { name, ok: output === '', output };
}

const outcomes = await Promise.all([eslint(), prettier(), clangFormat()]);
if (!fix) outcomes.push(await clangTidy());

if (tap) console.log(`TAP version 14\n1..${outcomes.length}`);
for (const [index, { name, ok, skip, output }] of outcomes.entries()) {
  if (tap) {
    console.log(`${ok ? 'ok' : 'not ok'} ${index + 1} - ${name}${skip ? ` # SKIP ${skip}` : ''}`);
    if (!ok) console.log(output.replace(/^/gm, '# '));
  } else {
    if (!ok) console.log(output.trimEnd());
    console.log(`${name}: ${skip ? `skipped, ${skip}` : ok ? 'ok' : 'failed'}`);
  }
}
process.exitCode = outcomes.every(({ ok }) => ok) ? 0 : 1;
