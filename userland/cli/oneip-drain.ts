/** ntswift oneip drain and undrain: this node serves no new clients, those that it has go on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ntsError } from '../common/errors.js';
import { drainNode } from '../oneip/apply.js';
import type { OneIp } from '../oneip/client.js';
import type { OneIpFlowCount } from '../oneip/codec.js';
import { type NodeRef, nodeRef } from '../oneip/names.js';
import type { NodeView } from '../oneip/view.js';
import type { Context } from './context.js';
import { untilInterrupted } from './interrupt.js';
import { readNode, storedNames, withOneIp, withStore } from './oneip-access.js';
import { Progress, bar } from './progress.js';

/** Between two looks at the flows that are left. */
const POLL_MILLISECONDS = 250;

const HOW_TO_END = '"ntswift oneip undrain" ends it';

export interface DrainView {
  readonly node: NodeRef | null;
  readonly draining: boolean;
  /** That this node serves; null where no configuration is in force. */
  readonly flows: OneIpFlowCount | null;
}

export async function drain(
  values: { node: string | null; wait: boolean; timeout: number | null },
  context: Context,
): Promise<void> {
  const { wait, timeout } = values;
  if (timeout !== null && (!wait || timeout < 1)) {
    const what = wait ? '--timeout takes a number of seconds from 1' : '--timeout goes with --wait';
    throw ntsError('NTS_ERR_USAGE', { what });
  }
  const view = await readNode(context);
  requireLocal(values.node, view);
  if (!view.draining && !othersServe(view)) {
    const name = view.node?.name ?? 'this node';
    await context.confirm(`Drain ${name}, though no other live member serves new clients`);
  }
  await withStore((store) => drainNode(store, true, { endpoint: context.endpoint }));
  const left = wait ? await waitUntilDrained(timeout, context) : await readDrain(context);
  context.result(left, () => drainText(left));
}

export async function undrain(values: { node: string | null }, context: Context): Promise<void> {
  requireLocal(values.node, await readNode(context));
  await withStore((store) => drainNode(store, false, { endpoint: context.endpoint }));
  const view = await readDrain(context);
  context.result(view, () => drainText(view));
}

/** There is no way yet to tell another node. */
function requireLocal(named: string | null, { node, members }: NodeView): void {
  if (named === null || named === node?.name || named === String(node?.id)) return;
  const other =
    members.find(({ name }) => name === named) ?? members.find(({ id }) => String(id) === named);
  const known = members.map(({ name }) => name).join(', ') || 'none, since nothing is applied here';
  const what = other
    ? `${other.name} is another node, and a node is drained where it is; run this command there (here is ${node?.name ?? 'no member'})`
    : `no member is called "${named}"; the members are ${known}`;
  throw ntsError('NTS_ERR_USAGE', { what });
}

function othersServe({ members }: NodeView): boolean {
  return members.some(
    ({ local, alive, draining, weight }) => !local && alive && !draining && weight !== 0,
  );
}

async function readDrain(context: Context): Promise<DrainView> {
  return withOneIp(context, 'read', (oneIp) => drainOf(oneIp));
}

async function drainOf(oneIp: OneIp): Promise<DrainView> {
  const { localNode, draining, generation, members } = await oneIp.status();
  const view = { node: nodeRef(localNode, storedNames()), draining: draining !== 0 };
  if (generation === 0n) return { ...view, flows: null };
  const counts = await oneIp.flowCounts();
  const index = members.findIndex(({ nodeId }) => nodeId === localNode);
  return { ...view, flows: counts.members[index] ?? null };
}

function drainText({ node, draining, flows }: DrainView): string {
  const name = node?.name ?? 'this node';
  const state = draining ? `${name} drains` : `${name} serves new clients`;
  return flows ? `${state}; its flows: ${countText(flows)}` : state;
}

function countText({ opening, established, closing }: OneIpFlowCount): string {
  return `${opening} opening, ${established} established, ${closing} closing`;
}

/** Closing flows have said goodbye, and are not waited for. */
function live({ flows }: DrainView): bigint {
  return flows ? flows.opening + flows.established : 0n;
}

async function waitUntilDrained(timeout: number | null, context: Context): Promise<DrainView> {
  const signal = untilInterrupted();
  const deadline = timeout === null ? Infinity : performance.now() + 1000 * timeout;
  const progress = new Progress();
  let most = 0n;
  try {
    return await withOneIp(context, 'read', async (oneIp) => {
      for (;;) {
        const view = await drainOf(oneIp);
        const name = view.node?.name ?? 'this node';
        if (!view.draining) {
          const what = `${name} does not drain any more; somebody ended it`;
          throw ntsError('NTS_ERR_SERVICE', { what });
        }
        const left = live(view);
        if (left === 0n) return view;
        if (most === 0n && !context.json)
          context.note(`${name} drains; Ctrl-C ends the waiting, not the draining`);
        if (left > most) most = left;
        const done = 1 - Number(left) / Number(most);
        progress.update(() => `${bar(done)} ${name} drains: ${countText(view.flows!)}`);
        const still = `${name} goes on draining, with ${countText(view.flows!)} flows left; ${HOW_TO_END}`;
        if (signal.aborted) {
          throw ntsError('NTS_ERR_CANCELLED', { what: still }, { facts: { ...view } });
        }
        if (performance.now() >= deadline) {
          const what = `not in ${timeout ?? 0} s: ${still}`;
          throw ntsError('NTS_ERR_TIMEOUT', { what }, { facts: { ...view } });
        }
        const pause = Math.min(POLL_MILLISECONDS, deadline - performance.now());
        await sleep(Math.max(pause, 0), null, { signal }).catch(() => undefined);
      }
    });
  } finally {
    progress.end();
  }
}
