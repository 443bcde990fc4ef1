/** Why the driver refused, in words: a sentence for every ONEIP_REASON, and the place in the file. */
import { formatIpv4, formatIpv6, formatMac } from '../common/address.js';
import { NtsError, ntsError } from '../common/errors.js';
import { constantName } from '../common/struct.js';
import type { Path } from '../common/yaml.js';
import type { ClusterFile, ClusterMember } from './cluster-file.js';
import {
  ONEIP_CONTRACT_VERSION,
  ONEIP_MAX_ADDRESSES,
  ONEIP_MAX_ANNOUNCE_SECONDS,
  ONEIP_MAX_BEACON_MS,
  ONEIP_MAX_FLOWS,
  ONEIP_MAX_IDLE_SECONDS,
  ONEIP_MAX_MEMBERS,
  ONEIP_MAX_RULES,
  ONEIP_MAX_SILENCE_BEACONS,
  ONEIP_MAX_WEIGHT,
  ONEIP_MIN_BEACON_MS,
  ONEIP_MIN_FLOWS,
  ONEIP_MIN_SILENCE_BEACONS,
  ONEIP_TABLE_SLOTS,
  OneIpIoctl,
  OneIpReason,
  type OneIpRefusal,
  type OneIpRule,
} from './codec.js';
import { rangeText } from './port-rule.js';

/** What is known beyond the refusal itself. */
export interface RefusalContext {
  readonly cluster?: ClusterFile | null;
  /** In force before the refused request; null where that is not known. */
  readonly presentGeneration?: bigint | null;
}

interface Explanation {
  readonly text: string;
  /** Where in the cluster file. */
  readonly at?: Path;
}

type Explain = (index: number, context: RefusalContext) => Explanation;

const plain =
  (text: string): Explain =>
  () => ({ text });

const inFile =
  (text: string, ...at: Path): Explain =>
  () => ({ text, at });

function ofMember(key: string, text: (member: ClusterMember) => string): Explain {
  return (index, { cluster }) => {
    const member = cluster?.members[index];
    const subject = member ? `member "${member.name}" (id ${member.id})` : `member ${index + 1}`;
    const at = ['members', index, ...(key ? [key] : [])];
    return {
      text: member ? `${subject}: ${text(member)}` : `${subject}: its ${key} is refused`,
      at,
    };
  };
}

function ofAddress(text: string): Explain {
  return (index, { cluster }) => {
    const address = cluster?.addresses[index];
    const subject = address ? `cluster address ${address.text}` : `cluster address ${index + 1}`;
    return { text: `${subject} ${text}`, at: ['addresses', index] };
  };
}

function ofRule(key: string, text: (rule: OneIpRule | undefined) => string): Explain {
  return (index, { cluster }) => {
    const rule = cluster?.rules[index];
    const subject = rule ? `port rule ${index + 1} (${rangeText(rule)})` : `port rule ${index + 1}`;
    return { text: `${subject}: ${text(rule)}`, at: ['rules', 'ports', index, key] };
  };
}

const mismatch =
  'the driver and this program do not fit together; install the driver of this release';

