// `npm run soak`: the long runs. Twenty failures of each kind, twenty partitions, 400 connections while the cluster changes, a
// million SYNs, ten minutes of a healthy cluster with all cores busy; a minute of each fuzzer and ten million fuzzed frames and IOCTLs; a thousand steps of the storm, ten thousand changes under load,
// a hundred thousand schedules. Prints what it measures, and a closing line.
//
//   npm run soak -- --only=failover,partition,healthy,fuzz --runs=20 --minutes=10 --fuzz=60 --inputs=10000000
//   npm run soak -- --only=flows,flood --syns=1000000
//   npm run soak -- --only=storm,change,schedules --steps=1000 --changes=10000 --schedules=100000
//   npm run soak -- --only=repl-cut,repl-prefix --workloads=10000
//   npm run soak -- --only=repl-kill --kills=100
//   npm run soak -- --only=repl-burst,repl-outage --files=60000 --rounds=50
//   npm run soak -- --only=repl-chaos --minutes=60

import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { median } from '../bench/statistics.js';
import { ArpWatch } from '../lab/arp-watch.js';
import { Cluster } from '../lab/cluster.js';
import { failover, mend, type Failure } from '../lab/failover.js';
import { flood, judgeFlood, type FloodOptions } from '../lab/flood.js';
import { FlowChanges } from '../lab/flow-changes.js';
import { databases } from '../lab/kill.js';
import { healthy, describeStalls } from '../lab/healthy.js';
import { Lab } from '../lab/lab.js';
import type { Node } from '../lab/node.js';
import { partition } from '../lab/partition.js';
import { fuzzers } from './ctests.js';
import { runFuzzer } from './fuzz.js';
import { equal, runLong } from './long.js';
import { closingLine } from './outcome.js';
import { runReplChaos } from './repl-chaos.js';
import { runReplCut } from './repl-cut.js';
import { runReplKill } from './repl-kill.js';
import { runReplBurst, runReplOutages } from './repl-outage.js';
import { runReplPrefix } from './repl-prefix.js';

const parts = [
  'failover',
  'partition',
  'flows',
  'flood',
  'healthy',
  'fuzz',
  'storm',
  'change',
  'schedules',
  'repl-cut',
  'repl-prefix',
  'repl-kill',
  'repl-burst',
  'repl-outage',
  'repl-chaos',
] as const;
type Part = (typeof parts)[number];

const argv = yargs(hideBin(process.argv))
  .scriptName('npm run soak --')
  .option('only', { type: 'string', describe: `some of ${parts.join(',')}` })
  .option('runs', { type: 'number', default: 20 })
  .option('minutes', {
    type: 'number',
    default: 10,
    describe: 'of the healthy cluster; of the chaos of REPL',
  })
  .option('fuzz', { type: 'number', default: 60, describe: 'seconds for each fuzzer' })
  .option('inputs', { type: 'number', default: 10_000_000, describe: 'fuzzed frames and IOCTLs' })
  .option('syns', { type: 'number', default: 1_000_000, describe: 'of the flood' })
  .option('steps', { type: 'number', default: 1000, describe: 'of the storm' })
  .option('changes', { type: 'number', default: 10_000, describe: 'under load' })
  .option('schedules', { type: 'number', default: 100_000 })
  .option('workloads', {
    type: 'number',
    default: 10_000,
    describe: 'of the cut test and of the prefix test of REPL',
  })
  .option('kills', { type: 'number', default: 100, describe: 'of machines with a database' })
  .option('database', { choices: databases, array: true, default: [...databases] })
  .option('files', { type: 'number', default: 60_000, describe: 'of the burst of REPL' })
  .option('rounds', { type: 'number', default: 50, describe: 'of outages of REPL' })
  .option('seed', { type: 'number', default: 100_000, describe: 'the first, of what is of REPL' })
  .option('image', { choices: ['elf', 'pe'] as const, default: 'elf' as const })
  .strict()
  .parseSync();

const sum = { passed: 0, failed: 0, skipped: 0 };

function check(ok: boolean, text: string): void {
  console.log(`  ${ok ? 'ok  ' : 'FAIL'} ${text}`);
  if (ok) sum.passed += 1;
  else sum.failed += 1;
}

async function withCluster(
  clients: number,
  work: (cluster: Cluster, spare: Node[]) => Promise<void>,
  spares = 0,
): Promise<void> {
  const lab = await Lab.create({ nodes: 4 + spares, clients });
  try {
    const cluster = new Cluster(lab, { image: argv.image, verifier: false }, lab.nodes.slice(0, 4));
    await cluster.start();
    await cluster.settled();
    const spare = lab.nodes.slice(4);
    for (const node of spare) await cluster.boot(node);
    await work(cluster, spare);
    check(
      cluster.nodes.every((node) => !node.alive || cluster.host(node).alive),
      'every driver host is still there',
    );
  } finally {
    await lab.close();
  }
}

