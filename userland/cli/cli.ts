/** From the command table to yargs, and from an error to an exit status. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Argv, Options, PositionalOptions } from 'yargs';
import { ExitCode, NtsError, ntsError } from '../common/errors.js';
import { packageRoot } from '../common/paths.js';
import type { Arguments, Command } from './command.js';
import { commands, groups } from './commands.js';
import { Context, toJson } from './context.js';
import { styleFor } from './style.js';

// The CommonJS build of yargs: the other one breaks the lines of its help within words.
const yargs = createRequire(import.meta.url)('yargs') as typeof import('yargs').default;

const MAX_WIDTH = 100;

const globals = {
  host: {
    type: 'string',
    describe: 'Socket of the driver host; default: NTSWIFT_HOST or /run/ntswift/host.sock',
    requiresArg: true,
  },
  json: { type: 'boolean', describe: 'Print JSON on stdout, and errors as JSON on stderr' },
  yes: { alias: 'y', type: 'boolean', describe: 'Do not ask for confirmation' },
  color: { type: 'boolean', describe: 'Colour; default: on a terminal' },
} as const satisfies Record<string, Options>;

const exitStatuses = [
  'Exit status: 0 done, 1 fault of ntswift, 2 wrong command line, 3 refused,',
  '4 host or driver out of reach, 5 not allowed for this user, 6 wrong file, 7 not confirmed,',
  '8 not in time, 130 interrupted.',
].join('\n');

export async function run(words: readonly string[]): Promise<ExitCode> {
  let json = words.includes('--json');
  try {
    const parser = build((command, values) => {
      json = values.json === true;
      return command.run(valuesFor(command, values), contextOf(values));
    });
    await parser.parseAsync(words);
    return ExitCode.ok;
  } catch (error) {
    return report(error, json);
  }
}

function build(run: Run): Argv {
  const { version } = JSON.parse(
    readFileSync(path.join(packageRoot(), 'package.json'), 'utf8'),
  ) as { version: string };
  const parser = yargs()
    .scriptName('ntswift')
    .usage('ntswift COMMAND')
    .options(globals)
    .strict()
    .recommendCommands()
    .version(version)
    .alias('help', 'h')
    .wrap(Math.min(MAX_WIDTH, process.stdout.columns || MAX_WIDTH))
    .completion(
      'completion',
      'Write a completion script for bash or zsh: source <(ntswift completion)',
    )
    .epilogue(exitStatuses)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      // What yargs throws itself, such as for an option without its value, is about the command line.
      if (error && error.name !== 'YError') throw error;
      const said = message ?? error?.message ?? 'wrong command line';
      const what = said.startsWith('Not enough non-option')
        ? 'an argument is missing (see --help)'
        : said;
      throw ntsError('NTS_ERR_USAGE', { what });
    });
  addAll(parser, [], run);
  return parser.demandCommand(1, 'Say what to do: ntswift COMMAND (see --help)');
}

type Run = (command: Command, values: Record<string, unknown>) => Promise<void>;

/** The groups and commands whose words are `prefix` and one more. */
function addAll(parser: Argv, prefix: readonly string[], run: Run): void {
  const isNext = (words: readonly string[]): boolean =>
    words.length === prefix.length + 1 && prefix.every((word, i) => words[i] === word);
  const next = Object.entries(groups).map(([name, summary]) => ({
    words: name.split(' '),
    summary,
  }));
  for (const { words, summary } of next.filter((group) => isNext(group.words))) {
    const name = words.join(' ');
    parser.command(words.at(-1)!, summary, (group) => {
      addAll(group, words, run);
      // A group may be a command too.
      const own = commands.find((command) => command.words.join(' ') === name);
      if (own) return add(group, own, '$0', run);
      return group.demandCommand(1, `Say what to do: ntswift ${name} COMMAND (see --help)`);
    });
  }
  for (const command of commands.filter(({ words }) => isNext(words))) {
    if (!(command.words.join(' ') in groups)) add(parser, command, command.words.at(-1)!, run);
  }
}

function add(parser: Argv, command: Command, name: string, run: Run): Argv {
  const positionals = Object.entries(command.positionals).map(([key, { required, several }]) => {
    const shown = several ? `${key}..` : key;
    return required ? `<${shown}>` : `[${shown}]`;
  });
  return parser.command(
    [[name, ...positionals].join(' '), ...command.aliases],
    command.summary,
    (builder) => {
      for (const [key, argument] of Object.entries(command.positionals)) {
        builder.positional(key, yargsOptions(argument) as PositionalOptions);
      }
      for (const [key, argument] of Object.entries(command.options)) {
        builder.option(key, yargsOptions(argument)).group(key, 'Options:');
      }
      return builder
        .group([...Object.keys(globals), 'help'], 'Everywhere:')
        .hide('version')
        .example(command.examples.map(([line, what]) => [`ntswift ${line}`, what]));
    },
    (values) => run(command, values),
  );
}

function yargsOptions(argument: Arguments[string]): Options {
  const { type, describe, choices, required, placeholder } = argument;
  return {
    type,
    describe: placeholder ? `${describe} (${placeholder})` : describe,
    ...(choices ? { choices } : {}),
    ...(required ? { demandOption: true } : {}),
    ...('default' in argument ? { default: argument.default } : {}),
    ...(type === 'boolean' ? {} : { requiresArg: true }),
  };
}

/** Exactly what the table declares; null for what was not given. */
function valuesFor(command: Command, given: Record<string, unknown>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const all = Object.entries({ ...command.positionals, ...command.options });
  for (const [key, { type, several }] of all) {
    const value = given[key];
    if (Array.isArray(value) && !several)
      throw ntsError('NTS_ERR_USAGE', { what: `${key} is given twice` });
    if (type === 'number' && typeof value === 'number' && !Number.isSafeInteger(value)) {
      throw ntsError('NTS_ERR_USAGE', { what: `${key} takes a whole number` });
    }
    // An option that is given once is no list yet.
    const list = several && value !== undefined && !Array.isArray(value);
    values[key] = list ? [value] : (value ?? (type === 'boolean' ? false : null));
  }
  return values;
}

function contextOf(values: Record<string, unknown>): Context {
  return new Context({
    endpoint: typeof values.host === 'string' ? path.resolve(values.host) : null,
    json: values.json === true,
    yes: values.yes === true,
    colour: typeof values.color === 'boolean' ? values.color : null,
  });
}

/** Messages go to stderr; a fault of ours shows where it happened. */
function report(thrown: unknown, json: boolean): ExitCode {
  const error =
    thrown instanceof NtsError
      ? thrown
      : ntsError('NTS_ERR_INTERNAL', { what: String(thrown) }, { cause: thrown });
  if (json) {
    process.stderr.write(`${toJson({ error })}\n`);
  } else {
    const style = styleFor(process.stderr, null);
    // Lines that begin with file:line: stay so, for those who click on them.
    const several = error.message.includes('\n');
    process.stderr.write(`${style.red('ntswift:')}${several ? '\n' : ' '}${error.message}\n`);
    if (error.kind === 'internal') {
      const cause = error.cause instanceof Error ? error.cause : error;
      process.stderr.write(`${style.dim(cause.stack ?? '')}\n`);
    }
  }
  return error.exitCode;
}
