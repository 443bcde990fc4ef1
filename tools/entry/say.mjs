// What the user reads while things are prepared: one line when a step starts, one when it ends, a heartbeat in between,
// and the tail of a command's output only if it fails. Plain lines, so that terminals and CI logs show the same.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const logs = path.join(root, 'build/logs');
const heartbeatSeconds = 20;
const tailLines = 60;

/** An error whose message is all that the user needs to see. */
export class Failure extends Error {}

const started = Date.now();
let stepped = false;

/** @param {string} text */
export function title(text) {
  console.log(text);
}

/** @param {string} text */
export function note(text) {
  console.log(`    ${text}`);
}

/** @param {number} since */
function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(since > Date.now() - 10_000 ? 1 : 0)} s`;
}

export function closeSteps() {
  if (stepped) console.log(`==> ready after ${seconds(started)}`);
}

/**
 * Runs a command as one step. Its output goes to build/logs.
 * @param {string} what
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string, log?: string, mayFail?: boolean }} [options]
 * @returns {Promise<boolean>} whether it succeeded
 */
export async function step(what, command, args, options = {}) {
  stepped = true;
  const since = Date.now();
  mkdirSync(logs, { recursive: true });
  const log = path.join(logs, `${options.log ?? what.replace(/[^a-z0-9]+/gi, '-')}.log`);
  console.log(`==> ${what}`);
  const output = createWriteStream(log);
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  const heartbeat = setInterval(() => note(`... ${seconds(since)}`), heartbeatSeconds * 1000);
  const status = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(signal ?? code));
  });
  clearInterval(heartbeat);
  await new Promise((resolve) => output.end(resolve));
  if (status === 0) {
    if (Date.now() - since > 2000) note(`done in ${seconds(since)}`);
    return true;
  }
  if (options.mayFail) return false;
  const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-tailLines).join('\n');
  throw new Failure(
    `${tail}\n${what} failed (${status}): ${command} ${args.join(' ')}\n` +
      `The whole output is in ${path.relative(root, log)}`,
  );
}
