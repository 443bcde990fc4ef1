// Places in the project. This file is compiled to dist/tools/runner.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

export function logFile(name: string): string {
  return path.join(root, 'build/logs/tests', `${name.replace(/[^A-Za-z0-9._-]+/g, '_')}.log`);
}
