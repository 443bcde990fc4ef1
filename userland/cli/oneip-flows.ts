/** ntswift oneip flows: listing, counting, and flows to and from a file. */
import path from 'node:path';
import { ntsError } from '../common/errors.js';
import { constantName } from '../common/struct.js';
import type { FlowQuery, OneIp } from '../oneip/client.js';
import { type OneIpFlow, type OneIpFlowCount, OneIpFlowState } from '../oneip/codec.js';
import type { Configuration } from '../oneip/configuration.js';
import { FIRST_FLOW_LINE, readFlowFile, writeFlowFile } from '../oneip/flow-file.js';
import { FlowProtocol, type FlowView, flowView } from '../oneip/flow-view.js';
import { type Names, addressText, nodeName } from '../oneip/names.js';
import { refusalOf } from '../oneip/refusal.js';
import { total } from '../oneip/rule-view.js';
import type { Context } from './context.js';
import { untilInterrupted } from './interrupt.js';
import { parseAddress, portNumber, storedNames, withOneIp } from './oneip-access.js';
import { duration } from './oneip-text.js';
import { Progress, bar } from './progress.js';
import { facts, table } from './style.js';

export interface FlowsValues {
  readonly client: string | null;
  readonly address: string | null;
  readonly protocol: 'tcp' | 'udp' | null;
  readonly 'client-port': number | null;
  readonly port: number | null;
  readonly node: string | null;
  readonly state: 'opening' | 'established' | 'closing' | null;
  readonly limit: number | null;
  readonly count: boolean;
  readonly export: string | null;
  readonly import: string | null;
}

const DEFAULT_LIMIT = 1000;

export async function flows(values: FlowsValues, context: Context): Promise<void> {
  const { count, limit } = values;
  const modes = [count && '--count', values.export && '--export', values.import && '--import'];
  const given = modes.filter((mode) => typeof mode === 'string');
  const usage = (what: string): Error => ntsError('NTS_ERR_USAGE', { what });
  if (given.length > 1) throw usage(`${given.join(' and ')} do not go together`);
  if (limit !== null && (given.length > 0 || limit < 0))
    throw usage(
      limit < 0 ? '--limit takes a number from 0' : `--limit and ${given[0]!} do not go together`,
    );
  if (values.import !== null) {
    if (isFiltered(values)) throw usage('--import takes the whole file; filter when exporting');
    return importFlows(values.import, context);
  }
  const names = storedNames();
  const filter = queryOf(values);
  const signal = untilInterrupted();
  await withOneIp(context, 'read', async (oneIp) => {
    const configuration = await inForce(oneIp);
    const query = { ...filter, ...nodeIn(values.node, configuration, names) };
    if (values.export !== null) {
      await exportFlows(oneIp, query, configuration, values.export, signal, context);
    } else if (count) {
      await countFlows(oneIp, isFiltered(values) ? query : null, configuration, names, context);
    } else {
      await list(oneIp.flows(query, signal), limit ?? DEFAULT_LIMIT, names, context);
    }
  });
}

async function inForce(oneIp: OneIp): Promise<Configuration> {
  const configuration = await oneIp.configuration();
  if (configuration) return configuration;
  const what = 'no configuration is in force on this node; run: ntswift oneip apply FILE';
  throw ntsError('NTS_ERR_SERVICE', { what });
}

// Filters

function isFiltered(values: FlowsValues): boolean {
  const { client, address, protocol, port, node, state } = values;
  return [client, address, protocol, values['client-port'], port, node, state].some(
    (value) => value !== null,
  );
}

function queryOf(values: FlowsValues): FlowQuery {
  const { protocol, port, state } = values;
  const clientPort = values['client-port'];
  return {
    ...(values.client === null ? {} : clientOf(values.client)),
    ...(values.address === null ? {} : { cluster: parseAddress(values.address) }),
    ...(protocol === null ? {} : { protocol: FlowProtocol[protocol] }),
    ...(clientPort === null ? {} : { clientPort: flowPort(clientPort) }),
    ...(port === null ? {} : { clusterPort: flowPort(port) }),
    ...(state === null ? {} : { state: OneIpFlowState[state] }),
  };
}

