/** What the commands of ONE-IP share: the driver, the store, what is shown after a change. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseIpv4, parseIpv6 } from '../common/address.js';
import { ntsError } from '../common/errors.js';
import { stateDir } from '../common/paths.js';
import { Store } from '../common/store.js';
import { OneIp } from '../oneip/client.js';
import { type OneIpAddress, OneIpFamily } from '../oneip/codec.js';
import { type Names, noNames } from '../oneip/names.js';
import { loadNames } from '../oneip/state.js';
import { type NodeView, nodeView } from '../oneip/view.js';
import type { Context } from './context.js';
import { nodeText } from './oneip-text.js';

export async function withOneIp<T>(
  { endpoint }: Context,
  access: 'read' | 'read-write',
  work: (oneIp: OneIp) => Promise<T>,
): Promise<T> {
  const oneIp = await OneIp.open({ access, endpoint });
  try {
    return await work(oneIp);
  } finally {
    await oneIp.close();
  }
}

export async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  const store = Store.open();
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

/** From the store; null where nothing was ever stored here. */
export function stored<T>(read: (store: Store) => T): T | null {
  if (!existsSync(path.join(stateDir(), 'ntswift.db'))) return null;
  const store = Store.open();
  try {
    return read(store);
  } finally {
    store.close();
  }
}

/** What the members are called here; the driver tells all the rest. */
export function storedNames(): Names {
  return stored(loadNames) ?? noNames;
}

export async function readNode(context: Context): Promise<NodeView> {
  return withOneIp(context, 'read', async (oneIp) => {
    const [status, configuration] = await Promise.all([oneIp.status(), oneIp.configuration()]);
    return nodeView(status, configuration, storedNames());
  });
}

export function showNode(view: NodeView, context: Context): void {
  context.result(view, () => nodeText(view, context.style));
  if (context.json) return;
  if (view.behind) {
    context.warn(
      `this node is behind: generation ${view.generation} here, ${view.clusterGeneration} in the cluster; apply that file here`,
    );
  }
}

export function parseAddress(text: string): OneIpAddress {
  const v4 = parseIpv4(text);
  const bytes = v4 ?? parseIpv6(text);
  if (!bytes) throw ntsError('NTS_ERR_USAGE', { what: `${text} is no IPv4 or IPv6 address` });
  const address = new Uint8Array(16);
  address.set(bytes);
  return { family: v4 ? OneIpFamily.ipv4 : OneIpFamily.ipv6, address };
}

export function portNumber(port: number): number {
  if (port >= 0 && port <= 65535) return port;
  throw ntsError('NTS_ERR_USAGE', { what: `${port} is no port` });
}
