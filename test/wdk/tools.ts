/** What the tests of tools/wdk share: running its scripts, and building a small PE driver as the build does. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../userland/common/paths.js';

export const wdk = path.join(packageRoot(), 'tools/wdk');
export const include = path.join(wdk, 'include');

export interface Run {
  status: number | null;
  output: string;
}

export function run(command: string, args: string[], input?: string): Run {
  const result = spawnSync(command, args, {
    cwd: packageRoot(),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...(input !== undefined && { input }),
  });
  return { status: result.status, output: result.stdout + result.stderr };
}

export function script(name: string, ...args: string[]): Run {
  return run(process.execPath, [path.join(wdk, name), ...args]);
}

const clang = process.env.NTS_CLANG ?? 'clang-19';
const linker = process.env.NTS_LLD_LINK ?? 'lld-link-19';

export const dialect = ['-std=gnu17', '-fms-extensions', '-fshort-wchar', '-DDBG=1', '-I', include];
export const targets = {
  pe: ['--target=x86_64-pc-windows-msvc', '-ffreestanding', '-nostdlibinc', ...dialect],
  elf: ['--target=x86_64-linux-gnu', '-D_GNU_SOURCE', ...dialect],
};

function diagnose(target: keyof typeof targets, source: string, flags: string[]): string {
  const warnings = ['-Wall', '-Wextra', '-Werror'];
  return run(clang, [...targets[target], ...warnings, ...flags, '-x', 'c', '-'], source).output;
}

/** Diagnostics of a source, empty if it compiles without any. */
export function compile(target: keyof typeof targets, source: string, ...flags: string[]): string {
  return diagnose(target, source, [...flags, '-fsyntax-only']);
}

/** The same with code generation, which checks that the target has the instructions. */
export function generate(target: keyof typeof targets, source: string): string {
  return diagnose(target, source, ['-S', '-o', '/dev/null']);
}

export interface DriverOptions {
  libraries: string[];
  entry?: string;
  /** Sources of the project that are linked in. */
  extra?: string[];
}

/** A PE driver out of one source; the libraries are .lib files. */
export function buildDriver(
  folder: string,
  name: string,
  source: string,
  options: DriverOptions,
): string {
  const sources = [path.join(folder, `${name}.c`), ...(options.extra ?? [])];
  writeFileSync(sources[0]!, source);
  const objects = sources.map((file, index) => {
    const object = path.join(folder, `${name}${index}.obj`);
    must(clang, [
      ...targets.pe,
      '-O1',
      '-mno-red-zone',
      '-fno-stack-protector',
      '-c',
      file,
      '-o',
      object,
    ]);
    return object;
  });
  const image = path.join(folder, `${name}.sys`);
  must(linker, [
    '/nologo',
    '/driver',
    '/subsystem:native',
    '/machine:x64',
    '/nodefaultlib',
    `/entry:${options.entry ?? 'DriverEntry'}`,
    `/out:${image}`,
    ...objects,
    ...options.libraries,
  ]);
  return image;
}

/** An import library of names that no Windows module needs to have. */
export function inventedLibrary(folder: string, image: string, names: string[]): string {
  const definition = path.join(folder, `${image}.def`);
  const library = path.join(folder, `${image}.lib`);
  writeFileSync(definition, `LIBRARY ${image}\nEXPORTS\n${names.join('\n')}\n`);
  must(linker, ['/lib', '/nologo', '/machine:x64', `/def:${definition}`, `/out:${library}`]);
  return library;
}

function must(command: string, args: string[]): void {
  const result = run(command, args);
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}\n${result.output}`);
}
