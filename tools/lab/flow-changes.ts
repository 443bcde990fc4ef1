// Everything that may happen to a cluster while connections are open, one thing after the other, and what it must not do to them.
//
// The system test and the soak tell by `check` what they make of it; the demo shows some of it.
import type { Cluster } from './cluster.js';
import {
  countByServer,
  describeFlows,
  RunningFlows,
  withVolley,
  type FlowCheck,
  type FlowOptions,
} from './flows.js';
import type { Node } from './node.js';
import { until } from './process.js';

export type Check = (ok: boolean, text: string) => void;

/** Clients that are asked where new connections go. Behind the addresses of the flows. */
const newClients = { first: 500, count: 100 };
const drainSeconds = 20;

export class FlowChanges {
  private constructor(
    private readonly cluster: Cluster,
    private readonly flows: RunningFlows,
    private readonly check: Check,
  ) {}

  /** All of it; `spare` is up and no member. */
  static async run(
    cluster: Cluster,
    spare: Node,
    options: FlowOptions,
    check: Check,
  ): Promise<void> {
    const flows = await RunningFlows.open(cluster, options);
    const changes = new FlowChanges(cluster, flows, check);
    try {
      const states = await flows.states();
      check(
        states.length === options.downloads + options.idle,
        `${options.downloads} downloads and ${options.idle} idle connections are open: ${countByServer(states)}`,
      );
      await changes.add(spare);
      await changes.weights();
      await changes.hashKey();
      await changes.drain();
      await changes.handOver();
      await changes.kill();
      await changes.finish();
    } finally {
      await flows.close();
    }
  }

  private judge(what: string, { flows, broken, worstGapMs }: FlowCheck): void {
    const why =
      broken.length === 0 ? '' : `: by ${countByServer(broken)}; ${describeFlows(broken)}`;
    this.check(
      broken.length === 0,
      `${what}: ${broken.length} of ${flows.length} broken, longest gap ${worstGapMs.toFixed(0)} ms${why}`,
    );
  }

  /** Which servers answer new clients now, once all of them are answered. */
  private async serversOfNewClients(): Promise<Map<string, string>> {
    const { client } = this.cluster.lab;
    const answers = await client.ask({
      op: 'fetch',
      sources: client.sources('ipv4', newClients.first + newClients.count).slice(newClients.first),
      target: this.cluster.address.ipv4,
      width: 16,
      timeoutMs: 5000,
    });
    const unanswered = answers.filter(({ server }) => server === null);
    this.check(
      unanswered.length === 0,
      `new clients: ${countByServer(answers)}` +
        (unanswered.length === 0 ? '' : `; ${unanswered[0]?.source}: ${unanswered[0]?.error}`),
    );
    return new Map(answers.map(({ source, server }) => [source, server ?? 'nobody']));
  }

  private async add(spare: Node): Promise<void> {
    this.judge(
      `${spare.name} becomes a member`,
      await this.flows.during(() => this.cluster.addMember(spare)),
    );
    await this.cluster.settled();
    const servers = [...(await this.serversOfNewClients()).values()];
    this.check(servers.includes(spare.name), `${spare.name} serves new clients`);
  }

  private async weights(): Promise<void> {
    const [, heavy, none] = this.cluster.nodes;
    const weights = new Map([
      [heavy!, 3],
      [none!, 0],
    ]);
    this.judge(
      `weights: ${heavy!.name} 3, ${none!.name} 0`,
      await this.flows.during(() => this.cluster.setWeights(weights)),
    );
    const servers = [...(await this.serversOfNewClients()).values()];
    this.check(!servers.includes(none!.name), `${none!.name} serves no new client`);
    this.judge(
      'equal weights again',
      await this.flows.during(() =>
        this.cluster.setWeights(new Map(this.cluster.nodes.map((node) => [node, 1]))),
      ),
    );
  }

  private async hashKey(): Promise<void> {
    const before = await this.serversOfNewClients();
    this.judge('another hash key', await this.flows.during(() => this.cluster.changeHashKey()));
    const after = await this.serversOfNewClients();
    const moved = [...after].filter(([source, server]) => before.get(source) !== server).length;
    this.check(
      moved > newClients.count / 2,
      `${moved} of ${newClients.count} new clients have another server than before`,
    );
  }

  private async drain(): Promise<void> {
    const { cluster, flows } = this;
    const dispatcher = await cluster.settled();
    const node = cluster.nodes.find((one) => one !== dispatcher)!;
    this.judge(`${node.name} drains`, await flows.during(() => cluster.drain(node)));
    const servers = [...(await this.serversOfNewClients()).values()];
    this.check(!servers.includes(node.name), `${node.name} serves no new client`);
    const own = (await flows.states()).filter(({ server }) => server === node.name).length;
    const left = await cluster.flowsLeft(node);
    this.check(left === own && own > 0, `${node.name} has ${left} flows left, its clients ${own}`);
    this.judge(`${node.name}'s clients come to their ends`, await flows.finish([node.name]));
    await cluster.drained(node, drainSeconds);
    const none = await cluster.flowsLeft(node);
    this.check(none === 0, `${node.name} has ${none} flows left`);
    this.judge(`${node.name} drains no more`, await flows.during(() => cluster.undrain(node)));
    const again = await until(`${node.name} to serve new clients`, async () =>
      [...(await this.serversOfNewClients()).values()].includes(node.name) ? true : undefined,
    );
    this.check(again, `${node.name} serves new clients again`);
  }

  private async handOver(): Promise<void> {
    const { cluster } = this;
    const from = await cluster.settled();
    // Not the one that was drained: it has no flows, and is killed next.
    const to = cluster.nodes.filter((node) => node !== from)[1]!;
    const what = `the role goes from ${from.name} to ${to.name}`;
    let counts!: Awaited<ReturnType<typeof withVolley>>;
    const outcome = await this.flows.during(async () => {
      counts = await withVolley(cluster, () => cluster.handOver(to));
    });
    this.judge(what, outcome);
    const { sent, lost, repeated, moved, pings, pingsLost } = counts;
    this.check(lost === 0 && repeated === 0, `${what}: ${lost} of ${sent} datagrams lost`);
    this.check(moved.length === 0, `${what}: ${moved.length} sources changed their server`);
    this.check(pingsLost === 0, `${what}: ${pingsLost} of ${pings} pings lost`);
  }

  private async kill(): Promise<void> {
    const { cluster, flows } = this;
    const dispatcher = await cluster.settled();
    const lost = (await flows.states()).filter(({ server }) => server === dispatcher.name).length;
    const outcome = await flows.during(async () => {
      await cluster.kill(dispatcher);
      await cluster.settled();
    });
    const others = (list: FlowCheck['flows']) =>
      list.filter(({ server }) => server !== dispatcher.name);
    this.judge(`${dispatcher.name}, the dispatcher, is killed; flows of the others`, {
      ...outcome,
      flows: others(outcome.flows),
      broken: others(outcome.broken),
    });
    // Or else the kill was none, and the rest says nothing. A machine held up may have lost the role to one that has no flows.
    const gone = outcome.broken.length - others(outcome.broken).length;
    this.check(
      gone === lost && !cluster.alive.includes(dispatcher),
      `of ${dispatcher.name}'s own, ${gone} of ${lost} are broken`,
    );
  }

  private async finish(): Promise<void> {
    this.judge('every download comes to its end', await this.flows.finish());
  }
}
