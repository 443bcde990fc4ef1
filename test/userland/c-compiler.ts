/** A C compiler for the tests that hold our codecs against the headers themselves. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { packageRoot } from '../../userland/common/paths.js';

const candidates = [
  'clang-19',
  'clang',
  'clang-20',
  'clang-18',
  'clang-17',
  'clang-16',
  'clang-15',
];

/** Null where there is none. */
export const compiler: string | null =
  candidates.find((name) => spawnSync(name, ['--version']).status === 0) ?? null;

/** What an includer of a contract provides, and the contract. */
export function contractPrelude(header: string): string {
  return [
    'typedef unsigned char UINT8;',
    'typedef unsigned short UINT16;',
    'typedef unsigned int UINT32;',
    'typedef unsigned long long UINT64;',
    '#define CTL_CODE(t, f, m, a) (((t) << 16) | ((a) << 14) | ((f) << 2) | (m))',
    `#include "${path.join(packageRoot(), header)}"`,
  ].join('\n');
}
