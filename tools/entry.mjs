#!/usr/bin/env node
// The commands of the README: `npm run demo`, `npm test`, `npm run bench`, `npm run soak`.
//
// This file and tools/entry/ use Node's own modules only, because they run before anything is installed. They make the machine
// ready (Debian packages, npm packages, builds), each step only when its inputs changed, and then hand over to the compiled
// program of the command in dist/tools.
import { build } from './entry/build.mjs';
import { commands } from './entry/commands.mjs';
import { npmPackages } from './entry/npm.mjs';
import { debianPackages } from './entry/packages.mjs';
import { run } from './entry/run.mjs';
import { Failure, closeSteps, title } from './entry/say.mjs';
import { checkLabRights, checkSystem, describeSystem } from './entry/system.mjs';

async function main() {
  const [name, ...args] = process.argv.slice(2);
  const command = commands[name];
  if (!command) {
    const names = Object.keys(commands).join('|');
    throw new Failure(`usage: node tools/entry.mjs ${names} [argument...]`);
  }
  checkSystem();
  title(`ntswift ${name}: ${describeSystem()}`);
  if (command.lab) checkLabRights();
  await debianPackages(command.needs);
  await npmPackages();
  await build(command.builds);
  closeSteps();
  return run(command, args);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
