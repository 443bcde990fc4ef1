/**
 * Builds the addon: node native/addon/build.mjs [--win32]
 *
 * cmake-js does it on Linux and on Windows. --win32 cross-compiles the win32-x64 addon with mingw on Linux,
 * which cmake-js cannot: the same CMakeLists.txt with a toolchain. Quiet unless something fails.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = path.dirname(fileURLToPath(import.meta.url));

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status === 0) return;
  process.stderr.write(`${[command, ...args].join(' ')}\n${stdout ?? ''}${stderr ?? ''}`);
  if (error) process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

function onPath(name) {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return folders.some((entry) => existsSync(path.join(entry, name)));
}

if (process.argv.includes('--win32')) {
  const build = path.join(folder, 'build', 'win32-x64');
  const generator = onPath('ninja') ? ['-G', 'Ninja'] : [];
  const toolchain = `-DCMAKE_TOOLCHAIN_FILE=${path.join(folder, 'mingw.cmake')}`;
  run('cmake', ['-S', folder, '-B', build, ...generator, toolchain, '-DCMAKE_BUILD_TYPE=Release']);
  run('cmake', ['--build', build]);
} else {
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
  // The compiler of everything else here; where it is missing, the system's own.
  const clang = ['--cc', 'clang-19', '--cxx', 'clang++-19'];
  const compiler = process.platform === 'linux' && onPath('clang++-19') ? clang : [];
  run(process.execPath, [cmakeJs, 'compile', '--directory', folder, ...compiler]);
}
