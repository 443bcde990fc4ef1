/** The stream that a command on a backup is about. */
import { ntsError } from '../common/errors.js';
import type { Backup } from './backup.js';
import type { ReplNode } from './service.js';

export function hostedBackup(node: ReplNode, primary: string | null): Backup {
  const all = [...node.backups.values()];
  const chosen = primary === null ? all : all.filter((one) => one.status.primary === primary);
  const [only] = chosen;
  if (only && chosen.length === 1) return only;
  const what =
    all.length === 0
      ? `node ${node.context.local.name} keeps nothing for other nodes; ask the backup (--node)`
      : `name the primary by --primary: ${all.map((one) => one.status.primary).join(', ')}`;
  throw ntsError('NTS_ERR_USAGE', { what });
}
