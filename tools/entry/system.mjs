// What machine this is, and whether it lets us build the lab.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Failure } from './say.mjs';

export const isRoot = process.getuid?.() === 0;

export function checkSystem() {
  if (process.platform !== 'linux') {
    throw new Failure(
      'This command runs on Linux (Debian 12 or Ubuntu 22.04 and later). On Windows, see docs/windows.md.',
    );
  }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 9)) {
    throw new Failure(`Node.js 20.9 or later is needed; this is ${process.versions.node}.`);
  }
  if (process.arch !== 'x64') {
    throw new Failure(`The drivers are x64 drivers, and this machine is ${process.arch}.`);
  }
}

/** @param {string} tool */
export function onPath(tool) {
  const folders = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`.split(':');
  return folders.some((folder) => folder !== '' && existsSync(path.join(folder, tool)));
}

export function describeSystem() {
  let name = 'Linux';
  if (existsSync('/etc/os-release')) {
    name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? name;
  }
  const user = isRoot ? 'root' : `user ${os.userInfo().username}`;
  const cores = os.availableParallelism();
  return `${name}, kernel ${os.release()}, Node ${process.versions.node}, ${cores} cores, ${user}`;
}

/** How an ordinary user becomes root of namespaces of his own; all ends with the process. */
export const namespaceCommand = [
  'unshare',
  '--user',
  '--map-root-user',
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--mount-proc',
  '--kill-child',
  // Loopback is down in a new network namespace.
  'sh',
  '-c',
  'ip link set lo up && exec "$0" "$@"',
];

/** The lab needs TAP interfaces and network namespaces. Says in one line what keeps an ordinary user from them. */
export function checkLabRights() {
  if (!existsSync('/dev/net/tun')) {
    if (isRoot) {
      spawnSync('modprobe', ['tun'], { stdio: 'ignore' });
      spawnSync('sh', [
        '-c',
        'test -e /dev/net/tun || { mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200; }',
      ]);
    }
    if (!existsSync('/dev/net/tun')) {
      throw new Failure(
        '/dev/net/tun is missing: run "sudo modprobe tun", then this command again.',
      );
    }
  }
  if (isRoot) return;
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    throw new Failure(
      '/dev/net/tun is not writable for you: run this command as root, or "sudo chmod 666 /dev/net/tun" first.',
    );
  }
  const [command, ...args] = namespaceCommand;
  const tried = spawnSync(command, [...args, 'true'], { encoding: 'utf8' });
  if (tried.status !== 0) {
    throw new Failure(
      'User namespaces are not allowed here: run this command as root, or first ' +
        '"sudo sysctl -w kernel.unprivileged_userns_clone=1" (Debian) or ' +
        '"sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" (Ubuntu).',
    );
  }
}
