// The third round of the demo: the cluster changes while downloads run, and nothing breaks.
import type { Cluster } from '../lab/cluster.js';
import {
  countByServer,
  describeFlows,
  RunningFlows,
  withVolley,
  type FlowCheck,
} from '../lab/flows.js';
import type { Node } from '../lab/node.js';

const each = 100;
const newClients = { first: 500, count: 200 };
const drainSeconds = 20;

type Say = (text: string) => void;

function outcome({ flows, broken, worstGapMs }: FlowCheck): string {
  const what = broken.length === 0 ? '' : `: ${describeFlows(broken)}`;
  return `${broken.length} of ${flows.length} broken, longest gap ${worstGapMs.toFixed(0)} ms${what}`;
}

async function newServers(cluster: Cluster): Promise<string> {
  const { client } = cluster.lab;
  const answers = await client.ask({
    op: 'fetch',
    sources: client.sources('ipv4', newClients.first + newClients.count).slice(newClients.first),
    target: cluster.address.ipv4,
    width: 16,
    timeoutMs: 3000,
  });
  return countByServer(answers);
}

/** A member drains, `spare` becomes one, the role is handed over. */
export async function showChanges(cluster: Cluster, spare: Node, say: Say): Promise<void> {
  await cluster.boot(spare, say);
  const flows = await RunningFlows.open(cluster, { downloads: each, idle: each });
  say(
    `${each} downloads, every byte of which is checked, and ${each} idle keep-alive connections:`,
  );
  say(`  ${countByServer(await flows.states())}`);

  const dispatcher = await cluster.settled();
  const [leaving, next] = cluster.nodes.filter((node) => node !== dispatcher);
  const drained = await flows.during(() => cluster.drain(leaving!));
  say(`\nntswift oneip drain, on ${leaving!.name}: no new clients. ${outcome(drained)}.`);
  say(`  new clients: ${await newServers(cluster)}`);
  say(`  flows left on ${leaving!.name}: ${await cluster.flowsLeft(leaving!)}`);
  const ended = await flows.finish([leaving!.name]);
  await cluster.drained(leaving!, drainSeconds);
  say(`  its clients come to their ends: ${outcome(ended)}.`);
  say(`  flows left on ${leaving!.name}: ${await cluster.flowsLeft(leaving!)}`);

  const added = await flows.during(() => cluster.addMember(spare));
  say(`\nntswift oneip apply: ${spare.name} becomes a member. ${outcome(added)}.`);
  say(`  new clients: ${await newServers(cluster)}`);

  let counts!: Awaited<ReturnType<typeof withVolley>>;
  const handed = await flows.during(async () => {
    counts = await withVolley(cluster, () => cluster.handOver(next!));
  });
  say(
    `\nntswift oneip promote, on ${next!.name}: ${dispatcher.name} hands the role over. ${outcome(handed)}.`,
  );
  say(
    `  meanwhile ${counts.sent} datagrams, ${counts.lost} lost; ${counts.pings} pings, ${counts.pingsLost} lost`,
  );

  await cluster.undrain(leaving!);
  say(`\nEvery download that is left comes to its end: ${outcome(await flows.finish())}.`);
  await flows.close();
}
