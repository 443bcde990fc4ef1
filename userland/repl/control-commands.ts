/** What the service does for "ntswift repl ...". */
import path from 'node:path';
import { z } from 'zod';
import { ntsError } from '../common/errors.js';
import { ReplBracketReason, ReplState } from './codec.js';
import { type ReplNodeConfig, type SetConfig, setNamed } from './config.js';
import { type ControlCall, type ControlCommand, controlCommand } from './control.js';
import { restore } from './control-restore.js';
import { hostedBackup } from './hosted-backup.js';
import { ntPathOf } from './nt-path.js';
import type { Session } from './primary.js';
import type { ReplNode } from './service.js';
import { modes, setNameSchema } from './set-schema.js';
import { switchover, takeOver } from './switchover.js';
import { forcedTakeOver } from './takeover.js';
import { millisecondsOf } from './time.js';
import { verifySet } from './verify-run.js';
import { nodeReplView } from './view.js';

const rules = z.strictObject({
  include: z.array(z.string()),
  exclude: z.array(z.string()),
  excludeProcess: z.array(z.string()),
  maxSize: z.int().positive().nullable(),
});

function ruleList(given: z.infer<typeof rules>): SetConfig['rules'] {
  const { include, exclude, excludeProcess, maxSize } = given;
  return [
    ...include.map((pattern) => ({ kind: 'include' as const, pattern })),
    ...exclude.map((pattern) => ({ kind: 'exclude' as const, pattern })),
    ...excludeProcess.map((pattern) => ({ kind: 'excludeProcess' as const, pattern })),
    ...(maxSize === null ? [] : [{ kind: 'maxSize' as const, bytes: maxSize }]),
  ];
}

const nodeFolder = z.strictObject({ node: z.string(), folder: z.string() });

async function session(node: ReplNode): Promise<Session> {
  if (node.config.value.sets.length === 0) {
    const what = `node ${node.context.local.name} replicates nothing; "ntswift repl add" begins`;
    throw ntsError('NTS_ERR_REFUSED', { what });
  }
  return (await node.startPrimary()).require();
}

/** What the rules begin to cover is synchronised, which begins with a record. */
async function recordable(node: ReplNode): Promise<void> {
  const { state } = await (await session(node)).driver.status();
  if (state !== ReplState.dirty) return;
  const what =
    'records are not kept just now: try again when "ntswift repl status" says that they are';
  throw ntsError('NTS_ERR_REFUSED', { what });
}

/** The driver first: what it refuses is not written down. */
async function change(node: ReplNode, next: Partial<ReplNodeConfig>): Promise<void> {
  const { config } = node;
  const before = config.value;
  const primary = node.primary;
  if (primary?.session) {
    await primary.reconfigure({ ...before, ...next });
    await config.update(next);
    await primary.updateLinks();
    return;
  }
  await config.update(next);
  if (config.value.sets.length === 0) return;
  const started = await node.startPrimary();
  try {
    // Says why, where the driver refuses or is not there.
    started.require();
  } catch (error) {
    await node.stopPrimary();
    await config.update(before);
    throw error;
  }
}

const add = controlCommand(
  z.strictObject({
    name: setNameSchema,
    folder: z.string().min(1),
    root: z.string().nullable(),
    mode: z.enum(modes),
    to: z.array(nodeFolder),
    rules,
  }),
  async ({ node }, { name, folder, root, mode, to, rules: given }) => {
    const { config, context } = node;
    const { value } = config;
    if (value.sets.some((set) => set.name === name)) {
      throw ntsError('NTS_ERR_USAGE', { what: `a set is called "${name}" already` });
    }
    if (value.role === 'backup') {
      const what = `node ${context.local.name} is backup in epoch ${value.epoch}; add sets on the primary`;
      throw ntsError('NTS_ERR_REFUSED', { what });
    }
    const where = root === null ? await ntPathOf(folder) : { folder: path.resolve(folder), root };
    const backups = mergeBackups(node, to);
    if (backups.length === 0) {
      const what = 'a set needs a backup: name one by --to NODE:FOLDER';
      throw ntsError('NTS_ERR_USAGE', { what });
    }
    const set: SetConfig = {
      id: value.nextSetId,
      name,
      ...where,
      mode,
      rules: ruleList(given),
    };
    await change(node, {
      role: 'primary',
      epoch: Math.max(1, value.epoch),
      nextSetId: value.nextSetId + 1,
      sets: [...value.sets, set],
      backups,
    });
    const { driver, sync, pump } = await session(node);
    try {
      await driver.openBracket(set.id, ReplBracketReason.initial);
    } catch (error) {
      // A set that nobody synchronises is none.
      await dropSets(node, value.sets, value.backups);
      throw error;
    }
    // The backups learn of the set's name when they are greeted.
    for (const link of pump.all) link.restart();
    sync.wake();
    return nodeReplView(node);
  },
);

