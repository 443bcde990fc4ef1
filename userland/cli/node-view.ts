/** This node and the others, for --json and for people. */
import { isNtsError, messageOf } from '../common/errors.js';
import { CLOCK_TOLERANCE } from '../node/clock.js';
import type { LocalNode } from '../node/local-node.js';
import { NodeClient } from '../node/node-client.js';
import type { PeerStatus } from '../node/node-protocol.js';
import { type Style, facts, table } from './style.js';

export interface OwnView {
  readonly node: string;
  readonly id: string;
  readonly cluster: string;
  /** SHA-256 of the CA's certificate. */
  readonly fingerprint: string;
  readonly address: string;
  readonly certificate: { readonly serial: string; readonly from: string; readonly until: string };
  /** Whether it holds the CA's key. */
  readonly authority: boolean;
  readonly removed: boolean;
  readonly listVersion: number;
  readonly nodes: number;
  readonly state: string;
}

const iso = (time: number): string => new Date(time).toISOString();

export async function ownView(local: LocalNode): Promise<OwnView> {
  const { identity, cluster, membership } = local;
  return {
    node: local.name,
    id: local.id,
    cluster: cluster.name,
    fingerprint: cluster.fingerprint,
    address: local.address,
    certificate: {
      serial: identity.serial,
      from: iso(identity.notBefore),
      until: iso(identity.notAfter),
    },
    authority: (await local.loadCa()) !== null,
    removed: membership.isRemoved(local.id),
    listVersion: membership.content.version,
    nodes: membership.content.nodes.length,
    state: local.folder.state,
  };
}

export function ownText(view: OwnView, style: Style): string {
  return facts([
    ['node', style.bold(view.node) + (view.removed ? style.red(' (removed)') : '')],
    ['address', view.address],
    ['cluster', `${view.cluster}, ${view.nodes} nodes (list ${view.listVersion})`],
    ['fingerprint', view.fingerprint],
    ['certificate', `until ${view.certificate.until}`],
    ["CA's key", view.authority ? 'here' : 'not here'],
    ['state', view.state],
  ]);
}

export interface PeerView {
  readonly node: string;
  readonly address: string;
  readonly answers: boolean;
  /** NTS_ERR_... and why, where it does not answer. */
  readonly code: string | null;
  readonly error: string | null;
  readonly milliseconds: number | null;
  readonly clockDifference: number | null;
  readonly status: PeerStatus | null;
}

/** Asks a node how it is, and compares the lists of nodes with it. */
export async function askPeer(local: LocalNode, node: string): Promise<PeerView> {
  const address = local.membership.byName(node)?.address ?? '';
  const begun = performance.now();
  try {
    return await NodeClient.with(local, node, async (client) => {
      const milliseconds = Math.round(performance.now() - begun);
      await client.exchange();
      const status = await client.status();
      const { clockDifference } = client.channel.peer;
      const none = { code: null, error: null };
      return { node, address, answers: true, ...none, milliseconds, clockDifference, status };
    });
  } catch (error) {
    if (isNtsError(error, 'NTS_ERR_UNKNOWN_NODE')) throw error;
    const code = isNtsError(error) ? error.code : 'NTS_ERR_INTERNAL';
    const none = { milliseconds: null, clockDifference: null, status: null };
    return { node, address, answers: false, code, error: messageOf(error), ...none };
  }
}

export function peersText(peers: readonly PeerView[], style: Style): string {
  const rows = peers.map((peer) => {
    const { node, address, answers, milliseconds, status } = peer;
    return [
      node,
      address,
      answers ? style.green('answers') : style.red('no answer'),
      milliseconds === null ? '-' : `${milliseconds} ms`,
      clockText(peer, style),
      status ? iso(status.expires).slice(0, 10) : '-',
      status ? String(status.listVersion) : '-',
      status ? servicesText(status, style) : '',
    ];
  });
  const headings = ['NODE', 'ADDRESS', 'STATE', 'TIME', 'CLOCK', 'EXPIRES', 'LIST', 'SERVICES'];
  const reasons = peers.flatMap(({ error }) => (error === null ? [] : [error]));
  return [table(headings, rows, style), ...reasons].join('\n');
}

function clockText({ clockDifference }: PeerView, style: Style): string {
  if (clockDifference === null) return '-';
  const text = `${clockDifference >= 0 ? '+' : ''}${(clockDifference / 1000).toFixed(1)} s`;
  return Math.abs(clockDifference) > CLOCK_TOLERANCE ? style.red(text) : text;
}

function servicesText({ services }: PeerStatus, style: Style): string {
  return services
    .map(({ name, state }) => (state === 'running' ? name : style.yellow(`${name} (${state})`)))
    .join(', ');
}
