/** A cluster file out of what is in force: for a new node, which must dispatch as the others do. */
import { deflateSync } from 'node:zlib';
import { formatIpv4, formatIpv6, formatMac, isZero } from '../common/address.js';
import { constantName } from '../common/struct.js';
import { OneIpAffinity, OneIpDispatch, type OneIpRule, OneIpRuleMode } from './codec.js';
import type { Configuration } from './configuration.js';
import { type Names, addressText, nodeName } from './names.js';
import { RuleProtocol, portsText } from './port-rule.js';

const WIDTH = 96;

export function exportCluster(
  configuration: Configuration,
  names: Names,
  withKey: boolean,
): string {
  const hex = (bytes: Uint8Array): string => `'${Buffer.from(bytes).toString('hex')}'`;
  const lines = [
    '# Written by: ntswift oneip show --export',
    `clusterId: ${hex(configuration.clusterId)}`,
    `generation: ${configuration.generation}`,
    'addresses:',
    ...configuration.addresses.map((address) => `  - ${quoted(addressText(address) ?? '')}`),
    'members:',
    ...configuration.members.flatMap((member) => [
      `  - id: ${member.nodeId}`,
      `    name: ${nodeName(member.nodeId, names)}`,
      `    rank: ${member.rank}`,
      `    weight: ${member.weight}`,
      `    mac: ${quoted(formatMac(member.mac))}`,
      ...(isZero(member.ipv4) ? [] : [`    ipv4: ${formatIpv4(member.ipv4)}`]),
      ...(isZero(member.ipv6) ? [] : [`    ipv6: ${quoted(formatIpv6(member.ipv6))}`]),
    ]),
    'rules:',
    `  affinity: ${constantName(OneIpAffinity, configuration.affinity)}`,
    `  dispatch: ${constantName(OneIpDispatch, configuration.dispatch)}`,
    ...(configuration.rules.length > 0
      ? ['  ports:', ...configuration.rules.map((rule) => `    - ${portRule(rule, names)}`)]
      : []),
    'flows:',
    `  capacity: ${configuration.flowCapacity}`,
    `  tcpIdle: ${configuration.tcpIdleSeconds}`,
    `  udpIdle: ${configuration.udpIdleSeconds}`,
    `  opening: ${configuration.openingSeconds}`,
    `  closing: ${configuration.closingSeconds}`,
    'beacon:',
    `  ms: ${configuration.beaconMilliseconds}`,
    `  silence: ${configuration.silenceBeacons}`,
    `  announceSeconds: ${configuration.announceSeconds}`,
    withKey
      ? `  key: ${hex(configuration.beaconKey)}`
      : "  # key: the cluster's, which was left out; or keyFile (see --with-key)",
    `hashKey: ${hex(configuration.hashKey)}`,
    ...(configuration.dispatch === OneIpDispatch.table
      ? [...slots('table', configuration.table), ...slots('past', configuration.past)]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

function portRule(rule: OneIpRule, names: Names): string {
  const protocol = constantName(RuleProtocol, rule.protocol);
  const range = `protocol: ${protocol}, ports: ${portsText(rule)}`;
  switch (rule.mode) {
    case OneIpRuleMode.blocked:
      return `{ ${range}, blocked: true }`;
    case OneIpRuleMode.single:
      return `{ ${range}, single: ${nodeName(rule.owner, names)} }`;
    case OneIpRuleMode.shared:
    case 0:
      return `{ ${range}, affinity: ${constantName(OneIpAffinity, rule.affinity)} }`;
  }
}

function slots(key: string, table: Uint8Array | null): string[] {
  if (!table) return [];
  return [`${key}: |`, ...wrapped(deflateSync(table, { level: 9 }).toString('base64'))];
}

/** A colon means something to YAML. */
function quoted(text: string): string {
  return text.includes(':') ? `'${text}'` : text;
}

function wrapped(text: string): string[] {
  return (text.match(new RegExp(`.{1,${WIDTH}}`, 'g')) ?? []).map((line) => `  ${line}`);
}
