// node_modules, by `npm ci`, whenever the lock file or the Node release changed.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root, step } from './say.mjs';

const stamp = path.join(root, 'node_modules/.ntswift-stamp');

function wanted() {
  return createHash('sha256')
    .update(process.versions.modules)
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex');
}

/** Settings for packages with native parts: compiled here, against the headers that came with this Node where there are any. */
export function nativeEnvironment() {
  const env = { npm_config_build_from_source: 'true' };
  const prefix = path.resolve(path.dirname(process.execPath), '..');
  if (!process.env.npm_config_nodedir && existsSync(path.join(prefix, 'include/node/node.h'))) {
    return { ...env, npm_config_nodedir: prefix };
  }
  return env;
}

/** Runs npm as a step, the npm that runs us where it does. @param {string} what @param {string[]} args @param {{ log: string, env?: Record<string, string> }} options */
export function npm(what, args, options) {
  const script = process.env.npm_execpath;
  return script?.endsWith('.js')
    ? step(what, process.execPath, [script, ...args], options)
    : step(what, 'npm', args, options);
}

export async function npmPackages() {
  const hash = wanted();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  await npm('npm ci (about a minute: SQLite is compiled)', ['ci', '--no-progress'], {
    env: nativeEnvironment(),
    log: 'npm-ci',
  });
  writeFileSync(stamp, hash);
}
