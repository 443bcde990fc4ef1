/** ntswift oneip top: what happens now, drawn anew in each interval. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ntsError } from '../common/errors.js';
import { type Sample, type TopView, sample, topView } from '../oneip/top.js';
import type { Context } from './context.js';
import { untilInterrupted } from './interrupt.js';
import { storedNames, withOneIp } from './oneip-access.js';
import { bar } from './progress.js';
import { type Style, facts, table } from './style.js';

const SHORTEST = 0.1;
const LONGEST = 3600;

/** The alternate screen, without a cursor; and back. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

export async function top(
  values: { interval: string; count: number | null },
  context: Context,
): Promise<void> {
  const milliseconds = 1000 * secondsOf(values.interval);
  const count = values.count ?? Infinity;
  if (count < 1) throw ntsError('NTS_ERR_USAGE', { what: '--count takes a number from 1' });
  const signal = untilInterrupted();
  await withOneIp(context, 'read', async (oneIp) => {
    const screen = context.json || !process.stdout.isTTY ? null : new Screen();
    try {
      const names = storedNames();
      let before: Sample = await sample(oneIp);
      for (let shown = 0; shown < count; shown++) {
        await sleep(milliseconds, null, { signal }).catch(() => {
          throw ntsError('NTS_ERR_CANCELLED', { what: 'top' });
        });
        const after = await sample(oneIp);
        const view = topView(before, after, names);
        before = after;
        if (screen) screen.draw(topText(view, context.style));
        else context.object(view);
      }
    } finally {
      screen?.leave();
    }
  });
}

function secondsOf(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (seconds >= SHORTEST && seconds <= LONGEST) return seconds;
  const what = `--interval takes seconds, from ${SHORTEST} to ${LONGEST}`;
  throw ntsError('NTS_ERR_USAGE', { what });
}

class Screen {
  constructor() {
    process.stdout.write(ENTER);
  }

  /** What does not fit is cut off. */
  draw(text: string): void {
    const { columns, rows } = process.stdout;
    const lines = text.split('\n').slice(0, rows || 24);
    const cut = lines.map((line) => cutOff(line, columns || 80) + CLEAR_LINE);
    process.stdout.write(HOME + cut.join('\n') + CLEAR_BELOW);
  }

  leave(): void {
    process.stdout.write(LEAVE);
  }
}

/** Escape sequences take no room, and stay. */
export function cutOff(line: string, columns: number): string {
  let room = columns;
  // eslint-disable-next-line no-control-regex
  return line.replace(/\u001b\[\d+m|./gu, (piece) =>
    piece.length > 1 && piece.startsWith('\u001b') ? piece : room-- > 0 ? piece : '',
  );
}

export function topText(view: TopView, style: Style): string {
  const parts = [facts(head(view, style))];
  if (view.members.length > 0) parts.push(members(view, style));
  if (view.rules.length > 1) parts.push(rules(view, style));
  const drops = Object.entries(view.drops).map(([reason, perSecond]) => [
    reason.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`),
    rate(perSecond),
  ]);
  if (drops.length > 0) parts.push(table(['DROPPED', 'FRAMES/S'], drops, style));
  return parts.join('\n\n');
}

function head(view: TopView, style: Style): [string, string][] {
  const flags = [
    ...(view.draining ? ['draining'] : []),
    ...(view.vetoed ? ['vetoed'] : []),
    ...(view.behind ? ['behind'] : []),
  ];
  const entries: [string, string][] = [
    [
      'node',
      `${style.bold(view.node?.name ?? 'not configured')}, ${view.role}${flags.map((flag) => style.yellow(`, ${flag}`)).join('')}`,
    ],
    [
      'dispatcher',
      `${view.dispatcher?.name ?? 'none is known'}, generation ${view.generation}; ${view.time}, over ${view.seconds.toFixed(1)} s`,
    ],
    [
      'frames/s',
      `${rate(view.indicatedPerSecond)} in, ${rate(view.passedPerSecond)} passed up, ${rate(view.forwardedPerSecond)} forwarded (${bytes(view.bytesForwardedPerSecond)}/s), ${rate(view.droppedPerSecond)} dropped`,
    ],
  ];
  if (view.flows) {
    const { flows } = view;
    entries.push(
      [
        'flows',
        `${bar(flows.fill)} ${(100 * flows.fill).toFixed(1)}% of ${flows.capacity} (${bytes(Number(flows.bytes))}): ${flows.opening} opening, ${flows.established} established, ${flows.closing} closing`,
      ],
      [
        'flows/s',
        `${rate(flows.learnedPerSecond)} learned, ${rate(flows.evictedPerSecond)} evicted, ${rate(flows.unlearnedPerSecond)} without room, ${rate(flows.hitsPerSecond)} frames of known ones`,
      ],
    );
  }
  return entries;
}

function members(view: TopView, style: Style): string {
  const rows = view.members.map((member) => [
    member.name + (member.id === view.node?.id ? ' (this)' : ''),
    memberState(member, style),
    member.dispatcher ? 'dispatcher' : '',
    rate(member.framesPerSecond),
    bytes(member.bytesPerSecond),
    String(member.flows ?? '-'),
  ]);
  return table(['MEMBER', 'STATE', 'ROLE', 'FRAMES/S', 'BYTES/S', 'FLOWS'], rows, style);
}

function memberState({ alive, draining }: TopView['members'][number], style: Style): string {
  if (!alive) return style.red('down');
  return draining ? style.yellow('draining') : style.green('alive');
}

function rules(view: TopView, style: Style): string {
  const rows = view.rules.map((rule) => [
    rule.text,
    rule.servedBy?.name ?? '',
    rate(rule.framesPerSecond),
    bytes(rule.bytesPerSecond),
    String(rule.flows ?? '-'),
    rate(rule.droppedPerSecond),
  ]);
  const headings = ['RULE', 'SERVED BY', 'FRAMES/S', 'BYTES/S', 'FLOWS', 'DROPPED/S'];
  return table(headings, rows, style);
}

function rate(perSecond: number): string {
  return perSecond > 0 && perSecond < 10
    ? perSecond.toFixed(1)
    : Math.round(perSecond).toLocaleString('en-US');
}

function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]!}`;
}
