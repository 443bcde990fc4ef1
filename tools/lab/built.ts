// Where the CMake build of the host preset has put its programs.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { LabError } from './process.js';

/** This file is compiled to dist/tools/lab. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

/** NTS_BUILD names another build folder, such as one with sanitizers. */
export const buildFolder = process.env.NTS_BUILD ?? path.join(root, 'build/host');

export function builtFile(name: string): string {
  const file = path.join(buildFolder, name);
  if (!existsSync(file))
    throw new LabError(`${file} is missing: cmake --preset host && cmake --build --preset host`);
  return file;
}