const runs: Record<Part, () => Promise<void>> = {
  failover: () =>
    withCluster(32, async (cluster) => {
      for (const failure of ['kill', 'cut', 'freeze'] satisfies Failure[]) {
        console.log(`${failure} of the dispatcher, ${argv.runs} times`);
        const gaps: number[] = [];
        for (let run = 1; run <= argv.runs; run += 1) {
          const result = await failover(cluster, {
            failure,
            clients: 8,
            kind: 'udp',
            family: run % 2 === 0 ? 'ipv6' : 'ipv4',
          });
          gaps.push(result.worstMs);
          console.log(
            `       ${run}: ${result.failed.name} -> ${result.successor.name} ${result.worstMs.toFixed(1)} ms`,
          );
          await mend(cluster, result);
        }
        check(
          median(gaps) <= 50,
          `median of what clients saw: ${median(gaps).toFixed(1)} ms, at most 50`,
        );
        check(Math.max(...gaps) <= 150, `worst: ${Math.max(...gaps).toFixed(1)} ms, at most 150`);
      }
    }),

  partition: () =>
    withCluster(16, async (cluster) => {
      console.log(`partitions, ${argv.runs} times`);
      const watch = await ArpWatch.start(cluster.lab.client, cluster.address.ipv4);
      const late: number[] = [];
      let single = 0;
      for (let round = 1; round <= argv.runs; round += 1) {
        const { left, announcedMs, announcedBy, wrongUntilMs, answering } = await partition(
          cluster,
          watch,
          round,
        );
        late.push(Math.max(announcedMs, wrongUntilMs));
        if (answering.length === 1 && answering[0] === left.mac && announcedBy === left.mac)
          single += 1;
        console.log(
          `       ${round}: ${left.name}, announced ${announcedMs.toFixed(1)} ms after healing`,
        );
      }
      await watch.stop();
      check(
        single === argv.runs,
        `exactly one node answers afterwards, and announced itself: ${single} of ${argv.runs}`,
      );
      check(
        Math.max(...late) <= 100,
        `by ${Math.max(...late).toFixed(1)} ms after healing, at most 100`,
      );
    }),

  flows: async () => {
    for (const family of ['ipv4', 'ipv6'] as const)
      await withCluster(
        600,
        async (cluster, [spare]) => {
          console.log(`200 downloads and 200 idle connections, ${family}`);
          await FlowChanges.run(cluster, spare!, { downloads: 200, idle: 200, family }, check);
        },
        1,
      );
  },

  flood: () =>
    withCluster(600, async (cluster) => {
      for (const family of ['ipv4', 'ipv6'] as const) {
        console.log(`${argv.syns} SYNs from random addresses, ${family}`);
        const options: FloodOptions = {
          syns: argv.syns,
          perSecond: 30_000,
          family,
          flows: { downloads: 100, idle: 100 },
        };
        judgeFlood(await flood(cluster, options), options, check);
      }
    }),

  healthy: () =>
    withCluster(16, async (cluster) => {
      console.log(`${argv.minutes} minutes of a healthy cluster, all cores busy`);
      const { takeovers, stalls } = await healthy(cluster, argv.minutes * 60_000);
      check(takeovers === 0, `${takeovers} takeovers; ${describeStalls(stalls)}`);
    }),

  fuzz: async () => {
    for (const fuzzer of fuzzers('', argv.fuzz)) {
      const outcome = await runFuzzer(fuzzer);
      for (const { detail } of outcome.failures) console.log(detail);
      check(outcome.failures.length === 0, `fuzzer ${outcome.suite}, ${argv.fuzz} s`);
    }
    const shares = { elf: 0.45, asan: 0.1, pe: 0.45 };
    await runLong({ suite: 'oneip_fuzz', option: 'inputs', count: argv.inputs, shares }, check);
  },

  storm: () =>
    runLong({ suite: 'oneip_storm', option: 'steps', count: argv.steps, shares: equal }, check),

  change: () =>
    runLong(
      { suite: 'oneip_change', option: 'changes', count: argv.changes, shares: equal },
      check,
    ),

  schedules: () =>
    runLong(
      {
        suite: 'oneip_schedules',
        option: 'schedules',
        count: argv.schedules,
        shares: { elf: 1, asan: 0.1, pe: 1 },
      },
      check,
    ),

  'repl-cut': () => runReplCut(argv.workloads, argv.seed, check),

  'repl-prefix': () => runReplPrefix(argv.workloads, argv.seed, check),

  'repl-kill': () => runReplKill(argv.database, argv.kills, argv.seed, check),

  'repl-burst': () => runReplBurst(argv.files, check),

  'repl-outage': () => runReplOutages(argv.rounds, check),

  'repl-chaos': () => runReplChaos(argv.minutes, argv.seed, check),
};

for (const part of parts) {
  if (argv.only === undefined || argv.only.split(',').includes(part)) await runs[part]();
}
console.log(`\n${closingLine(sum)}`);
process.exitCode = sum.failed === 0 && sum.passed > 0 ? 0 : 1;
