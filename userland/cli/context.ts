/** What every command gets: where to find the host, and how to talk to who called. */
import { createInterface } from 'node:readline/promises';
import { ntsError } from '../common/errors.js';
import { type Style, styleFor } from './style.js';

export interface ContextOptions {
  readonly endpoint: string | null;
  readonly json: boolean;
  readonly yes: boolean;
  readonly colour: boolean | null;
}

export class Context {
  /** Socket of the driver host; null: the default. */
  readonly endpoint: string | null;
  readonly json: boolean;
  private readonly yes: boolean;
  /** For what goes to stdout. */
  readonly style: Style;

  constructor(options: ContextOptions) {
    this.endpoint = options.endpoint;
    this.json = options.json;
    this.yes = options.yes;
    this.style = styleFor(process.stdout, options.colour);
  }

  /** The result of a command, on stdout: as JSON where that is wanted, else as text for people. */
  result(value: unknown, text: () => string): void {
    const output = this.json ? toJson(value, 2) : text();
    process.stdout.write(output.endsWith('\n') || output === '' ? output : `${output}\n`);
  }

  /** One of many results: JSON takes one line. */
  item(value: unknown, text: () => string): void {
    process.stdout.write(`${this.json ? toJson(value) : text()}\n`);
  }

  /** One of many results, as JSON in any case: for what only a terminal shows as text. */
  object(value: unknown): void {
    process.stdout.write(`${toJson(value)}\n`);
  }

  /** Messages go to stderr. */
  note(message: string): void {
    process.stderr.write(`${message}\n`);
  }

  warn(message: string): void {
    const style = styleFor(process.stderr, null);
    process.stderr.write(`${style.yellow('warning:')} ${message}\n`);
  }

  /** Before harm. */
  async confirm(what: string): Promise<void> {
    if (this.yes) return;
    if (!process.stdin.isTTY || !process.stderr.isTTY)
      throw ntsError('NTS_ERR_UNCONFIRMED', { what });
    const questions = createInterface({ input: process.stdin, output: process.stderr });
    try {
      const answer = await questions.question(`${what}? [y/N] `);
      if (!/^y(es)?$/i.test(answer.trim())) throw ntsError('NTS_ERR_UNCONFIRMED', { what });
    } finally {
      questions.close();
    }
  }
}

/** 64-bit numbers as numbers where those are exact, else as text. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_, entry: unknown) => {
      if (typeof entry !== 'bigint') return entry;
      return entry <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(entry) : String(entry);
    },
    indent,
  );
}
