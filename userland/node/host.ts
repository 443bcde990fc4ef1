/** The process of a node: it listens, runs the services, and keeps the node a member. */
import { ntsError } from '../common/errors.js';
import { Agent } from './agent.js';
import { MINUTE } from './clock.js';
import { serveJoin } from './join-server.js';
import { type ListenerLimits, NodeListener } from './listener.js';
import type { LocalNode } from './local-node.js';
import { type Log, silentLog } from './log.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from './names.js';
import { NodeService } from './node-service.js';
import type { Service, ServiceStatus } from './service.js';
import { type Backoff, Supervisor } from './supervisor.js';

export interface HostOptions {
  readonly services?: readonly Service[];
  /** Where to listen; default: the port of the node's address, on every address of the machine. */
  readonly listen?: Endpoint;
  /** By which the others reach this node from now on. Port 0 stands for the port that is listened at. */
  readonly address?: Endpoint;
  readonly version?: string;
  readonly log?: Log;
  readonly limits?: ListenerLimits;
  readonly backoff?: Partial<Backoff>;
  /** Milliseconds between two comparisons of the lists of nodes. */
  readonly interval?: number;
}

export class NodeHost {
  private constructor(
    readonly endpoint: Endpoint,
    readonly listener: NodeListener,
    private readonly supervisors: readonly Supervisor[],
    private readonly agent: Agent,
  ) {}

  /** Resolves when it listens and every service runs or has crashed for the first time. */
  static async start(local: LocalNode, options: HostOptions = {}): Promise<NodeHost> {
    const { log = silentLog, services = [], version = '0', interval = MINUTE } = options;
    const listener = new NodeListener(local, log, options.limits);
    serveJoin(listener, local, log);
    const facts = { version, started: local.clock(), services: () => all() };
    const supervisors = [new NodeService(facts), ...services].map(
      (service) => new Supervisor(service, local, listener, log, options.backoff),
    );
    const all = (): ServiceStatus[] => supervisors.map(({ status }) => status);
    await Promise.all(supervisors.map((one) => one.start()));
    const agent = new Agent(local, log, interval);
    try {
      const present = parseEndpoint(local.address);
      if (!present) throw ntsError('NTS_ERR_INTERNAL', { what: `${local.address} is no address` });
      const endpoint = await listener.listen(options.listen ?? { port: present.port });
      const wanted = options.address ?? present;
      const port = wanted.port === 0 ? endpoint.port : wanted.port;
      await local.setAddress(formatEndpoint({ host: wanted.host, port }));
      agent.start();
      return new NodeHost(endpoint, listener, supervisors, agent);
    } catch (error) {
      await new NodeHost({ host: '', port: 0 }, listener, supervisors, agent).stop();
      throw error;
    }
  }

  get services(): ServiceStatus[] {
    return this.supervisors.map(({ status }) => status);
  }

  /** In the opposite order: nothing new, the services, and what is left of the connections. */
  async stop(): Promise<void> {
    await this.agent.stop();
    void this.listener.stopAccepting();
    await Promise.all(this.supervisors.map((one) => one.stop()));
    await this.listener.close();
  }
}
