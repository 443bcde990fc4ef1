/** Where things are on this machine. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

let root: string | null = null;

/** The folder of ntswift's package.json, whether this runs from dist/ or from its sources. */
export function packageRoot(): string {
  if (root) return root;
  let folder = path.dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const file = path.join(folder, 'package.json');
    if (existsSync(file)) {
      const { name } = JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown };
      if (name === 'ntswift') return (root = folder);
    }
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('ntswift is not installed: its package.json is missing');
    folder = parent;
  }
}

/** What must survive a restart. Readable by its owner only. */
export function stateDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.NTSWIFT_STATE) return path.resolve(env.NTSWIFT_STATE);
  if (process.platform === 'win32') {
    return path.join(env.ProgramData ?? 'C:\\ProgramData', 'ntswift');
  }
  return '/var/lib/ntswift';
}

/** The socket of the driver host; Windows has devices of its own, hence null. */
export function hostSocket(env: NodeJS.ProcessEnv = process.env): string | null {
  if (env.NTSWIFT_HOST) return path.resolve(env.NTSWIFT_HOST);
  return process.platform === 'win32' ? null : '/run/ntswift/host.sock';
}

/** The places where the addon can be, the best first. */
export function addonCandidates(env: NodeJS.ProcessEnv = process.env): string[] {
  if (env.NTSWIFT_ADDON) return [path.resolve(env.NTSWIFT_ADDON)];
  const build = path.join(packageRoot(), 'native', 'addon', 'build');
  const here = path.join(build, 'Release', 'ntswift.node');
  // Cross-compiled for Windows beside a build for this system.
  if (process.platform === 'win32') return [path.join(build, 'win32-x64', 'ntswift.node'), here];
  return [here];
}

/** Where the build puts the drivers. */
export function driverImages(): string {
  return path.join(packageRoot(), 'build', 'host', 'drivers');
}
