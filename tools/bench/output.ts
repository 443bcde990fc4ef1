// build/bench: plots, and a file with all raw numbers and the machine that they are of.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from '../lab/built.js';

const folder = path.join(root, 'build/bench');

/** Writes one file there; returns its path from the root of the tree. */
export function write(name: string, content: string): string {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return path.relative(root, file);
}

function commit(): string | null {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    const changed = git('status', '--porcelain', '--untracked-files=no').trim() !== '';
    return `${git('rev-parse', '--short', 'HEAD').trim()}${changed ? ' with changes' : ''}`;
  } catch {
    return null;
  }
}

export interface Conditions {
  date: string;
  commit: string | null;
  kernel: string;
  node: string;
  cpu: string;
  cores: number;
  /** Which share of all cores was busy before it began; null where that does not matter. */
  busyBefore: number | null;
}

export function conditions(busyBefore: number | null): Conditions {
  return {
    date: new Date().toISOString(),
    commit: commit(),
    kernel: os.release(),
    node: process.version,
    cpu: os.cpus()[0]?.model ?? '',
    cores: os.availableParallelism(),
    busyBefore,
  };
}

export function writeJson(name: string, content: object): string {
  return write(name, `${JSON.stringify(content, null, 1)}\n`);
}

/** Columns padded; the first to the left, the others to the right. */
export function printTable(head: string[], rows: string[][]): void {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [head, ...rows])
    console.log(
      `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')}`,
    );
}
