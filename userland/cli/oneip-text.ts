/** ONE-IP for people: what the views look like as text. */
import { type RuleStatusView, total } from '../oneip/rule-view.js';
import type { MemberView, NodeView } from '../oneip/view.js';
import { type Style, facts, table } from './style.js';

export function nodeText(view: NodeView, style: Style): string {
  const { node, dispatcher, configuration, epoch } = view;
  const role = view.role === 'dispatcher' ? style.green('dispatcher') : style.bold(view.role);
  const entries: [string, string][] = [
    ['node', node ? `${style.bold(node.name)} (id ${node.id})` : 'not configured'],
    [
      'role',
      `${role} for ${duration(view.roleMilliseconds)}${view.vetoed ? style.yellow(', vetoed') : ''}${view.draining ? style.yellow(', draining') : ''}`,
    ],
    [
      'dispatcher',
      dispatcher ? `${dispatcher.name}, epoch ${epoch.counter}/${epoch.node}` : 'none is known',
    ],
    ['adapter', view.adapter === 'running' ? view.adapter : style.yellow(view.adapter)],
  ];
  if (configuration) {
    const { beacon, flows } = configuration;
    entries.push(
      [
        'generation',
        view.behind
          ? style.yellow(`${view.generation}, behind ${view.clusterGeneration}`)
          : `${view.generation}`,
      ],
      ['addresses', configuration.addresses.join(', ')],
      ['rules', `affinity ${configuration.affinity}, dispatch ${configuration.dispatch}`],
      ...configuration.rules.map(({ text }, i): [string, string] => [i === 0 ? 'ports' : '', text]),
      [
        'flows',
        `${flows.capacity} at most; idle limits: TCP ${flows.tcpIdle} s, UDP ${flows.udpIdle} s, opening ${flows.opening} s, closing ${flows.closing} s`,
      ],
      [
        'beacon',
        `every ${beacon.ms} ms, ${beacon.silence} missed promote the next, announced every ${beacon.announceSeconds} s`,
      ],
      ['table', view.tableDigest],
    );
  }
  const text = facts(entries);
  return configuration ? `${text}\n\n${memberTable(view, style)}` : text;
}

export function memberTable({ members }: NodeView, style: Style): string {
  const rows = members.map((member) => [
    member.name + (member.local ? ' (this)' : ''),
    String(member.id),
    stateText(member, style),
    member.dispatcher ? 'dispatcher' : '',
    String(member.rank ?? '-'),
    String(member.weight ?? '-'),
    String(member.slots),
    String(member.generation),
    String(member.frames),
    String(member.bytes),
    [member.ipv4, member.ipv6].filter(Boolean).join(' '),
  ]);
  const headings = [
    'MEMBER',
    'ID',
    'STATE',
    'ROLE',
    'RANK',
    'WEIGHT',
    'SLOTS',
    'GENERATION',
    'FRAMES',
    'BYTES',
    'ADDRESS',
  ];
  return table(headings, rows, style);
}

function stateText({ alive, draining, silentMs, local }: MemberView, style: Style): string {
  if (alive && draining) return style.yellow('draining');
  if (alive) return style.green('alive');
  if (silentMs === null) return style.red(local ? 'down' : 'never heard');
  return style.red(`silent ${duration(BigInt(silentMs))}`);
}

export function ruleTable(rules: readonly RuleStatusView[], style: Style): string {
  const rows = rules.map((rule) => [
    rule.index === null ? '-' : String(rule.index + 1),
    rule.range,
    servedText(rule, style),
    String(rule.frames),
    String(rule.bytes),
    rule.flows ? String(total(rule.flows)) : '-',
    String(rule.flowsLearned),
    String(rule.dropped),
  ]);
  const headings = ['RULE', 'PORTS', 'SERVED BY', 'FRAMES', 'BYTES', 'FLOWS', 'LEARNED', 'DROPPED'];
  return table(headings, rows, style);
}

function servedText(rule: RuleStatusView, style: Style): string {
  switch (rule.mode) {
    case 'blocked':
      return style.red('nobody: blocked');
    case 'single': {
      const owner = rule.owner?.name ?? '';
      if (!rule.servedBy) return style.red(`nobody: ${owner} is down`);
      const stand = rule.servedBy.id === rule.owner?.id ? '' : style.yellow(`, for ${owner}`);
      return rule.servedBy.name + stand;
    }
    default:
      return `all, by ${rule.affinity ?? ''}`;
  }
}

export function statsText(view: Record<string, unknown>): string {
  const { drops, ...counters } = view;
  const lines = [
    ...Object.entries(counters),
    ...Object.entries(drops as Record<string, unknown>).map(
      ([name, count]) => [`dropped: ${name}`, count] as const,
    ),
  ];
  return facts(lines.map(([name, count]) => [words(name), String(count)]));
}

/** framesForwarded -> frames forwarded */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`);
}

export function duration(milliseconds: bigint): string {
  const ms = Number(milliseconds);
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
