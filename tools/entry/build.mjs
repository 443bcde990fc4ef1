// The builds, each a step. CMake and ninja know themselves what is up to date; the TypeScript compiler and the addon are skipped
// by a stamp over their inputs, since even their idle runs take seconds.
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { nativeEnvironment, npm } from './npm.mjs';
import { root, step } from './say.mjs';
import { onPath } from './system.mjs';

const stamps = path.join(root, 'build/stamps');

const addonInputs = ['native/addon', 'kernel/include', 'tools/nthost/include', 'package-lock.json'];
const addonKinds = /\.(c|cc|cpp|h|hpp|txt|cmake|mjs|json)$/;

/** @type {Record<string, () => Promise<void>>} */
const steps = {
  typescript: () =>
    stamped(
      'typescript',
      ['userland', 'native', 'tools', 'test', 'tsconfig.json', 'package-lock.json'],
      /\.(ts|json)$/,
      () =>
        step(
          'TypeScript',
          process.execPath,
          ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'],
          { log: 'typescript' },
        ),
    ),
  addon: () =>
    stamped('addon', addonInputs, addonKinds, () =>
      step('native addon', process.execPath, ['native/addon/build.mjs'], {
        log: 'addon',
        env: nativeEnvironment(),
      }),
    ),
  'addon-win32': async () => {
    // Without the cross compiler the tests that want this addon skip themselves, with that reason.
    if (!onPath('x86_64-w64-mingw32-g++-posix')) return;
    await stamped('addon-win32', addonInputs, addonKinds, () =>
      step('native addon for Windows', process.execPath, ['native/addon/build.mjs', '--win32'], {
        log: 'addon-win32',
      }),
    );
  },
  // By npm, pinned by a lock file of its own, for another system than this one on purpose. Here and not in the tests, since those of
  // an ordinary user run in a namespace without a network.
  'node-win32': async () => {
    if (!onPath('wine')) return;
    const from = 'test/native/wine';
    await stamped('node-win32', [from], /\.json$/, async () => {
      const folder = path.join(root, 'build/node-win32');
      cpSync(path.join(root, from), folder, { recursive: true });
      const args = ['ci', '--no-progress', '--force', '--ignore-scripts', '--prefix', folder];
      await npm('node.exe, for Wine', args, { log: 'node-win32' });
    });
  },
  host: () => cmake('host'),
  'host-asan': () => cmake('host-asan'),
  pe: () => cmake('pe'),
  // The demo needs the driver host and the drivers, not the tests.
  demo: () => cmake('host', ['nthost', 'oneip', 'repl']),
};

/** @param {string[]} names */
export async function build(names) {
  for (const name of names) await steps[name]();
}

/** @param {string} preset @param {string[]} [targets] */
async function cmake(preset, targets = []) {
  const folder = path.join(root, 'build', preset);
  const settings = fingerprint(['CMakePresets.json', 'cmake/toolchains'], /./);
  const stamp = path.join(folder, '.ntswift-stamp');
  if (!existsSync(path.join(folder, 'build.ninja')) || read(stamp) !== settings) {
    await step(`configuring ${preset}`, 'cmake', ['--preset', preset]);
    writeFileSync(stamp, settings);
  }
  const jobs = ['-j', String(os.availableParallelism())];
  const wanted = targets.flatMap((target) => ['--target', target]);
  await step(`building ${preset}`, 'cmake', ['--build', folder, ...jobs, ...wanted], {
    log: `build-${preset}`,
  });
}

/** Runs `work` unless the inputs are those of its last success. @param {string} name @param {string[]} inputs @param {RegExp} kind @param {() => Promise<unknown>} work */
async function stamped(name, inputs, kind, work) {
  const stamp = path.join(stamps, name);
  const hash = fingerprint(inputs, kind);
  if (read(stamp) === hash) return;
  await work();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, hash);
}

/** @param {string} file */
function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** Names, sizes and times of all files of a kind. @param {string[]} inputs @param {RegExp} kind */
function fingerprint(inputs, kind) {
  const hash = createHash('sha256');
  const visit = (/** @type {string} */ name) => {
    const file = path.join(root, name);
    if (!existsSync(file)) return;
    const stat = statSync(file);
    if (stat.isDirectory()) {
      if (/(^|\/)(build|dist|node_modules)$/.test(name)) return;
      for (const entry of readdirSync(file).sort()) visit(path.join(name, entry));
    } else if (kind.test(name)) {
      hash.update(`${name}\0${stat.size}\0${stat.mtimeMs}\n`);
    }
  };
  for (const input of inputs) visit(input);
  return hash.digest('hex');
}
