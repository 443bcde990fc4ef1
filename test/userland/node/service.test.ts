/** Services: started, crashed, started again, stopped. */
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { type Channel, connect } from '../../../userland/node/channel.js';
import type { Service, ServiceContext } from '../../../userland/node/service.js';
import type { Backoff } from '../../../userland/node/supervisor.js';
import { type TestNode, joinAndStart, startCluster } from './cluster.js';

/** Does what the test says, and tells what was done with it. */
class TestService implements Service {
  readonly name = 'test/1';
  readonly events: string[] = [];
  readonly starts: number[] = [];
  context: ServiceContext | null = null;
  onStart: () => void | Promise<void> = () => undefined;
  onStop: () => void | Promise<void> = () => undefined;
  onChannel: (channel: Channel) => void | Promise<void> = ({ stream }) => void stream.pipe(stream);
  private waiting: (() => void)[] = [];

  async start(context: ServiceContext): Promise<void> {
    this.context = context;
    this.starts.push(performance.now());
    this.tell('start');
    await this.onStart();
  }

  async stop(): Promise<void> {
    this.tell('stop');
    await this.onStop();
  }

  async handle(channel: Channel): Promise<void> {
    this.tell('handle');
    await this.onChannel(channel);
  }

  /** Until it was started so often. */
  async started(times: number): Promise<void> {
    while (this.starts.length < times) await new Promise<void>((done) => this.waiting.push(done));
  }

  private tell(event: string): void {
    this.events.push(event);
    for (const done of this.waiting.splice(0)) done();
  }
}

async function pair(
  t: Test,
  service: TestService,
  backoff: Partial<Backoff> = { first: 1, most: 8, stop: 1000 },
): Promise<[TestNode, TestNode]> {
  const a = await startCluster(t);
  return [a, await joinAndStart(t, a, 'b', { services: [service], backoff })];
}

function statusOf({ host }: TestNode) {
  return host.services.find(({ name }) => name === 'test/1')!;
}

async function says(from: TestNode, text: string): Promise<string> {
  const { stream } = await connect(from.local, 'b', 'test/1');
  stream.write(text);
  const [answer] = (await once(stream, 'data')) as [Buffer];
  stream.destroy();
  return answer.toString();
}

t.test('a service runs, and stops with its node', async (t) => {
  const service = new TestService();
  const [a, b] = await pair(t, service);
  t.same(statusOf(b), { name: 'test/1', state: 'running', restarts: 0, lastError: null });
  t.equal(await says(a, 'hello'), 'hello');
  const channel = await connect(a.local, 'b', 'test/1');
  let openAtStop: boolean | null = null;
  service.onStop = () => void (openAtStop = !channel.stream.destroyed);
  const aborted = once(service.context!.signal, 'abort');
  channel.stream.resume();
  await Promise.all([b.stop(), aborted, channel.closed]);
  t.equal(openAtStop, true, 'it can say goodbye');
  t.same(service.events, ['start', 'handle', 'handle', 'stop']);
  t.equal(statusOf(b).state, 'stopped');
});

t.test('services of two nodes talk through their contexts', async (t) => {
  const there = new TestService();
  const here = new TestService();
  const a = await startCluster(t, { services: [here] });
  await joinAndStart(t, a, 'b', { services: [there] });
  const { stream, service, peer } = await here.context!.connect('b');
  t.match({ service, peer }, { service: 'test/1', peer: { name: 'b' } });
  stream.write('x');
  const [answer] = (await once(stream, 'data')) as [Buffer];
  t.equal(answer.toString(), 'x');
  stream.destroy();
});

t.test('a service that crashes is started again', async (t) => {
  const service = new TestService();
  const [a, b] = await pair(t, service);
  const channel = await connect(a.local, 'b', 'test/1');
  channel.stream.resume();
  const { context } = service;
  context!.fail(new Error('out of luck'));
  context!.fail(new Error('told twice'));
  await Promise.all([service.started(2), channel.closed]);
  t.ok(context!.signal.aborted);
  while (statusOf(b).state !== 'running') await new Promise(setImmediate);
  t.match(statusOf(b), { restarts: 1, lastError: 'out of luck' });
  t.equal(await says(a, 'again'), 'again');
  context!.fail(new Error('of an earlier life'));
  t.equal(statusOf(b).state, 'running');
  t.same(service.events, ['start', 'handle', 'stop', 'start', 'handle']);
});

t.test('a service that cannot start is tried ever more rarely', async (t) => {
  const service = new TestService();
  service.onStart = () => Promise.reject(new Error('not yet'));
  const [a, b] = await pair(t, service, { first: 20, most: 80, stop: 1000 });
  t.match(statusOf(b), { state: 'waiting', lastError: 'not yet' });
  await t.rejects(connect(a.local, 'b', 'test/1'), { code: 'NTS_ERR_PEER_REFUSED' });
  await service.started(6);
  const pauses = service.starts.slice(1).map((time, i) => time - service.starts[i]!);
  // Never sooner; later is the machine's doing.
  for (const [i, least] of [20, 40, 80, 80, 80].entries()) {
    t.ok(pauses[i]! >= least - 2, `pause ${i + 1}: ${pauses[i]!.toFixed(1)} ms, at least ${least}`);
  }
  service.onStart = () => undefined;
  while (statusOf(b).state !== 'running') await new Promise(setImmediate);
  t.equal(await says(a, 'now'), 'now');
});

t.test('a channel that fails is no crash', async (t) => {
  const service = new TestService();
  service.onChannel = () => Promise.reject(new Error('bad channel'));
  const [a, b] = await pair(t, service);
  const channel = await connect(a.local, 'b', 'test/1');
  channel.stream.resume();
  await channel.closed;
  t.match(statusOf(b), { state: 'running', restarts: 0 });
  service.onChannel = ({ stream }) => void stream.pipe(stream);
  t.equal(await says(a, 'next'), 'next');
});

t.test('a service that does not stop is left behind', async (t) => {
  const service = new TestService();
  service.onStop = () => new Promise(() => undefined);
  const [, b] = await pair(t, service, { stop: 50 });
  await b.stop();
  t.equal(statusOf(b).state, 'stopped');
});

t.test('stopping while a service waits for its next start', async (t) => {
  const service = new TestService();
  service.onStart = () => Promise.reject(new Error('never'));
  const [, b] = await pair(t, service, { first: 60_000, stop: 1000 });
  t.equal(statusOf(b).state, 'waiting');
  await b.stop();
  t.same(service.events, ['start', 'stop']);
});
