/** ntswift repl ... */
import path from 'node:path';
import { NtsError, ntsError } from '../common/errors.js';
import type { BackupStatus } from '../repl/backup.js';
import { askRepl } from '../repl/control-client.js';
import type { RestoreProgress } from '../repl/restore.js';
import type { SyncProgress } from '../repl/sync-run.js';
import type { VerifyReport } from '../repl/verify-run.js';
import type { NodeReplView } from '../repl/view.js';
import { withNode } from './cluster-access.js';
import type { Context } from './context.js';
import { untilInterrupted } from './interrupt.js';
import { Progress, bar } from './progress.js';
import {
  type LogView,
  bytesText,
  hostedText,
  logText,
  parseSize,
  replText,
  verifyText,
} from './repl-text.js';

interface Where {
  readonly node: string | null;
  readonly state: string | null;
}

interface RuleValues {
  readonly include: string[] | null;
  readonly exclude: string[] | null;
  readonly 'exclude-process': string[] | null;
  readonly 'max-size': string | null;
}

async function ask(
  where: Where,
  command: string,
  values: Readonly<Record<string, unknown>>,
  onProgress?: (value: unknown) => void,
): Promise<unknown> {
  const signal = untilInterrupted();
  return withNode(where.state, async (local) => {
    const node = where.node ?? local.name;
    const options = { signal, ...(onProgress ? { onProgress } : {}) };
    try {
      return await askRepl(local, node, command, values, options);
    } catch (error) {
      if (signal.aborted) throw ntsError('NTS_ERR_CANCELLED', { what: `repl ${command}` });
      throw error;
    }
  });
}

function rulesOf(values: RuleValues): object {
  const size = values['max-size'];
  return {
    include: values.include ?? [],
    exclude: values.exclude ?? [],
    excludeProcess: values['exclude-process'] ?? [],
    maxSize: size === null ? null : parseSize(size),
  };
}

/** beta:/backup, beta:E:\backup */
function target(text: string): { node: string; folder: string } {
  const [, node, folder] = /^([^:]+):(.+)$/.exec(text) ?? [];
  if (node !== undefined && folder !== undefined) return { node, folder };
  throw ntsError('NTS_ERR_USAGE', { what: `${text} is no NODE:FOLDER` });
}

function show(value: unknown, context: Context): void {
  const view = value as NodeReplView;
  context.result(view, () => replText(view, context.style));
}

export async function add(
  values: Where &
    RuleValues & {
      name: string;
      folder: string;
      to: string[] | null;
      mode: 'async' | 'durable' | 'copy';
      root: string | null;
    },
  context: Context,
): Promise<void> {
  const { name, mode, root } = values;
  const folder = values.node === null ? path.resolve(values.folder) : values.folder;
  const to = (values.to ?? []).map(target);
  const given = { name, folder, root, mode, to, rules: rulesOf(values) };
  show(await ask(values, 'add', given), context);
}

export async function set(
  values: Where &
    RuleValues & {
      set: string | null;
      mode: 'async' | 'durable' | 'copy' | null;
      'clear-rules': boolean;
      to: string[] | null;
      without: string[] | null;
      limit: string | null;
      journal: string | null;
      'durable-wait': number | null;
      keep: string | null;
    },
  context: Context,
): Promise<void> {
  const some = values.include ?? values.exclude ?? values['exclude-process'] ?? values['max-size'];
  const changesRules = values['clear-rules'] || some !== null;
  const given = {
    name: values.set,
    mode: values.mode,
    rules: changesRules ? rulesOf(values) : null,
    to: (values.to ?? []).map(target),
    without: values.without ?? [],
    limit: values.limit === null ? null : limitOf(values.limit),
    keep: values.keep === null ? null : parseSize(values.keep),
    journal: values.journal === null ? null : parseSize(values.journal),
    durableWait: values['durable-wait'],
  };
  show(await ask(values, 'set', given), context);
}

function limitOf(text: string): { node: string; bytes: number | null } {
  const { node, folder: size } = target(text);
  const bytes = parseSize(size);
  return { node, bytes: bytes === 0 ? null : bytes };
}

export async function remove(values: Where & { set: string }, context: Context): Promise<void> {
  await context.confirm(`No longer replicate ${values.set}`);
  show(await ask(values, 'remove', { name: values.set }), context);
}

const SECOND = 1000;

export async function status(values: Where & { watch: boolean }, context: Context): Promise<void> {
  const signal = untilInterrupted();
  for (;;) {
    const view = (await ask(values, 'status', {})) as NodeReplView;
    if (!values.watch) {
      show(view, context);
      return;
    }
    context.item(view, () => `${replText(view, context.style)}\n`);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SECOND);
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) clearTimeout(timer);
    });
    if (signal.aborted) throw ntsError('NTS_ERR_CANCELLED', { what: 'repl status' });
  }
}

