/** What a node says of itself, put together from its status, its configuration and the names we keep. */
import { formatIpv4, formatIpv6, formatMac, isZero } from '../common/address.js';
import { constantName } from '../common/struct.js';
import type { NodeStatus } from './client.js';
import {
  OneIpAdapterState,
  OneIpAffinity,
  OneIpBindRefusal,
  OneIpDispatch,
  OneIpDrop,
  type OneIpEvent,
  OneIpEventKind,
  type OneIpMember,
  type OneIpMemberStatus,
  OneIpRole,
  type OneIpStats,
} from './codec.js';
import type { Configuration } from './configuration.js';
import { type Names, type NodeRef, addressText, nodeName, nodeRef } from './names.js';
import { type RuleView, ruleView } from './rule-view.js';

export interface MemberView extends NodeRef {
  readonly local: boolean;
  readonly dispatcher: boolean;
  readonly alive: boolean;
  /** By its own word it serves no new client. */
  readonly draining: boolean;
  /** Since its last beacon; null: never heard, or this node. */
  readonly silentMs: number | null;
  readonly rank: number | null;
  readonly weight: number | null;
  readonly slots: number;
  readonly generation: bigint;
  readonly frames: bigint;
  readonly bytes: bigint;
  readonly mac: string | null;
  readonly ipv4: string | null;
  readonly ipv6: string | null;
}

export interface NodeView {
  readonly configured: boolean;
  readonly node: NodeRef | null;
  readonly role: string;
  readonly roleMilliseconds: bigint;
  readonly dispatcher: NodeRef | null;
  readonly epoch: { readonly counter: bigint; readonly node: number };
  readonly reservedCounter: bigint;
  readonly takeovers: bigint;
  readonly vetoed: boolean;
  readonly draining: boolean;
  readonly adapter: string;
  readonly generation: bigint;
  readonly clusterGeneration: bigint;
  /** Some member has a newer configuration, or another table. */
  readonly behind: boolean;
  readonly tableDigest: string;
  readonly eventSequence: bigint;
  readonly configuration: ConfigurationView | null;
  readonly members: readonly MemberView[];
}

export interface ConfigurationView {
  readonly clusterId: string;
  readonly addresses: readonly string[];
  readonly affinity: string;
  readonly dispatch: string;
  readonly beacon: {
    readonly ms: number;
    readonly silence: number;
    readonly announceSeconds: number;
  };
  /** Flows; and seconds. */
  readonly flows: {
    readonly capacity: number;
    readonly tcpIdle: number;
    readonly udpIdle: number;
    readonly opening: number;
    readonly closing: number;
  };
  readonly rules: readonly RuleView[];
}

const NEVER = 0xffffffff;

export function nodeView(
  status: NodeStatus,
  configuration: Configuration | null,
  names: Names,
): NodeView {
  return {
    configured: configuration !== null,
    node: nodeRef(status.localNode, names),
    role: constantName(OneIpRole, status.role),
    roleMilliseconds: status.roleMilliseconds,
    dispatcher: nodeRef(status.dispatcher, names),
    epoch: { counter: status.epoch.counter, node: status.epoch.nodeId },
    reservedCounter: status.reservedCounter,
    takeovers: status.takeovers,
    vetoed: status.vetoed !== 0,
    draining: status.draining !== 0,
    adapter: constantName(OneIpAdapterState, status.adapterState),
    generation: status.generation,
    clusterGeneration: status.clusterGeneration,
    behind: status.behind !== 0,
    tableDigest: status.tableDigest.toString(16).padStart(16, '0'),
    eventSequence: status.eventSequence,
    configuration: configuration && configurationView(configuration, names),
    members: status.members.map((member) => {
      const configured = configuration?.members.find(({ nodeId }) => nodeId === member.nodeId);
      return memberView(member, configured ?? null, status, names);
    }),
  };
}

function configurationView(configuration: Configuration, names: Names): ConfigurationView {
  return {
    clusterId: Buffer.from(configuration.clusterId).toString('hex'),
    addresses: configuration.addresses.map((address) => addressText(address) ?? ''),
    affinity: constantName(OneIpAffinity, configuration.affinity),
    dispatch: constantName(OneIpDispatch, configuration.dispatch),
    beacon: {
      ms: configuration.beaconMilliseconds,
      silence: configuration.silenceBeacons,
      announceSeconds: configuration.announceSeconds,
    },
    flows: {
      capacity: configuration.flowCapacity,
      tcpIdle: configuration.tcpIdleSeconds,
      udpIdle: configuration.udpIdleSeconds,
      opening: configuration.openingSeconds,
      closing: configuration.closingSeconds,
    },
    rules: configuration.rules.map((rule, index) => ruleView(rule, index, names)),
  };
}