/** To the driver 0 is any port. */
function flowPort(port: number): number {
  if (port !== 0) return portNumber(port);
  throw ntsError('NTS_ERR_USAGE', { what: 'a port is 1 to 65535' });
}

/** ADDRESS or ADDRESS/BITS. */
function clientOf(text: string): Pick<FlowQuery, 'client' | 'clientPrefix'> {
  const [, address = '', bits] = /^(.*?)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const client = parseAddress(address);
  const most = client.family === 4 ? 32 : 128;
  const clientPrefix = bits === undefined ? most : Number(bits);
  if (clientPrefix <= most) return { client, clientPrefix };
  throw ntsError('NTS_ERR_USAGE', { what: `${text}: a prefix has ${most} bits at most` });
}

function nodeIn(
  named: string | null,
  { members }: Configuration,
  names: Names,
): Pick<FlowQuery, 'nodeId'> {
  if (named === null) return {};
  const found =
    members.find(({ nodeId }) => nodeName(nodeId, names) === named) ??
    members.find(({ nodeId }) => String(nodeId) === named);
  if (found) return { nodeId: found.nodeId };
  const known = members.map(({ nodeId }) => nodeName(nodeId, names)).join(', ');
  const what = `no member is called "${named}"; the members are ${known}`;
  throw ntsError('NTS_ERR_USAGE', { what });
}

// Listing

async function list(
  pages: AsyncIterable<readonly OneIpFlow[]>,
  limit: number,
  names: Names,
  context: Context,
): Promise<void> {
  const views: FlowView[] = [];
  let left = limit === 0 ? Infinity : limit;
  let more = false;
  listing: for await (const page of pages) {
    for (const flow of page) {
      if (left-- <= 0) {
        more = true;
        break listing;
      }
      const view = flowView(flow, names);
      if (context.json) context.item(view, () => '');
      else views.push(view);
    }
  }
  if (!context.json) context.result(views, () => flowTable(views, context));
  if (more) context.note(`only the first ${limit}; --limit 0 lists all, --count counts them`);
}

function flowTable(views: readonly FlowView[], { style }: Context): string {
  if (views.length === 0) return 'No such flow is known on this node.';
  const at = (address: string, port: number): string =>
    address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  const rows = views.map((view) => [
    view.protocol,
    at(view.client, view.clientPort),
    at(view.cluster, view.clusterPort),
    view.state,
    view.node.name,
    duration(BigInt(view.idleMs)),
  ]);
  return table(['PROTOCOL', 'CLIENT', 'ADDRESS', 'STATE', 'NODE', 'IDLE'], rows, style);
}

// Counting

async function countFlows(
  oneIp: OneIp,
  query: FlowQuery | null,
  configuration: Configuration,
  names: Names,
  context: Context,
): Promise<void> {
  if (query) {
    const counted = await countMatching(oneIp, query);
    const view = { ...counted, total: total(counted) };
    context.result(view, () => facts(countFacts(counted)));
    return;
  }
  const counts = await oneIp.flowCounts();
  const used = total(counts.all);
  const members = counts.members.map((count, i) => ({
    id: configuration.members[i]?.nodeId ?? 0,
    name: nodeName(configuration.members[i]?.nodeId ?? 0, names),
    ...count,
  }));
  const view = {
    ...counts.all,
    total: used,
    capacity: counts.capacity,
    bytes: counts.bytes,
    members,
  };
  context.result(view, () => {
    const part = Number(used) / Number(counts.capacity);
    const room = `${counts.capacity}, ${(100 * part).toFixed(1)}% used, ${(Number(counts.bytes) / 1e6).toFixed(1)} MB`;
    const rows = members.map(({ name, opening, established, closing }) =>
      [name, opening, established, closing].map(String),
    );
    const byMember = table(['MEMBER', 'OPENING', 'ESTABLISHED', 'CLOSING'], rows, context.style);
    return `${facts([...countFacts(counts.all), ['capacity', room]])}\n\n${byMember}`;
  });
}

