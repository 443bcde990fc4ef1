// `npm run bench -- oneip`: what a hop costs.
//
// Two questions. What does each kind of dispatcher cost the whole machine, for a request and for a frame? And what does oneip add to the
// path of a frame through the driver host, beside a filter that does nothing? Arms take turns within each round, and an arm is compared
// with another by the median of the ratios within the rounds, so that what drifts does not count.
import { Cluster } from '../lab/cluster.js';
import { builtFile } from '../lab/built.js';
import type { Image } from '../lab/host.js';
import { Lab } from '../lab/lab.js';
import { cluster as address } from '../lab/addresses.js';
import { run, sleep } from '../lab/process.js';
import { armNames, Arms, armTitles, bootBare, startServer, type ArmName } from './arms.js';
import { busyShare, costOf, median } from './measure.js';

export interface BenchOptions {
  rounds: number;
  seconds: number;
  image: Image;
  /** Datagrams a second. */
  rate: number;
}

interface Sample {
  /** CPU time of the machine in microseconds for a request. */
  perRequest: number;
  requestsPerSecond: number;
  /** For a frame; null where the arm forwards no frames. */
  perFrame: number | null;
  /** Of this, in the dispatching processes. */
  perFrameOwn: number | null;
  counted: number | null;
}

const clients = 256;
const serversBehind = 3;
const connections = 16;
const datagramBytes = 64;
/** Time for what was sent to be received. */
const settleMs = 100;

function load(lab: Lab, ...args: string[]): Promise<Record<string, number>> {
  return loadBy(lab, builtFile('bin/bench-load'), args);
}

function loadBy(lab: Lab, command: string, args: string[]): Promise<Record<string, number>> {
  const { client } = lab;
  return client
    .command(command, args, `${client.sources('ipv4').join('\n')}\n`)
    .then((printed) => JSON.parse(printed) as Record<string, number>);
}

export async function benchOneip({ rounds, seconds, image, rate }: BenchOptions): Promise<void> {
  console.log(
    `${rounds} rounds of ${seconds} s an arm and load; drivers as ${image === 'pe' ? 'PE images' : 'ELF modules'}`,
  );
  console.log('verifier: off');
  const busy = await busyShare(1000);
  if (busy > 0.05) {
    console.log(
      `The machine is ${(100 * busy).toFixed(0)}% busy with other things; the figures of the whole machine include that.`,
    );
  }
  await dispatchers({ rounds, seconds, image, rate });
  await filters({ rounds, seconds, image, rate });
}

async function dispatchers({ rounds, seconds, image, rate }: BenchOptions): Promise<void> {
  const arms = armNames.filter((name) => {
    const missing = Arms.missing(name);
    if (missing !== null) console.log(`${name} is left out: ${missing}`);
    return missing === null;
  });
  const lab = await Lab.create({ nodes: 1 + serversBehind, clients });
  const samples = new Map<ArmName, Sample[]>(arms.map((name) => [name, []]));
  try {
    const all = await Arms.create(lab, image);
    for (let round = 1; round <= rounds; round += 1) {
      for (const name of arms) {
        const standing = await all.stand(name);
        const before = await standing.forwarded();
        const tcp = await costOf(standing.pids, () =>
          load(lab, 'tcp', address.ipv4, String(seconds), String(connections)),
        );
        const { answered = 0, failed = 0 } = tcp.result;
        if (failed > 0 || answered === 0)
          throw new Error(`${name}: ${failed} of ${answered + failed} requests failed`);
        const sample: Sample = {
          perRequest: (tcp.cost.machine * 1000) / answered,
          requestsPerSecond: answered / (tcp.result.seconds ?? seconds),
          perFrame: null,
          perFrameOwn: null,
          counted: null,
        };
        if (name !== 'haproxy') {
          const udp = await costOf(standing.pids, async () => {
            const result = await load(
              lab,
              'udp',
              address.ipv4,
              String(seconds),
              String(rate),
              String(datagramBytes),
            );
            await sleep(settleMs);
            return result;
          });
          const sent = udp.result.sent ?? NaN;
          sample.perFrame = (udp.cost.machine * 1000) / sent;
          sample.perFrameOwn = (udp.cost.processes * 1000) / sent;
        }
        const after = await standing.forwarded();
        if (before !== null && after !== null) sample.counted = after - before;
        samples.get(name)!.push(sample);
        console.log(`  round ${round} ${describe(name, sample)}`);
      }
    }
  } finally {
    await lab.close();
  }

  console.log(
    `\nDispatchers: ${serversBehind} servers behind one, ${clients} client addresses. Medians; CPU time of the whole machine.`,
  );
  console.log(
    `  ${'arm'.padEnd(8)} ${'us/request'.padStart(11)} ${'requests/s'.padStart(11)} ${'us/frame'.padStart(9)} ${'to oneip'.padStart(9)}`,
  );
  const oneip = samples.get('oneip')!;
  for (const [name, list] of samples) {
    const ratio = median(
      list.map(({ perRequest }, round) => perRequest / oneip[round]!.perRequest),
    );
    const frames = list.flatMap(({ perFrame }) => (perFrame === null ? [] : [perFrame]));
    console.log(
      `  ${name.padEnd(8)} ${median(list.map(({ perRequest }) => perRequest))
        .toFixed(1)
        .padStart(11)} ` +
        `${median(list.map(({ requestsPerSecond }) => requestsPerSecond))
          .toFixed(0)
          .padStart(11)} ` +
        `${(frames.length > 0 ? median(frames).toFixed(2) : '-').padStart(9)} ${`${ratio.toFixed(2)}x`.padStart(9)}   ${armTitles[name]}`,
    );
  }
}