export async function pause(
  values: Where & { backup: string | null },
  context: Context,
): Promise<void> {
  show(await ask(values, 'pause', { backup: values.backup }), context);
}

export async function resume(
  values: Where & { backup: string | null },
  context: Context,
): Promise<void> {
  show(await ask(values, 'resume', { backup: values.backup }), context);
}

export async function resync(
  values: Where & { set: string | null; background: boolean },
  context: Context,
): Promise<void> {
  const line = new Progress();
  const given = { name: values.set, wait: !values.background };
  const view = await ask(values, 'resync', given, (value) => {
    const { sets, files, bytes, sentBytes } = value as SyncProgress;
    line.update(
      () =>
        `${sets.join(', ')}: ${files} files, ${bytesText(bytes)} compared, ${bytesText(sentBytes)} sent`,
    );
  }).finally(() => line.end());
  show(view, context);
}

export async function verify(
  values: Where & { set: string | null },
  context: Context,
): Promise<void> {
  const line = new Progress();
  const reports = (await ask(values, 'verify', { name: values.set }, (value) => {
    const { set: name, files, bytes } = value as VerifyReport;
    line.update(() => `${name}: ${files} files, ${bytesText(bytes)} compared`);
  }).finally(() => line.end())) as VerifyReport[];
  context.result(reports, () => verifyText(reports, context.style));
  const different = reports.filter(({ blocks, names }) => blocks.length + names.length > 0);
  if (different.length === 0) return;
  const which = different.map(({ set: name }) => name).join(', ');
  throw new NtsError(
    'NTS_ERR_REFUSED',
    `${which}: not the same on both sides. "ntswift repl resync" sends what differs`,
  );
}

export async function switchover(
  values: Where & { to: string; keep: string | null },
  context: Context,
): Promise<void> {
  await context.confirm(`Programs can no longer write into the sets here; ${values.to} is primary`);
  const line = new Progress();
  const given = { node: values.to, folder: values.keep };
  const view = await ask(values, 'switchover', given, (value) => {
    const { step } = value as { step: string };
    line.update(() => step);
  }).finally(() => line.end());
  show(view, context);
}

export async function takeover(
  values: Where & { primary: string | null; force: boolean },
  context: Context,
): Promise<void> {
  const what = 'What the primary did that is not here is no longer part of the sets';
  await context.confirm(`${what}; this node is primary from now on`);
  const line = new Progress();
  const given = { primary: values.primary, force: values.force };
  const view = await ask(values, 'promote', given, (value) => {
    const { step } = value as { step: string };
    line.update(() => step);
  }).finally(() => line.end());
  show(view, context);
}

export async function bookmark(values: Where & { label: string }, context: Context): Promise<void> {
  const made = (await ask(values, 'bookmark', { label: values.label })) as {
    label: string;
    sequence: number;
  };
  context.result(made, () => `${made.label} is record ${made.sequence}`);
}

export async function restore(
  values: Where & {
    at: string | null;
    into: string | null;
    resume: boolean;
    primary: string | null;
  },
  context: Context,
): Promise<void> {
  if ((values.at === null) !== values.resume) {
    throw ntsError('NTS_ERR_USAGE', { what: 'say the moment, or --resume' });
  }
  if (values.into !== null) {
    await restoreInto({ ...values, into: values.into }, context);
    return;
  }
  if (values.at !== null) {
    await context.confirm(`The tree on the backup becomes what it was at ${values.at}`);
  }
  const given = { primary: values.primary, at: values.at, into: null };
  const view = (await ask(values, 'restore', given)) as BackupStatus;
  context.result(view, () => hostedText([view], context.style));
}

const steps: Readonly<Record<RestoreProgress['step'], string>> = {
  copy: 'files copied',
  back: 'checkpoints back',
  forward: 'records forward',
};

async function restoreInto(
  values: Where & { at: string | null; into: string; primary: string | null },
  context: Context,
): Promise<void> {
  if (values.at === null) throw ntsError('NTS_ERR_USAGE', { what: '--into needs the moment' });
  const into = values.node === null ? path.resolve(values.into) : values.into;
  const line = new Progress();
  const given = { primary: values.primary, at: values.at, into };
  const made = (await ask(values, 'restore', given, (value) => {
    const { step, done, of } = value as RestoreProgress;
    line.update(() =>
      of === null
        ? `${done} ${steps[step]}`
        : `${bar(done / Math.max(of, 1))} ${done} of ${of} ${steps[step]}`,
    );
  }).finally(() => line.end())) as { folder: string; sequence: number; sets: string[] };
  context.result(
    made,
    () => `${made.folder} has ${made.sets.join(', ')} as of record ${made.sequence}`,
  );
}

export async function log(
  values: Where & { primary: string | null },
  context: Context,
): Promise<void> {
  const view = (await ask(values, 'log', { primary: values.primary })) as LogView;
  context.result(view, () => logText(view, context.style));
}