function memberView(
  member: OneIpMemberStatus,
  configured: OneIpMember | null,
  status: NodeStatus,
  names: Names,
): MemberView {
  const local = member.nodeId === status.localNode;
  const text = (
    bytes: Uint8Array | undefined,
    format: (bytes: Uint8Array) => string,
  ): string | null => (bytes && !isZero(bytes) ? format(bytes) : null);
  return {
    id: member.nodeId,
    name: nodeName(member.nodeId, names),
    local,
    dispatcher: member.nodeId === status.dispatcher,
    alive: member.alive !== 0,
    draining: member.draining !== 0,
    silentMs: local || member.silentMs === NEVER ? null : member.silentMs,
    rank: configured?.rank ?? null,
    weight: configured?.weight ?? null,
    slots: member.slots,
    generation: member.generation,
    frames: member.frames,
    bytes: member.bytes,
    mac: text(configured?.mac, formatMac),
    ipv4: text(configured?.ipv4, formatIpv4),
    ipv6: text(configured?.ipv6, formatIpv6),
  };
}

export function statsView(stats: OneIpStats): Record<string, unknown> {
  const { dropReasons, drops } = stats;
  const counters = Object.entries(stats).filter(([, value]) => typeof value === 'bigint');
  const reasons = Object.entries(OneIpDrop).filter(([, value]) => value < dropReasons);
  return {
    ...Object.fromEntries(counters),
    drops: Object.fromEntries(reasons.map(([name, value]) => [name, drops[value] ?? 0n])),
  };
}

export interface EventView {
  readonly sequence: bigint;
  /** ISO 8601 */
  readonly time: string;
  readonly kind: string;
  readonly text: string;
  readonly node: NodeRef | null;
  readonly value: bigint | string;
  readonly epoch: { readonly counter: bigint; readonly node: number };
  readonly address: string | null;
  readonly mac: string | null;
}

/** 1601-01-01 to 1970-01-01, in units of 100 ns. */
const UNIX_EPOCH = 116_444_736_000_000_000n;

export function eventView(event: OneIpEvent, names: Names): EventView {
  const milliseconds = Number((event.systemTime - UNIX_EPOCH) / 10_000n);
  return {
    sequence: event.sequence,
    time: new Date(milliseconds).toISOString(),
    kind: constantName(OneIpEventKind, event.kind),
    text: eventText(event, names),
    node: nodeRef(event.node, names),
    value: eventValue(event),
    epoch: { counter: event.epoch.counter, node: event.epoch.nodeId },
    address: addressText(event.address),
    mac: isZero(event.mac) ? null : formatMac(event.mac),
  };
}

/** In words where it is a constant. */
function eventValue({ kind, value }: OneIpEvent): bigint | string {
  switch (kind) {
    case OneIpEventKind.role:
      return constantName(OneIpRole, Number(value));
    case OneIpEventKind.adapter:
      return constantName(OneIpAdapterState, Number(value));
    case OneIpEventKind.bindRefused:
      return constantName(OneIpBindRefusal, Number(value));
    default:
      return value;
  }
}

const BIND_REFUSALS: Readonly<Record<string, string>> = {
  'not-ethernet': 'it is not Ethernet',
  wifi: 'it is Wi-Fi',
  'team-member': 'it belongs to a team; bind the team instead',
  'virtual-switch': 'it belongs to a virtual switch',
  nlb: 'Network Load Balancing is bound to it',
};

function eventText(event: OneIpEvent, names: Names): string {
  const node = nodeName(event.node, names);
  const value = eventValue(event);
  const epoch = `epoch ${event.epoch.counter}/${event.epoch.nodeId}`;
  const mac = formatMac(event.mac);
  switch (event.kind) {
    case OneIpEventKind.role:
      return value === 'dispatcher'
        ? `this node is dispatcher now (${epoch})`
        : `this node's role is ${value} now`;
    case OneIpEventKind.dispatcher:
      return `${node} is dispatcher (${epoch})`;
    case OneIpEventKind.memberUp:
      return `${node} is up`;
    case OneIpEventKind.memberDown:
      return `${node} is down, silent for ${value} ms`;
    case OneIpEventKind.conflict:
      return `${mac} claims the cluster address ${addressText(event.address) ?? ''}`;
    case OneIpEventKind.behind:
      return `${node} has configuration ${value}, which this node has not, or with another table; apply it here`;
    case OneIpEventKind.config:
      return event.value === 0n
        ? 'the configuration was cleared'
        : `configuration ${value} is in force`;
    case OneIpEventKind.adapter:
      return `the adapter is ${value}`;
    case OneIpEventKind.bindRefused:
      return `adapter ${mac} was not bound: ${BIND_REFUSALS[String(value)] ?? value}`;
    case OneIpEventKind.beaconKey:
      return `${node} sends beacons of this cluster with another key`;
    case OneIpEventKind.stall:
      return `this node had not been running for ${value} ms`;
    case OneIpEventKind.drain:
      return event.value === 0n
        ? `${node} serves new clients again`
        : `${node} drains: it serves no new client`;
    case 0:
      return 'nothing';
  }
}