async function countMatching(oneIp: OneIp, query: FlowQuery): Promise<OneIpFlowCount> {
  const counts = { opening: 0n, established: 0n, closing: 0n };
  for await (const page of oneIp.flows(query, untilInterrupted())) {
    for (const { state } of page) {
      if (state !== 0) counts[constantName(OneIpFlowState, state) as keyof OneIpFlowCount]++;
    }
  }
  return counts;
}

function countFacts(count: OneIpFlowCount): [string, string][] {
  return [
    ['flows', String(total(count))],
    ['opening', String(count.opening)],
    ['established', String(count.established)],
    ['closing', String(count.closing)],
  ];
}

// Files

async function exportFlows(
  oneIp: OneIp,
  query: FlowQuery,
  { clusterId, localNode }: Configuration,
  file: string,
  signal: AbortSignal,
  context: Context,
): Promise<void> {
  const header = {
    clusterId: Buffer.from(clusterId).toString('hex'),
    node: localNode,
    time: new Date().toISOString(),
  };
  const progress = new Progress();
  try {
    const written = await writeFlowFile(file, header, oneIp.flows(query, signal), (flows) =>
      progress.update(() => `${flows} flows written`),
    );
    progress.end();
    context.result(
      { file: path.resolve(file), flows: written },
      () => `${written} flows written to ${file}`,
    );
  } finally {
    progress.end();
  }
}

async function importFlows(file: string, context: Context): Promise<void> {
  const signal = untilInterrupted();
  const progress = new Progress();
  const sum = { imported: 0, unknown: 0, noRoom: 0 };
  try {
    await withOneIp(context, 'read-write', async (oneIp) => {
      const configuration = await inForce(oneIp);
      const here = new Set(configuration.addresses.map((address) => addressText(address)));
      const cancelled = (): void => {
        if (signal.aborted) throw ntsError('NTS_ERR_CANCELLED', { what: `import of ${file}` });
      };
      const read = await readFlowFile(
        file,
        ({ family, cluster }) => {
          const address = addressText({ family, address: cluster }) ?? '';
          return here.has(address) ? null : `${address} is no address of this cluster`;
        },
        (flows) => {
          cancelled();
          progress.update(() => `${flows} flows read`);
        },
      );
      const clusterId = Buffer.from(configuration.clusterId).toString('hex');
      if (read.header.clusterId !== clusterId) {
        const what = `${file}:1: these are flows of another cluster (${read.header.clusterId}, not ${clusterId}). Nothing was changed`;
        throw ntsError('NTS_ERR_FLOW_FILE', { what });
      }
      let done = 0;
      for (const batch of read.batches()) {
        cancelled();
        const { imported, unknown, noRoom } = await importBatch(oneIp, batch, file, done);
        sum.imported += imported;
        sum.unknown += unknown;
        sum.noRoom += noRoom;
        done += batch.length;
        progress.update(() => `${bar(done / read.count)} ${done} of ${read.count} flows imported`);
      }
    });
  } finally {
    progress.end();
  }
  context.result(sum, () => `${sum.imported} flows imported from ${file}`);
  if (sum.unknown > 0)
    context.warn(`${sum.unknown} flows are served by nodes that are no members, and were left out`);
  if (sum.noRoom > 0)
    context.warn(`${sum.noRoom} flows found no room; see flows.capacity in: ntswift oneip show`);
}

async function importBatch(
  oneIp: OneIp,
  batch: readonly OneIpFlow[],
  file: string,
  before: number,
): ReturnType<OneIp['importFlows']> {
  try {
    return await oneIp.importFlows(batch);
  } catch (error) {
    const refusal = refusalOf(error);
    if (!refusal || !(error instanceof Error)) throw error;
    const line = FIRST_FLOW_LINE + before + refusal.index;
    const what = `${file}:${line}: ${error.message}; ${before} flows before were imported`;
    throw ntsError('NTS_ERR_REFUSED', { what }, { cause: error });
  }
}