function mergeBackups(
  node: ReplNode,
  to: readonly z.infer<typeof nodeFolder>[],
): ReplNodeConfig['backups'] {
  const { local } = node.context;
  const backups = [...node.config.value.backups];
  for (const { node: name, folder } of to) {
    if (name === local.name) {
      throw ntsError('NTS_ERR_USAGE', { what: `${name} is this node; a backup is on another` });
    }
    if (!local.membership.byName(name)) {
      const known = local.membership.names.filter((one) => one !== local.name).join(', ');
      const what = `no node is called "${name}"; the other nodes are ${known || 'none'}. "ntswift node join" makes a machine a node`;
      throw ntsError('NTS_ERR_UNKNOWN_NODE', { what });
    }
    if (!path.isAbsolute(folder)) {
      throw ntsError('NTS_ERR_USAGE', { what: `${folder} is no absolute path` });
    }
    const present = backups.find((one) => one.node === name);
    if (!present) backups.push({ node: name, folder, limit: null, paused: false });
    else if (present.folder !== folder) {
      const what = `node ${name} keeps the sets of this node in ${present.folder}; there is one such folder a node`;
      throw ntsError('NTS_ERR_USAGE', { what });
    }
  }
  return backups;
}

const set = controlCommand(
  z.strictObject({
    name: z.string().nullable(),
    mode: z.enum(modes).nullable(),
    rules: rules.nullable(),
    to: z.array(nodeFolder),
    without: z.array(z.string()),
    limit: z.strictObject({ node: z.string(), bytes: z.int().positive().nullable() }).nullable(),
    keep: z.int().positive().nullable(),
    journal: z.int().nonnegative().nullable(),
    durableWait: z.int().nonnegative().nullable(),
  }),
  async ({ node }, given) => {
    const { value } = node.config;
    if (given.keep !== null) await keep(node, given.keep);
    const named = given.name === null ? null : setNamed(value, given.name);
    if (!named && (given.mode !== null || given.rules !== null)) {
      throw ntsError('NTS_ERR_USAGE', { what: 'name the set whose mode or rules are to change' });
    }
    if (named && given.mode !== null && (given.mode === 'copy') !== (named.mode === 'copy')) {
      // What the backup knows of a file is another thing in copy mode.
      const what = `set ${named.name} cannot change to or from copy mode; remove it and add it anew`;
      throw ntsError('NTS_ERR_USAGE', { what });
    }
    if (given.rules !== null && named) await recordable(node);
    const sets = value.sets.map((one) =>
      one.name === named?.name
        ? {
            ...one,
            ...(given.mode === null ? {} : { mode: given.mode }),
            ...(given.rules === null ? {} : { rules: ruleList(given.rules) }),
          }
        : one,
    );
    const backups = mergeBackups(node, given.to)
      .filter((one) => !given.without.includes(one.node))
      .map((one) => (one.node === given.limit?.node ? { ...one, limit: given.limit.bytes } : one));
    await change(node, {
      sets,
      backups,
      ...(given.journal === null ? {} : { journalBytes: given.journal }),
      ...(given.durableWait === null ? {} : { durableWaitMs: given.durableWait }),
    });
    if (given.rules !== null && named) {
      // What the rules did not cover until now is not on the backups.
      const { driver } = await session(node);
      await driver.openBracket(named.id, ReplBracketReason.resync);
    }
    return nodeReplView(node);
  },
);

async function keep(node: ReplNode, keepBytes: number): Promise<void> {
  for (const hosted of node.config.value.hosted) await node.host({ ...hosted, keepBytes });
}

