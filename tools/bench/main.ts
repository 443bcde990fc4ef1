// `npm run bench -- oneip|path|driver|repl|repl-backup`
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { armNames } from './arms.js';
import { benchDriver } from './driver.js';
import { loadNames } from './loads.js';
import { benchOneip } from './oneip.js';
import { benchPath } from './path.js';
import { benchBackup } from './repl/backup.js';
import { loadNames as replLoadNames } from './repl/loads.js';
import { benchRepl, partNames } from './repl/run.js';

/** "a,b" as one of the names each; all of them if nothing is said. */
function chosen<T extends string>(names: readonly T[]) {
  return (text: string | undefined): T[] => {
    if (text === undefined) return [...names];
    return text.split(',').map((name) => {
      const found = names.find((one) => one === name);
      if (!found) throw new Error(`there is no ${name}; there are ${names.join(', ')}`);
      return found;
    });
  };
}

function numbers(text: string): number[] {
  return text.split(',').map((word) => {
    const value = Number(word);
    if (!Number.isInteger(value) || value < 1) throw new Error(`${word} is no number from 1 on`);
    return value;
  });
}

const images = ['elf', 'pe'] as const;

const live = {
  rounds: { type: 'number', default: 7 },
  seconds: { type: 'number', default: 2, describe: 'of each load' },
  rate: { type: 'number', default: 30_000, describe: 'datagrams a second' },
  image: { choices: images, default: 'elf' as const, describe: 'which build of the drivers' },
} as const;

await yargs(hideBin(process.argv))
  .scriptName('npm run bench --')
  .command(
    'oneip',
    'what a hop through the dispatcher costs, beside other dispatchers and none',
    (y) =>
      y
        .options(live)
        .option('arms', { type: 'string', coerce: chosen(armNames), describe: armNames.join(',') })
        .option('loads', {
          type: 'string',
          coerce: chosen(loadNames),
          describe: loadNames.join(','),
        }),
    (argv) =>
      benchOneip({
        ...argv,
        arms: argv.arms ?? [...armNames],
        loads: argv.loads ?? [...loadNames],
      }),
  )
  .command(
    'path',
    'what oneip adds to the path of a frame through the driver host',
    (y) => y.options(live),
    (argv) => benchPath(argv),
  )
  .command(
    'driver',
    'instructions and time that the driver alone takes for a frame',
    (y) =>
      y
        .option('images', { type: 'string', coerce: chosen(images), describe: images.join(',') })
        .option('flows', { type: 'string', default: '1000,10000,100000,1000000', coerce: numbers })
        .option('members', { type: 'string', default: '1,2,4,8,16,32,64', coerce: numbers })
        .option('rounds', { type: 'number', default: 3, describe: 'of the timing' })
        .option('profile', { type: 'boolean', default: false, describe: 'by function' }),
    (argv) => benchDriver({ ...argv, images: argv.images ?? [...images] }),
  )
  .command(
    'repl',
    'what replication costs a program, how far the backup is behind, outages, and other programs',
    (y) =>
      y
        .option('parts', {
          type: 'string',
          coerce: chosen(partNames),
          describe: partNames.join(','),
        })
        .option('loads', {
          type: 'string',
          coerce: chosen(replLoadNames),
          describe: `of overhead: ${replLoadNames.join(',')}`,
        })
        .option('folder', { type: 'string', default: 'build', describe: 'on the disk to measure' })
        .option('rounds', { type: 'number', default: 3, describe: 'of overhead and paper' })
        .option('scale', { type: 'number', default: 1, describe: 'of the loads of overhead' })
        .option('seconds', { type: 'number', default: 30, describe: 'of each rate of lag' })
        .option('backlog', { type: 'number', default: 500, describe: 'megabytes while cut off' })
        .option('link', { type: 'number', default: 400, describe: 'megabits/s afterwards' })
        .option('tree', { type: 'number', default: 1000, describe: 'files of resync' })
        .option('tree-megabytes', { type: 'number', default: 200, describe: 'in these files' })
        .option('burst', { type: 'number', default: 5000, describe: 'files of peers' })
        .option('json', { type: 'boolean', default: false, describe: 'all numbers, in one line' }),
    (argv) =>
      benchRepl({
        ...argv,
        parts: argv.parts ?? [...partNames],
        loads: argv.loads ?? [...replLoadNames],
      }),
  )
  .command(
    'repl-backup',
    'records a second that the log and the replay of a backup take',
    (y) =>
      y
        .option('folder', { type: 'string', default: 'build', describe: 'on the disk to measure' })
        .option('rounds', { type: 'number', default: 3 })
        .option('megabytes', { type: 'number', default: 200, describe: 'of writes in a round' })
        .option('files', { type: 'number', default: 60_000, describe: 'created in a burst' }),
    (argv) => benchBackup(argv),
  )
  .demandCommand(1, 1)
  .strict()
  .fail((message: string | null, error: Error | undefined) => {
    // Without a message it comes from the bench itself, else from the command line.
    console.error(message ?? error);
    process.exit(message === null ? 1 : 2);
  })
  .parseAsync();
