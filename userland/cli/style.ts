/** Colour, on terminals only; NO_COLOR and --no-color turn it off. */
import type { WriteStream } from 'node:tty';

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
}

const plain = (text: string): string => text;
const none: Style = { bold: plain, dim: plain, red: plain, green: plain, yellow: plain };

function ansi(on: number, off: number): (text: string) => string {
  return (text) => `\u001b[${on}m${text}\u001b[${off}m`;
}

const coloured: Style = {
  bold: ansi(1, 22),
  dim: ansi(2, 22),
  red: ansi(31, 39),
  green: ansi(32, 39),
  yellow: ansi(33, 39),
};

export function styleFor(stream: WriteStream, wanted: boolean | null): Style {
  const { NO_COLOR, TERM } = process.env;
  const possible = stream.isTTY && TERM !== 'dumb' && !NO_COLOR;
  return (wanted ?? possible) ? coloured : none;
}

/** Columns, as wide as their widest cell; numbers are aligned to the right. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  style: Style,
): string {
  const widths = headings.map((heading, i) =>
    Math.max(visible(heading), ...rows.map((row) => visible(row[i] ?? ''))),
  );
  const right = headings.map(
    (_, i) => rows.length > 0 && rows.every((row) => /^[\d.,]*$|^-$/.test(strip(row[i] ?? ''))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const space = ' '.repeat(widths[i]! - visible(cell));
        return right[i] ? space + cell : cell + space;
      })
      .join('  ')
      .trimEnd();
  return [style.dim(line(headings)), ...rows.map(line)].join('\n');
}

/** Facts, one a line. */
export function facts(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

function strip(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\u001b\[\d+m/g, '');
}

function visible(text: string): number {
  return strip(text).length;
}
