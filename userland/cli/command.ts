/**
 * What a command is. The table in commands.ts is made of these; parsing, help, completion and the types of
 * the handlers' arguments follow from it (cli.ts).
 */
import type { Context } from './context.js';

interface Argument {
  readonly type: 'string' | 'number' | 'boolean';
  readonly describe: string;
  readonly choices?: readonly string[];
  /** A value is always there; else null says that none was given. */
  readonly required?: boolean;
  readonly default?: string | number;
  /** A positional that may be given more than once; it comes as a list, with one value at least. */
  readonly several?: true;
  /** What stands for the value in help. */
  readonly placeholder?: string;
}

export type Arguments = Readonly<Record<string, Argument>>;

type ValueOf<A extends Argument> = A extends { type: 'boolean' }
  ? boolean
  : A extends { type: 'number' }
    ? number
    : A extends { choices: readonly (infer C)[] }
      ? C
      : string;

/** What a handler receives: null, never undefined, for what was not given. */
export type Values<A extends Arguments> = {
  -readonly [K in keyof A]: A[K] extends { several: true }
    ? string[]
    : A[K] extends { required: true } | { type: 'boolean' }
      ? ValueOf<A[K]>
      : A[K] extends { default: string | number }
        ? ValueOf<A[K]>
        : ValueOf<A[K]> | null;
};

export type Handler<V> = (values: V, context: Context) => Promise<void>;

export interface Command {
  /** The words that call it: oneip, apply. */
  readonly words: readonly string[];
  readonly aliases: readonly string[];
  readonly summary: string;
  readonly positionals: Arguments;
  readonly options: Arguments;
  /** Command line (without "ntswift") and what it does. */
  readonly examples: readonly (readonly [string, string])[];
  readonly run: (values: Record<string, unknown>, context: Context) => Promise<void>;
}

export interface CommandOptions<P extends Arguments, O extends Arguments> {
  readonly summary: string;
  readonly aliases?: readonly string[];
  readonly positionals?: P;
  readonly options?: O;
  readonly examples: readonly (readonly [string, string])[];
  /** Loaded when the command is called, so that no command pays for the others. */
  readonly handler: () => Promise<Handler<Values<P> & Values<O>>>;
}

// eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type -- for Values to map over
type None = Readonly<Record<never, Argument>>;

export function command<const P extends Arguments = None, const O extends Arguments = None>(
  words: string,
  options: CommandOptions<P, O>,
): Command {
  return {
    words: words.split(' '),
    aliases: options.aliases ?? [],
    summary: options.summary,
    positionals: options.positionals ?? {},
    options: options.options ?? {},
    examples: options.examples,
    async run(values, context) {
      const handler = await options.handler();
      await handler(values as Values<P> & Values<O>, context);
    },
  };
}
