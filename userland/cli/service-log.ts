/** The log of the service: lines of JSON, to a file or a pipe; words for people on a terminal. */
import { Writable } from 'node:stream';
import { type DestinationStream, destination, pino } from 'pino';
import { messageOf, ntsError } from '../common/errors.js';
import type { Level, Log } from '../node/log.js';
import { type Style, styleFor } from './style.js';

export interface OpenLog {
  readonly log: Log;
  /** The file was moved away: begin it anew. */
  readonly reopen: () => void;
  /** Everything is written. */
  readonly close: () => void;
}

/** Only its owner may read the file: it tells who talks with whom. */
export function openLog(file: string | null, level: Level): OpenLog {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (file === null && process.stderr.isTTY) {
    const stream = prettyStream(styleFor(process.stderr, null));
    return { log: pino(options, stream), reopen: () => undefined, close: () => undefined };
  }
  try {
    // Synchronous: what led to a crash is in the log.
    const stream = destination({ dest: file ?? 2, sync: true, mode: 0o600 });
    const reopen = (): void => {
      if (file !== null) stream.reopen();
    };
    return { log: pino(options, stream), reopen, close: () => stream.flushSync() };
  } catch (error) {
    throw ntsError('NTS_ERR_FILE_WRITE', { file: file ?? 'stderr', why: messageOf(error) });
  }
}

function prettyStream(style: Style): DestinationStream {
  return new Writable({
    decodeStrings: false,
    write(line: string, _, done) {
      process.stderr.write(`${pretty(line, style)}\n`);
      done();
    },
  });
}

interface Line {
  readonly level: string;
  readonly time: string;
  readonly msg?: string;
  readonly service?: string;
  readonly err?: { readonly message: string; readonly stack: string };
}

/** TIME LEVEL service: message key=value ... */
export function pretty(line: string, style: Style): string {
  const { level, time, msg, service, err, ...facts } = JSON.parse(line) as Line;
  const values = Object.entries(facts).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const parts = [
    style.dim(time.slice(11, 23)),
    coloured(level, style),
    service === undefined ? '' : `${service}:`,
    msg ?? err?.message ?? '',
    values.length === 0 ? '' : style.dim(values.join(' ')),
  ];
  return parts.filter(Boolean).join(' ') + (err ? `\n${style.dim(err.stack)}` : '');
}

function coloured(level: string, style: Style): string {
  const text = level.padEnd(5);
  switch (level) {
    case 'error':
      return style.red(text);
    case 'warn':
      return style.yellow(text);
    case 'info':
      return style.green(text);
    default:
      return style.dim(text);
  }
}
