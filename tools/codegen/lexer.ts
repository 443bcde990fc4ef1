/**
 * Tokens of a contract header. A contract is a small dialect of C (see contract.ts); what the dialect
 * does not know is an error with its line, never skipped.
 */

export type TokenKind = 'name' | 'number' | 'string' | 'punctuation' | 'directive' | 'comment';

export interface Token {
  readonly kind: TokenKind;
  /** As written; of a comment its text without the marks, of a directive the whole logical line. */
  readonly text: string;
  readonly line: number;
  /** The line on which it ends. */
  readonly endLine: number;
  /** True where nothing but blanks precedes it on its line. */
  readonly first: boolean;
}

export class ContractError extends Error {
  constructor(
    readonly file: string,
    readonly line: number,
    message: string,
  ) {
    super(`${file}:${line}: ${message}`);
    this.name = 'ContractError';
  }
}

const BLANK = /[ \t\r\f]+/y;
const COMMENT = /\/\*([\s\S]*?)\*\//y;
const LINE_COMMENT = /\/\/([^\n]*)/y;
const NAME = /[A-Za-z_]\w*/y;
const NUMBER = /0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*/y;
const STRING = /L?"((?:[^"\\\n]|\\.)*)"/y;
const PUNCTUATION = /<<|>>|==|[-+*|&()[\]{},;=]/y;

const PLAIN: readonly (readonly [TokenKind, RegExp])[] = [
  ['string', STRING],
  ['name', NAME],
  ['number', NUMBER],
  ['punctuation', PUNCTUATION],
];

/** Joins the lines of a comment and drops the leading stars. */
function commentText(raw: string): string {
  return raw
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trimEnd())
    .join('\n')
    .trim();
}

export function tokenize(source: string, file: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;

  const isFirst = (): boolean =>
    source.slice(source.lastIndexOf('\n', at - 1) + 1, at).trim() === '';
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  const push = (kind: TokenKind, text: string, raw: string): void => {
    const endLine = line + raw.split('\n').length - 1;
    tokens.push({ kind, text, line, endLine, first: isFirst() });
    line = endLine;
    at += raw.length;
  };

  while (at < source.length) {
    if (source[at] === '\n') {
      at++;
      line++;
      continue;
    }
    const blank = match(BLANK);
    const comment = match(COMMENT) ?? match(LINE_COMMENT);
    if (blank) {
      at += blank[0].length;
    } else if (comment) {
      push('comment', commentText(comment[1] ?? ''), comment[0]);
    } else if (source[at] === '#' && isFirst()) {
      // A directive ends with its logical line or where a comment begins, which stays a token.
      let end = at;
      while (end < source.length && source[end] !== '\n') {
        if (source.startsWith('/*', end) || source.startsWith('//', end)) break;
        end += source.startsWith('\\\n', end) ? 2 : 1;
      }
      const raw = source.slice(at, end);
      push('directive', raw.replace(/\\\n/g, ' ').trim(), raw);
    } else {
      const kind = PLAIN.find(([, pattern]) => match(pattern));
      if (!kind) {
        throw new ContractError(file, line, `unexpected character ${JSON.stringify(source[at])}`);
      }
      const text = match(kind[1])?.[0] ?? '';
      push(kind[0], text, text);
    }
  }
  return tokens;
}
