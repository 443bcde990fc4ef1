/** What happens on a node now: two samples of its counters, and the rates between them. */
import { constantName } from '../common/struct.js';
import type { FlowCounts, NodeStatus, OneIp } from './client.js';
import {
  OneIpDrop,
  type OneIpFlowCount,
  OneIpRole,
  type OneIpRuleStatus,
  type OneIpStats,
} from './codec.js';
import { type Names, type NodeRef, nodeName, nodeRef } from './names.js';
import { ruleKey } from './port-rule.js';
import { ruleStatusViews, total } from './rule-view.js';

export interface Sample {
  /** Milliseconds of a clock that does not jump. */
  readonly at: number;
  readonly status: NodeStatus;
  readonly stats: OneIpStats;
  /** null and none where nothing is configured. */
  readonly counts: FlowCounts | null;
  readonly rules: readonly OneIpRuleStatus[];
}

export async function sample(oneIp: OneIp): Promise<Sample> {
  const [status, stats] = await Promise.all([oneIp.status(), oneIp.stats()]);
  const at = performance.now();
  if (status.generation === 0n) return { at, status, stats, counts: null, rules: [] };
  const [counts, rules] = await Promise.all([oneIp.flowCounts(), oneIp.rules()]);
  return { at, status, stats, counts, rules };
}

export interface TopMember extends NodeRef {
  readonly alive: boolean;
  readonly draining: boolean;
  readonly dispatcher: boolean;
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
  /** null where the members changed between two requests. */
  readonly flows: bigint | null;
}

export interface TopRule {
  readonly index: number | null;
  readonly text: string;
  readonly servedBy: NodeRef | null;
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly droppedPerSecond: number;
  readonly flows: bigint | null;
}

export interface TopView {
  /** ISO 8601 */
  readonly time: string;
  /** That the rates are of. */
  readonly seconds: number;
  readonly node: NodeRef | null;
  readonly role: string;
  readonly dispatcher: NodeRef | null;
  readonly draining: boolean;
  readonly vetoed: boolean;
  readonly generation: bigint;
  readonly behind: boolean;
  readonly indicatedPerSecond: number;
  readonly passedPerSecond: number;
  readonly forwardedPerSecond: number;
  readonly bytesForwardedPerSecond: number;
  readonly droppedPerSecond: number;
  readonly flows: {
    readonly opening: bigint;
    readonly established: bigint;
    readonly closing: bigint;
    readonly capacity: bigint;
    /** Used part of the capacity, 0 to 1. */
    readonly fill: number;
    readonly bytes: bigint;
    readonly hitsPerSecond: number;
    readonly learnedPerSecond: number;
    readonly evictedPerSecond: number;
    readonly unlearnedPerSecond: number;
  } | null;
  readonly members: readonly TopMember[];
  readonly rules: readonly TopRule[];
  /** By reason, those that happened. */
  readonly drops: Readonly<Record<string, number>>;
}

export function topView(before: Sample, after: Sample, names: Names): TopView {
  const seconds = (after.at - before.at) / 1000;
  // A counter that begins anew, with a new configuration, is not negative.
  const rate = (old: bigint | undefined, now: bigint): number => {
    const increase = old === undefined || old > now ? now : now - old;
    return seconds > 0 ? Number(increase) / seconds : 0;
  };
  const { status, stats } = after;
  const counter = (key: CounterKey): number => rate(before.stats[key], stats[key]);
  const drops = Object.entries(OneIpDrop)
    .filter(([, reason]) => reason < stats.dropReasons)
    .map(
      ([name, reason]) => [name, rate(before.stats.drops[reason], stats.drops[reason]!)] as const,
    );
  return {
    time: new Date().toISOString(),
    seconds,
    node: nodeRef(status.localNode, names),
    role: constantName(OneIpRole, status.role),
    dispatcher: nodeRef(status.dispatcher, names),
    draining: status.draining !== 0,
    vetoed: status.vetoed !== 0,
    generation: status.generation,
    behind: status.behind !== 0,
    indicatedPerSecond: counter('framesIndicated'),
    passedPerSecond: counter('framesPassed'),
    forwardedPerSecond: counter('framesForwarded'),
    bytesForwardedPerSecond: counter('bytesForwarded'),
    droppedPerSecond: drops.reduce((sum, [, dropped]) => sum + dropped, 0),
    flows: after.counts && {
      opening: after.counts.all.opening,
      established: after.counts.all.established,
      closing: after.counts.all.closing,
      capacity: after.counts.capacity,
      fill: Number(total(after.counts.all)) / Number(after.counts.capacity),
      bytes: after.counts.bytes,
      hitsPerSecond: counter('flowHits'),
      learnedPerSecond: counter('flowsLearned'),
      evictedPerSecond: counter('flowsEvicted'),
      unlearnedPerSecond: counter('flowsUnlearned'),
    },
    members: membersIn(before, after, rate, names),
    rules: rulesIn(before, after, rate, names),
    drops: Object.fromEntries(drops.filter(([, dropped]) => dropped > 0)),
  };
}

type CounterKey = {
  [K in keyof OneIpStats]: OneIpStats[K] extends bigint ? K : never;
}[keyof OneIpStats];

type Rate = (old: bigint | undefined, now: bigint) => number;

const totalOf = (count: OneIpFlowCount | undefined): bigint | null => (count ? total(count) : null);

function membersIn(before: Sample, after: Sample, rate: Rate, names: Names): TopMember[] {
  const { status, counts } = after;
  const old = new Map(before.status.members.map((member) => [member.nodeId, member]));
  const fits = counts?.members.length === status.members.length;
  return status.members.map((member, i) => ({
    id: member.nodeId,
    name: nodeName(member.nodeId, names),
    alive: member.alive !== 0,
    draining: member.draining !== 0,
    dispatcher: member.nodeId === status.dispatcher,
    framesPerSecond: rate(old.get(member.nodeId)?.frames, member.frames),
    bytesPerSecond: rate(old.get(member.nodeId)?.bytes, member.bytes),
    flows: fits ? totalOf(counts.members[i]) : null,
  }));
}

function rulesIn(before: Sample, after: Sample, rate: Rate, names: Names): TopRule[] {
  // The last is what no rule names, whatever its affinity is.
  const keyed = (statuses: readonly OneIpRuleStatus[]): string[] =>
    statuses.map(({ rule }, i) => (i === statuses.length - 1 ? '' : ruleKey(rule)));
  const keysBefore = keyed(before.rules);
  const keys = keyed(after.rules);
  return ruleStatusViews(after.rules, after.counts, names).map((view, i) => {
    const earlier = before.rules[keysBefore.indexOf(keys[i]!)];
    return {
      index: view.index,
      text: view.text,
      servedBy: view.servedBy,
      framesPerSecond: rate(earlier?.frames, view.frames),
      bytesPerSecond: rate(earlier?.bytes, view.bytes),
      droppedPerSecond: rate(earlier?.dropped, view.dropped),
      flows: view.flows && total(view.flows),
    };
  });
}
