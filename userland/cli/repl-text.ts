/** REPL for people. */
import { ntsError } from '../common/errors.js';
import { describeStatus } from '../common/ntstatus.js';
import type { BackupStatus } from '../repl/backup.js';
import type { VerifyReport } from '../repl/verify-run.js';
import type { BackupView, Lag, NodeReplView } from '../repl/view.js';
import { type Style, facts, table } from './style.js';

const units = ['', 'K', 'M', 'G', 'T'] as const;

/** 20M, 1.5G, 4096. */
export function parseSize(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)i?B?$/i.exec(text) ?? [];
  if (number === undefined) {
    throw ntsError('NTS_ERR_USAGE', { what: `${text} is no size: 4096, 20M, 1.5G` });
  }
  const power = units.findIndex((one) => one === unit.toUpperCase());
  return Math.round(Number(number) * 1024 ** power);
}

export function bytesText(bytes: number): string {
  let power = 0;
  while (power < units.length - 1 && bytes >= 1024 ** (power + 1)) power += 1;
  const value = bytes / 1024 ** power;
  return power === 0 ? `${bytes} B` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[power]}iB`;
}

export function lagText(lag: Lag | null): string {
  if (!lag) return '-';
  if (lag.records === 0) return 'none';
  const parts = [`${lag.records} records`];
  if (lag.bytes !== null) parts.push(bytesText(lag.bytes));
  if (lag.milliseconds !== null) parts.push(`${lag.milliseconds} ms`);
  return parts.join(', ');
}

export function replText(view: NodeReplView, style: Style): string {
  const parts = [headText(view, style)];
  if (view.sets.length > 0) {
    const rows = view.sets.map(({ name, folder, mode, rules }) => [
      style.bold(name),
      folder,
      mode,
      rules.length > 0 ? String(rules.length) : '-',
    ]);
    parts.push(table(['SET', 'FOLDER', 'MODE', 'RULES'], rows, style));
  }
  if (view.backups.length > 0) parts.push(backupsText(view.backups, style));
  if (view.synchronising) {
    const { reason, sets, files, bytes, sentBytes } = view.synchronising;
    const what = `${files} files, ${bytesText(bytes)} compared, ${bytesText(sentBytes)} sent`;
    parts.push(`Synchronising ${sets.join(', ')} (${reason}): ${what}.`);
  }
  const { filesToCopy } = view;
  if (filesToCopy === null) parts.push('Files in copy mode are being compared.');
  else if (filesToCopy > 0) parts.push(`Files that wait to be copied: ${filesToCopy}.`);
  if (view.syncError !== null) parts.push(style.yellow(`Last attempt: ${view.syncError}`));
  if (view.hosted.length > 0) parts.push(hostedText(view.hosted, style));
  if (view.sets.length === 0 && view.hosted.length === 0) {
    parts.push('Nothing is replicated. "ntswift repl add" begins.');
  }
  return parts.join('\n\n');
}

function headText(view: NodeReplView, style: Style): string {
  const { driver, error } = view;
  const entries: [string, string][] = [
    ['node', style.bold(view.node)],
    ['role', view.epoch === 0 ? view.role : `${view.role}, epoch ${view.epoch}`],
  ];
  if (driver) {
    entries.push(['records', placeText(driver, style)], ['lag', lagText(view.lag)]);
    if (driver.journalStatus !== 0) {
      const { name, meaning } = describeStatus(driver.journalStatus);
      entries.push(['journal', style.red(`cannot be used: ${meaning} (${name})`)]);
    }
    if (driver.dirtyFiles > 0) {
      const { dirtyFiles, dirtyBytes } = driver;
      const what = dirtyBytes === null ? '' : `, ${bytesText(dirtyBytes)}`;
      entries.push(['to resync', style.yellow(`${dirtyFiles} files${what}`)]);
    }
    if (driver.openBrackets > 0) entries.push(['open brackets', String(driver.openBrackets)]);
  } else if (error !== null) entries.push(['driver', style.red(error)]);
  return facts(entries);
}

function placeText(driver: NonNullable<NodeReplView['driver']>, style: Style): string {
  const { state, ringUsed, ringBytes, journalUsed, journalBytes } = driver;
  const ring = `ring ${bytesText(ringUsed)} of ${bytesText(ringBytes)}`;
  const journal = `journal ${bytesText(journalUsed)} of ${bytesText(journalBytes)}`;
  const words =
    state === 'ring'
      ? style.green('in the ring')
      : state === 'journal'
        ? style.yellow('in the journal')
        : state === 'dirty'
          ? style.red('not kept, only which blocks change')
          : 'none';
  return `${words} (${ring}, ${journal})`;
}

function backupsText(backups: readonly BackupView[], style: Style): string {
  const rows = backups.map(({ node, folder, state, lag, durable, sentBytes, limit }) => [
    style.bold(node),
    folder,
    state === 'streaming' ? style.green(state) : style.yellow(state),
    durable === null ? '-' : String(durable),
    lagText(lag),
    bytesText(sentBytes),
    limit === null ? '-' : `${bytesText(limit)}/s`,
  ]);
  const headings = ['BACKUP', 'FOLDER', 'STATE', 'ON DISK', 'LAG', 'SENT', 'LIMIT'];
  const reasons = backups.flatMap(({ node, error }) =>
    error === null ? [] : [`${node}: ${error}`],
  );
  return [table(headings, rows, style), ...reasons].join('\n');
}

export function hostedText(hosted: readonly BackupStatus[], style: Style): string {
  const rows = hosted.map((one) => [
    style.bold(one.primary),
    one.sets.join(', '),
    one.folder,
    hostedState(one, style),
    String(one.durable),
    String(one.applied),
    bytesText(one.logBytes),
  ]);
  const headings = ['FROM', 'SETS', 'FOLDER', 'STATE', 'ON DISK', 'APPLIED', 'LOG'];
  const reasons = hosted.flatMap(({ primary, fault, stalled }) => {
    const why = fault ?? stalled;
    return why === null ? [] : [style.red(`${primary}: ${why}`)];
  });
  const aside = hosted.flatMap((one) =>
    one.aside
      .filter(({ files }) => files !== 0)
      .map(({ folder, list, files, bytes }) =>
        files === null
          ? `Set aside, not compared yet: ${folder}`
          : `Set aside, not on ${one.primary}: ${files} files, ${bytesText(bytes)} in ${folder}; ${list} tells what differs`,
      ),
  );
  return [table(headings, rows, style), ...reasons, ...aside].join('\n');
}

function hostedState(one: BackupStatus, style: Style): string {
  if (one.fault !== null) return style.red('cannot go on');
  if (one.stalled !== null) return style.red('stands still');
  if (one.restoring !== null) return style.yellow('restoring');
  if (one.held !== null) return style.yellow(`held at ${one.held}`);
  if (one.openBrackets > 0) return style.yellow('synchronising');
  return one.connected ? style.green('receiving') : style.yellow('no primary');
}

export function verifyText(reports: readonly VerifyReport[], style: Style): string {
  return reports
    .map((report) => {
      const { set, nodes, files, bytes, blocks, names } = report;
      const head = `${style.bold(set)} with ${nodes.join(', ') || 'nobody'}: ${files} files, ${bytesText(bytes)}`;
      if (blocks.length + names.length === 0) return `${head}: ${style.green('the same')}`;
      const lines = [
        ...names.map(
          (one) => `  ${one.path}: only on ${one.only === 'primary' ? 'the primary' : one.node}`,
        ),
        ...blocks.flatMap((one) =>
          one.blocks.map(
            ({ offset, length }) =>
              `  ${one.path}: bytes ${offset} to ${offset + length - 1} differ on ${one.node}`,
          ),
        ),
      ];
      return [`${head}:`, ...lines].join('\n');
    })
    .join('\n');
}

export interface LogView extends BackupStatus {
  readonly segments: readonly { first: number; last: number; bytes: number; lastTime: string }[];
  readonly bookmarks: readonly { label: string; sequence: number; time: string }[];
  readonly recordsAside: readonly string[];
}

export function logText(view: LogView, style: Style): string {
  const segments = view.segments.map(({ first, last, bytes, lastTime }) => [
    String(first),
    String(last),
    bytesText(bytes),
    lastTime,
  ]);
  const bookmarks = view.bookmarks.map(({ label, sequence, time }) => [
    label,
    String(sequence),
    time,
  ]);
  return [
    hostedText([view], style),
    table(['FIRST', 'LAST', 'SIZE', 'UNTIL'], segments, style),
    bookmarks.length > 0
      ? table(['BOOKMARK', 'RECORD', 'TIME'], bookmarks, style)
      : 'No bookmarks.',
    ...(view.recordsAside.length > 0
      ? [`Records set aside:\n${view.recordsAside.join('\n')}`]
      : []),
  ].join('\n\n');
}
