/** ntswift oneip ... */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseIpv4, parseIpv6 } from '../common/address.js';
import { ntsError } from '../common/errors.js';
import { stateDir } from '../common/paths.js';
import { Store } from '../common/store.js';
import { openServices } from '../driver/services.js';
import { applyCluster, chooseLocalMember, clearCluster, vetoRole } from '../oneip/apply.js';
import { OneIp } from '../oneip/client.js';
import { readClusterFile } from '../oneip/cluster-file.js';
import { type OneIpAddress, OneIpFamily } from '../oneip/codec.js';
import { exportCluster } from '../oneip/export.js';
import { nodeName } from '../oneip/names.js';
import { type AppliedConfiguration, loadConfiguration } from '../oneip/state.js';
import { type NodeView, eventView, nodeView, statsView } from '../oneip/view.js';
import type { Context } from './context.js';
import { memberTable, nodeText, statsText } from './oneip-text.js';
import { restoreOneIp } from './restore.js';

async function withOneIp<T>(
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

async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  const store = Store.open();
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

/** What was applied here, for the names; the driver tells all the rest. */
function applied(): AppliedConfiguration | null {
  if (!existsSync(path.join(stateDir(), 'ntswift.db'))) return null;
  const store = Store.open();
  try {
    return loadConfiguration(store);
  } finally {
    store.close();
  }
}

export async function readNode(context: Context): Promise<NodeView> {
  return withOneIp(context, 'read', async (oneIp) => {
    const [status, configuration] = await Promise.all([oneIp.status(), oneIp.configuration()]);
    return nodeView(status, configuration, applied()?.names ?? new Map());
  });
}

function showNode(view: NodeView, context: Context): void {
  context.result(view, () => nodeText(view, context.style));
  if (context.json) return;
  if (view.behind) {
    context.warn(
      `this node is behind: generation ${view.generation} here, ${view.clusterGeneration} in the cluster; apply that file here`,
    );
  }
}

export async function apply(
  values: { file: string; node: string | null; check: boolean },
  context: Context,
): Promise<void> {
  const cluster = await readClusterFile(values.file);
  if (values.check) {
    const { generation, members, addresses } = cluster;
    const summary = {
      file: values.file,
      generation,
      members: members.length,
      addresses: addresses.length,
    };
    context.result(summary, () => `${values.file}: in order (generation ${generation})`);
    return;
  }
  const macs = values.node === null ? await localMacs(context) : [];
  const local = chooseLocalMember(cluster, values.node, macs);
  await withStore((store) => applyCluster(cluster, local, store, { endpoint: context.endpoint }));
  context.note(`configuration ${cluster.generation} is in force on ${local.name}`);
  showNode(await readNode(context), context);
}

async function localMacs({ endpoint }: Context): Promise<string[]> {
  const services = await openServices(endpoint);
  try {
    return (await services.adapters()).map(({ mac }) => mac);
  } finally {
    services.close();
  }
}

export async function show(
  values: { export: boolean; 'with-key': boolean },
  context: Context,
): Promise<void> {
  if (!values.export) {
    if (values['with-key'])
      throw ntsError('NTS_ERR_USAGE', { what: '--with-key goes with --export' });
    showNode(await readNode(context), context);
    return;
  }
  const present = await withOneIp(context, 'read', (oneIp) => oneIp.configuration());
  if (!present)
    throw ntsError('NTS_ERR_SERVICE', { what: 'no configuration is in force on this node' });
  const stored = applied();
  const kept = stored?.configuration.generation === present.generation ? stored : null;
  if (values['with-key'] && !kept) {
    const what =
      'the key of the configuration in force was not applied by this program and is not known';
    throw ntsError('NTS_ERR_SERVICE', { what });
  }
  const beaconKey = kept?.configuration.beaconKey ?? present.beaconKey;
  const configuration = { ...present, beaconKey };
  process.stdout.write(
    exportCluster(configuration, stored?.names ?? new Map(), values['with-key']),
  );
}

export async function members(_: object, context: Context): Promise<void> {
  const view = await readNode(context);
  context.result(view.members, () =>
    view.configured
      ? memberTable(view, context.style)
      : 'No configuration is in force on this node.',
  );
}

export async function promote(_: object, context: Context): Promise<void> {
  await withOneIp(context, 'read-write', (oneIp) => oneIp.promote());
  showNode(await readNode(context), context);
}

export async function veto({ state }: { state: 'on' | 'off' }, context: Context): Promise<void> {
  await withStore((store) => vetoRole(store, state === 'on', { endpoint: context.endpoint }));
  showNode(await readNode(context), context);
}

export async function stats(_: object, context: Context): Promise<void> {
  const view = statsView(await withOneIp(context, 'read', (oneIp) => oneIp.stats()));
  context.result(view, () => statsText(view));
}

export async function watch(
  values: { after: string | null; count: number | null },
  context: Context,
): Promise<void> {
  if (values.after !== null && !/^\d{1,20}$/.test(values.after)) {
    throw ntsError('NTS_ERR_USAGE', { what: '--after takes the sequence number of an event' });
  }
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once('SIGINT', onInterrupt).once('SIGTERM', onInterrupt);
  let left = values.count ?? Infinity;
  await withOneIp(context, 'read', async (oneIp) => {
    const names = applied()?.names ?? new Map<number, string>();
    const from =
      values.after === null ? (await oneIp.status()).eventSequence : BigInt(values.after);
    if (left <= 0) return;
    let last = from;
    for await (const events of oneIp.events(from, interrupt.signal)) {
      for (const event of events) {
        const lost = event.sequence - last - 1n;
        if (lost > 0n && last > 0n)
          context.warn(`${lost} events were overwritten before they were read`);
        last = event.sequence;
        const view = eventView(event, names);
        context.item(
          view,
          () =>
            `${context.style.dim(view.time)}  ${String(view.sequence).padStart(6)}  ${view.text}`,
        );
        if (--left <= 0) return;
      }
    }
    throw ntsError('NTS_ERR_CANCELLED', { what: 'watch' });
  });
}

export async function lookup(
  values: {
    client: string;
    address: string;
    protocol: 'tcp' | 'udp' | 'icmp' | 'icmpv6';
    'client-port': number;
    port: number;
  },
  context: Context,
): Promise<void> {
  const protocols = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 };
  if (values.protocol.startsWith('icmp') && (values['client-port'] || values.port)) {
    throw ntsError('NTS_ERR_USAGE', { what: `${values.protocol} has no ports` });
  }
  const question = {
    client: parseAddress(values.client),
    cluster: parseAddress(values.address),
    protocol: protocols[values.protocol],
    clientPort: portNumber(values['client-port']),
    clusterPort: portNumber(values.port),
  };
  const { nodeId, slot } = await withOneIp(context, 'read', (oneIp) => oneIp.lookup(question));
  const name = nodeId === 0 ? null : nodeName(nodeId, applied()?.names);
  context.result(
    { node: name === null ? null : { id: nodeId, name }, slot: slot === 0xffffffff ? null : slot },
    () => name ?? 'nobody: no live member has a weight',
  );
}

function parseAddress(text: string): OneIpAddress {
  const v4 = parseIpv4(text);
  const v6 = parseIpv6(text);
  const address = new Uint8Array(16);
  address.set(v4 ?? v6 ?? []);
  if (v4 ?? v6) return { family: v4 ? OneIpFamily.ipv4 : OneIpFamily.ipv6, address };
  throw ntsError('NTS_ERR_USAGE', { what: `${text} is no IPv4 or IPv6 address` });
}

function portNumber(port: number): number {
  if (port >= 0 && port <= 65535) return port;
  throw ntsError('NTS_ERR_USAGE', { what: `${port} is no port` });
}

export async function restore(_: object, context: Context): Promise<void> {
  await restoreOneIp(context);
  showNode(await readNode(context), context);
}

export async function clear(_: object, context: Context): Promise<void> {
  await context.confirm('Take the configuration out of force on this node and forget it');
  await withStore((store) => clearCluster(store, { endpoint: context.endpoint }));
  showNode(await readNode(context), context);
}
