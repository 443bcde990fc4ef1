/** What a node says of its port rules. */
import { constantName } from '../common/struct.js';
import type { FlowCounts } from './client.js';
import {
  OneIpAffinity,
  type OneIpFlowCount,
  type OneIpRule,
  OneIpRuleMode,
  type OneIpRuleStatus,
} from './codec.js';
import { type Names, type NodeRef, nodeRef } from './names.js';
import { RuleProtocol, rangeText, ruleText } from './port-rule.js';

export interface RuleView {
  /** Its place in the configuration, from 0; null: what no rule names. */
  readonly index: number | null;
  readonly protocol: string;
  readonly firstPort: number;
  readonly lastPort: number;
  readonly mode: string;
  readonly affinity: string | null;
  readonly owner: NodeRef | null;
  /** tcp 80-443 */
  readonly range: string;
  readonly text: string;
}

export interface FlowCountView {
  readonly opening: bigint;
  readonly established: bigint;
  readonly closing: bigint;
}

export interface RuleStatusView extends RuleView {
  /** Single: who serves it now. */
  readonly servedBy: NodeRef | null;
  readonly frames: bigint;
  readonly bytes: bigint;
  /** Since the rule is in force. */
  readonly flowsLearned: bigint;
  readonly dropped: bigint;
  /** Now; null where the rules changed while they were read. */
  readonly flows: FlowCountView | null;
}

export function ruleView(rule: OneIpRule, index: number, names: Names): RuleView {
  return {
    index,
    protocol: constantName(RuleProtocol, rule.protocol),
    firstPort: rule.firstPort,
    lastPort: rule.lastPort,
    mode: constantName(OneIpRuleMode, rule.mode),
    affinity: rule.affinity === 0 ? null : constantName(OneIpAffinity, rule.affinity),
    owner: nodeRef(rule.owner, names),
    range: rangeText(rule),
    text: ruleText(rule, names),
  };
}

/** What no rule names. */
function otherView({ affinity }: OneIpRule): RuleView {
  const shared = constantName(OneIpAffinity, affinity);
  return {
    index: null,
    protocol: 'both',
    firstPort: 0,
    lastPort: 0,
    mode: 'shared',
    affinity: shared,
    owner: null,
    range: 'all else',
    text: `all else, shared by ${shared}`,
  };
}

/** The driver's list: one for each rule, and last one for what no rule names. */
export function ruleStatusViews(
  statuses: readonly OneIpRuleStatus[],
  counts: FlowCounts | null,
  names: Names,
): RuleStatusView[] {
  const fits = counts?.rules.length === statuses.length;
  return statuses.map((status, i) => ({
    ...(i === statuses.length - 1 ? otherView(status.rule) : ruleView(status.rule, i, names)),
    servedBy: nodeRef(status.nodeId, names),
    frames: status.frames,
    bytes: status.bytes,
    flowsLearned: status.flows,
    dropped: status.dropped,
    flows: fits ? counts.rules[i]! : null,
  }));
}

export function total({ opening, established, closing }: OneIpFlowCount): bigint {
  return opening + established + closing;
}
