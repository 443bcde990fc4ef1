/**
 * npm run codegen [-- --check]
 *
 * Writes the TypeScript codecs of the drivers' contracts; --check only says whether they are fresh and
 * exits with 1 if not.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as prettier from 'prettier';
import { packageRoot } from '../../userland/common/paths.js';
import { type Contract, parseContract } from './contract.js';
import { ContractError } from './lexer.js';
import { type TypeScriptOptions, writeTypeScript } from './typescript.js';

export interface Target extends TypeScriptOptions {
  readonly output: string;
}

export const targets: readonly Target[] = [
  {
    header: 'kernel/include/ntswift/oneip.h',
    output: 'userland/oneip/codec.ts',
    title: "The ONE-IP driver's contract: everything that crosses its device boundary.",
    prefix: 'OneIp',
    runtime: '../common/struct.js',
  },
  {
    header: 'kernel/include/ntswift/repl.h',
    output: 'userland/repl/codec.ts',
    title: "The REPL driver's contract: what crosses its device boundary, and its records.",
    prefix: 'Repl',
    runtime: '../common/struct.js',
  },
];

export async function readContract({ header }: Target): Promise<Contract> {
  return parseContract(await readFile(path.join(packageRoot(), header), 'utf8'), header);
}

/** The text that the output should have. */
export async function generate(target: Target): Promise<string> {
  const output = path.join(packageRoot(), target.output);
  const style = await prettier.resolveConfig(output, { editorconfig: true });
  const text = writeTypeScript(await readContract(target), target);
  return prettier.format(text, { ...style, filepath: output });
}

async function main(check: boolean): Promise<number> {
  let stale = 0;
  for (const target of targets) {
    const output = path.join(packageRoot(), target.output);
    const text = await generate(target);
    const present = await readFile(output, 'utf8').catch(() => '');
    if (present === text) continue;
    if (check) {
      console.error(`${target.output} is older than ${target.header}: run npm run codegen`);
      stale = 1;
    } else {
      await writeFile(output, text);
      console.error(`${target.output} written`);
    }
  }
  return stale;
}

if (process.argv[1] === import.meta.filename) {
  try {
    process.exitCode = await main(process.argv.includes('--check'));
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
