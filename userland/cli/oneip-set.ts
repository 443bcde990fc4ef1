/** ntswift oneip set: values of the configuration in force. */
import { changeCluster } from '../oneip/apply.js';
import type { Changed } from '../oneip/change.js';
import { nodeName } from '../oneip/names.js';
import type { Context } from './context.js';
import { readNode, storedNames, withStore } from './oneip-access.js';
import { table } from './style.js';

export async function set(
  { change, check }: { change: string[]; check: boolean },
  context: Context,
): Promise<void> {
  const changed = await withStore((store) =>
    changeCluster(store, change, check, { endpoint: context.endpoint }),
  );
  const { configuration, changes } = changed;
  const inForce = !check && changes.length > 0;
  const view = { generation: configuration.generation, changes, applied: inForce };
  context.result(view, () => text(changed, context));
  if (changes.length === 0) {
    context.note('nothing changes: the configuration in force has these values already');
    return;
  }
  const { localNode, members } = configuration;
  const names = storedNames();
  if (!inForce) {
    context.note(`nothing was changed; this would be generation ${configuration.generation}`);
    return;
  }
  context.note(
    `configuration ${configuration.generation} is in force on ${nodeName(localNode, names)}`,
  );
  const others = members.filter(({ nodeId }) => nodeId !== localNode);
  if (others.length > 0) {
    const list = others.map(({ nodeId }) => nodeName(nodeId, names)).join(', ');
    context.note(`run the same command on ${list}; until then they are behind`);
  }
  context.note('the cluster file is as it was: "ntswift oneip show --export" writes the new one');
  const { behind, clusterGeneration } = await readNode(context);
  if (behind) {
    context.warn(
      `this node differs from others in the cluster (generation ${clusterGeneration} there); compare "ntswift oneip show" on each`,
    );
  }
}

function text({ changes }: Changed, { style }: Context): string {
  if (changes.length === 0) return '';
  const rows = changes.map(({ key, from, to }) => [key, from, to]);
  return table(['KEY', 'FROM', 'TO'], rows, style);
}