function describe(
  name: ArmName,
  { perRequest, requestsPerSecond, perFrame, perFrameOwn, counted }: Sample,
): string {
  const parts = [
    `${name.padEnd(8)} ${perRequest.toFixed(1)} us/request`,
    `${requestsPerSecond.toFixed(0)} requests/s`,
  ];
  if (perFrame !== null)
    parts.push(
      `${perFrame.toFixed(2)} us/frame`,
      `of it ${perFrameOwn?.toFixed(2) ?? ''} in the driver host`,
    );
  if (counted !== null) parts.push(`driver's own counter: ${counted} frames forwarded`);
  return parts.join(', ');
}

/**
 * Sender and driver host share one core, and the host never interrupts the sender, which sends in bursts. So all arms get their frames
 * in batches of the same size. On two cores it is chance how many frames are there when the host looks, and that moves the cost of a
 * frame more than any driver does.
 */
const core = '0';

function inTurns(host: number): void {
  run('taskset', ['-acp', core, String(host)]);
  run('chrt', ['-a', '--batch', '-p', '0', String(host)]);
}

/**
 * One machine, which serves itself: a frame comes in below and goes up to the stack, through no filter, through the one that does
 * nothing, and through oneip as the dispatcher that chooses its own machine. The edges of the host are the same in all three.
 */
async function filters({ rounds, seconds, image, rate }: BenchOptions): Promise<void> {
  const names = ['oneip', 'pass', 'host'] as const;
  const costs = new Map<(typeof names)[number], { own: number; machine: number }[]>(
    names.map((name) => [name, []]),
  );
  const lab = await Lab.create({ nodes: 1, clients });
  const node = lab.node('node1');
  const cluster = new Cluster(lab, { image, verifier: false, servers: false });
  console.log('');
  try {
    for (let round = 1; round <= rounds; round += 1) {
      for (const name of names) {
        let pid: number;
        let passed: () => Promise<number | null> = () => Promise.resolve(null);
        if (name === 'oneip') {
          await cluster.boot(node);
          await cluster.settled();
          pid = cluster.host(node).pid;
          passed = async () => Number((await (await cluster.device(node)).stats()).framesPassed);
        } else {
          pid = (await bootBare(node, name, image)).pid;
        }
        await startServer(node);
        inTurns(pid);
        const before = await passed();
        const { cost, result } = await costOf([pid], async () => {
          const sent = await loadBy(lab, 'taskset', [
            '-c',
            core,
            builtFile('bin/bench-load'),
            'udp',
            address.ipv4,
            String(seconds),
            String(rate),
            String(datagramBytes),
          ]);
          await sleep(settleMs);
          return sent;
        });
        const after = await passed();
        const sent = result.sent ?? NaN;
        const sample = {
          own: (cost.processes * 1000) / sent,
          machine: (cost.machine * 1000) / sent,
        };
        costs.get(name)!.push(sample);
        const counter =
          before !== null && after !== null
            ? `, driver's own counter: ${after - before} of ${sent} frames passed up`
            : '';
        console.log(
          `  round ${round} ${name.padEnd(8)} ${sample.own.toFixed(3)} us/frame in the driver host, ${sample.machine.toFixed(2)} in the machine${counter}`,
        );
        if (name === 'oneip') await cluster.kill(node);
        else await node.kill();
      }
    }
  } finally {
    await lab.close();
  }

  console.log(
    "\nThe path of a frame through the driver host, to the machine's own stack. Medians.",
  );
  const pass = costs.get('pass')!;
  for (const [name, list] of costs) {
    const own = median(list.map(({ own }, round) => own / pass[round]!.own));
    const machine = median(list.map(({ machine }, round) => machine / pass[round]!.machine));
    console.log(
      `  ${name.padEnd(8)} ${median(list.map(({ own }) => own)).toFixed(3)} us/frame in the driver host, ` +
        `${median(list.map(({ machine }) => machine)).toFixed(2)} in the machine; ` +
        `${own.toFixed(2)}x and ${machine.toFixed(2)}x the pass-through filter`,
    );
  }
}