const explanations: Readonly<Record<OneIpReason, Explain>> = {
  [OneIpReason.none]: plain('the driver gives no reason'),
  [OneIpReason.inputTooShort]: plain(`the request is shorter than the driver expects: ${mismatch}`),
  [OneIpReason.outputTooShort]: plain(`the answer does not fit in the buffer: ${mismatch}`),
  [OneIpReason.version]: plain(
    `the driver's contract is not version ${ONEIP_CONTRACT_VERSION}: ${mismatch}`,
  ),
  [OneIpReason.size]: plain(`the lengths in the request contradict each other: ${mismatch}`),
  [OneIpReason.reserved]: plain(`the request sets bytes that the driver reserves: ${mismatch}`),
  [OneIpReason.generation]: (_, { cluster, presentGeneration }) => ({
    text:
      presentGeneration == null
        ? 'the generation is not above the one in force; raise it with every change'
        : `generation ${cluster?.generation ?? ''} is not above ${presentGeneration}, which is in force with another content; set it to ${presentGeneration + 1n} or more, on all nodes`,
    at: ['generation'],
  }),
  [OneIpReason.beaconKey]: inFile(
    'the beacon key is all zero; make one: openssl rand -hex 16',
    'beacon',
    'key',
  ),
  [OneIpReason.beaconInterval]: inFile(
    `the beacon interval must be ${ONEIP_MIN_BEACON_MS} to ${ONEIP_MAX_BEACON_MS} ms`,
    'beacon',
    'ms',
  ),
  [OneIpReason.silence]: inFile(
    `the silence must be ${ONEIP_MIN_SILENCE_BEACONS} to ${ONEIP_MAX_SILENCE_BEACONS} beacons`,
    'beacon',
    'silence',
  ),
  [OneIpReason.announce]: inFile(
    `the address must be announced every 1 to ${ONEIP_MAX_ANNOUNCE_SECONDS} seconds`,
    'beacon',
    'announceSeconds',
  ),
  [OneIpReason.affinity]: inFile('the affinity is not known to the driver', 'rules', 'affinity'),
  [OneIpReason.dispatch]: inFile('the dispatch is not known to the driver', 'rules', 'dispatch'),
  [OneIpReason.addressCount]: inFile(
    `a cluster has 1 to ${ONEIP_MAX_ADDRESSES} addresses`,
    'addresses',
  ),
  [OneIpReason.address]: ofAddress('is not a unicast address'),
  [OneIpReason.addressTwice]: ofAddress('is listed twice; remove one'),
  [OneIpReason.memberCount]: inFile(`a cluster has 1 to ${ONEIP_MAX_MEMBERS} members`, 'members'),
  [OneIpReason.nodeId]: ofMember(
    'id',
    ({ id }) => `its id ${id} is reserved or taken by another; give each node its own`,
  ),
  [OneIpReason.rank]: ofMember(
    'rank',
    ({ rank }) => `its rank ${rank} is that of another member; give each its own`,
  ),
  [OneIpReason.weight]: ofMember(
    'weight',
    ({ weight }) => `its weight ${weight} is above ${ONEIP_MAX_WEIGHT}`,
  ),
  [OneIpReason.mac]: ofMember(
    'mac',
    ({ mac }) =>
      `its MAC address ${formatMac(mac)} is not a unicast one, or that of another member`,
  ),
  [OneIpReason.memberAddress]: ofMember('', ({ ipv4, ipv6 }) => {
    const own = [ipv4 && formatIpv4(ipv4), ipv6 && formatIpv6(ipv6)].filter(Boolean).join(' and ');
    return `its own address (${own || 'none'}) is missing for a family of the cluster, no unicast address, a cluster address, or that of another member`;
  }),
  [OneIpReason.localNode]: plain(
    'this machine is not among the members; name it by --node or add it to the file',
  ),
  [OneIpReason.noWeight]: inFile(
    'every member has weight 0, so none would serve; give one a weight',
    'members',
  ),
  [OneIpReason.table]: (index, { cluster }) => ({
    text:
      index < (cluster?.members.length ?? 0)
        ? `the table does not fit the weights: the share of member "${cluster?.members[index]?.name}" is off by more than one slot in a hundred, or slot ${index} belongs to a member without weight; remove the table, or export it again`
        : `slot ${index} of ${ONEIP_TABLE_SLOTS} belongs to a member without weight; remove the table, or export it again`,
    at: ['table'],
  }),
  [OneIpReason.notConfigured]: plain(
    'no configuration is in force on this node; run: ntswift oneip apply FILE',
  ),
  [OneIpReason.vetoed]: plain(
    'this node may not become dispatcher; lift that by: ntswift oneip veto off',
  ),
  [OneIpReason.noAdapter]: plain(
    "the adapter with this node's MAC address is absent, paused or disconnected; see: ntswift node",
  ),
  [OneIpReason.epochNotDurable]: plain(
    'the number of the new term could not be written to disk, without which it must not be used; see to the disk of the registry',
  ),
  [OneIpReason.tooManyWaiters]: plain('too many programs wait for events; end some of them'),
  [OneIpReason.value]: plain('a value is out of range'),
  [OneIpReason.unknownIoctl]: plain(`the driver does not know this request: ${mismatch}`),
  [OneIpReason.noMemory]: plain('the driver found no memory for it; nothing was changed'),
  [OneIpReason.ruleCount]: inFile(
    `a cluster has ${ONEIP_MAX_RULES} port rules at most`,
    'rules',
    'ports',
  ),
  [OneIpReason.rule]: ofRule(
    'ports',
    () =>
      'its protocol, ports, mode or affinity is not known to the driver, or its range ends before it begins',
  ),
  [OneIpReason.ruleOwner]: ofRule('single', (rule) =>
    rule?.owner
      ? `node ${rule.owner}, which serves it alone, is no member`
      : 'its owner is no member, or is named where the mode is not single',
  ),
  [OneIpReason.ruleOverlap]: ofRule(
    'ports',
    () => 'its ports overlap those of an earlier rule; each port of a protocol has one rule',
  ),
  [OneIpReason.flowCapacity]: inFile(
    `the capacity must be ${ONEIP_MIN_FLOWS} to ${ONEIP_MAX_FLOWS} flows`,
    'flows',
    'capacity',
  ),
  [OneIpReason.idle]: inFile(
    `the times of flows must be 1 to ${ONEIP_MAX_IDLE_SECONDS} seconds`,
    'flows',
  ),
  [OneIpReason.pastTable]: (index) => ({
    text: `slot ${index} of the past table belongs to no member, or there is no table beside it; remove the past table, or export both again`,
    at: ['past'],
  }),
  [OneIpReason.flow]: (index) => ({
    text: `flow ${index + 1} is not one of TCP or UDP between a client and a cluster address, in a known state`,
  }),
};

