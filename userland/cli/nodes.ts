/** ntswift node join, list, status, renew, remove, leave. */
import { text as readAll } from 'node:stream/consumers';
import { ntsError } from '../common/errors.js';
import { Store } from '../common/store.js';
import { announceAddress, renewCertificate } from '../node/agent.js';
import { Authority } from '../node/authority.js';
import { NodeFolder } from '../node/identity.js';
import { joinCluster } from '../node/join.js';
import {
  endpoint,
  nodeName,
  ownAddress,
  stateFolder,
  tellOthers,
  withNode,
} from './cluster-access.js';
import type { Context } from './context.js';
import { untilInterrupted } from './interrupt.js';
import { askPeer, ownText, ownView, peersText } from './node-view.js';
import { table } from './style.js';

export async function join(
  values: {
    to: string;
    token: string;
    name: string | null;
    address: string | null;
    state: string | null;
  },
  context: Context,
): Promise<void> {
  const to = endpoint(values.to);
  const name = nodeName(values.name);
  const address = ownAddress(values.address);
  const token = values.token === '-' ? await readAll(process.stdin) : values.token;
  const signal = untilInterrupted();
  await joinCluster(stateFolder(values.state), to, { token, name, address, signal });
  await showOwn(values.state, context);
  context.note('Run "ntswift service"');
}

async function showOwn(state: string | null, context: Context): Promise<void> {
  await withNode(state, async (local) => {
    const view = await ownView(local);
    context.result(view, () => ownText(view, context.style));
  });
}

export async function list(
  values: { removed: boolean; state: string | null },
  context: Context,
): Promise<void> {
  await withNode(values.state, (local) => {
    const { nodes, removed } = local.membership.content;
    const iso = (time: number): string => new Date(time).toISOString();
    if (values.removed) {
      const views = removed.map((one) => ({ ...one, removed: iso(one.removed) }));
      context.result(views, () => {
        if (views.length === 0) return 'No node was removed.';
        const rows = views.map((one) => [one.name, one.id, one.removed]);
        return table(['NODE', 'ID', 'REMOVED'], rows, context.style);
      });
      return Promise.resolve();
    }
    const views = [...nodes]
      .sort((a, b) => a.joined - b.joined)
      .map(({ id, name, address, authority, joined }) => {
        return { name, id, address, authority, joined: iso(joined), local: id === local.id };
      });
    context.result(views, () => {
      const rows = views.map((one) => [
        one.local ? context.style.bold(one.name) : one.name,
        one.address,
        one.authority ? 'yes' : '',
        one.joined,
        one.local ? 'this node' : '',
      ]);
      return table(['NODE', 'ADDRESS', "CA'S KEY", 'JOINED', ''], rows, context.style);
    });
    return Promise.resolve();
  });
}

export async function status(
  values: { node: string | null; state: string | null },
  context: Context,
): Promise<void> {
  await withNode(values.state, async (local) => {
    const known = local.membership.names;
    const names = values.node === null ? known : [values.node];
    const peers = await Promise.all(names.map((name) => askPeer(local, name)));
    const own = await ownView(local);
    context.result({ ...own, peers }, () =>
      [ownText(own, context.style), peersText(peers, context.style)].join('\n\n'),
    );
  });
}

export async function renew(
  values: { address: string | null; state: string | null },
  context: Context,
): Promise<void> {
  const address = values.address === null ? null : ownAddress(values.address);
  await withNode(values.state, async (local) => {
    if (address !== null) {
      await local.setAddress(address);
      await announceAddress(local);
    }
    await renewCertificate(local);
  });
  await showOwn(values.state, context);
}

export async function remove(
  values: { node: string; state: string | null },
  context: Context,
): Promise<void> {
  await withNode(values.state, async (local) => {
    const authority = await Authority.of(local, 'removing a node');
    const entry = local.membership.byName(values.node);
    if (entry?.id === local.id) {
      const what = `${values.node} is this node, which holds the CA's key; remove it from another node that holds it`;
      throw ntsError('NTS_ERR_USAGE', { what });
    }
    if (entry) await context.confirm(`Remove node ${entry.name} (${entry.address}) for good`);
    const { id, name } = authority.remove(values.node);
    const told = await tellOthers(local, context);
    context.result({ node: name, id, ...told }, () => `${name} is no node of the cluster any more`);
  });
}

export async function leave(values: { state: string | null }, context: Context): Promise<void> {
  const state = stateFolder(values.state);
  const folder = new NodeFolder(state);
  const { cluster, identity, ca } = await folder.load();
  const withKey = (await folder.loadCa(ca)) ? ", with the key of the cluster's CA" : '';
  await context.confirm(`Forget that this is node ${identity.name} of ${cluster}${withKey}`);
  const store = Store.open(state);
  try {
    await store.exclusively(() => folder.clear());
  } finally {
    store.close();
  }
  const view = { node: identity.name, cluster };
  context.result(view, () => `${identity.name} has forgotten cluster ${cluster}`);
}
