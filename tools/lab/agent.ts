// The program in the client machine: makes requests from many client addresses and measures how long each goes without an answer.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { setMaxListeners } from 'node:events';
import { connect, isIPv6, type Socket } from 'node:net';
import { Flows } from './agent-flows.js';
import { volley } from './agent-volley.js';
import type {
  Answer,
  Envelope,
  Fetched,
  FetchRequest,
  Gap,
  ProbeReport,
  ProbeRequest,
  ProbeState,
  Replies,
  Request,
  StreamsRequest,
  StreamState,
} from './agent-protocol.js';
import { now } from './clock.js';
import { httpGet } from './http-get.js';

const echoPort = 7;

async function fetchAll({
  kind = 'http',
  sources,
  target,
  width,
  timeoutMs,
}: FetchRequest): Promise<Fetched[]> {
  const results: Fetched[] = [];
  const get = kind === 'udp' ? udpGet : httpGet;
  const queue = [...sources.entries()];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      const [index, source] = item;
      const started = now();
      const done = (server: string | null, error: string | null) => {
        results[index] = { source, server, error, ms: now() - started };
      };
      try {
        done(await get(target, source, timeoutMs), null);
      } catch (error) {
        done(null, error instanceof Error ? error.message : String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

/** One datagram and its echo, which begins with the name of the server. */
function udpGet(target: string, source: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(target) ? 'udp6' : 'udp4');
    const finish = (result: string | Error) => {
      clearTimeout(timer);
      socket.close();
      if (typeof result === 'string') resolve(result);
      else reject(result);
    };
    const timer = setTimeout(() => finish(new Error('no answer in time')), timeoutMs);
    socket.once('error', finish);
    socket.once('message', (data) => finish(data.toString().split(' ')[0] ?? ''));
    socket.bind(0, source, () => socket.send('one', echoPort, target));
  });
}

/** Keeps asking, for each source; remembers each one's longest time without an answer. */
class Probe {
  private readonly sources = new Map<
    string,
    { last: number | null; server: string | null; worst: Gap | null }
  >();
  private readonly stopped = new AbortController();
  private readonly udp: UdpSocket[] = [];
  private attempts = 0;
  private answered = 0;

  constructor(private readonly request: ProbeRequest) {
    setMaxListeners(0, this.stopped.signal);
    for (const [index, source] of request.sources.entries()) {
      this.sources.set(source, { last: null, server: null, worst: null });
      // Spread evenly over the period, so that some attempt always starts soon.
      const offset = (index * request.periodMs) / request.sources.length;
      setTimeout(
        () => (request.kind === 'udp' ? this.askUdp(source) : void this.askHttp(source)),
        offset,
      );
    }
  }

  private success(source: string, server: string): void {
    const state = this.sources.get(source)!;
    const at = now();
    this.answered += 1;
    this.noteGap(source, at, server);
    state.last = at;
    state.server = server;
  }

  private noteGap(source: string, at: number, after: string | null): void {
    const state = this.sources.get(source)!;
    if (state.last === null) return;
    const worst = state.worst === null ? 0 : state.worst.to - state.worst.from;
    if (at - state.last > worst)
      state.worst = { source, from: state.last, to: at, before: state.server, after };
  }

  private async askHttp(source: string): Promise<void> {
    const { target, patienceMs, periodMs } = this.request;
    const { signal } = this.stopped;
    while (!signal.aborted) {
      const started = now();
      this.attempts += 1;
      try {
        this.success(source, await httpGet(target, source, patienceMs, signal));
        await pause(periodMs - (now() - started));
      } catch {
        // Refused at once or not answered in time: the next attempt follows, but not in a busy loop.
        if (now() - started < 1) await pause(1);
      }
    }
  }

  private askUdp(source: string): void {
    const { target, periodMs } = this.request;
    const socket = createSocket({
      type: isIPv6(target) ? 'udp6' : 'udp4',
      recvBufferSize: 1 << 20,
    });
    this.udp.push(socket);
    socket.on('message', (data) => this.success(source, data.toString().split(' ')[0] ?? ''));
    // ICMP errors come back as errors of the next call; the probe goes on.
    socket.on('error', () => undefined);
    socket.bind(0, source, () => {
      const timer = setInterval(() => {
        this.attempts += 1;
        socket.send(String(this.attempts), echoPort, target, () => undefined);
      }, periodMs);
      this.stopped.signal.addEventListener('abort', () => clearInterval(timer));
    });
  }

