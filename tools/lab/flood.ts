// A flood of SYNs from clients that do not exist, and what it does to the driver hosts, to connections that are open and to new ones.
import { readFileSync } from 'node:fs';
import type { Fetched } from './agent-protocol.js';
import { builtFile } from './built.js';
import type { Cluster } from './cluster.js';
import type { Check } from './flow-changes.js';
import { describeFlows, RunningFlows, type FlowCheck, type FlowOptions } from './flows.js';
import { sleep } from './process.js';

export interface FloodOptions {
  syns: number;
  perSecond: number;
  family: 'ipv4' | 'ipv6';
  /** Connections that are open before and stay open. */
  flows: FlowOptions;
}

export interface FloodResult {
  sent: number;
  seconds: number;
  /** By how much the driver hosts grew, bytes: resident memory and its highest mark, the most of any node. */
  grown: number;
  /** Flows that the dispatcher knows afterwards. */
  known: number;
  /** By how much the memory of its table has changed, bytes. */
  tableGrown: number;
  /** New connections of real clients, made while it lasted and after. */
  during: Fetched[];
  after: Fetched[];
  flows: FlowCheck;
  end: FlowCheck;
}

/** A lost SYN is repeated after one second, and again after two. */
const patienceMs = 8000;
const newClients = 16;
const pauseMs = 100;
/** Behind the addresses of the flows. */
const firstNewClient = 500;

/** The most that the process ever had resident. */
function peakBytes(pid: number): number {
  const [, kilobytes] =
    /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

export async function flood(
  cluster: Cluster,
  { syns, perSecond, family, flows: options }: FloodOptions,
): Promise<FloodResult> {
  const { client } = cluster.lab;
  const dispatcher = await cluster.settled();
  const flows = await RunningFlows.open(cluster, options);
  const connect = () =>
    client.ask({
      op: 'fetch',
      sources: client.sources(family, firstNewClient + newClients).slice(firstNewClient),
      target: cluster.address[family],
      width: newClients,
      timeoutMs: patienceMs,
    });
  const peaks = () => cluster.nodes.map((node) => peakBytes(cluster.host(node).pid));
  const counts = async () => (await cluster.device(dispatcher)).flowCounts();
  const before = peaks();
  const tableBefore = (await counts()).bytes;
  let flooding = true;
  const printed = client
    .command(
      builtFile('bin/lab-syn'),
      [cluster.address[family], String(syns), String(perSecond)],
      '',
    )
    .finally(() => (flooding = false));
  const during: Fetched[] = [];
  const check = await flows.during(async () => {
    // At least once, and again and again as long as it lasts; the flood shares the cores with them.
    do {
      during.push(...(await connect()));
      await sleep(pauseMs);
    } while (flooding);
    await printed;
  });
  const [sent = NaN, microseconds = NaN] = (await printed).trim().split(' ').map(Number);
  const after = await connect();
  const grown = Math.max(...peaks().map((bytes, i) => bytes - before[i]!));
  const { bytes, all } = await counts();
  return {
    sent,
    seconds: microseconds / 1e6,
    grown,
    known: Number(all.opening + all.established + all.closing),
    tableGrown: Number(bytes - tableBefore),
    during,
    after,
    flows: check,
    end: await flows.finish(),
  };
}

/** What the table has for flows that come and go is had from the start; the rest is buffers. */
const growthLimit = 8 << 20;

/** What a flood may do, and what not. */
export function judgeFlood(result: FloodResult, { syns }: FloodOptions, check: Check): void {
  const { sent, seconds, grown, known, tableGrown, during, after, flows, end } = result;
  const rate = sent / seconds / 1000;
  check(sent === syns, `${sent} SYNs in ${seconds.toFixed(1)} s, ${rate.toFixed(0)},000 a second`);
  check(known > 0 && known < syns, `${known} flows are known afterwards`);
  check(tableGrown === 0, `the flow table grew by ${tableGrown} bytes`);
  check(grown < growthLimit, `driver hosts grew by ${(grown / 1024).toFixed(0)} KiB at most`);
  for (const [when, answers] of Object.entries({ during, after })) {
    const failed = answers.filter(({ server }) => server === null);
    const why = failed[0] ? `: ${failed[0].source}: ${failed[0].error}` : '';
    check(
      failed.length === 0,
      `${when}: ${failed.length} of ${answers.length} new clients without an answer${why}`,
    );
  }
  for (const { flows: all, broken, worstGapMs } of [flows, end])
    check(
      broken.length === 0,
      `${broken.length} of ${all.length} open connections broken, longest gap ${worstGapMs.toFixed(0)} ms ${describeFlows(broken)}`,
    );
}
