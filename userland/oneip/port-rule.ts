/** Port rules: what they say, as files write them and as people read them. */
import { constantName } from '../common/struct.js';
import { OneIpAffinity, type OneIpRule, OneIpRuleMode } from './codec.js';
import { type Names, nodeName } from './names.js';

/** What a rule's Protocol says. */
export const RuleProtocol = { both: 0, tcp: 6, udp: 17 } as const;
export type RuleProtocol = (typeof RuleProtocol)[keyof typeof RuleProtocol];

export const MAX_PORT = 0xffff;

/** Inclusive, in host byte order. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** "80" or "80-443". */
export function parsePorts(text: string): PortRange | null {
  const match = /^(\d{1,5})(?:\s*-\s*(\d{1,5}))?$/.exec(text);
  if (!match) return null;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= MAX_PORT ? { first, last } : null;
}

type Range = Pick<OneIpRule, 'protocol' | 'firstPort' | 'lastPort'>;

/** Some frame is named by both. */
export function overlap(a: Range, b: Range): boolean {
  const protocols = a.protocol === b.protocol || a.protocol === 0 || b.protocol === 0;
  return protocols && a.firstPort <= b.lastPort && b.firstPort <= a.lastPort;
}

export function portsText({ firstPort, lastPort }: Range): string {
  return firstPort === lastPort ? String(firstPort) : `${firstPort}-${lastPort}`;
}

/** tcp 80-443 */
export function rangeText(rule: Range): string {
  const protocol = constantName(RuleProtocol, rule.protocol);
  return `${protocol === 'both' ? 'tcp+udp' : protocol} ${portsText(rule)}`;
}

/** What happens to the frames that it names. */
export function modeText(rule: OneIpRule, names: Names): string {
  switch (rule.mode) {
    case OneIpRuleMode.blocked:
      return 'blocked';
    case OneIpRuleMode.single:
      return `single ${nodeName(rule.owner, names)}`;
    case OneIpRuleMode.shared:
    case 0:
      return `shared by ${constantName(OneIpAffinity, rule.affinity)}`;
  }
}

export function ruleText(rule: OneIpRule, names: Names): string {
  return `${rangeText(rule)}, ${modeText(rule, names)}`;
}

/** Two rules with the same key are the same rule, at whatever place. */
export function ruleKey(rule: OneIpRule): string {
  const { protocol, firstPort, lastPort, mode, affinity, owner } = rule;
  return [protocol, firstPort, lastPort, mode, affinity, owner].join(' ');
}
