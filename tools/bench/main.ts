// `npm run bench -- oneip`
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { benchOneip } from './oneip.js';

const argv = yargs(hideBin(process.argv))
  .scriptName('npm run bench --')
  .usage('$0 oneip\n\nWhat a hop through the dispatcher costs.')
  .option('rounds', { type: 'number', default: 5 })
  .option('seconds', { type: 'number', default: 3, describe: 'of each load' })
  .option('rate', { type: 'number', default: 30_000, describe: 'datagrams a second' })
  .option('image', {
    choices: ['elf', 'pe'] as const,
    default: 'elf' as const,
    describe: 'which build of the drivers',
  })
  .demandCommand(1, 1)
  .strictOptions()
  .parseSync();

if (argv._[0] !== 'oneip') {
  console.error(`there is no bench called ${argv._[0] ?? ''}; there is oneip`);
  process.exit(2);
}
await benchOneip(argv);
