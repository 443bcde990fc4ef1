/** What "repl status" tells: of the sets that a node replicates, and of those that it keeps for others. */
import { constantName } from '../common/struct.js';
import type { BackupStatus } from './backup.js';
import { ReplBracketReason, ReplRoleKind, ReplState, type ReplStatus } from './codec.js';
import type { ReplNode } from './service.js';
import { fileTimeOf, millisecondsOf } from './time.js';

export interface Lag {
  readonly records: number;
  /** null: not known of this backup alone. */
  readonly bytes: number | null;
  readonly milliseconds: number | null;
}

export interface BackupView {
  readonly node: string;
  readonly folder: string;
  readonly state: string;
  readonly error: string | null;
  readonly durable: number | null;
  readonly applied: number;
  readonly lag: Lag | null;
  readonly sentBytes: number;
  readonly limit: number | null;
}

export interface NodeReplView {
  readonly node: string;
  readonly role: string;
  readonly epoch: number;
  readonly stream: string;
  /** null: not in use; error says why. */
  readonly driver: {
    readonly role: string;
    readonly state: string;
    readonly epoch: number;
    readonly last: number;
    readonly acknowledged: number;
    readonly ringBytes: number;
    readonly ringUsed: number;
    readonly journalBytes: number;
    readonly journalUsed: number;
    readonly journalStatus: number;
    readonly dirtyFiles: number;
    /** null: a file is dirty to its end, wherever that is. */
    readonly dirtyBytes: number | null;
    readonly openBrackets: number;
    /** What would be compared after a crash: regions of files, 4 MiB each. */
    readonly activeRegions: number;
    readonly refused: number;
    readonly longestBlockMs: number;
  } | null;
  readonly error: string | null;
  readonly sets: readonly {
    readonly name: string;
    readonly folder: string;
    readonly root: string;
    readonly mode: string;
    readonly rules: readonly unknown[];
  }[];
  readonly backups: readonly BackupView[];
  readonly lag: Lag | null;
  readonly synchronising: {
    readonly reason: string;
    readonly sets: readonly string[];
    readonly folders: number;
    readonly files: number;
    readonly bytes: number;
    readonly sentBytes: number;
  } | null;
  readonly syncError: string | null;
  /** Of sets in copy mode: files that are to be copied, once they are idle; null: that is being found out. */
  readonly filesToCopy: number | null;
  readonly hosted: readonly BackupStatus[];
}

export async function nodeReplView(node: ReplNode): Promise<NodeReplView> {
  const { config, primary, context } = node;
  const { role, epoch, stream, sets, backups } = config.value;
  const status = (await primary?.status()) ?? null;
  const session = primary?.session ?? null;
  const progress = session?.sync.progress ?? null;
  const links = session?.pump.all ?? [];
  return {
    node: context.local.name,
    role,
    epoch,
    stream,
    driver: status && driverView(status),
    error: primary?.error ?? null,
    sets: sets.map(({ name, folder, root, mode, rules }) => {
      return { name, folder, root, mode, rules };
    }),
    backups: backups.map((backup) => {
      const link = links.find((one) => one.node === backup.node);
      const durable = link?.durable ?? null;
      return {
        node: backup.node,
        folder: backup.folder,
        state: backup.paused ? 'paused' : (link?.state ?? 'waiting'),
        error: link?.fault ?? link?.stalled ?? link?.error ?? null,
        durable,
        applied: link?.applied ?? 0,
        lag: status && durable !== null ? lagOf(status, durable) : null,
        sentBytes: link?.sentBytes ?? 0,
        limit: backup.limit,
      };
    }),
    lag: status && lagOf(status, Number(status.acknowledged)),
    synchronising: progress && {
      reason: constantName(ReplBracketReason, progress.reason),
      sets: progress.sets,
      folders: progress.folders,
      files: progress.files,
      bytes: progress.bytes,
      sentBytes: progress.sentBytes,
    },
    syncError: session?.sync.error ?? null,
    filesToCopy: session ? session.copies.waiting : 0,
    hosted: [...node.backups.values()].map((one) => one.status),
  };
}

/** REPL_STATUS.DirtyBytes, from there on. */
const TO_THE_END = 1n << 62n;

/** The driver counts bytes and time of the slowest backup. */
function lagOf(status: ReplStatus, durable: number): Lag {
  const records = Math.max(0, Number(status.lastSequence) - durable);
  if (records === 0) return { records, bytes: 0, milliseconds: 0 };
  if (durable > Number(status.acknowledged)) return { records, bytes: null, milliseconds: null };
  const since = status.acknowledgedTime;
  const now = millisecondsOf(fileTimeOf(Date.now()));
  return {
    records,
    bytes: Number(status.unacknowledgedBytes),
    milliseconds: since === 0n ? null : Math.max(0, Math.round(now - millisecondsOf(since))),
  };
}

function driverView(status: ReplStatus): NonNullable<NodeReplView['driver']> {
  return {
    role: constantName(ReplRoleKind, status.role),
    state: constantName(ReplState, status.state),
    epoch: Number(status.epoch),
    last: Number(status.lastSequence),
    acknowledged: Number(status.acknowledged),
    ringBytes: Number(status.ringBytes),
    ringUsed: Number(status.ringUsed),
    journalBytes: Number(status.journalBytes),
    journalUsed: Number(status.journalUsed),
    journalStatus: status.journalStatus,
    dirtyFiles: status.dirtyFiles,
    dirtyBytes: status.dirtyBytes < TO_THE_END ? Number(status.dirtyBytes) : null,
    openBrackets: status.openBrackets,
    activeRegions: status.activeRegions,
    refused: Number(status.refused),
    longestBlockMs: Number(status.longestBlock) / 10_000,
  };
}