/** These are left. */
async function dropSets(
  node: ReplNode,
  sets: readonly SetConfig[],
  backups: ReplNodeConfig['backups'],
): Promise<void> {
  await change(node, { sets: [...sets], backups: sets.length === 0 ? [] : backups });
  if (sets.length === 0) await node.stopPrimary();
}

const remove = controlCommand(z.strictObject({ name: z.string() }), async ({ node }, { name }) => {
  const { value } = node.config;
  const hosted = value.hosted.find((one) => one.sets.some((set) => set.name === name));
  if (!value.sets.some((one) => one.name === name) && hosted) {
    // On a backup: the primary does not replicate it any more, or not to here.
    await node.unhost(hosted.stream);
    return nodeReplView(node);
  }
  setNamed(value, name);
  await dropSets(
    node,
    value.sets.filter((one) => one.name !== name),
    value.backups,
  );
  return nodeReplView(node);
});

function pausing(paused: boolean): ControlCommand {
  return controlCommand(
    z.strictObject({ backup: z.string().nullable() }),
    async ({ node }, { backup }) => {
      const { value } = node.config;
      if (backup !== null && !value.backups.some((one) => one.node === backup)) {
        throw ntsError('NTS_ERR_USAGE', { what: `node ${backup} is no backup of this node` });
      }
      const backups = value.backups.map((one) =>
        backup === null || one.node === backup ? { ...one, paused } : one,
      );
      await change(node, { backups });
      return nodeReplView(node);
    },
  );
}

const resync = controlCommand(
  z.strictObject({ name: z.string().nullable(), wait: z.boolean() }),
  async (call, { name, wait }) => {
    const { node } = call;
    const sets = name === null ? node.config.value.sets : [setNamed(node.config.value, name)];
    const { driver, sync } = await session(node);
    const brackets: number[] = [];
    for (const one of sets) {
      brackets.push(await driver.openBracket(one.id, ReplBracketReason.resync));
    }
    sync.wake();
    if (wait) await closed(call, await session(node), brackets);
    return nodeReplView(node);
  },
);

/** Waits until the brackets are closed; tells how far that is. */
async function closed(
  { signal, progress }: ControlCall,
  { driver, sync }: Session,
  brackets: readonly number[],
): Promise<void> {
  const tell = (value: unknown): void => progress(value);
  sync.on('progress', tell);
  try {
    for (;;) {
      const open = new Set((await driver.brackets()).map(({ bracket }) => bracket));
      if (!brackets.some((one) => open.has(one))) return;
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const done = (): void => {
          sync.off('closed', done);
          signal.removeEventListener('abort', done);
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(done, 1000);
        sync.once('closed', done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
  } finally {
    sync.off('progress', tell);
  }
}

const verify = controlCommand(
  z.strictObject({ name: z.string().nullable() }),
  async ({ node, signal, progress }, { name }) => {
    const sets = name === null ? node.config.value.sets : [setNamed(node.config.value, name)];
    const there = await session(node);
    const reports = [];
    for (const one of sets) reports.push(await verifySet(there, one, signal, progress));
    return reports;
  },
);

const bookmark = controlCommand(
  z.strictObject({ label: z.string().min(1).max(200) }),
  async ({ node }, { label }) => {
    const { driver } = await session(node);
    return { label, sequence: await driver.bookmark(label) };
  },
);

const log = controlCommand(
  z.strictObject({ primary: z.string().nullable() }),
  ({ node }, { primary }) => {
    const backup = hostedBackup(node, primary);
    const iso = (time: bigint): string => new Date(millisecondsOf(time)).toISOString();
    return Promise.resolve({
      ...backup.status,
      segments: backup.log.list().map((one) => ({ ...one, lastTime: iso(one.lastTime) })),
      bookmarks: backup.log.bookmarks().map((one) => ({ ...one, time: iso(one.time) })),
      brackets: backup.log.bracketsAt(backup.log.durable).list(),
      recordsAside: backup.log.listAside(),
    });
  },
);

const status = controlCommand(z.strictObject({}), ({ node }) => nodeReplView(node));

export const commands: Readonly<Record<string, ControlCommand>> = {
  status,
  add,
  set,
  remove,
  pause: pausing(true),
  resume: pausing(false),
  resync,
  verify,
  bookmark,
  restore,
  log,
  switchover,
  takeover: takeOver,
  promote: forcedTakeOver,
};