  state(): ProbeState[] {
    return [...this.sources].map(([source, { last, server }]) => ({ source, last, server }));
  }

  /** Forgets the gaps so far, not when each source was last answered. */
  reset(): void {
    for (const state of this.sources.values()) state.worst = null;
    this.attempts = 0;
    this.answered = 0;
  }

  stop(): ProbeReport {
    const at = now();
    // A gap that has not ended counts as far as it has come.
    for (const source of this.sources.keys()) this.noteGap(source, at, null);
    this.stopped.abort();
    for (const socket of this.udp) socket.close();
    const gaps = [...this.sources.values()].map(({ worst }) => worst).filter((gap) => gap !== null);
    return { gaps, attempts: this.attempts, answered: this.answered };
  }
}

/** Long-lived echo connections. Which server has one is asked by HTTP from the same address, which hashes alike. */
class Streams {
  private readonly states: StreamState[] = [];
  private readonly sockets: Socket[] = [];
  private timer: NodeJS.Timeout | undefined;

  static async open({ sources, target, periodMs }: StreamsRequest): Promise<Streams> {
    const streams = new Streams();
    for (const source of sources) {
      const server = await httpGet(target, source, 2000);
      const state: StreamState = { source, server, open: false, error: null, behind: 0, echoed: 0 };
      const socket = connect({ host: target, port: echoPort, localAddress: source, noDelay: true });
      await new Promise<void>((resolve, reject) =>
        socket.once('connect', resolve).once('error', reject),
      );
      state.open = true;
      socket.on('data', (data) => {
        state.behind -= data.length;
        state.echoed += data.length;
      });
      socket.on('error', (error) => (state.error = error.message));
      socket.on('close', () => (state.open = false));
      streams.states.push(state);
      streams.sockets.push(socket);
    }
    streams.timer = setInterval(() => streams.send(), periodMs);
    return streams;
  }

  private send(): void {
    for (const [index, socket] of this.sockets.entries()) {
      const state = this.states[index]!;
      if (!state.open) continue;
      socket.write('0123456789abcdef');
      state.behind += 16;
    }
  }

  state(): StreamState[] {
    return this.states;
  }

  stop(): void {
    clearInterval(this.timer);
    for (const socket of this.sockets) socket.destroy();
  }
}

function pause(ms: number): Promise<void> {
  return ms <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}

let probe: Probe | undefined;
let streams: Streams | undefined;
let flows: Flows | undefined;

function active<T>(thing: T | undefined, what: string): T {
  if (thing === undefined) throw new Error(`no ${what} is running`);
  return thing;
}

async function perform(request: Request): Promise<Replies[keyof Replies]> {
  switch (request.op) {
    case 'fetch':
      return fetchAll(request);
    case 'probe':
      probe?.stop();
      probe = new Probe(request);
      return null;
    case 'probe-state':
      return active(probe, 'probe').state();
    case 'probe-reset':
      active(probe, 'probe').reset();
      return null;
    case 'probe-stop': {
      const report = active(probe, 'probe').stop();
      probe = undefined;
      return report;
    }
    case 'streams':
      streams?.stop();
      streams = await Streams.open(request);
      return streams.state();
    case 'streams-state':
      return active(streams, 'streams').state();
    case 'streams-stop':
      streams?.stop();
      streams = undefined;
      return null;
    case 'flows':
      flows?.close();
      flows = await Flows.open(request);
      return flows.state();
    case 'flows-state':
      return active(flows, 'flow').state();
    case 'flows-check':
      return active(flows, 'flow').check(request.timeoutMs);
    case 'flows-forget-gaps':
      active(flows, 'flow').forgetGaps();
      return null;
    case 'flows-finish':
      return active(flows, 'flow').finish(request.timeoutMs, request.servers);
    case 'flows-close':
      flows?.close();
      flows = undefined;
      return null;
    case 'volley':
      return volley(request);
  }
}

process.on('message', (message: Envelope) => {
  perform(message.request).then(
    (result) => send({ id: message.id, result }),
    (error: unknown) =>
      send({ id: message.id, error: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));

function send(answer: Answer): void {
  process.send?.(answer);
}