/** Requests for which a reason means something else than for SET_CONFIG. */
const elsewhere: Readonly<Partial<Record<number, Partial<Record<OneIpReason, string>>>>> = {
  [OneIpIoctl.lookup]: {
    [OneIpReason.address]:
      'the second address must be one of the cluster, and the first of the same family',
  },
  [OneIpIoctl.getFlows]: {
    [OneIpReason.address]: 'the addresses asked for must be of one family',
    [OneIpReason.value]:
      'the prefix, protocol or state asked for is not known to the driver, or the flow table was made anew while it was read; ask again',
  },
};

export interface RefusalFacts {
  readonly reason: OneIpReason;
  readonly index: number;
  /** Control code of the refused request; default SET_CONFIG. */
  readonly ioctl?: number;
}

export function explainRefusal(refusal: RefusalFacts, context: RefusalContext = {}): string {
  const other = elsewhere[refusal.ioctl ?? OneIpIoctl.setConfig]?.[refusal.reason];
  if (other) return other;
  const { text, at } = explanations[refusal.reason](refusal.index, context);
  return at && context.cluster ? `${context.cluster.locate(at)}: ${text}` : text;
}

/** What the driver said when it refused; carried by NTS_ERR_REFUSED as its facts. */
export function refusedError(refusal: OneIpRefusal, cause: NtsError): NtsError {
  return ntsError(
    'NTS_ERR_REFUSED',
    { what: `refused by the driver: ${explainRefusal(refusal)}` },
    {
      cause,
      ntstatus: cause.ntstatus,
      facts: {
        reason: constantName(OneIpReason, refusal.reason),
        index: refusal.index,
        request: constantName(OneIpIoctl, refusal.ioctl),
      },
    },
  );
}

/** The refusal behind an error, for whoever can explain it better. */
export function refusalOf(error: unknown): { reason: OneIpReason; index: number } | null {
  if (!(error instanceof NtsError) || error.code !== 'NTS_ERR_REFUSED') return null;
  const { reason, index } = error.facts;
  const value = Object.values(OneIpReason).find((r) => constantName(OneIpReason, r) === reason);
  return value === undefined ? null : { reason: value, index: Number(index) };
}
