// `npm run bench -- path`: what oneip adds to the path of a frame through the driver host, beside a filter that does nothing.
import { Cluster } from '../lab/cluster.js';
import { builtFile } from '../lab/built.js';
import type { Image } from '../lab/host.js';
import { Lab } from '../lab/lab.js';
import { cluster as address } from '../lab/addresses.js';
import { run, sleep } from '../lab/process.js';
import { bootBare, startServer } from './arms.js';
import { costOf } from './measure.js';
import type { Printed } from './loads.js';
import { median } from './statistics.js';

export interface PathOptions {
  rounds: number;
  seconds: number;
  image: Image;
  /** Datagrams a second. */
  rate: number;
}

const clients = 256;
const datagramBytes = 64;
/** Time for what was sent to be received. */
const settleMs = 100;

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
export async function benchPath({ rounds, seconds, image, rate }: PathOptions): Promise<void> {
  const names = ['oneip', 'pass', 'host'] as const;
  const costs = new Map<(typeof names)[number], { own: number; machine: number }[]>(
    names.map((name) => [name, []]),
  );
  const lab = await Lab.create({ nodes: 1, clients });
  const node = lab.node('node1');
  const cluster = new Cluster(lab, { image, verifier: false, servers: false });
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
          const load = ['udp', address.ipv4, seconds, rate, datagramBytes].map(String);
          const printed = await lab.client.command(
            'taskset',
            ['-c', core, builtFile('bin/bench-load'), ...load],
            `${lab.client.sources('ipv4').join('\n')}\n`,
          );
          await sleep(settleMs);
          return JSON.parse(printed) as Printed;
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
