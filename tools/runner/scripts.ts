// The tests that Node runs: compiled *.test.ts, and *.test.mjs as they are. Those in test/system run one at a time, since they
// measure; those with wine in their name too, since one Wine server serves them.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { logFile, root } from './paths.js';
import type { Program } from './tap.js';

function find(folder: string, suffix: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(suffix) && !name.includes('node_modules'))
    .map((name) => path.join(folder, name))
    .sort();
}

export interface Scripts {
  plain: Program[];
  wine: Program[];
  system: Program[];
}

export function scripts(filter: string): Scripts {
  // A compiled test whose source is gone must not run.
  const sources = new Set(find('test', '.test.ts'));
  const compiled = find('dist/test', '.test.js').filter((name) =>
    sources.has(name.replace(/^dist\//, '').replace(/\.js$/, '.ts')),
  );
  const all = [...compiled, ...find('test', '.test.mjs')]
    .map((file) => ({ file, suite: file.replace(/^dist\//, '').replace(/\.test\.(js|mjs)$/, '') }))
    .filter(({ suite }) => suite.includes(filter));
  const program = ({ file, suite }: { file: string; suite: string }): Program => ({
    suite,
    command: process.execPath,
    args: ['--enable-source-maps', '--test-reporter=tap', path.join(root, file)],
    cwd: root,
    log: logFile(suite),
    timeoutSeconds: 300,
    // tap's own limit is shorter than many of our files; runTap ends what takes too long.
    env: { TAP: '1', TAP_CHILD_ID: '0', TAP_TIMEOUT: '0' },
  });
  const isSystem = ({ suite }: { suite: string }) => suite.startsWith('test/system/');
  const isWine = ({ suite }: { suite: string }) => suite.includes('wine');
  return {
    plain: all.filter((one) => !isSystem(one) && !isWine(one)).map(program),
    wine: all.filter(isWine).map(program),
    system: all.filter(isSystem).map(program),
  };
}
