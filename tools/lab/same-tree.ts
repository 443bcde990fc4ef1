// Whether a backup's folder is the primary's: content by diff(1), and what diff does not look at by find(1).
import path from 'node:path';
import type { BackupNode, Replica } from './replica.js';

/** Owner, mode, kind, links, size and target; times of what is not a folder. */
const FACTS = String.raw`find . -type d -printf '%P %y %m %U:%G\n' -o -printf '%P %y %m %U:%G %n %s %l\n'`;

/** What differs, a line for each; empty: nothing. */
export function differences(
  replica: Replica,
  node: BackupNode = 'beta',
  there = path.join(replica.backupOf(node), 'shop'),
  here = path.join(replica.machine.paths.backing, 'shop'),
): string {
  const script = `
    diff -r --no-dereference '${here}' '${there}' || :
    (cd '${here}' && ${FACTS}) | sort > "$1.here"
    (cd '${there}' && ${FACTS}) | sort > "$1.there"
    diff "$1.here" "$1.there" || :`;
  const list = path.join(replica.machine.folder, 'facts');
  return replica.on(node).run('sh', '-c', script, 'differences', list);
}
