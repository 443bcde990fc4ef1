/** A line that says how far long work is: on a terminal, else nothing. It is rewritten in place, on stderr. */
const CLEAR_LINE = '\r\u001b[K';

/** Often enough for people. */
const MILLISECONDS = 100;

export class Progress {
  private readonly shown = process.stderr.isTTY && process.env.TERM !== 'dumb';
  private last = -Infinity;
  private dirty = false;

  update(text: () => string): void {
    if (!this.shown || performance.now() - this.last < MILLISECONDS) return;
    this.last = performance.now();
    this.dirty = true;
    process.stderr.write(CLEAR_LINE + text().slice(0, (process.stderr.columns || 80) - 1));
  }

  /** The line goes away, for what is written next. */
  end(): void {
    if (this.dirty) process.stderr.write(CLEAR_LINE);
    this.dirty = false;
  }
}

/** [######----------] */
export function bar(part: number, width = 24): string {
  const full = Math.round(Math.min(Math.max(part, 0), 1) * width);
  return `[${'#'.repeat(full)}${'-'.repeat(width - full)}]`;
}
