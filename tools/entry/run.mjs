// Hands over to the compiled program, as root or as root of namespaces of the user's own.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { root } from './say.mjs';
import { isRoot, namespaceCommand } from './system.mjs';

/** @param {import('./commands.mjs').Command} command @param {string[]} args @returns {Promise<number>} exit code */
export function run(command, args) {
  const program = [
    process.execPath,
    '--enable-source-maps',
    path.join(root, command.main),
    ...args,
  ];
  const inside = command.lab && !isRoot;
  const [file, ...rest] = inside ? [...namespaceCommand, ...program] : program;
  // With --keep the program outlives us: it has a session of its own, we pass on what it prints, and it says when we may go.
  const keep = args.includes('--keep');
  const child = spawn(file, rest, {
    cwd: root,
    detached: keep,
    stdio: keep ? ['ignore', 'pipe', 'pipe', 'ipc'] : 'inherit',
    env: {
      ...process.env,
      NTS_USER: String(process.getuid?.()),
      ...(inside ? { NTS_UNPRIVILEGED: '1' } : {}),
    },
  });
  child.stdout?.pipe(process.stdout);
  child.stderr?.pipe(process.stderr);
  // Ctrl-C reaches a child in our session by itself; we stay to report how it ended. A polite end that it ignores becomes a
  // firm one. Around a namespace there is a process that lets signals pass by, hence the whole group.
  const send = (/** @type {NodeJS.Signals} */ signal) => {
    if (keep && child.pid) process.kill(-child.pid, signal);
    else child.kill(signal);
  };
  process.on('SIGINT', () => keep && send('SIGINT'));
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => {
      send(signal);
      setTimeout(() => send('SIGKILL'), 5000).unref();
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
    child.on('message', () => process.exit(0));
  });
}
