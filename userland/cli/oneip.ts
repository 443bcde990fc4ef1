/** ntswift oneip ... */
import { ntsError } from '../common/errors.js';
import { openServices } from '../driver/services.js';
import { applyCluster, chooseLocalMember, clearCluster, vetoRole } from '../oneip/apply.js';
import { readClusterFile } from '../oneip/cluster-file.js';
import { OneIpRuleMode } from '../oneip/codec.js';
import { exportCluster } from '../oneip/export.js';
import { nodeRef } from '../oneip/names.js';
import { ruleView, ruleStatusViews } from '../oneip/rule-view.js';
import { loadConfiguration } from '../oneip/state.js';
import { eventView, statsView } from '../oneip/view.js';
import type { Context } from './context.js';
import { untilInterrupted } from './interrupt.js';
import {
  parseAddress,
  portNumber,
  readNode,
  showNode,
  stored,
  storedNames,
  withOneIp,
  withStore,
} from './oneip-access.js';
import { memberTable, ruleTable, statsText } from './oneip-text.js';
import { restoreOneIp } from './restore.js';

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
  const applied = stored(loadConfiguration);
  const kept = applied?.configuration.generation === present.generation ? applied : null;
  if (values['with-key'] && !kept) {
    const what =
      'the key of the configuration in force was not applied by this program and is not known';
    throw ntsError('NTS_ERR_SERVICE', { what });
  }
  const beaconKey = kept?.configuration.beaconKey ?? present.beaconKey;
  const configuration = { ...present, beaconKey };
  process.stdout.write(exportCluster(configuration, storedNames(), values['with-key']));
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
  const interrupted = untilInterrupted();
  let left = values.count ?? Infinity;
  await withOneIp(context, 'read', async (oneIp) => {
    const names = storedNames();
    const from =
      values.after === null ? (await oneIp.status()).eventSequence : BigInt(values.after);
    if (left <= 0) return;
    let last = from;
    for await (const events of oneIp.events(from, interrupted)) {
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

/** As slot and rule of a lookup. */
const NONE = 0xffffffff;

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
  const { result, configuration } = await withOneIp(context, 'read', async (oneIp) => ({
    result: await oneIp.lookup(question),
    configuration: await oneIp.configuration(),
  }));
  const names = storedNames();
  const named = configuration?.rules[result.rule];
  const view = {
    node: nodeRef(result.nodeId, names),
    slot: result.slot === NONE ? null : result.slot,
    rule: named ? ruleView(named, result.rule, names) : null,
    flow: nodeRef(result.flow, names),
  };
  context.result(view, () => {
    const nobody =
      named?.mode === OneIpRuleMode.blocked ? 'blocked' : 'no live member has a weight';
    const lines = [view.node?.name ?? `nobody: ${nobody}`];
    if (view.rule) lines.push(`by port rule ${result.rule + 1}: ${view.rule.text}`);
    if (view.flow) lines.push(`a flow with these ports is known, and served by ${view.flow.name}`);
    return lines.join('\n');
  });
}

export async function rules(_: object, context: Context): Promise<void> {
  const [statuses, counts] = await withOneIp(context, 'read', (oneIp) =>
    Promise.all([oneIp.rules(), oneIp.flowCounts()]),
  );
  const views = ruleStatusViews(statuses, counts, storedNames());
  context.result(views, () => ruleTable(views, context.style));
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
